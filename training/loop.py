"""The training loop: the one in which pretraining and the SGD and MLP probes run.

What a run does at a step depends on its flags and the step alone. A run that is killed resumes
from its last checkpoint and ends with the weights, and the rows of metrics.csv, of a run that was
not.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import keras
import tensorflow as tf
from etils import epath
from tqdm import tqdm

from training import curves, interruption, strategies, workers
from training.checkpoints import Checkpoints
from training.metrics import MetricsFile, MetricSums, read_metrics
from training.pictures import PictureFiles, Pictures
from training.profiler import Profiler

Batches = Iterator[Any]


@dataclasses.dataclass(frozen=True)
class Settings:
    """How long to train, and how often to stop for something else.

    Attributes:
        batch_size: images or examples per update, over all devices.
        steps_per_epoch: updates per epoch, at the end of which there is a validation.
        epochs: how many epochs there are.
        log_every_steps: steps between two rows of metrics.csv; the end of an epoch has one, too.
        checkpoint_every_steps: steps between two checkpoints; the end of the run has one, too.
        tensorboard: whether TensorBoard gets the rows and pictures, too.
        pictures: what task.png and training.png are drawn from; None for a run without them.
        profile: whether a few steps are recorded for TensorBoard's profiler.
    """

    batch_size: int
    steps_per_epoch: int
    epochs: int
    log_every_steps: int
    checkpoint_every_steps: int
    tensorboard: bool = False
    pictures: Pictures | None = None
    profile: bool = False


class Unreadable(Protocol):
    """A record of images that could not be read."""

    def warn(self) -> None:
        """Logs how many there are, if any."""


class Learner(Protocol):
    """What is trained: gives the loop a step, a stream of batches and a validation.

    Attributes:
        name: what the progress bar begins with.
        unit: what a batch consists of, in the plural.
        settings: see `Settings`.
        columns: of metrics.csv, after `step`, `epoch` and `learning_rate`: those of `means`, then
            those of `validate`.
        optimizer: built; it counts the updates.
        sums: of what the steps since the last row measured.
        state: what a checkpoint holds beside the optimiser's variables and the sums. All numbers
            in it that are not integers must be finite.
        unreadable: the images that could not be read so far, by split.
    """

    name: str
    unit: str
    settings: Settings
    columns: Sequence[str]
    optimizer: keras.optimizers.Optimizer
    sums: MetricSums
    state: Mapping[str, Sequence[tf.Variable]]
    unreadable: Sequence[Unreadable]

    def batches(self, start_step: int) -> Batches:
        """The batches of all updates after `start_step`, which `update` takes."""

    def update(self, batches: Batches, step: int) -> None:
        """Makes the update that ends with `step`, and adds what it measured to `sums`."""

    def means(self) -> dict[str, float]:
        """The means of `sums`, by column."""

    def validate(self, safe_point: Callable[[], None]) -> dict[str, float]:
        """Measures the validation split.

        Args:
            safe_point: to be called between batches; raises `Interrupted` if a signal came.
        """

    def divergence(self, step: int) -> tuple[str, str] | None:
        """What is not finite after a step, and what to try; None if nothing is amiss."""

    def shown(self, row: Mapping[str, float]) -> dict[str, str]:
        """What the progress bar shows of a row."""


class Loop:
    """Trains a learner, with checkpoints, metrics and a progress bar.

    Args:
        learner: made in the strategy's scope.
        strategy: what its steps run on.
        workdir: the run directory; gets `checkpoints/`, `metrics.csv`, `tensorboard/`, pictures.

    Raises:
        ValueError: there are checkpoints and none is whole, or the machines that take part have
            not all restored the same one.
    """

    def __init__(
        self, learner: Learner, strategy: tf.distribute.Strategy, workdir: epath.Path
    ) -> None:
        self.learner = learner
        self.strategy = strategy
        self.settings = learner.settings
        self.total_steps = self.settings.steps_per_epoch * self.settings.epochs
        self.is_chief = strategies.is_chief(strategy)
        state = tf.train.Checkpoint(
            optimizer=[variable.value for variable in learner.optimizer.variables],
            sums=learner.sums.variables,
            **learner.state,
        )
        self.checkpoints = Checkpoints(workdir / "checkpoints", state, writes=self.is_chief)
        restored = self.checkpoints.restore() is not None
        if restored:
            learner.sums.restored()
        self.check_same_step()
        if restored and self.is_chief:
            tqdm.write(f"Continuing at step {self.step} of {self.total_steps}.")
        if self.is_chief:
            self.metrics_file = MetricsFile(
                workdir / "metrics.csv",
                ["step", "epoch", "learning_rate", *learner.columns],
                self.step - self._row_is_due(self.step),
            )
        self._tensorboard_directory = str(workdir / "tensorboard")
        self._tensorboard = None
        if self.is_chief and self.settings.tensorboard:
            self._tensorboard = tf.summary.create_file_writer(self._tensorboard_directory)
        self._picture_files = PictureFiles(workdir, self._tensorboard)
        self._validated = False

    @property
    def step(self) -> int:
        """Updates made so far."""
        return int(self.learner.optimizer.iterations.numpy())

    def check_same_step(self) -> None:
        """Raises a ValueError unless all machines have restored the same checkpoint."""
        iterations = self.learner.optimizer.iterations
        own = self.strategy.run(lambda: tf.identity(iterations.value))
        total = self.strategy.reduce("SUM", own, axis=None)
        if int(total) != self.step * self.strategy.num_replicas_in_sync:
            raise ValueError(
                f"this machine would resume at step {self.step} and others elsewhere: --workdir "
                "must be one directory that all machines see"
            )

    def run(self) -> dict[str, float]:
        """Trains to the end of the last epoch and leaves a checkpoint of it.

        Returns:
            The last row of metrics, with the validation behind the last epoch.

        Raises:
            ValueError: the images or features cannot be used.
            FloatingPointError: a loss or a weight is not finite.
            OSError: a checkpoint or a row of metrics could not be written.
            ConnectionError: another machine that takes part is gone.
            Interrupted: a signal came; the state is saved.
        """
        learner, settings = self.learner, self.settings
        first = self.step + 1
        row: dict[str, float] = {}
        batches = learner.batches(self.step) if first <= self.total_steps else iter(())
        pictures = settings.pictures if self.is_chief else None
        # Without a checkpoint, what is there may be of a run with other flags.
        if pictures and not (self.step and self._picture_files.path("task").exists()):
            batches = self._drawn(batches, pictures)
        profiler = Profiler(self.step, self.total_steps, self._tensorboard_directory)
        profiles = settings.profile and self.is_chief
        bar = tqdm(
            total=self.total_steps * settings.batch_size,
            initial=self.step * settings.batch_size,
            unit=f" {learner.unit}",
            desc=learner.name,
            smoothing=0.02,
            mininterval=1.0,
            disable=not self.is_chief,
        )
        with bar, workers.lost_worker_explained(self.strategy), contextlib.ExitStack() as stack:
            if self._row_is_due(self.step):
                row = self._finish_row(self.step, 0.0)
            lap_step, lap_time = self.step, time.perf_counter()
            for step in range(first, self.total_steps + 1):
                with profiler.record(step) if profiles else contextlib.nullcontext():
                    learner.update(batches, step)
                if step == first:
                    # Before, a signal may end the run at once, and tracing takes long.
                    stack.enter_context(interruption.postponed())
                bar.update(settings.batch_size)
                if self._row_is_due(step):
                    steps_per_second = (step - lap_step) / (time.perf_counter() - lap_time)
                    row = self._finish_row(step, steps_per_second * settings.batch_size)
                    lap_step, lap_time = step, time.perf_counter()
                    bar.set_postfix(learner.shown(row), refresh=False)
                if step % settings.checkpoint_every_steps == 0 or step == self.total_steps:
                    self._save(step)
                self._stop_if_asked()
        for unreadable in learner.unreadable:
            unreadable.warn()
        return row

    def _row_is_due(self, step: int) -> bool:
        """Whether metrics.csv has a row for the step, and it has not been written.

        A run that is stopped in its validation begins with it again: its checkpoint's sums are
        not empty, as they are once the row is written.
        """
        settings = self.settings
        ends_row = step % settings.steps_per_epoch == 0 or step % settings.log_every_steps == 0
        return ends_row and self.learner.sums.steps > 0

    def _finish_row(self, step: int, per_second: float) -> dict[str, float]:
        """Logs the means since the last row, with a validation where an epoch ends."""
        learner = self.learner
        self._check_losses(step)
        row: dict[str, float] = {
            "step": step,
            "epoch": step / self.settings.steps_per_epoch,
            "learning_rate": float(learner.optimizer.learning_rate.numpy()),
            **learner.means(),
        }
        if step % self.settings.steps_per_epoch == 0:
            if not self._validated or step == self.total_steps:
                # The first validation traces its step, which may outlast a signal's grace. The
                # last checkpoint is of before the validation, whether or not that is a first one.
                self._save(step)
            row |= learner.validate(self._stop_if_asked)
            self._validated = True
        if self.is_chief:
            self.metrics_file.append(row)
        if self.is_chief and self.settings.pictures and step % self.settings.steps_per_epoch == 0:
            self._draw_curves(step, self.settings.pictures)
        if self._tensorboard:
            with self._tensorboard.as_default(step=step):
                for name, value in (row | {f"{learner.unit}_per_second": per_second}).items():
                    if name != "step":
                        tf.summary.scalar(name, value)
            self._tensorboard.flush()
        learner.sums.reset()
        return row

    def _drawn(self, batches: Batches, pictures: Pictures) -> Batches:
        """The same batches, the first of which is drawn before it is used."""
        held = [next(batches)]
        self._picture_files.leave("task", lambda: pictures.batch(held[0]), self.step)
        yield held.pop()  # No reference stays, which would keep it in memory.
        yield from batches

    def _draw_curves(self, step: int, pictures: Pictures) -> None:
        rows = read_metrics(self.metrics_file.path)
        self._picture_files.leave("training", lambda: curves.draw(rows, pictures.chance), step)

    def _save(self, step: int) -> None:
        """Writes a checkpoint of the state after a step, which is this one, if all of it is finite.

        Raises:
            FloatingPointError: a loss or a weight is not finite.
            OSError: it could not be written; those before are as they were.
        """
        self._check_losses(step)
        numbers = [v for v in tf.nest.flatten(dict(self.learner.state)) if v.dtype.is_floating]
        if not tf.reduce_all([tf.reduce_all(tf.math.is_finite(number)) for number in numbers]):
            self._diverged(f"a weight is not finite after step {step}", "a smaller --learning_rate")
        self.checkpoints.save(step)

    def _check_losses(self, step: int) -> None:
        if divergence := self.learner.divergence(step):
            self._diverged(*divergence)

    def _diverged(self, what: str, advice: str) -> None:
        last = self.checkpoints.latest or "none yet"
        raise FloatingPointError(f"{what}; last good checkpoint: {last}; try {advice}")

    def _stop_if_asked(self) -> None:
        """At a point where the state may be saved: saves it and stops, if a signal came.

        Raises:
            Interrupted: one came.
        """
        if interruption.requested():
            self._save(self.step)
            raise interruption.Interrupted(
                f"step {self.step} is saved in {self.checkpoints.latest}"
                if self.is_chief
                else f"at step {self.step}; only the first worker saves"
            )
