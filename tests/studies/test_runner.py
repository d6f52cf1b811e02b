"""Running a plan, with stand-ins for train.py and eval.py that take milliseconds."""

import pathlib
import shlex
import signal
import subprocess
import sys
import time

import pytest

from studies import plan, runner

# Leaves what the real one leaves; fails where a file beside it says so; notes every call.
PROGRAM = """
import pathlib, sys
from studies import flag_files
flags = flag_files.expand(tuple(sys.argv[1:]))
run, here = pathlib.Path(flags["workdir"]), pathlib.Path(__file__).parent
with open(here / "calls.txt", "a") as calls:
    calls.write(run.name + "\\n")
failing = (here / "failing.txt").read_text().split()
if flags["seed" if RESULT == "saved_model" else "probe"] in failing:
    print("working\\n", file=sys.stderr)
    sys.exit("NAME: that went wrong")
if RESULT == "results.json":
    assert (pathlib.Path(flags["saved_model"])).exists()
    (pathlib.Path(flags["representations_dir"])).mkdir(exist_ok=True)
run.mkdir(parents=True, exist_ok=True)
(run / "flags.cfg").write_text("".join(f"--{k}={v}\\n" for k, v in flags.items()))
(run / RESULT).mkdir(exist_ok=True)
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A plan of three networks with two probes each, and where it runs."""
    monkeypatch.setattr(runner, "PROGRAMS", tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(pathlib.Path(__file__).parents[2]))
    for name, result in (("train.py", "saved_model"), ("eval.py", "results.json")):
        text = PROGRAM.replace("RESULT", repr(result)).replace("NAME", name)
        (tmp_path / name).write_text(text)
    (tmp_path / "failing.txt").write_text("")
    (tmp_path / "empty.cfg").write_text("--learning_rate=1e-4\n")
    (tmp_path / "plan.cfg").write_text(
        "--grid=a\n--seeds=0,1,2\n--probes=lbfgs,knn\n"
        f"--train_flagfile={tmp_path}/empty.cfg\n--eval_flagfile={tmp_path}/empty.cfg\n"
    )
    jobs = plan.jobs(plan.read(str(tmp_path / "plan.cfg")))
    return jobs, runner.Place(runner.epath.Path(tmp_path / "runs"), data_dir="data")


def calls(tmp_path) -> list[str]:
    path = tmp_path / "calls.txt"
    made = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return made


def test_runs_everything_once(study, tmp_path):
    jobs, place = study
    said = []
    assert runner.run_all(jobs, place, say=said.append) == ([], [])
    assert calls(tmp_path) == [
        "seed0",
        "lbfgs",
        "knn",
        "seed1",
        "lbfgs",
        "knn",
        "seed2",
        "lbfgs",
        "knn",
    ]
    assert said[0] == "9 runs, 0 of them finished, 9 to do"
    assert any("[9/9] seed2/probes/knn" in line for line in said)
    assert any(line.startswith("1 to do, about ") and line.endswith(" left") for line in said)
    assert not list((tmp_path / "runs").glob("*/representations"))

    again = []
    assert runner.run_all(jobs, place, say=again.append) == ([], [])
    assert calls(tmp_path) == []
    assert again == ["9 runs, 9 of them finished, 0 to do"]
    assert runner.command_lines(jobs, place) == []


def test_representations_stay_if_asked(study, tmp_path):
    jobs, place = study
    runner.run_all(jobs[:1], place, keep_representations=True, say=lambda _: None)
    assert (tmp_path / "runs" / "seed0" / "representations").exists()


def test_a_failed_network_does_not_stop_the_others(study, tmp_path):
    jobs, place = study
    (tmp_path / "failing.txt").write_text("1")
    said = []
    failures = runner.run_all(jobs, place, say=said.append)
    assert failures.failed == ["seed1"]
    assert failures.not_started == ["seed1/probes/lbfgs", "seed1/probes/knn"]
    assert any("failed: seed1: train.py: that went wrong (exit status 1" in line for line in said)
    assert calls(tmp_path).count("lbfgs") == 2
    # What is left to do is the failed network and its probes, and nothing else.
    (tmp_path / "failing.txt").write_text("")
    assert runner.run_all(jobs, place, say=said.append) == ([], [])
    assert calls(tmp_path) == ["seed1", "lbfgs", "knn"]


