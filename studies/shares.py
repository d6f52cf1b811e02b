"""The parts of this machine that runs at once are given: some of its cores, or a GPU, each."""

import contextlib
import dataclasses
import os
import pathlib
import subprocess
from collections.abc import Iterator, Mapping

TOPOLOGY = pathlib.Path("/sys/devices/system/cpu")
SECONDS_TO_ANSWER = 60


@dataclasses.dataclass(frozen=True)
class Share:
    """What one run computes on.

    Attributes:
        cores: the numbers of its CPU cores; empty: all that this process has.
        gpu: its GPU, as `CUDA_VISIBLE_DEVICES` names it; None: whatever the environment says.
    """

    cores: frozenset[int] = frozenset()
    gpu: str | None = None

    @property
    def environment(self) -> dict[str, str] | None:
        """A run's environment; None for this process's own."""
        return None if self.gpu is None else {**os.environ, "CUDA_VISIBLE_DEVICES": self.gpu}

    @contextlib.contextmanager
    def inherited(self) -> Iterator[None]:
        """What this thread starts inside has these cores: as many threads as they carry, too."""
        if not self.cores:
            yield
            return
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, self.cores)
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)


WHOLE_MACHINE = Share()


def divide(count: int) -> list[Share]:
    """This machine's cores and GPUs in parts for runs at once; one run has all of them.

    Where a process cannot be held to some of the cores (it can on Linux), all runs have all.

    Args:
        count: the number of parts, at least 1.

    Raises:
        ValueError: there are fewer cores, or GPUs.
    """
    if count == 1:
        return [WHOLE_MACHINE]
    can_hold = hasattr(os, "sched_getaffinity")
    cores = neighbours_in_order(os.sched_getaffinity(0)) if can_hold else range(os.cpu_count() or 1)
    if count > len(cores):
        raise ValueError(
            f"--jobs={count}: every run needs a core, and there {_are(len(cores), 'core')}: use "
            f"at most {len(cores)}"
        )
    gpus = visible_gpus(os.environ)
    if gpus and count > len(gpus):
        raise ValueError(
            f"--jobs={count}: every run has a GPU of its own, and there {_are(len(gpus), 'GPU')}: "
            f"use at most {len(gpus)}, or CUDA_VISIBLE_DEVICES=-1 for the CPU"
        )
    ends = [part * len(cores) // count for part in range(count + 1)]
    return [
        Share(
            cores=frozenset(cores[ends[part] : ends[part + 1]]) if can_hold else frozenset(),
            gpu=gpus[part] if gpus else None,
        )
        for part in range(count)
    ]


def neighbours_in_order(cores: set[int], topology: pathlib.Path = TOPOLOGY) -> list[int]:
    """Cores by socket and physical core, so that a part has both threads of a physical core."""

    def key(core: int) -> tuple[int, int, int]:
        socket, physical = (
            _number(topology / f"cpu{core}" / "topology" / name)
            for name in ("physical_package_id", "core_id")
        )
        return socket, physical, core

    return sorted(cores, key=key)


def visible_gpus(environment: Mapping[str, str]) -> list[str]:
    """NVIDIA's GPUs that a program started here would see, as `CUDA_VISIBLE_DEVICES` names them."""
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        # CUDA looks no further than the first one that does not exist.
        names = [name.strip() for name in visible.split(",")]
        ends = [place for place, name in enumerate(names) if name in ("", "-1")]
        return names[: ends[0]] if ends else names
    command = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS_TO_ANSWER, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.startswith("GPU-")]


def _number(file: pathlib.Path) -> int:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return 0


def _are(count: int, what: str) -> str:
    return f"is 1 {what}" if count == 1 else f"are {count} {what}s"
