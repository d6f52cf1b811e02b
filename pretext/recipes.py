"""The paper's sizes and schedule of each task, the defaults (section 3.2 and supplement).

Flags whose default is `auto` take their values from here; `flags.cfg` holds the resolved values.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The sizes and the schedule of a task.

    Attributes:
        resize_size: pixels of the smaller side before a crop; of both sides in the patch tasks.
        crop_size: pixels of the crop's sides.
        batch_size: images per update.
        epochs: passes over the training images that the schedule is for.
        decay_epochs: the epochs after which the rate is divided by ten.
        warmup_epochs: the epochs over which the rate rises from zero.
    """

    resize_size: int
    crop_size: int
    batch_size: int
    epochs: int = 35
    decay_epochs: tuple[float, ...] = (15.0, 25.0)
    warmup_epochs: float = 5.0


# The supervised baseline's are the released code's.
RECIPES = {
    "rotation": Recipe(256, 224, batch_size=1024),
    "exemplar": Recipe(256, 224, batch_size=512),
    "jigsaw": Recipe(292, 255, batch_size=1024),
    "relative_patch_location": Recipe(292, 255, batch_size=512),
    "supervised": Recipe(256, 224, batch_size=256, epochs=90, decay_epochs=(30.0, 60.0, 80.0)),
}


def values(task: str, epochs: int) -> dict[str, object]:
    """The values of the flags that are `auto`, by name.

    Args:
        task: the pretext task.
        epochs: the number trained for; decays and warm-up are moved in proportion.

    Raises:
        ValueError: there is no such task.
    """
    if task not in RECIPES:
        raise ValueError(f"unknown task {task}: use one of {', '.join(RECIPES)}")
    recipe = RECIPES[task]
    share = epochs / recipe.epochs
    return {
        "resize_size": recipe.resize_size,
        "crop_size": recipe.crop_size,
        "batch_size": recipe.batch_size,
        "decay_epochs": tuple(round(epoch * share, 4) for epoch in recipe.decay_epochs),
        "warmup_epochs": round(recipe.warmup_epochs * share, 4),
    }
