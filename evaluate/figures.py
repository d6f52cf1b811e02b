"""Figures with users' file names as labels: shown literally, saved completely or not at all."""

import contextlib
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING

import tensorflow as tf
from etils import epath

from training.error_lines import writing

if TYPE_CHECKING:
    import matplotlib.figure
    import matplotlib.ticker

LONGEST = 60


def label(name: str, longest: int = LONGEST) -> str:
    """A name as a figure can show it: on one line, shortened in the middle if it is long."""
    name = " ".join(name.split()) or "(blank)"
    if len(name) > longest:
        half = (longest - 1) // 2
        name = f"{name[:half]}…{name[-half:]}"
    # Matplotlib omits from a legend what begins with an underscore.
    return f" {name}" if name.startswith("_") else name


@contextlib.contextmanager
def drawing() -> Iterator[ModuleType]:
    """Gives pyplot, with `$` and `\\` as plain characters and no warnings of missing glyphs."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    with matplotlib.rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield plt


def percent_formatter() -> "matplotlib.ticker.PercentFormatter":
    """Percentages for an axis from 0 to 1."""
    from matplotlib.ticker import PercentFormatter

    return PercentFormatter(1.0)


def save(figure: "matplotlib.figure.Figure", path: epath.Path) -> None:
    """Writes a PNG, replacing an existing one, and closes the figure.

    Raises:
        OSError: it could not be written; an existing file is unchanged.
    """
    import matplotlib.pyplot as plt

    beside = path.with_name("incomplete." + path.name)
    with writing(path):
        try:
            with beside.open("wb") as file:
                figure.savefig(file, format="png")
            beside.replace(path)
        except (OSError, tf.errors.OpError):
            beside.unlink(missing_ok=True)  # It takes space, which may be short.
            raise
        finally:
            plt.close(figure)
