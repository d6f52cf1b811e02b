"""TFRecord files of `tf.Example`s: a set of shards, read in order or at given offsets."""

import concurrent.futures
import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from data import splits
from data.records import Record
from training.error_lines import reason
from training.regular_files import is_regular

SHARD = re.compile(r"^(?P<split>[\w.-]+)-(?P<number>\d{5})-of-(?P<count>\d{5})$", re.ASCII)
READ_AT_ONCE = 16


@dataclasses.dataclass(frozen=True)
class Keys:
    """The keys of an example.

    Attributes:
        image: of the encoded image.
        label: of the integer label.
        name: of the file name. An image without one is named by a hash of its bytes.
        first_label: the label of the first class.
    """

    image: str
    label: str
    name: str
    first_label: int

    def parse(self, example: tf.Tensor) -> Record:
        """A serialised example as a record: `image`, `label` (int64, from 0) and `id`."""
        parsed = tf.io.parse_single_example(
            example,
            {
                self.image: tf.io.FixedLenFeature([], tf.string),
                self.label: tf.io.FixedLenFeature([], tf.int64),
                self.name: tf.io.FixedLenFeature([], tf.string, default_value=""),
            },
        )
        image, name = parsed[self.image], parsed[self.name]
        name = tf.cond(
            tf.equal(name, ""),
            lambda: tf.strings.join(["image-", tf.strings.as_string(splits.name_hashes(image))]),
            lambda: tf.strings.regex_replace(name, r"^.*[/\\]", ""),
        )
        return {"image": image, "label": parsed[self.label] - self.first_label, "id": name}


class File(NamedTuple):
    """A shard's size in bytes and modification time in nanoseconds."""

    length: int
    written: int


class HeldOut(NamedTuple):
    """A held-out image: the offset of its example in a shard, its label and its name.

    Attributes:
        shard: the shard's number.
        before, length, after: bytes of the shard before, in and after the serialised example.
        label: from 0.
        name: the record's id; bytes that are not UTF-8 are escaped by surrogates.
    """

    shard: int
    before: int
    length: int
    after: int
    label: int
    name: str


def complete(directory: str, split: str) -> list[str]:
    """The paths of all shards of `directory/split-?????-of-?????`, in order.

    Raises:
        ValueError: one is missing, or there are shards of two different sets.
    """
    if not tf.io.gfile.isdir(directory):
        return []
    found = [SHARD.match(name.rstrip("/")) for name in tf.io.gfile.listdir(directory)]
    matches = [match for match in found if match and match["split"] == split]
    counts = sorted({int(match["count"]) for match in matches})
    if len(counts) > 1:
        raise ValueError(
            f"{directory} holds shards of two sets, {split}-?????-of-{counts[0]:05} and "
            f"-of-{counts[1]:05}: keep one of them"
        )
    numbers = {int(match["number"]) for match in matches}
    names = [f"{split}-{n:05}-of-{count:05}" for count in counts for n in range(count)]
    missing = [name for number, name in enumerate(names) if number not in numbers]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ValueError(f"{missing[0]}{more} of {len(names)} shards missing in {directory}")
    if extra := numbers - set(range(len(names))):
        raise ValueError(
            f"{split}-{min(extra):05}-of-{counts[0]:05} in {directory} is one more than the shards "
            "from 00000 on: take it away"
        )
    return [f"{directory.rstrip('/')}/{name}" for name in names]


def stats(paths: list[str]) -> list[File]:
    """The size and modification time of each shard.

    Raises:
        ValueError: one is missing or not a regular file; names it.
    """

    def stat(path: str) -> File:
        try:
            found = tf.io.gfile.stat(path)
        except tf.errors.OpError as error:
            raise ValueError(f"{path} cannot be read: {reason(error)}") from error
        if not is_regular(path):
            raise ValueError(f"{path} is not a regular file")
        return File(found.length, found.mtime_nsec)

    with concurrent.futures.ThreadPoolExecutor(READ_AT_ONCE) as pool:
        return list(pool.map(stat, paths))


def damage(
    paths: list[str],
    look: Callable[[tf.Tensor], Record] | None = None,
    counts: Sequence[int] | None = None,
) -> str:
    """The first shard that cannot be read to its end, and why; empty if there is none.

    Args:
        paths: the shards.
        look: a function that has to succeed on each example; by default it is only read.
        counts: how many examples each shard should hold.
    """
    for number, path in enumerate(paths):
        try:
            examples = tf.data.TFRecordDataset(path)
            found = sum(1 for _ in (examples.map(look) if look else examples))
        except tf.errors.OpError as error:
            why = re.sub(r"^.*(?:transformation with iterator|Iterator::)[^ ]* ", "", reason(error))
            return f"{path} is damaged or lacks a key: {why}"
        if counts and found != counts[number]:
            return f"{path} is damaged: it holds {found} examples instead of {counts[number]}"
    return ""


def stream(paths: list[str], keys: Keys) -> tf.data.Dataset:
    """All records of the shards, always in the same order; several files are read at once."""
    return (
        tf.data.Dataset.from_tensor_slices(paths)
        .interleave(
            tf.data.TFRecordDataset,
            cycle_length=READ_AT_ONCE,
            block_length=READ_AT_ONCE,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        .map(keys.parse, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    )


def stream_without_held_out(paths: list[str], keys: Keys, limit: int) -> tf.data.Dataset:
    """The records of `stream` whose name hashes are above the limit."""
    return stream(paths, keys).filter(lambda record: splits.name_hashes(record["id"]) > limit)


def held_out(paths: list[str], images: list[HeldOut]) -> tf.data.Dataset:
    """Records of held-out images; their `image` holds the location for `read_at`."""
    return tf.data.Dataset.from_tensor_slices(
        {
            "image": [
                f"{paths[image.shard]}\n{image.before}\n{image.length}\n{image.after}"
                for image in images
            ],
            "label": tf.constant([image.label for image in images], tf.int64),
            "id": [image.name.encode(errors="surrogateescape") for image in images],
        }
    )


def read_at(keys: Keys, location: tf.Tensor) -> tf.Tensor:
    """The encoded image of one of `held_out`'s records."""
    parts = tf.strings.split(location, "\n")
    before, length, after = tf.unstack(tf.strings.to_number(parts[1:4], tf.int64), num=3)
    # The one op that reads a part of a file on any kind of storage.
    example = tf.data.FixedLengthRecordDataset(
        parts[0], record_bytes=length, header_bytes=before, footer_bytes=after
    )
    return keys.parse(example.get_single_element())["image"]
