"""Several networks at once, each on its share of the machine, with stand-ins for the programs."""

import os
import pathlib
import subprocess

import pytest

from studies import plan, rates, runner, shares
from studies.shares import Share
from tests.studies import stand_ins
from tests.studies.stand_ins import calls

# Notes what it has to compute on, and works on once as many as PEERS have begun.
MEETING = """
import os, pathlib, sys, time
from studies import flag_files
here = pathlib.Path(__file__).parent
run = pathlib.Path(flag_files.expand(tuple(sys.argv[1:]))["workdir"])
if hasattr(os, "sched_getaffinity"):
    (here / (run.name + ".cores")).write_text(str(sorted(os.sched_getaffinity(0))))
(here / (run.name + ".gpu")).write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "none"))
deadline = time.monotonic() + 300
while len(list(here.glob("*.gpu"))) < PEERS:
    if time.monotonic() > deadline:
        sys.exit("the others do not come")
    time.sleep(0.01)
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A plan of four networks with a probe each, and where it runs."""
    return stand_ins.study(tmp_path, monkeypatch, seeds="0,1,2,3", probes="knn")


def meet(tmp_path, peers: int) -> None:
    """Lets train.py's stand-in wait for others."""
    path = tmp_path / "train.py"
    path.write_text(MEETING.replace("PEERS", str(peers)) + path.read_text())


def files(root) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(pathlib.Path(root).rglob("*"))
        if path.is_file() and "logs" not in path.parts
    }


def test_runs_at_once_have_shares_and_leave_what_one_after_another_leave(study, tmp_path):
    jobs, where = study
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    parts = [Share(frozenset(cores[:1]), gpu="a"), Share(frozenset(cores[-1:]), gpu="b")]
    alone = tmp_path / "alone"
    runner.run_all(jobs, where, say=lambda _: None)
    where.workdir.rename(alone)
    where.make()
    calls(tmp_path)
    meet(tmp_path, 2)
    said = []
    assert runner.run_all(jobs, where, shares=parts, say=said.append) == ([], [])
    assert files(where.workdir) == files(alone)
    made = calls(tmp_path)
    assert sorted(made) == ["knn"] * 4 + ["seed0", "seed1", "seed2", "seed3"]
    assert said[:3] == [
        "8 runs, 0 of them finished, 8 to do",
        *("[1/8] seed0", "[2/8] seed1"),
    ]
    status = [line for line in said if " done, at work: " in line]
    assert len(status) == 7, "one behind every run but the last"
    assert status[0].startswith("1 of 8 done, at work: seed")
    assert "; 6 to do, about " in status[0]
    assert [line.split(" done")[0] for line in status] == [f"{done} of 8" for done in range(1, 8)]
    assert {(tmp_path / f"seed{seed}.gpu").read_text() for seed in (0, 1)} == {"a", "b"}
    if hasattr(os, "sched_getaffinity"):
        of_cores = {(tmp_path / f"seed{seed}.cores").read_text() for seed in (0, 1)}
        assert of_cores == {str(cores[:1]), str(cores[-1:])}
        assert sorted(os.sched_getaffinity(0)) == cores


def test_a_failed_run_does_not_stop_those_beside_it(study, tmp_path):
    jobs, where = study
    meet(tmp_path, 2)
    (tmp_path / "failing.txt").write_text("1")
    said = []
    failures = runner.run_all(jobs, where, shares=[Share()] * 2, say=said.append)
    assert failures == (["seed1"], ["seed1/probes/knn"])
    assert sorted(calls(tmp_path)) == ["knn"] * 3 + ["seed0", "seed1", "seed2", "seed3"]
    assert any("failed: seed1: train.py: that went wrong (exit status 1" in line for line in said)


