"""From records to batches of views, the same whenever and wherever they are made.

What a batch holds is a function of (seed, epoch, step) alone: records are shuffled by a seed made
of (seed, epoch) before they are decoded, so a run can start at any step, and every random choice
about an image is keyed by (seed, epoch, the image's id). An image that cannot be decoded does not
stop a run: see `UnreadableImages`.
"""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from data import usable_images
from data.decoding import is_truncated
from data.images import View
from data.records import Record, Records
from data.service import DataService
from data.unreadable import UnreadableImages

SHUFFLE_BUFFER = 16_384
# Images that one call decodes one after the other; as many calls as there are cores run at once.
GROUP = 8
# From how large a part of a split an image is taken for one that cannot be used.
TRIED_FROM = 256


@dataclasses.dataclass(frozen=True)
class Shard:
    """The part of every batch that this host makes: every `count`-th record from `index` on."""

    index: int = 0
    count: int = 1


# AutoGraph has nothing to convert in what these map over records, and would take seconds (for a
# folder, whose images are listed while an epoch is traced, time for every image).
@tf.autograph.experimental.do_not_convert
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
    service: DataService | None = None,
) -> tf.data.Dataset:
    """Shuffled batches of all epochs from a given step on.

    Args:
        records: the split to train on.
        view: makes the view of an image.
        batch_size: images per batch over all hosts; the last, incomplete batch of an epoch is
            dropped.
        epochs: where the stream ends.
        seed: the seed of the order and of every random choice.
        draws: the number of uniform draws from [0, 1) that accompany each image, for the random
            choices made on the device.
        start_step: batches to skip at the start, without decoding them.
        shard: this host's part.
        replicas: how many replicas share a batch over all hosts; an element is one replica's part.
        unreadable: records the images that cannot be used.
        service: decodes in place of this host, if given.

    Returns:
        A dataset of dicts `image` (the view's type, (batch, *shape)), `label` (int64, (batch,)),
        `draws` (float32, (batch, draws)) and `valid` (float32, (batch,), all ones: an unreadable
        image is replaced by another one of its replica's part, or, where no image of that can be
        read, of the split).

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

    def made(part: int, parts: int) -> tf.data.Dataset:
        """Every `parts`-th batch from batch `part` on."""
        entries = tf.data.Dataset.range(first_epoch, epochs).flat_map(epoch_entries)
        if parts > 1:
            entries = entries.batch(local_batch).shard(parts, part).unbatch()
        groups = _views(entries, records, view, seed, draws)
        return groups.rebatch(local_batch, drop_remainder=True)

    count = (epochs * steps - start_step) * (batch_size // shard.count // local_batch)
    batches = service.batches(made, count) if service else made(0, 1)

    def usable(batch: Record) -> Record:
        names = batch["bad_id"]
        batch = _note_unreadable(batch, records, view, unreadable)
        kind = batch["image"].dtype
        return _replace_unreadable(batch, lambda: _substitute(names, records, view, draws, kind))

    return _with_options(batches.map(usable))


@tf.autograph.experimental.do_not_convert
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

    Arguments and elements are those of `training_batches`; `start` is the number of records to
    skip at the start, without decoding them. The last batch is filled up; `valid`
    is 1 for an image, 0 for what fills up and for unreadable images. The random choices are those
    of seed 0, epoch 0, so that an evaluation repeats.
    """
    entries = records.entries().skip(start).shard(shard.count, shard.index)
    entries = entries.map(lambda entry: {**entry, "epoch": tf.constant(0, tf.int64)})
    local_batch = batch_size // replicas
    groups = _views(entries, records, view, tf.constant(0, tf.int64), draws)
    batches = groups.rebatch(local_batch).map(lambda batch: _fill_up(batch, local_batch))
    # A host whose part of the last batch is empty takes part in it all the same.
    nothing = tf.data.Dataset.from_tensors(_nothing(batches.element_spec)).repeat()
    remaining = max(records.size - start, 0)
    count = -(-remaining // batch_size) * (batch_size // shard.count) // local_batch
    batches = batches.concatenate(nothing).take(count)
    return _with_options(
        batches.map(lambda batch: _note_unreadable(batch, records, view, unreadable))
    )


def steps_per_epoch(records: Records, batch_size: int) -> int:
    """Whole batches in the split.

    Raises:
        ValueError: the split has fewer images than a batch.
    """
    if records.size < batch_size:
        raise ValueError(
            f"split {records.split} of {records.dataset} has {records.size} images, fewer than "
            f"one batch of {batch_size}: use a smaller --batch_size"
        )
    return records.size // batch_size


def _views(
    entries: tf.data.Dataset, records: Records, view: View, seed: tf.Tensor, draws: int
) -> tf.data.Dataset:
    """Reads and cuts every entry, in groups of `GROUP`, the last of what remains.

    One that fails is replaced by zeros with `valid` 0; its `id` and its `image` go along
    as `bad_id` and `bad_image`, which are empty where nothing is wrong. So do those of a damaged
    one, whose `valid` is 1.
    """

    def whole(entry: Record) -> Record:
        key = _key(seed, entry)
        cut, drawn = tf.unstack(tf.random.experimental.stateless_split(key, 2))
        encoded = records.read(entry["image"])
        damaged = is_truncated(encoded)
        return {
            "image": view(encoded, cut),
            "label": entry["label"],
            "draws": tf.random.stateless_uniform([draws], drawn),
            "valid": tf.constant(1.0),
            "bad_id": tf.where(damaged, entry["id"], ""),
            "bad_image": tf.where(damaged, entry["image"], tf.zeros_like(entry["image"])),
        }

    # Traced once for all its uses.
    whole = tf.function(whole, autograph=False).get_concrete_function(entries.element_spec)
    element = {
        name: tf.TensorSpec(value.shape, value.dtype)
        for name, value in whole.structured_outputs.items()
    }

    def placeholder(entry: Record) -> Record:
        bad = {"label": entry["label"], "bad_id": entry["id"], "bad_image": entry["image"]}
        return _nothing(element) | bad

    def one(entry: Record) -> tf.data.Dataset:
        single = tf.data.Dataset.from_tensors(entry)
        return single.map(whole).ignore_errors().concatenate(single.map(placeholder)).take(1)

    # A dataset of its own is what turns an error into another element, and costs a tenth of what
    # decoding does. So there is one for a group of images, and only a group with an error is made
    # again image by image. Positions in the stream, and with them a restart, do not depend on it.
    def together(group: Record) -> Record:
        size = tf.shape(group["id"], tf.int64)[0]
        entries = tf.data.Dataset.from_tensor_slices(group)
        good = entries.map(whole).ignore_errors().batch(size, drop_remainder=True)
        mended = entries.flat_map(one).batch(size, drop_remainder=True)
        return good.concatenate(mended).take(1).get_single_element()

    return entries.batch(GROUP).map(
        together, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )


def _fill_up(batch: Record, size: int) -> Record:
    """A batch of `size` elements, padded with zeros and empty strings."""

    def filled_up(value: tf.Tensor) -> tf.Tensor:
        missing = tf.concat([[size - tf.shape(value)[0]], tf.shape(value)[1:]], 0)
        nothing = tf.fill(missing, tf.zeros([], value.dtype))
        return tf.ensure_shape(tf.concat([value, nothing], 0), [size, *value.shape[1:]])

    return {name: filled_up(value) for name, value in batch.items()}


def _nothing(element_spec: dict[str, tf.TensorSpec]) -> Record:
    """An element of zeros and empty strings."""
    return {name: tf.zeros(spec.shape, spec.dtype) for name, spec in element_spec.items()}


def _note_unreadable(
    batch: Record, records: Records, view: View, unreadable: UnreadableImages | None
) -> Record:
    """The batch without what names unreadable images, which are noted.

    This happens where the batch is used, not where it was made: Python cannot be called on the
    workers of a tf.data service.
    """
    names, images, valid = batch["bad_id"], batch["bad_image"], batch["valid"]
    batch = {name: value for name, value in batch.items() if not name.startswith("bad_")}
    if unreadable is None:
        return batch

    def note(names: tf.Tensor, images: tf.Tensor, valid: tf.Tensor) -> None:
        for name, image, used in zip(names.numpy(), images, valid.numpy(), strict=True):
            identifier = name.decode(errors="replace")
            if used:
                unreadable.damaged.add(identifier)
            else:
                unreadable.record(
                    lambda image=image: usable_images.view_alone(image, records, view), identifier
                )

    def note_all() -> tf.Tensor:
        bad = tf.where(names != "")[:, 0]
        tf.py_function(note, [tf.gather(value, bad) for value in (names, images, valid)], [])
        return tf.constant(True)

    tf.cond(tf.reduce_any(names != ""), note_all, lambda: tf.constant(False))
    return batch


def _key(seed: tf.Tensor, entry: Record) -> tf.Tensor:
    """A stateless seed for (seed, epoch, image): int64, (2,)."""
    image = tf.strings.to_hash_bucket_fast(entry["id"], 2**62)
    return tf.stack([seed * 1_000_003 + entry["epoch"], image])


def _replace_unreadable(batch: Record, substitute: Callable[[], Record]) -> Record:
    """Replaces unreadable images by good ones of the batch, or by a substitute."""
    valid = batch["valid"] > 0

    def by_others() -> Record:
        good = tf.where(valid)[:, 0]
        positions = tf.range(tf.size(valid))
        source = tf.where(
            valid, tf.cast(positions, tf.int64), tf.gather(good, positions % tf.size(good))
        )
        return {name: tf.gather(value, source) for name, value in batch.items()}

    def by_substitute() -> Record:
        return {
            name: tf.ensure_shape(tf.broadcast_to(value, tf.shape(batch[name])), batch[name].shape)
            for name, value in substitute().items()
        }

    def replaced() -> Record:
        return tf.cond(tf.reduce_any(valid), by_others, by_substitute)

    return tf.cond(tf.reduce_all(valid), lambda: batch, replaced)


def _substitute(
    names: tf.Tensor, records: Records, view: View, draws: int, kind: tf.DType
) -> Record:
    """An image of the split for a batch without any, the same one for the same `names`.

    Micro-batches and replicas' parts can be as small as one image. Like what is noted, this
    happens where the batch is used, and what it costs comes with every such batch alone.
    """

    def find(names: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        position = tf.strings.to_hash_bucket_fast(names[0], min(records.size, TRIED_FROM))
        entries = records.entries().repeat().skip(position).take(usable_images.TRIED)
        found = usable_images.first_usable(entries, records, view, UnreadableImages())
        if found is None:
            raise ValueError("every image of a batch is unreadable")
        image, entry = found
        return image, entry["label"], tf.random.stateless_uniform([draws], [position, 0])

    image, label, drawn = tf.py_function(find, [names], [kind, tf.int64, tf.float32])
    return {"image": image, "label": label, "draws": drawn, "valid": tf.constant(1.0)}


def _with_options(batches: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    options.deterministic = True
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return batches.with_options(options).prefetch(tf.data.AUTOTUNE)
