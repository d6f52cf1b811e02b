"""Run directories as train.py and eval.py leave them, with numbers made up by a formula."""

import json
import pathlib
from collections.abc import Callable

import numpy as np

LAYERS = ("block1", "block2", "block3", "block4", "pre_logits")


def network(
    root: pathlib.Path,
    *,
    task: str = "rotation",
    architecture: str = "resnet50_v2",
    widening_factor: int = 1,
    representation_size: int = 0,
    seed: int = 0,
    epochs: int = 5,
    pretext: float | None = 0.9,
    name: str | None = None,
    **other_flags: object,
) -> pathlib.Path:
    """A finished pretraining run; its directory."""
    size = f"-size{representation_size}" if representation_size else ""
    run = root / (name or f"{task}-{architecture}-k{widening_factor}{size}-seed{seed}-e{epochs}")
    (run / "saved_model").mkdir(parents=True)
    flags = {
        "task": task,
        "architecture": architecture,
        "widening_factor": widening_factor,
        "representation_size": representation_size,
        "seed": seed,
        "epochs": epochs,
        "workdir": run,
        "dataset": "scenes",
        **other_flags,
    }
    (run / "flags.cfg").write_text("".join(f"--{k}={v}\n" for k, v in sorted(flags.items())))
    if epochs and pretext is not None:
        column = "val_retrieval" if task == "exemplar" else "val_accuracy"
        (run / "metrics.csv").write_text(
            f"step,epoch,loss,{column}\n10,1,2.0,{pretext / 2}\n15,1.5,1.5,\n20,2,1.0,{pretext}\n"
        )
    return run


def probe(
    run: pathlib.Path,
    accuracy: Callable[[str], float] | float,
    *,
    probe: str = "lbfgs",
    dataset: str = "scenes",
    val_split: str = "test",
    train_fraction: float = 1.0,
    epochs: float = 0,
    first_decay: float = 0,
    layers: tuple[str, ...] = LAYERS,
    features: int = 512,
    effective_rank: float | None = None,
    classes: int | None = None,
    curve: list[float] | None = None,
    saved_model: str | None = None,
    **other_flags: object,
) -> pathlib.Path:
    """A finished evaluation of a network; its directory."""
    name = f"{probe}-{dataset}-{val_split}-{train_fraction:g}-{first_decay}"
    directory = run / "probes" / name
    directory.mkdir(parents=True)
    flags = {
        "saved_model": saved_model or run / "saved_model",
        "probe": probe,
        "dataset": dataset,
        "val_split": val_split,
        "train_fraction": train_fraction,
        "workdir": directory,
        "epochs": epochs,
        "decay_epochs": "auto",
        **other_flags,
    }
    (directory / "flags.cfg").write_text("".join(f"--{k}={v}\n" for k, v in sorted(flags.items())))
    top1 = accuracy if callable(accuracy) else lambda layer: accuracy
    results = {
        "saved_model": str(flags["saved_model"]),
        "dataset": dataset,
        "val_split": val_split,
        "probe": probe,
        "training": {"epochs": epochs, "decay_epochs": [first_decay, first_decay + 20]}
        if epochs
        else None,
        **({} if classes is None else {"classes": classes}),
        "layers": {
            layer: {
                "features": features,
                "top1": top1(layer),
                "top5": min(1.0, top1(layer) + 0.1),
                "seconds": 1.0,
                **({} if effective_rank is None else {"effective_rank": effective_rank}),
            }
            for layer in layers
        },
    }
    (directory / "results.json").write_text(json.dumps(results))
    if curve is not None:
        rows = [f"{epoch},{epoch},{value}\n" for epoch, value in enumerate(curve, 1)]
        (directory / "metrics.csv").write_text("step,epoch,val_top1_pre_logits\n" + "".join(rows))
    return directory


