"""Which images could not be used, or only in part, and when there are too many to continue."""

import contextlib
from collections.abc import Callable, Iterator

import tensorflow as tf
from absl import logging

from data.records import Records
from training.error_lines import reason

NAMED = 3  # how many images a line names


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"


class UnreadableImages:
    """Which images could not be used so far, and why; filled while a data set is read.

    Attributes:
        reasons: the first line of what was wrong, by image id.
        damaged: the ids of images that are used although their files are cut short.
    """

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}
        self.damaged: set[str] = set()

    def record(self, make_view: Callable[[], tf.Tensor], identifier: str) -> None:
        """Notes an image whose view could not be made; tries again to find the reason.

        Args:
            make_view: what failed.
            identifier: the image's id.
        """
        why = "cannot be decoded"
        try:
            make_view()
        except (tf.errors.OpError, ValueError) as error:
            why = reason(error)
        self.reasons[identifier] = why

    def summary(self) -> str:
        """One line for the log: how many, and the first three by name."""
        first = [f"{name} ({why})" for name, why in sorted(self.reasons.items())[:NAMED]]
        more = ", …" if len(self.reasons) > NAMED else ""
        return f"{_images(len(self.reasons))} could not be read: {', '.join(first)}{more}"

    def damage(self) -> str:
        """One line for the log about the images that are used all the same."""
        count = len(self.damaged)
        first = ", ".join(sorted(self.damaged)[:NAMED])
        more = ", …" if count > NAMED else ""
        are = "is" if count == 1 else "are"
        return f"{_images(count)} {are} damaged and used as far as the file goes: {first}{more}"

    def warn(self) -> None:
        """Logs a line about each kind, if there are any."""
        if self.reasons:
            logging.warning("%s", self.summary())
        if self.damaged:
            logging.warning("%s", self.damage())

    @contextlib.contextmanager
    def explained(self, batch_size: int) -> Iterator[None]:
        """Inside, a batch of only unreadable images is a ValueError that says so."""
        try:
            yield
        except tf.errors.InvalidArgumentError as error:
            if "unreadable" not in str(error):
                raise
            raise ValueError(
                f"all images of a batch of {batch_size}, or of a device's part of it, were "
                f"unreadable; {self.summary()}"
            ) from error

    def check(self, records: Records, max_bad_fraction: float, count: int | None = None) -> None:
        """Stops a run whose data set has too many unreadable images.

        Args:
            records: the split that the images belong to.
            max_bad_fraction: how much of the split may be unreadable, 0 to 1.
            count: how many are, where more are known than were recorded here.

        Raises:
            ValueError: more of the split is, whatever the images not yet read are like.
        """
        count = max(len(self.reasons), count or 0)
        if count > max_bad_fraction * records.size:
            raise ValueError(
                f"{count} of the {records.size} images of split {records.split} of "
                f"{records.dataset} ({count / records.size:.1%}) are unreadable, more than "
                f"--max_bad_fraction={max_bad_fraction:g} allows"
                + (f"; {self.summary()}" if self.reasons else "")
            )


def check_fraction(max_bad_fraction: float) -> None:
    """Raises a ValueError for a flag that is not a fraction."""
    if not 0 <= max_bad_fraction <= 1:
        raise ValueError(f"--max_bad_fraction={max_bad_fraction:g} must be between 0 and 1")
