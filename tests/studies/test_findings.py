"""Verdicts, at their borders and against the paper."""

from studies import collect, findings
from studies.findings.judge import DOES_NOT, HOLDS, UNSEEN, Comparison, Judge, verdict
from studies.statistics import spread
from tests.studies import synthetic


def comparisons(pro: int, contra: int, noise: int) -> list[Comparison]:
    signs = [0.5] * pro + [-0.5] * contra + [0.01] * noise
    return [Comparison("", difference, 0.1) for difference in signs]


def test_the_rule():
    assert verdict(comparisons(1, 0, 0)) == HOLDS
    assert verdict(comparisons(1, 0, 1)) == HOLDS
    assert verdict(comparisons(1, 0, 2)) == UNSEEN
    assert verdict(comparisons(9, 1, 0)) == HOLDS
    assert verdict(comparisons(8, 1, 0)) == DOES_NOT
    assert verdict(comparisons(0, 0, 3)) == UNSEEN
    assert verdict([Comparison("", 0.5, None)]) == UNSEEN, "one seed, so the noise is unknown"


def test_the_typical_spread_stands_in():
    judge = Judge([spread([0.5, 0.6, 0.7]), spread([0.5])])
    one = judge.compare("", spread([0.9]), spread([0.5]))
    assert one.error == (2 * 0.1**2) ** 0.5 or abs(one.error - (2 * 0.1**2) ** 0.5) < 1e-12
    alike_by_chance = judge.compare("", spread([0.9, 0.9, 0.9]), spread([0.5, 0.5, 0.5]))
    assert abs(alike_by_chance.error - (2 * 0.1**2 / 3) ** 0.5) < 1e-12
    assert Judge([spread([0.5])]).compare("", spread([0.9]), spread([0.5])).error is None


def verdicts(root) -> dict[str, str]:
    return {each.claim: each.verdict for each in findings.findings(collect.read(str(root)))}


def test_what_contradicts_the_paper_is_said(tmp_path):
    last = {"resnet50_v2": 0.3, "vgg19_bn": 0.8, "revnet50": 0.2}
    for task in ("rotation", "jigsaw"):
        for architecture, accuracy in last.items():
            for seed in (0, 1):
                run = synthetic.network(
                    tmp_path, task=task, architecture=architecture, seed=seed, pretext=accuracy
                )
                slope = -0.05 if architecture == "vgg19_bn" else 0.05
                synthetic.probe(
                    run,
                    lambda layer, a=accuracy + 0.01 * seed, s=slope: (
                        a + s * (4 - synthetic.LAYERS.index(layer))
                    ),
                )
    for k, accuracy in ((2, 0.25), (4, 0.2)):
        for seed in (0, 1):
            run = synthetic.network(tmp_path, widening_factor=k, seed=seed, pretext=0.1)
            synthetic.probe(run, accuracy + 0.01 * seed, layers=("pre_logits",))
    found = verdicts(tmp_path)
    for claim in (
        "The ranking of architectures differs between pretext tasks",
        "VGG19-BN is the worst architecture for every task",
        "A wider network is better",
        "Pretext accuracy does not tell the better architecture",
        "pre_logits is the best layer of networks with skip-connections",
        "VGG19-BN degrades towards its end",
        "RevNet50 beats ResNet50 v2 on rotation",
    ):
        assert found[claim] == DOES_NOT, claim
    assert found["A late first decay of SGD, so a long schedule, is better"] == UNSEEN


def test_pretext_accuracy_that_misleads(tmp_path):
    for architecture, pretext, accuracy in (("revnet50", 0.9, 0.3), ("resnet50_v1", 0.5, 0.6)):
        for seed in (0, 1):
            run = synthetic.network(
                tmp_path, architecture=architecture, seed=seed, pretext=pretext + 0.01 * seed
            )
            synthetic.probe(run, accuracy + 0.01 * seed, layers=("pre_logits",))
    assert verdicts(tmp_path)["Pretext accuracy does not tell the better architecture"] == HOLDS


def test_supervised_and_untrained_networks_are_no_pretext_tasks(tmp_path):
    for epochs, task in ((5, "supervised"), (0, "rotation")):
        for k, accuracy in ((1, 0.9), (2, 0.5)):
            run = synthetic.network(tmp_path, task=task, epochs=epochs, widening_factor=k)
            synthetic.probe(run, accuracy, layers=("pre_logits",))
    assert verdicts(tmp_path)["A wider network is better"] == UNSEEN
