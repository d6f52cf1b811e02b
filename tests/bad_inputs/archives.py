"""Archives and lists of data sets that nobody can download, and shards, damaged."""

import io
import pathlib
import tarfile

from tests.bad_inputs.damage import cut, directory, fifo, flip, link, remove, then, write
from tests.bad_inputs.forks import Conditions
from tests.bad_inputs.stock import SMALL
from tests.bad_inputs.trial import Prepare, Trial
from tests.data import miniatures

TRAINING = "archives/ILSVRC2012_img_train.tar"
VALIDATION = "archives/ILSVRC2012_img_val.tar"
PLACES = "archives/imagesPlaces205_resize.tar.gz"
LISTS = "archives/trainvalsplit_places205.tar.gz"
SHARD = "shards/train-00001-of-00005"


def _imagenet(root: pathlib.Path) -> None:
    miniatures.write_imagenet_archives(root / "archives")


def _places(root: pathlib.Path) -> None:
    miniatures.write_places_archives(root / "archives")


def _shards(root: pathlib.Path) -> None:
    miniatures.write_imagenet_tfrecords(root / "shards")


def _archive(name: str, members: dict[str, bytes]) -> Prepare:
    """An archive of other members in the place of what is there."""

    def prepare(root: pathlib.Path) -> None:
        with tarfile.open(root / name, "w:gz" if name.endswith("gz") else "w") as archive:
            for member, content in members.items():
                miniatures.add(archive, member, content)

    return prepare


