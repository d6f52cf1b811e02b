"""Plans that cannot be carried out, and reports on runs that are odd."""

import json
import pathlib

from tests.bad_inputs.damage import cut, directory, fifo, link, then, write
from tests.bad_inputs.trial import Prepare, Trial

# A plan's lines after the flag file of its runs.
PLANS = {
    "nothing": "",
    "no grid": "--tasks=rotation",
    "an unknown task": "--grid=g\n--tasks=rotations",
    "an unknown architecture": "--grid=g\n--tasks=rotation\n--architectures=resnet",
    "an unknown flag": "--grid=g\n--task=rotation\n--tsaks=rotation",
    "width 0": "--grid=g\n--tasks=rotation\n--widening_factors=0",
    "a width of text": "--grid=g\n--tasks=rotation\n--widening_factors=x",
    "a negative seed": "--grid=g\n--tasks=rotation\n--seeds=-1",
    "a huge width": "--grid=g\n--tasks=rotation\n--widening_factors=1" + "0" * 30,
}
RESULTS = {
    "dataset": "folder",
    "val_split": "test",
    "probe": "knn",
    "layers": {"pre_logits": {"features": 9, "top1": 0.5, "top5": 1.0}},
}


def study(root: pathlib.Path) -> None:
    """Two finished runs, of which a trial damages the first."""
    for k in (1, 2):
        run = root / "study" / f"rotation-k{k}"
        (run / "saved_model").mkdir(parents=True)
        flags = f"--task=rotation\n--architecture=vgg19_bn\n--widening_factor={k}\n--epochs=1\n"
        (run / "flags.cfg").write_text(flags)
        (run / "metrics.csv").write_text("step,epoch,val_accuracy\n6,1.0,0.5\n")
        probe = run / "probes" / "knn"
        probe.mkdir(parents=True)
        lines = f"--saved_model={run}/saved_model\n--dataset=folder\n--probe=knn\n"
        (probe / "flags.cfg").write_text(lines)
        (probe / "results.json").write_text(json.dumps(RESULTS))


RUN = "study/rotation-k1"
PROBE = f"{RUN}/probes/knn"
ODD_RUNS: dict[str, Prepare] = {
    "results []": write(f"{PROBE}/results.json", "[]"),
    "results null": write(f"{PROBE}/results.json", "null"),
    "results cut": cut(f"{PROBE}/results.json"),
    "results binary": write(f"{PROBE}/results.json", b"\xff\xfe"),
    "results a directory": directory(f"{PROBE}/results.json"),
    "results a fifo": fifo(f"{PROBE}/results.json"),
    "results without a probe": write(
        f"{PROBE}/results.json", json.dumps({k: v for k, v in RESULTS.items() if k != "probe"})
    ),
    "layers a list": write(f"{PROBE}/results.json", json.dumps({**RESULTS, "layers": [1]})),
    "top1 null": write(f"{PROBE}/results.json", json.dumps(RESULTS).replace("0.5", "null")),
    "top1 NaN": write(f"{PROBE}/results.json", json.dumps(RESULTS).replace("0.5", "NaN")),
    "top1 text": write(f"{PROBE}/results.json", json.dumps(RESULTS).replace("0.5", '"x"')),
    "flags binary": write(f"{PROBE}/flags.cfg", b"\xff"),
    "flags a fifo": fifo(f"{PROBE}/flags.cfg"),
    "the network's flags cut": write(f"{RUN}/flags.cfg", "--task=rotation\n"),
    "the network's flags binary": write(f"{RUN}/flags.cfg", b"\xff"),
    "metrics of text": write(f"{RUN}/metrics.csv", "step,epoch,val_accuracy\n6,1.0,x\n"),
    "metrics empty": write(f"{RUN}/metrics.csv", ""),
    "metrics binary": write(f"{RUN}/metrics.csv", b"\xff\xfe"),
    "metrics a directory": directory(f"{RUN}/metrics.csv"),
    "a name with a dollar": write(
        f"{PROBE}/results.json", json.dumps(RESULTS).replace("folder", "$a^{_%\\\\")
    ),
    "a link to itself": link("study/again", "."),
    "nothing wrong": directory("elsewhere"),
}


def trials() -> list[Trial]:
    """A plan's fault is told in a line that names it; one odd run does not end a report."""
    found = [
        Trial(
            f"plan with {name}",
            "study",
            ("--plan=plan.cfg", "--list", "--workdir=study"),
            says="plan.cfg",
            prepare=then(
                write("train.cfg", "--dataset=folder\n"),
                _plan("--train_flagfile=train.cfg", lines),
            ),
        )
        for name, lines in PLANS.items()
    ]
    plan = then(
        write("train.cfg", "--dataset=folder\n"),
        _plan("--train_flagfile=train.cfg", "--grid=g\n--tasks=rotation"),
    )
    found += [
        Trial(
            f"study {' '.join(arguments)}",
            "study",
            ("--plan=plan.cfg", "--list", "--workdir=study", *arguments),
            prepare=plan,
        )
        for arguments in (
            ("--shard=3/2",),
            ("--shard=0/0",),
            ("--shard=a/b",),
            ("--shard=-1/2",),
            ("--shard=",),
            ("--accelerators=0", "--estimate"),
            ("--utilisation=0", "--estimate"),
            ("--utilisation=nan", "--estimate"),
            ("--memory_gib=-1", "--estimate"),
            ("--images_per_second=nowhere", "--estimate"),
            ("--images_per_second=.", "--estimate"),
            ("--plan=nowhere",),
            ("--plan=.",),
            ("--plan=/dev/zero",),
            ("--report=nowhere",),
            ("--report=plan.cfg",),
        )
    ]
    found += [
        Trial(
            f"report with {name}",
            "study",
            ("--report=study", "--output=report"),
            refused=False,
            prepare=then(study, make),
        )
        for name, make in ODD_RUNS.items()
    ]
    return found


def _plan(*lines: str) -> Prepare:
    def prepare(root: pathlib.Path) -> None:
        text = "\n".join(lines).replace("{tmp}", str(root))
        (root / "plan.cfg").write_text(text + "\n")

    return prepare
