"""Flags as `train.py` and `eval.py` take them and leave them, read without those programs."""

import difflib
import os
from collections.abc import Mapping

from absl import flags
from etils import epath

from training.options import AUTO
from training.regular_files import is_regular

# Where things are, which does not change a result.
PLACES = ("workdir", "data_dir", "saved_model", "representations_dir", "flagfile")


def lines_of(path: str, flag: str = "") -> list[str]:
    """The lines of a flag file that are not comments.

    Args:
        path: the file.
        flag: what named it, for messages.

    Raises:
        ValueError: it is not there, or is not a text file.
    """
    file = epath.Path(path)
    if not is_regular(file):
        raise ValueError(f"{flag}{path} {'is not a file' if file.exists() else _missing(file)}")
    try:
        lines = [line.strip() for line in file.read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ValueError(f"{flag}{path} cannot be read: {reason}") from error
    return [line for line in lines if line and not line.startswith(("#", "//"))]


def check(path: str, parents: tuple[str, ...] = ()) -> None:
    """Checks that a flag file and those that it includes can be read.

    Args:
        path: the file.
        parents: those that include it, from the outermost.

    Raises:
        ValueError: one is not there, is not a text file, or includes itself.
    """
    lines = lines_of(path, f"{parents[-1]} includes " if parents else "")
    here = (*parents, path)
    for line in lines:
        if line.startswith(("--flagfile=", "-flagfile=")):
            included = line.partition("=")[2].strip()
            if os.path.realpath(included) in map(os.path.realpath, here):
                raise ValueError(f"{path} includes {included}, and so itself")
            check(included, here)


def read(lines: list[str]) -> dict[str, str]:
    """The values of `--name=value` lines; the last one of a name counts.

    `--name` and `--noname` are booleans; lines that do not begin with `--` are not flags.
    """
    found = {}
    for line in lines:
        if line.startswith("--"):
            name, equals, value = line[2:].partition("=")
            if not equals:
                name, value = name.removeprefix("no"), str(not name.startswith("no"))
            found[name] = value
    return found


def expand(command_line: tuple[str, ...]) -> dict[str, str]:
    """The values of a command line, with those of the files that its `--flagfile` names.

    Raises:
        ValueError: a file is missing, or one that it includes.
    """
    try:
        return read(flags.FlagValues().read_flags_from_files(list(command_line)))
    except flags.Error as error:
        raise ValueError(f"{command_line[0]}: {error}") from error


def agree(there: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether a run's flags are those that a plan has for it, wherever things are.

    What a plan leaves to the program, `auto`, is there as the value that the program took.
    """
    return all(
        name in there and (value == AUTO or same(there[name], value))
        for name, value in wanted.items()
        if name not in PLACES
    )


def same(text: str, other: str) -> bool:
    """Whether two texts are the same value of a flag: 1e-4 is 0.0001, and true is True."""
    try:
        return float(text) == float(other)
    except ValueError:
        return text.lower() == other.lower()


def _missing(file: epath.Path) -> str:
    """That a file is not there, and what it may have been meant to be."""
    beside = sorted(file.parent.glob(f"*{file.suffix}")) if file.parent.is_dir() else []
    close = difflib.get_close_matches(str(file), map(str, beside), 1)
    return f"does not exist{f'; did you mean {close[0]}?' if close else ''}"
