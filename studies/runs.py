"""What a plan stands for: calls of `train.py` and `eval.py`, and rates to choose among."""

import dataclasses
import re

# Task, architecture and flag file: what networks share a learning rate by.
Pair = tuple[str, str, str]


@dataclasses.dataclass(frozen=True)
class Run:
    """A call of `train.py` or `eval.py`.

    Attributes:
        program: the one or the other.
        name: the run directory, below the study's.
        flags: the command line without what depends on where the study is: `--workdir`,
            `--data_dir`, `--saved_model`, `--representations_dir`.
    """

    program: str
    name: str
    flags: tuple[str, ...]

    @property
    def result(self) -> str:
        """What is in the run directory once the run is finished."""
        return {"train.py": "saved_model", "eval.py": "results.json"}[self.program]


@dataclasses.dataclass(frozen=True)
class Job:
    """A pretraining run and the evaluations of the network that it leaves.

    Attributes:
        train: the pretraining run. With several `rates` its name and flags lack the rate.
        evaluations: those of the network.
        pair: that of the network.
        rates: the learning rates to choose from, two or more; empty where there is no choice.
    """

    train: Run
    evaluations: tuple[Run, ...]
    pair: Pair = ("", "", "")
    rates: tuple[float, ...] = ()

    @property
    def runs(self) -> tuple[Run, ...]:
        """All of them, in the order to run them in."""
        return (self.train, *self.evaluations)

    def at_rate(self, rate: float) -> "Job":
        """The same network, trained at this learning rate, which becomes part of its name."""
        name = f"{self.train.name}-rate{rate_text(rate)}"
        flag = f"--learning_rate={rate_text(rate)}"
        return dataclasses.replace(
            self,
            train=Run(self.train.program, name, (*self.train.flags, flag)),
            evaluations=tuple(
                dataclasses.replace(run, name=name + run.name.removeprefix(self.train.name))
                for run in self.evaluations
            ),
            rates=(),
        )


def rate_text(rate: float) -> str:
    """A learning rate as a name and a flag have it."""
    return f"{rate:.12g}"


def parse_shard(text: str) -> tuple[int, int]:
    """i and n of `i/n`.

    Raises:
        ValueError: the text is not one of 0/n … (n-1)/n.
    """
    index, count = (
        (int(part) for part in text.split("/"))
        if re.fullmatch(r"[0-9]{1,9}/[0-9]{1,9}", text)
        else (0, 0)
    )
    if not 0 <= index < count:
        raise ValueError(f"--shard={text}: use i/n with i from 0 to n-1, such as 0/4")
    return index, count


def shard(all_jobs: list[Job], text: str) -> list[Job]:
    """Every n-th job from the i-th on, of `i/n`, i from 0: the same jobs at every call.

    Raises:
        ValueError: the text is not one of 0/n … (n-1)/n.
    """
    index, count = parse_shard(text)
    return all_jobs[index::count]
