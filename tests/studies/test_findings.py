"""Every rule on made-up studies in which the right answer is known, counterexamples among them."""

import dataclasses

import pytest

from studies import findings
from studies.findings import DOES_NOT, HOLDS, UNSEEN, Finding
from tests.studies import rows
from tests.studies.rows import Network, Score

ARCHITECTURES = ("revnet50", "resnet50_v2", "resnet50_v1", "vgg19_bn")
TASKS = ("relative_patch_location", "jigsaw", "exemplar", "rotation")
# Three seeds around a mean, half a point apart.
THREE = (-0.005, 0.0, 0.005)


def network(
    task: str = "rotation",
    architecture: str = "resnet50_v2",
    k: int = 1,
    size: int = 0,
    seed: int = 0,
    pretext: float | None = 0.9,
) -> Network:
    name = f"{task}-{architecture}-k{k}-size{size}-seed{seed}"
    return Network(name, task, architecture, k, size, seed, pretext, dataset="scenes")


def score(of: Network, top1: float, **changes: object) -> Score:
    defaults = {
        **{"probe": "lbfgs", "dataset": "scenes", "val_split": "test", "train_fraction": 1.0},
        **{"epochs": 0, "first_decay": 0, "layer": "pre_logits"},
        **{"features": of.representation_size or 512 * of.widening_factor, "top5": 1.0},
        **{"effective_rank": None, "first_ten_variance": None, "curve": (), "classes": 10},
    }
    return Score(network=of, top1=top1, run=of.name, **(defaults | changes))


def seeds(mean: float, offsets: tuple[float, ...] = THREE, **of: object) -> list[Score]:
    """A network's linear accuracy with several seeds."""
    return [score(network(seed=seed, **of), mean + offset) for seed, offset in enumerate(offsets)]


def of_table(
    table: dict[str, dict[str, float]],
    offsets: tuple[float, ...] = THREE,
    pretext: dict[tuple[str, str], float] | None = None,
) -> list[Score]:
    """By task and architecture the mean linear accuracy."""
    return [
        each
        for task, row in table.items()
        for architecture, mean in row.items()
        for each in seeds(
            mean,
            offsets,
            task=task,
            architecture=architecture,
            pretext=(pretext or {}).get((task, architecture), 0.9),
        )
    ]


def finding_of(claim: str, *groups: list[Score]) -> Finding:
    """The finding that a study of these scores makes of a claim, by the claim's first words."""
    found = findings.findings(rows.study([each for group in groups for each in group]))
    return next(each for each in found if each.claim.startswith(claim))


def changed(scores: list[Score], by: float = 0.0, **changes: object) -> list[Score]:
    """The same networks probed in another way."""
    return [dataclasses.replace(each, top1=each.top1 + by, **changes) for each in scores]


def flat(value: float = 0.5, **changes: float) -> dict[str, float]:
    return dict.fromkeys(ARCHITECTURES, value) | changes


# ------------------------------------------------------------------------------------- rankings

ARCHITECTURES_DIFFER = "The ranking of architectures differs"
TURNED = {
    "rotation": {"revnet50": 0.7, "resnet50_v1": 0.5},
    "exemplar": {"revnet50": 0.5, "resnet50_v1": 0.7},
}
ALIKE = {"rotation": TURNED["rotation"], "exemplar": {"revnet50": 0.6, "resnet50_v1": 0.4}}


@pytest.mark.parametrize("claim", [ARCHITECTURES_DIFFER, "The ranking of pretext tasks differs"])
def test_a_ranking_that_is_turned_round(claim):
    found = finding_of(claim, of_table(TURNED))
    assert found.verdict == HOLDS
    assert "turned round: " in found.evidence
    assert found.reason == ""
    assert finding_of(claim, of_table(TURNED, offsets=(0.0,))).verdict == UNSEEN, "one seed"


def test_a_ranking_that_is_the_same():
    assert finding_of(ARCHITECTURES_DIFFER, of_table(ALIKE)).verdict == DOES_NOT
    table = {task: row | {"resnet50_v2": row["revnet50"]} for task, row in ALIKE.items()}
    found = finding_of(ARCHITECTURES_DIFFER, of_table(table))
    assert found.verdict == UNSEEN, "two architectures cannot be told apart"
    assert "within the noise" in found.reason


