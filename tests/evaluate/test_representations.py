import dataclasses
import json
import resource
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from etils import epath
from PIL import Image

import data
from evaluate import representation_files, representations, saved_models
from tests import command_line

OPTIONS = representations.ExtractOptions(
    layers=("pixels", "mean", "map"), resize_size=36, crop_size=32, batch_size=16
)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> saved_models.SavedModel:
    """A SavedModel of nobody's: the mean colour and a large map."""
    root = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)])
    def representation(images):
        return {"mean": tf.reduce_mean(images, [1, 2]), "map": tf.tile(images, [1, 1, 1, 4])}

    path = str(tmp_path_factory.mktemp("models") / "saved_model")
    root.representation = representation
    tf.saved_model.save(root, path, signatures={"representation": representation})
    return saved_models.load(path)


@pytest.fixture
def records(labelled_folder):
    return data.load("folder", "all", labelled_folder)


def test_every_readable_image_has_its_row(model, records, tmp_path):
    made = representations.extract(model, records, OPTIONS, epath.Path(tmp_path / "a"))
    entries = list(records.entries().as_numpy_iterator())
    readable = [e["label"] for e in entries if e["id"] != b"above/broken.jpg"]
    assert made.labels.tolist() == readable
    assert sorted(readable) == [0] * 60 + [1] * 60
    assert made.unreadable == 1
    assert made.layers["mean"].shape == (120, 3)
    # 32·32·12 values are more than 9000: a window of 2, of which the largest values stay.
    assert made.layers["map"].shape == (120, 16 * 16 * 12)
    assert made.layers["pixels"].shape == (120, 32 * 32 * 3)
    pixels = made.layers["pixels"].reshape(120, 32, 32, 3)
    assert 0.1 < pixels.mean() < 1
    np.testing.assert_allclose(made.layers["mean"], pixels.mean((1, 2)), atol=1e-5)
    largest = pixels.reshape(120, 16, 2, 16, 2, 3).max((2, 4))
    np.testing.assert_allclose(made.layers["map"][:, :3], largest.reshape(120, -1)[:, :3])


def test_an_interrupted_extraction_continues(model, records, tmp_path, monkeypatch):
    whole = representations.extract(model, records, OPTIONS, epath.Path(tmp_path / "whole"))
    monkeypatch.setattr(representation_files, "SECONDS_BETWEEN_HEADERS", 0.0)
    append, calls = representation_files.RepresentationFiles.append, []

    def killed(files, batch, done):
        calls.append(done)
        if len(calls) == 4:
            # As a kill leaves it: something written that the header does not count.
            for name in (*files.layers, "labels", "positions"):
                with files.path(name).open("ab") as file:
                    file.write(b"half a row")
            raise KeyboardInterrupt
        append(files, batch, done)

    directory = epath.Path(tmp_path / "continued")
    monkeypatch.setattr(representation_files.RepresentationFiles, "append", killed)
    with pytest.raises(KeyboardInterrupt):
        representations.extract(model, records, OPTIONS, directory)
    assert json.loads((directory / "header.json").read_text())["records"] == 48
    continued = representations.extract(model, records, OPTIONS, directory)
    assert calls[4] == 64
    for layer in OPTIONS.layers:
        np.testing.assert_array_equal(continued.layers[layer], whole.layers[layer])
    np.testing.assert_array_equal(continued.labels, whole.labels)

    calls.clear()
    representations.extract(model, records, OPTIONS, directory)
    assert not calls, "a finished extraction is used again"


KILLED = """
import json, sys, time
from training import quiet
from etils import epath
import data
from evaluate import representation_files, representations, saved_models
from tests import graphs
from tests.evaluate.test_representations import OPTIONS
graphs.leave_unoptimised()
representation_files.SECONDS_BETWEEN_HEADERS = 0.0
representation_files.SHARE_OF_HEADERS = 1e9
append = representation_files.RepresentationFiles.append
def waits_to_be_killed(*arguments):
    append(*arguments)
    header = epath.Path(directory) / "header.json"
    if header.exists() and json.loads(header.read_text())["records"] >= 32:
        time.sleep(600)
representation_files.RepresentationFiles.append = waits_to_be_killed
model, folder, directory = sys.argv[1:]
representations.extract(
    saved_models.load(model), data.load("folder", "all", folder), OPTIONS, epath.Path(directory)
)
"""


def test_a_killed_extraction_ends_with_the_same_bits(model, labelled_folder, records, tmp_path):
    directory = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, model.path, labelled_folder, str(directory)],
        env=command_line.ENVIRONMENT,
        cwd=command_line.ROOT,
        stderr=subprocess.DEVNULL,
    )

    def done() -> int:
        header = directory / "header.json"
        return json.loads(header.read_text())["records"] if header.exists() else 0

    while done() < 32 and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert 32 <= done() < records.size
    continued = representations.extract(model, records, OPTIONS, epath.Path(directory))
    whole = representations.extract(model, records, OPTIONS, epath.Path(tmp_path / "whole"))
    for layer in OPTIONS.layers:
        np.testing.assert_array_equal(continued.layers[layer], whole.layers[layer])
    np.testing.assert_array_equal(continued.labels, whole.labels)
    np.testing.assert_array_equal(continued.positions, whole.positions)


