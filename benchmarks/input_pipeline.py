"""Images per second and core of the input pipeline: this project's, others', and the decoder's.

    python -m benchmarks.input_pipeline [--photographs=FOLDER_OR_ZIP]

Writes JPEGs of 500×375 pixels and 70 to 110 kB, as ImageNet's are, and makes batches of 224×224
views of them, and then of the given photographs, ready for the training step, in these ways:

- ours: `data.pipeline.training_batches` with the Inception crop, the augmentation of rotation;
  the colour distortion is the device's (`pretext.colour`) and not part of any input pipeline,
- Pillow: as many processes as cores, each making random resized crops, flipped half the time,
  into batches that are sent to this process,
- float: the whole image decoded and turned to float, then crop, flip, colour distortion
  (brightness and saturation, the released code's for rotation) and scaling, all in tf.data,
- turned: the same with the four turns of every image, which the released code makes there too,
- decoder: libjpeg alone, on the rectangles that ours draws, scaled down as ours are, in as many
  threads as cores; no reading, no resizing, no batches. Ours cannot be faster.

They take turns, and the median of their rounds counts. Images per second of processor time
are printed too: they hardly depend on what else the machine is doing, but leave out waiting and
what Pillow's processes spend on sending. The last lines say what a training
step consumes, so where the bottleneck is: a step of ResNet50 v2 measured here, and devices'
images per second as `--device_rates` gives them.
"""

import argparse
import io
import math
import multiprocessing
import multiprocessing.pool
import os
import pathlib
import statistics
import tempfile
import time
import zipfile
from collections.abc import Iterator

import numpy as np
from PIL import Image

from benchmarks import claims, decoder, machine
from benchmarks.claims import Claim

WIDTH, HEIGHT, VIEW, BATCH = 500, 375, 224, 64
KILOBYTES = (70, 110)
AREA, ASPECT = (0.05, 1.0), (3 / 4, 4 / 3)
VIEWS = 4  # of an image, that the decoder alone decodes


