"""Flags one by one: out of their range, of another type, misspelt, for every program."""

from tests.bad_inputs.inputs import TRAIN, images
from tests.bad_inputs.trial import Trial

# By flag of train.py values that no run can have.
WRONG = {
    "epochs": ("-1", "1.5", "x", "", "1099511627776", "nan"),
    "batch_size": ("0", "-8", "x", "1e3", "1000000000000"),
    "widening_factor": ("0", "-1", "x", "1000000"),
    "learning_rate": ("-0.1", "nan", "inf", "1e400", "x", ""),
    "lr_scale_batch_size": ("-1", "x"),
    "decay_epochs": ("x", "-1", "3,2", "nan", "1,,2"),
    "warmup_epochs": ("-1", "nan", "x"),
    "weight_decay": ("-1", "nan", "inf"),
    "seed": ("-1", "x", "1180591620717411303424"),
    "log_every_steps": ("0", "-1"),
    "checkpoint_every_steps": ("0", "-1"),
    "gradient_accumulation": ("0", "-1", "3"),
    "max_bad_fraction": ("-0.1", "1.1", "nan"),
    "resize_size": ("-1", "31", "x", "2147483648"),
    "crop_size": ("0", "-1", "37", "1099511627776"),
    "representation_size": ("-1", "1099511627776"),
    "views_per_image": ("1", "0", "1" + "0" * 30),
    "margin": ("0", "-1", "nan"),
    "grey_probability": ("-0.1", "1.1"),
    "embedding_size": ("0", "-1"),
    "patch_size": ("0", "-1"),
    "patches_per_side": ("0", "1", "-3"),
    "permutations": ("0", "1", "-1"),
    "permutations_per_image": ("0",),
    "permutations_seed": ("-1",),
    "task": ("", "rotations", "Rotation"),
    "architecture": ("", "resnet50"),
    "augmentation": ("none", ""),
    "strategy": ("gpu", ""),
    "precision": ("int8", "float64"),
    "export_precision": ("bfloat16",),
    "dataset": ("", "folders", "no/such:1"),
    "train_split": ("", "half", "train[:10%]"),
    "val_split": ("", "half"),
    "workdir": ("", "{tmp}/images/a/000.jpg", "/proc/run", "http://host/run", "hdfs://x/y"),
    "data_dir": ("", "{tmp}/nowhere", "{tmp}/images/a/000.jpg", "http://host/x", "s3://x/y"),
    "data_service": ("localhost", "grpc://", "grpc://127.0.0.1:1", "http://127.0.0.1:99999"),
    "tpu": ("local",),
    "flagfile": ("{tmp}/nowhere", "{tmp}", "/dev/zero"),
    "bach_size": ("8",),
}


def trials() -> list[Trial]:
    """Each wrong value, whatever the task is."""
    return [
        Trial(f"train --{flag}={value}", "train", (*TRAIN, f"--{flag}={value}"), prepare=images)
        for flag, values in WRONG.items()
        for value in values
    ]
