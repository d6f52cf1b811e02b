"""How long the rest of a study will take."""

import collections
import heapq
from collections.abc import Iterable

from studies.runs import Job, Run


class Clock:
    """Guesses how long runs will take from how long similar ones took."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[str, ...], list[float]] = collections.defaultdict(list)

    def add(self, job: Job, run: Run, seconds: float) -> None:
        """Notes how long a run took."""
        for likeness in self._likenesses(job, run):
            self._seconds[likeness].append(seconds)

    def remaining(self, runs: list[tuple[Job, Run]]) -> float | None:
        """Seconds for all of these; None before there is anything to guess from."""
        total = 0.0
        for job, run in runs:
            known = [
                likeness for likeness in self._likenesses(job, run) if likeness in self._seconds
            ]
            if not known:
                return None
            total += sum(self._seconds[known[0]]) / len(self._seconds[known[0]])
        return total

    def remaining_at_once(
        self, networks: Iterable[tuple[list[tuple[Job, Run]], float]], at_once: int
    ) -> float | None:
        """Seconds for several networks at once, the runs of each one after another.

        Args:
            networks: in the order in which they begin: the runs that each has left, and for how
                many seconds the first of them has been running.
            at_once: how many run at a time.

        Returns:
            Seconds until the last one ends; None before there is anything to guess from.
        """
        ends = [0.0] * at_once
        for runs, running in networks:
            first, others = self.remaining(runs[:1]), self.remaining(runs[1:])
            if first is None or others is None:
                return None
            heapq.heapreplace(ends, ends[0] + max(0.0, first - running) + others)
        return max(ends)

    def _likenesses(self, job: Job, run: Run) -> list[tuple[str, ...]]:
        """From the closest to the loosest: the same but for the seed, flag file, program, any."""
        without_seed = tuple(flag for flag in run.flags if not flag.startswith("--seed="))
        of_network = tuple(flag for flag in job.train.flags if not flag.startswith("--seed="))
        return [
            (run.program, *without_seed, *of_network),
            (run.program, *without_seed),
            (run.program, run.flags[0]),
            (run.program,),
            (),
        ]


def duration(seconds: float | None) -> str:
    """Seconds as people say them."""
    if seconds is None:
        return "an unknown time"
    if seconds < 90:
        return f"about {seconds:.0f} s"
    if seconds < 90 * 60:
        return f"about {seconds / 60:.0f} min"
    return f"about {seconds / 3600:.1f} h"
