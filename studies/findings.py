"""The paper's findings, section by section: each a rule, and what a study says of it.

A rule's docstring is what the report prints. What "beyond the noise", "each" and "similar" mean is
in `studies/significance.py`: every rule returns 1 (holds), -1 (does not) or 0 (cannot be seen) out
of corrected tests. A network that did not learn its task (`studies/frames.py`) is in none.
"""

import dataclasses
import inspect
import itertools
from collections.abc import Callable, Hashable, Iterable, Mapping

import numpy as np
import pandas as pd

from studies import published, rankings, scale_figures
from studies.frames import (
    ARCHITECTURES,
    CELL,
    LAYERS,
    SUPERVISED,
    TASKS,
    UNTRAINED,
    Study,
    in_order,
)
from studies.significance import (
    LEVEL,
    MARGIN,
    Cells,
    Comparison,
    all_of,
    any_of,
    cells_of,
    gains,
    holm,
    opposite,
    rank_agreement,
)
from studies.statistics import RESAMPLES
from studies.table import Table, words
from studies.tables import OFFICIAL_VALIDATION, longest_schedules

HOLDS, DOES_NOT, UNSEEN = "holds", "does not hold", "cannot be seen"
VERDICTS = {1: HOLDS, -1: DOES_NOT, 0: UNSEEN}
SHOWN = 6
VGG, REVNET, RESNET = "vgg19_bn", "revnet50", "resnet50_v2"
# Supervision has no room to gain from here.
CEILING = 0.9
# What "almost halving" the gap is at least: the paper's own numbers close 0.44 of it, with 76.3 %
# for a supervised ResNet50.
ALMOST_HALF = 0.4
SIZED = "several widths and representation sizes of one task and architecture"


@dataclasses.dataclass(frozen=True)
class Finding:
    """A claim of the paper and what a study says of it.

    Attributes:
        claim, section: the paper's.
        verdict: holds, does not hold, or cannot be seen.
        reason: why it cannot be seen; empty otherwise.
        evidence: the numbers.
        rule: how it was judged.
    """

    claim: str
    section: str
    verdict: str
    reason: str
    evidence: str
    rule: str


@dataclasses.dataclass
class Verdict:
    """What a rule found.

    Attributes:
        sign: 1, -1 or 0, as in `studies/significance.py`.
        comparisons: with p corrected for all of them.
        needs: what a study needs for there to be any.
        reasons: why it cannot be seen, beyond what the comparisons say themselves.
        notes: what the numbers do not tell.
    """

    sign: int
    comparisons: list[Comparison]
    needs: str
    reasons: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)


class Evidence:
    """The scores of a study that its findings may rest on.

    Attributes:
        study: the study.
        learnt: the scores of all networks that learnt their task.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self.learnt = study.scores[study.scores.learnt]

    def scores(
        self, probe: str = "lbfgs", layer: str | None = "pre_logits", own_size: bool = True
    ) -> pd.DataFrame:
        """Of pretext tasks' networks that learnt, with all labels."""
        found = _of_pretext_tasks(self.study.probed(probe, layer))
        found = found[found.learnt]
        return found[found.representation_size == 0] if own_size else found

    def of_one_width(self) -> pd.DataFrame:
        """Linear probes at the width that architectures are compared at."""
        found = _of_pretext_tasks(rankings.of_one_width(self.study))
        return found[found.learnt]

    def tasks(self) -> list[tuple[str, str]]:
        """Images and pretext tasks at that width, those that no network learnt included."""
        found = _of_pretext_tasks(rankings.of_one_width(self.study))
        order = in_order(found.task, TASKS)
        return sorted(
            set(zip(found.images, found.task, strict=True)),
            key=lambda pair: (pair[0], order.index(pair[1])),
        )

    def did_not_learn(self, task: str, architecture: str) -> bool:
        """Whether a network of this task and architecture did not learn its task."""
        networks = self.study.networks
        found = (networks.task == task) & (networks.architecture == architecture)
        return bool((found & ~networks.learnt).any())

    def lost(self, task: str, architecture: str) -> str:
        """Why an architecture has no vote on a task."""
        failed = self.did_not_learn(task, architecture)
        why = "did not learn it" if failed else "was not measured"
        return f"{words(task)}: {architecture} {why}"


def _of_pretext_tasks(scores: pd.DataFrame) -> pd.DataFrame:
    """Those of networks that were pretrained without labels."""
    return scores[~scores.task.isin((UNTRAINED, SUPERVISED))]


def network_text(key: tuple) -> str:
    """Task, architecture, widening factor, representation size if it has one, and images."""
    images, task, architecture, k, size = key
    parts = [words(task), architecture, f"k {k}", *([f"size {size}"] if size else []), images]
    return ", ".join(parts)


def own_size(k: int) -> int:
    """The size of pre_logits of every architecture at a widening factor."""
    return 512 * k


Rule = Callable[[Evidence], Verdict]
RULES: list[tuple[str, str, Rule]] = []


def finding(claim: str, section: str) -> Callable[[Rule], Rule]:
    """Adds a rule to the report, with the claim that it judges and the paper's section."""

    def add(rule: Rule) -> Rule:
        RULES.append((claim, section, rule))
        return rule

    return add


# ------------------------------------------------------- 3.1 and 4.1: the fully labelled setting


