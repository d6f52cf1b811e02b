"""What `models.build` gives and refuses."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import models

RESIDUAL = [name for name in models.NAMES if name != "vgg19_bn"]
SMALL = {"widening_factor": 1, "image_size": 64}


def _images(size, batch=2):
    return np.random.RandomState(0).uniform(-1, 1, (batch, size, size, 3)).astype(np.float32)


@pytest.mark.parametrize("name", models.NAMES)
def test_outputs(name):
    network = models.build(name, **SMALL)
    outputs = network(_images(64))
    assert list(outputs) == ["block1", "block2", "block3", "block4", "pre_logits"]
    shapes = [tuple(outputs[key].shape[1:]) for key in outputs]
    if name == "vgg19_bn":
        assert shapes == [(32, 32, 16), (16, 16, 32), (8, 8, 64), (4, 4, 64), (512,)]
    else:
        assert shapes == [(16, 16, 64), (8, 8, 128), (4, 4, 256), (2, 2, 512), (512,)]
    minus = name.endswith("minus")
    assert (np.min(outputs["pre_logits"]) < 0) == minus
    for values in outputs.values():
        assert np.isfinite(values).all()


@pytest.mark.parametrize("name", RESIDUAL)
def test_patches_and_other_sizes(name):
    network = models.build(name, **SMALL, root_stride=1, block_strides=(2, 2, 1), units=(1,) * 4)
    sides = [value.shape[1] for key, value in network(_images(64)).items() if "block" in key]
    assert sides == [32, 16, 8, 8]
    sides = [value.shape[1] for key, value in network(_images(80)).items() if "block" in key]
    assert sides == [40, 20, 10, 10]


@pytest.mark.parametrize("name", RESIDUAL)
@pytest.mark.parametrize("size", [33, 56, 97])
def test_sizes_that_the_strides_do_not_divide(name, size):
    network = models.build(name, **SMALL, units=(1,) * 4)
    shapes = {key: value.shape[1:-1] for key, value in network(_images(size)).items()}
    for number in range(1, 5):
        # Each stride of two rounds up, as in the released code; nothing at the border is lost.
        side = -(-size // 2 ** (number + 1))
        assert shapes[f"block{number}"] == (side, side)


@pytest.mark.parametrize("name", models.NAMES)
def test_representation_size_is_linear_and_decayed(name):
    plain = models.build(name, **SMALL)
    network = models.build(name, **SMALL, representation_size=32)
    pre_logits = network(_images(64))["pre_logits"]
    assert pre_logits.shape == (2, 32)
    assert np.min(pre_logits) < 0
    layer = network.get_layer("representation")
    assert layer.kernel.shape == (512, 32)
    assert len(network.losses) == len(plain.losses) + 1


@pytest.mark.parametrize("name", models.NAMES)
def test_weight_decay_is_on_kernels_only(name):
    network = models.build(name, **SMALL)
    kernels = [v for v in network.trainable_variables if v.name == "kernel"]
    if name.startswith("revnet"):
        kernels = [v for v in kernels if v.path != "root/kernel"]
    expected = 0.5 * 1e-4 * sum(float(tf.reduce_sum(v**2)) for v in kernels)
    np.testing.assert_allclose(float(sum(network.losses)), expected, rtol=1e-5)
    stronger = models.build(name, **SMALL, weight_decay=1.0)
    assert len(stronger.losses) == len(kernels)
    assert float(sum(stronger.losses)) > 1000 * expected


@pytest.mark.parametrize("name", models.NAMES)
def test_builds_are_alike(name):
    def build():
        keras.utils.set_random_seed(1)
        return models.build(name, **SMALL)

    networks = build(), build()
    paths = [[variable.path for variable in network.variables] for network in networks]
    assert paths[0] == paths[1]
    assert len(set(paths[0])) == len(paths[0])
    for a, b in zip(networks[0].get_weights(), networks[1].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    kernel = next(v for v in networks[0].variables if v.path == "root/kernel" or "conv1" in v.path)
    fan_in, fan_out = np.prod(kernel.shape[:3]), np.prod(kernel.shape[:2]) * kernel.shape[3]
    limit = np.sqrt(6 / (fan_in + fan_out))  # Glorot-uniform
    assert 0.9 * limit < np.max(np.abs(kernel)) <= limit


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet18", {}, "unknown architecture 'resnet18': must be one of resnet50_v1, "),
        ("resnet50_v1", {"widening_factor": 0}, "widening_factor must be a positive integer"),
        ("revnet50", {"widening_factor": 2.5}, "widening_factor must be a positive integer"),
        ("vgg19_bn", {"widening_factor": "4"}, "widening_factor must be a positive integer"),
        ("vgg19_bn", {"widening_factor": True}, "widening_factor must be a positive integer"),
        ("resnet50_v2", {"representation_size": -1}, "representation_size must be a positive"),
        ("resnet50_v2", {"units": (3, 4, 6)}, "units must be 4 positive integers"),
        ("resnet50_v2", {"units": (3, 4, 6, 0)}, "units must be 4 positive integers"),
        (
            "resnet50_v2",
            {"block_strides": (1, 2, 2, 2)},
            "block_strides must be 3 positive integers",
        ),
        ("resnet50_v2", {"block_strides": 2}, "block_strides must be 3 positive integers"),
        ("resnet50_v2", {"weight_decay": -1.0}, "weight_decay must be at least 0"),
        ("resnet50_v1", {"image_size": 31}, "image_size must be at least 32 for the strides"),
        ("revnet50", {"image_size": 7, "root_stride": 1, "block_strides": (2, 2, 1)}, "least 8"),
        ("vgg19_bn", {"image_size": 31}, "image_size must be at least 32 for the strides"),
        ("vgg19_bn", {"root_stride": 1}, "vgg19_bn has no root_stride: must be left at 2, got 1"),
        ("vgg19_bn", {"block_strides": (2, 2, 1)}, "vgg19_bn has no block_strides"),
        ("vgg19_bn", {"units": (3, 4, 6, 4)}, "vgg19_bn has no units"),
        ("resnet50_v1", {"reversible": False}, "resnet50_v1 has no reversible"),
    ],
)
def test_mistakes_get_one_line(name, options, message):
    with pytest.raises(ValueError, match=message) as error:
        models.build(name, **options)
    assert len(str(error.value).splitlines()) == 1


def test_vgg_takes_the_size_it_was_built_for():
    network = models.build("vgg19_bn", **SMALL)
    message = r"expected shape=\(None, 64, 64, 3\), found shape=\(2, 96, 96, 3\)"
    with pytest.raises(ValueError, match=message) as error:
        network(_images(96))
    assert len(str(error.value).splitlines()) == 1


def test_revnet_names_an_image_too_small_at_run_time():
    network = models.build("revnet50", **SMALL)
    with pytest.raises(ValueError, match="images must be larger for the network's strides"):
        network(_images(8))