def test_a_network_at_chance_turns_no_ranking_round():
    """VGG19-BN is best at one task and did not learn the other: an inversion, if it had a vote."""
    table = {
        "rotation": {"revnet50": 0.7, "resnet50_v1": 0.7, "vgg19_bn": 0.1},
        "exemplar": {"revnet50": 0.5, "resnet50_v1": 0.5, "vgg19_bn": 0.7},
    }
    assert finding_of(ARCHITECTURES_DIFFER, of_table(table)).verdict == HOLDS
    at_chance = {("rotation", "vgg19_bn"): 0.258}
    assert finding_of(ARCHITECTURES_DIFFER, of_table(table, pretext=at_chance)).verdict == UNSEEN


@pytest.mark.parametrize(
    ("task", "chance"),
    [
        ("rotation", 1 / 4),
        ("relative_patch_location", 1 / 8),
        ("jigsaw", 0.01),
        ("exemplar", 1 / 64),
    ],
)
def test_chance_is_the_tasks_own(task, chance):
    for pretext, verdict in ((1.1 * chance, UNSEEN), (1.5 * chance, HOLDS)):
        narrow = seeds(0.3, task=task, pretext=pretext)
        wide = seeds(0.5, task=task, k=2, pretext=pretext)
        assert finding_of(WIDER, narrow, wide).verdict == verdict


def test_a_number_that_is_none_has_no_vote():
    narrow, wide = seeds(0.5), seeds(0.6, k=2)
    assert (
        finding_of(WIDER, narrow, [*wide, score(network(k=2, seed=3), float("nan"))]).verdict
        == HOLDS
    )
    diverged = seeds(0.3, k=2, pretext=float("nan"))
    assert finding_of(WIDER, narrow, diverged).verdict == UNSEEN


def test_an_inversion_needs_winners_that_learnt_well():
    """The better one of exemplar came to 0.2 where another network came to 0.9."""
    table = {
        "rotation": TURNED["rotation"] | {"resnet50_v2": 0.6},
        "exemplar": TURNED["exemplar"] | {"resnet50_v2": 0.6},
    }
    poorly = {("exemplar", "resnet50_v1"): 0.2, ("exemplar", "resnet50_v2"): 0.2}
    assert finding_of(ARCHITECTURES_DIFFER, of_table(table)).verdict == HOLDS
    found = finding_of(ARCHITECTURES_DIFFER, of_table(table, pretext=poorly))
    assert found.verdict == UNSEEN
    assert "exemplar, resnet50_v1: better in an inversion, but not learnt well" in (
        found.reason.lower()
    )


def test_inversions_are_corrected_for_how_many_pairs_there_are():
    """One inversion of 2.6 errors each way, alone and among pairs that do not differ."""
    turned = {
        "rotation": {"revnet50": 0.520, "resnet50_v1": 0.500},
        "exemplar": {"revnet50": 0.500, "resnet50_v1": 0.520},
    }
    offsets = (-0.0075, 0.0, 0.0075)
    assert finding_of(ARCHITECTURES_DIFFER, of_table(turned, offsets)).verdict == HOLDS
    many = {task: flat(0.51, resnet50_v2_minus=0.51) | turned.get(task, {}) for task in TASKS}
    found = finding_of(ARCHITECTURES_DIFFER, of_table(many, offsets))
    assert found.verdict == UNSEEN
    assert found.evidence.startswith("60 pairs of comparisons, 0 turned round. 40 comparisons")


# ----------------------------------------------------------------------------- "for every task"

VGG_IS_WORST = "VGG19-BN is the worst"


def vgg_study(**rotation: float) -> dict[str, dict[str, float]]:
    table = {task: flat(0.6, vgg19_bn=0.4) for task in TASKS}
    return table | {"rotation": flat(0.6, **rotation)}


def test_the_worst_for_every_task():
    assert finding_of(VGG_IS_WORST, of_table(vgg_study(vgg19_bn=0.4))).verdict == HOLDS
    in_three = finding_of(VGG_IS_WORST, of_table(vgg_study(vgg19_bn=0.6)))
    assert in_three.verdict == UNSEEN, "in three of four"
    assert "rotation cannot be seen" in in_three.evidence
    assert finding_of(VGG_IS_WORST, of_table(vgg_study(vgg19_bn=0.8))).verdict == DOES_NOT
    second = finding_of(VGG_IS_WORST, of_table(vgg_study(vgg19_bn=0.4, resnet50_v1=0.3)))
    assert second.verdict == DOES_NOT, "another one is worse"


