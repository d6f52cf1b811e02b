"""`explore.py` from end to end, on a small untrained export and on a network of three lines."""

import json
import pathlib
import re

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from etils import epath
from PIL import Image

import pretext
from evaluate import saved_models
from exploration import untrained
from pretext.export import export
from tests import command_line
from tests.pretext import tiny

ODD_NAME = "<b>&amp; \"x\" 'y' ä.png"


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> str:
    """An export of a few layers, with statistics that are not the initial ones."""
    path = epath.Path(tmp_path_factory.mktemp("exported")) / "saved_model"
    keras.utils.set_random_seed(5)
    backbone = tiny.network()
    random = np.random.default_rng(0)
    backbone(random.uniform(-1, 1, (8, 16, 16, 3)).astype(np.float32), training=True)
    task = pretext.build("rotation", pretext.TaskOptions(18, 16, "crop"))
    export(task, backbone, task.head(backbone.output["pre_logits"].shape[-1]), path)
    return str(path)


@pytest.fixture(scope="module")
def foreign(tmp_path_factory) -> str:
    """Mean colours, of images of any size."""
    root = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)])
    def representation(images):
        return {"colour": tf.reduce_mean(images, [1, 2])}

    root.representation = representation
    path = str(tmp_path_factory.mktemp("foreign") / "saved_model")
    tf.saved_model.save(root, path, signatures={"representation": representation})
    return path


def write_images(root: pathlib.Path, folders: tuple[str, ...], count: int = 24) -> None:
    """Images of noise and one colour each; the second is a copy of the first; one broken."""
    random = np.random.default_rng(0)
    for number in range(count):
        folder = root / folders[number % len(folders)]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 120, (20, 24, 3)) + random.integers(0, 130, 3)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number:02}.png")
    first, second = (root / folders[n % len(folders)] / f"{n:02}.png" for n in (0, 1))
    second.write_bytes(first.read_bytes())
    (root / folders[-1] / "broken.png").write_bytes(b"not a picture")
    if folders == (".",):
        first.rename(root / ODD_NAME)


@pytest.fixture(scope="module")
def explored(network, foreign, tmp_path_factory) -> tuple[pathlib.Path, dict[str, str]]:
    """All cases in one process: the directory, and how each ended."""
    root = tmp_path_factory.mktemp("explored")
    write_images(root / "flat", (".",))
    write_images(root / "labelled" / "train", ("red", "blue"))
    small = ["--batch_size=8", "--layers=block4,pre_logits", "--view_images=16"]
    own = [f"--saved_model={network}", *small]
    flat, labelled = (f"--data_dir={root / name}" for name in ("flat", "labelled"))
    other = [f"--saved_model={foreign}", "--resize_size=20", "--crop_size=16", "--layers=colour"]
    other += [labelled, "--split=train", f"--baseline={foreign}"]
    lines = {
        "flat": [*own, flat, "--embeddings=pre_logits,block4"],
        "labelled": other,
        "again": [*other, "--queries=05.png,red/10.png", f"--workdir={root / 'labelled_run'}"],
        "no image 50.png": [*other, "--queries=50.png"],
        "block9: it is not among --layers": [*other, "--embeddings=block9"],
        "has no layer block4": [*own, flat, f"--baseline={foreign}"],
        "runs on one machine": [*own, flat, "--strategy=multi_worker"],
    }
    for name, line in lines.items():
        if "--workdir" not in line[-1]:
            lines[name] = [*line, f"--workdir={root / name.split()[0]}_run"]
    endings = command_line.errors("explore.py", list(lines.values()))
    return root, dict(zip(lines, endings, strict=True))


@pytest.mark.parametrize("name", ["flat", "labelled", "again"])
def test_a_page_is_made(name, explored) -> None:
    root, endings = explored
    assert endings[name] == "OK"
    run = "labelled_run" if name == "again" else f"{name}_run"
    page = (root / run / "explore.html").read_text()
    assert "cannot be told" in page
    assert len(re.findall("<h2>", page)) == 6
    sources = re.findall(r"(?:src|href)=\"([^\"]{0,30})", page)
    assert len(sources) > 10
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)


