"""Learning rates to choose from: which network tries them, which is taken, by whom."""

import json
import pathlib
import subprocess
import sys

import pytest
from etils import epath

from studies import plan, rates, read, runner, study_directory
from studies.cost import estimate
from tests.studies import stand_ins
from tests.studies.stand_ins import calls

PLAN = """
--train_flagfile=HERE/flags.cfg
--grid=a
--eval_flagfile=HERE/flags.cfg
--tasks=rotation
--architectures=vgg19_bn
--widening_factors=1,2
--learning_rates=RATES
--probes=knn
--grid=b
--tasks=rotation
--architectures=vgg19_bn,revnet50
--widening_factors=1
--seeds=7
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A plan with a choice for two grids' networks, and where it runs."""
    stand_ins.install(tmp_path, monkeypatch)
    where = study_directory.StudyDirectory(epath.Path(tmp_path / "runs"))
    where.make()
    return lambda candidates: (jobs(tmp_path, candidates), where)


def jobs(directory: pathlib.Path, candidates: str) -> list:
    (directory / "flags.cfg").write_text("--epochs=3\n")
    path = directory / "plan.cfg"
    path.write_text(PLAN.replace("HERE", str(directory)).replace("RATES", candidates))
    return plan.jobs(plan.read(str(path)))


def train(choices, where) -> list[str]:
    candidates = runner.open_candidates(choices, where)
    return runner.run_all(candidates, where, candidates=True, say=lambda _: None).failed


def settle(all_jobs, choices, where):
    return rates.settle(
        all_jobs, {choice.base.pair: rates.decide(choice, where) for choice in choices}
    )


def test_one_network_tries_them_and_all_of_its_kind_get_the_best(study, tmp_path):
    all_jobs, where = study("0.2,0.05,0.4")
    (choice,) = rates.choices(all_jobs)
    assert str(choice) == "rotation, vgg19_bn"
    decision = rates.decide(choice, where)
    assert decision.rate is None
    assert "no accuracy yet at 0.2 (not finished), 0.05" in decision.reason
    ready, waiting = settle(all_jobs, [choice], where)
    assert [job.train.name for job in ready] == ["rotation-revnet50-k1-seed7"], "it has no rates"
    assert len(waiting) == 3

    assert train([choice], where) == []
    first = [f"rotation-vgg19_bn-k1-rate{rate}" for rate in ("0.2", "0.05", "0.4")]
    assert calls(tmp_path) == first
    assert str(rates.decide(choice, where)) == "0.05 of 0.2: 80.0%, 0.05: 85.0%, 0.4: 60.0%"
    ready, waiting = settle(all_jobs, [choice], where)
    assert waiting == []
    assert [job.train.name for job in ready] == [
        "rotation-vgg19_bn-k1-rate0.05",
        "rotation-vgg19_bn-k2-rate0.05",
        "rotation-vgg19_bn-k1-seed7-rate0.05",
        "rotation-revnet50-k1-seed7",
    ]
    assert ready[0].evaluations[0].name == "rotation-vgg19_bn-k1-rate0.05/probes/knn"
    assert ready[1].train.flags[-1] == "--learning_rate=0.05"
    # The chosen candidate is a network of the study: it is not trained twice.
    assert runner.run_all(ready, where, say=lambda _: None) == ([], [])
    assert calls(tmp_path) == [
        *("knn", "rotation-vgg19_bn-k2-rate0.05", "knn"),
        *("rotation-vgg19_bn-k1-seed7-rate0.05", "rotation-revnet50-k1-seed7"),
    ]
    assert runner.open_candidates([choice], where) == []


def test_a_rate_that_diverges_is_out_and_not_tried_again(study, tmp_path):
    all_jobs, where = study("0.7,0.05")
    choices = rates.choices(all_jobs)
    assert train(choices, where) == ["rotation-vgg19_bn-k1-rate0.7"]
    decision = rates.decide(choices[0], where)
    assert decision.rate == 0.05
    assert decision.outcomes[0.7].reason == "the loss was not finite"
    calls(tmp_path)
    assert train(choices, where) == []
    assert calls(tmp_path) == []


def test_a_rate_that_diverged_in_another_process_is_not_tried_again(study, tmp_path):
    all_jobs, where = study("0.05,0.7")
    choices = rates.choices(all_jobs)

    def say(line: str) -> None:
        if line == "2 runs, 0 of them finished, 2 to do":
            train(choices, where)

    candidates = runner.open_candidates(choices, where)
    assert runner.run_all(candidates, where, candidates=True, say=say) == ([], [])
    assert len(calls(tmp_path)) == 2
    assert rates.decide(choices[0], where).rate == 0.05


