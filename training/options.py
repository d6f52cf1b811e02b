"""Options, each stated once: fields of frozen dataclasses that become flags and are read back.

    @dataclasses.dataclass(frozen=True)
    class LoopOptions:
        epochs: int = option(35, "Passes over the training images.", minimum=0)

stands beside the code that it drives. A program calls `define` with its groups at import, and
`read` in `main`. A value out of range is refused when the command line is parsed, whatever the
other flags are. Fields without `option` are not flags: the program fills them in.
"""

import dataclasses
import math
import sys
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from absl import flags

from training import paths

AUTO = "auto"
Group = TypeVar("Group")


@dataclasses.dataclass(frozen=True)
class Definition:
    """What a flag is, beyond its name and type; see `option`."""

    default: Any
    help: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    check: Callable[[Any], Any] | None = None
    path: bool = False
    auto: bool = False
    may_differ: bool = False
    only_for: tuple[str, ...] = ()


def option(default: Any, help: str, **definition: Any) -> Any:
    """A field that is a flag.

    Args:
        default: the field's default and, unless `auto`, the flag's.
        help: the line in `--help`.
        choices: the texts that are allowed.
        minimum, maximum: the range of a number, both ends allowed. Numbers are always finite.
        check: converts the given value, or raises a ValueError that says what would be right.
        path: whether it is a path, or a list of them: see `training.paths`.
        auto: the flag's default is `auto`, for which `read` takes a value from the program.
        may_differ: two starts of one run may differ in it, because it does not change the result.
        only_for: the tasks or probes that it applies to; all, if empty.
    """
    return dataclasses.field(
        default=default, metadata={"option": Definition(default, help, **definition)}
    )


def define(*groups: type, module: str | None = None) -> None:
    """Defines the flags of several groups.

    Args:
        groups: the dataclasses.
        module: the program under whose name `--help` lists them; by default the running one.
    """
    for group in groups:
        for name, (kind, definition) in definitions(group).items():
            default = AUTO if definition.auto else definition.default
            common = {"module_name": module or sys.argv[0]}
            if kind is bool:
                flags.DEFINE_bool(name, default, definition.help, **common)
            elif definition.choices:
                flags.DEFINE_enum(name, default, definition.choices, definition.help, **common)
            else:
                flags.DEFINE(
                    _Parser(name, kind, definition),
                    name,
                    default,
                    definition.help,
                    serializer=_Serializer(),
                    **common,
                )


def read(group: type[Group], auto: Mapping[str, Any] | None = None, **others: Any) -> Group:
    """A group with the values of the command line.

    Args:
        group: the dataclass.
        auto: by name the values for flags that were left at `auto`.
        others: values of the fields that are not flags.
    """
    values = {name: flags.FLAGS[name].value for name in definitions(group)}
    for name, value in values.items():
        if value == AUTO and definitions(group)[name][1].auto:
            values[name] = (auto or {})[name]
    return group(**values, **others)


def texts(*groups: Any) -> dict[str, str]:
    """The values of groups that were read, by name, as written in a flag file."""
    return {name: _text(getattr(group, name)) for group in groups for name in definitions(group)}


def may_differ(*groups: type, chosen: str = "") -> tuple[str, ...]:
    """The flags in which two starts of one run may differ.

    Args:
        groups: the dataclasses, or instances of them.
        chosen: the task or the probe; flags that do not apply to it are included.
    """
    return tuple(
        name
        for group in groups
        for name, (_, definition) in definitions(group).items()
        if definition.may_differ or not _applies(definition, chosen)
    )


def inapplicable(*groups: type, chosen: str) -> list[str]:
    """The flags that were given, differ from their default and do not apply to a task or probe."""
    return [
        name
        for group in groups
        for name, (_, definition) in definitions(group).items()
        if not _applies(definition, chosen)
        and flags.FLAGS[name].present
        and _text(flags.FLAGS[name].value) != _text(flags.FLAGS[name].default)
    ]


def definitions(group: Any) -> dict[str, tuple[type, Definition]]:
    """The type and definition of a group's flags, by name; for the class or an instance."""
    return {
        field.name: (str if field.type == str | None else field.type, field.metadata["option"])
        for field in dataclasses.fields(group)
        if "option" in field.metadata
    }


def _applies(definition: Definition, chosen: str) -> bool:
    return not (chosen and definition.only_for) or chosen in definition.only_for


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(_short(item) for item in value)
    return "" if value is None else str(value)


def _short(value: Any) -> str:
    """A whole number as people write it: the epochs 15, not 15.0."""
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)


class _Serializer(flags.ArgumentSerializer):
    """Writes a value as on a command line."""

    def serialize(self, value: Any) -> str:
        return _text(value)


class _Parser(flags.ArgumentParser):
    """Reads text, a whole number, a number or a list, within the definition's range."""

    def __init__(self, name: str, kind: type, definition: Definition) -> None:
        super().__init__()
        self.name = name
        self.kind = kind
        self.definition = definition
        self.syntactic_help = self._range()

    def parse(self, argument: Any) -> Any:
        if argument == AUTO and self.definition.auto:
            return AUTO
        if not isinstance(argument, str):
            return argument
        if "\n" in argument or "\r" in argument:
            raise ValueError("a flag file holds a value in one line: leave out the line break")
        value: Any = argument
        if self.kind in (int, float):
            value = self._number(argument)
        elif self._is_list():
            value = [item.strip() for item in argument.split(",")] if argument else []
        if self.definition.path:
            each = value if self._is_list() else [value]
            each = [path and paths.from_flag(path, self.name) for path in each]
            value = each if self._is_list() else each[0]
        return self.definition.check(value) if self.definition.check else value

    def flag_type(self) -> str:
        return "list" if self._is_list() else getattr(self.kind, "__name__", "text")

    def _is_list(self) -> bool:
        return typing.get_origin(self.kind) in (list, tuple)

    def _number(self, argument: str) -> float:
        try:
            value = self.kind(argument)
        except ValueError:
            value = math.nan
        low, high = self.definition.minimum, self.definition.maximum
        if (
            not math.isfinite(value)
            or (low is not None and value < low)
            or (high is not None and value > high)
        ):
            raise ValueError(f"use {self._range()}")
        return value

    def _range(self) -> str:
        if self.kind not in (int, float):
            return "a comma separated list" if self._is_list() else ""
        low, high = (
            None if end is None else _short(float(end))
            for end in (self.definition.minimum, self.definition.maximum)
        )
        kind = "a whole number" if self.kind is int else "a number"
        limits = (
            f" from {low} to {high}"
            if low and high
            else f" of at least {low}"
            if low
            else f" of at most {high}"
            if high
            else ""
        )
        return f"{kind}{limits}" + f", or {AUTO}" * self.definition.auto
