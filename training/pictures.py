"""The pictures in a run's directory: task.png at the start, training.png at every epoch."""

import dataclasses
import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging
from etils import epath
from PIL import Image

from training.error_lines import reason
from training.run_directory import write_whole


@dataclasses.dataclass(frozen=True)
class Pictures:
    """What a learner says about its pictures.

    Attributes:
        batch: draws a batch, for task.png: uint8, (H, W, 3).
        chance: what guessing gives, by column of metrics.csv without its `val_`, for training.png.
    """

    batch: Callable[[Any], np.ndarray]
    chance: Mapping[str, float]


class PictureFiles:
    """Leaves pictures in a run's directory, and in TensorBoard.

    Args:
        workdir: the run directory.
        tensorboard: the run's writer; None for no copies there.
    """

    def __init__(
        self, workdir: epath.Path, tensorboard: tf.summary.SummaryWriter | None = None
    ) -> None:
        self.workdir = workdir
        self.tensorboard = tensorboard
        self._failed: set[str] = set()

    def path(self, name: str) -> epath.Path:
        """The file of a picture."""
        return self.workdir / f"{name}.png"

    def leave(self, name: str, draw: Callable[[], np.ndarray], step: int) -> None:
        """Draws a picture and replaces the file of that name.

        A run is worth more than its pictures: an error in drawing is a warning, the first time.

        Args:
            name: of the file, without its extension, and in TensorBoard.
            draw: makes the picture, uint8, (H, W, 3).
            step: the updates made so far.

        Raises:
            OSError: the file could not be written; see `training.error_lines.writing`.
        """
        encoded = io.BytesIO()
        try:
            picture = draw()
            Image.fromarray(picture).save(encoded, format="PNG")
        except Exception as error:  # Of whatever type: see above.
            if name not in self._failed:
                logging.warning("%s was not drawn: %s", self.path(name), reason(error))
            self._failed.add(name)
            return
        write_whole(self.path(name), encoded.getvalue())
        if self.tensorboard:
            with self.tensorboard.as_default(step=step):
                tf.summary.image(name, picture[None])