def test_the_worst_of_a_task_that_it_did_not_learn():
    pretext = {("rotation", "vgg19_bn"): 0.26}
    found = finding_of(VGG_IS_WORST, of_table(vgg_study(vgg19_bn=0.1), pretext=pretext))
    assert found.verdict == UNSEEN
    assert "Rotation: vgg19_bn did not learn it" in found.reason
    other = {("rotation", "resnet50_v1"): 0.26}
    table = vgg_study(vgg19_bn=0.4, resnet50_v1=0.1)
    assert finding_of(VGG_IS_WORST, of_table(table, pretext=other)).verdict == HOLDS, "without it"


NOT_ON_OTHERS = "RevNet50 does not beat"


@pytest.mark.parametrize(
    ("revnet", "offsets", "verdict"),
    [
        (0.5, THREE, HOLDS),
        (0.4, THREE, HOLDS),
        (0.6, THREE, DOES_NOT),
        (0.5, (-0.05, 0.0, 0.05), UNSEEN),
        (0.5, (0.0,), UNSEEN),
    ],
)
def test_revnet_on_every_other_task(revnet, offsets, verdict):
    table = {task: {"revnet50": 0.5, "resnet50_v2": 0.5} for task in TASKS[:3]}
    table["jigsaw"]["revnet50"] = revnet
    found = finding_of(NOT_ON_OTHERS, of_table({**table, "rotation": flat(0.5)}, offsets))
    assert found.verdict == verdict, "no difference that is seen is not enough"


@pytest.mark.parametrize(("revnet", "verdict"), [(0.6, HOLDS), (0.5, UNSEEN), (0.4, DOES_NOT)])
def test_revnet_on_rotation(revnet, verdict):
    table = {"rotation": {"revnet50": revnet, "resnet50_v2": 0.5}}
    assert finding_of("RevNet50 beats", of_table(table)).verdict == verdict
    at_chance = finding_of(
        "RevNet50 beats", of_table(table, pretext={("rotation", "revnet50"): 0.25})
    )
    assert at_chance.verdict == UNSEEN
    assert "revnet50 did not learn it" in at_chance.reason


# ------------------------------------------------------------------------------ seeds and noise

WIDER = "A wider network is better"
WITH_FEW_LABELS = f"{WIDER} with few labels"


def test_a_wider_network():
    assert finding_of(WIDER, seeds(0.5), seeds(0.6, k=2)).verdict == HOLDS
    assert finding_of(WIDER, seeds(0.5), seeds(0.5, k=2)).verdict == UNSEEN
    assert finding_of(WIDER, seeds(0.5), seeds(0.6, k=2), seeds(0.55, k=4)).verdict == DOES_NOT
    found = finding_of(WIDER, seeds(0.5), seeds(0.6, k=2), seeds(0.6, k=4))
    assert found.verdict == UNSEEN, "not in each step"
    assert found.reason == "1 of 2 are within the noise."


def test_one_seed_is_not_judged_by_the_noise_of_others():
    steady = [seeds(0.3, task="exemplar"), seeds(0.4, task="exemplar", k=2)]
    found = finding_of(WIDER, *steady, seeds(0.5), seeds(0.9, (0.0,), k=2))
    assert found.verdict == UNSEEN
    assert found.reason == "1 of 2 comparisons have fewer than two seeds on a side."
    assert finding_of(WIDER, *steady, seeds(0.5), seeds(0.9, (0.0, 0.01), k=2)).verdict == HOLDS


def test_the_same_seed_twice_is_one():
    (single,) = seeds(0.5, (0.0,))
    (wide,) = seeds(0.9, (0.0,), k=2)
    again = [
        dataclasses.replace(each, network=dataclasses.replace(each.network, name=f"again-{k}"))
        for k, each in enumerate((single, wide))
    ]
    assert finding_of(WIDER, [single, wide], again).verdict == UNSEEN


def test_supervised_and_untrained_networks_are_no_pretext_tasks():
    for task in ("supervised", "untrained"):
        assert (
            finding_of(WIDER, seeds(0.5, task=task), seeds(0.9, task=task, k=2)).verdict == UNSEEN
        )


