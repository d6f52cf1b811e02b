"""The paper's protocols for probes by gradient descent (sections 3.3, 4.3, 4.7; supplement).

The supplement names no penalty for the linear probe by SGD, so there is none here; the batch of
1024 for the patch tasks is left to the caller.
"""

import dataclasses
import math
from collections.abc import Sequence

from training.options import AUTO, option
from training.schedule import read_epochs


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How a probe is trained.

    Attributes:
        hidden: units of the hidden layer; 0 for a linear probe.
        dropout: of the hidden units.
        augmentation: `crop` (random crops, the network runs at every step) or `none`
            (representations that are computed once).
        train_batch_size: examples per update, over all replicas.
        learning_rate: before its first decay.
        epochs: passes over the training examples.
        decay_epochs: the epochs after which the rate is divided by ten, ascending.
        l2: the factor λ of the penalty λ‖W‖², or `paper` for 100 / (features · classes).
        momentum: μ of the velocity.
    """

    hidden: int
    dropout: float
    augmentation: str
    train_batch_size: int
    learning_rate: float
    epochs: int
    decay_epochs: tuple[float, ...]
    l2: float | str
    momentum: float = 0.9


PAPER = {
    "sgd": Protocol(
        hidden=0,
        dropout=0.0,
        augmentation="crop",
        train_batch_size=2048,
        learning_rate=0.1,
        epochs=520,
        decay_epochs=(480, 500),
        l2=0.0,
    ),
    "mlp": Protocol(
        hidden=1000,
        dropout=0.5,
        augmentation="none",
        train_batch_size=512,
        learning_rate=0.01,
        epochs=180,
        decay_epochs=(60, 120),
        l2="paper",
    ),
}


def read_decays(texts: Sequence[str]) -> tuple[float | str, ...]:
    """`auto` alone, or the epochs of a list.

    Raises:
        ValueError: they are not ascending numbers of at least 0.
    """
    return (AUTO,) if list(texts) == [AUTO] else read_epochs(texts)


@dataclasses.dataclass(frozen=True)
class ProtocolOptions:
    """Deviations from the paper's protocol of a probe by gradient descent; see `build`."""

    augmentation: str = option(
        "auto",
        "For sgd, mlp: crop (random position, the network runs at every step) or none "
        "(representations that are computed once); auto: crop for sgd, none for mlp.",
        choices=("auto", "crop", "none"),
        only_for=tuple(PAPER),
    )
    train_batch_size: int = option(
        0,
        "For sgd, mlp: examples per update, over all devices; 0: 2048, 512.",
        minimum=0,
        maximum=2**20,
        only_for=tuple(PAPER),
    )
    epochs: int = option(
        0,
        "For sgd, mlp: passes over the training split; 0: 520, 180.",
        minimum=0,
        maximum=1_000_000,
        only_for=tuple(PAPER),
    )
    learning_rate: float = option(
        0.0,
        "For sgd, mlp: the initial learning rate; 0: 0.1, 0.01.",
        minimum=0,
        maximum=1e6,
        only_for=tuple(PAPER),
    )
    lr_scale_batch_size: int = option(
        0,
        "For sgd, mlp: the rate is learning_rate · train_batch_size / this; 0: not scaled.",
        minimum=0,
        maximum=2**20,
        only_for=tuple(PAPER),
    )
    decay_epochs: tuple[float | str, ...] = option(
        (AUTO,),
        "For sgd, mlp: epochs after which the rate is divided by ten; auto: 480, 500 of 520 for "
        "sgd, 60, 120 of 180 for mlp, in proportion to --epochs; empty: never.",
        check=read_decays,
        only_for=tuple(PAPER),
    )


def build(
    probe: str,
    *,
    augmentation: str = "auto",
    train_batch_size: int = 0,
    epochs: int = 0,
    learning_rate: float = 0.0,
    lr_scale_batch_size: int = 0,
    decay_epochs: Sequence[str | float] = (AUTO,),
    l2: float | str = "auto",
) -> Protocol:
    """The paper's protocol for a probe, with the given deviations.

    Args:
        probe: `sgd` or `mlp`.
        augmentation: `crop`, `none` or `auto`.
        train_batch_size, epochs, learning_rate: 0 for the paper's.
        lr_scale_batch_size: the rate is learning_rate · train_batch_size / this; 0: not scaled.
        decay_epochs: numbers; `auto` alone for the paper's, moved in proportion if there are more
            or fewer epochs than in the paper.
        l2: a number of at least 0, `paper` or `auto`.

    Raises:
        ValueError: an invalid number; names the flag.
    """
    paper = PAPER[probe]
    counts = {
        "train_batch_size": train_batch_size,
        "epochs": epochs,
        "lr_scale_batch_size": lr_scale_batch_size,
    }
    for name, value in counts.items():
        if value < 0:
            raise ValueError(f"--{name}={value}: use a number of at least 0")
    batch_size = train_batch_size or paper.train_batch_size
    rate = learning_rate or paper.learning_rate
    if not 0 < rate < math.inf:
        raise ValueError(f"--learning_rate={rate}: use a number above 0, or 0 for the paper's")
    if lr_scale_batch_size:
        rate *= batch_size / lr_scale_batch_size
    epochs = epochs or paper.epochs
    if list(decay_epochs) == [AUTO]:
        decay_epochs = [epoch * epochs / paper.epochs for epoch in paper.decay_epochs]
    return dataclasses.replace(
        paper,
        augmentation=paper.augmentation if augmentation == "auto" else augmentation,
        train_batch_size=batch_size,
        learning_rate=rate,
        epochs=epochs,
        decay_epochs=read_epochs(decay_epochs),
        l2=paper.l2 if l2 == "auto" else l2,
    )


def steps_per_epoch(protocol: Protocol, examples: int) -> int:
    """Whole batches among so many examples.

    Raises:
        ValueError: there are fewer examples than a batch.
    """
    if examples < protocol.train_batch_size:
        raise ValueError(
            f"there are {examples} training examples, fewer than one batch of "
            f"{protocol.train_batch_size}: use a smaller --train_batch_size"
        )
    return examples // protocol.train_batch_size
