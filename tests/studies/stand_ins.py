"""Stand-ins for train.py and eval.py that take milliseconds."""

import pathlib

import pytest
from etils import epath

from studies import plan, study_directory
from studies.runs import Job

# Leaves what the real one leaves; fails where a file beside it says so; notes every call.
PROGRAM = """
import pathlib, sys
from studies import flag_files
flags = flag_files.expand(tuple(sys.argv[1:]))
run, here = pathlib.Path(flags["workdir"]), pathlib.Path(__file__).parent
with open(here / "calls.txt", "a") as calls:
    calls.write(run.name + "\\n")
failing = (here / "failing.txt").read_text().split()
if flags.get("seed" if RESULT == "saved_model" else "probe") in failing or run.name in failing:
    print("working\\n", file=sys.stderr)
    sys.exit("NAME: that went wrong")
if RESULT == "results.json":
    assert (pathlib.Path(flags["saved_model"])).exists()
    (pathlib.Path(flags["representations_dir"])).mkdir(exist_ok=True)
run.mkdir(parents=True, exist_ok=True)
(run / "flags.cfg").write_text("".join(f"--{k}={v}\\n" for k, v in flags.items()))
if "learning_rate" in flags and RESULT == "saved_model":
    rate = float(flags["learning_rate"])
    if rate > 0.5:
        sys.exit("NAME: the loss is not finite at step 3; try a smaller --learning_rate")
    # The best is 0.1.
    accuracy = 0.9 - abs(rate - 0.1)
    (run / "metrics.csv").write_text(f"step,epoch,val_accuracy\\n9,1,{accuracy:.3f}\\n")
if RESULT == "saved_model":
    (run / RESULT).mkdir(exist_ok=True)
    (run / RESULT / "saved_model.pb").write_text("a graph")
else:
    (run / RESULT).write_text(
        '{"probe": "knn", "dataset": "scenes", "val_split": "test",'
        ' "layers": {"pre_logits": {"features": 8, "top1": 0.5, "top5": 1}}}'
    )
"""


def install(directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts the stand-ins into a directory, and lets studies call them there."""
    monkeypatch.setattr(study_directory, "PROGRAMS", directory)
    monkeypatch.setenv("PYTHONPATH", str(pathlib.Path(__file__).parents[2]))
    for name, result in (("train.py", "saved_model"), ("eval.py", "results.json")):
        text = PROGRAM.replace("RESULT", repr(result)).replace("NAME", name)
        (directory / name).write_text(text)
    (directory / "failing.txt").write_text("")


def study(
    directory: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    seeds: str,
    probes: str,
    data_dir: str = "",
) -> tuple[list[Job], study_directory.StudyDirectory]:
    """The networks of a plan of one grid, and where they run, with the stand-ins."""
    install(directory, monkeypatch)
    flags, file = directory / "flags.cfg", directory / "plan.cfg"
    flags.write_text("--learning_rate=1e-4\n")
    file.write_text(
        f"--grid=a\n--seeds={seeds}\n--probes={probes}\n"
        f"--train_flagfile={flags}\n--eval_flagfile={flags}\n"
    )
    where = study_directory.StudyDirectory(epath.Path(directory / "runs"), data_dir)
    where.make()
    return plan.jobs(plan.read(str(file))), where


def calls(tmp_path: pathlib.Path) -> list[str]:
    """The runs that were started since this was last asked."""
    path = tmp_path / "calls.txt"
    made = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return made
