import contextlib
import errno
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from etils import epath

from training import checkpoints
from training.checkpoints import Checkpoints


class Counter:
    """Something that advances in steps, and its checkpoints in a directory."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.values = [tf.Variable(tf.zeros([50])), tf.Variable(0.0)]
        self.checkpoints = Checkpoints(
            epath.Path(directory), tf.train.Checkpoint(values=self.values)
        )

    def save(self, *steps: int) -> None:
        for step in steps:
            for value in self.values:
                value.assign(tf.fill(value.shape, float(step)))
            self.checkpoints.save(step)

    def restored(self) -> int | None:
        """The step restored, which all values must be of."""
        step = self.checkpoints.restore()
        for value in self.values:
            np.testing.assert_array_equal(value, np.full(value.shape, step or 0))
        return step


def names(directory: pathlib.Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def whole(*steps: int) -> set[str]:
    """The files of whole checkpoints."""
    ends = ("index", "data-00000-of-00001")
    return {"checkpoint", *(f"ckpt-{step}.{end}" for step in steps for end in ends)}


def test_the_last_two_are_kept_where_tensorflow_looks_for_them(tmp_path):
    assert Counter(tmp_path / "none").restored() is None
    Counter(tmp_path).save(3, 6, 9)
    assert names(tmp_path) == whole(6, 9)
    assert tf.train.latest_checkpoint(tmp_path) == str(tmp_path / "ckpt-9")
    state = tf.train.get_checkpoint_state(tmp_path)
    assert [pathlib.Path(path).name for path in state.all_model_checkpoint_paths] == [
        "ckpt-6",
        "ckpt-9",
    ]
    assert Counter(tmp_path).restored() == 9


@pytest.mark.parametrize("damage", ["nothing", "missing", "cut", "flipped"])
@pytest.mark.parametrize("name", ["ckpt-6.index", "ckpt-6.data-00000-of-00001", "checkpoint"])
def test_a_damaged_checkpoint_is_passed_over_aloud(tmp_path, caplog, name, damage):
    Counter(tmp_path).save(3, 6)
    path = tmp_path / name
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0x90
    damaged = {"missing": None, "nothing": b"", "flipped": content, "cut": content[:100]}[damage]
    path.unlink()
    if damaged is not None:
        path.write_bytes(damaged)
    counter = Counter(tmp_path)
    expected = 6 if name == "checkpoint" else 3
    assert counter.restored() == expected
    message = f"checkpoint {tmp_path}/ckpt-6 is damaged ("
    assert (message in caplog.text) == (expected == 3)
    assert len(caplog.text.splitlines()) == (expected == 3)
    # It goes on, and the damaged one does not count as one of the two that are kept.
    counter.save(expected + 1, expected + 2)
    assert names(tmp_path) == whole(expected + 1, expected + 2)


def test_all_damaged_is_an_error_and_removes_nothing(tmp_path):
    Counter(tmp_path).save(3, 6)
    for path in tmp_path.glob("*.index"):
        path.write_bytes(b"no index")
    before = names(tmp_path)
    with pytest.raises(ValueError, match=r"no checkpoint can be read: .*ckpt-6 is .*ckpt-3 is"):
        Counter(tmp_path).checkpoints.restore()
    for path in tmp_path.glob("*.index"):
        path.unlink()
    with pytest.raises(ValueError, match="its index is missing"):
        Counter(tmp_path).checkpoints.restore()
    assert names(tmp_path) == {name for name in before if not name.endswith(".index")}


def test_a_checkpoint_of_something_else_is_an_error(tmp_path):
    Counter(tmp_path).save(3)
    other = tf.train.Checkpoint(values=[tf.Variable(tf.zeros([7])), tf.Variable(0.0)])
    with pytest.raises(ValueError, match="is of another program or another version"):
        Checkpoints(epath.Path(tmp_path), other).restore()


# The places in `save` where a process can die, by what is called there.
PLACES = {
    "write": tf.train.Checkpoint,
    "rename": tf.io.gfile,
    "write_whole": checkpoints,
    "remove": tf.io.gfile,
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("call", [1, 2])
def test_killed_while_writing(tmp_path, monkeypatch, place, call):
    counter = Counter(tmp_path)
    counter.save(3, 6)
    original = getattr(PLACES[place], place)
    calls = []

    def killed(*arguments: object, **options: object) -> object:
        calls.append(arguments)
        if len(calls) == call:
            raise KeyboardInterrupt  # Not an OSError: nothing tidies up.
        return original(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(PLACES[place], place, killed)
        with contextlib.suppress(KeyboardInterrupt):
            counter.save(9)
    died = len(calls) == call
    assert died or call == 2
    after = Counter(tmp_path)
    assert after.restored() == (9 if place in ("write_whole", "remove") or not died else 6)
    after.save(12, 15)
    assert names(tmp_path) == whole(12, 15)


def test_no_room(tmp_path, monkeypatch):
    counter = Counter(tmp_path)
    counter.save(3, 6)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def no_room(self: object, path: str) -> None:
        pathlib.Path(f"{path}.data-00000-of-00001").write_bytes(b"begun")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tf.train.Checkpoint, "write", no_room)
        with pytest.raises(OSError, match=r"ckpt-9 could not be written: No space left on device;"):
            counter.save(9)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    counter.save(9)
    assert Counter(tmp_path).restored() == 9
