"""Counts against the networks themselves, and the estimates made of them."""

import math

import pytest

import models
from studies import runs
from studies.cost import estimate
from studies.cost.network import Cost, dense, network


@pytest.mark.parametrize("architecture", models.NAMES)
def test_weights_are_those_of_the_network(architecture):
    built = models.build(
        architecture,
        widening_factor=1,
        image_size=64,
        representation_size=24,
    )
    counted = network(architecture, 1, 64, representation_size=24)
    assert counted.weights == built.count_params()


def test_multiplications_of_well_known_networks():
    # 4.1 and 19.6 · 10⁹ multiply-adds for ResNet50 and VGG19 on 224×224 images.
    assert network("resnet50_v1", 4, 224).multiplications == pytest.approx(4.1e9, rel=0.01)
    small_head = 19.6e9 - 7 * 7 * 512 * 4096 - 4096 * 1000
    large_head = 7 * 7 * 512 * 4096 + 4096 * 4096
    vgg = network("vgg19_bn", 8, 224).multiplications
    assert vgg == pytest.approx(small_head + large_head, rel=0.02)


def test_patches_pass_smaller_strides():
    """A test by shapes: 64×64 patches leave 4×4 maps, 64×64 images 2×2 ones."""
    patch, image = (network("resnet50_v1", 1, 64, patches=patches) for patches in (True, False))
    assert patch.weights == image.weights
    assert patch.multiplications > 4 * image.multiplications


def test_a_reversible_network_keeps_little():
    reversible, ordinary = (network(name, 4, 224) for name in ("revnet50", "resnet50_v2"))
    assert reversible.activations < ordinary.activations / 2


def test_wider_networks_cost_by_the_square():
    thin, wide = (network("resnet50_v2", k, 224) for k in (4, 8))
    assert wide.weights == pytest.approx(4 * thin.weights, rel=0.02)
    assert wide.activations == pytest.approx(2 * thin.activations, rel=0.01)


def job(tmp_path, *flags: str) -> runs.Job:
    (tmp_path / "train.cfg").write_text("".join(f"{flag}\n" for flag in flags))
    train = runs.Run("train.py", "it", (f"--flagfile={tmp_path}/train.cfg",))
    return runs.Job(train, ())


def test_hours_by_hand(tmp_path):
    made = job(
        tmp_path,
        "--dataset=imagenet2012",
        "--architecture=resnet50_v1",
        "--epochs=2",
        "--task=rotation",
    )
    found = estimate.training(made.train, estimate.Accelerators(peak_tflops=100, utilisation=0.5))
    forward = 4 * network("resnet50_v1", 4, 224).multiplications + 4 * 4 * 2048
    assert found.hours == pytest.approx(2 * 1_231_167 * 3 * 2 * forward / 50e12 / 3600)
    assert not found.measured