def test_every_share_of_the_labels():
    narrow, wide = seeds(0.5), seeds(0.6, k=2)
    shares = [
        changed(group, train_fraction=share) for group in (narrow, wide) for share in (0.1, 0.05)
    ]
    assert finding_of(WITH_FEW_LABELS, narrow, wide, *shares).verdict == HOLDS
    shares[-1] = changed(narrow, train_fraction=0.05, network=wide[0].network)[:1]
    assert finding_of(WITH_FEW_LABELS, narrow, wide, *shares).verdict == UNSEEN, (
        "at 5 % nothing is seen"
    )
    assert finding_of(WITH_FEW_LABELS, narrow, wide).verdict == UNSEEN
    down = [*shares[:2], changed(wide, by=-0.3, train_fraction=0.1)]
    assert finding_of(WITH_FEW_LABELS, narrow, wide, *down).verdict == DOES_NOT


GAINS_MORE = "Self-supervision gains more"


def test_gain_over_supervision():
    rotation = [seeds(0.3), seeds(0.5, k=2)]
    for supervised, verdict in ((0.65, HOLDS), (0.8, UNSEEN), (0.89, DOES_NOT)):
        labelled = [seeds(0.6, task="supervised"), seeds(supervised, task="supervised", k=2)]
        assert finding_of(GAINS_MORE, *rotation, *labelled).verdict == verdict


def test_a_ceiling_is_named():
    labelled = [seeds(0.93, task="supervised"), seeds(0.94, task="supervised", k=2)]
    found = finding_of(GAINS_MORE, seeds(0.3), seeds(0.5, k=2), *labelled)
    assert found.verdict == UNSEEN
    assert "ceiling (94 %)" in found.reason
    assert "have seen the labels" in found.reason


# -------------------------------------------------------------------------- with labels, gaps


@pytest.mark.parametrize(
    ("revnet", "verdict"), [(0.795, HOLDS), (0.78, UNSEEN), (0.7, DOES_NOT), (0.9, DOES_NOT)]
)
def test_revnet_with_labels(revnet, verdict):
    labelled = [
        seeds(revnet, task="supervised", architecture="revnet50"),
        seeds(0.8, task="supervised"),
    ]
    assert finding_of("With labels, RevNet50", *labelled).verdict == verdict
    assert finding_of("With labels, RevNet50", seeds(0.8), *labelled[:1]).verdict == UNSEEN


def test_vgg_with_labels_needs_both_versions():
    vgg = seeds(0.8, task="supervised", architecture="vgg19_bn")
    v1 = seeds(0.8, task="supervised", architecture="resnet50_v1")
    v2 = seeds(0.795, task="supervised")
    claim = "With labels, VGG19-BN"
    assert finding_of(claim, vgg, v1, v2).verdict == HOLDS
    found = finding_of(claim, vgg, v1)
    assert (found.verdict, found.reason) == (
        UNSEEN,
        "No supervised resnet50_v2 beside vgg19_bn.",
    )
    assert finding_of(claim, vgg, changed(v1, by=-0.1), v2).verdict == DOES_NOT
    failed = seeds(0.3, task="supervised", architecture="vgg19_bn", pretext=0.11)
    assert finding_of(claim, failed, v1, v2).verdict == UNSEEN, "it did not learn"


OFFICIAL = {"probe": "sgd", "dataset": "imagenet2012", "epochs": 520, "first_decay": 480}


def test_prior_work_is_beaten_in_each_task():
    best = {"rotation": 0.55, "exemplar": 0.46, "relative_patch_location": 0.51, "jigsaw": 0.44}
    claim = "The best networks beat"
    whole = [changed(seeds(top1, task=task), **OFFICIAL) for task, top1 in best.items()]
    assert finding_of(claim, *whole).verdict == HOLDS
    missing = finding_of(claim, *whole[:-1])
    assert (missing.verdict, missing.reason) == (UNSEEN, "Jigsaw was not measured.")
    assert finding_of(claim, *whole[:-1], changed(whole[-1], by=-0.2)).verdict == DOES_NOT
    worse = [
        dataclasses.replace(each, network=dataclasses.replace(each.network, widening_factor=2))
        for each in changed(whole[-1], by=-0.2)
    ]
    assert finding_of(claim, *whole, worse).verdict == HOLDS, "one network of a task is enough"


