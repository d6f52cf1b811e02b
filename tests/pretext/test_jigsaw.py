from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from etils import epath

import models
import pretext
from data import images
from evaluate import pooling, representations, saved_models
from pretext.export import export
from tests.pretext import tiny

GOLDEN = Path(__file__).parent.parent / "golden"
SIZES = {"resize_size": 40, "crop_size": 36, "patch_size": 8, "embedding_size": 6}
OPTIONS = pretext.TaskOptions(**SIZES, permutations=20, permutations_per_image=5)


@pytest.fixture(scope="module")
def task():
    return pretext.build("jigsaw", OPTIONS)


@pytest.fixture(scope="module")
def exported(task, tmp_path_factory):
    """A network and its export."""
    backbone = tiny.network()
    path = epath.Path(tmp_path_factory.mktemp("jigsaw") / "model")
    export(task, backbone, task.head(32), path)
    return backbone, str(path)


def test_all_patches_pass_once_and_targets_name_the_permutations(task):
    inputs, targets = task.views(tiny.batch(task), training=True)
    assert inputs["images"].shape == (4 * 9, 8, 8, 3)
    assert inputs["permutations"].shape == (4, 5, 9)
    rows = task.permutations[targets.numpy()].reshape(4, 5, 9)
    np.testing.assert_array_equal(inputs["permutations"], rows)
    logits = task.head(7)({"pre_logits": tf.ones((36, 7)), "permutations": inputs["permutations"]})
    assert logits.shape == (20, 20)


def test_permutations_of_an_image_are_different_and_all_are_drawn(task):
    _, targets = task.views(tiny.batch(task, images=400), training=True)
    by_image = targets.numpy().reshape(400, 5)
    assert all(len(set(row)) == 5 for row in by_image)
    counts = np.bincount(by_image.ravel(), minlength=20)
    assert abs(counts - 100).max() < 45  # five standard deviations


def test_views_follow_the_draws_alone(task):
    batch = tiny.batch(task)
    tiny.assert_same_draws_same_views(task, batch)
    targets = task.views(tiny.one_image(batch, 1), training=True)[1]
    np.testing.assert_array_equal(targets, task.views(batch, training=True)[1][5:10])


def test_everything_compiles(task):
    tiny.assert_compiles(task, tiny.batch(task))


