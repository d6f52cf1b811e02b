"""One sentence: has the network learnt something that the untrained one has not?

The evidence is neighbour stability, because it asks for something of use, to tell images apart by
what does not change from view to view, and because it can be compared image by image. One untrained
network differs from the next, and an interval over images knows nothing of that: so the trained one
has to be better than each of several.
"""

import numpy as np

from evaluate.label_free import COLLAPSED_RANK
from exploration.scores import ENOUGH_IMAGES, Difference, LayerScores, difference

# Both networks recognise all images but these: the views are too easy to tell them apart.
CEILING = 0.98


def differences(
    network: dict[str, LayerScores], initial: list[dict[str, np.ndarray]], seed: int
) -> dict[str, Difference]:
    """The difference in neighbour stability to the strongest of the untrained networks, by layer.

    Args:
        network: by layer.
        initial: for every untrained network by layer which images are recognised, (M,).
        seed: of the intervals, which have 95 % confidence in all layers together.
    """
    return {
        layer: min(
            (
                difference(each.recognised, untrained[layer], seed, comparisons=len(network))
                for untrained in initial
            ),
            key=lambda found: found.low,
        )
        for layer, each in network.items()
    }


def sentence(
    network: dict[str, LayerScores],
    initial: list[dict[str, np.ndarray]],
    layer: str,
    seed: int,
) -> str:
    """The verdict, from scores of the same images and views.

    Args:
        network, initial, seed: as for `differences`; without an untrained network there is no
            verdict but that of a network that has collapsed.
        layer: the one that is spoken of where no layer is better.
    """
    if all(each.effective_rank < COLLAPSED_RANK for each in network.values()):
        return (
            "The network has collapsed: in every layer it gives all images nearly the same "
            f"features (an effective rank below {COLLAPSED_RANK}), so that nothing can be told "
            "apart by them."
        )
    question = (
        "Whether the network has learnt something that the untrained one has not cannot be told"
    )
    if not initial:
        return (
            f"{question} without an untrained network of the same architecture: name one with "
            "--baseline=SAVED_MODEL."
        )
    images = len(network[layer].recognised)
    if images < ENOUGH_IMAGES:
        return f"{question} from two views of {images} images: it takes {ENOUGH_IMAGES} or more."
    found = differences(network, initial, seed)
    better = [name for name, each in found.items() if each.low > 0]
    if better:
        best = max(better, key=lambda name: found[name].mean)
        layers = f"in {len(better)} of {len(found)} layers"
        return (
            "The network has learnt something that the untrained one has not: by "
            f"{_in_numbers(network, initial, found, best)}; it is better {layers}. How "
            "useful that is, only labels tell."
        )
    numbers = _in_numbers(network, initial, found, layer)
    if found[layer].high < 0:
        return (
            f"{question} by these scores: by {numbers}, which is fewer. A task may teach a "
            "network to ignore what views have in common, such as colours: look at the neighbours, "
            "or measure it with labels (eval.py)."
        )
    if network[layer].stability > CEILING:
        return (
            f"{question} by these scores, because the views are too easy: by {numbers}. Look at "
            "the neighbours, or measure it with labels (eval.py)."
        )
    return (
        f"{question} from these images: by {numbers}, and in no layer more than by chance. Look at "
        "the neighbours, give more images (--view_images), or train for longer."
    )


def _in_numbers(
    network: dict[str, LayerScores],
    initial: list[dict[str, np.ndarray]],
    found: dict[str, Difference],
    layer: str,
) -> str:
    shares = sorted(100 * each[layer].mean() for each in initial)
    untrained = f"{shares[0]:.1f}" + (f" to {shares[-1]:.1f}" if len(shares) > 1 else "")
    each = found[layer]
    return (
        f"{layer} it recognises {100 * network[layer].stability:.1f} % of "
        f"{len(network[layer].recognised)} images in another view, the untrained one {untrained} % "
        f"(difference to the best {100 * each.mean:+.1f} points, 95 % interval "
        f"{100 * each.low:+.1f} to {100 * each.high:+.1f})"
    )