@pytest.mark.parametrize(("top1", "verdict"), [(0.554, HOLDS), (0.54, UNSEEN), (0.5, DOES_NOT)])
def test_the_gap_is_halved(top1, verdict):
    claim = "The gap to supervision is almost halved"
    rotation = changed(seeds(top1), **OFFICIAL)
    labelled = [
        dataclasses.replace(
            each,
            network=dataclasses.replace(
                each.network, dataset="imagenet2012", val_split="test", pretext=0.763 + offset
            ),
        )
        for each, offset in zip(seeds(0.5, task="supervised"), THREE, strict=True)
    ]
    assert finding_of(claim, rotation, labelled).verdict == verdict, "by its own accuracy there"
    assert finding_of(claim, rotation, seeds(0.763, task="supervised")).verdict == UNSEEN
    assert finding_of(claim, rotation).verdict == UNSEEN


def test_architecture_against_task():
    claim = "The architecture matters as much"
    by_architecture = {task: flat(0.5, revnet50=0.8, vgg19_bn=0.2) for task in TASKS}
    assert finding_of(claim, of_table(by_architecture)).verdict == HOLDS
    assert finding_of(claim, of_table(by_architecture, offsets=(0.0,))).verdict == UNSEEN
    by_task = {task: flat(0.2 * number) for number, task in enumerate(TASKS)}
    assert finding_of(claim, of_table(by_task)).verdict == DOES_NOT
    in_one = {task: flat(0.5) for task in TASKS} | {"rotation": flat(0.5, vgg19_bn=0.1)}
    assert finding_of(claim, of_table(in_one)).verdict == UNSEEN, "as large as over tasks"


# -------------------------------------------------------------------------------- probes, proxies

LINEAR = "An MLP probe gains little"
SIX = {
    "rotation": flat(0.0, revnet50=0.7, resnet50_v2=0.6, resnet50_v1=0.5, vgg19_bn=0.4),
    "exemplar": {"revnet50": 0.3, "resnet50_v2": 0.2},
}


def mlp(scores: list[Score], by: float) -> list[Score]:
    return changed(scores, by=by, probe="mlp", epochs=180)


@pytest.mark.parametrize(("gain", "verdict"), [(0.01, HOLDS), (0.0, HOLDS), (0.1, DOES_NOT)])
def test_an_mlp_probe(gain, verdict):
    linear = of_table(SIX)
    assert finding_of(LINEAR, linear, mlp(linear, gain)).verdict == verdict


def test_an_mlp_that_loses_is_undertrained():
    linear = of_table(SIX)
    found = finding_of(LINEAR, linear, mlp(linear, -0.1))
    assert found.verdict == UNSEEN
    assert "undertrained" in found.reason
    one = [*mlp(linear[3:], 0.0), *mlp(linear[:3], -0.05)]
    assert finding_of(LINEAR, linear, one).verdict == UNSEEN, "on one network"


def test_an_mlp_that_gains_little_and_ranks_otherwise():
    """The order of all but the gain: "and" needs both."""
    close = {
        "rotation": flat(0.0, revnet50=0.506, resnet50_v2=0.505, resnet50_v1=0.504, vgg19_bn=0.503),
        "exemplar": {"revnet50": 0.502, "resnet50_v2": 0.501},
    }
    offsets = (-0.0001, 0.0, 0.0001)
    linear = of_table(close, offsets)
    assert finding_of(LINEAR, linear, mlp(linear, 0.005)).verdict == HOLDS
    other_way = [
        each
        for number, group in enumerate(linear[i : i + 3] for i in range(0, 18, 3))
        for each in mlp(group, 0.002 * number)
    ]
    assert finding_of(LINEAR, linear, other_way).verdict == DOES_NOT


def test_data_sets():
    claim = "Networks rank alike on another data set"
    here = of_table(SIX)
    assert finding_of(claim, here, changed(here, by=0.05, dataset="places205")).verdict == HOLDS
    single = [each for each in here if each.network.seed == 0]
    assert finding_of(claim, single, changed(single, dataset="places205")).verdict == UNSEEN
    back = [dataclasses.replace(each, top1=1 - each.top1, dataset="places205") for each in here]
    assert finding_of(claim, here, back).verdict == DOES_NOT


