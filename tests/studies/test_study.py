"""study.py as a user calls it."""

import json
import subprocess
import sys

import pytest

from tests import command_line
from tests.studies import synthetic


@pytest.fixture
def plan(tmp_path) -> str:
    """A plan of two networks with a probe each."""
    (tmp_path / "train.cfg").write_text(
        "--dataset=imagenet2012\n--widening_factor=16\n--batch_size=256\n"
    )
    (tmp_path / "eval.cfg").write_text("--dataset=imagenet2012\n")
    (tmp_path / "small.cfg").write_text(
        f"--train_flagfile={tmp_path}/train.cfg\n--eval_flagfile={tmp_path}/eval.cfg\n"
        "--grid=a\n--architectures=revnet50,resnet50_v2\n--probes=lbfgs\n"
    )
    return str(tmp_path / "small.cfg")


def test_list_shard_and_memory(plan, tmp_path):
    runs = f"--workdir={tmp_path / 'runs'}"
    listed = command_line.run("study.py", f"--plan={plan}", runs, "--list").stdout.splitlines()
    assert len(listed) == 2
    assert all("train.py" in line and " && " in line and "eval.py" in line for line in listed)
    first = command_line.run("study.py", f"--plan={plan}", runs, "--list", "--shard=0/2")
    assert first.stdout.splitlines() == listed[:1]
    # The reversible network fits, the other does not.
    small = command_line.run("study.py", f"--plan={plan}", runs, "--list", "--memory_gib=160")
    assert small.stdout.splitlines() == listed[:1]
    assert "resnet50_v2: skipped, because a batch of 256 images on 1" in small.stderr

    synthetic.network(tmp_path / "runs", architecture="revnet50")
    report = command_line.run("study.py", "--report", str(tmp_path / "runs"))
    assert "2 runs are missing" in report.stdout, "the skipped ones are not"
    text = (tmp_path / "runs" / "report" / "index.html").read_text()
    assert "<li>revnet50/probes/lbfgs</li>" in text
    assert "resnet50_v2: skipped" in text
    assert f"python study.py --plan={plan} {runs}" in text


def test_estimate(plan):
    done = command_line.run("study.py", f"--plan={plan}", "--estimate", "--accelerators=8")
    assert "Estimated, not measured" in done.stdout
    assert "of 2 networks and their probes" in done.stdout


def test_report(tmp_path):
    run = synthetic.network(tmp_path)
    probe = synthetic.probe(run, 0.5)
    output = tmp_path / "elsewhere"
    command_line.run("study.py", "--report", str(tmp_path), "--output", str(output))
    first = (output / "index.html").read_text()
    assert "50.0 (1)" in first
    results = json.loads((probe / "results.json").read_text())
    results["layers"]["pre_logits"]["top1"] = 0.25
    (probe / "results.json").write_text(json.dumps(results))
    command_line.run("study.py", "--report", str(tmp_path), "--output", str(output))
    assert "25.0 (1)" in (output / "index.html").read_text()


def test_a_plan_needs_nothing_of_a_report(plan, tmp_path):
    """What takes seconds to import: --plan and --list do without."""
    source = (
        "import sys, study\n"
        "from absl import flags\n"
        f"flags.FLAGS(['study.py', '--plan={plan}', '--workdir={tmp_path / 'runs'}', '--list'])\n"
        "study.main([])\n"
        "slow = ('tensorflow', 'pandas', 'matplotlib', 'scipy', 'jinja2')\n"
        "print(sorted(sys.modules.keys() & set(slow)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=command_line.ROOT, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_no_tensorflow():
    source = (
        "import sys, study; from studies import read, report; print('tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=command_line.ROOT, capture_output=True, text=True
    )
    assert done.stdout.strip() == "False", done.stderr


def test_bad_input_is_one_line(plan, tmp_path):
    cases = {
        "give --plan=FILE": [],
        "does not exist": [f"--plan={tmp_path / 'none'}"],
        "use i/n": [f"--plan={plan}", "--shard=2/2", "--list"],
        "--jobs=0: use a whole number from 1 to 4096": [f"--plan={plan}", "--jobs=0"],
        "--jobs=4096: every run needs a core, and there": [f"--plan={plan}", "--jobs=4096"],
        "is not a directory": [f"--report={tmp_path / 'none'}"],
        "--accelerators=0": [f"--plan={plan}", "--estimate", "--accelerators=0"],
        "--utilisation": [f"--plan={plan}", "--estimate", "--utilisation=2"],
        "--peak_tflops": [f"--plan={plan}", "--estimate", "--peak_tflops=inf"],
        "--memory_gib=nan": [f"--plan={plan}", "--estimate", "--memory_gib=nan"],
        "--bytes_per_number=0": [f"--plan={plan}", "--estimate", "--bytes_per_number=0"],
        "--images_per_second=/nowhere": [f"--plan={plan}", "--images_per_second=/nowhere"],
        "--report names no directory": ["--report="],
        "holds no run": [f"--report={tmp_path / 'empty'}"],
        "is a file: name a directory": [f"--report={tmp_path / 'study'}", f"--output={plan}"],
        f"--output={plan}/x cannot be written (Not a directory)": [
            *(f"--report={tmp_path / 'study'}", f"--output={plan}/x")
        ],
        "--plan runs a study and --report reads one": [f"--plan={plan}", "--report=x"],
        "--output is where --report=DIR goes": [f"--plan={plan}", "--output=x"],
        "give --list or --estimate": [f"--plan={plan}", "--list", "--estimate"],
        f"--workdir={plan} is not a directory": [f"--plan={plan}", "--list", f"--workdir={plan}"],
        f"--workdir={plan}/x cannot be written": [f"--plan={plan}", f"--workdir={plan}/x"],
        "--workdir=gs://b/x: name a directory of this": [f"--plan={plan}", "--workdir=gs://b/x"],
    }
    for shard in ("3/2", "0/0", "a/b", "-1/2", "1", "0/2/3", "0x1/2", "1e0/2", "", "/"):
        cases[f"--shard={shard}: use i/n"] = [f"--plan={plan}", f"--shard={shard}", "--list"]
    (tmp_path / "empty").mkdir()
    synthetic.network(tmp_path / "study")
    for expected, error in zip(
        cases, command_line.errors("study.py", list(cases.values())), strict=True
    ):
        assert expected in error, f"{error!r} should say {expected!r}"
        assert "|" not in error, "one line"
