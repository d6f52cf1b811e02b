"""What is shown while a study runs: lines for a log and, on a terminal, one bar below them."""

import sys
import time
from collections.abc import Callable

from tqdm import tqdm

from studies.remaining_time import Clock, duration
from studies.runs import Job, Run


def say_at_once(line: str) -> None:
    """Prints a line, into a file too before the next run begins."""
    with tqdm.external_write_mode(file=sys.stdout):
        print(line, flush=True)


class Progress:
    """Which runs are at work, how many are done, and how long the rest will take.

    Args:
        left: by network its runs that are not done and not at work, in order; the owner removes
            a run from it when it begins.
        total: the number of runs, with those that are done.
        at_once: how many networks may be at work at a time.
        say: takes the lines.
    """

    def __init__(
        self, left: dict[Job, list[Run]], total: int, at_once: int, say: Callable[[str], None]
    ) -> None:
        self.left = left
        self.total = total
        self.at_once = at_once
        self.say = say
        self._clock = Clock()
        # By network the run at work, and since when.
        self._at_work: dict[Job, tuple[Run, float]] = {}
        self._bar = tqdm(
            total=total,
            bar_format="{n_fmt}/{total_fmt} runs {bar:16} {desc}",
            dynamic_ncols=True,
            leave=False,
            disable=None,  # Unless it is a terminal.
        )
        say(f"{total} runs, {total - self._to_do} of them finished, {self._to_do} to do")

    @property
    def _to_do(self) -> int:
        return sum(map(len, self.left.values()))

    def begun(self, job: Job, run: Run) -> None:
        """A run begins."""
        self._at_work[job] = run, time.monotonic()
        self.say(f"[{self.total - self._to_do}/{self.total}] {run.name}")
        self.look()

    def ended(self, job: Job, error: str | None) -> None:
        """The run of a network that was at work has ended: well, or with this error."""
        run, start = self._at_work.pop(job)
        self._clock.add(job, run, time.monotonic() - start)
        if error:
            self.say(f"failed: {run.name}: {error}")

    def report(self) -> None:
        """A line about what is left, if anything is."""
        if not self._to_do and not self._at_work:
            return
        text = f"{self._to_do} to do, {duration(self._remaining())} left"
        if self.at_once > 1:
            done = self.total - self._to_do - len(self._at_work)
            text = f"{done} of {self.total} done, {self._names()}; {text}"
        self.say(text)

    def look(self) -> None:
        """Brings the bar up to date, if there is one."""
        if self._bar.disable:
            return
        self._bar.n = self.total - self._to_do - len(self._at_work)
        self._bar.set_description_str(f"{duration(self._remaining())} left; {self._names()}")

    def close(self) -> None:
        """Removes the bar."""
        self._bar.close()

    def _names(self) -> str:
        names = ", ".join(run.name for run, _ in self._at_work.values())
        return f"at work: {names or 'nothing'}"

    def _remaining(self) -> float | None:
        now = time.monotonic()
        begun = [
            ([(job, run), *((job, later) for later in self.left[job])], now - start)
            for job, (run, start) in self._at_work.items()
        ]
        waiting = [
            ([(job, run) for run in runs], 0.0)
            for job, runs in self.left.items()
            if runs and job not in self._at_work
        ]
        return self._clock.remaining_at_once([*begun, *waiting], self.at_once)