@finding("With labels, RevNet50 performs only marginally worse than ResNet50", "3.1")
def revnet_with_labels(evidence: Evidence) -> Verdict:
    """Supervised RevNet50 and ResNet50 v2 at every width that both have: holds if they are shown
    to lie within 2 points of each other in each, does not hold if they are shown to lie farther
    apart in one. Linear probe on pre_logits."""
    return _supervised_alike(evidence, REVNET, (RESNET,))


@finding("With labels, VGG19-BN performs similarly to ResNet50", "4.1")
def vgg_with_labels(evidence: Evidence) -> Verdict:
    """Supervised VGG19-BN and ResNet50, v1 and v2, at every width that both have: holds if it is
    shown to lie within 2 points of both in each, does not hold if it is shown to lie farther
    away in one. Linear probe on pre_logits."""
    return _supervised_alike(evidence, VGG, ("resnet50_v1", RESNET))


def _supervised_alike(evidence: Evidence, one: str, others: tuple[str, ...]) -> Verdict:
    """Equivalence by two one-sided tests each (D. Schuirmann, 1987)."""
    scores = rankings.at_own_size(evidence.study)
    cells = cells_of(scores[(scores.task == SUPERVISED) & scores.learnt], CELL)
    tests = {}
    for key, other in itertools.product(cells, others):
        images, task, architecture, k, size = key
        reference = (images, task, other, k, size)
        if architecture == one and reference in cells:
            for more, less in ((key, reference), (reference, key)):
                label = f"{more[2]} over {less[2]}, k {k}, {images}"
                tests[more, less] = cells.compare(label, more, less, below=MARGIN)
    tested = holm(tests)
    found = {key[2] for pair in tested for key in pair}
    missing = [] if not tested else [other for other in others if other not in found]
    return Verdict(
        all_of([*(test.sign for test in tested.values()), *(0 for _ in missing)]),
        list(tested.values()),
        f"supervised networks of {one} and of {' and '.join(others)} at one width",
        reasons=[f"no supervised {other} beside {one}" for other in missing],
        notes=ceiling(cells[key].mean for pair in tested for key in pair),
    )


def ceiling(accuracies: Iterable[float]) -> list[str]:
    """A note if supervised networks reach so much that differences between them shrink."""
    highest = max(accuracies, default=0.0)
    if highest < CEILING:
        return []
    return [
        f"supervision is at its ceiling ({100 * highest:.0f} %), where differences shrink, and its "
        "networks have seen the labels that the probe is fitted to"
    ]


# --------------------------------------------------------- 4.1: architectures, tasks, data sets


@finding("The ranking of architectures differs between pretext tasks", "4.1")
def architectures_ranking_differs(evidence: Evidence) -> Verdict:
    """Holds if two architectures are ordered one way with one task and the other way with another,
    both beyond the noise, and the better one of each task learnt that task well. Does not hold if
    every pair is ordered beyond the noise and in every task alike. Linear probe, one width."""
    return _ranking_differs(evidence, group=1, item=2)


@finding("The ranking of pretext tasks differs between architectures", "4.1")
def tasks_ranking_differs(evidence: Evidence) -> Verdict:
    """Holds if two tasks are ordered one way with one architecture and the other way with another,
    both beyond the noise, and the better network of each learnt its task well. Does not hold if
    every pair is ordered beyond the noise and with each architecture alike. Linear probe, one k."""
    return _ranking_differs(evidence, group=2, item=1)


def _ranking_differs(evidence: Evidence, group: int, item: int) -> Verdict:
    """Looks for two items (axis of a cell's key) whose order two groups (axis) turn round."""
    scores = evidence.of_one_width()
    cells = cells_of(scores, CELL[:3])
    well = _learnt_well(evidence, cells_of(scores, CELL[:3], "pretext"))
    order = TASKS if item == 1 else ARCHITECTURES
    comparisons = {}
    for images, one in sorted({(key[0], key[group]) for key in cells}):
        here = {key[item]: key for key in cells if (key[0], key[group]) == (images, one)}
        for a, b in itertools.combinations(in_order(here, order), 2):
            label = f"{words(a)} over {words(b)}, {words(one)}, {images}"
            comparisons[images, one, a, b] = cells.compare(label, here[a], here[b])
    tested = holm(comparisons)
    signs, poorly = [], set()
    inversions: list[str] = []
    for (first, one), (second, other) in itertools.combinations(tested.items(), 2):
        if (first[0], *first[2:]) != (second[0], *second[2:]):
            continue
        sign = opposite(one.sign, other.sign)
        if sign == 1:
            winners = [each.cells[0] if each.sign == 1 else each.cells[1] for each in (one, other)]
            unlearnt = [network for network in winners if not well(network)]
            poorly.update(unlearnt)
            sign = 0 if unlearnt else 1
            inversions += [] if unlearnt else [f"turned round: {one}; {other}"]
        signs.append(sign)
    return Verdict(
        any_of(signs),
        list(tested.values()) if signs else [],
        "two tasks and two architectures of one width",
        reasons=[
            f"{words(task)}, {architecture}: better in an inversion, but not learnt well"
            for _, task, architecture in sorted(poorly)
        ],
        notes=[
            f"{len(signs)} pairs of comparisons, {sum(sign == 1 for sign in signs)} turned round",
            *inversions[:3],
        ],
    )


