"""Networks that did not learn their pretext task: findings about them say no more than that."""

from studies.measurements import Study

# With the paper's 100 permutations. Exemplar's retrieval depends on the batch and is not judged.
CHANCE = {"rotation": 1 / 4, "relative_patch_location": 1 / 8, "jigsaw": 1 / 100}
MARGIN = 1.2


def at_chance(study: Study) -> list[str]:
    """A line for every network whose held-out pretext accuracy is below MARGIN times chance."""
    return [
        f"{network.name}: {network.pretext:.1%} on held-out images, where chance is "
        f"{CHANCE[network.task]:.1%}"
        for network in study.networks
        if network.task in CHANCE
        and network.pretext is not None
        and network.pretext < MARGIN * CHANCE[network.task]
    ]
