"""The JPEG decoder alone: the bound of an input pipeline that makes views of photographs."""

import multiprocessing.pool
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np


class Part(NamedTuple):
    """What a view needs of a JPEG.

    Attributes:
        encoded: the file's bytes, a string tensor.
        window: row and column of the first pixel, height and width, int32, (4,); in pixels of the
            image as it is scaled down.
        ratio: by how much libjpeg scales it down.
    """

    encoded: Any
    window: Any
    ratio: int


def parts(paths: list[str], view: Any, per_image: int) -> list[Part]:
    """The parts that random views of the JPEGs among these files are made from.

    Args:
        paths: files; those that cannot be decoded in parts are left out.
        view: a `data.images.InceptionCrop`.
        per_image: the number of views of each image.
    """
    import tensorflow as tf

    from data import decoding, exif

    @tf.function(autograph=False)
    def draw(encoded: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        image = decoding.open_image(encoded)
        begin, size, _ = view.draw(image.height_width, seed)
        ratio = decoding.ratio_of(image, size, view.crop_size)
        there, extent = exif.stored_rectangle(begin, size, image.height_width, image.orientation)
        first, last = there // ratio, -(-(there + extent) // ratio)
        return tf.concat([first, last - first], 0), ratio, image.in_parts

    found = []
    for number, path in enumerate(paths):
        encoded = tf.io.read_file(path)
        for seed in range(per_image):
            window, ratio, in_parts = draw(encoded, tf.constant([number, seed]))
            if in_parts:
                found.append(Part(encoded, window, int(ratio)))
    return found


def decode(part: Part) -> None:
    """Decodes a part as `data.decoding` does, and nothing else."""
    import tensorflow as tf

    tf.image.decode_and_crop_jpeg(
        part.encoded, part.window, 3, ratio=part.ratio, dct_method="INTEGER_ACCURATE"
    )


def batches(
    all_parts: list[Part], batch_size: int, pool: multiprocessing.pool.ThreadPool, ahead: int
) -> Iterator[tuple[None, float]]:
    """Decodes in the pool's threads, in a random order, again and again.

    Yields:
        Nothing, and no seconds of other processes, for every batch.
    """
    stop = threading.Event()
    random = np.random.default_rng(0)

    def decode_batch(chosen: list[int]) -> None:
        for index in chosen:
            if stop.is_set():
                return
            decode(all_parts[index])

    def start() -> multiprocessing.pool.AsyncResult:
        chosen = random.integers(0, len(all_parts), batch_size).tolist()
        return pool.apply_async(decode_batch, (chosen,))

    running = [start() for _ in range(ahead)]
    try:
        while True:
            running.append(start())
            running.pop(0).get()
            yield None, 0.0
    finally:
        # What comes after is measured without these threads.
        stop.set()
        for each in running:
            each.get()
        time.sleep(0.1)
