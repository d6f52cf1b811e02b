"""One odd run must not end the report of a study."""

import os
import pathlib

import pytest

from studies import frames, markdown, report
from studies import read as reader
from tests.studies import synthetic


@pytest.fixture
def study(tmp_path) -> pathlib.Path:
    """Two networks with a probe each; the files of the first are to be damaged."""
    for seed in (0, 1):
        run = synthetic.network(tmp_path, seed=seed, name=f"seed{seed}")
        synthetic.probe(run, 0.5, layers=("pre_logits",), curve=[0.25, 0.5])
        (run / "probes" / "lbfgs-scenes-test-1-0").rename(run / "probe")
    return tmp_path


def replaced(text: str, by: str):
    def damage(path: pathlib.Path) -> None:
        before = path.read_text()
        assert text in before
        path.write_text(before.replace(text, by))

    return damage


def content(data: bytes):
    return lambda path: path.write_bytes(data)


def directory(path: pathlib.Path) -> None:
    path.unlink()
    path.mkdir()


def pipe(path: pathlib.Path) -> None:
    path.unlink()
    os.mkfifo(path)


RESULTS = {
    "a list": content(b"[]"),
    "null": content(b"null"),
    "a number": content(b"1"),
    "cut": content(b'{"layers": {'),
    "empty": content(b""),
    "binary": content(b"\xff\xfe\x00"),
    "nested": content(b"[" * 100_000),
    "digits": replaced("0.5", "9" * 5000),
    "no probe": replaced('"probe": "lbfgs", ', ""),
    "a probe that is a list": replaced('"lbfgs"', "[1]"),
    "no layers": replaced('"layers"', '"other"'),
    "layers in a list": replaced('"layers": {"pre_logits": {', '"layers": [{"pre_logits": {'),
    "a layer that is null": content(
        b'{"probe": "a", "dataset": "b", "val_split": "c", "layers": {"pre_logits": null}}'
    ),
    "top1 null": replaced("0.5,", "null,"),
    "top1 NaN": replaced("0.5,", "NaN,"),
    "top1 text": replaced("0.5,", '"high",'),
    "top1 true": replaced("0.5,", "true,"),
    "top1 above 1": replaced("0.5,", "50,"),
    "top1 negative": replaced("0.5,", "-0.5,"),
    "features 0": replaced('"features": 512', '"features": 0'),
    "features text": replaced('"features": 512', '"features": "many"'),
    "training a list": replaced('"training": null', '"training": [1]'),
    "decays text": replaced('"training": null', '"training": {"epochs": 3, "decay_epochs": "x"}'),
    "decays of text": replaced('"training": null', '"training": {"decay_epochs": ["x"]}'),
    "a directory": directory,
    "a pipe": pipe,
}
FLAGS = {
    "binary": content(b"\xff"),
    "empty": content(b""),
    "cut": content(b"--task=rotation\n--archi"),
    "no width": replaced("--widening_factor=1\n", ""),
    "a width of text": replaced("--widening_factor=1", "--widening_factor=wide"),
    "a width of 0": replaced("--widening_factor=1", "--widening_factor=0"),
    "a negative width": replaced("--widening_factor=1", "--widening_factor=-1"),
    "a huge width": replaced("--widening_factor=1", "--widening_factor=1" + 30 * "0"),
    "a seed of text": replaced("--seed=0", "--seed=x"),
    "epochs of text": replaced("--epochs=5", "--epochs=x"),
    "no task": replaced("--task=rotation", "--task="),
    "a directory": directory,
    "a pipe": pipe,
}
METRICS = {
    "text": content(b"step,epoch,val_accuracy\n9,1,high\n"),
    "NaN": content(b"step,epoch,val_accuracy\n9,1,nan\n"),
    "above 1": content(b"step,epoch,val_accuracy\n9,1,90\n"),
    "binary": content(b"\xff\xfe\x00\n"),
    "a long cell": content(b'step,epoch,val_accuracy\n9,1,"' + b"9" * 200_000 + b'"\n'),
    "a directory": directory,
    "a pipe": pipe,
}