def test_a_failed_probe_does_not_stop_the_others(study, tmp_path):
    jobs, place = study
    (tmp_path / "failing.txt").write_text("lbfgs")
    failures = runner.run_all(jobs, place, say=lambda _: None)
    assert failures.failed == [f"seed{seed}/probes/lbfgs" for seed in range(3)]
    assert calls(tmp_path).count("knn") == 3
    # The representations wait for the probe that is still to come.
    assert (tmp_path / "runs" / "seed0" / "representations").exists()


def test_a_program_that_leaves_no_result_has_failed(study, tmp_path):
    jobs, place = study
    (tmp_path / "train.py").write_text("")
    failures = runner.run_all(jobs, place, say=lambda _: None)
    assert failures.failed == ["seed0", "seed1", "seed2"]


def test_other_flags_are_another_run(study, tmp_path):
    jobs, place = study
    runner.run_all(jobs[:1], place, say=lambda _: None)
    assert place.is_finished(jobs[0].train)
    (tmp_path / "empty.cfg").write_text("--learning_rate=0.0001\n")
    assert place.is_finished(jobs[0].train), "the same number in other words"
    (tmp_path / "empty.cfg").write_text("--learning_rate=0.1\n")
    assert not place.is_finished(jobs[0].train)


def test_the_listed_commands_do_the_same(study, tmp_path):
    jobs, place = study
    lines = runner.command_lines(jobs, place)
    assert len(lines) == 3
    first = shlex.split(lines[0])
    assert first.count("&&") == 2
    assert f"--workdir={tmp_path}/runs/seed0" in first
    assert "--data_dir=data" in first
    subprocess.run(lines[1], shell=True, check=True)
    assert calls(tmp_path) == ["seed1", "lbfgs", "knn"]
    assert len(runner.command_lines(jobs, place)) == 2


# Runs until it is told to end, and notes that it was.
ENDLESS = """
import pathlib, signal, sys, time
here = pathlib.Path(__file__).parent
def end(*_):
    (here / "ended.txt").write_text("by a signal")
    sys.exit(1)
signal.signal(signal.SIGTERM, end)
(here / "started.txt").write_text("")
time.sleep(600)
"""
STUDY = """
import pathlib, sys
import study
from programs import command_line
from studies import runner
runner.PROGRAMS = pathlib.Path({programs!r})
command_line.run("study.py", study.main)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_at_hand_too(study, tmp_path, number):
    (tmp_path / "train.py").write_text(ENDLESS)
    source = STUDY.format(programs=str(tmp_path))
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", source),
            *(f"--plan={tmp_path / 'plan.cfg'}", f"--workdir={tmp_path / 'runs'}"),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 600
    while not (tmp_path / "started.txt").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 128 + number
    assert (tmp_path / "ended.txt").exists()
    assert f"study.py: stopped by {number.name}: the run at hand was stopped too" in errors


def test_remaining_time_comes_from_the_most_similar_runs(study):
    jobs, _ = study
    clock = runner.Clock()
    assert clock.remaining([(jobs[0], jobs[0].train)]) is None
    clock.add(jobs[0], jobs[0].train, 100.0)
    clock.add(jobs[0], jobs[0].evaluations[0], 10.0)
    left = [(jobs[1], run) for run in jobs[1].runs]
    assert clock.remaining(left) == 100.0 + 10.0 + 10.0
    assert runner.duration(None) == "an unknown time"
    assert [runner.duration(s) for s in (60, 600, 7200)] == [
        "about 60 s",
        "about 10 min",
        "about 2.0 h",
    ]
