"""Networks that did not learn their task: findings about them say no more than that."""

from studies.measurements import SUPERVISED, Network, Study

# A network has learnt from so many times the accuracy of guessing.
MARGIN = 1.2
# Of exemplar: a view's closest among 64 (`pretext.exemplar.CANDIDATES`).
CHANCE = {"rotation": 1 / 4, "relative_patch_location": 1 / 8, "exemplar": 1 / 64}


def of(network: Network, study: Study) -> float | None:
    """The accuracy of guessing the network's own task; None where it is not known.

    A supervised network's number of classes is known from probes on the images it was trained on.
    """
    if network.task == "jigsaw":
        return 1 / network.permutations if network.permutations > 0 else None
    if network.task == SUPERVISED:
        classes = {
            score.classes
            for score in study.scores
            if score.dataset == network.dataset and isinstance(score.classes, int)
        }
        return 1 / max(classes) if classes and max(classes) > 0 else None
    return CHANCE.get(network.task)


def not_learnt(study: Study) -> dict[Network, float]:
    """The networks whose held-out accuracy is below MARGIN times chance, and that chance."""
    found = {}
    for network in study.networks:
        chance = of(network, study)
        # "not … >=" and not "<": of a network that diverged the accuracy may be NaN.
        if chance and network.pretext is not None and not network.pretext >= MARGIN * chance:
            found[network] = chance
    return found


def at_chance(study: Study) -> list[str]:
    """A line for every network that did not learn its task."""
    return [
        f"{network.name}: {network.pretext:.1%} on held-out images, where chance is {chance:.1%}"
        for network, chance in not_learnt(study).items()
    ]
