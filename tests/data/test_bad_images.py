"""Files of every kind that people's folders hold, against Pillow's idea of them."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageChops, ImageOps

import data
from data import exif, images, pipeline
from data.decoding import decode, is_truncated, open_image, ratio_of, rectangle
from data.unreadable import UnreadableImages

HEIGHT, WIDTH = 75, 102
SEED = tf.constant([3, 4], tf.int64)


def photograph(height: int = HEIGHT, width: int = WIDTH) -> Image.Image:
    """Smooth colours with some texture, no two corners alike."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    waves = np.stack([y, x, np.sin(9 * x + 5 * y) / 2 + 0.5], -1) * 200 + 20
    texture = np.random.default_rng(0).normal(0, 6, (height, width, 1))
    return Image.fromarray(np.clip(waves + texture, 0, 255).astype(np.uint8))


def encoded(image: Image.Image, form: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def shown(file: bytes) -> np.ndarray:
    """What Pillow shows of a file, upright."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(file)))
    return np.asarray(image.convert("RGB")).astype(int)


def segment(marker: int, body: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", 2 + len(body)) + body


def directory(order: str, entries: list[tuple[int, int, int, bytes]]) -> bytes:
    """The entries of a TIFF directory, without the offset of the next one."""
    packed = [struct.pack(order + "HHI", *entry[:3]) + entry[3] for entry in entries]
    return struct.pack(order + "H", len(entries)) + b"".join(packed)


def exif_segment(
    *directories: dict[int, int],
    big_endian: bool = False,
    thumbnail: bytes = b"",
    offset: int = 8,
) -> bytes:
    """Exif data of one or two directories: of each the values by tag, in the given order.

    The first directory is at the offset, behind the header and zeros.
    """
    order = ">" if big_endian else "<"
    tiff = (b"MM" if big_endian else b"II") + struct.pack(order + "HI", 42, offset)
    tiff += bytes(offset - len(tiff))
    for number, values in enumerate(directories, start=1):
        tiff += directory(
            order,
            [
                (tag, 3, 1, struct.pack(order + "HH", value, 0))
                if tag == exif.ORIENTATION_TAG
                else (tag, 2, 4, b"abc\0")
                for tag, value in values.items()
            ],
        )
        is_last = number == len(directories)
        tiff += struct.pack(order + "I", 0 if is_last else len(tiff) + 4)
    return segment(0xE1, b"Exif\0\0" + tiff + thumbnail)


def tagged(orientation: int, *, big_endian: bool = False, thumbnail: bool = False) -> bytes:
    """A JPEG whose Exif data follow a comment and a colour profile's segment."""
    plain = encoded(photograph(), "JPEG", quality=95)
    segments = segment(0xFE, b"hello") + segment(0xE2, bytes(3000))
    segments += b"\xff" + exif_segment(
        {0x010F: 0, exif.ORIENTATION_TAG: orientation},
        big_endian=big_endian,
        thumbnail=encoded(photograph(9, 12), "JPEG") if thumbnail else b"",
    )
    return plain[:2] + segments + plain[2:]


def with_segments(*segments: bytes, behind_jfif: bool = False) -> bytes:
    plain = encoded(photograph(), "JPEG", quality=95)
    at = 20 if behind_jfif else 2
    return plain[:at] + b"".join(segments) + plain[at:]


def orientations(big_endian: bool) -> dict[str, bytes]:
    """Exif data in the first directory, in a thumbnail's, and in other places."""
    tag, name, software = exif.ORIENTATION_TAG, 0x010F, 0x0131
    options = {"big_endian": big_endian}
    xmp = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>Exif</x:xmpmeta>")
    both = exif_segment({name: 0, tag: 3, software: 0}, {name: 0, tag: 6}, **options)
    thumbnails = exif_segment({name: 0, software: 0}, {name: 0, tag: 6}, **options)
    return {
        "behind JFIF": with_segments(both, behind_jfif=True),
        "behind XMP": with_segments(xmp, both),
        "a thumbnail's": with_segments(thumbnails),
        "a thumbnail's beside an empty directory": with_segments(
            exif_segment({}, {tag: 6}, **options)
        ),
        "behind other data": with_segments(exif_segment({name: 0, tag: 6}, offset=30, **options)),
        "at a far offset": with_segments(exif_segment({tag: 8}, offset=700, **options)),
        "in no order": with_segments(exif_segment({software: 0, tag: 6}, **options)),
        "out of range": with_segments(exif_segment({tag: 9}, **options)),
        "of 0": with_segments(exif_segment({tag: 0}, **options)),
        "of another image": with_segments() + with_segments(both),
    }


def without_adobe_segment(jpeg: bytes) -> bytes:
    """Which says that the inks are stored inverted."""
    at = jpeg.index(b"\xff\xee")
    return jpeg[:at] + jpeg[at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big") :]


def png(width: int, height: int, depth: int, kind: int, rows: bytes) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        checked = name + body
        return struct.pack(">I", len(body)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def sixteen_bit_png(colour: bool) -> tuple[bytes, np.ndarray]:
    """The file, and its upper bytes."""
    values = np.random.default_rng(1).integers(0, 65536, (8, 9, 3 if colour else 1))
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png(9, 8, 16, 2 if colour else 0, rows), np.broadcast_to(values >> 8, (8, 9, 3))


GOOD = {
    "jpeg": encoded(photograph(), "JPEG", quality=95),
    "jpeg 4:4:4": encoded(photograph(), "JPEG", subsampling=0),
    "jpeg 4:2:0": encoded(photograph(), "JPEG", subsampling=2),
    "jpeg progressive": encoded(photograph(), "JPEG", progressive=True),
    "jpeg grey": encoded(photograph().convert("L"), "JPEG"),
    "jpeg cmyk": encoded(photograph().convert("CMYK"), "JPEG", quality=95),
    "jpeg with bytes behind its end": encoded(photograph(), "JPEG") + bytes(33),
    "png": encoded(photograph(), "PNG"),
    "png grey": encoded(photograph().convert("L"), "PNG"),
    "png black and white": encoded(photograph().convert("1"), "PNG"),
    "png palette": encoded(photograph().quantize(50), "PNG"),
    "png palette of 4 bits": encoded(photograph().quantize(9), "PNG", transparency=2),
    "png grey with alpha": encoded(photograph().convert("LA"), "PNG"),
    "png with alpha": encoded(
        Image.merge("RGBA", (*photograph().split(), photograph().getchannel(0))), "PNG"
    ),
    "bmp": encoded(photograph(), "BMP"),
    "bmp grey": encoded(photograph().convert("L"), "BMP"),
    "bmp palette": encoded(photograph().quantize(60), "BMP"),
    "gif": encoded(photograph(), "GIF"),
    "gif animated": encoded(
        photograph(), "GIF", save_all=True, append_images=[photograph().rotate(180)]
    ),
    **{f"jpeg orientation {i}": tagged(i) for i in range(1, 9)},
    "jpeg orientation 6, big-endian": tagged(6, big_endian=True),
    "jpeg orientation 8, thumbnail": tagged(8, thumbnail=True),
    **{f"jpeg orientation {name}": file for name, file in orientations(False).items()},
    **{f"jpeg orientation {name}, big-endian": file for name, file in orientations(True).items()},
}


@pytest.fixture(scope="module")
def in_graph():
    """`decode` as tf.data runs it."""
    return tf.function(decode, input_signature=[tf.TensorSpec([], tf.string)])


@pytest.mark.parametrize("kind", GOOD)
def test_what_pillow_shows(kind, in_graph):
    expected = shown(GOOD[kind])
    pixels = in_graph(GOOD[kind]).numpy().astype(int)
    assert pixels.shape == expected.shape
    # Pillow's libjpeg is another build; CMYK is converted by different rounding.
    tolerance = 0 if not kind.startswith("jpeg") else 3 if "cmyk" in kind else 2
    assert np.abs(pixels - expected).max() <= tolerance
    np.testing.assert_array_equal(decode(GOOD[kind]), pixels)


def test_inks_that_are_not_stored_inverted(in_graph):
    """Without Adobe's segment; Pillow takes every file for Adobe's."""
    inverted = ImageChops.invert(photograph().convert("CMYK"))
    file = without_adobe_segment(encoded(inverted, "JPEG", quality=95))
    pixels = in_graph(file).numpy().astype(int)
    assert np.abs(pixels - shown(GOOD["jpeg cmyk"])).max() <= 12


@pytest.mark.parametrize("colour", [True, False])
def test_sixteen_bits_become_their_upper_eight(colour, in_graph):
    file, expected = sixteen_bit_png(colour)
    np.testing.assert_array_equal(in_graph(file), expected)


@pytest.mark.parametrize("kind", ["plain", "alpha", "animated", "animated, alpha"])
def test_webp_where_tensorflow_reads_it(kind, in_graph):
    picture = photograph()
    more = {}
    if "alpha" in kind:
        picture.putalpha(200)
    if "animated" in kind:
        more = {"save_all": True, "append_images": [picture.rotate(180)]}
    file = encoded(picture, "WEBP", lossless=True, **more)
    try:
        pixels = in_graph(file)
    except tf.errors.InvalidArgumentError:
        if tf.__version__ >= "2.21":
            raise
        pytest.skip("this TensorFlow does not read WebP")
    np.testing.assert_array_equal(pixels, shown(file))
    for view in (images.InceptionCrop(32), images.CentralCrop(40, 32), images.RandomCrop(0, 32)):
        assert view(tf.constant(file), SEED).shape == (32, 32, 3)


CUT_SHORT = ("jpeg", "jpeg 4:2:0", "jpeg progressive", "jpeg grey", "jpeg cmyk")


@pytest.mark.parametrize("kind", [*CUT_SHORT, "jpeg orientation 6", "jpeg orientation 3"])
@pytest.mark.parametrize("missing", [1, 2, 12])
def test_a_jpeg_that_lacks_its_last_bytes_is_decoded_as_far_as_it_goes(kind, missing, in_graph):
    file = GOOD[kind][:-missing]
    assert is_truncated(tf.constant(file))
    assert not is_truncated(tf.constant(GOOD[kind]))
    pixels, whole = in_graph(file).numpy(), in_graph(GOOD[kind]).numpy()
    changed = (pixels != whole).any(-1)
    if missing <= 2:
        assert not changed.any()
    assert changed.mean() < (0.3 if "progressive" in kind else 0.02)
    image = open_image(tf.constant(file))
    for ratio in (None, ratio_of(image, tf.constant([60, 50]), 16)):
        part = rectangle(image, tf.constant([9, 20]), tf.constant([60, 50]), ratio)
        np.testing.assert_array_equal(part, pixels[9:69, 20:70])


@pytest.mark.parametrize("kind", CUT_SHORT)
def test_a_jpeg_of_which_a_good_part_is_missing_is_not_read(kind, in_graph):
    file = GOOD[kind]
    scan = file.index(b"\xff\xda")
    for end in (b"", bytes(5000)):
        for part in (0.2, 0.6):
            beginning = file[: scan + int(part * (len(file) - scan))]
            if kind == "jpeg progressive":
                beginning = file[: scan + int(part / 2 * (len(file) - scan))]
            with pytest.raises(tf.errors.InvalidArgumentError, match="cut short"):
                in_graph(beginning + end)


def test_a_thumbnail_or_bytes_behind_the_end_are_no_damage():
    for kind in ("jpeg with bytes behind its end", "jpeg orientation 8, thumbnail", "png", "gif"):
        assert not is_truncated(tf.constant(GOOD[kind]))
    assert is_truncated(tf.constant(GOOD["jpeg orientation 8, thumbnail"][:-3]))
    for file in (b"", b"\xff", b"\xff\xd8\xff"):
        assert is_truncated(tf.constant(file)) == (len(file) == 3)


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize("sides", [(1, 1), (3, 2000), (2000, 3)])
def test_the_smallest_and_the_longest_images(sides, form):
    file = tf.constant(encoded(photograph(*sides), form))
    assert decode(file).shape == (*sides, 3)
    for view in (
        *(images.InceptionCrop(32), images.CentralCrop(40, 32), images.RandomCrop(40, 32)),
        images.Views(images.InceptionCrop(32), 2),
    ):
        assert view(file, SEED).shape[-3:] == (32, 32, 3)


@pytest.mark.parametrize("kind", [kind for kind in GOOD if kind.startswith("jpeg")])
def test_a_rectangle_is_that_of_the_whole_image(kind):
    whole = decode(GOOD[kind]).numpy()
    image = open_image(tf.constant(GOOD[kind]))
    assert image.height_width.numpy().tolist() == list(whole.shape[:2])
    random = np.random.default_rng(0)
    differences = []
    for _ in range(25):
        begin = [random.integers(0, side - 1) for side in whole.shape[:2]]
        size = [
            random.integers(1, side - at + 1) for side, at in zip(whole.shape, begin, strict=False)
        ]
        expected = whole[begin[0] : begin[0] + size[0], begin[1] : begin[1] + size[1]]
        window = tf.constant(begin, tf.int32), tf.constant(size, tf.int32)
        np.testing.assert_array_equal(rectangle(image, *window), expected)
        quick = rectangle(image, *window, ratio=tf.constant(1)).numpy().astype(int)
        differences.append(np.abs(quick - expected).max())
    assert max(differences) <= 12


@pytest.mark.parametrize("orientation", [1, 6, 7])
def test_a_large_rectangle_is_decoded_smaller(orientation):
    large = photograph(600, 801).resize((801, 600))
    tag = Image.Exif()
    tag[exif.ORIENTATION_TAG] = orientation
    file = encoded(large, "JPEG", exif=tag, quality=95)
    image = open_image(tf.constant(file))
    height_width = image.height_width.numpy()
    begin, size = tf.constant([31, 18]), tf.constant(height_width - [40, 33], tf.int32)
    for at_least in (64, 100, 280, 281, 600):
        chosen = ratio_of(image, size, at_least)
        assert int(chosen) == max(
            r for r in (1, 2, 4, 8) if min(size.numpy()) // r >= at_least or r == 1
        )
        pixels = rectangle(image, begin, size, chosen).numpy().astype(float)
        assert min(pixels.shape[:2]) >= min(at_least, *size.numpy())
        whole = shown(file)[31 : 31 + size[0], 18 : 18 + size[1]].astype(np.uint8)
        mean = np.asarray(Image.fromarray(whole).resize(pixels.shape[1::-1], Image.BOX), float)
        assert np.abs(pixels - mean).mean() < 3


def test_a_view_of_a_file_cut_off_below_it_is_no_view():
    """Or whether an image counts as unreadable would depend on the rectangle."""
    file = encoded(photograph(400, 400), "JPEG")
    with pytest.raises(tf.errors.InvalidArgumentError):
        open_image(tf.constant(file[: len(file) * 3 // 4]))


@pytest.mark.parametrize(
    "damage", [lambda t: t[:12], lambda t: t[:4] + b"\xff" * 4 + t[8:], lambda t: t[:9]]
)
def test_damaged_exif_data_leave_the_image_as_it_is(damage):
    good = tagged(6)
    at = good.index(b"Exif\0\0") + 6
    end = at - 8 + int.from_bytes(good[at - 8 : at - 6], "big")
    broken = damage(good[at:end])
    length = struct.pack(">H", 8 + len(broken))
    file = good[: at - 8] + length + b"Exif\0\0" + broken + good[end:]
    assert decode(file).shape == (HEIGHT, WIDTH, 3)


BAD = {
    "truncated.jpg": GOOD["jpeg"][: len(GOOD["jpeg"]) // 2],
    "header_only.jpg": GOOD["jpeg"][:20],
    "truncated_tagged.jpg": tagged(6)[:3040],
    "truncated.png": GOOD["png"][: len(GOOD["png"]) // 2],
    "truncated.gif": GOOD["gif"][:200],
    "truncated.bmp": GOOD["bmp"][:3000],
    "empty.jpg": b"",
    "empty.png": b"",
    "one_byte.jpg": b"\xff",
    "text.jpg": b"<html>404</html>",
    "tiff.jpg": encoded(photograph(), "TIFF"),
    "black_and_white.bmp": encoded(photograph().convert("1"), "BMP"),
    "damaged.png": GOOD["png"][:200] + bytes(99) + GOOD["png"][299:],
}
MISLABELLED = {
    "png.jpg": GOOD["png"],
    "jpeg.png": GOOD["jpeg"],
    "gif.jpeg": GOOD["gif"],
    "bmp.png": GOOD["bmp"],
    "cmyk.png": GOOD["jpeg cmyk"],
}


@pytest.mark.parametrize(
    "view", [images.InceptionCrop(32), images.CentralCrop(40, 32), images.RandomCrop(0, 32)]
)
def test_a_folder_of_all_of_them(tmp_path, view):
    for name, file in {**BAD, **MISLABELLED}.items():
        (tmp_path / name).write_bytes(file)
    for number, file in enumerate(GOOD.values()):
        (tmp_path / f"{number:02}.jpg").write_bytes(file)
    (tmp_path / "damaged.jpg").write_bytes(GOOD["jpeg"][:-1])
    records = data.load("folder", "all", str(tmp_path))
    unreadable = UnreadableImages()
    batches = list(
        pipeline.evaluation_batches(
            records, view, batch_size=16, unreadable=unreadable
        ).as_numpy_iterator()
    )
    assert set(unreadable.reasons) == set(BAD)
    assert unreadable.damaged == {"damaged.jpg"}
    assert unreadable.damage() == (
        "1 image is damaged and used as far as the file goes: damaged.jpg"
    )
    assert all(reason and "\n" not in reason for reason in unreadable.reasons.values())
    assert unreadable.reasons["text.jpg"].startswith("Unknown image file format")
    assert unreadable.reasons["empty.jpg"] == "Input is empty"
    valid = np.concatenate([batch["valid"] for batch in batches])[: records.size]
    names = [entry["id"].decode() for entry in records.entries().as_numpy_iterator()]
    assert {name for name, good in zip(names, valid, strict=True) if not good} == set(BAD)


def test_too_many_unreadable_images(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"")
    for number in range(9):
        (tmp_path / f"{number}.png").write_bytes(GOOD["png"])
    records = data.load("folder", "all", str(tmp_path))
    unreadable = UnreadableImages()
    list(
        pipeline.evaluation_batches(
            records, images.CentralCrop(0, 8), batch_size=5, unreadable=unreadable
        )
    )
    unreadable.check(records, 0.1)
    message = r"1 of the 10 images .* \(10.0%\) .* --max_bad_fraction=0.05 allows; .* a.jpg \("
    with pytest.raises(ValueError, match=message):
        unreadable.check(records, 0.05)