def photograph(random: np.random.Generator) -> bytes:
    """A JPEG with the spectrum of a photograph, strong in coarse and weak in fine structure."""
    pixels = np.full((HEIGHT, WIDTH, 3), 120.0)
    for cells, contrast in ((4, 70), (12, 40), (40, 25), (120, 15), (350, 10)):
        grid = random.normal(size=(cells * HEIGHT // WIDTH + 1, cells, 3))
        grid = contrast * (0.7 * grid.mean(-1, keepdims=True) * math.sqrt(3) + 0.3 * grid)
        for channel in range(3):
            layer = Image.fromarray(grid[..., channel].astype(np.float32))
            pixels[..., channel] += layer.resize((WIDTH, HEIGHT), Image.BICUBIC)
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    target = 1000 * random.uniform(*KILOBYTES)
    for quality in range(98, 50, -1):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        if buffer.tell() <= target:
            break
    # Rarely there is no quality in between; then another photograph.
    large_enough = buffer.tell() >= 1000 * KILOBYTES[0]
    return buffer.getvalue() if large_enough else photograph(random)


# ---------------------------------------------------------------- Pillow


def pillow_view(path: str, random: np.random.Generator) -> np.ndarray:
    """A rectangle of random area and aspect, resized, and a flip."""
    with Image.open(path) as file:
        image = file.convert("RGB")
    for _ in range(10):
        area = random.uniform(*AREA) * image.width * image.height
        aspect = math.exp(random.uniform(*map(math.log, ASPECT)))
        width, height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if width <= image.width and height <= image.height:
            break
    else:
        width = height = min(image.size)
    left = random.integers(0, image.width - width + 1)
    top = random.integers(0, image.height - height + 1)
    view = image.crop((left, top, left + width, top + height))
    view = view.resize((VIEW, VIEW), Image.BILINEAR)
    if random.random() < 0.5:
        view = view.transpose(Image.FLIP_LEFT_RIGHT)
    return np.asarray(view)


def pillow_batch(job: tuple[list[str], int]) -> tuple[np.ndarray, float]:
    """A batch, and the seconds of processor time that it took."""
    paths, seed = job
    random = np.random.default_rng(seed)
    start = time.process_time()
    batch = np.stack([pillow_view(path, random) for path in paths])
    return batch, time.process_time() - start


def pillow_batches(paths: list[str], pool: multiprocessing.pool.Pool) -> Iterator[tuple]:
    def jobs() -> Iterator[tuple[list[str], int]]:
        for seed in range(10**9):
            order = np.random.default_rng(seed).permutation(len(paths))
            yield [paths[i] for i in np.resize(order, BATCH)], seed

    running = []
    for job in jobs():
        running.append(pool.apply_async(pillow_batch, (job,)))
        if len(running) > 2 * machine.cores():
            yield running.pop(0).get()


# ---------------------------------------------------------------- tf.data


def our_batches(folder: str) -> Iterator[object]:
    """The project's pipeline."""
    import data
    from data import pipeline
    from data.images import InceptionCrop
    from pretext import colour

    batches = pipeline.training_batches(
        data.load("folder", "all", folder),
        InceptionCrop(VIEW, AREA, ASPECT),
        batch_size=BATCH,
        epochs=10**6,
        seed=0,
        draws=colour.DRAWS,
    )
    return iter(batches)


def float_batches(paths: list[str], turned: bool = False) -> Iterator[object]:
    """Full decode, float, crop, flip and colours on the host, perhaps the four turns too."""
    import tensorflow as tf

    def view(path: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        image = tf.image.convert_image_dtype(image, tf.float32)
        begin, size, _ = tf.image.sample_distorted_bounding_box(
            tf.shape(image),
            tf.constant([[[0.0, 0.0, 1.0, 1.0]]]),
            min_object_covered=0.1,
            area_range=AREA,
            aspect_ratio_range=ASPECT,
            max_attempts=100,
        )
        image = tf.image.resize(tf.slice(image, begin, size), [VIEW, VIEW])
        image = tf.image.random_flip_left_right(image)
        image = tf.image.random_brightness(image, 32 / 255)
        image = tf.image.random_saturation(image, 0.5, 1.5)
        image = tf.clip_by_value(image, 0.0, 1.0) * 2.0 - 1.0
        image = tf.ensure_shape(image, [VIEW, VIEW, 3])
        return tf.stack([tf.image.rot90(image, k) for k in range(4)]) if turned else image

    dataset = tf.data.Dataset.from_tensor_slices(paths).repeat().shuffle(1024)
    dataset = dataset.map(view, num_parallel_calls=tf.data.AUTOTUNE)
    return iter(dataset.batch(BATCH).prefetch(tf.data.AUTOTUNE))


# ---------------------------------------------------------------- the decoder


def decoder_batches(parts: list[decoder.Part], pool: multiprocessing.pool.ThreadPool) -> Iterator:
    """The decoder alone, as far ahead as Pillow's processes are."""
    return decoder.batches(parts, BATCH, pool, ahead=2 * machine.cores())


# ---------------------------------------------------------------- the training step


def step_rate(widening_factor: int) -> float:
    """Images per second of a rotation training step (four turns an image) on this machine."""
    import tensorflow as tf

    import models
    from pretext.rotation import Rotation
    from pretext.task import TaskOptions
    from pretext.trainer import PretextTrainer
    from training.momentum import Momentum

    task = Rotation(TaskOptions())
    trainer = PretextTrainer(task, models.build("resnet50_v2", widening_factor=widening_factor))
    trainer.compile(optimizer=Momentum(0.1, 0.9))
    trainer.optimizer.build(trainer.trainable_variables)
    step = tf.function(trainer.train_step)
    images = 4
    batch = {
        "image": tf.zeros([images, VIEW, VIEW, 3], tf.uint8),
        "draws": tf.random.stateless_uniform([images, task.draws], [0, 0]),
        "label": tf.zeros([images], tf.int64),
        "valid": tf.ones([images]),
    }
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        float(step(batch)["loss"])
        seconds.append(time.perf_counter() - start)
    return images / min(seconds)


def parse_rate(text: str) -> tuple[str, float]:
    name, _, rate = text.rpartition("=")
    return name, float(rate)


def main() -> None:
    """Lets them take turns and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=256, help="JPEGs to write")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each way")
    parser.add_argument("--batches", type=int, default=16, help=f"of {BATCH} images in a turn")
    parser.add_argument(
        "--device_rates",
        type=parse_rate,
        nargs="*",
        default=[],
        metavar="NAME=RATE",
        help="images/s that a device's training step takes in, to compare with",
    )
    parser.add_argument("--widening_factor", type=int, default=4, help="of the measured step")
    parser.add_argument(
        "--photographs", default="", help="a folder or a zip of JPEGs to measure on, too"
    )
    claims.add_option(parser)
    arguments = parser.parse_args()
    cores = machine.cores()
    found = []
    with tempfile.TemporaryDirectory() as written, tempfile.TemporaryDirectory() as unpacked:
        random = np.random.default_rng(0)
        for number in range(arguments.images):
            (pathlib.Path(written) / f"{number:04}.jpg").write_bytes(photograph(random))
        folders = {"written JPEGs": written}
        if arguments.photographs:
            folders["photographs"] = photographs(arguments.photographs, unpacked)
        # The processes are started before TensorFlow is, which does not survive a fork.
        with multiprocessing.Pool(cores) as pool, multiprocessing.pool.ThreadPool(cores) as threads:
            os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
            for kind, folder in folders.items():
                rates, per_second = measure_folder(kind, folder, pool, threads, arguments)
                print_table(rates, per_second)
                found += claims_of(kind, rates)
                if kind == "written JPEGs":
                    ours = statistics.median(rates["ours"])
    print_consumers(ours, arguments)
    if arguments.json:
        claims.write(found)


def photographs(path: str, unpacked: str) -> str:
    """The folder of photographs; a zip is unpacked."""
    if not zipfile.is_zipfile(path):
        return path
    with zipfile.ZipFile(path) as archive:
        archive.extractall(unpacked)
    return unpacked


def measure_folder(
    kind: str,
    folder: str,
    pool: multiprocessing.pool.Pool,
    threads: multiprocessing.pool.ThreadPool,
    arguments: argparse.Namespace,
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """All ways on the JPEGs of a folder: see `measure`."""
    files = sorted(
        path
        for path in pathlib.Path(folder).rglob("*")
        if path.suffix.lower() in (".jpg", ".jpeg") and path.is_file()
    )
    if len(files) < BATCH:
        raise SystemExit(f"{folder} holds {len(files)} JPEGs: a batch takes {BATCH}")
    sizes = [path.stat().st_size / 1000 for path in files]
    print(
        f"{machine.describe()}: {len(files)} {kind}, {min(sizes):.0f} to {max(sizes):.0f} kB "
        f"(mean {statistics.mean(sizes):.0f})",
        flush=True,
    )
    from data.images import InceptionCrop

    paths = [str(path) for path in files]
    parts = decoder.parts(paths, InceptionCrop(VIEW, AREA, ASPECT), VIEWS)
    ways = {
        "ours": lambda: our_batches(folder),
        "Pillow": lambda: pillow_batches(paths, pool),
        "float": lambda: float_batches(paths),
        "turned": lambda: float_batches(paths, turned=True),
        "decoder": lambda: decoder_batches(parts, threads),
    }
    return measure(ways, arguments.rounds, arguments.batches)


def print_table(rates: dict[str, list[float]], per_second: dict[str, list[float]]) -> None:
    """Medians of the rounds, and what ours is of them."""
    cores = machine.cores()
    rates, per_second = (
        {name: statistics.median(values) for name, values in each.items()}
        for each in (rates, per_second)
    )
    print(
        f"{'':8} {'images/s':>9} {'per core':>9} {'ours is':>12} {'per CPU s':>10} {'ours is':>12}"
    )
    for name, rate in rates.items():
        times, busy_times = rates["ours"] / rate, per_second["ours"] / per_second[name]
        print(
            f"{name:8} {rate:9.0f} {rate / cores:9.0f} {times:6.2f} times"
            f" {per_second[name]:10.0f} {busy_times:6.2f} times"
        )


def claims_of(kind: str, rates: dict[str, list[float]]) -> list[Claim]:
    """Ours against each of the others."""
    against = {
        "Pillow": f"against Pillow in {machine.cores()} processes",
        "float": "against float augmentation in tf.data",
        "turned": "against float augmentation and four turns in tf.data",
        "decoder": "of libjpeg alone on the same rectangles",
    }
    return [
        Claim(
            f"input pipeline, {kind}, {text}",
            *("images/s", rates["ours"], rates[name]),
            ratio="share" if name == "decoder" else "rates",
        )
        for name, text in against.items()
    ]


def print_consumers(ours: float, arguments: argparse.Namespace) -> None:
    """What training steps take in, and whether these cores decode as much."""
    cores = machine.cores()
    step = step_rate(arguments.widening_factor)
    consumers = [(f"ResNet50 v2 k = {arguments.widening_factor}, these {cores} cores", step)]
    print("\nA training step of rotation takes in (each image turned four ways):")
    for name, rate in consumers + arguments.device_rates:
        needed = rate / (ours / cores)
        bottleneck = "the step" if rate < ours else "the input"
        print(
            f"{name:40} {rate:8.1f} images/s: {needed:7.2f} cores' decoding; "
            f"with {cores}, {bottleneck} is the bottleneck"
        )


def measure(
    ways: dict, rounds: int, batches: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Images per second, and per second of processor time, of each way, by round."""
    rates = {name: [] for name in ways}
    per_second = {name: [] for name in ways}
    for _ in range(rounds):
        for name, make in ways.items():
            stream = make()
            for _ in range(4):  # until its threads and buffers are there
                next(stream)
            start, busy = time.perf_counter(), time.process_time()
            elsewhere = 0.0
            for _ in range(batches):
                batch = next(stream)
                elsewhere += batch[1] if isinstance(batch, tuple) else 0.0
            seconds, busy = time.perf_counter() - start, time.process_time() - busy
            rates[name].append(batches * BATCH / seconds)
            per_second[name].append(batches * BATCH / (busy + elsewhere))
            del stream
            time.sleep(0.5)  # until its threads have stopped
    return rates, per_second


if __name__ == "__main__":
    main()
