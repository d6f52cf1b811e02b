"""Flags of explore.py, and what it finds from an earlier start."""

import pathlib
import shutil

from tests.bad_inputs.damage import cut, directory, then, write
from tests.bad_inputs.stock import images, network
from tests.bad_inputs.trial import Prepare, Trial

EXPLORE = (
    "--saved_model=network/saved_model",
    "--batch_size=8",
    "--layers=pre_logits",
    "--data_dir=images",
    "--workdir=explored",
)
# Told before anything is opened,
AT_ONCE = {
    "max_images": ("1", "x"),
    "view_images": ("1",),
    "seed": ("-1",),
    "strategy": ("multi_worker",),
    "workdir": ("", "images/a/000.jpg", "gs://bucket/x"),
    "saved_model": ("", "images"),
}
# and what depends on the network or the images.
LATER = {
    "baseline": ("nowhere", "images"),
    "layers": ("block7", ""),
    "embeddings": ("block4", "pre_logits,pre_logits"),
    "queries": ("nowhere.jpg", "images", ","),
    "split": ("half", ""),
    "data_dir": ("nowhere", ""),
    "crop_size": ("100",),
}
DAMAGED: dict[str, Prepare] = {
    "no description": lambda root: shutil.rmtree(root / "network/saved_model/assets"),
    "a card that is not text": write("network/saved_model/README.md", b"\xff\xfe"),
    "a directory for the page": directory("explored/explore.html"),
    "a directory for the table": directory("explored/files.csv"),
}


def trials() -> list[Trial]:
    """Wrong values leave nothing behind; a description that is missing is no error."""
    found = [
        Trial(
            f"explore --{flag}={value}",
            "explore",
            (*EXPLORE, f"--{flag}={value}"),
            prepare=prepare,
            absent=("explored/explore.html",),
            quick=quick,
        )
        for quick, prepare, wrong in (
            (True, then(images, write("network/saved_model/x", "")), AT_ONCE),
            (False, network, LATER),
        )
        for flag, values in wrong.items()
        for value in values
    ]
    found += [
        Trial("explore without a word", "explore", (), quick=True),
        Trial(
            "explore a description cut",
            "explore",
            EXPLORE,
            prepare=then(network, cut("network/saved_model/assets/backbone.json")),
        ),
        Trial(
            "explore one image",
            "explore",
            EXPLORE,
            prepare=then(network, _one_image),
        ),
        Trial(
            "explore images without labels",
            "explore",
            EXPLORE,
            refused=False,
            prepare=then(network, lambda root: images(root, classes=(".",))),
        ),
        Trial(
            "explore a damaged image",
            "explore",
            EXPLORE,
            refused=False,
            says="could not be read|damaged",
            prepare=then(network, write("images/a/000.jpg", b"no picture")),
        ),
    ]
    found += [
        Trial(
            f"explore {name}",
            "explore",
            EXPLORE,
            refused=None,
            prepare=then(network, make),
        )
        for name, make in DAMAGED.items()
    ]
    return found


def _one_image(root: pathlib.Path) -> None:
    for path in list((root / "images").glob("*/*.jpg"))[1:]:
        path.unlink()
