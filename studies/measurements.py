"""What a study measured: networks, probes' scores on their layers, and what is missing."""

import dataclasses

UNTRAINED = "untrained"
SUPERVISED = "supervised"


@dataclasses.dataclass(frozen=True)
class Network:
    """A pretraining run.

    Attributes:
        name: its directory, below the study's.
        task: the pretext task; `untrained` after no epochs.
        architecture, widening_factor, representation_size, seed: as its flags say; a size of 0 is
            the architecture's own.
        pretext: the task's metric on held-out images after the last epoch, in [0, 1]; None if it
            was not measured. Of the supervised network it is top-1 on `val_split`.
        dataset, train_split, val_split: the images that it was trained on, and those of `pretext`;
            empty if its flags do not say.
        permutations: how many jigsaw tells apart.
    """

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
    """What one probe found on one layer of a network.

    Attributes:
        network: the network.
        probe: lbfgs, sgd, mlp or knn.
        dataset, val_split: where the accuracy was measured.
        train_fraction: the share of the labels that it was fitted to.
        epochs: how long an SGD or MLP probe trained; 0 for others.
        first_decay: the epoch of its first decay; 0 for others.
        layer: the layer.
        features: how many numbers its representation has.
        top1, top5: accuracies in [0, 1].
        effective_rank, first_ten_variance: the label-free scores, where they were measured.
        curve: validation top-1 after each epoch, (epoch, accuracy), where it was recorded.
        run: the evaluation's directory, below the study's.
        classes: how many the probe tells apart, where it was recorded.
    """

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

    @property
    def place(self) -> str:
        """The images that the accuracy was measured on, as a heading."""
        return f"{self.dataset} {self.val_split}"


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A network that was trained to find out which learning rate a task and architecture need.

    Attributes:
        networks: those that the rate is for, as a text.
        run: its directory, below the study's.
        learning_rate: the rate.
        accuracy: the task's metric on held-out images after the last epoch, in [0, 1], if it has
            one.
        reason: why it has none.
        chosen: whether its rate is the networks'; it is one of them then.
    """

    networks: str
    run: str
    learning_rate: float
    accuracy: float | None
    reason: str
    chosen: bool


@dataclasses.dataclass(frozen=True)
class Study:
    """All that was measured, and what was not.

    Attributes:
        networks: the finished pretraining runs; of candidates for a learning rate the chosen ones.
        scores: a row per evaluation and layer.
        missing: names of runs that were planned or begun and are not finished.
        notes: what was left out, and why.
        commands: those that ran it.
        candidates: the trials of learning rates.
        unreadable: how many of the notes are about files that cannot be read.
    """

    networks: tuple[Network, ...]
    scores: tuple[Score, ...]
    missing: tuple[str, ...]
    notes: tuple[str, ...]
    commands: tuple[str, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    unreadable: int = 0

    def probed(self, probe: str, layer: str | None = "pre_logits") -> list[Score]:
        """Scores of one kind of probe with all labels: on one layer, or on all for None."""
        return [
            score
            for score in self.scores
            if score.probe == probe and score.train_fraction == 1 and layer in (None, score.layer)
        ]
