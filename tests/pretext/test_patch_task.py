"""The patch tasks' head against the released code's numbers."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from pretext.patch_task import patch_head

GOLDEN = Path(__file__).parent.parent / "golden"


def recipe(index, kind, shape):
    """The weights with which the released code was run."""
    r = np.random.RandomState(1000 + index)
    if kind == "conv_kernel":
        values = r.standard_normal(shape) * np.sqrt(2 / np.prod(shape[:-1]))
    elif kind in ("gamma", "moving_variance"):
        values = r.uniform(0.5, 1.5, shape)
    else:
        values = r.standard_normal(shape) * 0.1
    return values.astype(np.float32)


@pytest.fixture(scope="module")
def recorded():
    return np.load(GOLDEN / "patch_head.npz")


@pytest.fixture(scope="module")
def head():
    return patch_head(45, 8)


def test_initial_values(head, recorded):
    for i, weights in enumerate(head.get_weights()):
        assert abs(weights.mean() - recorded["init_mean"][i]) < 1e-4
        np.testing.assert_allclose(weights.std(), recorded["init_std"][i], rtol=0.02, atol=1e-6)
        assert abs(weights).max() <= recorded["init_absmax"][i] * 1.001


def test_equals_released_code(head, recorded):
    variables = json.loads((GOLDEN / "patch_head.json").read_text())["variables"]
    weights = [recipe(v["i"], v["kind"], v["shape"]) for v in variables]
    flat = [w.reshape(w.shape[-2:]) if w.ndim == 4 else w for w in weights]
    fresh = head.get_weights()
    head.set_weights(flat)
    inputs, expected = recorded["input"].reshape(6, 45), recorded["output"].reshape(6, 8)
    outputs = head(inputs, training=False).numpy()
    np.testing.assert_allclose(outputs, expected, atol=1e-5 * abs(expected).max())
    np.testing.assert_allclose([float(loss) for loss in head.losses], recorded["reg_terms"], 1e-5)
    head.set_weights(fresh)


def test_training_drops_and_moves_statistics(head):
    keras.utils.set_random_seed(0)
    before = head.get_layer("hidden_bn").moving_mean.numpy()
    inputs = np.random.RandomState(0).standard_normal((16, 45)).astype(np.float32)
    first, second = (head(inputs, training=True).numpy() for _ in range(2))
    assert abs(first - second).max() > 1e-4
    hidden = head.get_layer("hidden")(inputs).numpy()
    moved = before * 0.997**2 + hidden.mean(axis=0) * (1 - 0.997**2)
    after = head.get_layer("hidden_bn").moving_mean.numpy()
    np.testing.assert_allclose(after, moved, atol=1e-6)


def test_logits_stay_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        small = patch_head(6, 3, hidden_size=4)
    finally:
        keras.config.set_dtype_policy("float32")
    assert small.get_layer("hidden").compute_dtype == "bfloat16"
    assert small(np.ones((2, 6), np.float32)).dtype == "float32"


@pytest.mark.parametrize(
    "options", [{"input_size": 0}, {"num_classes": 0}, {"hidden_size": 0}, {"dropout": 1.0}]
)
def test_bad_values(options):
    with pytest.raises(ValueError, match=r"^[^\n]*of the patch head must be[^\n]*$"):
        patch_head(**{"input_size": 9, "num_classes": 2, **options})
