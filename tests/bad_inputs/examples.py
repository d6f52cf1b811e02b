"""The example of fine-tuning, given what it cannot use."""

from tests.bad_inputs.damage import cut, directory, fifo, remove, then, write
from tests.bad_inputs.stock import images, network
from tests.bad_inputs.trial import Prepare, Trial

FINE_TUNE = (
    "--saved_model=network/saved_model",
    "--data=images",
    "--epochs=1",
    "--batch_size=8",
)
WRONG = {
    "saved_model": ("", "nowhere", "images", "images/a/000.jpg"),
    "data": ("", "nowhere", "images/a/000.jpg", "images/a", "no_such_data_set"),
    "epochs": ("0", "-1", "x"),
    "batch_size": ("0", "-1", "x"),
    "learning_rate": ("-1", "nan", "inf", "x"),
    "seed": ("-1", "x"),
    "bach_size": ("8",),
}
BAD_FOLDERS: dict[str, Prepare] = {
    "all broken": write("images/*/*.jpg", "broken"),
    "one class": remove("images/b"),
    "empty": then(remove("images"), directory("images")),
    "an export cut": cut("network/saved_model/saved_model.pb"),
    "variables cut": cut("network/saved_model/variables/variables.data*"),
}


def trials() -> list[Trial]:
    """What cannot be used is told in a line; a broken image is left out."""
    found = [
        Trial(
            f"fine-tuning --{flag}={value}",
            "examples.finetune",
            (*FINE_TUNE, f"--{flag}={value}"),
            prepare=network,
        )
        for flag, values in WRONG.items()
        for value in values
    ]
    found += [
        Trial(
            f"fine-tuning on {name}",
            "examples.finetune",
            FINE_TUNE,
            prepare=then(network, make),
        )
        for name, make in BAD_FOLDERS.items()
    ]
    found += [
        Trial("fine-tuning without a word", "examples.finetune", (), prepare=images),
        Trial(
            "fine-tuning with a broken image",
            "examples.finetune",
            FINE_TUNE,
            refused=False,
            says="top-1",
            prepare=then(network, write("images/a/000.jpg", "broken")),
        ),
        Trial(
            "fine-tuning with a fifo",
            "examples.finetune",
            FINE_TUNE,
            refused=False,
            says="top-1",
            prepare=then(network, fifo("images/a/fifo.jpg")),
        ),
    ]
    return found
