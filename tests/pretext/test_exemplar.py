import numpy as np
import pytest
import tensorflow as tf

import pretext
from data import images
from pretext import exemplar
from tests.pretext import tiny

OPTIONS = pretext.TaskOptions(resize_size=40, crop_size=36, embedding_size=6, views_per_image=3)


@pytest.fixture(scope="module")
def task():
    return pretext.build("exemplar", OPTIONS)


def test_views_of_an_image_lie_side_by_side_and_are_standardised(task):
    inputs, targets = task.views(tiny.batch(task, views=3), training=True)
    assert inputs["images"].shape == (12, 36, 36, 3)
    assert inputs["images"].dtype == tf.float32
    np.testing.assert_allclose(tf.reduce_mean(inputs["images"], (1, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(tf.math.reduce_std(inputs["images"], (1, 2, 3)), 1, atol=1e-4)
    np.testing.assert_array_equal(targets, np.arange(4)[:, None].repeat(3, 1))


def test_views_follow_the_draws_alone(task):
    tiny.assert_same_draws_same_views(task, tiny.batch(task, views=3))


def test_two_thirds_of_the_views_turn_grey_each_for_itself(task):
    batch = tiny.batch(task, images=60, size=8, views=3)
    views = task.views(batch, training=True)[0]["images"].numpy()
    is_grey = (np.ptp(views, axis=-1).max(axis=(1, 2)) < 1e-4).reshape(60, 3)
    assert abs(is_grey.mean() - 2 / 3) < 0.12
    mixed = is_grey.any(axis=1) & ~is_grey.all(axis=1)
    assert mixed.mean() > 0.4


def test_everything_compiles(task):
    tiny.assert_compiles(task, tiny.batch(task, views=3))


def test_embeddings_have_length_one_and_coinciding_ones_a_finite_gradient(task):
    head = task.head(5)
    pre_logits = tf.Variable(np.random.RandomState(0).standard_normal((12, 5)), dtype=tf.float32)
    np.testing.assert_allclose(tf.norm(head({"pre_logits": pre_logits}), axis=1), 1, atol=1e-5)
    pre_logits.assign(tf.zeros((12, 5)))
    targets = tf.repeat(tf.range(4)[:, None], 3, axis=1)
    with tf.GradientTape() as tape:
        loss = task.loss(targets, head({"pre_logits": pre_logits}))
    assert np.isfinite(tape.gradient(loss, pre_logits)).all()
    assert np.isfinite(loss)


def test_the_loss_falls_when_views_of_an_image_meet(task):
    targets = tf.repeat(tf.range(4)[:, None], 3, axis=1)
    together = tf.repeat(tf.eye(4, 6), 3, axis=0)
    assert float(task.loss(targets, together)) == 0
    assert float(task.loss(targets, tf.roll(together, 1, axis=0))) > 0.3


def brute_force_retrieval(targets, embeddings):
    images, views = targets.shape
    by_image = embeddings.reshape(images, views, -1)
    there = [n for n in range(images) if targets[n, 0] >= 0]
    result = np.zeros((images, views))
    for position, n in enumerate(there):
        following = there[position + 1 :] + there[:position]
        others = by_image[following].reshape(-1, embeddings.shape[1])[:63]
        for view in range(views):
            query = by_image[n, view]
            right = query @ by_image[n, (view + 1) % views]
            result[n, view] = right > (others @ query).max()
    return result


@pytest.mark.parametrize(("images", "views", "missing"), [(40, 2, 5), (12, 8, 0), (5, 2, 2)])
def test_retrieval_equals_brute_force(images, views, missing):
    random = np.random.RandomState(images)
    embeddings = random.standard_normal((images, 1, 8)) + random.standard_normal((images, views, 8))
    embeddings = embeddings.reshape(-1, 8).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    targets = np.arange(images)[:, None].repeat(views, 1)
    targets[random.permutation(images)[:missing]] = -1
    expected = brute_force_retrieval(targets, embeddings)
    assert 0.1 < expected.mean() < 0.95
    result = exemplar.retrieval(tf.constant(targets, tf.int32), tf.constant(embeddings))
    result = result.numpy().reshape(images, views)
    np.testing.assert_array_equal(result[targets >= 0], expected[targets >= 0])


def test_chance_of_retrieval_is_one_in_64_and_a_collapse_is_no_success(task):
    embeddings = tf.random.stateless_normal((2, 1024, 5), [0, 1])
    targets = tf.repeat(tf.range(512)[:, None], 2, axis=1)
    found = [exemplar.retrieval(targets, tf.math.l2_normalize(e, -1)) for e in embeddings]
    assert abs(np.mean(found) - 1 / 64) < 0.01
    assert not np.any(exemplar.retrieval(targets, tf.ones((1024, 4)) / 2))


def test_what_fills_up_a_batch_is_nobodys_image(task):
    batch = tiny.batch(task, views=2) | {"valid": tf.constant([1.0, 1.0, 0.0, 0.0])}
    _, targets = task.views(batch, training=False)
    np.testing.assert_array_equal(targets[:, 0], [0, 1, -1, -1])


def test_whole_images_are_standardised(task):
    backbone = tiny.network()
    pixels = np.random.RandomState(0).uniform(size=(2, 40, 44, 3)).astype(np.float32)
    expected = backbone(tf.image.per_image_standardization(pixels * 255), training=False)
    result = task.represent(backbone, tf.constant(pixels), training=False)
    for layer in tiny.LAYERS:
        np.testing.assert_allclose(result[layer], expected[layer], atol=1e-5)
    assert task.logits(backbone, task.head(32), tf.constant(pixels)).shape == (2, 6)


def test_host_views_differ_and_repeat(task):
    pixels = np.random.RandomState(0).randint(0, 256, (50, 60, 3)).astype(np.uint8)
    encoded, seed = tf.io.encode_png(pixels), tf.constant([3, 4], tf.int64)
    views = task.train_view(encoded, seed)
    assert (views.shape, views.dtype) == ((3, 36, 36, 3), tf.uint8)
    np.testing.assert_array_equal(views, task.train_view(encoded, seed))
    assert len({view.tobytes() for view in views.numpy()}) == 3
    assert task.pretext_view == images.Views(images.InceptionCrop(36), 2)
    assert task.eval_view == images.CentralCrop(40, 36)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("views_per_image", 1, "must be at least 2"),
        ("margin", 0.0, "margin .* must be greater than 0"),
        ("grey_probability", 1.5, "between 0 and 1"),
        ("embedding_size", 0, "at least 1"),
        ("crop_size", 41, "does not fit into --resize_size=40"),
    ],
)
def test_mistakes_get_one_line(option, value, message):
    options = pretext.TaskOptions(**({"resize_size": 40, "crop_size": 36} | {option: value}))
    with pytest.raises(ValueError, match=message) as raised:
        pretext.build("exemplar", options)
    assert "\n" not in str(raised.value)


def test_one_image_in_a_batch_is_nothing_to_compare():
    task = pretext.build("exemplar", pretext.TaskOptions(crop_size=32))
    task.check_batch(2, replicas=1)
    for replicas, hint in ((1, "--gradient_accumulation$"), (2, ", or --global_negatives$")):
        with pytest.raises(ValueError, match=rf"a device's batch has one: .*{hint}"):
            task.check_batch(1, replicas)
    among_all = pretext.TaskOptions(crop_size=32, global_negatives=True)
    pretext.build("exemplar", among_all).check_batch(1, replicas=2)