def _learnt_well(evidence: Evidence, pretext: Cells) -> Callable[[tuple], bool]:
    """Whether a network came at least half of the way from chance to the best of its task."""
    scores = evidence.study.scores
    guessing = dict(zip(scores.task, scores.chance_level.fillna(0.0), strict=True))
    best = {
        task: max(cell.mean for key, cell in pretext.items() if key[1] == task)
        for task in {key[1] for key in pretext}
    }

    def well(key: tuple) -> bool:
        task = key[1]
        return key in pretext and pretext[key].mean >= (best[task] + guessing[task]) / 2

    return well


@finding("VGG19-BN is the worst architecture for every task", "4.1")
def vgg_is_worst(evidence: Evidence) -> Verdict:
    """Judged per task: VGG19-BN is the worst of it if every other architecture that learnt it is
    above beyond the noise. Holds if it is the worst of each task of the study, does not hold if
    one architecture is below it beyond the noise in one. Linear probe on pre_logits, one width."""
    cells = cells_of(evidence.of_one_width(), CELL[:3])
    tested = holm(
        {
            (images, task, other): cells.compare(
                f"{words(task)}, {other} over {VGG}, {images}",
                (images, task, other),
                (images, task, VGG),
            )
            for images, task, other in cells
            if other != VGG and (images, task, VGG) in cells
        }
    )
    signs, reasons = {}, []
    for images, task in evidence.tasks():
        signs[images, task] = all_of(
            test.sign for key, test in tested.items() if key[:2] == (images, task)
        )
        if (images, task, VGG) not in cells:
            reasons.append(evidence.lost(task, VGG))
    return Verdict(
        all_of(signs.values()),
        list(tested.values()),
        f"{VGG} and another architecture of one width",
        reasons=reasons if tested else [],
        notes=[_by_task(signs)] if tested else [],
    )


def _by_task(signs: Mapping[tuple[str, str], int]) -> str:
    several = len({images for images, _ in signs}) > 1
    return "by task: " + ", ".join(
        f"{words(task)}{f' ({images})' if several else ''} {VERDICTS[sign]}"
        for (images, task), sign in signs.items()
    )


@finding("A wider network is better", "4.1, 4.6")
def wider_is_better(evidence: Evidence) -> Verdict:
    """Every task and architecture with several widening factors, from each to the next: holds if
    every step is up beyond the noise, does not hold if one is down beyond the noise. Linear probe
    on pre_logits with all labels; networks of their own representation size."""
    return _wider(evidence, fractions=(1.0,))


@finding("Self-supervision gains more from width than supervision", "4.1")
def width_gain_over_supervision(evidence: Evidence) -> Verdict:
    """Gain from the narrowest to the widest network that both have, pretext task over supervised,
    of one architecture: holds if it is larger beyond the noise in each, does not hold if smaller
    in one; cannot be seen where supervision is at 90 % or more, with no room to gain."""
    scores = rankings.at_own_size(evidence.study)
    cells = cells_of(scores[scores.learnt & (scores.task != UNTRAINED)], CELL)
    tests, highest = {}, {}
    for images, task, architecture in sorted({key[:3] for key in cells}):
        common = [
            k
            for k in sorted(key[3] for key in cells if key[:3] == (images, task, architecture))
            if (images, SUPERVISED, architecture, k, 0) in cells
        ]
        if task != SUPERVISED and len(common) > 1:
            low, high = common[0], common[-1]
            keys = [
                (images, of, architecture, k, 0) for of in (task, SUPERVISED) for k in (high, low)
            ]
            label = f"{words(task)} over supervised, {architecture}, k {low} to {high}, {images}"
            tests[keys[0]] = cells.contrast(label, list(zip((1, -1, -1, 1), keys, strict=True)))
            highest[keys[0]] = max(cells[key].mean for key in keys[2:])
    tested = holm(tests)
    return Verdict(
        all_of(0 if highest[key] >= CEILING else test.sign for key, test in tested.items()),
        list(tested.values()),
        "two widening factors of the supervised network and of a pretext task",
        reasons=ceiling(highest.values()),
    )


@finding("Networks rank alike on another data set", "4.1")
def data_sets_agree(evidence: Evidence) -> Verdict:
    """Holds if Spearman's rank correlation between two data sets is at least 0.8 over its 95 %
    interval, and beyond chance, for each pair of data sets; does not hold if it is below over the
    interval and two networks are turned round beyond the noise. Linear probe on pre_logits."""
    cells = cells_of(evidence.scores(own_size=False), CELL)
    signs, notes = [], []
    for first, second in itertools.combinations(sorted({key[0] for key in cells}), 2):
        pairs = [
            (key, (second, *key[1:]))
            for key in sorted(cells)
            if key[0] == first and (second, *key[1:]) in cells
        ]
        if len(pairs) >= rankings.LEAST:
            sign, text = _rank_alike(cells, cells, pairs)
            signs.append(sign)
            notes.append(f"{first} and {second}: {text}")
    return Verdict(
        all_of(signs),
        [],
        "three networks probed on two data sets",
        reasons=[note for note in notes if not all_of(signs)],
        notes=notes,
    )


