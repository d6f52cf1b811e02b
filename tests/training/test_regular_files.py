"""What has the name of a run's file and is none: told at once, where opening it would never end."""

import os
import pathlib
import socket
from collections.abc import Callable

import pytest
import tensorflow as tf
from etils import epath

from pretext import permutations
from training import locks, regular_files, run_directory
from training.checkpoints import Checkpoints
from training.metrics import read_metrics


def make_socket(path: pathlib.Path) -> None:
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(os.path.relpath(path))


KINDS = {
    "a fifo": os.mkfifo,
    "a directory": pathlib.Path.mkdir,
    "a socket": make_socket,
    "a device": lambda path: path.symlink_to("/dev/zero"),
}


def read_names(path: epath.Path) -> None:
    Checkpoints(path.parent, tf.train.Checkpoint(v=tf.Variable(0.0))).restore()


READERS = {
    "metrics.csv": read_metrics,
    "checkpoint": read_names,
    "flags.cfg": lambda path: run_directory.claim(str(path.parent), {"seed": "0"}),
    "lock": lambda path: locks.hold(path.parent),
    "permutations.bin": lambda path: permutations.read_file(str(path)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", READERS)
def test_is_named_and_not_opened(kind: str, name: str, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    KINDS[kind](tmp_path / name)
    reader: Callable = READERS[name]
    with pytest.raises(ValueError, match=f"{name} is {kind} where a file should be") as raised:
        reader(epath.Path(tmp_path / name))
    assert "\n" not in str(raised.value)
    locks.released_at_the_end(lambda argv: None)([])


def test_a_checkpoint_with_a_fifo_is_damaged(tmp_path):
    checkpoints = Checkpoints(epath.Path(tmp_path), tf.train.Checkpoint(v=tf.Variable(0.0)))
    checkpoints.save(1)
    (tmp_path / "ckpt-1.index").unlink()
    os.mkfifo(tmp_path / "ckpt-1.index")
    with pytest.raises(ValueError, match=r"ckpt-1 is damaged .*is a fifo"):
        checkpoints.restore()


def test_a_file_beside_that_was_left_or_put_there(tmp_path):
    os.mkfifo(tmp_path / "flags.cfg.incomplete")
    run_directory.write_whole(epath.Path(tmp_path) / "flags.cfg", "--seed=0\n")
    assert [path.name for path in tmp_path.iterdir()] == ["flags.cfg"]


def test_links_and_stores_are_read(tmp_path):
    (tmp_path / "file").write_bytes(b"text")
    (tmp_path / "link").symlink_to("file")
    assert regular_files.read_bytes(epath.Path(tmp_path / "link")) == b"text"
    regular_files.check("gs://bucket/file")
