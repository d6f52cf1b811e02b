"""All paths at a remote store, for which TensorFlow's memory file system stands in."""

import json
import pathlib
import subprocess
import sys

import pytest
import tensorflow as tf
from etils import epath

import data
from data import builders
from pretext.export import is_whole
from tests import command_line, memory_files
from tests.data import miniatures

PROGRAMS = """
import json, pathlib, sys
from training import quiet
from absl import flags
from etils import epath
from tests import memory_files
from tests.data import miniatures

absl_flags = set(flags.FLAGS)

def run(program, *arguments):
    program.main(flags.FLAGS(["program", *arguments]))
    # All programs have flags of the same names.
    for name in set(flags.FLAGS) - absl_flags:
        delattr(flags.FLAGS, name)

memory_files.register_scheme()
miniatures.write_imagenet_tfrecords("ram://bucket/imagenet")
archives = pathlib.Path(sys.argv[1]) / "archives"
miniatures.write_places_archives(archives)

import train
run(train, "--workdir=ram://bucket/run", "--dataset=imagenet2012",
    "--data_dir=ram://bucket/imagenet", "--widening_factor=1", "--resize_size=36",
    "--crop_size=32", "--augmentation=crop", "--batch_size=16", "--warmup_epochs=0", "--epochs=1",
    "--log_every_steps=1", "--checkpoint_every_steps=1")
from data import prepare
run(prepare, "places205", "--data_dir=ram://bucket/tfds", f"--manual_dir={archives}",
    "--contact_sheet=ram://bucket/sheets/places.png")
import eval
from evaluate import results_file
places = ["--dataset=places205", "--data_dir=ram://bucket/tfds"]
arguments = ["--saved_model=ram://bucket/run/saved_model", "--workdir=ram://bucket/probe", *places,
    "--layers=pre_logits", "--probe=knn"]
try:
    eval.main(flags.FLAGS(["program", *arguments]))
    error = ""
except ValueError as raised:
    error = str(raised)
claimed = epath.Path("ram://bucket/probe").exists()
run(eval, *arguments, f"--representations_dir={sys.argv[1]}")
root = epath.Path("ram://bucket")
files = {}
for folder in ("sheets", "run", "probe"):
    files[folder] = sorted(path.name for path in (root / folder).iterdir())
print(json.dumps({
    "files": files, "error": error, "claimed": claimed,
    "metrics": (root / "run" / "metrics.csv").read_text(),
    "results": results_file.load_results("ram://bucket/probe"),
}))
"""


@pytest.fixture(autouse=True, scope="module")
def memory_file_system() -> None:
    memory_files.register_scheme()


def copied(source: pathlib.Path, target: str) -> str:
    """Copies a folder into the memory file system."""
    for file in source.rglob("*"):
        if file.is_file():
            path = epath.Path(target) / file.relative_to(source).as_posix()
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.read_bytes())
    return target


def test_pretraining_on_imagenet_and_probing_on_places205(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAMS, str(tmp_path)],
        env=command_line.ENVIRONMENT,
        cwd=command_line.ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    left = json.loads(done.stdout.splitlines()[-1])
    assert left["files"]["sheets"] == ["places.png"]
    run = ["checkpoints", "flags.cfg", "metrics.csv", "saved_model", "task.png", "tensorboard"]
    assert left["files"]["run"] == [*run, "training.png"]
    assert {"flags.cfg", "results.json", "accuracy_by_layer.png"} <= set(left["files"]["probe"])
    assert len(left["metrics"].splitlines()) == 1 + 3
    results = left["results"]
    assert (results["train_examples"], results["unreadable"], results["classes"]) == (57, 1, 205)
    assert "ram://bucket/probe/representations: representations are memory maps" in left["error"]
    assert not left["claimed"], "nothing half-written"


def test_a_folder_tree(tmp_path):
    miniatures.write_imagenet_tree(tmp_path, flat_validation=True)
    directory = copied(tmp_path, "ram://bucket/tree")
    for name in ("folder", "imagenet2012"):
        for split, size in (("train", 54), ("val", 6), ("test", 8)):
            records = data.load(name, split, directory)
            images = [records.read(entry["image"]) for entry in records.entries()]
            assert len(images) == records.size == size


def test_preparing_from_archives(tmp_path):
    miniatures.write_places_archives(tmp_path)
    archives = copied(tmp_path, "ram://bucket/archives")
    builders.prepared("places205", "ram://bucket/tfds", archives)
    assert data.load("places205", "trainval", "ram://bucket/tfds").size == 64


def test_an_export_whose_files_were_not_all_renamed_is_not_whole():
    path = epath.Path("ram://bucket/half/saved_model")
    assert not is_whole(path)
    for name in ("saved_model", "saved_model.incomplete"):
        tf.saved_model.save(tf.train.Checkpoint(v=tf.Variable(0.0)), str(path.with_name(name)))
    assert not is_whole(path)
    path.with_name("saved_model.incomplete").rmtree()
    assert is_whole(path)
