"""Section 4.5: which layer is best, with skip-connections and without."""

from collections.abc import Callable, Iterator

from studies.exhibits import LAYERS, words
from studies.figures import network_key
from studies.findings.architectures import VGG, Groups, is_pretext, of_one_width
from studies.findings.judge import Comparison, Finding, Judge, judged
from studies.measurements import Study
from studies.statistics import Spread, spreads

# By network the accuracies of its layers.
Layers = dict[tuple, dict[str, Spread]]


def findings(study: Study, judge: Judge) -> Iterator[Finding]:
    """The findings of this section."""
    layers, by_task = _by_layer(study), of_one_width(study)
    yield judged(
        "pre_logits is the best layer of networks with skip-connections",
        "4.5",
        _last_is_best(judge, layers),
        "several layers of a pretrained network with skip-connections",
    )
    yield judged(
        "VGG19-BN degrades towards its end",
        "4.5",
        _vgg_degrades(judge, layers),
        f"several layers of a pretrained {VGG}",
    )
    yield judged(
        "RevNet50 beats ResNet50 v2 on rotation",
        "4.5",
        _revnet(judge, by_task, lambda task: task == "rotation", 1),
        "both on rotation at one width",
    )
    yield judged(
        "RevNet50 does not beat ResNet50 v2 on the other tasks",
        "4.5",
        _revnet(judge, by_task, lambda task: task != "rotation", -1),
        "both on another task at one width",
    )


def _by_layer(study: Study) -> Layers:
    """By network the accuracies of its layers, the pixels excepted; pretext tasks alone."""
    cells = spreads(
        (
            score
            for score in study.probed("lbfgs", layer=None)
            if is_pretext(score) and score.layer in LAYERS[1:]
        ),
        lambda score: (network_key(score), score.layer),
        lambda score: score.top1,
    )
    layers: Layers = {}
    for (key, layer), value in cells.items():
        layers.setdefault(key, {})[layer] = value
    return {
        key: values for key, values in layers.items() if "pre_logits" in values and len(values) > 1
    }


def _last_is_best(judge: Judge, layers: Layers) -> Iterator[Comparison]:
    for key, values in layers.items():
        if key[2] != VGG:
            best = _best_other(values)
            label = f"{network_text(key)}, pre_logits over {best}"
            yield judge.compare(label, values["pre_logits"], values[best])


def _vgg_degrades(judge: Judge, layers: Layers) -> Iterator[Comparison]:
    for key, values in layers.items():
        if key[2] == VGG:
            best = _best_other(values)
            label = f"{network_text(key)}, {best} over pre_logits"
            yield judge.compare(label, values[best], values["pre_logits"])


def _best_other(values: dict[str, Spread]) -> str:
    others = [layer for layer in values if layer != "pre_logits"]
    return max(others, key=lambda layer: values[layer].mean)


def network_text(key: tuple) -> str:
    """Task, architecture, widening factor, representation size if it has one, and images."""
    place, task, architecture, k, size = key
    parts = [words(task), architecture, f"k {k}", *([f"size {size}"] if size else []), place]
    return ", ".join(parts)


def _revnet(
    judge: Judge, by_task: Groups, chosen: Callable[[str], bool], sign: int
) -> Iterator[Comparison]:
    """RevNet50 over ResNet50 v2 for a sign of 1, the other way round for -1."""
    for (place, task), values in by_task.items():
        if chosen(task) and {"revnet50", "resnet50_v2"} <= values.keys():
            pair = ["revnet50", "resnet50_v2"][::sign]
            label = f"{words(task)}, {pair[0]} over {pair[1]}, {place}"
            yield judge.compare(label, values[pair[0]], values[pair[1]])
