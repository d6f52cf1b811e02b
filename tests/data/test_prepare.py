import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from data import inspection
from data.contact_sheet import contact_sheet, stacked
from tests import command_line
from tests.data import miniatures


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The miniatures in all layouts, and a folder with one broken image."""
    root = tmp_path_factory.mktemp("prepare")
    miniatures.write_imagenet_archives(root / "archives")
    miniatures.write_imagenet_tfrecords(root / "shards")
    miniatures.write_places_archives(root / "places")
    for number in range(30):
        miniatures.write(root / "photos" / f"{number}.jpg", miniatures.jpeg(number))
    miniatures.write(root / "photos" / "broken.jpg", b"no image")
    return root


def test_prepares_and_verifies(root):
    result = command_line.run(
        "data.prepare",
        "places205",
        f"--data_dir={root / 'tfds'}",
        f"--manual_dir={root / 'places'}",
        f"--contact_sheet={root / 'sheets' / 'places.png'}",
        "--verify_all",
    )
    lines = result.stdout.splitlines()
    assert any(
        line.startswith("train           58 images, 205 classes; 57 of 58") for line in lines
    )
    assert "val              6 images, 205 classes; 6 decoded; 0 to " in result.stdout
    assert "trainval        64 images, 205 classes" in lines
    assert "test            16 images, 205 classes; 16 decoded; 0 to 4 per class" in lines
    with Image.open(root / "sheets" / "places.png") as sheet:
        assert sheet.format == "PNG"
        assert sheet.width > 8 * inspection.THUMBNAIL
    assert "oneDNN" not in result.stderr


SHEET = "--contact_sheet={root}/sheets/other.png"
SHARDS = "--data_dir={root}/shards"
PHOTOS = "--data_dir={root}/photos"
CASES = {
    "TFRecords": ("OK", ["imagenet2012", SHARDS, SHEET, "--sample=5"]),
    "a folder": ("OK", ["folder", PHOTOS, SHEET]),
    "archives": (
        "OK",
        ["imagenet2012", "--data_dir={root}/new", "--manual_dir={root}/archives", SHEET],
    ),
    "archives of what is prepared": (
        "is a TFRecords already",
        ["imagenet2012", SHARDS, "--manual_dir=somewhere", SHEET],
    ),
    "no name": ("name one data set: python -m data.prepare NAME", [SHARDS]),
    "two names": ("name one data set", ["imagenet2012", "folder", SHARDS]),
    "no sample": ("--sample=0: use a whole number from 1", ["folder", PHOTOS, "--sample=0"]),
    "a large sample": (
        "--sample=1000000: use a whole number from 1 to 10000",
        ["folder", PHOTOS, "--sample=1000000"],
    ),
    "a sheet among the images": (
        "would become an image",
        ["folder", PHOTOS, "--contact_sheet={root}/photos/a/b.png"],
    ),
    "a directory for a sheet": (
        "--contact_sheet={root} cannot be",
        ["folder", PHOTOS, "--contact_sheet={root}"],
    ),
    "a sheet below a file": (
        "0.jpg is not a directory",
        ["folder", PHOTOS, "--contact_sheet={root}/photos/0.jpg/a.png"],
    ),
    "a sheet at an unknown store": (
        "--contact_sheet=hdfs://a: the installed TensorFlow",
        ["folder", PHOTOS, "--contact_sheet=hdfs://a"],
    ),
    "no directory of archives": (
        "--manual_dir=nothing is not a directory",
        ["places205", "--data_dir={root}/x", "--manual_dir=nothing", SHEET],
    ),
    "an unknown data set": ("unknown data set imagnet", ["imagnet", PHOTOS, SHEET]),
    "no folder": ("is not a directory", ["folder", "--data_dir={root}/nothing", SHEET]),
    "archives that are missing": (
        "train_places205.csv is missing",
        ["places205", "--data_dir={root}/x", "--manual_dir={root}/photos", SHEET],
    ),
}


@pytest.fixture(scope="module")
def endings(root):
    """How each case ends; one process for all of them, because it imports TensorFlow."""
    command_lines = [[each.format(root=root) for each in line] for _, line in CASES.values()]
    return dict(zip(CASES, command_line.errors("data.prepare", command_lines), strict=True))


@pytest.mark.parametrize("case", CASES)
def test_other_data_sets_and_what_can_be_wrong(case, root, endings):
    assert CASES[case][0].format(root=root) in endings[case]
    assert "|" not in endings[case], "one line"


def test_what_other_data_sets_leave(root, endings):
    assert endings
    assert (root / "sheets" / "other.png").exists()
    assert (root / "new" / "imagenet2012").exists()


def test_thumbnails_show_the_whole_image():
    pixels = np.full((20, 40, 3), 100, np.uint8)
    encoded = tf.io.encode_png(pixels)
    thumbnail = inspection.Thumbnail(64)(encoded, tf.constant([0, 0])).numpy()
    assert thumbnail.shape == (64, 64, 3)
    np.testing.assert_array_equal(thumbnail[17:47], 100)
    np.testing.assert_array_equal(thumbnail[:16], 255)


def test_a_contact_sheet_has_a_place_for_each_picture():
    pictures = [Image.new("RGB", (30, 20), (10 * n, 0, 0)) for n in range(5)]
    sheet = np.asarray(contact_sheet(pictures, 2, captions=["a", "b", "c" * 100, "d", "e"]))
    reds = {int(value) for value in np.unique(sheet[..., 0][(sheet[..., 1:] == 0).all(axis=-1)])}
    assert {0, 10, 20, 30, 40} <= reds
    assert sheet.shape[1] == 2 * 34 + 4


def test_captions_in_lines_and_colours_below_a_title():
    pictures = [Image.new("RGB", (60, 20))] * 3
    plain = contact_sheet(pictures, 2, captions=["a", "b", "c"])
    more = contact_sheet(
        pictures, 2, captions=["a\nx", "b", "c"], colours=["red", "black", "black"], title="t"
    )
    assert more.height - plain.height == 20 + 2 * 13, "the title, and a line more in two rows"
    sheet = np.asarray(more).astype(int)
    red = np.argwhere((sheet[..., 0] > 200) & (sheet[..., 1:] < 100).all(axis=-1))
    assert len(red)
    assert red[:, 1].max() < 64, "only below the first picture"
    both = stacked([plain, more])
    assert both.size == (plain.width, plain.height + more.height)