def schedule(run: pathlib.Path, first_decay: float, curve: list[float]) -> pathlib.Path:
    """An SGD probe on `pre_logits`, with its accuracy after every epoch."""
    return probe(
        run,
        curve[-1],
        probe="sgd",
        first_decay=first_decay,
        epochs=first_decay + 40,
        layers=("pre_logits",),
        curve=curve,
    )


def record(
    root: pathlib.Path,
    *,
    runs: list[str | dict],
    skipped: list[str] | None = None,
    choices: list[dict] | None = None,
) -> None:
    """What study.py writes down of a plan; a pretraining run may be its name alone."""
    content = {
        "command": "study",
        "skipped": skipped or [],
        "runs": [
            {"name": run, "program": "train.py", "network": run} if isinstance(run, str) else run
            for run in runs
        ],
        "choices": choices or [],
    }
    (root / "study.json").write_text(json.dumps({"plans": {"all": content}}))


def whole_study(root: pathlib.Path) -> None:
    """All the paper's grids, small, with its findings in the numbers."""
    random = np.random.default_rng(0)
    quality = {
        "rotation": {"revnet50": 0.8, "resnet50_v2": 0.7, "resnet50_v1": 0.6, "vgg19_bn": 0.4},
        "exemplar": {"revnet50": 0.6, "resnet50_v2": 0.7, "resnet50_v1": 0.75, "vgg19_bn": 0.4},
        "jigsaw": {"revnet50": 0.5, "resnet50_v2": 0.6, "resnet50_v1": 0.65, "vgg19_bn": 0.4},
        "relative_patch_location": {
            **{"revnet50": 0.6, "resnet50_v2": 0.65, "resnet50_v1": 0.7, "vgg19_bn": 0.4}
        },
    }

    def by_layer(best: float, architecture: str) -> Callable[[str], float]:
        depth = {layer: place for place, layer in enumerate(LAYERS)}
        if architecture == "vgg19_bn":
            return lambda layer: best + 0.3 - 0.1 * abs(depth[layer] - 1)
        return lambda layer: best - 0.05 * (4 - depth[layer])

    for task, architectures in quality.items():
        for architecture, best in architectures.items():
            for seed in (0, 1, 2):
                noise = 0.005 * random.standard_normal()
                run = network(
                    root, task=task, architecture=architecture, seed=seed, pretext=0.8 + noise
                )
                places = by_layer(best + noise, architecture)
                probe(run, places, effective_rank=20 + 10 * noise)
                probe(run, best + 0.03 + noise, dataset="places", layers=("pre_logits",))
                probe(run, best + 0.005 + noise, probe="mlp", layers=("pre_logits",), epochs=9)
                if task == "rotation" and architecture == "revnet50":
                    for decay in (30, 120, 480):
                        curve = [0.1 * decay**0.2 + 0.001 * epoch for epoch in range(decay + 40)]
                        schedule(run, decay, curve)
    for seed in (0, 1, 2):
        for k in (1, 2, 4):
            for size in (0, 128, 1024, 4096):
                if (k, size) == (1, 0):
                    run = root / f"rotation-revnet50-k1-seed{seed}-e5"
                else:
                    run = network(
                        root,
                        architecture="revnet50",
                        widening_factor=k,
                        representation_size=size,
                        seed=seed,
                    )
                    accuracy = 0.763 + 0.02 * k + (size or 512 * k) / 30000 + 0.002 * seed
                    probe(run, accuracy, features=size or 512 * k, layers=("pre_logits",))
                if size == 0:
                    for fraction in (0.1, 0.05):
                        probe(run, 0.5 + 0.02 * k + fraction, train_fraction=fraction)


