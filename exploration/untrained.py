"""The same network untrained: what a trained one has to be compared with.

Much of what a network's neighbours share, colours above all, an untrained network sees as well.
"""

import dataclasses

from absl import logging

from evaluate import saved_models
from evaluate.saved_models import SavedModel
from models import saved

# One untrained network recognises a few per cent more images than the next.
INITIALISATIONS = 3


def load(model: SavedModel, baseline: str | None, seed: int) -> list[SavedModel]:
    """Untrained networks to compare one with.

    Args:
        model: the trained network.
        baseline: the directory of an untrained one; None to make some from its own description.
        seed: of the initial weights of the first; the others have the seeds that follow.

    Returns:
        The one named; or several that differ in their initial weights; or none, which is said in a
        warning, where the SavedModel does not describe its layers, as those of other projects and
        old exports do not.

    Raises:
        ValueError: there is no network at `baseline`, or the description is damaged.
    """
    if baseline:
        return [saved_models.load(baseline)]
    if not saved.is_described(model.path):
        logging.warning(
            "%s does not describe its layers, so that there is no untrained network to compare it "
            "with: name one with --baseline, a SavedModel with initial weights",
            model.path,
        )
        return []
    return [_initialised(model, seed + number) for number in range(INITIALISATIONS)]


def _initialised(model: SavedModel, seed: int) -> SavedModel:
    """The SavedModel loaded a second time, its variables set to initial values.

    All but the weights is the same: sizes, normalisation, patches.
    """
    initial = saved.untrained(model.path, seed)
    copy = saved_models.load(model.path)
    variables = list(copy.loaded.variables)
    if [tuple(each.shape) for each in variables] != [
        tuple(each.shape) for each in initial.variables
    ]:
        raise ValueError(
            f"the description of its layers in {model.path} does not fit its weights: export it "
            "again, or name an untrained network with --baseline"
        )
    for variable, value in zip(variables, initial.variables, strict=True):
        variable.assign(value.numpy().astype(variable.dtype.as_numpy_dtype))
    return dataclasses.replace(copy, fingerprint=f"{model.fingerprint} untrained, seed {seed}")


def check_sizes(its: dict[str, int], features: dict[str, int]) -> None:
    """Raises a ValueError unless layers have as many features in an untrained network.

    Args:
        its, features: how many, by layer: the untrained network's, and the network's.
    """
    for layer, count in its.items():
        if count != features[layer]:
            raise ValueError(
                f"--baseline: its {layer} has {count} features, that of --saved_model "
                f"{features[layer]}: it is of another architecture or width"
            )