def test_nothing_is_chosen_while_a_candidate_has_failed_otherwise(study, tmp_path):
    all_jobs, where = study("0.2,0.05")
    choices = rates.choices(all_jobs)
    (tmp_path / "failing.txt").write_text("rotation-vgg19_bn-k1-rate0.05")
    assert train(choices, where) == ["rotation-vgg19_bn-k1-rate0.05"]
    assert rates.decide(choices[0], where).rate is None
    (tmp_path / "failing.txt").write_text("")
    calls(tmp_path)
    assert train(choices, where) == []
    assert calls(tmp_path) == ["rotation-vgg19_bn-k1-rate0.05"]
    assert rates.decide(choices[0], where).rate == 0.05


def test_all_diverged_or_nothing_measured(study, tmp_path):
    all_jobs, where = study("0.7,0.8")
    choices = rates.choices(all_jobs)
    train(choices, where)
    assert "not finite at any rate" in rates.decide(choices[0], where).reason
    all_jobs, where = study("0.2,0.05")
    choices = rates.choices(all_jobs)
    train(choices, where)
    (tmp_path / "runs" / "rotation-vgg19_bn-k1-rate0.2" / "metrics.csv").write_text("step,epoch\n")
    decision = rates.decide(choices[0], where)
    assert decision.rate is None
    assert "metrics.csv has no held-out accuracy" in decision.reason
    assert runner.open_candidates(choices, where) == [], "training it again would not help"


def test_equal_rates_take_the_first(study, tmp_path):
    all_jobs, where = study("0.15,0.05")
    choices = rates.choices(all_jobs)
    train(choices, where)
    assert rates.decide(choices[0], where).rate == 0.15


def test_what_candidates_take(study):
    all_jobs, _ = study("0.2,0.05,0.4")
    table = estimate.table(all_jobs, rates.choices(all_jobs), estimate.Accelerators())
    (line,) = [line for line in table.splitlines() if "at 3 learning rates" in line]
    assert line.endswith("rotation-vgg19_bn-k1 at 3 learning rates")


def start(tmp_path, *arguments: str) -> subprocess.CompletedProcess:
    """study.py in a process of its own, with the stand-ins."""
    source = (
        "import pathlib, study\nfrom studies import study_directory\n"
        "from training import command_line\n"
        f"study_directory.PROGRAMS = pathlib.Path({str(tmp_path)!r})\n"
        "command_line.run('study.py', study.main)"
    )
    return subprocess.run(
        [sys.executable, "-c", source, f"--workdir={tmp_path / 'runs'}", *arguments],
        capture_output=True,
        text=True,
    )


def test_shards_and_the_report(study, tmp_path):
    study("0.2,0.05,0.7")
    path = f"--plan={tmp_path / 'plan.cfg'}"
    listed = start(tmp_path, path, "--list")
    lines = listed.stdout.splitlines()
    assert len(lines) == 4, "three candidates and the network without a choice"
    assert "3 networks wait for their learning rate" in listed.stderr
    # Not the shard that the first network is in: it trains the candidates that nobody has.
    done = start(tmp_path, path, "--shard=1/2")
    assert done.returncode == 0, done.stderr
    assert "failed: rotation-vgg19_bn-k1-rate0.7: train.py: the loss is not finite" in done.stdout
    assert "learning rate of rotation, vgg19_bn: 0.05 of 0.2: 80.0%, 0.05: 85.0%" in done.stdout
    assert len(calls(tmp_path)) == 3 + 2 + 1
    done = start(tmp_path, path, "--shard=0/2")
    assert done.returncode == 0, done.stderr
    assert calls(tmp_path) == ["knn", "rotation-vgg19_bn-k1-seed7-rate0.05"]
    assert start(tmp_path, path, "--list").stdout == ""

    written = json.loads((tmp_path / "runs" / "study.json").read_text())["plans"]["plan"]
    assert written["choices"][0]["chosen"] == 0.05
    by_name = {run["name"]: run for run in written["runs"]}
    probe = by_name["rotation-vgg19_bn-k2-rate0.05/probes/knn"]
    assert probe["network"] == "rotation-vgg19_bn-k2-rate0.05"
    assert probe["recipe"]["probe"] == "knn"
    assert by_name[probe["network"]]["recipe"] == {
        **{"architecture": "vgg19_bn", "epochs": "3", "learning_rate": "0.05"},
        **{"task": "rotation", "widening_factor": "2"},
    }
    found = read.read(str(tmp_path / "runs"))
    assert found.missing == found.notes == ()
    assert set(found.networks.name) == {
        name for name in by_name if "probes" not in name and "0.2" not in name and "0.7" not in name
    }, "a rate that was not chosen is no network of the study"
    assert [(each.learning_rate, each.accuracy, each.chosen) for each in found.candidates] == [
        *((0.2, 0.8, False), (0.05, 0.85, True), (0.7, None, False)),
    ]
