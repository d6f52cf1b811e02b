"""Folders of images as people have them, and some that nobody should have."""

import io
import os
import pathlib

import numpy as np
from PIL import Image

from tests.bad_inputs.damage import (
    cut,
    directory,
    fifo,
    flip,
    link,
    remove,
    then,
    unix_socket,
    write,
)
from tests.bad_inputs.forks import Conditions
from tests.bad_inputs.stock import TRAIN, images
from tests.bad_inputs.trial import Prepare, Trial

ALL = (*TRAIN, "--train_split=all", "--val_split=test")
VERIFY = ("folder", "--data_dir=images", "--verify_all", "--contact_sheet=sheet.png")


def _picture(mode: str = "RGB", size: tuple[int, int] = (48, 40), **save: object) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], 4), dtype=np.uint8)
    picture = Image.fromarray(pixels).convert(mode) if mode != "I;16" else Image.new(mode, size)
    encoded = io.BytesIO()
    picture.save(encoded, **save)
    return encoded.getvalue()


def _animation() -> bytes:
    frames = [Image.new("RGB", (48, 40), (shade, 0, 0)) for shade in (0, 99, 199)]
    encoded = io.BytesIO()
    frames[0].save(encoded, format="GIF", save_all=True, append_images=frames[1:])
    return encoded.getvalue()


def _named(name: bytes) -> Prepare:
    def prepare(root: pathlib.Path) -> None:
        path = os.path.join(os.fsencode(root / "images" / "a"), name)
        with open(path, "wb") as file:
            file.write(_picture(format="JPEG"))

    return prepare


def _unclean(root: pathlib.Path) -> None:
    for number, name in enumerate(("$a^{_", "b\\c", "d\ne", "[f]*?", " ü 写真", "-g", "'\"")):
        images(root, count=2, classes=(name,))
        (root / "images" / name / f"{number}.jpg").write_bytes(_picture(format="JPEG"))


# One odd file among forty good ones: left out or read, and no more.
ODD_FILES: dict[str, Prepare] = {
    "text.jpg": write("images/a/text.jpg", "no image"),
    "empty.jpg": write("images/a/empty.jpg", b""),
    "zeros.png": write("images/a/zeros.png", bytes(1000)),
    "cut.jpg": cut("images/a/000.jpg"),
    "a byte short": cut("images/a/000.jpg", 0.999),
    "flipped.jpg": flip("images/a/000.jpg"),
    "fifo.jpg": fifo("images/a/fifo.jpg"),
    "socket.jpg": unix_socket("images/a/socket.jpg"),
    "directory.jpg": directory("images/a/directory.jpg"),
    "device.jpg": link("images/a/zero.jpg", "/dev/zero"),
    "random.jpg": link("images/a/random.jpg", "/dev/urandom"),
    "process.jpg": link("images/a/process.jpg", "/proc/self/mem"),
    "broken link": link("images/a/link.jpg", "nowhere.jpg"),
    "link to itself": link("images/a/link.jpg", "link.jpg"),
    "parent link": link("images/a/up", ".."),
    "two parent links": then(link("images/a/up", ".."), link("images/b/up", "..")),
    "root link": link("images/a/root", "{tmp}"),
    "not utf-8": _named(b"\xff\xfe.jpg"),
    "newline": _named(b"new\nline.jpg"),
    "blank": _named(" ü 写真.jpg".encode()),
    "pattern": _named(b"[a]*?.jpg"),
    "long name": _named(b"x" * 251 + b".jpg"),
    "cmyk": write("images/a/cmyk.jpg", _picture("CMYK", format="JPEG")),
    "grey": write("images/a/grey.jpg", _picture("L", format="JPEG")),
    "progressive": write("images/a/p.jpg", _picture(format="JPEG", progressive=True)),
    "palette": write("images/a/palette.png", _picture("P", format="PNG")),
    "alpha": write("images/a/alpha.png", _picture("RGBA", format="PNG")),
    "sixteen bits": write("images/a/deep.png", _picture("I;16", format="PNG")),
    "gif": write("images/a/gif.gif", _picture("P", format="GIF")),
    "animation": write("images/a/animation.gif", _animation()),
    "bmp": write("images/a/bmp.bmp", _picture(format="BMP")),
    "webp": write("images/a/webp.webp", _picture(format="WEBP")),
    "tiff": write("images/a/tiff.tiff", _picture(format="TIFF")),
    "png named jpg": write("images/a/png.jpg", _picture(format="PNG")),
    "one pixel": write("images/a/one.png", _picture(size=(1, 1), format="PNG")),
    "narrow": write("images/a/narrow.png", _picture(size=(3, 2000), format="PNG")),
    "huge header": write(
        "images/a/huge.png",
        _picture(format="PNG").replace((48).to_bytes(4, "big"), (10**9).to_bytes(4, "big"), 1),
    ),
    "trailing": write("images/a/trailing.jpg", _picture(format="JPEG") + bytes(99)),
    "apple": write("images/a/._000.jpg", b"\0\5\x16\7"),
    "thumbs": write("images/a/Thumbs.db", b"thumbs"),
    "a run inside": write("images/c/flags.cfg", "--task=rotation\n"),
    "odd class names": _unclean,
    "class names that differ in case": lambda root: images(root, count=4, classes=("A",)),
}
# Those that a whole training reads too: one might hang where the others are not reached.
MAY_HANG = (
    "fifo.jpg",
    "socket.jpg",
    "device.jpg",
    "random.jpg",
    "process.jpg",
    "two parent links",
)
# Folders that cannot be trained on.
BAD_FOLDERS: dict[str, Prepare] = {
    "nothing": directory("images"),
    "a file": write("images", "no folder"),
    "a fifo": fifo("images"),
    "a device": link("images", "/dev/zero"),
    "no images": write("images/a/readme.txt", "text"),
    "only tiff": write("images/a/tiff.tiff", _picture(format="TIFF")),
    "all broken": then(images, write("images/*/*.jpg", "broken")),
    "all empty": then(images, write("images/*/*.jpg", b"")),
    "one image": lambda root: images(root, count=1),
    "five images": lambda root: images(root, count=5),
    "half broken": then(images, write("images/a/*.jpg", "broken")),
    "only fifos": then(images, remove("images/*"), fifo("images/a/x.jpg")),
    "loop": then(directory("images"), link("images/a", "b"), link("images/b", "a")),
    "link to itself": link("images", "images"),
}
# What is broken everywhere is only found when it is read.
READ = ("all broken", "all empty", "half broken")


