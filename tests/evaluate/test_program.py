"""`eval.py` from end to end on a network of three lines and on awkward data."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests import command_line

SIZE = 8


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> str:
    """Layers that can be used and layers that cannot."""
    root = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)])
    def representation(images):
        colour = tf.reduce_mean(images, [1, 2])
        return {
            "colour": colour,
            "constant": tf.ones_like(colour),
            "nan": tf.where(colour > 0.5, colour, float("nan")),
            "infinite": 1 / tf.zeros_like(colour),
            "large": 1e6 * (1 + colour),
        }

    path = str(tmp_path_factory.mktemp("networks") / "saved_model")
    root.representation = representation
    tf.saved_model.save(root, path, signatures={"representation": representation})
    return path


def folder(root: pathlib.Path, **counts: dict[str, int]) -> str:
    """Images of one colour a class, red, green or blue, by split and class."""
    random = np.random.default_rng(0)
    for split, classes in counts.items():
        for name, count in classes.items():
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 100, (SIZE, SIZE, 3), np.uint8)
                pixels[..., ("red", "green", "blue").index(name)] += 150
                Image.fromarray(pixels).save(root / split / name / f"{number}.png")
    return str(root)


def line(network: str, data_dir: str, workdir: pathlib.Path, *arguments: str) -> list[str]:
    return [
        f"--saved_model={network}",
        f"--data_dir={data_dir}",
        f"--workdir={workdir}",
        "--layers=colour",
        f"--resize_size={SIZE}",
        f"--crop_size={SIZE}",
        "--train_split=trainval",
        "--val_split=test",
        *arguments,
    ]


# Which folder is measured, and how: each gives results.
GOOD = {
    "usual": ("usual", "--layers=colour,constant"),
    "few_labels": ("usual", "--train_fraction=0.1"),
    "too_few_labels": ("usual", "--train_fraction=0.001", "--l2=1e-3"),
    "unseen": ("unseen",),
    "nearest_unseen": ("unseen", "--probe=knn", "--neighbours=3"),
    "few": ("few", "--l2=1e-3"),
    "paper": ("few", "--l2=paper"),
    "mirrored": ("usual", "--layers=colour,constant", "--strategy=mirrored"),
    "short": ("usual", "--max_updates=1", "--l2=1e-6"),
    "half": ("usual", "--dtype=float16"),
    "overlapping": ("usual", "--train_split=all", "--probe=knn"),
}
# The same, by what the one line of its error says.
FOUND_LATE = {
    "layer nan: ": ("usual", "--layers=nan"),
    "layer infinite: ": ("usual", "--layers=infinite", "--probe=knn"),
    "float16 ends at 65504": ("usual", "--layers=large", "--dtype=float16"),
    "needs 5 examples, there are 2: give a number instead": ("few",),
}
FOUND_AT_ONCE = {
    "folder has 1 labels to probe with, not two or more": ("one",),
    "--train_fraction=0: use a number above 0": ("usual", "--train_fraction=0"),
    "--train_fraction=1.5: use a number from 0 to 1": ("usual", "--train_fraction=1.5"),
    "--max_updates=0: use a whole number from 1 to": ("usual", "--max_updates=0"),
    "--neighbours=0: use a whole number from 1 to": ("usual", "--probe=knn", "--neighbours=0"),
    "--max_features=0: use a whole number from 1 to": ("usual", "--max_features=0"),
    "--crop_size=-8: use a whole number from 0 to 8192": ("usual", "--crop_size=-8"),
    "did you mean colour? it has": ("usual", "--layers=color"),
    "--resize_size=2147483648: use": ("usual", "--resize_size=2147483648"),
}
BAD = FOUND_LATE | FOUND_AT_ONCE


@dataclasses.dataclass(frozen=True)
class Measured:
    """What the cases left, and how each ended."""

    root: pathlib.Path
    endings: dict[str, str]

    def results(self, name: str) -> dict:
        return json.loads((self.root / name / "results.json").read_text())

    def layers(self, name: str) -> dict:
        return self.results(name)["layers"]


@pytest.fixture(scope="module")
def measured(network, tmp_path_factory) -> Measured:
    """All cases in one process, because importing TensorFlow takes longer than they do."""
    root = tmp_path_factory.mktemp("measured")
    images = {
        "usual": {
            "train": {"red": 20, "green": 20, "blue": 20},
            "test": {"red": 5, "blue": 5},
        },
        "unseen": {
            "train": {"red": 10, "green": 10},
            "test": {"red": 3, "green": 3, "blue": 3},
        },
        "few": {"train": {"red": 1, "green": 1}, "test": {"red": 1, "blue": 1}},
        "one": {"train": {"red": 10}, "test": {"red": 3}},
    }
    folders = {name: folder(root / "images" / name, **counts) for name, counts in images.items()}
    workdirs = dict(zip(GOOD | BAD, [*GOOD, *map(str, range(len(BAD)))], strict=True))
    lines = {
        name: line(network, folders[data], root / workdirs[name], *more)
        for name, (data, *more) in (GOOD | BAD).items()
    }
    compared = [str(root / name) for name in list(GOOD)[:2]]
    lines["compare"] = ["--compare", *compared, f"--workdir={root / 'both'}"]
    endings = command_line.errors("eval.py", list(lines.values()))
    return Measured(root, dict(zip(lines, endings, strict=True)))


@pytest.mark.parametrize("name", [*GOOD, "compare"])
def test_awkward_data_is_measured(name, measured) -> None:
    assert measured.endings[name] == "OK"


@pytest.mark.parametrize("expected", BAD)
def test_an_error_is_one_clear_line(expected, measured) -> None:
    assert expected in measured.endings[expected]
    assert "|" not in measured.endings[expected], "one line"


@pytest.mark.parametrize("expected", list(FOUND_AT_ONCE)[1:])
def test_an_error_that_is_found_at_once_leaves_nothing(expected, measured) -> None:
    assert expected in measured.endings
    assert not (measured.root / str(list(BAD).index(expected))).exists(), "nothing half-written"


def test_all_is_told_apart_by_a_useful_layer_and_nothing_by_a_constant_one(measured) -> None:
    layers = measured.layers("usual")
    assert layers["colour"]["top1"] == 1.0
    assert layers["colour"]["effective_rank"] == pytest.approx(2.2, abs=0.8)
    assert layers["colour"]["first_ten_variance"] == 1.0
    # One class for all, and no direction.
    assert layers["constant"]["top1"] in (0.0, 0.5)
    assert layers["constant"]["effective_rank"] == 0.0


def test_few_labels(measured) -> None:
    assert measured.results("few_labels")["train_examples"] == 6
    assert measured.results("few_labels")["train_fraction"] == 0.1
    assert measured.layers("few_labels")["colour"]["top1"] == 1.0
    assert measured.results("too_few_labels")["train_examples"] == 3, "one of every class"
    assert measured.layers("few")["colour"]["top1"] == 0.5


@pytest.mark.parametrize("name", ["unseen", "nearest_unseen"])
def test_a_class_without_training_examples_is_never_right(name, measured) -> None:
    assert measured.layers(name)["colour"]["top1"] == pytest.approx(2 / 3)
    assert measured.results(name)["untrained_classes"] == ["blue"]
    assert measured.results(name)["untrained_examples"] == 3


def test_overlapping_splits(measured) -> None:
    assert measured.results("usual")["overlap"] == 0
    assert measured.results("overlapping")["overlap"] == 10


def test_two_replicas(measured) -> None:
    assert measured.layers("mirrored")["colour"]["top1"] == 1.0


def test_the_limit_of_updates(measured) -> None:
    assert not measured.layers("short")["colour"]["converged"]
    assert measured.layers("short")["colour"]["updates"] == 1


def test_a_comparison(measured) -> None:
    assert (measured.root / "both" / "comparison.png").exists()
    assert (measured.root / "both" / "comparison.csv").read_text().count("\n") == 4


def test_another_network_at_the_same_path_is_measured_anew(network, tmp_path, monkeypatch) -> None:
    """Representations and finished layers belong to the network, not to its path."""
    data_dir = folder(
        tmp_path / "data", train={"red": 10, "green": 10}, test={"red": 5, "green": 5}
    )
    arguments = line("", data_dir, tmp_path / "run", "--l2=1e-3")[1:]
    path = tmp_path / "saved_model"
    arguments.append(f"--saved_model={path}")

    def save(scale: float) -> None:
        root = tf.Module()
        root.scale = tf.Variable(scale)

        @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)])
        def representation(images):
            return {"colour": root.scale * tf.reduce_mean(images, [1, 2])}

        root.representation = representation
        tf.saved_model.save(root, str(path), signatures={"representation": representation})

    accuracies = []
    for scale in (1.0, 0.0):
        save(scale)
        command_line.run("eval.py", *arguments)
        results = json.loads((tmp_path / "run" / "results.json").read_text())
        accuracies.append(results["layers"]["colour"]["top1"])
    assert accuracies == [1.0, 0.5]


def test_comparison_without_a_workdir_lies_in_the_current_directory(tmp_path) -> None:
    runs = []
    for name in ("a", "b"):
        run = tmp_path / name / "probe"
        run.mkdir(parents=True)
        layers = {"block1": {"features": 1, "top1": 0.25, "top5": 1.0, "seconds": 1.0}}
        content = {"dataset": "scenes", "val_split": "test", "probe": "sgd", "layers": layers}
        (run / "results.json").write_text(json.dumps(content))
        runs.append(str(run))
    made = command_line.run("eval.py", "--compare", *runs, cwd=tmp_path)
    assert "a/probe" in made.stdout
    assert made.stdout.count("25.0 %") == 2
    assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "comparison.csv").read_text().count("\n") == 3
