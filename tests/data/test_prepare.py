import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from data import inspection
from data.contact_sheet import contact_sheet
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


def test_other_data_sets_and_what_can_be_wrong(root):
    sheet = f"--contact_sheet={root / 'sheets' / 'other.png'}"
    shards = f"--data_dir={root / 'shards'}"
    photos = f"--data_dir={root / 'photos'}"
    cases = [
        ("OK", ["imagenet2012", shards, sheet, "--sample=5"]),
        ("OK", ["folder", photos, sheet]),
        (
            "OK",
            [
                "imagenet2012",
                f"--data_dir={root / 'new'}",
                f"--manual_dir={root / 'archives'}",
                sheet,
            ],
        ),
        ("is a TFRecords already", ["imagenet2012", shards, "--manual_dir=somewhere", sheet]),
        ("name one data set: python -m data.prepare NAME", [shards]),
        ("name one data set", ["imagenet2012", "folder", shards]),
        ("--sample=0: use at least 1", ["folder", photos, "--sample=0"]),
        ("would become an image", ["folder", photos, f"--contact_sheet={root}/photos/a/b.png"]),
        ("--sample=1000000: use at least", ["folder", photos, "--sample=1000000"]),
        (f"--contact_sheet={root} cannot be", ["folder", photos, f"--contact_sheet={root}"]),
        (
            "0.jpg is not a directory",
            ["folder", photos, f"--contact_sheet={root}/photos/0.jpg/a.png"],
        ),
        (
            "--contact_sheet=hdfs://a: the installed TensorFlow",
            ["folder", photos, "--contact_sheet=hdfs://a"],
        ),
        (
            "--manual_dir=nothing is not a directory",
            ["places205", f"--data_dir={root / 'x'}", "--manual_dir=nothing", sheet],
        ),
        ("unknown data set imagnet", ["imagnet", photos, sheet]),
        ("is not a directory", ["folder", f"--data_dir={root / 'nothing'}", sheet]),
        (
            "train_places205.csv is missing",
            ["places205", f"--data_dir={root / 'x'}", f"--manual_dir={root / 'photos'}", sheet],
        ),
    ]
    found = command_line.errors("data.prepare", [arguments for _, arguments in cases])
    for (expected, arguments), error in zip(cases, found, strict=True):
        assert expected in error, f"{arguments}: {error!r} should say {expected!r}"
        assert "|" not in error, "one line"
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
