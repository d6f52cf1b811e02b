"""Exports that are damaged, and SavedModels that are something else."""

from tests.bad_inputs.damage import cut, directory, fifo, flip, remove, then, write
from tests.bad_inputs.stock import EVAL, images, network
from tests.bad_inputs.trial import Prepare, Trial

MODEL = "network/saved_model"
DAMAGES: dict[str, Prepare] = {
    "nowhere": remove(MODEL),
    "a file": then(remove(MODEL), write(MODEL, "no directory")),
    "a fifo": fifo(MODEL),
    "empty": directory(MODEL),
    "saved_model.pb of no bytes": write(f"{MODEL}/saved_model.pb", b""),
    "saved_model.pb cut": cut(f"{MODEL}/saved_model.pb"),
    "saved_model.pb of noise": write(f"{MODEL}/saved_model.pb", bytes(range(256)) * 9),
    "saved_model.pb fifo": fifo(f"{MODEL}/saved_model.pb"),
    "variables missing": remove(f"{MODEL}/variables"),
    "variables cut": cut(f"{MODEL}/variables/variables.data*"),
    "variables empty": cut(f"{MODEL}/variables/variables.data*", 0),
    "variables flipped": flip(f"{MODEL}/variables/variables.data*"),
    "index missing": remove(f"{MODEL}/variables/variables.index"),
    "index cut": cut(f"{MODEL}/variables/variables.index"),
    "index of noise": write(f"{MODEL}/variables/variables.index", bytes(range(256))),
}
HARMLESS: dict[str, Prepare] = {
    "fingerprint.pb missing": remove(f"{MODEL}/fingerprint.pb"),
    "card missing": remove(f"{MODEL}/README.md"),
    "card binary": write(f"{MODEL}/README.md", b"\xff\xfe"),
    "untouched": images,
}


def trials() -> list[Trial]:
    """Damaged exports are refused in a line; what the numbers do not depend on may be missing."""
    found = [
        Trial(
            f"export {name}", "eval", EVAL, prepare=then(network, make), absent=("probe/results*",)
        )
        for name, make in DAMAGES.items()
    ]
    found += [
        Trial(f"export {name}", "eval", EVAL, refused=False, prepare=then(network, make))
        for name, make in HARMLESS.items()
    ]
    found += [
        Trial(
            f"export, then --crop_size={size}",
            "eval",
            (*EVAL, f"--crop_size={size}"),
            prepare=network,
            corrected=EVAL,
        )
        for size in ("33", "31", "8192")
    ]
    return found
