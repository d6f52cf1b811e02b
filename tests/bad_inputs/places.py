"""Where things lie: odd names, no home, a full disk, and an end in the middle."""

import pathlib
import shutil

from tests.bad_inputs.forks import Conditions
from tests.bad_inputs.stock import EVAL, SMALL, TRAIN, images, network
from tests.bad_inputs.studies import study
from tests.bad_inputs.trial import Prepare, Trial

# TensorFlow takes a checkpoint's name for a pattern, and flag files have a flag in a line.
MAY_BE_REFUSED = ("back\\slash", "[a]*?", "new\nline")
NAMES = (
    *MAY_BE_REFUSED,
    "two words",
    "$a^{_",
    " ü 写真",
    "-dash",
    "per%cent",
    "quo'te\"",
    "#hash",
)
SUPERVISED = (*SMALL, "--task=supervised", "--epochs=0", "--workdir=run")
REPORT = ("--report=study", "--output=report")
VERIFY = ("folder", "--data_dir=images", "--contact_sheet=sheet.png")
# By program the command line, its input, and sizes at which a disk may be full.
ON_A_FULL_DISK: dict[str, tuple[tuple[str, ...], Prepare, tuple[int, ...]]] = {
    "train": (TRAIN, images, (0, 1_000, 30_000, 1_000_000, 50_000_000)),
    "eval": (EVAL, network, (0, 1_000, 8_000, 60_000)),
    "study": (REPORT, study, (0, 1_000, 30_000)),
    "data.prepare": (VERIFY, images, (0, 1_000)),
}


def _moved(name: str) -> Prepare:
    def prepare(root: pathlib.Path) -> None:
        network(root)
        for there in ("images", "network"):
            (root / name).mkdir(exist_ok=True)
            shutil.move(root / there, root / name / there)

    return prepare


def trials() -> list[Trial]:
    """Any name will do; what a full disk or a signal ended goes on with the same command."""
    found = []
    for name in NAMES:
        found += [
            Trial(
                f"train and images in {name!r}",
                "train",
                (*SUPERVISED, f"--data_dir={name}/images", f"--workdir={name}/run"),
                refused=None if name in MAY_BE_REFUSED else False,
                prepare=_moved(name),
            ),
            Trial(
                f"eval and network in {name!r}",
                "eval",
                (
                    *EVAL,
                    f"--data_dir={name}/images",
                    f"--saved_model={name}/network/saved_model",
                    f"--workdir=probe {name}",
                ),
                refused=None if name in MAY_BE_REFUSED else False,
                prepare=_moved(name),
            ),
        ]
    homeless = Conditions(environment={"HOME": None, "XDG_CACHE_HOME": None})
    unwritable = Conditions(environment={"HOME": "/proc", "XDG_CACHE_HOME": "/proc"})
    for what, conditions in (("no HOME", homeless), ("a HOME in /proc", unwritable)):
        found += [
            Trial(
                f"{program} with {what}",
                program,
                arguments,
                refused=False,
                prepare=prepare,
                conditions=conditions,
            )
            for program, arguments, prepare in (
                ("train", SUPERVISED, images),
                ("eval", EVAL, network),
                ("study", REPORT, study),
                ("data.prepare", VERIFY, images),
            )
        ]
    for program, (arguments, prepare, sizes) in ON_A_FULL_DISK.items():
        found += [
            Trial(
                f"{program} with a disk full at {size} bytes",
                program,
                arguments,
                prepare=prepare,
                corrected=arguments,
                conditions=Conditions(largest_file=size),
            )
            for size in sizes
        ]
    inside = (*SUPERVISED, "--workdir=images/run")
    found += [
        Trial(
            "a run inside its images",
            "train",
            inside,
            refused=None,
            prepare=images,
        ),
        Trial(
            "an evaluation inside its images, twice",
            "eval",
            (*EVAL, "--workdir=images/probe"),
            refused=None,
            prepare=network,
            corrected=(*EVAL, "--workdir=probe"),
        ),
        Trial(
            "train with SIGTERM",
            "train",
            (*TRAIN, "--epochs=10000", "--decay_epochs="),
            prepare=images,
            corrected=(*TRAIN, "--epochs=0", "--workdir=another"),
            conditions=Conditions(seconds=60, terminated_after=12),
        ),
        Trial(
            "eval with SIGTERM",
            "eval",
            (*EVAL, "--probe=sgd", "--epochs=100000", "--train_batch_size=8"),
            prepare=network,
            corrected=(*EVAL[:-1], "--workdir=another"),
            conditions=Conditions(seconds=60, terminated_after=8),
        ),
    ]
    return found