def test_a_full_disk_keeps_what_was_done(model, records, tmp_path, monkeypatch):
    monkeypatch.setattr(representation_files, "SECONDS_BETWEEN_HEADERS", 0.0)
    directory = epath.Path(tmp_path / "full")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Room for 40 of the 120 rows of the largest layer, `map`: two batches of 16 and a half.
    resource.setrlimit(resource.RLIMIT_FSIZE, (40 * 4 * 16 * 16 * 12, limits[1]))
    try:
        with pytest.raises(OSError, match=r"File too large.*first 32 images is kept") as error:
            representations.extract(model, records, OPTIONS, directory)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(error.value)
    assert json.loads((directory / "header.json").read_text())["records"] == 32
    appended = []
    append = representation_files.RepresentationFiles.append

    def counting(files, batch, done):
        appended.append(done)
        append(files, batch, done)

    monkeypatch.setattr(representation_files.RepresentationFiles, "append", counting)
    continued = representations.extract(model, records, OPTIONS, directory)
    assert appended[0] == 48
    whole = representations.extract(model, records, OPTIONS, epath.Path(tmp_path / "whole"))
    for layer in OPTIONS.layers:
        np.testing.assert_array_equal(continued.layers[layer], whole.layers[layer])


def test_a_cut_file_is_not_taken_for_a_whole_one(model, records, tmp_path):
    directory = epath.Path(tmp_path)
    made = representations.extract(model, records, OPTIONS, directory)
    expected = np.array(made.layers["mean"])
    with open(tmp_path / "mean.float32", "r+b") as file:
        file.truncate(100)
    again = representations.extract(model, records, OPTIONS, directory)
    np.testing.assert_array_equal(again.layers["mean"], expected)


def test_fewer_layers_are_read_and_others_come_on_top(model, records, tmp_path, monkeypatch):
    directory = epath.Path(tmp_path)
    both = dataclasses.replace(OPTIONS, layers=("pixels", "mean"))
    representations.extract(model, records, both, directory)
    with monkeypatch.context() as without_network:
        without_network.setattr(representations, "_extract", None)
        one = dataclasses.replace(OPTIONS, layers=("mean",))
        assert list(representations.extract(model, records, one, directory).layers) == ["mean"]
    another = dataclasses.replace(OPTIONS, layers=("map",))
    made = representations.extract(model, records, another, directory)
    assert list(made.layers) == ["map"]
    monkeypatch.setattr(representations, "_extract", None)
    assert len(representations.extract(model, records, OPTIONS, directory).layers) == 3


def test_half_precision(model, records, tmp_path):
    half = dataclasses.replace(OPTIONS, dtype="float16")
    directory = epath.Path(tmp_path)
    single = representations.extract(model, records, OPTIONS, directory)
    expected = np.array(single.layers["map"])
    made = representations.extract(model, records, half, directory)
    assert made.layers["map"].dtype == np.float16
    np.testing.assert_allclose(made.layers["map"], expected, atol=5e-4)
    # The files of the other type are gone, and a map of them that is still open has its numbers.
    assert not list(tmp_path.glob("*.float32"))
    np.testing.assert_array_equal(single.layers["map"], expected)


def test_positions_leave_out_the_unreadable(model, records, tmp_path):
    made = representations.extract(model, records, OPTIONS, epath.Path(tmp_path))
    identifiers = [entry["id"].numpy() for entry in records.entries()]
    (broken,) = set(range(121)) - set(made.positions.tolist())
    assert identifiers[broken] == b"above/broken.jpg"


