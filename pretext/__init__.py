"""The pretext tasks by name."""

from pretext.rotation import Rotation
from pretext.task import PretextTask, TaskOptions

TASKS = {"rotation": Rotation}


def build(name: str, options: TaskOptions) -> PretextTask:
    """Makes the task called `name`.

    Raises:
        ValueError: there is no such task, or an option does not suit it.
    """
    if name not in TASKS:
        raise ValueError(f"unknown task {name}: use one of {', '.join(TASKS)}")
    if options.resize_size and options.crop_size > options.resize_size:
        raise ValueError(
            f"--crop_size={options.crop_size} does not fit into --resize_size="
            f"{options.resize_size}: the image would be smaller than the crop"
        )
    return TASKS[name](options)
