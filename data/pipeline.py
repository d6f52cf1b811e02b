"""From records to batches of uint8 views, the same ones whenever and wherever they are made.

What a batch holds is a function of (seed, epoch, step) alone: records are shuffled by a seed made
of (seed, epoch) before they are decoded, so a run can start at any step, and every random choice
about an image is keyed by (seed, epoch, the image's id). An image that cannot be decoded does not
stop a run: see `UnreadableImages`.
"""

import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterator

import tensorflow as tf

from data.records import Record, Records

SHUFFLE_BUFFER = 16_384
CYCLE = 16

View = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class UnreadableImages:
    """Which images could not be used so far, and why; filled while a data set is read.

    Attributes:
        reasons: the first line of what was wrong, by image id.
    """

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}

    def record(self, view: View, encoded: tf.Tensor, identifier: tf.Tensor) -> None:
        """Notes an image whose view could not be made; tries again to find the reason."""
        reason = "cannot be decoded"
        try:
            view(encoded, tf.constant([0, 0], tf.int64))
        except (tf.errors.OpError, ValueError) as error:
            message = getattr(error, "message", str(error)).split("\n")[0]
            # TensorFlow wraps the reason into the names of its nodes and operations.
            reason = re.sub(r"^\{\{.*\}\} |\s*\[Op:.*$", "", message).rstrip(".")
        self.reasons[identifier.numpy().decode(errors="replace")] = reason

    def summary(self) -> str:
        """One line for the log: how many, and the first three by name."""
        first = [f"{name} ({reason})" for name, reason in sorted(self.reasons.items())[:3]]
        more = ", …" if len(self.reasons) > len(first) else ""
        return f"{len(self.reasons)} images could not be read: {', '.join(first)}{more}"

    @contextlib.contextmanager
    def explained(self, batch_size: int) -> Iterator[None]:
        """Inside, a batch of nothing but unreadable images is a ValueError that says so."""
        try:
            yield
        except tf.errors.InvalidArgumentError as error:
            if "unreadable" not in str(error):
                raise
            raise ValueError(
                f"all {batch_size} images of a batch were unreadable; {self.summary()}"
            ) from error


@dataclasses.dataclass(frozen=True)
class Shard:
    """Which part of every batch this host makes: every `count`-th record from `index` on."""

    index: int = 0
    count: int = 1


def training_batches(
    records: Records,
    view: View,
    *,
    batch_size: int,
    epochs: int,
    seed: int,
    draws: int = 0,
    start_step: int = 0,
    shard: Shard = Shard(),
    replicas: int = 1,
    unreadable: UnreadableImages | None = None,
) -> tf.data.Dataset:
    """Shuffled batches of all epochs from a given step on.

    Args:
        records: the split to train on.
        view: what is cut out of an image.
        batch_size: images per batch over all hosts; the last, incomplete batch of an epoch is
            dropped.
        epochs: where the stream ends.
        seed: of the order and of every random choice.
        draws: uniform numbers in [0, 1) that go along with each image, for the random choices
            that the device makes.
        start_step: batches left out at the start, without decoding them.
        shard: this host's part.
        replicas: how many replicas share a batch over all hosts; elements are a replica's part.
        unreadable: where images that cannot be used are noted.

    Returns:
        A dataset of dicts `image` (uint8, (batch, *view shape)), `label` (int64, (batch,)),
        `draws` (float32, (batch, draws)) and `valid` (float32, (batch,), all ones: an unreadable
        image is replaced by another one of its batch).

    Raises:
        ValueError: the split has fewer images than a batch.
    """
    steps = steps_per_epoch(records, batch_size)
    local_batch = batch_size // replicas
    first_epoch = start_step // steps
    seed = tf.constant(seed, tf.int64)

    def epoch_entries(epoch: tf.Tensor) -> tf.data.Dataset:
        # Else shuffle would mix TensorFlow's global seed into ours.
        tf.compat.v1.get_default_graph().seed = None
        entries = records.entries()
        entries = entries.shuffle(
            min(records.size, SHUFFLE_BUFFER),
            seed=seed * 1_000_003 + epoch,
            reshuffle_each_iteration=False,
        )
        skipped = tf.where(epoch == first_epoch, start_step % steps, 0)
        entries = entries.take(steps * batch_size).skip(tf.cast(skipped, tf.int64) * batch_size)
        entries = entries.shard(shard.count, shard.index)
        return entries.map(lambda entry: {**entry, "epoch": epoch})

    stream = tf.data.Dataset.range(first_epoch, epochs).flat_map(epoch_entries)
    stream = _views(stream, records, view, seed, draws, unreadable)
    batches = stream.batch(local_batch, drop_remainder=True, num_parallel_calls=tf.data.AUTOTUNE)
    return _with_options(batches.map(_replace_unreadable))