@pytest.mark.parametrize("embeddings", ["embed1", "embed2", "embed_idx"])
def test_order_of_concatenation_as_in_the_released_code(embeddings):
    recorded = np.load(GOLDEN / "patch_permute.npz")
    values, orders = recorded[embeddings], recorded["perms"]
    channels = values.shape[-1]
    values = values.reshape(-1, channels).astype(np.float32)
    task = pretext.build("jigsaw", pretext.TaskOptions(**(SIZES | {"embedding_size": channels})))
    head = task.head(channels)
    head.get_layer("embedding").set_weights([np.eye(channels), np.zeros(channels)])
    concatenated = keras.Model(head.input, head.get_layer("concatenate").output)
    orders = np.broadcast_to(orders, (len(values) // 9, *orders.shape))
    result = concatenated({"pre_logits": values, "permutations": orders})
    expected = recorded[f"out_{embeddings}_perms"]
    np.testing.assert_allclose(result, expected.reshape(-1, expected.shape[-1]), rtol=1e-6)


def test_patches_never_touch_and_gaps_are_random():
    """Finds every patch's place in its image by its pixels, which are all different."""
    task = pretext.build(
        "jigsaw", pretext.TaskOptions(resize_size=0, crop_size=24, patch_size=5, grey_probability=0)
    )
    batch = tiny.batch(task, images=12, size=24)
    found = task.views(batch, training=True)[0]["images"].numpy().reshape(12, 9, 5, 5, 3)
    places = np.zeros((12, 9, 2), int)
    for n, image in enumerate(batch["image"].numpy().astype(float)):
        windows = np.lib.stride_tricks.sliding_window_view(image, (5, 5), axis=(0, 1))
        windows = windows.transpose(0, 1, 3, 4, 2)
        means = windows.mean(axis=(2, 3, 4), keepdims=True)
        windows = (windows - means) / windows.std(axis=(2, 3, 4), keepdims=True)
        for k in range(9):
            error = np.abs(windows - found[n, k]).max(axis=(2, 3, 4))
            assert (error < 1e-3).sum() == 1
            places[n, k] = np.unravel_index(error.argmin(), error.shape)
    grid = places.reshape(12, 3, 3, 2)
    gaps = np.concatenate(
        [np.diff(grid[..., 0], axis=1).ravel(), np.diff(grid[..., 1], axis=2).ravel()]
    )
    gaps -= 5
    assert gaps.min() >= 0
    assert gaps.max() <= 2 * (8 - 5)
    assert len(np.unique(gaps)) >= 5


def test_whole_images_are_the_average_of_their_patches(task):
    backbone = tiny.network()
    pixels = np.random.RandomState(0).uniform(size=(2, 27, 24, 3)).astype(np.float32)
    result = task.represent(backbone, tf.constant(pixels), training=False)
    for n, image in enumerate(pixels):
        cut = [image[9 * y : 9 * y + 8, 8 * x : 8 * x + 8] for y in range(3) for x in range(3)]
        single = backbone(tf.image.per_image_standardization(np.stack(cut) * 255), training=False)
        for layer in tiny.LAYERS:
            np.testing.assert_allclose(result[layer][n], single[layer].numpy().mean(0), atol=1e-4)


def test_logits_say_how_a_puzzle_was_shuffled(task):
    """Tiles of an image in another order must get the answer of the permuted embeddings."""
    backbone, head = tiny.network(), task.head(32)
    pixels = np.random.RandomState(0).uniform(size=(24, 24, 3)).astype(np.float32)
    tiles = pixels.reshape(3, 8, 3, 8, 3).swapaxes(1, 2).reshape(9, 8, 8, 3)
    order = task.permutations[3]
    shuffled = tiles[order].reshape(3, 3, 8, 8, 3).swapaxes(1, 2).reshape(1, 24, 24, 3)
    pre_logits = task.regular_pre_logits(backbone, pixels[None])
    expected = head({"pre_logits": pre_logits, "permutations": tf.constant(order[None, None])})
    np.testing.assert_allclose(task.logits(backbone, head, shuffled), expected, atol=1e-6)


def test_sizes_of_the_paper_and_others():
    task = pretext.build("jigsaw", pretext.TaskOptions(resize_size=292, crop_size=255))
    assert task.train_view == images.RandomCrop(292, 255, flip=False, keep_aspect=False)
    assert task.eval_view == images.CentralCrop(224, 192)
    assert task.permutations.shape == (100, 9)
    options = task.backbone_options("resnet50_v1")
    assert options == {"image_size": 64, "root_stride": 1, "block_strides": (2, 2, 1)}
    assert pretext.build("jigsaw", OPTIONS).eval_view == images.CentralCrop(28, 24)
    vgg = models.build("vgg19_bn", widening_factor=1, **task.backbone_options("vgg19_bn"))
    assert vgg.input.shape == (None, 64, 64, 3)


def test_both_sides_are_resized_alike():
    task = pretext.build("jigsaw", pretext.TaskOptions(resize_size=36, crop_size=36, patch_size=8))
    spread = np.tile(np.linspace(0, 255, 90).astype(np.uint8)[None, :, None], (50, 1, 3))
    encoded = tf.io.encode_png(spread)
    for view in (task.train_view, task.pretext_view):
        pixels = view(encoded, tf.constant([0, 0], tf.int64)).numpy()
        assert pixels.shape == (36, 36, 3)
        assert pixels.min() < 4
        assert pixels.max() > 251


def test_export_carries_the_permutations(task, exported):
    backbone, path = exported
    loaded = tf.saved_model.load(path)
    np.testing.assert_array_equal(loaded.permutations, task.permutations)
    assert len(loaded.variables) == len(backbone.variables)
    for side in (24, 31):
        pixels = tf.random.stateless_uniform((2, side, side, 3), [0, 1])
        layers = loaded.signatures["representation"](images=pixels)
        np.testing.assert_allclose(
            layers["pre_logits"], task.represent(backbone, pixels, False)["pre_logits"], atol=1e-5
        )
        assert loaded.signatures["pretext"](images=pixels)["logits"].shape == (2, 20)
    assert {k: int(v) for k, v in loaded.signatures["input_size"]().items()} == {
        "resize_size": 28,
        "crop_size": 24,
    }


def test_blocks_are_pooled_patch_by_patch_and_then_averaged(exported):
    backbone, path = exported
    model = saved_models.load(path)
    pixels = np.random.RandomState(0).randint(0, 256, (2, 24, 24, 3)).astype(np.float32)
    options = representations.ExtractOptions(
        layers=(*tiny.LAYERS, "pixels"), resize_size=28, crop_size=24, max_features=40
    )
    # As the extraction does, with sizes that are known when it is traced.
    made = tf.function(lambda images: representations.represent(model, images, options))(pixels)
    assert list(made) == [*tiny.LAYERS, "pixels"]
    patches = pixels.reshape(2, 3, 8, 3, 8, 3).swapaxes(2, 3).reshape(18, 8, 8, 3)
    layers = backbone(tf.image.per_image_standardization(patches), training=False)
    for layer in tiny.LAYERS:
        pooled = pooling.pool(layers[layer], "max", 40).numpy()
        expected = pooled.reshape(2, 9, -1).mean(1)
        np.testing.assert_allclose(made[layer], expected, atol=1e-4)
    average = model.represent(images=tf.constant(pixels / 255))
    assert np.abs(pooling.pool(average["block1"], "max", 40) - made["block1"]).max() > 0.01
    np.testing.assert_allclose(average["pre_logits"], made["pre_logits"], atol=1e-4)
    card = (Path(path) / "README.md").read_text()
    assert "- **Pretext task**: jigsaw\n" in card  # What an older export is known by.
    assert "`patch_representation` gives them one by one, 9 × the shapes" in card


def write(path, table):
    header = np.array(table.shape, "<i4")
    path.write_bytes(header.tobytes() + (table + 1).astype("<i4").tobytes())
    return str(path)


def test_permutations_from_a_file(tmp_path):
    table = np.stack([np.roll(np.arange(9), k) for k in range(8)])
    file = write(tmp_path / "p.bin", table)
    options = {"permutations_file": file, "permutations_per_image": 2}
    task = pretext.build("jigsaw", pretext.TaskOptions(**SIZES, **options, permutations=6))
    np.testing.assert_array_equal(task.permutations, table[:6])
    with pytest.raises(ValueError, match="between 2 and the 8 of"):
        pretext.build("jigsaw", pretext.TaskOptions(**SIZES, **options, permutations=9))
    wrong = {"permutations_file": write(tmp_path / "q.bin", np.array([[0, 1, 2, 3], [3, 2, 1, 0]]))}
    with pytest.raises(ValueError, match="permutations of 4 patches, but --patches_per_side=3"):
        pretext.build("jigsaw", pretext.TaskOptions(**SIZES, **wrong))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch_size": 13}, "3×3 patches of 13 pixels need at least 39 pixels a side, got 36"),
        ({"patch_size": 12}, "no room for random gaps"),
        ({"permutations": 1}, "needs at least 2"),
        ({"permutations": 400_000}, "9 patches have only 362880 permutations"),
        ({"permutations_per_image": 101}, "between 1 and --permutations=100"),
        ({"permutations_seed": -1}, "must not be negative"),
        ({"grey_probability": -0.1}, "between 0 and 1"),
        ({"embedding_size": 0}, "at least 1"),
        ({"permutations_file": "/nowhere"}, "cannot read the permutations file /nowhere"),
    ],
)
def test_mistakes_get_one_line(options, message):
    with pytest.raises(ValueError, match=message) as raised:
        pretext.build("jigsaw", pretext.TaskOptions(**(SIZES | options)))
    assert "\n" not in str(raised.value)


def test_permutations_that_there_are_not_name_their_flags():
    options = {"crop_size": 255, "resize_size": 292, "permutations_per_image": 1}
    with pytest.raises(ValueError, match=r"--permutations=25, --patches_per_side=2, .*only 24"):
        pretext.build("jigsaw", pretext.TaskOptions(permutations=25, patches_per_side=2, **options))
    with pytest.raises(ValueError, match=r"--permutations=1, .*: telling permutations apart"):
        pretext.build("jigsaw", pretext.TaskOptions(permutations=1, **options))