def test_measured_speeds_replace_the_arithmetic(tmp_path):
    speeds = tmp_path / "speeds.csv"
    speeds.write_text(
        "task,architecture,widening_factor,images_per_second\nrotation,resnet50_v1,4,500\n"
    )
    measured = estimate.read_images_per_second(str(speeds))
    made = job(tmp_path, "--dataset=imagenet2012", "--architecture=resnet50_v1", "--epochs=2")
    found = estimate.training(made.train, estimate.Accelerators(images_per_second=measured))
    assert found.hours == pytest.approx(2 * 1_231_167 / 500 / 3600)
    assert found.measured
    speeds.write_text("task,architecture\n")
    assert estimate.read_images_per_second(str(speeds)) == {}
    speeds.write_text("task,architecture\nrotation,resnet50_v1\n")
    with pytest.raises(ValueError, match="needs the columns"):
        estimate.read_images_per_second(str(speeds))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("rotatoin,resnet50_v1,4,500", "there is no rotatoin; did you mean rotation"),
        ("rotation,resnet50_v3,4,500", "there is no resnet50_v3; did you mean resnet50_v"),
        ("rotation,resnet50_v1,4,0", "needs one number above 0"),
        ("rotation,resnet50_v1,4,-5", "needs one number above 0"),
        ("rotation,resnet50_v1,4,nan", "needs one number above 0"),
        ("rotation,resnet50_v1,4,inf", "needs one number above 0"),
        ("rotation,resnet50_v1,0,5", "k at least 1"),
        ("rotation,resnet50_v1,4,5\nrotation,resnet50_v1,4,6", "needs one number"),
        ("rotation,resnet50_v1,4,fast", "numbers in the last two"),
        ("rotation,resnet50_v1,4", "needs the columns"),
        ('"' + "x" * 200_000, "field larger than field limit"),
    ],
)
def test_damaged_measurements_are_one_line(tmp_path, row, message):
    speeds = tmp_path / "speeds.csv"
    speeds.write_text(f"task,architecture,widening_factor,images_per_second\n{row}\n")
    with pytest.raises(ValueError, match=message) as error:
        estimate.read_images_per_second(str(speeds))
    assert str(error.value).startswith(f"--images_per_second={speeds}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("flag", ["--epochs=-1", "--batch_size=x", "--crop_size=0"])
def test_flags_that_are_no_numbers(tmp_path, flag):
    made = job(tmp_path, flag)
    with pytest.raises(
        ValueError, match=rf"train\.cfg, {flag.split('=')[0]}: .* not a whole number"
    ):
        estimate.table([made], [], estimate.Accelerators())


def test_what_does_not_fit_is_skipped_with_the_reason(tmp_path):
    made = job(tmp_path, "--widening_factor=16", "--batch_size=512", "--dataset=imagenet2012")
    needed = estimate.training(made.train, estimate.Accelerators(count=8)).memory_gib
    small, large = (
        estimate.Accelerators(count=8, memory_gib=size)
        for size in (math.floor(needed), math.ceil(needed))
    )
    fitting, skipped = estimate.split_by_memory([made], small)
    assert fitting == []
    assert f"a batch of 512 images on 8 accelerators needs about {needed:.0f} GiB" in skipped[0][1]
    assert estimate.split_by_memory([made], large) == ([made], [])
    assert estimate.split_by_memory([made], estimate.Accelerators()) == ([made], [])
    halved = estimate.Accelerators(count=8, bytes_per_number=2)
    assert needed / 2 < estimate.training(made.train, halved).memory_gib < needed


@pytest.mark.parametrize(
    ("task", "views"), [("rotation", 4), ("exemplar", 8), ("jigsaw", 9), ("supervised", 1)]
)
def test_every_task_has_a_cost(tmp_path, task, views):
    made = job(tmp_path, f"--task={task}", "--dataset=imagenet2012")
    assert estimate.views_and_costs(estimate.training_flags(made.train))[0] == views
    assert "1 networks" in estimate.table([made], [], estimate.Accelerators())


def test_an_unknown_data_set_has_no_hours(tmp_path):
    made = job(tmp_path, "--dataset=folder")
    assert estimate.training(made.train, estimate.Accelerators()).hours is None
    assert "? h" in estimate.table([made], [], estimate.Accelerators())


@pytest.mark.parametrize("flag", ["--task=colours", "--architecture=alexnet"])
def test_what_there_is_no_estimate_for(tmp_path, flag):
    made = job(tmp_path, flag)
    with pytest.raises(ValueError, match="there is no estimate for the"):
        estimate.table([made], [], estimate.Accelerators())
    # That is for the program itself to say.
    assert estimate.split_by_memory([made], estimate.Accelerators()) == ([made], [])


def test_costs_add_up():
    assert Cost(1, 2, 3) + Cost(1, 1, 1) == Cost(2, 3, 4)
    assert dense(10, 5, 2) == Cost(100, 55, 10)


def test_flags_that_a_run_leaves_out_are_the_defaults_of_its_task(tmp_path):
    flags = estimate.training_flags(job(tmp_path, "--task=jigsaw", "--crop_size=auto").train)
    expected = {"crop_size": "255", "batch_size": "1024", "patch_size": "64", "epochs": "35"}
    assert flags.items() >= expected.items()
