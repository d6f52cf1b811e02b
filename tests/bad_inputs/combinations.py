"""Flags that are right one by one and wrong together."""

from tests.bad_inputs.forks import Conditions
from tests.bad_inputs.stock import EVAL, TRAIN, images, network
from tests.bad_inputs.trial import Trial

# What the line has to name, and the flags of train.py.
OF_TRAINING = (
    ("crop_size|patch_size", "--task=jigsaw --crop_size=90 --resize_size=96 --patch_size=32"),
    ("crop_size|patch_size", "--task=relative_patch_location --crop_size=32 --patch_size=64"),
    ("patch_size", "--task=jigsaw --crop_size=102 --resize_size=108 --patch_size=1"),
    (
        "patches_per_side",
        "--task=relative_patch_location --resize_size=108 --crop_size=102 --patch_size=32 "
        "--patches_per_side=2",
    ),
    (
        "permutations",
        "--task=jigsaw --crop_size=102 --resize_size=108 --patch_size=32 --patches_per_side=2 "
        "--permutations=100",
    ),
    (
        "permutations",
        "--task=jigsaw --crop_size=102 --resize_size=108 --patch_size=32 --permutations=4 "
        "--permutations_per_image=9",
    ),
    ("batch_size", "--task=exemplar --batch_size=1"),
    ("gradient_accumulation|batch_size", "--task=exemplar --gradient_accumulation=8"),
    ("gradient_accumulation|batch_size", "--gradient_accumulation=16"),
    ("gradient_accumulation|batch_size", "--batch_size=9 --gradient_accumulation=2"),
    ("batch_size", "--batch_size=64"),
    ("crop_size|resize_size", "--crop_size=64"),
    ("strategy", "--tpu=local --strategy=mirrored"),
    ("strategy|tpu", "--tpu=local --strategy=one_device"),
    ("tpu|TPU", "--strategy=tpu"),
    ("TF_CONFIG", "--strategy=multi_worker"),
    ("train_split|val_split", "--train_split=test --val_split=nothing"),
    ("flagfile", "--flagfile=a.cfg --flagfile=b.cfg"),
)
OF_EVALUATION = (
    ("train_batch_size", "--probe=sgd --train_batch_size=1000"),
    ("layers", "--layers=pre_logits,block9"),
    ("crop_size|resize_size", "--resize_size=32 --crop_size=64"),
    ("l2", "--probe=lbfgs --l2=1,x"),
    ("network/results.json", "--compare=network"),
    ("workdir", "--workdir=network"),
)


def trials() -> list[Trial]:
    """Each is told in a line that names one of the flags, and leaves no run behind."""
    found = [
        Trial(
            f"train {flags}",
            "train",
            (*TRAIN, *flags.split()),
            says=says,
            prepare=images,
            absent=("run",),
            quick=True,
        )
        for says, flags in OF_TRAINING
    ]
    found += [
        Trial(
            f"eval {flags}",
            "eval",
            (*EVAL, *flags.split()),
            says=says,
            prepare=network,
            absent=("probe/results.json",),
            conditions=Conditions(seconds=60),
        )
        for says, flags in OF_EVALUATION
    ]
    found.append(
        Trial(
            "eval with more neighbours than images",
            "eval",
            (*EVAL, "--neighbours=1000"),
            refused=False,
            says="--neighbours=1000",
            prepare=network,
        )
    )
    return found
