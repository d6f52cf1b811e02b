"""Sections 4.1 and 4.2: architectures, tasks, data sets, prior work."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from studies import published, rankings
from studies.exhibits import ARCHITECTURES, TASKS, words
from studies.figures import network_key
from studies.findings.judge import (
    DOES_NOT,
    HOLDS,
    UNSEEN,
    Comparison,
    Finding,
    Judge,
    judged,
    unmeasured,
)
from studies.measurements import SUPERVISED, UNTRAINED, Score, Study
from studies.statistics import Spread, spreads
from studies.tables import OFFICIAL_VALIDATION

VGG = "vgg19_bn"

# By images and task, or images and architecture: accuracies of what is ranked.
Groups = dict[tuple[str, str], dict[str, Spread]]


def findings(study: Study, judge: Judge) -> Iterator[Finding]:
    """The findings of these sections."""
    by_task = of_one_width(study)
    several = "two tasks and two architectures of one width"
    yield _inconsistency(
        "The ranking of architectures differs between pretext tasks", judge, by_task, several
    )
    yield _inconsistency(
        "The ranking of pretext tasks differs between architectures",
        judge,
        _transposed(by_task),
        several,
    )
    yield _architecture_matters(by_task, several)
    yield judged(
        "VGG19-BN is the worst architecture for every task",
        "4.1",
        _vgg_is_worst(judge, by_task),
        f"{VGG} and another architecture of the same width",
    )
    yield _data_sets_agree(study)
    yield judged(
        "The best networks beat the best results before the paper (ImageNet)",
        "4.2",
        _beats_prior_work(judge, study),
        "the SGD protocol on ImageNet's official validation images",
    )


def of_one_width(study: Study) -> Groups:
    """By images and pretext task the accuracies of the architectures."""
    cells = spreads(
        (score for score in rankings.of_one_width(study) if is_pretext(score)),
        lambda score: (score.place, score.network.task, score.network.architecture),
        lambda score: score.top1,
    )
    groups: Groups = {}
    for place, task, architecture in sorted(cells, key=_paper_order):
        groups.setdefault((place, task), {})[architecture] = cells[place, task, architecture]
    return groups


def _transposed(groups: Groups) -> Groups:
    turned: Groups = {}
    for (place, task), values in groups.items():
        for architecture, value in values.items():
            turned.setdefault((place, architecture), {})[task] = value
    return turned


def _paper_order(key: tuple[str, str, str]) -> tuple:
    place, task, architecture = key
    return (place, _index(TASKS, task), _index(ARCHITECTURES, architecture))


def _index(order: Sequence[str], name: str) -> int:
    return order.index(name) if name in order else len(order)


def is_pretext(score: Score) -> bool:
    """Whether the network was pretrained without labels."""
    return score.network.task not in (UNTRAINED, SUPERVISED)


def _inconsistency(claim: str, judge: Judge, groups: Groups, missing: str) -> Finding:
    """Whether two things that one group orders one way beyond the noise are turned in another."""
    turned, same, total = [], 0, 0
    for ((place, one), first), ((other_place, other), second) in itertools.combinations(
        groups.items(), 2
    ):
        if place != other_place:
            continue
        for a, b in itertools.combinations([name for name in first if name in second], 2):
            total += 1
            here = judge.compare(f"{words(a)} over {words(b)} in {words(one)}", first[a], first[b])
            there = judge.compare(f"in {words(other)} ({place})", second[a], second[b])
            if here.sign * there.sign == -1:
                turned.append((here, there))
            same += here.sign * there.sign == 1
    if not total:
        return unmeasured(claim, "4.1", missing)
    turned.sort(key=lambda pair: -min(abs(each.difference) for each in pair))
    listed = "".join(f" {here}, {there}." for here, there in turned[:3])
    decision = HOLDS if turned else DOES_NOT if 2 * same >= total else UNSEEN
    return Finding(
        claim,
        "4.1",
        decision,
        f"Of {total} pairs, {len(turned)} turned round beyond the noise, {same} kept their order "
        f"beyond it.{listed}",
    )


def _architecture_matters(by_task: Groups, missing: str) -> Finding:
    """The range over architectures of one task against the range over tasks of one architecture."""
    claim = "The architecture matters as much as the pretext task"
    ranges = [
        [
            max(v.mean for v in values.values()) - min(v.mean for v in values.values())
            for values in groups.values()
            if len(values) > 1
        ]
        for groups in (by_task, _transposed(by_task))
    ]
    if not all(ranges):
        return Finding(
            claim,
            "4.2",
            UNSEEN,
            "Not measured: needs two tasks and two architectures of one width.",
        )
    over_architectures, over_tasks = (100 * float(np.mean(values)) for values in ranges)
    decision = (
        HOLDS
        if over_architectures >= over_tasks
        else DOES_NOT
        if over_architectures < over_tasks / 2
        else UNSEEN
    )
    return Finding(
        claim,
        "4.2",
        decision,
        f"Best minus worst architecture of a task, on average: {over_architectures:.1f} points; "
        f"best minus worst task of an architecture: {over_tasks:.1f} (holds if the first is as "
        "large, does not if it is less than half).",
    )


def _vgg_is_worst(judge: Judge, by_task: Groups) -> Iterator[Comparison]:
    for (place, task), values in by_task.items():
        for architecture, value in values.items():
            if architecture != VGG and VGG in values:
                label = f"{words(task)}, {architecture} over {VGG}, {place}"
                yield judge.compare(label, value, values[VGG])


def _data_sets_agree(study: Study) -> Finding:
    claim = "Networks rank alike on another data set"
    found = [
        (first, second, correlation)
        for question, _, first, second, correlation in rankings.correlations(study)
        if question == rankings.BETWEEN_DATA_SETS and correlation.spearman is not None
    ]
    if not found:
        return unmeasured(claim, "4.1", "three networks probed on two data sets")
    values = [correlation.spearman for *_, correlation in found]
    decision = HOLDS if min(values) >= 0.8 else DOES_NOT if min(values) < 0.5 else UNSEEN
    listed = "; ".join(
        f"{first} and {second}: "
        f"{rankings.coefficient_text(correlation.spearman, correlation.spearman_interval)} of "
        f"{correlation.count} networks"
        for first, second, correlation in found
    )
    return Finding(
        claim,
        "4.1",
        decision,
        f"Spearman's ρ: {listed} (holds from 0.8, does not below 0.5).",
    )


def _beats_prior_work(judge: Judge, study: Study) -> Iterator[Comparison]:
    cells = spreads(
        (score for score in study.probed("sgd") if score.place == OFFICIAL_VALIDATION),
        lambda score: (score.network.task, network_key(score)),
        lambda score: score.top1,
    )
    for task, (*_, before) in published.TABLE_2.items():
        best = max(
            (value for (of, _), value in cells.items() if of == task),
            key=lambda value: value.mean,
            default=None,
        )
        if best is not None:
            label = f"{words(task)} over {before:.1f} %"
            yield judge.compare(label, best, Spread(before / 100, 0.0, 2))
