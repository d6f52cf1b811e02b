"""Running a plan, with stand-ins for train.py and eval.py that take milliseconds."""

import fcntl
import shlex
import signal
import subprocess
import sys
import time

import pytest

from studies import remaining_time, runner
from tests.studies import stand_ins
from tests.studies.stand_ins import calls
from training import locks


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A plan of three networks with two probes each, and where it runs."""
    return stand_ins.study(tmp_path, monkeypatch, "0,1,2", "lbfgs,knn", data_dir="data")


def test_runs_everything_once(study, tmp_path):
    jobs, where = study
    said = []
    assert runner.run_all(jobs, where, say=said.append) == ([], [])
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
    assert runner.run_all(jobs, where, say=again.append) == ([], [])
    assert calls(tmp_path) == []
    assert again == ["9 runs, 9 of them finished, 0 to do"]
    assert runner.command_lines(jobs, where) == []


def test_representations_stay_if_asked(study, tmp_path):
    jobs, where = study
    runner.run_all(jobs[:1], where, keep_representations=True, say=lambda _: None)
    assert (tmp_path / "runs" / "seed0" / "representations").exists()


def test_a_failed_network_does_not_stop_the_others(study, tmp_path):
    jobs, where = study
    (tmp_path / "failing.txt").write_text("1")
    said = []
    failures = runner.run_all(jobs, where, say=said.append)
    assert failures.failed == ["seed1"]
    assert failures.not_started == ["seed1/probes/lbfgs", "seed1/probes/knn"]
    assert any("failed: seed1: train.py: that went wrong (exit status 1" in line for line in said)
    assert calls(tmp_path).count("lbfgs") == 2
    # What is left to do is the failed network and its probes, and nothing else.
    (tmp_path / "failing.txt").write_text("")
    assert runner.run_all(jobs, where, say=said.append) == ([], [])
    assert calls(tmp_path) == ["seed1", "lbfgs", "knn"]


def test_a_failed_probe_does_not_stop_the_others(study, tmp_path):
    jobs, where = study
    (tmp_path / "failing.txt").write_text("lbfgs")
    failures = runner.run_all(jobs, where, say=lambda _: None)
    assert failures.failed == [f"seed{seed}/probes/lbfgs" for seed in range(3)]
    assert calls(tmp_path).count("knn") == 3
    # The representations wait for the probe that is still to come.
    assert (tmp_path / "runs" / "seed0" / "representations").exists()


def test_a_program_that_leaves_no_result_has_failed(study, tmp_path):
    jobs, where = study
    (tmp_path / "train.py").write_text("")
    failures = runner.run_all(jobs, where, say=lambda _: None)
    assert failures.failed == ["seed0", "seed1", "seed2"]


def test_other_flags_are_another_run(study, tmp_path):
    jobs, where = study
    runner.run_all(jobs[:1], where, say=lambda _: None)
    assert where.is_finished(jobs[0].train)
    (tmp_path / "flags.cfg").write_text("--learning_rate=0.0001\n")
    assert where.is_finished(jobs[0].train), "the same number in other words"
    (tmp_path / "flags.cfg").write_text("--learning_rate=0.1\n")
    assert not where.is_finished(jobs[0].train)


def test_the_listed_commands_do_the_same(study, tmp_path):
    jobs, where = study
    lines = runner.command_lines(jobs, where)
    assert len(lines) == 3
    first = shlex.split(lines[0])
    assert first.count("&&") == 2
    assert f"--workdir={tmp_path}/runs/seed0" in first
    assert "--data_dir=data" in first
    subprocess.run(lines[1], shell=True, check=True)
    assert calls(tmp_path) == ["seed1", "lbfgs", "knn"]
    assert len(runner.command_lines(jobs, where)) == 2


def test_what_a_plan_leaves_to_the_program_is_any_value(study, tmp_path):
    jobs, where = study
    runner.run_all(jobs[:1], where, say=lambda _: None)
    flags = tmp_path / "runs" / "seed0" / "flags.cfg"
    flags.write_text(flags.read_text() + "--precision=bfloat16\n")
    (tmp_path / "flags.cfg").write_text("--learning_rate=1e-4\n--precision=auto\n")
    assert where.is_finished(jobs[0].train)
    (tmp_path / "flags.cfg").write_text("--learning_rate=1e-4\n--precision=float32\n")
    assert not where.is_finished(jobs[0].train)


# Runs until it is told to end, notes that, and waits until as many as RUNS were told.
ENDLESS = """
import pathlib, signal, sys, time
here = pathlib.Path(__file__).parent
name = next(argument for argument in sys.argv if "workdir" in argument)[-5:]
def end(*_):
    (here / (name + ".ended")).write_text("by a signal")
    while len(list(here.glob("*.ended"))) < RUNS:
        time.sleep(0.01)
    sys.exit(1)
