"""What a network has learnt so far, measured without labels while it trains.

At the end of every N-th epoch, on at most 512 of the held-out images (drawn by the seed, the same
all the time), and for every layer:

- `effective_rank`, the number of directions that the representations of the images use
  (`evaluate.label_free`);
- `neighbour_stability`, how often an image is recognised in another random view of itself, cut as
  the task cuts its views (`evaluate.neighbour_stability`);
- with a folder of labelled images, `knn_top1`: how often the nearest neighbours of one of at most
  512 of its test images, among at most 2048 of its training images, have its class
  (`evaluate.neighbours`).

Every machine computes the scores from the representations of all. Nothing that is trained depends
on them, nor on whether they are computed.

This is the one place where the trainer uses the evaluation's arithmetic: pure functions of arrays,
which know nothing of networks.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf
from absl import logging

import data
from data.records import Records, drawn
from evaluate import neighbours
from evaluate.label_free import COLLAPSED_RANK, label_free_scores
from evaluate.neighbour_stability import neighbour_stability
from pretext.export import LAYERS
from pretext.monitored_images import MonitoredImages, Whole, in_memory, whole_and_two_cuts
from pretext.task import PretextTask
from pretext.trainer import PretextTrainer
from training import strategies
from training.options import option

HELD_OUT = 512
NEIGHBOURS_AMONG = 2048
CLASSIFIED = 512
# Views of a monitored image: the whole one and two random cuts.
VIEWS = 3
# Of fewer, the effective rank is small whatever the network.
ENOUGH_IMAGES = 8
# Standard deviations above chance from which something has been learnt.
DEVIATIONS = 3
DECIMALS = 4


@dataclasses.dataclass(frozen=True)
class MonitorOptions:
    """How often to look at what was learnt, and on which labelled images."""

    monitor_every_epochs: int = option(
        0,
        "Epochs between two measurements of every layer's effective rank and neighbour stability "
        f"on {HELD_OUT} held-out images, which need no labels; 0: never.",
        minimum=0,
        maximum=1_000_000,
        may_differ=True,
    )
    monitor_data_dir: str | None = option(
        None,
        "A folder with a sub-folder per class, whose test images are then classified by their "
        "nearest neighbours among its training images, too.",
        path=True,
        may_differ=True,
    )

    def __post_init__(self) -> None:
        if self.monitor_data_dir and not self.monitor_every_epochs:
            raise ValueError(
                f"--monitor_data_dir={self.monitor_data_dir} needs --monitor_every_epochs=N, which "
                "says how often its images are looked at"
            )


class Monitor:
    """The measurements of a run; make it before the run begins, so that it refuses bad images.

    Args:
        options: see `MonitorOptions`.
        task: the pretext task.
        validation: the held-out images.
        seed: which of them are looked at.
        epochs: how many the run has.

    Raises:
        ValueError: there are fewer than two held-out images, or the labelled ones cannot be used.
    """

    def __init__(
        self,
        options: MonitorOptions,
        task: PretextTask,
        validation: Records,
        seed: int,
        epochs: int,
    ) -> None:
        self.options = options
        self.task = task
        self.seed = seed
        self.epochs = epochs
        if validation.size < 2:
            raise ValueError(
                "--monitor_every_epochs needs two images or more in --val_split="
                f"{validation.split}, which has {validation.size}"
            )
        self.validation = validation
        self.held_out = _some(validation, HELD_OUT, seed)
        self.labelled: tuple[Records, Records] | None = None
        if options.monitor_data_dir:
            self.labelled = _labelled(options.monitor_data_dir, seed)
        self._images: list[MonitoredImages] = []
        self._warns = True
        self._collapsed: list[str] = []
        self._told_of_chance = False

    @property
    def columns(self) -> list[str]:
        """The names of what `measure` returns."""
        scores = ["effective_rank", "neighbour_stability", *["knn_top1"] * bool(self.labelled)]
        return [f"monitor/{layer}/{score}" for layer in LAYERS for score in scores]

    def start(
        self, trainer: PretextTrainer, strategy: tf.distribute.Strategy, batch_size: int
    ) -> None:
        """Says what `measure` looks at.

        Args:
            trainer: whose network.
            strategy: what it is trained on.
            batch_size: images of an update, or a micro-batch: as many views pass at a time.
        """
        count = strategy.num_replicas_in_sync

        def made(records: Records, view: Callable, views: int) -> MonitoredImages:
            at_once = min(batch_size // views, records.size) // count * count
            return MonitoredImages(trainer, strategy, records, view, max(at_once, count))

        self._images = [made(self.held_out, whole_and_two_cuts(self.task), VIEWS)]
        if self.labelled:
            self._images += [
                made(records, Whole(self.task.eval_view), 1) for records in self.labelled
            ]
        self._warns = strategies.is_chief(strategy)

    def is_due(self, epoch: int) -> bool:
        """Whether the end of an epoch, from 1, is looked at; the last one always is."""
        return epoch % self.options.monitor_every_epochs == 0 or epoch == self.epochs

    def measure(
        self, epoch: int, metrics: Mapping[str, float], safe_point: Callable[[], None]
    ) -> dict[str, float]:
        """The scores by column; those that a layer does not have, because it is not finite, lack.

        Warns of layers that have collapsed, and of a task that is not learnt.

        Args:
            epoch: the one that has ended, from 1.
            metrics: of the held-out images, `val_…` by name.
            safe_point: called between batches.
        """
        held_out, *labelled = [images.represented(safe_point) for images in self._images]
        scores: dict[str, float] = {}
        for layer in LAYERS:
            of_layer = [features[layer] for features, _ in (held_out, *labelled)]
            if not all(np.isfinite(features).all() for features in of_layer):
                self._warn("after epoch %d, values of %s are not finite", epoch, layer)
                continue
            whole, *cuts = of_layer[0]
            if len(whole) < 2:
                continue
            found = {
                "effective_rank": label_free_scores(whole, self.seed).effective_rank,
                "neighbour_stability": neighbour_stability(*cuts),
            }
            if labelled:
                train_labels, labels = (labels for _, labels in labelled)
                found["knn_top1"], _ = neighbours.evaluate(
                    of_layer[1][0],
                    train_labels,
                    of_layer[2][0],
                    labels,
                    num_classes=self.labelled[0].num_classes,
                )
            scores |= {
                f"monitor/{layer}/{name}": round(value, DECIMALS) for name, value in found.items()
            }
        self._warn_of_collapse(epoch, scores)
        self._warn_of_chance(epoch, metrics)
        return scores

    def _warn_of_collapse(self, epoch: int, scores: Mapping[str, float]) -> None:
        collapsed = [
            layer
            for layer in LAYERS
            if scores.get(f"monitor/{layer}/effective_rank", math.inf) < COLLAPSED_RANK
        ]
        if set(collapsed) - set(self._collapsed) and self.held_out.size >= ENOUGH_IMAGES:
            self._warn(
                "after epoch %d, %s %s nearly the same for all of %d images (an effective rank "
                "below %g): try a lower --learning_rate, a longer --warmup_epochs or a lower "
                "--weight_decay",
                epoch,
                ", ".join(collapsed),
                "is" if len(collapsed) == 1 else "are",
                self.held_out.size,
                COLLAPSED_RANK,
            )
        self._collapsed = collapsed

    def _warn_of_chance(self, epoch: int, metrics: Mapping[str, float]) -> None:
        name, chance = self.task.metric_names[0], self.task.chance
        # The views of one image are not independent: as if there were one of each.
        noise = DEVIATIONS * math.sqrt(chance * (1 - chance) / self.validation.size)
        if 3 * epoch < self.epochs or self._told_of_chance:
            return
        if metrics[f"val_{name}"] <= chance + noise:
            self._told_of_chance = True
            self._warn(
                "after epoch %d of %d, %s on held-out images is %.3g, where guessing gives %.3g "
                "and up to %.3g by chance on %d images: %s is not learnt; try a lower "
                "--learning_rate, a longer --warmup_epochs, or another --task",
                epoch,
                self.epochs,
                name,
                metrics[f"val_{name}"],
                chance,
                chance + noise,
                self.validation.size,
                self.task.name,
            )

    def _warn(self, *line: object) -> None:
        if self._warns:
            logging.warning(*line)


def _labelled(folder: str, seed: int) -> tuple[Records, Records]:
    """Some of a folder's training images and some of its test images."""
    try:
        training, test = (data.load("folder", split, folder) for split in ("trainval", "test"))
    except ValueError as error:
        raise ValueError(str(error).replace("--data_dir", "--monitor_data_dir")) from error
    if training.num_classes < 2:
        raise ValueError(
            f"--monitor_data_dir={folder} has {training.num_classes or 'no'} labels, not two or "
            "more: it needs a sub-folder per class"
        )
    return _some(training, NEIGHBOURS_AMONG, seed), _some(test, CLASSIFIED, seed)


def _some(records: Records, count: int, seed: int) -> Records:
    """At most `count` records, drawn by the seed, in memory."""
    return in_memory(drawn(records, count, seed)[0])
