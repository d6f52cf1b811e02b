"""Networks and scores as rows, to make studies of."""

import dataclasses

from studies import frames


@dataclasses.dataclass(frozen=True)
class Network:
    """A row of `frames.Study.networks`."""

    name: str
    task: str
    architecture: str
    widening_factor: int
    representation_size: int
    seed: int
    pretext: float | None
    dataset: str = ""
    train_split: str = ""
    val_split: str = ""
    permutations: int = 100


@dataclasses.dataclass(frozen=True)
class Score:
    """A row of `frames.Study.scores`, with its network."""

    network: Network
    probe: str
    dataset: str
    val_split: str
    train_fraction: float
    epochs: int
    first_decay: float
    layer: str
    features: int
    top1: float
    top5: float
    effective_rank: float | None
    first_ten_variance: float | None
    curve: tuple[tuple[float, float], ...]
    run: str
    classes: int | None = None


def study(scores: list[Score]) -> frames.Study:
    """The study of these scores; networks that differ in anything are different ones."""
    names = {
        network: f"{number}: {network.name}"
        for number, network in enumerate(dict.fromkeys(score.network for score in scores))
    }
    return frames.study(
        [{**dataclasses.asdict(network), "name": name} for network, name in names.items()],
        [{**vars(score), "network": names[score.network]} for score in scores],
    )
