"""Recognises directories that these programs wrote, by the files in them."""

from collections.abc import Collection

# A directory that contains all files of one row was written by these programs.
MARKS = (
    {"flags.cfg"},  # a run of train.py, eval.py or explore.py
    {"header.json", "labels.int64"},  # representations, also below --representations_dir
    {"comparison.csv", "comparison.png"},  # eval.py --compare
    {"index.html", "index.md"},  # study.py --report
    {"projector_config.pbtxt", "sprite.jpg"},  # explore.py
)
# The pictures that train.py, pretext.preview and eval.py leave beside the files of a run.
PICTURES = ("task.png", "training.png", "answers.png", "accuracy_by_layer.png", "comparison.png")


def is_own(files: Collection[str]) -> bool:
    """Whether a directory with these files was written by these programs."""
    return any(marks.issubset(files) for marks in MARKS)


def is_study(folders: Collection[str], plans: Collection[str]) -> bool:
    """Whether a directory is `study.py`'s `--workdir`.

    Args:
        folders: the names of the folders in it.
        plans: the names of the entries of the folder `plans`.
    """
    notes = [name for name in plans if name.endswith(".txt")]
    return "plans" in folders and len(notes) == len(plans) > 0
