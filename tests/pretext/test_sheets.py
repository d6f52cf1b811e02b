"""What is drawn is what the network sees, and what it answers."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import pretext
from pretext import sheets, tiles
from tests.pretext import tiny

OPTIONS = pretext.TaskOptions(
    resize_size=40,
    crop_size=36,
    augmentation="crop",
    embedding_size=16,
    patch_size=10,
    permutations=20,
    permutations_per_image=3,
    views_per_image=4,
    class_names=tuple("abcde"),
)
ENLARGED = 4  # 36 pixels
PLACES = {
    "above left": (0, 0),
    "above": (0, 1),
    "above right": (0, 2),
    "left": (1, 0),
    "right": (1, 2),
    "below left": (2, 0),
    "below": (2, 1),
    "below right": (2, 2),
}


@pytest.fixture
def drawn(monkeypatch):
    """The arguments of every grid that is drawn, its pictures in the size that they had."""
    grids = []
    arrange = sheets.contact_sheet

    def noted(pictures, columns, **others):
        grids.append({"pictures": pictures, "columns": columns, **others})
        return arrange(pictures, columns, **others)

    monkeypatch.setattr(sheets, "contact_sheet", noted)
    return grids


def make(name: str) -> tuple[pretext.PretextTask, dict]:
    task = pretext.build(name, OPTIONS)
    return task, tiny.batch(task, views=4 if name == "exemplar" else 0)


def pixels(picture: Image.Image, enlarged: int = ENLARGED) -> np.ndarray:
    return np.asarray(picture)[::enlarged, ::enlarged]


def patches(picture: Image.Image) -> np.ndarray:
    """(3, 3, 10, 10, 3): what stands in the places of a board, enlarged threefold."""
    starts = [tiles.BORDER + index * (10 + tiles.GAP) for index in range(3)]
    board = pixels(picture, 3)
    return np.stack([[board[y : y + 10, x : x + 10] for x in starts] for y in starts])


def test_rotation(drawn):
    task, batch = make("rotation")
    sheets.batch_sheet(task, batch)
    (grid,) = drawn
    assert grid["columns"] == 8
    assert grid["captions"] == ["0°", "90°", "180°", "270°"] * 4
    assert "with values from -1 to 1" in grid["title"]
    for number, picture in enumerate(grid["pictures"]):
        image = batch["image"][number // 4].numpy()
        np.testing.assert_array_equal(pixels(picture), np.rot90(image, number % 4))


def test_supervised(drawn):
    task, batch = make("supervised")
    sheets.batch_sheet(task, batch)
    assert drawn[0]["captions"] == ["abcde"[label] for label in batch["label"].numpy()]
    for picture, image in zip(drawn[0]["pictures"], batch["image"].numpy(), strict=True):
        np.testing.assert_array_equal(pixels(picture), image)


def test_exemplar_shows_grey_and_standardisation(drawn):
    task, batch = make("exemplar")
    sheets.batch_sheet(task, batch)
    (grid,) = drawn
    assert grid["captions"][:5] == [*(f"image 0, view {n}" for n in range(4)), "image 1, view 0"]
    views = task.views(batch, training=True)[0]["images"].numpy()
    grey = 0
    for picture, view in zip(grid["pictures"], views, strict=True):
        shown = pixels(picture).astype(float)
        inside = abs(view) < tiles.DEVIATIONS
        np.testing.assert_allclose(
            shown[inside], 127.5 + view[inside] * 127.5 / tiles.DEVIATIONS, atol=0.51
        )
        grey += (shown == shown[..., :1]).all()
    assert 0 < grey < len(views)


def test_jigsaw_shows_the_patches_in_the_order_that_is_written_below(drawn):
    task, batch = make("jigsaw")
    sheets.batch_sheet(task, batch)
    (grid,) = drawn
    assert grid["columns"] == 2 * 4
    for image in range(4):
        row = slice(4 * image, 4 * image + 4)
        pictures, captions = grid["pictures"][row], grid["captions"][row]
        assert captions[0] == "patches 0 to 8, in place"
        in_place = patches(pictures[0]).reshape(9, -1)
        assert len(np.unique(in_place, axis=0)) == 9
        for picture, caption in zip(pictures[1:], captions[1:], strict=True):
            name, order = caption.split("\n")
            order = [int(number) for number in order.split()]
            assert order == task.permutations[int(name.removeprefix("permutation "))].tolist()
            np.testing.assert_array_equal(patches(picture).reshape(9, -1), in_place[order])


def test_relative_patch_location_shows_two_patches_where_they_lie(drawn):
    task, batch = make("relative_patch_location")
    sheets.batch_sheet(task, batch)
    (grid,) = drawn
    assert grid["captions"] == ["patches 0 to 8, in place", *PLACES] * 4
    for image in range(4):
        whole, *pairs = map(patches, grid["pictures"][9 * image : 9 * image + 9])
        for pair, place in zip(pairs, PLACES.values(), strict=True):
            expected = np.full_like(whole, tiles.EMPTY)
            for shown in ((1, 1), place):
                expected[shown] = whole[shown]
            np.testing.assert_array_equal(pair, expected)


def test_places_in_a_larger_grid_say_how_far():
    options = pretext.TaskOptions(64, 60, patch_size=10, patches_per_side=5)
    task = pretext.build("relative_patch_location", options)
    assert task.named(0) == "2 above, 2 left"
    assert task.named(11) == "1 left"
    assert task.named(12) == "1 right"
    assert task.named(23) == "2 below, 2 right"


def test_answers_of_a_softmax(drawn):
    """Of four images the last fills up; the second is taken for 270° whatever its turn is."""
    task, batch = make("rotation")
    batch |= {"valid": tf.constant([1.0, 1.0, 1.0, 0.0])}
    logits = np.zeros((4, 4, 4), np.float32)
    logits[:, range(4), range(4)] = 50.0
    logits[1] = np.log([0.1, 0.1, 0.1, 0.7])
    logits[2, 0] = np.log([0.04, 0.9, 0.03, 0.03])

    def ask(batch):
        return *task.views(batch, training=False), tf.constant(logits.reshape(16, 4))

    sheets.answers_sheet(task, ask, [batch], "photos")
    answers, mistakes = drawn
    assert answers["captions"] == ["0°\n0°, 100%", "90°\n270°, 70%", "180°\n180°, 100%"]
    assert answers["colours"] == [sheets.RIGHT, sheets.WRONG, sheets.RIGHT]
    assert "3 images of photos, 66.7% of 12 right (chance 0.25);" in answers["title"]
    assert mistakes["captions"] == ["0°\n90°, 90%", "0°\n270°, 70%"]
    np.testing.assert_array_equal(pixels(mistakes["pictures"][0]), batch["image"][2].numpy())


def test_answers_of_exemplar_stand_beside_what_they_compare(drawn):
    """Two views of three images: the second view of image 0 lies closer to image 2's first."""
    task = pretext.build("exemplar", OPTIONS)
    batch = tiny.batch(task, images=3, views=2)
    angles = np.array([0.0, 0.5, 2.0, 2.1, 0.8, 1.0])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    def ask(batch):
        return *task.views(batch, training=False), tf.constant(embeddings)

    sheets.answers_sheet(task, ask, [batch], "photos")
    inputs = task.views(batch, training=False)[0]["images"].numpy()
    answers, mistakes = drawn
    assert "83.3% of 6 right" in answers["title"]
    assert mistakes["captions"] == ["image 0, view 1\ncosine 0.88; other image 0.96"]
    expected = [tiles.from_standardised(inputs[number]) for number in (1, 0, 4)]
    np.testing.assert_array_equal(pixels(mistakes["pictures"][0]), tiles.beside(expected))
