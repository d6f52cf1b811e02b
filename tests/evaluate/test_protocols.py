from pathlib import Path

import pytest

from evaluate import protocols

CONFIGS = Path(__file__).parents[2] / "configs"


def flags_of(file: Path) -> dict[str, str]:
    """A flag file's flags, those of the file that it begins from among them."""
    values = {}
    for line in file.read_text().splitlines():
        if line.startswith("--"):
            name, value = line[2:].split("=")
            values |= flags_of(CONFIGS.parent / value) if name == "flagfile" else {name: value}
    return values


@pytest.mark.parametrize(
    ("file", "splits", "rate", "decays"),
    [
        ("imagenet/evaluate_sgd", ("trainval", "test"), 0.8, (480, 500)),
        ("study/imagenet/sgd", ("trainval", "test"), 0.8, (480, 500)),
        ("study/imagenet/sgd_patches", ("trainval", "test"), 0.4, (480, 500)),
        ("study/imagenet/sgd_30", ("train", "val"), 0.8, (30, 50)),
        ("study/imagenet/sgd_120", ("train", "val"), 0.8, (120, 140)),
        ("study/imagenet/sgd_480", ("train", "val"), 0.8, (480, 500)),
    ],
)
def test_the_configurations_of_table_2_and_figure_8(file, splits, rate, decays) -> None:
    flags = flags_of(CONFIGS / f"{file}.cfg")
    assert (flags["train_split"], flags["val_split"]) == splits
    names = ("train_batch_size", "epochs", "lr_scale_batch_size")
    built = protocols.build(
        flags["probe"],
        **{name: int(flags[name]) for name in names},
        learning_rate=float(flags["learning_rate"]),
        decay_epochs=flags["decay_epochs"].split(","),
    )
    assert (built.learning_rate, built.decay_epochs) == (rate, decays)
    assert built.epochs - decays[1] == decays[1] - decays[0] == 20


def test_the_papers_protocols() -> None:
    sgd, mlp = protocols.build("sgd"), protocols.build("mlp")
    assert (sgd.train_batch_size, sgd.epochs, sgd.decay_epochs) == (2048, 520, (480, 500))
    assert (sgd.learning_rate, sgd.momentum, sgd.augmentation) == (0.1, 0.9, "crop")
    assert (sgd.hidden, sgd.l2) == (0, 0)
    assert (mlp.train_batch_size, mlp.epochs, mlp.decay_epochs) == (512, 180, (60, 120))
    assert (mlp.learning_rate, mlp.momentum, mlp.augmentation) == (0.01, 0.9, "none")
    assert (mlp.hidden, mlp.dropout, mlp.l2) == (1000, 0.5, "paper")


def test_what_is_given_takes_the_papers_place() -> None:
    # The released code's rate, 0.1 · batch / 256.
    scaled = protocols.build("sgd", train_batch_size=1024, lr_scale_batch_size=256)
    assert (scaled.train_batch_size, scaled.learning_rate) == (1024, 0.4)
    # A schedule of section 4.7.
    study = protocols.build("sgd", epochs=70, decay_epochs=["30", "50"])
    assert (study.epochs, study.decay_epochs) == (70, (30, 50))
    assert protocols.build("mlp", epochs=9).decay_epochs == (3, 6)
    assert protocols.build("sgd", epochs=52).decay_epochs == (48, 50)
    assert protocols.build("sgd", decay_epochs=[]).decay_epochs == ()
    assert protocols.build("sgd", augmentation="none", l2=0.1).l2 == 0.1
    assert protocols.build("sgd", l2="paper").l2 == "paper"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"epochs": -1}, "--epochs=-1: use a number of at least 0", id="epochs"),
        pytest.param({"train_batch_size": -8}, "--train_batch_size=-8", id="batch size"),
        pytest.param({"lr_scale_batch_size": -8}, "--lr_scale_batch_size=-8", id="scale"),
        pytest.param(
            {"learning_rate": -0.1}, "--learning_rate=-0.1: use a number above 0", id="rate"
        ),
        pytest.param(
            {"learning_rate": float("nan")},
            "--learning_rate=nan: use a number above 0",
            id="rate of nan",
        ),
        pytest.param(
            {"decay_epochs": ["5", "2"]},
            "--decay_epochs=5,2: use ascending numbers",
            id="descending decays",
        ),
        pytest.param({"decay_epochs": ["auto", "2"]}, "--decay_epochs=auto,2", id="auto and more"),
    ],
)
def test_invalid_numbers(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        protocols.build("sgd", **options)


def test_steps_per_epoch() -> None:
    sgd = protocols.build("sgd")
    assert protocols.steps_per_epoch(sgd, 5000) == 2
    with pytest.raises(ValueError, match="2000 training examples, fewer than one batch of 2048"):
        protocols.steps_per_epoch(sgd, 2000)