def evaluation_batches(
    records: Records,
    view: View,
    *,
    batch_size: int,
    draws: int = 0,
    start: int = 0,
    shard: Shard = Shard(),
    replicas: int = 1,
    unreadable: UnreadableImages | None = None,
) -> tf.data.Dataset:
    """One pass over all records in their order, in batches of one size.

    Arguments and elements are those of `training_batches`; `start` is the number of records left
    out at the start, without decoding them. The last batch is filled up; `valid`
    is 1 for an image, 0 for what fills up and for unreadable images. The random choices are those
    of seed 0, epoch 0, so that an evaluation repeats.
    """
    entries = records.entries().skip(start).shard(shard.count, shard.index)
    entries = entries.map(lambda entry: {**entry, "epoch": tf.constant(0, tf.int64)})
    stream = _views(entries, records, view, tf.constant(0, tf.int64), draws, unreadable)
    nothing = {name: tf.zeros(spec.shape, spec.dtype) for name, spec in stream.element_spec.items()}
    remaining = max(records.size - start, 0)
    filled_up = -(-remaining // batch_size) * batch_size // shard.count
    stream = stream.concatenate(tf.data.Dataset.from_tensors(nothing).repeat()).take(filled_up)
    return _with_options(
        stream.batch(
            batch_size // replicas, drop_remainder=True, num_parallel_calls=tf.data.AUTOTUNE
        )
    )


def steps_per_epoch(records: Records, batch_size: int) -> int:
    """Whole batches in the split.

    Raises:
        ValueError: there is none.
    """
    if records.size < batch_size:
        raise ValueError(
            f"split {records.split} of {records.dataset} has {records.size} images, fewer than "
            f"one batch of {batch_size}: use a smaller --batch_size"
        )
    return records.size // batch_size


def _views(
    entries: tf.data.Dataset,
    records: Records,
    view: View,
    seed: tf.Tensor,
    draws: int,
    unreadable: UnreadableImages | None,
) -> tf.data.Dataset:
    """Reads and cuts every entry; one that fails becomes zeros with `valid` 0."""

    def whole(entry: Record) -> Record:
        key = _key(seed, entry)
        cut, drawn = tf.unstack(tf.random.experimental.stateless_split(key, 2))
        return {
            "image": view(records.read(entry["image"]), cut),
            "label": entry["label"],
            "draws": tf.random.stateless_uniform([draws], drawn),
            "valid": tf.constant(1.0),
        }

    element = entries.map(whole).element_spec

    def placeholder(entry: Record) -> Record:
        if unreadable is not None:
            tf.py_function(
                lambda image, identifier: unreadable.record(view, records.read(image), identifier),
                [entry["image"], entry["id"]],
                [],
            )
        return {
            "image": tf.zeros(element["image"].shape, tf.uint8),
            "label": entry["label"],
            "draws": tf.zeros([draws]),
            "valid": tf.constant(0.0),
        }

    # A dataset of its own for each entry is what turns an error into another element, in its
    # place: positions in the stream, and with them a restart, do not depend on the files.
    def one(entry: Record) -> tf.data.Dataset:
        single = tf.data.Dataset.from_tensors(entry)
        good = single.map(whole).ignore_errors()
        return good.concatenate(single.map(placeholder)).take(1)

    return entries.interleave(
        one, cycle_length=CYCLE, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )


def _key(seed: tf.Tensor, entry: Record) -> tf.Tensor:
    """A stateless seed for (seed, epoch, image): int64, (2,)."""
    image = tf.strings.to_hash_bucket_fast(entry["id"], 2**62)
    return tf.stack([seed * 1_000_003 + entry["epoch"], image])


def _replace_unreadable(batch: Record) -> Record:
    """Puts good images of the batch in the place of unreadable ones."""
    good = tf.where(batch["valid"] > 0)[:, 0]
    tf.debugging.assert_greater(
        tf.size(good), 0, message="every image of a batch was unreadable", summarize=1
    )
    positions = tf.range(tf.size(batch["valid"]))
    source = tf.where(
        batch["valid"] > 0,
        tf.cast(positions, tf.int64),
        tf.gather(good, positions % tf.size(good)),
    )
    return {name: tf.gather(value, source) for name, value in batch.items()}


def _with_options(batches: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    options.deterministic = True
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return batches.with_options(options).prefetch(tf.data.AUTOTUNE)