NO_PROXY = "Pretext accuracy does not tell"


def pretext_pair(better: float, worse: float) -> list[list[Score]]:
    """Two architectures, of pretext accuracies 0.9 and 0.5 and these downstream."""
    return [
        [
            score(network(architecture=name, seed=seed, pretext=pretext + offset), mean + offset)
            for seed, offset in enumerate(THREE)
        ]
        for name, pretext, mean in (("revnet50", 0.9, better), ("resnet50_v1", 0.5, worse))
    ]


@pytest.mark.parametrize(
    ("better", "worse", "verdict"),
    [(0.3, 0.6, HOLDS), (0.6, 0.3, DOES_NOT), (0.5, 0.5, UNSEEN)],
)
def test_pretext_accuracy_of_architectures(better, worse, verdict):
    assert finding_of(NO_PROXY, *pretext_pair(better, worse)).verdict == verdict


def test_pretext_accuracy_at_chance_misleads_nobody():
    groups = pretext_pair(0.3, 0.6)
    groups[1] = [
        dataclasses.replace(each, network=dataclasses.replace(each.network, pretext=0.25))
        for each in groups[1]
    ]
    assert finding_of(NO_PROXY, *groups).verdict == UNSEEN


def sized(pretext: float, mean: float, k: int, size: int) -> list[Score]:
    return [
        score(network(k=k, size=size, seed=seed, pretext=pretext + offset), mean + offset)
        for seed, offset in enumerate(THREE)
    ]


def test_pretext_accuracy_within_an_architecture():
    claim = "Within one architecture"
    small, large = sized(0.6, 0.5, 1, 0), sized(0.8, 0.7, 2, 0)
    assert finding_of(claim, small, large).verdict == HOLDS
    assert finding_of(claim, small, changed(large, by=-0.4)).verdict == DOES_NOT
    assert finding_of(claim, small, changed(large, by=-0.2)).verdict == UNSEEN
    bottleneck = sized(0.9, 0.2, 1, 128)
    assert finding_of(claim, small, large, bottleneck).verdict == HOLDS, "judged apart"


# ------------------------------------------------------------------------------- layers and sizes

LAST_IS_BEST = "pre_logits is the best layer"


def layered(differences: list[tuple[float, ...]], **of: object) -> list[Score]:
    """Seeds whose block1 … differ so much from pre_logits, with a large spread over seeds."""
    return [
        score(network(seed=seed, **of), 0.5 + 0.1 * seed + difference, layer=layer)
        for layer, of_seeds in zip(
            ("pre_logits", "block1", "block2", "block3", "block4"),
            [(0.0,) * len(differences[0]), *differences],
            strict=False,
        )
        for seed, difference in enumerate(of_seeds)
    ]


BELOW, ABOVE, VAGUE = (-0.05, -0.055, -0.06), (0.05, 0.055, 0.06), (-0.05, 0.0, 0.05)


def test_the_best_layer_is_compared_on_the_same_seeds():
    assert finding_of(LAST_IS_BEST, layered([BELOW] * 4)).verdict == HOLDS
    assert finding_of(LAST_IS_BEST, layered([BELOW, BELOW, VAGUE, BELOW])).verdict == UNSEEN
    one = layered([BELOW, BELOW, BELOW, ABOVE], architecture="revnet50")
    assert finding_of(LAST_IS_BEST, layered([BELOW] * 4), one).verdict == DOES_NOT
    assert finding_of(LAST_IS_BEST, layered([ABOVE] * 4, architecture="vgg19_bn")).verdict == UNSEEN


def test_layers_of_one_network_are_not_independent():
    """Two seeds stay two, however many layers: a t of 5 on one degree of freedom is p 0.13."""
    two = layered([(-0.08, -0.12)] * 4)
    found = finding_of(LAST_IS_BEST, two)
    assert found.verdict == UNSEEN
    assert found.evidence.startswith("1 network. 4 comparisons, 4 tested: 0 for")
    assert "p 0.5" in found.evidence, "of 0.126, times four"