@pytest.mark.parametrize("says", ["no image 50", "block9:", "has no layer block4", "runs on one"])
def test_an_error_is_one_line_and_leaves_nothing(says, explored) -> None:
    root, endings = explored
    (ending,) = (line for name, line in endings.items() if name.startswith(says))
    assert says in ending
    assert "|" not in ending
    assert not (root / f"{says.split()[0]}_run").exists()


def test_the_data_are_read_with_two_lines(explored) -> None:
    run = explored[0] / "flat_run"
    features, files = np.load(run / "embeddings.npy"), pd.read_csv(run / "files.csv")
    assert features.shape == (24, 32)
    assert np.load(run / "embeddings_block4.npy").shape == (24, 32)
    assert files["row"].tolist() == list(range(24))
    assert set(files["split"]) == {"train", "val", "test"}
    names = sorted(path.name for path in (run.parent / "flat").iterdir())
    assert sorted(files["path"]) == [name for name in names if name != "broken.png"]
    first, second = (features[files["path"] == name][0] for name in (ODD_NAME, "01.png"))
    np.testing.assert_allclose(first, second, rtol=1e-5)
    pairs = pd.read_csv(run / "near_duplicates.csv")
    assert {pairs["first"][0], pairs["second"][0]} == {ODD_NAME, "01.png"}
    assert len(pd.read_csv(run / "outliers.csv")) == 24
    scores = pd.read_csv(run / "scores.csv")
    assert scores["network"].tolist() == ["network"] * 2 + ["untrained"] * 2


def test_labels_where_there_are_any(explored) -> None:
    run = explored[0] / "labelled_run"
    files = pd.read_csv(run / "files.csv")
    assert set(files["label"]) == {"red", "blue"}
    assert all(files["path"].str.split("/").str[1] == files["label"])
    assert set(files["split"]) == {"train"}
    assert pd.read_csv(run / "scores.csv")["neighbour_purity"].between(0, 1).all()
    assert "neighbours<br>of its label" in (run / "explore.html").read_text()


def test_names_are_escaped_and_queries_shown(explored) -> None:
    page = (explored[0] / "flat_run" / "explore.html").read_text()
    assert "<b>&amp; " not in page
    assert "&lt;b&gt;&amp;amp; &#34;x&#34;" in page
    page = (explored[0] / "labelled_run" / "explore.html").read_text()
    assert re.findall(r"<li><code>(.*)</code></li>", page) == [
        "train/blue/05.png",
        "train/red/10.png",
    ]


def test_what_was_extracted_is_reused(explored) -> None:
    """The second start, which only showed other images, read the same files."""
    run = explored[0] / "labelled_run"
    claimed = (run / "flags.cfg").stat().st_mtime_ns
    times = [path.stat().st_mtime_ns for path in run.rglob("header.json")]
    assert len(times) == 3
    assert max(times) < claimed < (run / "explore.html").stat().st_mtime_ns


def test_networks_share_a_pass(explored) -> None:
    folder = explored[0] / "flat_run" / "representations"
    headers = sorted(path.parent.relative_to(folder) for path in folder.rglob("header.json"))
    assert [str(header) for header in headers] == ["all images", "view 1", "view 2"]
    header = json.loads((folder / "view 1" / "header.json").read_text())
    assert len(header["layers"]) == 8, "two layers of four networks"
    assert "RandomCrop(resize_size=18, crop_size=16" in header["description"]["view"]


def test_the_untrained_network_has_initial_weights_and_the_same_functions(
    network, monkeypatch
) -> None:
    monkeypatch.setattr(untrained, "INITIALISATIONS", 1)
    model = saved_models.load(network)
    one, again, other = (untrained.load(model, None, seed)[0] for seed in (3, 3, 4))
    assert one.fingerprint == again.fingerprint != other.fingerprint != model.fingerprint
    images = tf.random.stateless_uniform((2, 16, 16, 3), (0, 1))
    first, same, *others = (
        each.represent(images)["pre_logits"].numpy() for each in (one, again, other, model)
    )
    np.testing.assert_array_equal(first, same)
    for each in others:
        assert np.abs(first - each).max() > 1e-3
    statistics = [v for v in one.loaded.variables if "moving_mean" in v.name]
    assert len(statistics) == 4
    assert not any(np.any(value) for value in statistics)
