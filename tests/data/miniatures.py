"""ImageNet and Places205 in miniature, in the official layouts."""

import io
import pathlib
import tarfile

import numpy as np
import tensorflow as tf
from PIL import Image

from data import imagenet_names

CLASSES = ("n01440764", "n01443537", "n02085936", "n15075141")
TRAINING = 60
VALIDATION = 8


def jpeg(seed: int, size: tuple[int, int] = (40, 48)) -> bytes:
    """A JPEG of some smooth colours, different for each seed."""
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    encoded = io.BytesIO()
    small.resize(size[::-1]).save(encoded, format="JPEG")
    return encoded.getvalue()


def imagenet() -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Training and validation images by file name."""
    training = {
        f"{CLASSES[number % len(CLASSES)]}_{100 + 7 * number}.JPEG": jpeg(number)
        for number in range(TRAINING)
    }
    validation = {
        f"ILSVRC2012_val_{number:08}.JPEG": jpeg(1000 + number)
        for number in range(1, VALIDATION + 1)
    }
    return training, validation


def write_imagenet_archives(root: pathlib.Path) -> None:
    """The two official archives: one of the classes' archives, and one of images."""
    training, validation = imagenet()
    root.mkdir(parents=True, exist_ok=True)
    with tarfile.open(root / "ILSVRC2012_img_train.tar", "w") as outer:
        for wordnet_id in CLASSES:
            inner = io.BytesIO()
            with tarfile.open(fileobj=inner, mode="w") as archive:
                for name in training:
                    if name.startswith(wordnet_id):
                        add(archive, name, training[name])
            add(outer, f"{wordnet_id}.tar", inner.getvalue())
    with tarfile.open(root / "ILSVRC2012_img_val.tar", "w") as archive:
        for name in reversed(validation):
            add(archive, name, validation[name])


def write_imagenet_tfrecords(
    root: pathlib.Path | str,
    shards: tuple[int, int] = (5, 2),
    first_label: int = 1,
    file_names: bool = True,
) -> None:
    """The shards of TF-Slim's converter."""
    for split, images, count in zip(("train", "validation"), imagenet(), shards, strict=True):
        tf.io.gfile.makedirs(str(root))
        names = sorted(images, key=lambda name: name[::-1])
        for shard in range(count):
            path = f"{root}/{split}-{shard:05}-of-{count:05}"
            with tf.io.TFRecordWriter(path) as writer:
                for name in names[shard::count]:
                    label = imagenet_names.wordnet_ids().index(imagenet_names.wordnet_id(name))
                    values = {
                        "image/encoded": bytes_feature(images[name]),
                        "image/class/label": tf.train.Feature(
                            int64_list=tf.train.Int64List(value=[label + first_label])
                        ),
                        "image/format": bytes_feature(b"JPEG"),
                    }
                    if file_names:
                        values["image/filename"] = bytes_feature(name.encode())
                    features = tf.train.Features(feature=values)
                    writer.write(tf.train.Example(features=features).SerializeToString())


def write_imagenet_tree(root: pathlib.Path, flat_validation: bool = False) -> None:
    """A folder per class; the validation images in folders too, or as their archive holds them."""
    training, validation = imagenet()
    for name, encoded in training.items():
        write(root / "train" / name.split("_")[0] / name, encoded)
    for name, encoded in validation.items():
        folder = "." if flat_validation else imagenet_names.wordnet_id(name)
        write(root / "val" / folder / name, encoded)


PLACES = ("a/abbey", "a/airport_terminal", "a/apartment_building/outdoor", "b/bedroom")


def places() -> dict[str, list[tuple[str, int]]]:
    """Paths below images256/ and labels, by list."""
    digest = "{:032x}"
    rows = [
        (f"{folder}/gsun_{digest.format(100 * label + number)}.jpg", label)
        for label, folder in enumerate(PLACES)
        for number in range(20)
    ]
    return {"train": [r for i, r in enumerate(rows) if i % 5], "val": rows[::5]}


def write_places_lists(root: pathlib.Path, rows: dict[str, list[tuple[str, int]]]) -> None:
    """`train_places205.csv` and `val_places205.csv`."""
    for split, pairs in rows.items():
        text = "".join(f"{path} {label}\n" for path, label in pairs)
        write(root / f"{split}_places205.csv", text.encode())


def write_places_archives(root: pathlib.Path, without: str = "") -> None:
    """The official archives of Places205; `without` leaves one image out."""
    rows = places()
    root.mkdir(parents=True, exist_ok=True)
    with tarfile.open(root / "trainvalsplit_places205.tar.gz", "w:gz") as archive:
        for split, pairs in rows.items():
            text = "".join(f"{path} {label}\n" for path, label in pairs)
            add(archive, f"trainvalsplit_places205/{split}_places205.csv", text.encode())
    prefix = "data/vision/torralba/deeplearning/images256"
    with tarfile.open(root / "imagesPlaces205_resize.tar.gz", "w:gz") as archive:
        add(archive, f"{prefix}/a/abbey/unlisted.jpg", jpeg(0))
        for number, (path, _) in enumerate(sorted(rows["train"] + rows["val"])):
            if path != without:
                add(archive, f"{prefix}/{path}", b"no image" if number == 7 else jpeg(number))


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    """Adds a file to an archive."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def write(path: pathlib.Path, content: bytes) -> None:
    """Writes a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def bytes_feature(value: bytes) -> tf.train.Feature:
    """A feature of one string."""
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
