"""The TFDS builder of Places205, from the two official archives.

    imagesPlaces205_resize.tar.gz     data/vision/torralba/deeplearning/images256/a/abbey/….jpg
    trainvalsplit_places205.tar.gz    the lists of images and labels, see `data/places205/lists.py`

The archive of images, 130 GB, is read from its beginning to its end once for each split, and never
unpacked. The official test images come without labels and are not read.
"""

import io
from collections.abc import Iterator
from typing import Any

import tensorflow_datasets as tfds
from etils import epath

from data import archives
from data.offline_info import OfflineInfo
from data.places205 import lists

IMAGES = ("imagesPlaces205_resize.tar.gz", "imagesPlaces205_resize.tar")
FOLDER = "images256/"


class Places205(tfds.core.GeneratorBasedBuilder):
    """Places205: about 2.45 million photographs of 205 kinds of scene, smaller than 256×256.

    Examples are `{"image": uint8 H×W×3 (stored as JPEG), "label": int64 below 205, "file_name":
    the path below images256/}`; the splits are `train` and `validation`.
    """

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"Put {IMAGES[0]} and {lists.ARCHIVES[0]}, offered on {lists.WEBSITE}, there."
    )

    def _info(self) -> tfds.core.DatasetInfo:
        return OfflineInfo(
            builder=self,
            description="Photographs of 205 kinds of scene.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
                    "label": tfds.features.ClassLabel(num_classes=lists.CLASSES),
                    "file_name": tfds.features.Text(),
                }
            ),
            supervised_keys=("image", "label"),
            homepage=lists.WEBSITE,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        manual_dir = dl_manager.manual_dir
        labels = {split: lists.read(manual_dir, split) for split in ("train", "val")}
        both = labels["train"].keys() & labels["val"].keys()
        if both:
            raise ValueError(f"{min(both)} is listed for training and for validation")
        archive = next((manual_dir / name for name in IMAGES if (manual_dir / name).exists()), None)
        if archive is None:
            raise ValueError(
                f"{IMAGES[0]} is missing: put it into {manual_dir}; it is offered on "
                f"{lists.WEBSITE}"
            )
        self.info.features["label"].names = lists.class_names(
            pair for split in labels.values() for pair in split.items()
        )
        return {
            "train": self._generate_examples(archive, labels["train"]),
            "validation": self._generate_examples(archive, labels["val"]),
        }

    def _generate_examples(
        self, archive: epath.Path, labels: dict[str, int]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        missing = set(labels)
        for name, encoded in archives.files(archive, lambda name: _path(name) in missing):
            path = _path(name)
            missing.remove(path)
            yield (
                path,
                {"image": io.BytesIO(encoded), "label": labels[path], "file_name": path},
            )
        if missing:
            raise ValueError(
                f"{len(missing)} of {len(labels)} listed images are not in {archive}, such as "
                f"{min(missing)}: download it again from {lists.WEBSITE}"
            )


def _path(name: str) -> str:
    """The path of an archive's file below `images256/`."""
    return name.split(FOLDER, 1)[-1].removeprefix("./")
