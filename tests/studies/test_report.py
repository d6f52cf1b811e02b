"""The report of a made-up study: its files, its numbers, its gaps."""

import csv
import html.parser
import re

import pytest
from matplotlib import pyplot

from studies import findings, frames, published, rankings, rates, read, scale_figures
from studies import report as pages
from tests.studies import synthetic

KEYS = ("tasks_by_layer", "table1", "table2", *(f"figure{number}" for number in range(2, 9)))


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> frames.Study:
    root = tmp_path_factory.mktemp("study")
    synthetic.whole_study(root)
    synthetic.record(root, runs=["a-run-that-never-was"])
    return read.read(str(root))


@pytest.fixture(scope="module")
def report(study, tmp_path_factory):
    directory = tmp_path_factory.mktemp("report")
    pages.write(study, "A study", ["python study.py --report=it"], directory)
    return directory


def rows(report, key: str) -> list[dict[str, str]]:
    return list(csv.DictReader((report / f"{key}.csv").open()))


def test_every_table_has_its_files(report):
    for key in KEYS:
        assert (report / f"{key}.csv").stat().st_size > 50, key
        assert "| ---" in (report / f"{key}.md").read_text(), key
        assert (report / f"{key}.png").read_bytes().startswith(b"\x89PNG"), key
        assert (report / f"{key}.pdf").read_bytes().startswith(b"%PDF"), key


def test_the_page_opens_from_disk(report):
    text = (report / "index.html").read_text()
    links = re.findall(r'(?:src|href)="([^"#]+)"', text)
    assert links
    assert all((report / link).exists() for link in links), "relative, and there"
    assert "http" not in text, "nothing from elsewhere"
    for key in KEYS:
        assert f'id="{key}"' in text
    assert "a-run-that-never-was" in text
    assert "python study.py --report=it" in text

    class Balanced(html.parser.HTMLParser):
        open_tags: list[str] = []  # noqa: RUF012 (one page, one parser)

        def handle_starttag(self, tag, attrs):
            if tag not in ("meta", "img"):
                self.open_tags.append(tag)

        def handle_endtag(self, tag):
            assert self.open_tags.pop() == tag

    parser = Balanced()
    parser.feed(text)
    assert parser.open_tags == []


def test_table_1_has_means_spreads_and_seeds(report, study):
    values = [
        score.top1
        for score in study.scores.itertuples()
        if (score.dataset, score.probe, score.layer, score.train_fraction)
        == ("scenes", "lbfgs", "pre_logits", 1)
        and (score.task, score.architecture) == ("jigsaw", "resnet50_v1")
    ]
    assert len(values) == 3
    (row,) = [
        row
        for row in rows(report, "table1")
        if (row["images"], row["task"], row["architecture"])
        == ("scenes test", "jigsaw", "resnet50_v1")
    ]
    assert float(row["mean"]) == pytest.approx(sum(values) / 3, abs=1e-6)
    assert float(row["std"]) > 0
    assert (row["seeds"], row["paper_percent"]) == ("3", "")


def test_only_verified_numbers_of_the_paper(report):
    printed = {
        float(row["paper_percent"]) for row in rows(report, "table1") if row["paper_percent"]
    }
    assert printed == set(published.TABLE_1.values()) == {53.7, 50.5}
    printed = {
        (row["task"], row["paper_percent"], row["before_paper_percent"])
        for row in rows(report, "table2")
        if row["paper_percent"]
    }
    assert printed == {
        ("rotation", "55.4", "38.7"),
        ("exemplar", "46.0", "31.5"),
        ("relative_patch_location", "51.4", "36.2"),
        ("jigsaw", "44.6", "34.7"),
    }