def small_study(root: pathlib.Path) -> None:
    """A study with what studies have: two data sets, few labels, other recipes, what is missing."""
    candidates = []
    for number, rate in enumerate((0.1, 0.01)):
        name = f"rotation-revnet50-k1-seed0-rate{rate}"
        candidates.append(
            {"run": name, "learning_rate": rate, "accuracy": 0.5 - rate, "reason": ""}
        )
        run = network(
            root, name=name, architecture="revnet50", learning_rate=rate, pretext=0.5 - rate
        )
        if number:
            probe(run, lambda layer: 0.3 + 0.05 * LAYERS.index(layer), classes=10)
    candidates.append(
        {
            **{"run": "rotation-revnet50-k1-seed0-rate1", "learning_rate": 1.0, "accuracy": None},
            "reason": "the loss was not finite",
        }
    )
    planned = [candidate["run"] for candidate in candidates]
    accuracies = {
        "rotation": {"resnet50_v2": 0.61, "resnet50_v1": 0.52, "vgg19_bn": 0.33},
        "exemplar": {"resnet50_v2": 0.55, "resnet50_v1": 0.53, "vgg19_bn": 0.41},
        "jigsaw": {"resnet50_v2": 0.47, "resnet50_v1": 0.49, "vgg19_bn": 0.3},
        "supervised": {"resnet50_v2": 0.8, "resnet50_v1": 0.79, "vgg19_bn": 0.77},
    }
    for task, of_task in accuracies.items():
        for architecture, top1 in of_task.items():
            for k in (1, 2):
                for seed in (0, 1):
                    value = top1 + 0.03125 * k + 0.0078125 * seed
                    run = network(
                        root,
                        name=f"{task}-{architecture}-k{k}-seed{seed}",
                        task=task,
                        architecture=architecture,
                        widening_factor=k,
                        seed=seed,
                        pretext=value + 0.1 if architecture != "vgg19_bn" else 0.26,
                        permutations=4,
                    )
                    planned.append(run.name)
                    probe(
                        run,
                        lambda layer, value=value, task=task: (
                            value
                            - 0.03 * abs(LAYERS.index(layer) - (3 if task == "rotation" else 4))
                        ),
                        effective_rank=20 + 100 * value,
                        features=512 * k,
                        classes=10,
                    )
                    probe(run, value + 0.01, probe="mlp", layers=("pre_logits",), epochs=9)
                    probe(run, value - 0.125, dataset="places", layers=("pre_logits",))
                    probe(run, value - 0.25, train_fraction=0.1, layers=("pre_logits",))
                    for decay in (3.0, 12.0) if (k, seed) != (2, 1) else ():
                        probe(
                            run,
                            value - 0.1 / decay,
                            probe="sgd",
                            first_decay=decay,
                            epochs=decay + 2,
                            layers=("pre_logits",),
                            curve=[value - 0.1 / (epoch + 1) for epoch in range(int(decay) + 2)],
                        )
    for seed in (0, 1):
        run = network(root, name=f"untrained-seed{seed}", seed=seed, epochs=0)
        probe(run, lambda layer, seed=seed: 0.4 - 0.05 * LAYERS.index(layer) + 0.01 * seed)
    for size in (128, 512, 2048):
        run = network(root, name=f"size{size}", representation_size=size)
        probe(run, 0.5 + size / 20_000, features=size, layers=("pre_logits",))
    # Networks and probes by another recipe, which count with no others.
    run = network(root, name="long", seed=2, learning_rate=0.3, epochs=50)
    probe(run, 0.9)
    run = network(root / "by_hand", name="more", seed=3, permutations=4)
    probe(run, 0.7, l2=0.1)
    probe(run, 0.6, dataset="places", layers=("pre_logits",), saved_model="/moved/more/saved_model")
    probe(run, 0.6, probe="knn", saved_model="/elsewhere/gone/export", layers=("pre_logits",))
    record(
        root,
        runs=[*planned, "never-begun"],
        skipped=["too-large: skipped, because it does not fit"],
        choices=[
            {
                "networks": "rotation, revnet50",
                "chosen": 0.01,
                "reason": "",
                "candidates": candidates,
            }
        ],
    )