def test_an_image_that_was_mended_is_read(model, tmp_path, caplog) -> None:
    for name in ("a/1", "b/2", "a/3"):
        pixels = np.full((40, 48, 3), 60 * int(name[-1]), np.uint8)
        (tmp_path / "photos" / name[0]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{name}.png")
    broken = [tmp_path / "photos" / "a" / "3.png", tmp_path / "photos" / "b" / "2.png"]
    good = [file.read_bytes() for file in broken]
    for file, content in zip(broken, good, strict=True):
        file.write_bytes(bytes(len(content)))
    records = data.load("folder", "all", str(tmp_path / "photos"))
    options = dataclasses.replace(OPTIONS, layers=("mean",))
    directory = epath.Path(tmp_path / "representations")
    assert representations.extract(model, records, options, directory).unreadable == 2
    caplog.clear()
    assert representations.extract(model, records, options, directory).unreadable == 2
    assert "2 images could not be read" in caplog.text, "it is said each time"
    # The same description, as of files whose size and time tell nothing.
    broken[0].write_bytes(good[0])
    made = representations.extract(model, records, options, directory)
    assert made.unreadable == 1
    assert sorted(made.layers["mean"][:, 0]) == pytest.approx([60 / 255, 180 / 255], abs=1e-4)
    assert records.fingerprint == made.description["records"]


def test_numbers_that_are_none_name_layer_and_network(model, records, tmp_path) -> None:
    nothing = dataclasses.replace(
        model, represent=lambda images: {"mean": tf.reduce_mean(images, [1, 2]) / 0.0}
    )
    options = dataclasses.replace(OPTIONS, layers=("mean",))
    with pytest.raises(ValueError, match=r"layer mean: 48 of 48 values that .*saved_model makes"):
        representations.extract(nothing, records, options, epath.Path(tmp_path))
    # Nothing of them is kept.
    assert len(representations.extract(model, records, options, epath.Path(tmp_path)).labels) == 120


def test_too_little_memory_names_the_batch(model, records, tmp_path) -> None:
    def represent(images):
        raise tf.errors.ResourceExhaustedError(None, None, "failed to allocate memory\nmore")

    large = dataclasses.replace(model, represent=represent)
    with pytest.raises(MemoryError, match=r"^out of memory: use a smaller --batch_size") as error:
        representations.extract(large, records, OPTIONS, epath.Path(tmp_path))
    assert "\n" not in str(error.value)


def test_labels_that_fit_no_class_are_a_line(model, records, tmp_path) -> None:
    unlabelled = dataclasses.replace(
        records,
        entries=lambda: records.entries().map(lambda e: {**e, "label": tf.constant(-1, tf.int64)}),
    )
    options = dataclasses.replace(OPTIONS, layers=("mean",))
    with pytest.raises(ValueError, match=r"split all of folder has labels from -1 to -1"):
        representations.extract(model, unlabelled, options, epath.Path(tmp_path))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (["men"], "no layer men, did you mean mean\\? it has map, mean, pixels"),
        (["mean", ""], "no layer \\(blank\\); it has"),
        (["mean", "map", "mean"], "mean is given twice"),
        ([], "none given"),
    ],
)
def test_layers_that_make_no_sense(model, layers, message) -> None:
    with pytest.raises(ValueError, match=message):
        representations.check_layers(model, layers)


def test_a_remote_directory_is_one_clear_line(model, records):
    with pytest.raises(ValueError, match=r"need a local disk, .* --representations_dir"):
        representations.extract(model, records, OPTIONS, epath.Path("gs://bucket/a"))


def test_another_description_is_extracted_anew(model, records, labelled_folder, tmp_path):
    directory = epath.Path(tmp_path)
    representations.extract(model, records, OPTIONS, directory)
    tenth = data.load("folder", "val", labelled_folder)
    made = representations.extract(model, tenth, OPTIONS, directory)
    assert len(made.labels) + made.unreadable == tenth.size
    other = dataclasses.replace(model, fingerprint="another network's")
    again = representations.extract(other, tenth, OPTIONS, directory)
    assert json.loads((directory / "header.json").read_text())["description"] == again.description
    for changed in ({"pooling": "avg"}, {"crop_size": 30}):
        options = dataclasses.replace(OPTIONS, **changed)
        assert not np.array_equal(
            representations.extract(model, tenth, options, directory).layers["map"],
            made.layers["map"],
        )


def test_several_replicas_give_the_same(model, records, tmp_path, mirrored):
    one = representations.extract(model, records, OPTIONS, epath.Path(tmp_path / "one"))
    with mirrored.scope():
        loaded = saved_models.load(model.path)
    two = representations.extract(loaded, records, OPTIONS, epath.Path(tmp_path / "two"), mirrored)
    np.testing.assert_array_equal(one.labels, two.labels)
    np.testing.assert_allclose(one.layers["mean"], two.layers["mean"], rtol=1e-6)


def test_an_older_export_of_a_patch_task_says_so(model, tmp_path, caplog):
    path = str(shutil.copytree(model.path, tmp_path / "model"))
    for task, warnings in (("rotation", 0), ("jigsaw", 1)):
        (tmp_path / "model" / "README.md").write_text(f"- **Pretext task**: {task}\n")
        assert saved_models.load(path).represent_patches is None
        assert len(caplog.messages) == warnings
    assert "no signature 'patch_representation'" in caplog.text


def test_what_is_no_model(tmp_path):
    with pytest.raises(ValueError, match="is not a SavedModel"):
        saved_models.load(str(tmp_path))
    root = tf.Module()
    root.f = tf.function(lambda x: x, input_signature=[tf.TensorSpec([], tf.float32)])
    tf.saved_model.save(root, str(tmp_path / "m"))
    with pytest.raises(ValueError, match="has no signature 'representation'"):
        saved_models.load(str(tmp_path / "m"))