def test_vgg_degrades():
    claim = "VGG19-BN degrades"
    vgg = {"architecture": "vgg19_bn"}
    assert finding_of(claim, layered([BELOW, ABOVE, BELOW, BELOW], **vgg)).verdict == HOLDS
    assert finding_of(claim, layered([BELOW] * 4, **vgg)).verdict == DOES_NOT
    assert finding_of(claim, layered([BELOW, VAGUE, BELOW, BELOW], **vgg)).verdict == UNSEEN
    others = layered([ABOVE] * 4, task="exemplar", **vgg)
    lost = layered([ABOVE] * 4, pretext=0.25, **vgg)
    found = finding_of(claim, others, lost)
    assert (found.verdict, found.reason) == (UNSEEN, "Rotation: vgg19_bn did not learn it.")


LARGER = "A larger representation alone"
BOTTLENECK = "A representation below its own size"


def test_bottlenecks_are_no_enlargements():
    own, bottleneck, large = seeds(0.5), seeds(0.3, size=128), seeds(0.6, size=2048)
    assert finding_of(LARGER, own, bottleneck).verdict == UNSEEN
    assert finding_of(BOTTLENECK, own, bottleneck).verdict == HOLDS
    assert finding_of(LARGER, own, bottleneck, large).verdict == HOLDS
    assert "size 512 to 2048" in finding_of(LARGER, own, bottleneck, large).evidence
    assert finding_of(LARGER, own, changed(large, by=-0.1)).verdict == UNSEEN
    assert finding_of(LARGER, own, changed(large, by=-0.2)).verdict == DOES_NOT
    assert finding_of(BOTTLENECK, own, changed(bottleneck, by=0.3)).verdict == DOES_NOT
    assert finding_of(BOTTLENECK, own, large).verdict == UNSEEN


def test_width_alone():
    claim = "More width alone"
    thin, wide = seeds(0.5, size=1024), seeds(0.6, k=2, size=1024)
    assert finding_of(claim, thin, wide).verdict == HOLDS
    assert finding_of(claim, thin, changed(wide, by=-0.2)).verdict == DOES_NOT
    narrow = [seeds(0.5, size=512), seeds(0.9, k=2, size=512)]
    assert finding_of(claim, *narrow).verdict == UNSEEN, "of the wider one a bottleneck"


def test_width_and_size_together_need_both():
    claim = "Width and representation size together"
    size_alone, width_alone = seeds(0.5, size=2048), seeds(0.55, k=2)
    together = seeds(0.6, k=2, size=2048)
    assert finding_of(claim, size_alone, width_alone, together).verdict == HOLDS
    no_better = changed(size_alone, by=0.1)
    assert finding_of(claim, no_better, width_alone, together).verdict == UNSEEN
    better = changed(size_alone, by=0.2)
    assert finding_of(claim, better, width_alone, together).verdict == DOES_NOT
    assert finding_of(claim, size_alone, together).verdict == UNSEEN


def test_long_schedules():
    claim = "A late first decay"

    def schedule(decay: int, by: float) -> list[Score]:
        steps = {"probe": "sgd", "epochs": decay + 40, "first_decay": decay, "curve": ((1.0, 0.5),)}
        # All seeds gain alike, and differ among each other by more than that.
        return changed(seeds(0.5, (-0.1, 0.0, 0.1)), by=by, **steps)

    early = schedule(30, 0.0)
    assert finding_of(claim, early, schedule(480, 0.05)).verdict == HOLDS, "on the same seeds"
    assert finding_of(claim, early, schedule(480, -0.05)).verdict == DOES_NOT
    assert finding_of(claim, early, schedule(480, 0.0)).verdict == UNSEEN
    assert finding_of(claim, early[:1], schedule(480, 0.05)[:1]).verdict == UNSEEN


# ------------------------------------------------------------------------------------ the report


def test_what_every_finding_says():
    study = rows.study([])
    found = findings.findings(study)
    assert len({each.claim for each in found}) == len(found) == 24
    for each in found:
        assert each.verdict == UNSEEN
        assert each.reason.startswith("Not measured: needs "), each.claim
        assert "4." in each.section or each.section == "3.1"
        assert len(each.rule) > 100, "the rule's docstring"
    for _, _, rule in findings.RULES:
        assert len(rule.__doc__.splitlines()) == 3, rule.__name__
    table = findings.table(study)
    assert table.note.startswith("0 hold, 0 do not, 24 cannot be seen.")
    assert list(table.numbers) == [*("claim", "section", "verdict", "reason", "evidence", "rule")]