def _rank_alike(
    first: Cells, second: Cells, pairs: list[tuple[Hashable, Hashable]]
) -> tuple[int, str]:
    """Sign and numbers of a rank agreement, pairs of things compared by both measures."""
    tested = holm(
        {
            (a, b, side): cells.compare("", a[side], b[side])
            for a, b in itertools.combinations(pairs, 2)
            for side, cells in enumerate((first, second))
        }
    )
    inversions = sum(
        opposite(tested[a, b, 0].sign, tested[a, b, 1].sign) == 1
        for a, b in itertools.combinations(pairs, 2)
    )
    agreement = rank_agreement(first, second, pairs, any_turned=inversions > 0)
    text = f"{agreement.text}; {inversions} of {len(tested) // 2} pairs turned round"
    return agreement.sign, text


# ------------------------------------------------------------------------------ 4.2: prior work


@finding("The best networks beat the best results before the paper (ImageNet)", "4.2")
def beats_prior_work(evidence: Evidence) -> Verdict:
    """For each of the four tasks, SGD protocol on ImageNet's official validation images: holds if
    in each one network is above the best result before the paper beyond the noise, does not hold
    if in one task all networks of the study are below it beyond the noise."""
    cells = _official(evidence)
    tested = holm(
        {
            key: cells.contrast(
                f"{network_text(key)} over {before:.1f} %", [(1.0, key)], -before / 100
            )
            for task, (*_, before) in published.TABLE_2.items()
            for key in cells
            if key[1] == task
        }
    )
    missing = [task for task in published.TABLE_2 if not any(key[1] == task for key in tested)]
    signs = [
        any_of(test.sign for key, test in tested.items() if key[1] == task)
        for task in published.TABLE_2
    ]
    return Verdict(
        all_of(signs),
        list(tested.values()),
        "the SGD protocol on ImageNet's official validation images",
        reasons=[f"{words(task)} was not measured" for task in missing] if tested else [],
    )


@finding("The gap to supervision is almost halved (ImageNet)", "4.2")
def gap_is_halved(evidence: Evidence) -> Verdict:
    """The share of the gap, from the best result before the paper to the study's best supervised
    network, that the best network closes; ImageNet's official validation images, SGD protocol.
    Holds if it is above 0.4 beyond the noise, does not hold if all networks are below."""
    pretext, supervised = _official(evidence), _supervised_official(evidence)
    before = max(percent for *_, percent in published.TABLE_2.values()) / 100
    top = max(supervised, key=lambda key: supervised[key].mean, default=None)
    cells = Cells(
        {**pretext.values_by_seed, **({top: supervised.values_by_seed[top]} if top else {})}
    )
    tested = holm(
        {
            key: cells.contrast(
                f"{network_text(key)}, beyond {ALMOST_HALF:g} of the gap from {100 * before:.1f} % "
                f"to supervised {top[2]}",
                [(1.0, key), (-ALMOST_HALF, top)],
                -(1 - ALMOST_HALF) * before,
            )
            for key in pretext
            if top
        }
    )
    return Verdict(
        any_of(test.sign for test in tested.values()),
        list(tested.values()),
        "the SGD protocol on ImageNet's official validation images, and a supervised network there",
        notes=["on Places205, the paper's other benchmark, no earlier result could be verified"],
    )


def _official(evidence: Evidence) -> Cells:
    """SGD probes on the official validation images, of the longest schedule of each network."""
    scores = evidence.scores("sgd", own_size=False)
    return cells_of(longest_schedules(scores[scores.images == OFFICIAL_VALIDATION]), CELL)


def _supervised_official(evidence: Evidence) -> Cells:
    """Supervised networks' own accuracy on the official validation images."""
    networks = evidence.study.networks
    networks = networks.assign(
        images=networks.dataset + " " + networks.val_split, representation_size=0
    )
    official = (networks.images == OFFICIAL_VALIDATION) & (networks.task == SUPERVISED)
    return cells_of(networks[official & networks.learnt], CELL, "pretext")


@finding("The architecture matters as much as the pretext task", "4.2")
def architecture_matters(evidence: Evidence) -> Verdict:
    """Standard deviation over architectures (within a task, root mean square) by that over tasks
    (within an architecture): holds if the 95 % interval of the ratio is at least 1, does not hold
    if it is below 1/2. Architectures that learnt all tasks of a study. Linear probe, one width."""
    cells = cells_of(evidence.of_one_width(), CELL[:3])
    signs, notes, reasons = [], [], []
    for images in sorted({images for images, _ in evidence.tasks()}):
        tasks = [task for where, task in evidence.tasks() if where == images]
        names = in_order((a for where, _, a in cells if where == images), ARCHITECTURES)
        whole = [name for name in names if all((images, task, name) in cells for task in tasks)]
        if len(tasks) < 2 or len(whole) < 2:
            continue
        table = [[(images, task, name) for name in whole] for task in tasks]
        means = np.array([[cells[key].mean for key in row] for row in table])
        errors = [[cells.error(key) for key in row] for row in table]
        text = (
            f"{images}: {100 * _deviation(means, 1):.1f} points over {len(whole)} architectures, "
            f"{100 * _deviation(means, 0):.1f} over {len(tasks)} tasks"
        )
        single = sum(row.count(None) for row in errors)
        if single:
            signs.append(0)
            reasons.append(f"{single} of {means.size} networks have fewer than two seeds")
            notes.append(text)
            continue
        noise = np.random.default_rng(0).standard_normal((RESAMPLES, *means.shape))
        drawn = means + np.array(errors) * noise
        ratios = _deviation(drawn, 2) / _deviation(drawn, 1)
        low, high = np.percentile(ratios, [2.5, 97.5])
        signs.append(1 if low >= 1 else -1 if high < 0.5 else 0)
        notes.append(f"{text}, ratio [{low:.2f}, {high:.2f}]")
    return Verdict(
        all_of(signs),
        [],
        "two tasks and two architectures of one width that learnt both",
        reasons=reasons or [note for note in notes if not all_of(signs)],
        notes=notes,
    )