signal.signal(signal.SIGTERM, end)
(here / (name + ".started")).write_text("")
time.sleep(600)
"""
STUDY = """
import pathlib, sys
import study
from training import command_line
from studies import shares, study_directory
study_directory.PROGRAMS = pathlib.Path({programs!r})
shares.divide = lambda count: [shares.WHOLE_MACHINE] * count
command_line.run("study.py", study.main)
"""


@pytest.mark.parametrize(
    ("number", "at_once", "stopped"),
    [
        (signal.SIGTERM, 1, "the run at hand was stopped too"),
        (signal.SIGINT, 1, "the run at hand was stopped too"),
        (signal.SIGINT, 2, "the 2 runs at hand were stopped too"),
    ],
)
def test_a_signal_ends_the_runs_at_hand_too(study, tmp_path, number, at_once, stopped):
    (tmp_path / "train.py").write_text(ENDLESS.replace("RUNS", str(at_once)))
    source = STUDY.format(programs=str(tmp_path))
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", source, f"--jobs={at_once}"),
            *(f"--plan={tmp_path / 'plan.cfg'}", f"--workdir={tmp_path / 'runs'}"),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 600
    while len(list(tmp_path.glob("*.started"))) < at_once and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 128 + number
    # Had one been waited for before the other was asked, neither would have ended.
    assert len(list(tmp_path.glob("*.ended"))) == at_once
    assert (
        f"study.py: stopped by {number.name}: {stopped}; the same command resumes from there"
        in errors
    )


def test_remaining_time_comes_from_the_most_similar_runs(study):
    jobs, _ = study
    clock = remaining_time.Clock()
    assert clock.remaining([(jobs[0], jobs[0].train)]) is None
    clock.add(jobs[0], jobs[0].train, 100.0)
    clock.add(jobs[0], jobs[0].evaluations[0], 10.0)
    left = [(jobs[1], run) for run in jobs[1].runs]
    assert clock.remaining(left) == 100.0 + 10.0 + 10.0
    # Two networks, of 120 s each and begun 30 s ago; a third follows behind the second.
    networks = [([(job, run) for run in job.runs], 0.0) for job in jobs]
    assert clock.remaining_at_once(networks, 1) == 360.0
    assert clock.remaining_at_once([(networks[0][0], 30.0), *networks[1:]], 2) == 90.0 + 120.0
    assert clock.remaining_at_once([(networks[0][0], 5000.0)], 2) == 20.0
    assert remaining_time.duration(None) == "an unknown time"
    assert [remaining_time.duration(s) for s in (60, 600, 7200)] == [
        "about 60 s",
        "about 10 min",
        "about 2.0 h",
    ]


def test_a_network_that_another_process_has_comes_last(study, tmp_path):
    jobs, where = study
    with open(tmp_path / "runs" / "logs" / "seed0.lock", "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)

        def say(line: str) -> None:
            if "seed2/probes/knn" in line:
                other.close()

        assert runner.run_all(jobs, where, say=say) == ([], [])
    assert [name for name in calls(tmp_path) if "seed" in name] == ["seed1", "seed2", "seed0"]


def test_what_another_process_finished_meanwhile_is_left_alone(study, tmp_path):
    jobs, where = study

    def say(line: str) -> None:
        if line == "9 runs, 0 of them finished, 9 to do":
            runner.run_all(jobs[1:2], where, say=lambda _: None)

    assert runner.run_all(jobs, where, say=say) == ([], [])
    assert calls(tmp_path).count("seed1") == 1


@pytest.mark.parametrize(
    ("held", "claimed", "free"),
    [
        (".", "0/1", False),
        (".", "0/2", False),
        ("logs/shard0of2", "0/2", False),
        ("logs/shard0of2", "1/2", True),
    ],
)
def test_one_study_at_a_time_or_one_of_each_shard(study, tmp_path, held, claimed, free):
    _, where = study
    directory = tmp_path / "runs" / held
    directory.mkdir(exist_ok=True)
    claim = locks.released_at_the_end(lambda argv: where.claim(*argv))
    with open(directory / "lock", "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        if free:
            claim([claimed])
        else:
            with pytest.raises(ValueError, match="is at work there"):
                claim([claimed])
    claim([claimed])


def test_a_shard_keeps_the_whole_study_out_and_no_other_shard(study, tmp_path):
    _, where = study
    claim = locks.released_at_the_end(lambda argv: where.claim(*argv))
    with open(tmp_path / "runs" / "lock", "w") as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        claim(["1/2"])
        with pytest.raises(ValueError, match="wait for it to end, or give each a part"):
            claim(["0/1"])


def test_a_log_that_cannot_be_written_fails_its_run_alone(study, tmp_path):
    jobs, where = study
    (tmp_path / "runs" / "logs" / "seed1.log").mkdir()
    failures = runner.run_all(jobs, where, say=lambda _: None)
    assert failures.failed == ["seed1"]
    assert calls(tmp_path).count("lbfgs") == 2


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("flags.cfg", b"\xff"),
        ("flags.cfg", b""),
        ("saved_model/saved_model.pb", b""),
        ("probes/lbfgs/results.json", b"[]"),
        ("probes/lbfgs/results.json", b""),
    ],
)
def test_a_damaged_result_is_made_again(study, tmp_path, file, content):
    jobs, where = study
    runner.run_all(jobs[:1], where, say=lambda _: None)
    calls(tmp_path)
    (tmp_path / "runs" / "seed0" / file).write_bytes(content)
    assert runner.run_all(jobs[:1], where, say=lambda _: None) == ([], [])
    assert calls(tmp_path) == ["lbfgs" if "probes" in file else "seed0"]


def test_a_program_that_prints_no_text(study, tmp_path):
    jobs, where = study
    (tmp_path / "train.py").write_text(
        "import sys\nsys.stderr.buffer.write(b'\\xff went wrong\\n')\nsys.exit(1)"
    )
    said = []
    runner.run_all(jobs[:1], where, say=said.append)
    assert any("\ufffd went wrong (exit status 1" in line for line in said)
