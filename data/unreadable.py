"""Which images could not be used, and when there are too many of them to go on."""

import contextlib
from collections.abc import Callable, Iterator

import tensorflow as tf

from data.records import Records
from programs.error_lines import reason


class UnreadableImages:
    """Which images could not be used so far, and why; filled while a data set is read.

    Attributes:
        reasons: the first line of what was wrong, by image id.
    """

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}

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
        first = [f"{name} ({why})" for name, why in sorted(self.reasons.items())[:3]]
        more = ", …" if len(self.reasons) > len(first) else ""
        count = len(self.reasons)
        images = "image" if count == 1 else "images"
        return f"{count} {images} could not be read: {', '.join(first)}{more}"

    @contextlib.contextmanager
    def explained(self, batch_size: int) -> Iterator[None]:
        """Inside, a batch of nothing but unreadable images is a ValueError that says so."""
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
        """Stops a run whose data set is rotten.

        Args:
            records: the split that the images are of.
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
    """Raises a ValueError for a flag that is no fraction."""
    if not 0 <= max_bad_fraction <= 1:
        raise ValueError(f"--max_bad_fraction={max_bad_fraction:g} must be between 0 and 1")