def read(root: pathlib.Path, caplog) -> tuple[frames.Study, list[str]]:
    found = reader.read(str(root))
    return found, [record.getMessage() for record in caplog.records]


def test_untouched(study, caplog):
    found, warnings = read(study, caplog)
    assert (len(found.networks), len(found.scores), found.unreadable) == (2, 2, 0)
    assert warnings == []


@pytest.mark.parametrize("damage", RESULTS.values(), ids=RESULTS)
def test_results(study, damage, caplog):
    damage(study / "seed0" / "probe" / "results.json")
    found, warnings = read(study, caplog)
    assert list(found.scores.run) == ["seed1/probe"]
    assert found.unreadable == len(warnings) == 1
    assert warnings[0].startswith("seed0/probe: results.json cannot be read (")
    assert found.notes == tuple(warnings)
    assert len(found.networks) == 2


@pytest.mark.parametrize("damage", FLAGS.values(), ids=FLAGS)
def test_flags_of_a_network(study, damage, caplog):
    damage(study / "seed0" / "flags.cfg")
    found, warnings = read(study, caplog)
    assert list(found.networks.name) == ["seed1"]
    assert list(found.scores.run) == ["seed1/probe"], "and not another network's"
    assert found.unreadable == len(warnings) == 1
    assert warnings[0].startswith("seed0: flags.cfg cannot be read (")


@pytest.mark.parametrize(
    "damage",
    [content(b"\xff"), content(b""), replaced("fraction=1.0", "fraction=x"), directory, pipe],
)
def test_flags_of_a_probe(study, damage, caplog):
    damage(study / "seed0" / "probe" / "flags.cfg")
    found, warnings = read(study, caplog)
    assert list(found.scores.run) == ["seed1/probe"]
    assert found.unreadable == len(warnings) == 1
    assert warnings[0].startswith("seed0/probe: flags.cfg cannot be read (")


@pytest.mark.parametrize("damage", METRICS.values(), ids=METRICS)
def test_metrics_of_a_network(study, damage, caplog):
    damage(study / "seed0" / "metrics.csv")
    found, warnings = read(study, caplog)
    assert [None if p != p else p for p in found.networks.pretext] == [None, 0.9]
    assert len(found.scores) == 2, "what its probe measured is sound"
    assert found.unreadable == len(warnings) == 1
    assert warnings[0].startswith("seed0: metrics.csv cannot be read (")


@pytest.mark.parametrize("data", [b"", b"step\n", b"step,epoch,loss\n9,1,2\n", b"step,val_acc"])
def test_metrics_without_the_metric(study, data, caplog):
    (study / "seed0" / "metrics.csv").write_bytes(data)
    found, warnings = read(study, caplog)
    assert [None if p != p else p for p in found.networks.pretext] == [None, 0.9]
    assert warnings == []


@pytest.mark.parametrize(
    "data", [b"step,val_top1_pre_logits\n1,0.5\n", b"epoch,val_top1_pre_logits\n1,x\n", b"\xff\n"]
)
def test_metrics_of_a_probe(study, data, caplog):
    (study / "seed0" / "probe" / "metrics.csv").write_bytes(data)
    found, warnings = read(study, caplog)
    assert list(found.scores.curve) == [(), ((1.0, 0.25), (2.0, 0.5))]
    assert found.unreadable == len(warnings) == 1
    assert warnings[0].startswith("seed0/probe: metrics.csv cannot be read (")


@pytest.mark.parametrize(
    "data", [b"", b"[]", b'{"plans": []}', b'{"plans": {"a": {"command": 1}}}', b"\xff"]
)
def test_a_damaged_record(study, data, caplog):
    (study / "study.json").write_bytes(data)
    found, warnings = read(study, caplog)
    assert len(found.scores) == 2
    assert found.unreadable == len(warnings) == 1
    assert warnings[0].startswith("study.json: it cannot be read (")


def test_a_link_to_a_directory_above(study, caplog):
    (study / "seed0" / "up").symlink_to(study)
    found, warnings = read(study, caplog)
    assert len(found.scores) == 2
    assert warnings == []


