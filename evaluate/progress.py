"""The progress of a fit, one line on the terminal."""

import time
from types import TracebackType

from tqdm import tqdm


class FitProgress:
    """A progress bar of unknown length with the updates and the objective; called by a fit.

    Args:
        name: what is being fitted.
        shown: whether there is anything to see.
    """

    def __init__(self, name: str, shown: bool = True) -> None:
        self.started = time.perf_counter()
        self.bar = tqdm(desc=name, unit=" updates", mininterval=1.0, leave=False, disable=not shown)

    def __call__(self, update: int, objective: float) -> None:
        del update
        self.bar.set_postfix(loss=f"{objective:.4f}", refresh=False)
        self.bar.update()

    def seconds(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.started

    def __enter__(self) -> "FitProgress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.bar.close()