def _inner(content: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        miniatures.add(archive, "n01440764_1.JPEG", content)
    return made.getvalue()


def _lists(train: str | bytes, val: str | bytes = "a/abbey/x.jpg 0\n") -> Prepare:
    return _archive(
        LISTS,
        {
            f"trainvalsplit_places205/{split}_places205.csv": (
                text.encode() if isinstance(text, str) else text
            )
            for split, text in (("train", train), ("val", val))
        },
    )


OF_IMAGENET: dict[str, Prepare] = {
    "no training archive": remove(TRAINING),
    "no validation archive": remove(VALIDATION),
    "a training archive cut": cut(TRAINING),
    "a training archive cut late": cut(TRAINING, 0.9),
    "a validation archive cut": cut(VALIDATION, 0.4),
    "an empty training archive": write(TRAINING, b""),
    "a training archive of text": write(TRAINING, "no archive"),
    "a training archive of zeros": write(TRAINING, bytes(20480)),
    "a training archive that is a directory": directory(TRAINING),
    "a training archive that is a fifo": fifo(TRAINING),
    "an endless training archive": link(TRAINING, "/dev/zero"),
    "the archives mixed up": then(
        lambda root: (root / TRAINING).rename(root / "x"),
        lambda root: (root / VALIDATION).rename(root / TRAINING),
        lambda root: (root / "x").rename(root / VALIDATION),
    ),
    "members that reach outside": _archive(TRAINING, {"../../n01440764.tar": _inner(b"x")}),
    "a class that is none": _archive(TRAINING, {"n99999999.tar": _inner(b"x")}),
    "a class archive of text": _archive(TRAINING, {"n01440764.tar": b"text"}),
    "validation images that nobody knows": _archive(VALIDATION, {"photo.JPEG": b"x"}),
}
OF_PLACES: dict[str, Prepare] = {
    "no images": remove(PLACES),
    "no lists": remove(LISTS),
    "images cut": cut(PLACES),
    "images cut late": cut(PLACES, 0.97),
    "images a few bytes short": cut(PLACES, 0.9995),
    "an image flipped": flip(PLACES, 0.4),
    "an image flipped early": flip(PLACES, 0.1),
    "the checksum flipped": flip(PLACES, 0.9999),
    "lists cut": cut(LISTS),
    "lists flipped": flip(LISTS),
    "empty images": write(PLACES, b""),
    "images of text": write(PLACES, "no archive"),
    "images that are a fifo": fifo(PLACES),
    "lists of nothing": _lists("", ""),
    "lists of noise": _lists(b"\xff\xfe\0\1"),
    "lists without labels": _lists("a/abbey/x.jpg\n"),
    "lists of large labels": _lists("a/abbey/x.jpg 205\n"),
    "lists of negative labels": _lists("a/abbey/x.jpg -1\n"),
    "lists of wide labels": _lists("a/abbey/x.jpg 99999999999999999999\n"),
    "lists that reach outside": _lists("../../../etc/passwd 0\n"),
    "lists of images that are not there": _lists("a/abbey/nowhere.jpg 0\n"),
    "lists by another name": _archive(LISTS, {"places.csv": b"a/abbey/x.jpg 0\n"}),
}
OF_SHARDS: dict[str, Prepare] = {
    "one cut": cut(SHARD),
    "one a few bytes short": cut(SHARD, 0.999),
    "one flipped": flip(SHARD),
    "one flipped at its end": flip(SHARD, 1.0),
    "one flipped at its beginning": flip(SHARD, 0.0),
    "one missing": remove(SHARD),
    "one empty": write(SHARD, b""),
    "one of text": write(SHARD, "no records\n" * 99),
    "one fifo": fifo(SHARD),
    "one directory": directory(SHARD),
    "one endless": link(SHARD, "/dev/zero"),
    "none to validate": remove("shards/validation-*"),
    "one of another count": lambda root: (root / SHARD).rename(
        root / "shards/train-00001-of-00006"
    ),
    "labels beyond the last": lambda root: miniatures.write_imagenet_tfrecords(
        root / "shards", first_label=2000
    ),
    "negative labels": lambda root: miniatures.write_imagenet_tfrecords(
        root / "shards", first_label=-2000
    ),
}
NAMES = ("mnists", "../images", "a" * 300, "mnist:9.9.9", "cifar10/none", "scenes/", "/")
SPLITS = ("train[", "train[5:2]", "train[:0]", "train[:200%]", "none", "train+none", "train[a:b]")


def trials() -> list[Trial]:
    """Damage is told in a line that names its file, and what was prepared of it is not used."""
    minutes = Conditions(seconds=150)
    found = [
        Trial(
            f"{data_set} with {name}",
            "data.prepare",
            (data_set, "--data_dir=prepared", "--manual_dir=archives", "--contact_sheet=x.png"),
            prepare=then(make, damage),
            absent=(f"prepared/{data_set}/[0-9]*/dataset_info.json", "images*", "../n0*"),
            conditions=minutes,
        )
        for data_set, make, damages in (
            ("imagenet2012", _imagenet, OF_IMAGENET),
            ("places205", _places, OF_PLACES),
        )
        for name, damage in damages.items()
    ]
    found += [
        Trial(
            f"{data_set} with images mended after they were cut",
            "data.prepare",
            (data_set, "--data_dir=prepared", "--manual_dir=archives", "--contact_sheet=x.png"),
            prepare=then(make, cut(archive)),
            corrected=(
                data_set,
                "--data_dir=prepared",
                "--manual_dir=archives",
                "--contact_sheet=x.png",
            ),
            repair=make,
            conditions=minutes,
        )
        for data_set, make, archive in (
            ("imagenet2012", _imagenet, TRAINING),
            ("places205", _places, PLACES),
        )
    ]
    found += [
        Trial(
            f"shards, {name}",
            "data.prepare",
            ("imagenet2012", "--data_dir=shards", "--verify_all", "--contact_sheet=x.png"),
            prepare=then(_shards, damage),
            conditions=Conditions(seconds=60),
        )
        for name, damage in OF_SHARDS.items()
    ]
    supervised = (*SMALL, "--task=supervised", "--epochs=0", "--data_dir=prepared", "--workdir=run")
    found += [
        Trial(
            f"data set {name[:20]}",
            "train",
            (*supervised, f"--dataset={name}"),
            absent=("run",),
        )
        for name in NAMES
    ]
    found += [
        Trial(
            f"split {split} of shards",
            "train",
            (*supervised, "--dataset=imagenet2012", "--data_dir=shards", f"--train_split={split}"),
            says="split",
            prepare=_shards,
            absent=("run",),
        )
        for split in SPLITS
    ]
    return found