def test_the_papers_number_stands_beside_the_measured_one(tmp_path):
    run = synthetic.network(tmp_path, architecture="revnet50", widening_factor=16)
    synthetic.probe(run, 0.51, dataset="imagenet2012", val_split="val", layers=("pre_logits",))
    synthetic.probe(
        run, 0.52, probe="sgd", dataset="imagenet2012", epochs=520, first_decay=480, curve=[0.52]
    )
    # On the other table's images, where the numbers do not belong.
    synthetic.probe(run, 0.4, probe="sgd", dataset="imagenet2012", val_split="val", epochs=9)
    synthetic.probe(run, 0.4, dataset="imagenet2012", layers=("pre_logits",))
    pages.write(read.read(str(tmp_path)), "ImageNet", [], tmp_path / "report")
    measured = {row["mean"]: row for row in rows(tmp_path / "report", "table1") if row["mean"]}
    assert measured["0.4"]["paper_percent"] == ""
    row = measured["0.51"]
    assert (row["mean"], row["paper_percent"]) == ("0.51", "53.7")
    measured = {row["mean"]: row for row in rows(tmp_path / "report", "table2") if row["mean"]}
    assert measured["0.4"]["paper_percent"] == ""
    row = measured["0.52"]
    assert (row["mean"], row["paper_percent"]) == ("0.52", "55.4")
    assert "| 51.0 (1) | 53.7 |" in (tmp_path / "report" / "table1.md").read_text()


def test_tasks_by_layer(report):
    lines = (report / "tasks_by_layer.md").read_text().splitlines()
    header = next(line for line in lines if line.startswith("| layer"))
    assert header == "| layer | relative patch location | jigsaw | exemplar | rotation |"
    assert sum(line.startswith(("| block", "| pre_logits")) for line in lines) == 5
    assert all("(3)" in line for line in lines if line.startswith("| block"))


def test_figure_2_ranks(report):
    found = {
        (row["task"], row["architecture"]): int(row["rank"])
        for row in rows(report, "figure2")
        if row["images"] == "scenes test"
    }
    assert found["rotation", "revnet50"] == 1
    assert found["exemplar", "resnet50_v1"] == 1
    assert found["exemplar", "revnet50"] == 3
    assert {found[task, "vgg19_bn"] for task, _ in found} == {4}


def test_rank_correlations(study):
    found = {comparison[:4]: comparison[4] for comparison in rankings.correlations(study)}
    alike = found[rankings.BETWEEN_TASKS, "scenes test", "jigsaw", "exemplar"]
    assert alike.kendall == 1.0
    assert alike.kendall_interval == (1.0, 1.0)
    # Of the six pairs of four architectures three are turned round.
    unlike = found[rankings.BETWEEN_TASKS, "scenes test", "exemplar", "rotation"]
    assert unlike.kendall == pytest.approx(0.0)
    places = found[rankings.BETWEEN_DATA_SETS, "both", "places test", "scenes test"]
    assert (places.count, places.kendall) == (16, 1.0)
    questions = {question for question, *_ in found}
    assert questions == {
        rankings.BETWEEN_TASKS,
        rankings.BETWEEN_ARCHITECTURES,
        rankings.BETWEEN_DATA_SETS,
        rankings.PRETEXT,
        rankings.PRETEXT_OF_ONE,
        rankings.LABEL_FREE,
        rankings.LABEL_FREE_OF_TASK,
    }


def test_figures_6_to_8(report):
    sizes = {
        (row["widening_factor"], row["representation_size"]): float(row["mean"])
        for row in rows(report, "figure6")
    }
    assert sizes["4", "4096"] == max(sizes.values())
    assert ("1", "512") in sizes, "without an extra layer, the architecture's own size"
    fractions = {row["train_fraction"] for row in rows(report, "figure7")}
    assert fractions == {"1.0", "0.1", "0.05"}
    curve = [row for row in rows(report, "figure8") if row["first_decay"] == "30"]
    assert len(curve) == 70
    assert {row["seeds"] for row in curve} == {"3"}


def test_figure_6_takes_the_same_network_at_every_call(tmp_path):
    """Of two with as many sizes that of the paper, or the first by name."""
    for task in ("jigsaw", "exemplar"):
        for architecture in ("vgg19_bn", "revnet50"):
            run = synthetic.network(
                tmp_path, task=task, architecture=architecture, representation_size=64
            )
            synthetic.probe(run, 0.5, features=64)
    assert "of revnet50, exemplar," in scale_figures.figure6(read.read(str(tmp_path))).note
    run = synthetic.network(tmp_path, architecture="revnet50", representation_size=64)
    synthetic.probe(run, 0.5, features=64)
    assert "of revnet50, rotation," in scale_figures.figure6(read.read(str(tmp_path))).note