def trials() -> list[Trial]:
    """Odd files are left out or read; folders without images are refused."""
    minute = Conditions(seconds=60)
    found = [
        Trial(
            f"folder with {name}",
            "data.prepare",
            VERIFY,
            refused=False,
            prepare=then(images, make),
            conditions=minute,
        )
        for name, make in ODD_FILES.items()
    ]
    # Three of forty are one too many for the images to be broken by chance.
    harmless = [make for name, make in ODD_FILES.items() if name not in MAY_HANG]
    found += [
        Trial(
            "training on a folder with all that is harmless",
            "train",
            (*ALL, "--max_bad_fraction=0.5"),
            refused=False,
            prepare=then(images, *harmless),
        ),
        Trial(
            "training on a folder with all that may hang",
            "train",
            ALL,
            refused=False,
            prepare=then(images, *(ODD_FILES[name] for name in MAY_HANG)),
        ),
    ]
    found += [
        Trial(
            f"folder of {name}",
            "train",
            ALL,
            prepare=make,
            absent=("run/saved_model",) if name in READ else ("run",),
            quick=name not in READ,
            conditions=minute,
        )
        for name, make in BAD_FOLDERS.items()
    ]
    supervised = (*TRAIN, "--task=supervised", "--epochs=0")
    found += [
        Trial(
            "one image per micro-batch and one broken",
            "train",
            (*ALL, "--batch_size=4", "--gradient_accumulation=4"),
            refused=False,
            prepare=then(images, write("images/a/000.jpg", "broken")),
        ),
        Trial(
            "all broken, any fraction allowed",
            "train",
            (*ALL, "--max_bad_fraction=1"),
            prepare=BAD_FOLDERS["all broken"],
            absent=("run/saved_model",),
        ),
        Trial(
            "supervised with one class",
            "train",
            supervised,
            prepare=lambda root: images(root, classes=("a",)),
            quick=True,
        ),
        Trial(
            "supervised without labels",
            "train",
            supervised,
            prepare=lambda root: images(root, classes=(".",)),
            quick=True,
        ),
        Trial(
            "overlapping splits",
            "train",
            (*TRAIN, "--train_split=all", "--val_split=val"),
            refused=False,
            says="(?i)overlap|both|among|also",
            prepare=images,
        ),
        Trial(
            "data_dir by file://",
            "train",
            (*supervised, "--data_dir=file://{tmp}/images"),
            refused=False,
            prepare=images,
        ),
        Trial(
            "wrong crop, then right",
            "train",
            (*TRAIN, "--crop_size=44", "--resize_size=0"),
            prepare=images,
            corrected=(*TRAIN, "--epochs=0"),
        ),
        Trial(
            "broken images, then mended",
            "train",
            TRAIN,
            prepare=then(images, write("images/a/*.jpg", "broken")),
            corrected=TRAIN,
            repair=images,
        ),
    ]
    return found
