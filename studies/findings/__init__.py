"""The paper's findings (sections 4.1 to 4.7), each judged by what a study measured."""

import dataclasses

from studies.exhibits import Exhibit
from studies.figures import network_key
from studies.findings import architectures, layers, proxies, scale
from studies.findings.judge import DOES_NOT, HOLDS, UNSEEN, Finding, Judge
from studies.measurements import Study
from studies.statistics import spreads


def findings(study: Study) -> list[Finding]:
    """All findings, by section."""
    cells = spreads(
        study.probed("lbfgs", layer=None),
        lambda score: (network_key(score), score.layer),
        lambda score: score.top1,
    )
    judge = Judge(cells.values())
    return [
        finding
        for part in (architectures, proxies, layers, scale)
        for finding in part.findings(study, judge)
    ]


def exhibit(study: Study) -> Exhibit:
    """The findings as a table."""
    found = findings(study)
    counts = {
        name: sum(each.verdict == name for each in found) for name in (HOLDS, DOES_NOT, UNSEEN)
    }
    return Exhibit(
        key="findings",
        title="The paper's findings at this scale",
        note=f"{counts[HOLDS]} hold, {counts[DOES_NOT]} do not, {counts[UNSEEN]} cannot be seen. "
        "Differences in points of top-1 ± their standard error over seeds; where a network has one "
        "seed, or its seeds lie closer together than is typical of the study, the typical spread "
        "stands in. A difference counts when it is larger than two errors. A finding holds if at "
        "least half of its comparisons count for it and at most a tenth against, does not if more "
        "count against it, and cannot be seen otherwise.",
        records=[dataclasses.asdict(each) for each in found],
        header=["finding", "section", "at this scale", "numbers"],
        rows=[[each.claim, each.section, f"**{each.verdict}**", each.evidence] for each in found],
        picture=False,
    )