def test_findings_that_were_put_in_are_found(study):
    found = {finding.claim: finding for finding in findings.findings(study)}
    unseen = {
        "The best networks beat the best results before the paper (ImageNet)",
        "Self-supervision gains more from width than supervision",
        "With labels, RevNet50 performs only marginally worse than ResNet50",
        "With labels, VGG19-BN performs similarly to ResNet50",
        "The gap to supervision is almost halved (ImageNet)",
        # Its pretext accuracies are noise.
        "Pretext accuracy does not tell the better architecture",
    }
    for claim, finding in found.items():
        assert finding.verdict == ("cannot be seen" if claim in unseen else "holds"), (
            f"{claim}: {finding.evidence}"
        )
        assert any(character.isdigit() for character in finding.evidence) or claim in unseen
    assert len(found) == 24


def test_an_empty_study_has_gaps_and_no_errors(tmp_path):
    synthetic.network(tmp_path)
    pages.write(read.read(str(tmp_path)), "Empty", [], tmp_path / "report")
    assert "Nothing measured yet." in (tmp_path / "report" / "figure6.md").read_text()
    verdicts = {row["verdict"] for row in rows(tmp_path / "report", "findings")}
    assert verdicts == {"cannot be seen"}


LITTLE = {
    "an untrained network": ({"epochs": 0}, {}),
    "another probe": ({}, {"probe": "knn"}),
    "an MLP probe": ({}, {"probe": "mlp", "epochs": 9}),
    "no pretext accuracy": ({"pretext": None}, {}),
    "one layer": ({}, {"layers": ("block1",)}),
    "no layer": ({}, {"layers": ()}),
    "few labels alone": ({}, {"train_fraction": 0.1}),
    "a representation size alone": ({"representation_size": 64}, {}),
    "SGD without a curve": ({}, {"probe": "sgd", "epochs": 9}),
}


@pytest.mark.parametrize(("of_network", "of_probe"), LITTLE.values(), ids=LITTLE)
def test_little_that_was_measured_has_gaps_and_no_errors(tmp_path, of_network, of_probe):
    synthetic.probe(synthetic.network(tmp_path, **of_network), 0.5, **of_probe)
    study = read.read(str(tmp_path))
    for make in pages.TABLES:
        table = make(study)
        assert table.csv().endswith("\n")
        assert table.markdown().startswith("## ")
        if table.has_figure:
            pyplot.close(table.draw())


def test_learning_rates_are_in_the_report(tmp_path):
    for rate, name in ((0.1, "high"), (0.01, "low")):
        synthetic.network(tmp_path, name=name, learning_rate=rate, pretext=0.5)
    candidates = [
        {"run": "high", "learning_rate": 0.1, "accuracy": 0.3, "reason": ""},
        {"run": "low", "learning_rate": 0.01, "accuracy": 0.5, "reason": ""},
        {"run": "highest", "learning_rate": 1.0, "accuracy": None, "reason": rates.DIVERGED},
    ]
    choice = {"networks": "rotation", "chosen": 0.01, "reason": "", "candidates": candidates}
    synthetic.record(tmp_path, runs=["low", "highest"], choices=[choice])
    study = read.read(str(tmp_path))
    assert list(study.networks.name) == ["low"]
    assert study.missing == study.notes == ()
    pages.write(study, "A study", [], tmp_path / "report")
    text = (tmp_path / "report" / "index.md").read_text()
    assert "| rotation | 0.1 | 30.0 |  | high |" in text
    assert "| rotation | 0.01 | 50.0 | **chosen, the lowest** | low |" in text
    assert "| rotation | 1 | the loss was not finite |  | highest |" in text
    assert "<b>chosen, the lowest</b>" in (tmp_path / "report" / "index.html").read_text()
    assert rows(tmp_path / "report", "learning_rates")[1]["accuracy"] == "0.5"


def test_networks_at_chance_are_named(tmp_path):
    for seed, accuracy in enumerate((0.26, 0.31)):
        run = synthetic.network(tmp_path, seed=seed, pretext=accuracy, name=f"seed{seed}")
        synthetic.probe(run, 0.2)
    synthetic.network(tmp_path, task="exemplar", pretext=0.02)
    pages.write(read.read(str(tmp_path)), "A study", [], tmp_path / "report")
    for name in ("index.md", "index.html"):
        text = (tmp_path / "report" / name).read_text()
        assert "seed0: 26.0% on held-out images, where chance is 25.0%" in text
        assert "seed1: " not in text
