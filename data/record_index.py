"""An index of a set of TFRecord files, made in one pass without decoding an image.

It holds the number of images, and which are held out (`data/splits.py`) and at which offsets, so
that `val` is read without reading all training images. It is kept beside the files, or in the
user's cache directory where their directory cannot be written to.
"""

import dataclasses
import hashlib
import json
import os
from typing import Any

import numpy as np
import tensorflow as tf
from etils import epath
from tqdm import tqdm

from data import record_files, splits
from data.record_files import READ_AT_ONCE, HeldOut, Keys
from data.records import Record
from training.error_lines import reason
from training.regular_files import is_regular

FACTS_AT_ONCE = 256
# A TFRecord: 8 bytes of length, 4 of its checksum, the data, 4 of the data's checksum.
BEFORE, AFTER = 12, 4


@dataclasses.dataclass(frozen=True)
class Index:
    """What one pass over a set of shards finds.

    Attributes:
        shards: a hash that identifies the set of files.
        images: the number of images.
        named: whether the examples carry file names.
        labels: the smallest and the largest.
        label_shards: the number of a shard with the smallest, and of one with the largest.
        fingerprint: a hash of all names and labels in order.
        limit: the largest name hash that is held out.
        held_out: the held-out images.
    """

    shards: str
    images: int
    named: bool
    labels: tuple[int, int]
    label_shards: tuple[int, int]
    fingerprint: str
    limit: int
    held_out: list[HeldOut]


def load(paths: list[str], keys: Keys, directory: str, description: str) -> Index:
    """Reads the index of a set of shards, or makes it in one pass over them.

    Args:
        paths: the shards.
        keys: the keys of their examples.
        directory: where the index is kept.
        description: names the set in the index's file name and in the progress bar.

    Raises:
        ValueError: a shard is damaged, or its examples lack a key; names the shard.
    """
    stats = record_files.stats(paths)
    for path, stat in zip(paths, stats, strict=True):
        if not stat.length:
            raise ValueError(f"{path} is empty: put the shard there again")
    listing = [
        f"{os.path.basename(path)} {stat.length} {stat.written}"
        for path, stat in zip(paths, stats, strict=True)
    ]
    shards = hashlib.sha256("\n".join([*listing, repr(keys)]).encode()).hexdigest()
    cache = epath.Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    files = [
        epath.Path(directory) / f"index-{description}.json",
        cache / "revisiting-self-supervised" / f"index-{shards}.json",
    ]
    for file in files:
        kept = _read(file)
        if kept and kept.shards == shards:
            return kept
    made = _make(paths, keys, shards, description, [stat.length for stat in stats])
    for file in files:
        if _write(made, file):
            break
    return made


def _read(file: epath.Path) -> Index | None:
    try:
        if not is_regular(file):
            return None
        written = json.loads(file.read_text())
        fields = written["index"]
        if written["checksum"] != _checksum(fields):
            return None
        return Index(
            **fields
            | {
                "labels": tuple(fields["labels"]),
                "label_shards": tuple(fields["label_shards"]),
                "held_out": [HeldOut(*row) for row in fields["held_out"]],
            }
        )
    # An index of another version, or a damaged one, is made again.
    except (OSError, ValueError, LookupError, TypeError, RecursionError, tf.errors.OpError):
        return None


def _checksum(fields: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def _write(made: Index, file: epath.Path) -> bool:
    beside = file.with_name(f"{file.name}.incomplete.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        fields = dataclasses.asdict(made)
        beside.write_text(json.dumps({"index": fields, "checksum": _checksum(fields)}))
        beside.replace(file)
    except (OSError, tf.errors.OpError):
        return False
    return True


def _make(paths: list[str], keys: Keys, shards: str, description: str, sizes: list[int]) -> Index:
    def facts(example: tf.Tensor) -> Record:
        record = keys.parse(example)
        named = tf.logical_not(tf.strings.regex_full_match(record["id"], r"image-\d+"))
        length = tf.strings.length(example)
        return {"label": record["label"], "id": record["id"], "length": length, "named": named}

    def shard(number: tf.Tensor) -> tf.data.Dataset:
        batches = tf.data.TFRecordDataset(tf.gather(paths, number)).map(facts).batch(FACTS_AT_ONCE)
        return batches.map(lambda batch: {**batch, "number": number})

    stream = tf.data.Dataset.range(len(paths)).interleave(
        shard, cycle_length=READ_AT_ONCE, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    found: dict[int, list[Record]] = {}
    try:
        with tqdm(desc=f"counting {description}", unit=" images", delay=2) as bar:
            for batch in stream.as_numpy_iterator():
                found.setdefault(int(batch["number"]), []).append(batch)
                bar.update(len(batch["id"]))
    except tf.errors.OpError as error:
        raise ValueError(record_files.damage(paths, facts) or reason(error)) from error
    if not found:
        raise ValueError(f"the shards hold no image: {paths[0]}, …")

    # TensorFlow ignores a remainder after the last record that is shorter than a record's header.
    for number, (path, size) in enumerate(zip(paths, sizes, strict=True)):
        lengths = [batch["length"].astype(np.int64) for batch in found.get(number, [])]
        if sum(int((length + BEFORE + AFTER).sum()) for length in lengths) != size:
            raise ValueError(f"{path} is damaged: its last record is cut, or it has none")

    numbers, starts = [], []
    for number in sorted(found):
        lengths = np.concatenate([batch["length"] for batch in found[number]]).astype(np.int64)
        starts.append(np.cumsum(lengths + BEFORE + AFTER) - lengths - AFTER)
        numbers.append(np.full(len(lengths), number))
    batches = [batch for number in sorted(found) for batch in found[number]]
    names, labels, lengths, named = (
        np.concatenate([batch[key] for batch in batches])
        for key in ("id", "label", "length", "named")
    )
    numbers, starts = np.concatenate(numbers), np.concatenate(starts)
    hashes = splits.name_hashes(names).numpy()
    limit = splits.largest_held_out(hashes)
    content = hashlib.sha256(b"\n".join(names.tolist()))
    content.update(labels.astype("<i8").tobytes())
    return Index(
        shards=shards,
        images=len(names),
        named=bool(named.all()),
        labels=(int(labels.min()), int(labels.max())),
        label_shards=(int(numbers[labels.argmin()]), int(numbers[labels.argmax()])),
        fingerprint=content.hexdigest(),
        limit=limit,
        held_out=[
            HeldOut(
                shard=int(numbers[i]),
                before=int(starts[i]),
                length=int(lengths[i]),
                after=int(sizes[numbers[i]] - starts[i] - lengths[i]),
                label=int(labels[i]),
                name=names[i].decode(errors="surrogateescape"),
            )
            for i in np.flatnonzero(hashes <= limit)
        ],
    )
