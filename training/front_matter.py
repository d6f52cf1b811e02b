"""The header of a model card that model hubs read: YAML between two lines of three dashes.

A line holds one key and its value, as JSON, which is YAML too; so a header can be written and one
of its values replaced without a parser of YAML, and lines that people have edited stay as they are.
"""

import json
from collections.abc import Mapping
from typing import Any

FENCE = "---\n"


def header(metadata: Mapping[str, Any]) -> str:
    """The header that stands before a card's text."""
    lines = [f"{key}: {_text(value)}\n" for key, value in metadata.items()]
    return FENCE + "".join(lines) + FENCE


def value_of(card: str, key: str) -> Any:
    """The value of a key in a card's header; None if it is not there as `header` writes it."""
    for line in _lines(card):
        if line.startswith(f"{key}: "):
            try:
                return json.loads(line.removeprefix(f"{key}: "))
            except ValueError:
                return None
    return None


def with_value(card: str, key: str, value: Any) -> str:
    """The card with another value for a key that `value_of` finds."""
    lines = _lines(card)
    text = card[len(FENCE) + sum(map(len, lines)) :]
    replaced = [
        f"{key}: {_text(value)}\n" if line.startswith(f"{key}: ") else line for line in lines
    ]
    return FENCE + "".join(replaced) + text


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _lines(card: str) -> list[str]:
    """The lines between the fences; none without a header."""
    if not card.startswith(FENCE):
        return []
    inside, end, _ = card.removeprefix(FENCE).partition("\n" + FENCE)
    return (inside + "\n").splitlines(keepends=True) if end else []
