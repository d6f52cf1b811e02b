"""Prepares a data set, or verifies a prepared one.

    python -m data.prepare places205 --data_dir=DIR --manual_dir=ARCHIVES

prints the four splits and their sizes, decodes some images of each (all, with --verify_all) and
draws a contact sheet. TFRecords, folders and data sets that are already prepared are only verified.
"""

from training import quiet  # noqa: F401, I001 (before anything that imports TensorFlow)

import dataclasses
import re

from etils import epath

import data
from data import builders, contact_sheet, imagenet, inspection, splits
from data.records import Records
from training import command_line, options
from training.options import option

COLUMNS = 8


@dataclasses.dataclass(frozen=True)
class PrepareOptions:
    """Which data set is prepared or verified, and how thoroughly."""

    data_dir: str | None = option(
        None, "The folder, ImageNet's directory, or TFDS' data directory.", path=True
    )
    manual_dir: str | None = option(
        None,
        "The archives that cannot be downloaded; downloads/manual in --data_dir by default.",
        path=True,
    )
    sample: int = option(
        32, "Images of train, val and test to decode and show.", minimum=1, maximum=10_000
    )
    verify_all: bool = option(False, "Decode all images.")
    contact_sheet: str | None = option(
        None, "The PNG to write; NAME_contact_sheet.png by default.", path=True
    )


options.define(PrepareOptions)


def main(argv: list[str]) -> None:
    # ---------------------------------------------------------------- flags
    if len(argv) != 2:
        raise ValueError(
            "name one data set: python -m data.prepare NAME --data_dir=DIR, with folder, scenes, "
            "imagenet2012, places205 or a TFDS name"
        )
    name = argv[1]
    config = options.read(PrepareOptions)
    sheet = contact_sheet.output_path(
        config.contact_sheet or f"{re.sub('[/:]', '_', name)}_contact_sheet.png",
        flag="contact_sheet",
        images=config.data_dir if name == "folder" else None,
    )

    # ---------------------------------------------------------------- preparation
    layout = layout_of(name, config.data_dir)
    if layout == "TFDS":
        if config.manual_dir and not epath.Path(config.manual_dir).is_dir():
            raise ValueError(f"--manual_dir={config.manual_dir} is not a directory with archives")
        builders.prepared(name, config.data_dir, config.manual_dir)
    elif config.manual_dir:
        raise ValueError(f"--manual_dir: {name} in {config.data_dir} is a {layout} already")
    print(f"{name} ({layout}) in {config.data_dir or 'the default directory of TFDS'}")

    # ---------------------------------------------------------------- verification
    opened, problems = open_splits(name, config.data_dir)
    found = {}
    for split, records in opened.items():
        line = f"{split:8} {records.size:>9} images, {records.num_classes or 'no'} classes"
        if split == "trainval":
            print(line)  # It consists of train and val.
            continue
        at_most = None if config.verify_all else config.sample
        found[split] = inspection.inspect(records, at_most, config.sample)
        print(f"{line}; {summary(found[split], records)}")

    # ---------------------------------------------------------------- contact sheet
    write_contact_sheet(sheet, opened, found)
    print(f"{sheet}")
    if problems:
        raise ValueError("; ".join(problems))


def layout_of(name: str, data_dir: str | None) -> str:
    """The layout of a data set: `folder`, or as `data.imagenet.find_layout` says."""
    if name == "folder":
        return "folder"
    return imagenet.find_layout(data_dir) if name.split(":")[0] == imagenet.NAME else "TFDS"


def open_splits(name: str, data_dir: str | None) -> tuple[dict[str, Records], list[str]]:
    """The splits by name, and the errors of those that cannot be opened."""
    opened, problems = {}, []
    for split in splits.NAMES:
        try:
            opened[split] = data.load(name, split, data_dir)
        except ValueError as error:
            problems.append(str(error))
    if not opened:
        raise ValueError(problems[0])
    return opened, problems


def summary(found: inspection.Inspection, records: Records) -> str:
    """What was found in a split, in one line."""
    bad = len(found.unreadable.reasons)
    if not bad:
        text = f"{found.looked_at} decoded"
    else:
        text = f"{found.looked_at - bad} of {found.looked_at} decoded; {found.unreadable.summary()}"
    if found.unreadable.damaged:
        text += f"; {found.unreadable.damage()}"
    if records.num_classes and found.looked_at == records.size:
        text += f"; {found.of_class.min()} to {found.of_class.max()} per class"
    return text


def write_contact_sheet(
    path: epath.Path, opened: dict[str, Records], found: dict[str, inspection.Inspection]
) -> None:
    """Draws the sample of each split, with its split and class below each picture."""
    pictures, captions = [], []
    for split, inspected in found.items():
        names = opened[split].class_names
        for picture, label in zip(inspected.thumbnails, inspected.labels, strict=True):
            pictures.append(picture)
            captions.append(f"{split} {names[label]}" if names else split)
    if not pictures:
        raise ValueError(f"no image can be decoded; {found['train'].unreadable.summary()}")
    sheet = contact_sheet.contact_sheet(pictures, COLUMNS, captions=captions)
    contact_sheet.write(sheet, path, flag="contact_sheet")


if __name__ == "__main__":
    command_line.run("data.prepare", main)
