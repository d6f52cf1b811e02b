"""The files in a run's directory, and how a second start resumes from them.

WORKDIR/flags.cfg      the run's flags; `train.py --flagfile=WORKDIR/flags.cfg` repeats it
WORKDIR/lock           empty; locked by the run that is active here
WORKDIR/metrics.csv    a row for every logged step
WORKDIR/checkpoints/   weights, optimiser and step
WORKDIR/task.png       the first batch as the network sees it; written once
WORKDIR/training.png   the metrics by epoch, drawn anew after each
WORKDIR/tensorboard/   the same metrics and pictures for TensorBoard
WORKDIR/saved_model/   the export; complete, and present once the run is finished
WORKDIR/backbone.keras the backbone as Keras' own file, with --export_keras
"""

import os

import tensorflow as tf
from etils import epath

from training import locks, own_directories, paths, regular_files
from training.error_lines import reason, writing

# Files that describe what they belong to, and are ignored by any other run: not results.
SELF_DESCRIBED = ("flags.cfg", "lock", "tensorboard", "representations", "source.json")


def locate(workdir: str | None) -> epath.Path:
    """The path that --workdir names; nothing is created there.

    Raises:
        ValueError: the flag is missing, or its directory could not be used.
    """
    if not workdir:
        raise ValueError("--workdir is missing: name a directory for the run's files")
    root = epath.Path(paths.from_flag(workdir, "workdir"))
    special = [character for character in "*?[\\" if character in os.fspath(root)]
    if special:
        raise ValueError(
            f"--workdir={workdir} contains {special[0]}, which TensorFlow takes for a pattern, so "
            "that it would find no checkpoint there: use another name"
        )
    if root.exists() and not root.is_dir():
        raise ValueError(f"--workdir={workdir} is a file; name a directory for the run's files")
    return root


def claim(
    workdir: str,
    flags: dict[str, str],
    may_differ: tuple[str, ...] = (),
) -> epath.Path:
    """Creates the run's directory, or checks that an existing one belongs to the same run.

    The directory is locked until `main` ends. One without results (see `has_begun`) is taken over
    whatever its flags are.

    Args:
        workdir: the directory.
        flags: value by flag name; everything that the run depends on.
        may_differ: flags that may change between two starts of one run.

    Returns:
        The directory's path.

    Raises:
        ValueError: another process is using the directory, or it holds a run with other flags,
            which are named, or its flags cannot be read.
        OSError: the directory cannot be created or written to.
    """
    root = locate(workdir)
    try:
        root.mkdir(parents=True, exist_ok=True)
    except (OSError, tf.errors.OpError) as error:
        raise OSError(f"--workdir={workdir} cannot be created: {reason(error)}") from error
    locks.hold(root)
    file = root / "flags.cfg"
    regular_files.check(file)
    if file.exists() and has_begun(root):
        differ = _differences(file, flags, may_differ)
        if differ:
            raise ValueError(
                f"{workdir} holds a run with other flags: {_some(differ)}; "
                "use another --workdir, or the same flags to continue that run"
            )
    write_whole(file, "".join(f"--{name}={value}\n" for name, value in sorted(flags.items())))
    return root


def begun_with(root: epath.Path) -> dict[str, str]:
    """The flags of the run that has begun in a directory; none where no run has."""
    file = root / "flags.cfg"
    if not root.is_dir() or not file.exists() or not has_begun(root):
        return {}
    regular_files.check(file)
    return _flags(file)


def _flags(file: epath.Path) -> dict[str, str]:
    lines = regular_files.read_bytes(file).decode(errors="replace").splitlines()
    return dict(line[2:].split("=", 1) for line in lines if line[:2] == "--" and "=" in line)


def _differences(file: epath.Path, flags: dict[str, str], may_differ: tuple[str, ...]) -> list[str]:
    """The flags that differ from those in the file, with both values."""
    before = _flags(file)
    if not before:
        raise ValueError(
            f"{file} is damaged, so it is unknown which run the results beside it belong to: "
            "use another --workdir"
        )
    return [
        f"--{name} (there {before.get(name, 'unset')}, now {flags.get(name, 'unset')})"
        for name in sorted(set(before) | set(flags))
        if name not in may_differ and before.get(name) != flags.get(name)
    ]


def _some(differ: list[str], at_most: int = 8) -> str:
    """The first of the flags that differ: for another program's run nearly all do."""
    more = len(differ) - at_most
    return ", ".join(differ[:at_most]) + (f" and {more} more" if more > 0 else "")


def has_begun(directory: epath.Path) -> bool:
    """Whether a run's directory holds any result that could be lost.

    Flags, the lock, TensorBoard's copies, pictures, empty and incomplete files, metrics.csv without
    a row and files that describe what they belong to are not results.
    """
    for path in directory.iterdir():
        if path.name in (*SELF_DESCRIBED, *own_directories.PICTURES) or "incomplete" in path.name:
            continue
        if path.is_dir():
            if has_begun(path):
                return True
        elif path.name == "metrics.csv":
            if regular_files.read_bytes(path).count(b"\n") > 1:
                return True
        elif path.exists() and path.stat().length > 0:
            return True
    return False


def write_whole(path: epath.Path, content: str | bytes) -> None:
    """Writes a file atomically: it is never seen half written, not even after a power failure."""
    beside = path.with_name(path.name + ".incomplete")
    with writing(path):
        try:
            beside.unlink(missing_ok=True)  # It may be a fifo, which would wait for a reader.
            _write_through(beside, content.encode() if isinstance(content, str) else content)
            tf.io.gfile.rename(str(beside), str(path), overwrite=True)
        except (OSError, tf.errors.OpError):
            beside.unlink(missing_ok=True)  # It takes space, which may be short.
            raise


def _write_through(path: epath.Path, content: bytes) -> None:
    """Writes a file; a local one is flushed to the disk."""
    if "://" in os.fspath(path):
        path.write_bytes(content)
        return
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