def test_candidates_at_once(study, tmp_path):
    _, where = study
    (tmp_path / "plan.cfg").write_text(
        "--grid=a\n--learning_rates=0.05,0.7,0.2\n"
        f"--train_flagfile={tmp_path}/flags.cfg\n--eval_flagfile={tmp_path}/flags.cfg\n"
    )
    (choice,) = rates.choices(plan.jobs(plan.read(str(tmp_path / "plan.cfg"))))
    candidates = runner.open_candidates([choice], where)
    meet(tmp_path, 3)
    failures = runner.run_all(
        candidates, where, candidates=True, shares=[Share()] * 3, say=lambda _: None
    )
    assert [name[-7:] for name in failures.failed] == ["rate0.7"]
    assert rates.decide(choice, where).rate == 0.05


# Of seed0 endless; any other one fails once that has begun.
ENDLESS = """
import os, pathlib, sys, time
pid = pathlib.Path(__file__).parent / "seed0.pid"
if any(argument.endswith("/seed0") for argument in sys.argv):
    pid.with_suffix(".new").write_text(str(os.getpid()))
    pid.with_suffix(".new").rename(pid)
    time.sleep(600)
while not pid.exists():
    time.sleep(0.01)
sys.exit("that went wrong")
"""


def test_an_error_of_ours_leaves_no_program_behind(study, tmp_path):
    jobs, where = study
    (tmp_path / "train.py").write_text(ENDLESS)

    def say(line: str) -> None:
        if line.startswith("failed: seed1"):
            raise OSError("the log's disk is full")

    with pytest.raises(OSError, match="disk is full"):
        runner.run_all(jobs, where, shares=[Share()] * 2, say=say)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "seed0.pid").read_text()), 0)


@pytest.fixture
def machine(monkeypatch):
    """Makes this a machine of so many cores and of these GPUs."""

    def make(cores: int, smi: str | None = None) -> None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
        # Not the order of this machine's own.
        monkeypatch.setattr(shares, "neighbours_in_order", sorted)

        def run(command, **_):
            if smi is None:
                raise FileNotFoundError("nvidia-smi")
            return subprocess.CompletedProcess(command, 0, smi, "")

        monkeypatch.setattr(shares.subprocess, "run", run)

    return make


def test_a_machine_in_parts(machine, monkeypatch):
    machine(5)
    assert shares.divide(1) == [shares.WHOLE_MACHINE]
    assert shares.divide(2) == [Share(frozenset({0, 1})), Share(frozenset({2, 3, 4}))]
    assert shares.divide(5) == [Share(frozenset({core})) for core in range(5)]
    assert shares.divide(2)[0].environment is None
    with pytest.raises(ValueError, match="--jobs=6: every run needs a core, and there are 5 cores"):
        shares.divide(6)
    machine(1)
    with pytest.raises(ValueError, match="there is 1 core: use at most 1"):
        shares.divide(2)

    machine(4, smi="GPU-a1\nGPU-b2\nGPU-c3\n")
    assert [share.gpu for share in shares.divide(2)] == ["GPU-a1", "GPU-b2"]
    assert shares.divide(2)[1].environment["CUDA_VISIBLE_DEVICES"] == "GPU-b2"
    with pytest.raises(ValueError, match="there are 3 GPUs: use at most 3, or CUDA_VISIBLE_DEV"):
        shares.divide(4)
    machine(4, smi="NVIDIA-SMI has failed because it couldn't communicate\n")
    assert [share.gpu for share in shares.divide(2)] == [None, None]
    for visible, found in {"2, 0": ["2", "0"], "": [], "-1": [], "1,-1,0": ["1"]}.items():
        assert shares.visible_gpus({"CUDA_VISIBLE_DEVICES": visible}) == found
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert [share.gpu for share in shares.divide(4)] == [None] * 4


def test_both_threads_of_a_physical_core_are_neighbours(tmp_path):
    # Two sockets of two cores of two threads, numbered as Linux does.
    for core in range(8):
        topology = tmp_path / f"cpu{core}" / "topology"
        topology.mkdir(parents=True)
        (topology / "physical_package_id").write_text(f"{core % 2}\n")
        (topology / "core_id").write_text(f"{core % 4 // 2}\n")
    assert shares.neighbours_in_order(set(range(8)), tmp_path) == [0, 4, 2, 6, 1, 5, 3, 7]
    assert shares.neighbours_in_order({3, 1, 2}, tmp_path / "nowhere") == [1, 2, 3]
