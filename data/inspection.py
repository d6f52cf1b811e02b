"""Decodes a split's images the way training reads them: how many can be decoded, and which not."""

import dataclasses

import numpy as np
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from data import images, pipeline
from data.records import Records
from data.unreadable import UnreadableImages

THUMBNAIL = 112
BATCH = 32


@dataclasses.dataclass(frozen=True)
class Inspection:
    """What was found.

    Attributes:
        looked_at: the number of images that were read.
        unreadable: those that cannot be decoded, with the reasons.
        of_class: the number of decoded images by class, (classes,); empty without labels.
        thumbnails: the first decodable images, made small.
        labels: the labels of the thumbnails; -1 without labels.
    """

    looked_at: int
    unreadable: UnreadableImages
    of_class: np.ndarray
    thumbnails: list[Image.Image]
    labels: list[int]


@dataclasses.dataclass(frozen=True)
class Thumbnail:
    """The whole image, made small: uint8, (size, size, 3), padded with white to a square."""

    size: int

    def __call__(self, encoded: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        del seed
        negative = 255.0 - tf.cast(images.decode(encoded), tf.float32)
        # The negative, because this pads with zeros.
        small = tf.image.resize_with_pad(negative, self.size, self.size, antialias=True)
        small = tf.saturate_cast(tf.round(255.0 - small), tf.uint8)
        return tf.ensure_shape(small, [self.size, self.size, 3])


def inspect(records: Records, at_most: int | None, thumbnails: int) -> Inspection:
    """Decodes images of a split, in its order, with a progress bar.

    Args:
        records: the split.
        at_most: the largest number of images to decode; None for all.
        thumbnails: how many thumbnails to keep.

    Raises:
        ValueError: the split has fewer images than it says, or a file of its records is damaged.
    """
    unreadable = UnreadableImages()
    wanted = records.size if at_most is None else min(at_most, records.size)
    batch_size = min(BATCH, wanted)
    batches = pipeline.evaluation_batches(
        records, Thumbnail(THUMBNAIL), batch_size=batch_size, unreadable=unreadable
    ).take(-(-wanted // batch_size))
    of_class = np.zeros(records.num_classes, np.int64)
    pictures, labels, looked_at, readable = [], [], 0, 0
    bar = tqdm(total=wanted, desc=records.split, unit=" images", delay=2)
    with bar, records.explained():
        for batch in batches.as_numpy_iterator():
            valid = batch["valid"][: wanted - looked_at] > 0
            looked_at += len(valid)
            readable += int(valid.sum())
            bar.update(len(valid))
            own_labels = batch["label"][: len(valid)][valid]
            if records.num_classes:
                of_class += np.bincount(own_labels, minlength=records.num_classes)
            missing = max(thumbnails - len(pictures), 0)
            pictures += [Image.fromarray(x) for x in batch["image"][: len(valid)][valid][:missing]]
            labels += own_labels[:missing].tolist()
    if readable + len(unreadable.reasons) < wanted and at_most is None:
        raise ValueError(
            f"split {records.split} of {records.dataset} should have {wanted} images; "
            f"{readable} were read and {len(unreadable.reasons)} cannot be decoded"
        )
    return Inspection(looked_at, unreadable, of_class, pictures, labels)
