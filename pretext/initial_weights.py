"""A run that begins with the backbone of an export, in place of random weights.

The backbone's weights and the moving statistics of its batch normalisation come from an export of
`train.py` with any task; the task's head begins anew. The network has to be the same but for its
strides, on which no weight depends (the patch tasks' are smaller). Kernels that were exported as
float16 are widened: what rounding took from them is gone.

The export is read until the run's first checkpoint is written (or, without epochs, its own export),
and never again: it may be deleted then. Its fingerprint stays in `flags.cfg` and on the model card.
"""

import dataclasses

import keras
import tensorflow as tf
from etils import epath

import models
from training import fingerprints, run_directory
from training.between_workers import Workers
from training.checkpoints import steps_in
from training.options import AUTO, option

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class InitialWeightsOptions:
    """Where the backbone's first weights come from."""

    initial_weights: str | None = option(
        None,
        "Begin with the backbone's weights and statistics of this SavedModel, an export of "
        "train.py with any task and the same network; the head begins anew. Default: random "
        "weights.",
        path=True,
    )
    initial_weights_fingerprint: str = option(
        AUTO,
        "The fingerprint that --initial_weights has to have; auto: whatever it has. flags.cfg "
        "holds it.",
    )


def is_needed(workdir: epath.Path, is_finished: bool) -> bool:
    """Whether a run takes its first weights from somewhere: it has no checkpoint yet.

    Args:
        workdir: the run's directory; it need not be there.
        is_finished: whether all that the run is to export is there.
    """
    return not is_finished and not steps_in(workdir / "checkpoints")


def resolve(
    options: InitialWeightsOptions, workdir: epath.Path, needed: bool
) -> InitialWeightsOptions:
    """The options with the fingerprint of the export that the run begins, or began, with.

    Args:
        options: as given.
        workdir: the run's directory; it need not be there.
        needed: see `is_needed`; else the export is not looked at.

    Raises:
        ValueError: there is no such export, or it has another fingerprint than the one given.
    """
    path, expected = options.initial_weights, options.initial_weights_fingerprint
    if not path:
        if expected not in (AUTO, ""):
            raise ValueError(
                f"--initial_weights_fingerprint={expected} is of no network: give "
                "--initial_weights, the SavedModel that has it"
            )
        return dataclasses.replace(options, initial_weights_fingerprint="")
    if needed:
        if not tf.saved_model.contains_saved_model(path):
            raise ValueError(
                f"--initial_weights={path} is not a SavedModel: name the directory that train.py "
                "exported"
            )
        found = fingerprints.of_saved_model(path)
    else:
        found = run_directory.begun_with(workdir).get("initial_weights_fingerprint", "")
    if expected not in (AUTO, found):
        raise ValueError(
            f"--initial_weights={path} has the fingerprint {found or 'of no network'}, not "
            f"--initial_weights_fingerprint={expected}: name the SavedModel that has it"
        )
    return dataclasses.replace(options, initial_weights_fingerprint=found)


def check_same_everywhere(options: InitialWeightsOptions, team: Workers) -> None:
    """Raises a ValueError unless all machines begin with the same weights."""
    if not team.same_everywhere(options.initial_weights_fingerprint.encode()):
        raise ValueError(
            "the workers of --strategy=multi_worker have different networks at --initial_weights: "
            "all need the same one, shared or copied, and one --workdir that all of them see"
        )


def load(path: str, backbone: keras.Model) -> None:
    """Gives a backbone the weights and statistics of an export.

    Args:
        path: the export.
        backbone: the run's, in any precision; to be called outside of its strategy's scope, so
            that the export is read into the host's memory alone.

    Raises:
        ValueError: the export cannot be read, or is of another architecture, width or size; one
            line that names both.
    """
    try:
        source = models.load(path)
    except ValueError as error:
        raise ValueError(f"--initial_weights: {error}") from error
    _check_same(path, source, backbone)
    for variable, other in zip(backbone.variables, source.variables, strict=True):
        variable.assign(other.value)


def _check_same(path: str, source: keras.Model, backbone: keras.Model) -> None:
    there, here = _shapes(source), _shapes(backbone)
    differ = [name for name in {**here, **there} if there.get(name) != here.get(name)]
    if source.name != backbone.name:
        what = f"is {source.name}", f"{backbone.name}"
    elif differ:
        name = differ[0]
        what = (
            f"is {source.name} with {_text(there.get(name))} {name}",
            f"{backbone.name} with {_text(here.get(name))}",
        )
    else:
        return
    raise ValueError(
        f"--initial_weights={path} {what[0]}, and this run's network is {what[1]}: give "
        "--architecture, --widening_factor, --representation_size and sizes of images as there"
    )


def _shapes(network: keras.Model) -> dict[str, Shape]:
    return {variable.path: tuple(variable.shape) for variable in network.variables}


def _text(shape: Shape | None) -> str:
    return "no" if shape is None else "×".join(map(str, shape)) or "1"
