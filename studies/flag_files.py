"""Flags as `train.py` and `eval.py` take them and leave them, read without those programs."""

from absl import flags


def read(lines: list[str]) -> dict[str, str]:
    """The values of `--name=value` lines; the last one of a name counts.

    `--name` and `--noname` are booleans; lines that do not begin with `--` are no flags.
    """
    values = {}
    for line in lines:
        if line.startswith("--"):
            name, equals, value = line[2:].partition("=")
            if not equals:
                name, value = name.removeprefix("no"), str(not name.startswith("no"))
            values[name] = value
    return values


def expand(command_line: tuple[str, ...]) -> dict[str, str]:
    """The values of a command line, with those of the files that its `--flagfile` names.

    Raises:
        ValueError: a file is missing, or one that it includes.
    """
    try:
        return read(flags.FlagValues().read_flags_from_files(list(command_line)))
    except flags.Error as error:
        raise ValueError(f"{command_line[0]}: {error}") from error


def same(text: str, other: str) -> bool:
    """Whether two texts are the same value of a flag: 1e-4 is 0.0001, and true is True."""
    try:
        return float(text) == float(other)
    except ValueError:
        return text.lower() == other.lower()
