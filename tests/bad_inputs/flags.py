"""Flags one by one: out of their range, of another type, misspelt, for every program."""

from tests.bad_inputs.damage import then, write
from tests.bad_inputs.stock import EVAL, TRAIN, images, network
from tests.bad_inputs.trial import Trial

# By flag values that no run of train.py can have.
OF_TRAINING = {
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
    "initial_weights": ("nowhere", "images", "/dev/null"),
    "monitor_every_epochs": ("-1", "x"),
    "monitor_data_dir": ("images", "nowhere"),
    "keep_checkpoints": ("0", "-1", "x"),
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
    "workdir": ("", "images/a/000.jpg", "/proc/run", "/dev/null", "http://host/run", "hdfs://x/y"),
    "data_dir": ("", "nowhere", "images/a/000.jpg", "/dev/null", "http://host/x", "s3://x/y"),
    "data_service": ("localhost", "grpc://", "grpc://127.0.0.1:1", "http://127.0.0.1:99999"),
    "data_service_jobs": ("0", "-1"),
    "tpu": ("local",),
    "flagfile": ("nowhere", "images", "/dev/zero"),
    "bach_size": ("8",),
    "jit": ("maybe",),
}
# And of eval.py: those that are told before anything is opened,
OF_EVALUATION = {
    "layers": ("", "block1,,block2", ","),
    "probe": ("", "svm"),
    "l2": ("-1", "nan", "inf", "1e400", "much", ""),
    "max_updates": ("0", "-1"),
    "neighbours": ("0", "-1"),
    "train_fraction": ("0", "-1", "1.1", "nan"),
    "train_batch_size": ("-1",),
    "epochs": ("-1", "1099511627776"),
    "learning_rate": ("-1", "nan"),
    "decay_epochs": ("-1", "3,2", "auto,3", "nan"),
    "checkpoint_every_steps": ("0", "-1"),
    "resize_size": ("-1", "2147483648"),
    "crop_size": ("-1", "1099511627776"),
    "pooling": ("min",),
    "max_features": ("0", "-1"),
    "dtype": ("bfloat16",),
    "batch_size": ("0", "-1"),
    "strategy": ("gpu", "multi_worker", "tpu"),
    "max_bad_fraction": ("-1", "2", "nan"),
    "seed": ("-1", "x"),
    "compare": ("nowhere", "images"),
    "saved_model": ("", "nowhere", "images", "/dev/null", "http://host/x"),
}
# and those that depend on the network or the images.
OF_MEASUREMENT = {
    "layers": ("block7",),
    "resize_size": ("20",),
    "crop_size": ("100",),
    "batch_size": ("1000000000000",),
    "train_split": ("", "half"),
    "val_split": ("", "half"),
    "dataset": ("", "folders"),
    "data_dir": ("nowhere", "http://host/x"),
    "workdir": ("", "http://host/x", "images/a/000.jpg", "/proc/probe"),
    "representations_dir": ("images/a/000.jpg", "gs://bucket/x", "http://host/x"),
}
OF_PREPARATION = (
    ("folder",),
    ("folder", "--data_dir=nowhere"),
    ("folder", "--data_dir=images/a/000.jpg"),
    ("folder", "--data_dir=http://host/images"),
    ("folder", "--data_dir=images", "--sample=0"),
    ("folder", "--data_dir=images", "--sample=x"),
    ("folder", "--data_dir=images", "--contact_sheet=images/sheet.png"),
    ("folder", "--data_dir=images", "--contact_sheet=/proc/sheet.png"),
    ("folder", "--data_dir=images", "--contact_sheet=images"),
    ("folder", "--data_dir=images", "--manual_dir=images"),
    ("folders", "--data_dir=images"),
    ("", "--data_dir=images"),
    ("folder", "images"),
    ("--data_dir=images",),
    ("../images", "--data_dir=images"),
    ("imagenet2012", "--data_dir=nowhere"),
    ("imagenet2012", "--data_dir=images"),
    ("imagenet2012:0.0.0", "--data_dir=prepared"),
    ("places205", "--data_dir=prepared", "--manual_dir=images"),
    ("places205", "--data_dir=prepared", "--manual_dir=nowhere"),
    ("scenes/large", "--data_dir=prepared"),
    ("scenes:9.9.9", "--data_dir=prepared"),
    ("scenes", "--data_dir=/proc/prepared"),
)


def trials() -> list[Trial]:
    """Each wrong value, whatever the task or probe is, leaves nothing behind."""
    found = [
        Trial(
            f"train --{flag}={value}",
            "train",
            (*TRAIN, f"--{flag}={value}"),
            prepare=images,
            absent=("run",),
            quick=True,
        )
        for flag, values in OF_TRAINING.items()
        for value in values
    ]
    for quick, prepare, wrong in (
        (True, then(images, write("network/saved_model/x", "")), OF_EVALUATION),
        (False, network, OF_MEASUREMENT),
    ):
        found += [
            Trial(
                f"eval --{flag}={value}",
                "eval",
                (*EVAL, f"--{flag}={value}"),
                prepare=prepare,
                absent=("probe/results.json",),
                quick=quick,
            )
            for flag, values in wrong.items()
            for value in values
        ]
    found += [
        Trial(f"prepare {' '.join(arguments)}", "data.prepare", arguments, prepare=images)
        for arguments in OF_PREPARATION
    ]
    found += [
        Trial("train without a word", "train", (), quick=True),
        Trial("train with a word too many", "train", (*TRAIN, "word"), prepare=images, quick=True),
        Trial("eval without a word", "eval", (), quick=True),
        Trial("eval with a word too many", "eval", (*EVAL, "word"), prepare=images, quick=True),
        Trial("study without a word", "study", (), quick=True),
        Trial("study with a word too many", "study", ("word",), quick=True),
    ]
    return found