def _deviation(values: np.ndarray, axis: int) -> np.ndarray:
    """Root mean square, over the last axis left, of the standard deviations along an axis."""
    return np.sqrt(np.mean(np.var(values, axis=axis, ddof=1), axis=-1))


# --------------------------------------------------------------------------- 4.3: linear probes


@finding("An MLP probe gains little over a linear one and ranks networks alike", "4.3")
def linear_is_enough(evidence: Evidence) -> Verdict:
    """Needs both: on every network, the same seeds with both probes, a gain shown to be below 2
    points; and Spearman's rank correlation of at least 0.8 over its 95 % interval. An MLP that
    loses beyond the noise is undertrained and shows nothing; a gain shown to be larger refutes."""
    linear, mlp = (
        cells_of(evidence.scores(probe, own_size=False), CELL) for probe in ("lbfgs", "mlp")
    )
    both = [key for key in linear if key in mlp]
    gain = gains(mlp, linear, {key: (key, key) for key in both})
    tests: dict[tuple, Comparison] = {}
    for key in gain:
        label = f"{network_text(key)}, MLP over linear"
        tests[key, "gains"] = gain.above(label, key)
        tests[key, "little"] = gain.above(label, key, below=MARGIN)
    tested = holm(tests)
    undertrained = [key for key, test in tested.items() if key[1] == "gains" and test.sign == -1]
    gains_little = all_of(test.sign for (_, kind), test in tested.items() if kind == "little")
    if undertrained and gains_little == 1:
        gains_little = 0
    alike, text = 0, ""
    if len(both) >= rankings.LEAST:
        alike, text = _rank_alike(linear, mlp, [(key, key) for key in both])
    if undertrained and alike == -1:
        alike = 0
    mean = np.mean([mlp[key].mean - linear[key].mean for key in both]) if both else 0.0
    return Verdict(
        all_of((gains_little, alike)),
        list(tested.values()),
        "three networks with both probes",
        reasons=[
            f"the MLP is undertrained: it loses beyond the noise on {network_text(key)}"
            for key, _ in undertrained[:3]
        ]
        + ([text] if text and alike == 0 else []),
        notes=[f"mean gain over {len(both)} networks {100 * mean:+.1f}", *([text] if text else [])]
        if both
        else [],
    )


# ---------------------------------------------------------------- 4.4: pretext accuracy as a proxy


@finding("Pretext accuracy does not tell the better architecture", "4.4")
def pretext_is_no_proxy(evidence: Evidence) -> Verdict:
    """Pairs of architectures with one task and width: holds if in one the better at the task is the
    worse downstream, both beyond the noise; does not hold if in every pair the better at the task
    is the better downstream, both beyond the noise. Linear probe on pre_logits."""
    pairs = _proxy_pairs(evidence.of_one_width(), CELL[:3], group=2)
    signs = {key: opposite(pretext.sign, below.sign) for key, (pretext, below) in pairs.items()}
    return Verdict(
        any_of(signs.values()),
        [test for pair in pairs.values() for test in pair],
        "two architectures with pretext accuracy at one width",
        notes=[
            f"of {len(pairs)} pairs pretext accuracy told the wrong one beyond the noise in "
            f"{list(signs.values()).count(1)}, the right one in {list(signs.values()).count(-1)}",
            *(f"wrong: {'; '.join(map(str, pairs[key]))}" for key in signs if signs[key] == 1),
        ][:4]
        if pairs
        else [],
    )


@finding("Within one architecture, pretext accuracy tells the better network", "4.4")
def pretext_is_a_proxy_within(evidence: Evidence) -> Verdict:
    """Pairs of widths and sizes of one task and architecture whose pretext accuracy differs beyond
    the noise: holds if the better at the task is the better downstream beyond the noise in each,
    does not hold if it is the worse in one. Representations below a network's own size left out."""
    scores = evidence.scores(own_size=False)
    bottleneck = scores.representation_size.between(1, own_size(scores.widening_factor) - 1)
    pairs = _proxy_pairs(scores[~bottleneck], CELL, group=3)
    signs = [-opposite(one.sign, other.sign) for one, other in pairs.values() if one.sign]
    return Verdict(
        all_of(signs),
        [test for pair in pairs.values() for test in pair],
        "two widths or sizes of one task and architecture with pretext accuracy",
        reasons=["no two differ in pretext accuracy beyond the noise"]
        if pairs and not signs
        else [],
        notes=[f"{len(signs)} of {len(pairs)} pairs differ in pretext accuracy beyond the noise"]
        if pairs
        else [],
    )


