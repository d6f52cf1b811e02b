"""Extraction of representations, from JPEG files to memory maps, against the bare forward pass.

    python -m benchmarks.extract [--widening_factor=4] [--images=512] [--batch_size=32] [--rounds=3]

The network is ResNet50 v1 as train.py exports it, untrained. Bare: its `representation` signature,
called again and again on one batch of 224×224 images that lies on the device. Ours: what eval.py
does with a folder of 500×375 JPEGs: decode, resize, crop, send to the device, forward pass, pooling
of all five layers, and write. Both have the same batch size, and they take turns in one run.

A first extraction, of a few batches, makes up for what every start costs (tracing, filling the
input pipeline): ours is the rate of the further images of the larger one. Start-up is printed too.
"""

import os

os.environ["TQDM_DISABLE"] = "1"

from training import quiet  # noqa: F401, I001 (before anything that imports TensorFlow)

import argparse
import dataclasses
import statistics
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from etils import epath
from PIL import Image

import data
import models
from benchmarks import claims, machine
from benchmarks.claims import Claim
from data.records import Records
from evaluate import representations, saved_models
from pretext import TASKS
from pretext.export import LAYERS, export
from pretext.task import TaskOptions

WIDTH, HEIGHT = 500, 375
START_UP_BATCHES = 4


def write_photographs(root: Path, count: int) -> float:
    """Writes JPEGs with structure at all scales, as photographs have; their mean size in bytes."""
    random = np.random.default_rng(0)
    sizes = []
    for number in range(min(count, 64)):
        picture = np.zeros((HEIGHT, WIDTH, 3))
        for scale in (4, 8, 16, 32, 64, 128, 256):
            coarse = random.normal(0, 1, (HEIGHT // scale + 2, WIDTH // scale + 2, 3))
            smooth = tf.image.resize(coarse, (HEIGHT, WIDTH), method="bicubic").numpy()
            picture += smooth * scale**0.75
        picture = 127 + 45 * picture / picture.std() + random.normal(0, 9, picture.shape)
        path = root / str(number % 2) / f"{number:05}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(path, quality=92)
        sizes.append(path.stat().st_size)
    for number in range(64, count):
        source = root / str(number % 2) / f"{number % 64:05}.jpg"
        os.link(source, source.with_name(f"{number:05}.jpg"))
    return statistics.mean(sizes)


def network(widening_factor: int, path: Path) -> saved_models.SavedModel:
    """An untrained ResNet50 v1 through the project's own export."""
    task = TASKS["rotation"](TaskOptions())
    backbone = models.build("resnet50_v1", widening_factor=widening_factor)
    head = task.head(backbone.output["pre_logits"].shape[-1])
    export(task, backbone, head, epath.Path(path))
    keras.backend.clear_session()
    return saved_models.load(str(path))


def first(records: Records, count: int) -> Records:
    """The first `count` records of a split."""
    entries = records.entries
    return dataclasses.replace(
        records,
        size=count,
        fingerprint=f"{records.fingerprint}/{count}",
        entries=lambda: entries().take(count),
    )


def bare_rate(
    model: saved_models.SavedModel, batch_size: int, crop_size: int, batches: int
) -> float:
    """Images per second of the signature alone."""
    images = tf.random.uniform((batch_size, crop_size, crop_size, 3), seed=0)
    model.represent(images)["pre_logits"].numpy()
    started = time.perf_counter()
    for _ in range(batches):
        outputs = model.represent(images)
    outputs["pre_logits"].numpy()
    return batches * batch_size / (time.perf_counter() - started)


def extraction_seconds(
    model: saved_models.SavedModel, records: Records, options: representations.ExtractOptions
) -> float:
    """The time of a whole extraction into an empty directory."""
    with tempfile.TemporaryDirectory() as directory:
        started = time.perf_counter()
        representations.extract(model, records, options, epath.Path(directory) / "made")
        return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--widening_factor", type=int, default=4)
    parser.add_argument("--images", type=int, default=512, help="JPEG files to extract from")
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    claims.add_option(parser)
    arguments = parser.parse_args()
    batch_size = arguments.batch_size
    start_up_images = START_UP_BATCHES * batch_size
    if arguments.images <= start_up_images:
        parser.error(f"--images must be more than {START_UP_BATCHES} batches, {start_up_images}")

    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        (root / "photographs").mkdir()
        mean_size = write_photographs(root / "photographs", arguments.images)
        model = network(arguments.widening_factor, root / "saved_model")
        records = data.load("folder", "all", str(root / "photographs"))
        options = representations.ExtractOptions(
            layers=LAYERS,
            resize_size=model.resize_size,
            crop_size=model.crop_size,
            batch_size=batch_size,
        )
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        print(
            f"{machine.describe()}; {devices[0].name}, TensorFlow {tf.__version__}; "
            f"ResNet50 v1, k = {arguments.widening_factor}; {arguments.images} JPEGs of "
            f"{WIDTH}×{HEIGHT}, {mean_size / 1000:.0f} kB; batches of {batch_size}"
        )
        further = arguments.images - start_up_images
        bare, ours, start_up = [], [], []
        for _ in range(arguments.rounds):
            bare.append(bare_rate(model, batch_size, model.crop_size, further // batch_size))
            short = extraction_seconds(model, first(records, start_up_images), options)
            long = extraction_seconds(model, records, options)
            ours.append(further / (long - short))
            start_up.append(short - start_up_images / ours[-1])
            bare.append(bare_rate(model, batch_size, model.crop_size, further // batch_size))
            print(f"  bare {bare[-2]:.1f} and {bare[-1]:.1f}, ours {ours[-1]:.1f} images/s")
        print(f"bare forward pass  {statistics.median(bare):8.1f} images/s")
        print(
            f"extraction         {statistics.median(ours):8.1f} images/s, "
            f"start-up {statistics.median(start_up):.1f} s"
        )
        print(f"ratio              {statistics.median(ours) / statistics.median(bare):8.2f}")
    if arguments.json:
        k = arguments.widening_factor
        before_and_after = zip(bare[0::2], bare[1::2], strict=True)
        what = f"extraction from JPEGs, ResNet50 k = {k}, 224×224, against its bare forward pass"
        claims.write([Claim(what, "images/s", ours, [*map(statistics.mean, before_and_after)])])


if __name__ == "__main__":
    main()
