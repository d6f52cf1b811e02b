"""The pretext tasks by name."""

from pretext.exemplar import Exemplar
from pretext.jigsaw import Jigsaw
from pretext.relative_patch_location import RelativePatchLocation
from pretext.rotation import Rotation
from pretext.supervised import Supervised
from pretext.task import PretextTask, TaskOptions

TASKS = {
    task.name: task for task in (Rotation, Exemplar, Jigsaw, RelativePatchLocation, Supervised)
}


def build(name: str, options: TaskOptions) -> PretextTask:
    """Makes the task called `name`.

    Raises:
        ValueError: there is no such task, or an option is invalid for it.
    """
    if name not in TASKS:
        raise ValueError(f"unknown task {name}: use one of {', '.join(TASKS)}")
    if options.resize_size and options.crop_size > options.resize_size:
        raise ValueError(
            f"--crop_size={options.crop_size} does not fit into --resize_size="
            f"{options.resize_size}: the image would be smaller than the crop"
        )
    return TASKS[name](options)
