"""The scenes: deterministic, balanced, readable by TFDS, and not to be solved from raw pixels."""

from collections import Counter

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from data.scenes import Scenes
from data.scenes.contact_sheet import sheet
from data.scenes.scene import CLASSES, SIZE, SPLITS, draw

DEMO_SIZE, DEMO_CROP = 64, 56
TRAIN, TEST = 2000, 600


def _scenes(split: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The middle crops that the demo's probes see, N×56×56×3 in [0, 1], and the labels."""
    start = (DEMO_SIZE - DEMO_CROP) // 2
    images, labels = [], []
    for index in range(count):
        image, label = draw(0, index, split)
        image = image.resize((DEMO_SIZE, DEMO_SIZE), Image.Resampling.BILINEAR)
        images.append(np.asarray(image)[start : start + DEMO_CROP, start : start + DEMO_CROP])
        labels.append(label)
    return np.stack(images).astype(np.float32) / 255, np.array(labels)


@pytest.fixture(scope="module")
def scenes() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    return *_scenes("train", TRAIN), *_scenes("test", TEST)


def _accuracy(scenes, features, c: float) -> float:
    train_images, train_labels, test_images, test_labels = scenes
    model = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=100))
    model.fit(features(train_images), train_labels)
    return model.score(features(test_images), test_labels)


@pytest.mark.parametrize("cell", [pytest.param(1, marks=pytest.mark.long), 4])
def test_raw_pixels_do_not_give_the_class_away(scenes, cell):
    """At the demo's resolution and averaged over cells of 4×4 pixels."""

    def pixels(images: np.ndarray) -> np.ndarray:
        side = DEMO_CROP // cell
        cells = images.reshape(len(images), side, cell, side, cell, 3)
        return cells.mean(axis=(2, 4)).reshape(len(images), -1)

    assert _accuracy(scenes, pixels, c=1e-4 if cell == 1 else 1e-3) <= 0.45


def test_mean_colour_is_near_chance(scenes):
    assert _accuracy(scenes, lambda images: images.mean(axis=(1, 2)), c=1.0) <= 0.22


def test_the_ground_is_equally_bright_in_all_corners():
    """Corners hold ground and clutter alone: their brightness must not tell the four turns."""
    corners = np.zeros((4, 600))
    for index in range(600):
        pixels = np.asarray(draw(3, index, "train")[0].convert("L"), dtype=float)
        patch = 12
        corners[:, index] = [
            pixels[rows, columns].mean()
            for rows in (slice(patch), slice(-patch, None))
            for columns in (slice(patch), slice(-patch, None))
        ]
    error = corners.std() / np.sqrt(corners.shape[1])
    assert np.ptp(corners.mean(axis=1)) < 5 * error


def test_draw_is_a_function_of_seed_index_and_split():
    assert np.array_equal(draw(0, 7, "train")[0], draw(0, 7, "train")[0])
    for other in ((1, 7, "train"), (0, 17, "train"), (0, 7, "test")):
        assert not np.array_equal(draw(0, 7, "train")[0], draw(*other)[0])


def test_image_and_label():
    image, label = draw(0, 13, "test")
    assert (image.mode, image.size, label) == ("RGB", (SIZE, SIZE), 13 % len(CLASSES))


def test_splits_are_disjoint_and_balanced():
    drawn = {split: [draw(0, index, split) for index in range(100)] for split in SPLITS}
    for scenes in drawn.values():
        assert set(Counter(label for _, label in scenes).values()) == {10}
    contents = [image.tobytes() for scenes in drawn.values() for image, _ in scenes]
    assert len(set(contents)) == len(contents)


def test_objects_are_darker_than_the_ground():
    """Otherwise the sign of every edge is random and nothing is learnt in minutes."""
    middle = slice(SIZE // 3, -SIZE // 3)
    edge = np.r_[0:6, SIZE - 6 : SIZE]
    images = [np.asarray(draw(0, i, "train")[0].convert("L"), dtype=float) for i in range(200)]
    darker = [image[middle, middle].mean() < image[edge][:, edge].mean() for image in images]
    assert np.mean(darker) > 0.85


def test_unknown_split_and_negative_index_are_named():
    with pytest.raises(
        ValueError, match="unknown split 'validation' of scenes; one of train, test"
    ):
        draw(0, 0, "validation")
    with pytest.raises(ValueError, match="must not be negative, got 0 and -1"):
        draw(0, -1, "train")


def test_builder_prepares_silently_and_reads_back(tmp_path, capfd):
    builder = Scenes(config="tiny", data_dir=tmp_path)
    capfd.readouterr()
    builder.download_and_prepare()
    assert capfd.readouterr() == ("", "")

    assert builder.info.features["label"].names == list(CLASSES)
    for split, count in (("train", 200), ("test", 100)):
        assert builder.info.splits[split].num_examples == count
        assert builder.info.splits[split].num_shards == 1
        examples = list(tfds.as_numpy(builder.as_dataset(split=split)))
        labels = Counter(int(example["label"]) for example in examples)
        assert labels == dict.fromkeys(range(len(CLASSES)), count // len(CLASSES))
        assert all(example["image"].shape == (SIZE, SIZE, 3) for example in examples)

    # JPEG keeps a scene recognisable: its own drawing is the nearest of all.
    example = next(iter(tfds.as_numpy(builder.as_dataset(split="test"))))
    drawn = np.stack([np.asarray(draw(1, index, "test")[0], dtype=float) for index in range(100)])
    nearest = np.abs(drawn - example["image"]).mean(axis=(1, 2, 3)).argmin()
    assert draw(1, int(nearest), "test")[1] == example["label"]
    assert np.abs(drawn[nearest] - example["image"]).mean() < 8


def test_default_configuration_is_the_full_data_set(tmp_path):
    builder = Scenes(data_dir=tmp_path)
    config = builder.builder_config
    assert (config.name, config.train, config.test) == ("full", 10_000, 2_000)


def test_contact_sheet_shows_every_class():
    drawn = sheet(rows=2)
    assert drawn.width > len(CLASSES) * SIZE
    assert drawn.height > 2 * SIZE
