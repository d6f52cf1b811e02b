"""Limits of a measurement: classes without training examples, and images seen in training."""

import dataclasses

import numpy as np
from absl import logging

NAMED = 3


@dataclasses.dataclass(frozen=True)
class Coverage:
    """How the validation examples relate to those that a probe is fitted to.

    Attributes:
        overlap: the number of images of the validation split that the training split contains.
        untrained_classes: names of validation classes without a training example.
        untrained_examples: the number of validation examples of these classes: none can be
            classified correctly.
    """

    overlap: int
    untrained_classes: tuple[str, ...]
    untrained_examples: int


def check(
    training_labels: np.ndarray,
    validation_labels: np.ndarray,
    class_names: tuple[str, ...],
    *,
    overlap: int,
    neighbours: int | None = None,
) -> Coverage:
    """Counts them, and warns of what makes an accuracy misleading.

    Args:
        training_labels: (N,) of the examples that the probe is fitted to, N at least 1.
        validation_labels: (M,), M at least 1.
        class_names: a name per class.
        overlap: as in `Coverage`.
        neighbours: how many vote, for the nearest-neighbours probe.

    Raises:
        ValueError: all training examples are of one class, or one has no label.
    """
    size = len(validation_labels)
    if overlap:
        logging.warning(
            "overlapping splits: %d of the validation split's images are also in the training "
            "split; the accuracy is not measured on unseen images",
            overlap,
        )
    trained = np.unique(training_labels)
    if trained[0] < 0 or trained[-1] >= len(class_names):
        raise ValueError(
            f"the training split has labels from {trained[0]} to {trained[-1]}, its "
            f"{len(class_names)} classes have 0 to {len(class_names) - 1}: a probe cannot be "
            "fitted to an image without a label (--train_split)"
        )
    if len(trained) < 2:
        raise ValueError(
            f"all {len(training_labels)} training examples are of the class "
            f"{class_names[trained[0]]}: a probe needs two or more (--train_split)"
        )
    untrained = np.setdiff1d(np.unique(validation_labels), trained)
    names = tuple(class_names[number] for number in untrained)
    count = int(np.isin(validation_labels, untrained).sum())
    if names:
        logging.warning(
            "%d of %d validation images are of classes without a training example (%s): none of "
            "them can be classified correctly, whatever the representation",
            count,
            size,
            ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if names[NAMED:] else ""),
        )
    if len(training_labels) < len(class_names):
        logging.warning(
            "there are %d training examples of %d classes: fewer than one per class",
            len(training_labels),
            len(class_names),
        )
    if neighbours and neighbours > len(training_labels):
        logging.warning(
            "--neighbours=%d: there are %d training examples, all of which vote",
            neighbours,
            len(training_labels),
        )
    return Coverage(overlap, names, count)


def remarks(results: dict) -> list[str]:
    """Lines below a table of results about what does not measure the representation."""
    lines = []
    if results.get("overlap"):
        lines.append(
            f"{results['overlap']} validation images are also in the training split: not held out"
        )
    if results.get("untrained_examples"):
        lines.append(
            f"{results['untrained_examples']} of {results['val_examples']} validation images are "
            f"of {len(results['untrained_classes'])} classes without a training example: never "
            "classified correctly"
        )
    return lines