def test_a_probe_is_not_taken_for_that_of_a_network_with_the_same_name(tmp_path, caplog):
    for folder in ("a", "b"):
        run = synthetic.network(tmp_path / folder, name="same", seed=ord(folder))
        synthetic.probe(run, 0.5, saved_model=f"{tmp_path}/{folder}/same/saved_model")
    (tmp_path / "b" / "same" / "flags.cfg").write_text("")
    found, _ = read(tmp_path, caplog)
    assert {run[0] for run in found.scores.run} == {"a"}


def test_networks_whose_names_look_alike_are_two(tmp_path):
    for seed, name in enumerate((b"\xfe", b"\xff")):
        run = synthetic.network(tmp_path, name=f"seed{seed}", seed=seed)
        run.rename(tmp_path / os.fsdecode(name))
    found = reader.read(str(tmp_path))
    assert sorted(found.networks.seed) == [0, 1]
    assert len(set(found.networks.name)) == 2


ODD = [
    "$a^{b a_b__c_ \\frac{1}{2}%",
    "<b>&amp;</b> **bold**|cell [link](http://example.org) `code`",
    "名前 ÅÄÖ ☃ 😀",
    "_" + "x" * 300,
]


def test_markdown():
    same = ["-0.40 [-0.40, 0.40]", "3. 63.0 ± 0.4 (3)", "resnet50_v2", "k = 1, 50 %", "τ: 1 > 0"]
    assert [markdown.escaped(text) for text in same] == same
    lines = ["# a", "12. b", "- c", "k: d", "> e", "+ f"]
    assert [f"- {markdown.item(line)}" for line in lines] == [
        *(r"- \# a", r"- 12\. b", r"- \- c", "- k: d", r"- \> e", r"- \+ f"),
    ]
    assert markdown.escaped("[1](http://x)") == r"[1\](http://x)"


def test_odd_names_stand_in_the_report_as_they_are(tmp_path, recwarn):
    for seed, name in enumerate(ODD):
        for k in (1, 2):
            run = synthetic.network(
                tmp_path, name=f"{seed}-{k}", task=name, architecture=name, widening_factor=k
            )
            for probe in ("lbfgs", "mlp", "sgd"):
                synthetic.probe(
                    run, 0.5, probe=probe, dataset="d", val_split="v", epochs=9, curve=[0.1, 0.5]
                )
            synthetic.probe(run, 0.4, dataset="d", val_split="v", train_fraction=0.1)
    (tmp_path / "0-1" / "probes" / "sgd-d-v-1-0" / "results.json").write_text(
        '{"probe": "sgd", "dataset": "# head\\ning \\ud800", "val_split": "v", "layers": '
        '{"pre_logits": {"features": 8, "top1": 0.5, "top5": 1}}}'
    )
    run = synthetic.network(tmp_path, name="plain", seed=5, learning_rate=9)
    run.rename(tmp_path / os.fsdecode(b"not-utf8-\xff"))
    report.write(
        reader.read(str(tmp_path)), "*Odd* <names>", ["study `a` ```"], tmp_path / "report"
    )
    text = (tmp_path / "report" / "index.md").read_text()
    assert r"# \*Odd\* &lt;names>" in text
    assert "````bash" in text
    table = (tmp_path / "report" / "table1.md").read_text().splitlines()
    rows = [line for line in table if line.startswith("|")]
    cells = {line.replace(r"\|", "").count("|") for line in rows}
    assert len(cells) == 1, "no name breaks a row"
    assert any(r"\$a^{b" in line for line in rows)
    assert any(r"a_b\_\_c\_" in line for line in rows)
    assert any(r"\\frac{1}{2}%" in line for line in rows)
    assert any(r"\[link\](http" in line for line in rows)
    assert any(r"\*\*bold\*\*\|cell" in line for line in rows)
    assert any("&lt;b>&amp;amp;&lt;/b>" in line for line in rows)
    assert [str(warning.message) for warning in recwarn] == []