def _proxy_pairs(
    scores: pd.DataFrame, by: list[str], group: int
) -> dict[tuple, tuple[Comparison, Comparison]]:
    """Pretext and downstream comparisons of pairs whose keys agree in the first `group` parts.

    All are corrected together.
    """
    scores = scores.dropna(subset=["pretext"])
    sides = (
        ("pretext", cells_of(scores, by, "pretext", alike=lambda key: key[:2])),
        ("downstream", cells_of(scores, by)),
    )
    tests = {}
    for a, b in itertools.combinations(sorted(sides[0][1]), 2):
        if a[:group] == b[:group]:
            names = [_size_text(each[group:]) for each in (a, b)]
            of = ", ".join(map(words, a[1:group]))
            for kind, cells in sides:
                label = f"{of}, {names[0]} over {names[1]}, {kind}, {a[0]}"
                tests[a, b, kind] = cells.compare(label, a, b)
    tested = holm(tests)
    return {
        (a, b): (tested[a, b, "pretext"], tested[a, b, "downstream"])
        for a, b, kind in tested
        if kind == "pretext"
    }


def _size_text(parts: tuple) -> str:
    if len(parts) == 1:
        return str(parts[0])
    k, size = parts
    return f"k {k}" + (f" size {size}" if size else "")


# ------------------------------------------------------------------ 4.5: layers, skip-connections


@finding("pre_logits is the best layer of networks with skip-connections", "4.5")
def last_layer_is_best(evidence: Evidence) -> Verdict:
    """Every network with skip-connections, pre_logits over each earlier layer on the same seeds:
    holds if it is above all of them beyond the noise in each network, does not hold if one layer
    is above it in one. A network's layers share its seeds, which count once. Linear probe."""
    tests = _layers(evidence, of_vgg=False)
    needs = "several layers of a pretrained network with skip-connections"
    return _each(tests, needs, notes=_networks(tests))


@finding("VGG19-BN degrades towards its end", "4.5")
def vgg_degrades(evidence: Evidence) -> Verdict:
    """Judged per network: VGG19-BN degrades if an earlier layer is above pre_logits beyond the
    noise on the same seeds. Holds if it does in each task, does not hold if in one pre_logits is
    above every earlier layer beyond the noise. Linear probe."""
    tested = holm(_layers(evidence, of_vgg=True))
    networks = {key[:-1] for key in tested}
    signs = [
        any_of(-test.sign for key, test in tested.items() if key[:-1] == network)
        for network in networks
    ]
    tasks = dict.fromkeys(task for _, task in evidence.tasks())
    lost = [
        evidence.lost(task, VGG)
        for task in tasks
        if not any(network[1] == task for network in networks)
    ]
    return Verdict(
        all_of([*signs, *(0 for _ in lost)]),
        list(tested.values()),
        f"several layers of a pretrained {VGG}",
        reasons=lost if tested else [],
        notes=_networks(tested),
    )


def _layers(evidence: Evidence, of_vgg: bool) -> dict[tuple, Comparison]:
    """By network and earlier layer, pre_logits over that layer; the pixels excepted."""
    scores = evidence.scores(layer=None, own_size=False)
    chosen = scores.layer.isin(LAYERS[1:]) & ((scores.architecture == VGG) == of_vgg)
    cells = cells_of(scores[chosen], [*CELL, "layer"])
    last = gains(
        cells,
        cells,
        {
            key: ((*key[:-1], "pre_logits"), key)
            for key in cells
            if key[-1] != "pre_logits" and (*key[:-1], "pre_logits") in cells
        },
        # Networks are independent of each other, their layers are not.
        alike=lambda key: (key[0], key[-1]),
    )
    return {
        key: last.above(f"{network_text(key[:5])}, pre_logits over {key[5]}", key) for key in last
    }


def _networks(tested: Mapping[tuple, Comparison]) -> list[str]:
    count = len({key[:-1] for key in tested})
    return [f"{count} network{'s' * (count > 1)}"] if tested else []


@finding("RevNet50 beats ResNet50 v2 on rotation", "4.5")
def revnet_on_rotation(evidence: Evidence) -> Verdict:
    """RevNet50 over ResNet50 v2, pretrained with rotation, at one width: holds if it is above
    beyond the noise on all images, does not hold if it is below beyond the noise on any. (The
    paper's 5 points are of its widest networks.) Linear probe on pre_logits."""
    cells = cells_of(evidence.of_one_width(), CELL[:3])
    tests = {
        key: cells.compare(f"{REVNET} over {RESNET}, {key[0]}", key, (*key[:2], RESNET))
        for key in cells
        if key[1:] == ("rotation", REVNET) and (*key[:2], RESNET) in cells
    }
    return _each(
        tests,
        "both on rotation at one width",
        reasons=[
            evidence.lost("rotation", name)
            for name in (REVNET, RESNET)
            if evidence.did_not_learn("rotation", name)
        ],
    )


