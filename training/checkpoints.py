"""Checkpoints by step, of which the last whole one counts.

    DIRECTORY/ckpt-6.index, ckpt-6.data-00000-of-00001    the state after step 6
    DIRECTORY/checkpoint    their names as TensorFlow keeps them, for `tf.train.latest_checkpoint`
    DIRECTORY/incomplete…   one that is being written

A checkpoint is written under another name, and its index, without which it does not count, is
renamed last: a kill or a full disk leaves the earlier ones as they are. Which there are is
read from the directory itself, so the file `checkpoint` may be lost. Everything that is read is
verified by TensorFlow's checksums first; a damaged checkpoint is passed over for the one before.

Not `tf.train.CheckpointManager`: without the file `checkpoint` it finds nothing, it neither passes
over a damaged checkpoint nor leaves it out of those that it keeps, and a full disk leaves its
half-written files behind.
"""

import fnmatch
import re

import tensorflow as tf
from absl import logging
from etils import epath

from training import regular_files
from training.error_lines import reason, writing
from training.run_directory import write_whole

KEPT = 2


class Checkpoints:
    """Saves and restores the state of something that advances in steps.

    Args:
        directory: where the files are; made when the first is written. Files there whose names
            begin with ckpt- or incomplete are its own, and are removed.
        state: the variables to save.
        writes: whether this process writes; of several that share a directory only one may.
    """

    def __init__(
        self, directory: epath.Path, state: tf.train.Checkpoint, writes: bool = True
    ) -> None:
        self.directory = directory
        self.state = state
        self.writes = writes
        self.step: int | None = None

    @property
    def latest(self) -> epath.Path | None:
        """The last good checkpoint that this process knows of; its files' names begin with it."""
        return None if self.step is None else self._path(self.step)

    def restore(self) -> int | None:
        """Restores the last whole checkpoint and says which were passed over.

        Returns:
            Its step; None if no checkpoint was ever written.

        Raises:
            ValueError: there are checkpoints and all are damaged, or the last whole one holds the
                state of something else, or a file has the name of their directory.
        """
        if self.directory.exists() and not self.directory.is_dir():
            raise ValueError(f"{self.directory} is not a directory, as it should be: move it away")
        damages = {}
        for step in sorted(steps_in(self.directory), reverse=True):
            path = self._path(step)
            damage = damage_of(path)
            if damage is None:
                self._restore(path)
                self.step = step
                for damaged, why in damages.items():
                    logging.warning(
                        "checkpoint %s is damaged (%s): resuming from %s", damaged, why, path
                    )
                return step
            damages[path] = damage
        if damages:
            raise ValueError(
                "no checkpoint can be read: "
                + ", ".join(f"{path} is damaged ({why})" for path, why in damages.items())
                + f"; to start anew, remove {self.directory}"
            )
        return None

    def save(self, step: int) -> None:
        """Writes the state after a step, and removes older ones than the last two.

        Raises:
            OSError: it could not be written; those before are as they were.
        """
        if step == self.step:
            return
        if self.writes:
            self.directory.mkdir(parents=True, exist_ok=True)
            path = self._path(step)
            try:
                with writing(path):
                    self._remove("incomplete*")
                    self._write(path)
            except OSError:
                self._remove("incomplete*")
                raise
            # What is later than the step that this run came from and went through was damaged.
            before = -1 if self.step is None else self.step
            older = sorted(known for known in steps_in(self.directory) if known <= before)
            kept = [*older[-(KEPT - 1) :], step]
            self._write_names(kept)
            self._remove_all_but(kept)
        self.step = step

    def _path(self, step: int) -> epath.Path:
        return self.directory / f"ckpt-{step}"

    def _files(self, pattern: str) -> list[str]:
        return _files(self.directory, pattern)

    def _restore(self, path: epath.Path) -> None:
        try:
            self.state.read(str(path)).assert_existing_objects_matched()
        except (AssertionError, ValueError, tf.errors.OpError) as error:
            raise ValueError(
                f"checkpoint {path} is of another program or another version of it: {reason(error)}"
            ) from error

    def _write(self, path: epath.Path) -> None:
        beside = self.directory / f"incomplete-{path.name}"
        self.state.write(str(beside))
        for file in [*self._files(f"{beside.name}.data-*"), f"{beside}.index"]:
            end = epath.Path(file).name.removeprefix(beside.name)
            tf.io.gfile.rename(file, f"{path}{end}", overwrite=True)

    def _write_names(self, steps: list[int]) -> None:
        paths = [f'all_model_checkpoint_paths: "{self._path(step).name}"' for step in steps]
        last = f'model_checkpoint_path: "{self._path(steps[-1]).name}"'
        write_whole(self.directory / "checkpoint", "\n".join([last, *paths, ""]))

    def _remove_all_but(self, steps: list[int]) -> None:
        kept = {self._path(step).name for step in steps}
        # Indices first: data without an index is nothing, an index without data is damage.
        for pattern in ("ckpt-*.index", "ckpt-*.data-*"):
            for file in self._files(pattern):
                if re.sub(r"\.(index|data-.*)$", "", epath.Path(file).name) not in kept:
                    tf.io.gfile.remove(file)

    def _remove(self, pattern: str) -> None:
        for file in self._files(pattern):
            if tf.io.gfile.isdir(file):
                tf.io.gfile.rmtree(file)
            else:
                tf.io.gfile.remove(file)


def steps_in(directory: epath.Path) -> set[int]:
    """The steps of which a directory has a checkpoint, or had, going by its file of names.

    Empty where none was ever written, and the run begins at its beginning.
    """
    if not directory.is_dir():
        return set()
    indices = [epath.Path(file).name for file in _files(directory, "ckpt-*.index")]
    names = directory / "checkpoint"
    if names.exists():
        text = regular_files.read_bytes(names).decode(errors="replace")
        indices += [f"{name}.index" for name in re.findall(r'paths?: "(?:.*/)?(.*)"', text)]
    matches = [re.fullmatch(r"ckpt-(\d+)\.index", index) for index in indices]
    return {int(match[1]) for match in matches if match}


def _files(directory: epath.Path, pattern: str) -> list[str]:
    """The paths of a directory's files; not by a glob, to which its own name may be a pattern."""
    if not directory.exists():
        return []
    return [str(path) for path in directory.iterdir() if fnmatch.fnmatch(path.name, pattern)]


def damage_of(path: epath.Path) -> str | None:
    """What is wrong with variables on disk; None if all can be read and fit their checksums.

    Args:
        path: what the names of their files, *.index and *.data-…, begin with.
    """
    if not path.with_name(path.name + ".index").exists():
        return "its index is missing"
    try:
        for file in _files(path.parent, f"{path.name}.*"):
            regular_files.check(file)
        # Not tf.train.load_checkpoint: it takes the names that files begin with for a directory.
        reader = tf.compat.v1.train.NewCheckpointReader(str(path))
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except Exception as error:  # Of whatever type the damage makes TensorFlow raise.
        return reason(error)
    return None
