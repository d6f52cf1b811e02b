"""The TFDS builder of the scenes: it draws its images instead of downloading them."""

import contextlib
import dataclasses
import io
from collections.abc import Iterator
from typing import Any

import tensorflow_datasets as tfds

from data.offline_info import OfflineInfo
from data.scenes.scene import CLASSES, SIZE, SPLITS, draw

JPEG_QUALITY = 92


@dataclasses.dataclass(kw_only=True)
class ScenesConfig(tfds.core.BuilderConfig):
    """The seed of all drawings and the number of images of the two splits."""

    seed: int
    train: int
    test: int


class Scenes(tfds.core.GeneratorBasedBuilder):
    """Scenes of ten kinds of object, drawn from a seed, without network access.

    Examples are `{"image": uint8 96×96×3 (stored as JPEG), "label": int64 below 10}`; the splits
    `train` and `test` hold each class equally often. Configurations: `full` (the default, 10 000
    and 2 000 images, about half a minute and 70 MB) and `tiny` (200 and 100), for trials.
    """

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = (
        ScenesConfig(name="full", description="The data set.", seed=0, train=10_000, test=2_000),
        ScenesConfig(
            name="tiny", description="A small one, for trials.", seed=1, train=200, test=100
        ),
    )

    def _info(self) -> tfds.core.DatasetInfo:
        return OfflineInfo(
            builder=self,
            description="Drawn scenes of ten kinds of object with a natural upright.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(SIZE, SIZE, 3), encoding_format="jpeg"),
                    "label": tfds.features.ClassLabel(names=CLASSES),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def download_and_prepare(self, **kwargs: Any) -> None:
        """As the base class, without its talk of a download: nothing is printed."""
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            super().download_and_prepare(**kwargs)

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        return {split: self._generate_examples(split) for split in SPLITS}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        for index in range(getattr(self.builder_config, split)):
            image, label = draw(self.builder_config.seed, index, split)
            encoded = io.BytesIO()
            image.save(encoded, format="JPEG", quality=JPEG_QUALITY)
            encoded.seek(0)
            yield index, {"image": encoded, "label": label}