@finding("RevNet50 does not beat ResNet50 v2 on the other tasks", "4.5")
def revnet_on_other_tasks(evidence: Evidence) -> Verdict:
    """Judged per task but rotation, at one width: holds if in each RevNet50 is shown to be less
    than 2 points above ResNet50 v2 (no difference seen is not enough), does not hold if in one
    it is above beyond the noise. Linear probe on pre_logits."""
    cells = cells_of(evidence.of_one_width(), CELL[:3])
    tests, signs, reasons = {}, {}, []
    others = [pair for pair in evidence.tasks() if pair[1] != "rotation"]
    for images, task in others:
        pair = [(images, task, REVNET), (images, task, RESNET)]
        missing = [key for key in pair if key not in cells]
        reasons += [evidence.lost(task, key[2]) for key in missing]
        if not missing:
            label = f"{words(task)}, {REVNET} over {RESNET}, {images}"
            tests[images, task, "above"] = cells.compare(label, *pair)
            tests[images, task, "little"] = cells.compare(label, *pair, below=MARGIN)
    tested = holm(tests)
    for images, task in others:
        above, little = (tested.get((images, task, kind)) for kind in ("above", "little"))
        signs[images, task] = 0 if above is None else -1 if above.sign == 1 else little.sign
    return Verdict(
        all_of(signs.values()),
        list(tested.values()),
        "both on another task at one width",
        reasons=reasons if tested else [],
        notes=[_by_task(signs)] if tested else [],
    )


# ---------------------------------------------------------- 4.6: width, representation size, labels


@finding("A wider network is better with few labels too", "4.6")
def wider_is_better_with_few_labels(evidence: Evidence) -> Verdict:
    """Every share of the labels below all, every task and architecture with several widening
    factors, from each to the next: holds if every step is up beyond the noise, does not hold if
    one is down beyond the noise. Linear probe on pre_logits."""
    shares = sorted(set(evidence.study.scores.train_fraction) - {1.0})
    return _wider(evidence, shares[::-1])


def _wider(evidence: Evidence, fractions: Iterable[float]) -> Verdict:
    scores = _of_pretext_tasks(evidence.learnt)
    scores = scores[(scores.probe == "lbfgs") & (scores.layer == "pre_logits")]
    tests = {}
    for fraction in fractions:
        chosen = (scores.train_fraction == fraction) & (scores.representation_size == 0)
        cells = cells_of(scores[chosen], CELL)
        for network in sorted({key[:3] for key in cells}):
            widths = sorted(key for key in cells if key[:3] == network)
            for less, more in itertools.pairwise(widths):
                labels = "" if fraction == 1 else f", {100 * fraction:g} % of the labels"
                images, task, architecture = network
                label = f"{words(task)}, {architecture}, k {less[3]} to {more[3]}, {images}{labels}"
                tests[fraction, more] = cells.compare(label, more, less)
    return _each(tests, "two widening factors of one task and architecture")


@finding("A larger representation alone improves a thin network", "4.6")
def larger_representation(evidence: Evidence) -> Verdict:
    """The thinnest network that has an enlarged representation: its largest over its own size (of
    sizes below that, which are bottlenecks, none counts). Holds if it is above beyond the noise,
    does not hold if it is below. Linear probe on pre_logits."""
    cells = _of_figure6(evidence)
    tests = {}
    for k in sorted({k for _, k, _ in cells}):
        sizes = sorted(key for key in cells if key[1] == k and key[2] >= own_size(k))
        if len(sizes) > 1:
            label = f"k {k}, size {sizes[0][2]} to {sizes[-1][2]}"
            tests[k] = cells.compare(label, sizes[-1], sizes[0])
            break
    return _each(tests, SIZED)


@finding("A representation below its own size costs a network accuracy", "4.6")
def bottlenecks_cost(evidence: Evidence) -> Verdict:
    """Every representation smaller than the network's own (512·k), against the smallest that is
    not, at the same width: holds if each is below beyond the noise, does not hold if one is above
    beyond the noise. The other side of Figure 6. Linear probe on pre_logits."""
    cells = _of_figure6(evidence)
    tests = {}
    for images, k, size in sorted(cells):
        whole = [key for key in sorted(cells) if key[1] == k and key[2] >= own_size(k)]
        if size < own_size(k) and whole:
            label = f"k {k}, size {whole[0][2]} over {size}"
            tests[k, size] = cells.compare(label, whole[0], (images, k, size))
    return _each(tests, SIZED)


@finding("More width alone, at one representation size, improves a network", "4.6")
def width_at_one_size(evidence: Evidence) -> Verdict:
    """At every representation size, the thinnest network to the widest for which that size is no
    bottleneck: holds if the wider one is above beyond the noise at each size, does not hold if it
    is below at one. Linear probe on pre_logits."""
    cells = _of_figure6(evidence)
    tests = {}
    for size in sorted({size for *_, size in cells}):
        same = sorted(key for key in cells if key[2] == size and size >= own_size(key[1]))
        if len(same) > 1:
            label = f"size {size}, k {same[0][1]} to {same[-1][1]}"
            tests[size] = cells.compare(label, same[-1], same[0])
    return _each(tests, SIZED)


@finding("Width and representation size together help most", "4.6")
def both_help_most(evidence: Evidence) -> Verdict:
    """Needs both: the widest network that has an enlarged representation, with its largest, is
    above itself at its own size, and above the thinnest network of that same size, each beyond
    the noise. Does not hold if it is below one beyond the noise. Linear probe on pre_logits."""
    cells = _of_figure6(evidence)
    tests = {}
    for k in sorted({k for _, k, _ in cells}, reverse=True):
        sizes = sorted(key for key in cells if key[1] == k and key[2] >= own_size(k))
        thinner = sorted(key for key in cells if key[1] < k and sizes and key[2] == sizes[-1][2])
        if len(sizes) > 1 and thinner:
            for alone in (sizes[0], thinner[0]):
                both = sizes[-1]
                label = f"k {k} and size {both[2]} over k {alone[1]} and size {alone[2]}"
                tests[alone] = cells.compare(label, both, alone)
            break
    return _each(tests, SIZED)


