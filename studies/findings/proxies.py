"""Sections 4.3, 4.4 and 4.7: probes, pretext accuracy as a proxy, SGD schedules."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from studies import rankings, scale_figures
from studies.exhibits import words
from studies.figures import network_key
from studies.findings.architectures import is_pretext
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
from studies.findings.layers import network_text
from studies.measurements import Score, Study
from studies.statistics import Spread, spreads


def findings(study: Study, judge: Judge) -> Iterator[Finding]:
    """The findings of these sections."""
    yield _linear_is_enough(study)
    yield _pretext_is_no_proxy(judge, study)
    yield judged(
        "Within one architecture, pretext accuracy tells the better network",
        "4.4",
        _proxy_within(judge, study),
        "two widths or sizes of one task and architecture that differ in pretext accuracy",
    )
    yield judged(
        "A late first decay of SGD, so a long schedule, is better",
        "4.7",
        _long_schedules(judge, study),
        "two SGD schedules of one network",
    )


def _linear_is_enough(study: Study) -> Finding:
    claim = "An MLP probe gains little over a linear one and ranks networks alike"
    values: dict[tuple, dict[str, list[float]]] = {}
    for probe in ("lbfgs", "mlp"):
        for score in study.probed(probe):
            values.setdefault(network_key(score), {}).setdefault(probe, []).append(score.top1)
    both = [by_probe for by_probe in values.values() if len(by_probe) == 2]
    if len(both) < rankings.LEAST:
        return unmeasured(claim, "4.3", "three networks with both probes")
    linear, mlp = ([by_probe[name] for by_probe in both] for name in ("lbfgs", "mlp"))
    means = np.array([[np.mean(each) for each in side] for side in (linear, mlp)])
    gain, between = 100 * float(np.mean(means[1] - means[0])), 100 * float(np.std(means[0], ddof=1))
    correlation = rankings.rank_correlation(linear, mlp, paired=False)
    rho = correlation.spearman
    if rho is None:
        decision = UNSEEN
    elif rho >= 0.8 and gain < between:
        decision = HOLDS
    else:
        decision = DOES_NOT if rho < 0.5 or gain > 2 * between else UNSEEN
    return Finding(
        claim,
        "4.3",
        decision,
        f"{len(both)} networks: the MLP gains {gain:+.1f} points on average, where networks differ "
        f"by {between:.1f} (standard deviation); Spearman's ρ "
        f"{rankings.coefficient_text(rho, correlation.spearman_interval)} (holds from 0.8 with a "
        "gain below that deviation).",
    )


def _pretext_is_no_proxy(judge: Judge, study: Study) -> Finding:
    """Whether an architecture that is better at the pretext task is worse downstream."""
    claim = "Pretext accuracy does not tell the better architecture"
    wrong, right, total = [], 0, 0
    scores = [score for score in rankings.of_one_width(study) if is_pretext(score)]
    for label, pretext, downstream in _proxy_pairs(judge, scores, by_architecture=True):
        total += 1
        agreement = pretext.sign * downstream.sign
        right += agreement == 1
        if agreement == -1:
            wrong.append(f" {label}: pretext {_points(pretext)}, downstream {_points(downstream)}.")
    if not total:
        return unmeasured(claim, "4.4", "two architectures with pretext accuracy at one width")
    decision = HOLDS if wrong else DOES_NOT if 2 * right >= total else UNSEEN
    return Finding(
        claim,
        "4.4",
        decision,
        f"Of {total} pairs of architectures, pretext accuracy told the wrong one beyond the noise "
        f"in {len(wrong)} and the right one in {right}.{''.join(wrong[:3])}",
    )


def _proxy_within(judge: Judge, study: Study) -> Iterator[Comparison]:
    scores = [score for score in study.probed("lbfgs") if is_pretext(score)]
    for _, pretext, downstream in _proxy_pairs(judge, scores, by_architecture=False):
        if pretext.sign == 1:
            yield downstream


def _proxy_pairs(
    judge: Judge, scores: Sequence[Score], by_architecture: bool
) -> Iterator[tuple[str, Comparison, Comparison]]:
    """Pairs of networks of one task, of different architectures or of the same.

    The one with the higher pretext accuracy comes first.
    """
    scores = [score for score in scores if score.network.pretext is not None]
    downstream = spreads(scores, network_key, lambda score: score.top1)
    pretext = spreads(scores, network_key, lambda score: score.network.pretext)
    pretext_judge = Judge(pretext.values())
    for pair in itertools.combinations(sorted(downstream), 2):
        a, b = sorted(pair, key=lambda key: -pretext[key].mean)
        if a[:2] == b[:2] and (a[2] != b[2]) == by_architecture:
            names = [
                key[2] if by_architecture else f"k {key[3]}" + (f" size {key[4]}" if key[4] else "")
                for key in (a, b)
            ]
            of = "" if by_architecture else f", {a[2]}"
            label = f"{words(a[1])}{of}, {names[0]} over {names[1]}, {a[0]}"
            yield (
                label,
                pretext_judge.compare(label, pretext[a], pretext[b]),
                judge.compare(label, downstream[a], downstream[b]),
            )


def _points(comparison: Comparison) -> str:
    return f"{100 * comparison.difference:+.1f}"


def _long_schedules(judge: Judge, study: Study) -> Iterator[Comparison]:
    networks: dict[tuple, dict[float, Spread]] = {}
    for (network, decay), value in sorted(scale_figures.final_accuracies(study).items()):
        networks.setdefault(network, {})[decay] = value
    for network, values in networks.items():
        for early, late in itertools.pairwise(values):
            label = f"{network_text(network)}, first decay {early:g} to {late:g}"
            yield judge.compare(label, values[late], values[early])