def _of_figure6(evidence: Evidence) -> Cells[tuple[str, int, int]]:
    """By images, widening factor and size of pre_logits, the networks of Figure 6."""
    scores = _of_pretext_tasks(scale_figures.of_most_sizes(evidence.study))
    scores = scale_figures.with_the_layer(scores[scores.learnt])
    return cells_of(scores, ["images", "widening_factor", "features"])


def _each(tests: Mapping[Hashable, Comparison], needs: str, **others: list[str]) -> Verdict:
    """Holds if each comparison does."""
    tested = holm(tests)
    signs = (test.sign for test in tested.values())
    return Verdict(all_of(signs), list(tested.values()), needs, **others)


# --------------------------------------------------------------------------- 4.7: SGD schedules


@finding("A late first decay of SGD, so a long schedule, is better", "4.7")
def long_schedules(evidence: Evidence) -> Verdict:
    """Every network with several SGD schedules, the latest first decay over the earliest on the
    same seeds: holds if it is above beyond the noise for each, does not hold if it is below for
    one. Accuracy after the last epoch."""
    scores = evidence.scores("sgd", own_size=False)
    cells = cells_of(scores[scores.curve.map(len) > 0], [*CELL, "first_decay"])
    pairs = {}
    for network in sorted({key[:-1] for key in cells}):
        decays = sorted(key for key in cells if key[:-1] == network)
        if len(decays) > 1:
            pairs[(*network, f"{decays[0][-1]:g} to {decays[-1][-1]:g}")] = (decays[-1], decays[0])
    late = gains(cells, cells, pairs)
    return _each(
        {key: late.above(f"{network_text(key[:-1])}, first decay {key[-1]}", key) for key in late},
        "two SGD schedules of one network",
    )


# ---------------------------------------------------------------------------------- the report


def findings(study: Study) -> list[Finding]:
    """All findings, in the order of this file."""
    evidence = Evidence(study)
    return [_found(claim, section, rule, rule(evidence)) for claim, section, rule in RULES]


def _found(claim: str, section: str, rule: Rule, verdict: Verdict) -> Finding:
    made = verdict.comparisons
    reasons = list(verdict.reasons)
    if not made and not reasons:
        reasons = [f"not measured: needs {verdict.needs}"]
    few = sum(each.p is None for each in made)
    noise = sum(each.p is not None and each.sign == 0 for each in made)
    if few:
        reasons.append(f"{few} of {len(made)} comparisons have fewer than two seeds on a side")
    if noise:
        reasons.append(f"{noise} of {len(made)} are within the noise")
    return Finding(
        claim=claim,
        section=section,
        verdict=VERDICTS[verdict.sign],
        reason="" if verdict.sign else _sentence(reasons),
        evidence=" ".join(filter(None, (_sentence(verdict.notes), _numbers(made)))),
        rule=" ".join(inspect.getdoc(rule).split()),
    )


def _sentence(parts: Iterable[str]) -> str:
    text = "; ".join(dict.fromkeys(parts))
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _numbers(made: list[Comparison]) -> str:
    """The comparisons in words: those against first, then the surest, then the largest."""
    if not made:
        return ""
    signs = [each.sign for each in made]
    tested = sum(each.p is not None for each in made)
    head = f"{len(made)} comparison{'s' * (len(made) > 1)}, {tested} tested"
    ordered = sorted(
        made,
        key=lambda each: (
            each.sign != -1,
            1.0 if each.p is None else each.p,
            -abs(each.difference),
        ),
    )
    rest = f"; and {len(ordered) - SHOWN} more" if len(ordered) > SHOWN else ""
    return (
        f"{head}: {signs.count(1)} for, {signs.count(-1)} against. "
        f"{'; '.join(map(str, ordered[:SHOWN]))}{rest}."
    )


def table(study: Study) -> Table:
    """The findings as a table."""
    found = findings(study)
    counts = {name: sum(each.verdict == name for each in found) for name in VERDICTS.values()}
    return Table(
        key="findings",
        title="The paper's findings at this scale",
        note=f"{counts[HOLDS]} hold, {counts[DOES_NOT]} do not, {counts[UNSEEN]} cannot be seen. "
        "Differences in points of top-1 ± their standard error over seeds; p by Welch's t, with no "
        "variance taken below what is typical of the study, corrected by Holm for all comparisons "
        f"of the finding. Beyond the noise: corrected p of at most {LEVEL:g}. A comparison needs "
        "two seeds on each side, and a network that did not learn its task is in none.",
        numbers=pd.DataFrame(map(dataclasses.asdict, found)),
        header=["finding", "section", "at this scale", "why not", "numbers", "rule"],
        rows=[
            [
                each.claim,
                each.section,
                f"**{each.verdict}**",
                each.reason,
                each.evidence,
                each.rule,
            ]
            for each in found
        ],
        picture=False,
    )
