"""From a plan to the runs that it stands for."""

import pathlib

import pytest

from studies import plan, runs, values

ROOT = pathlib.Path(__file__).parents[2]


def write(directory: pathlib.Path, *lines: str) -> str:
    """A plan of these lines beside two flag files; its path."""
    for name in ("rotation", "jigsaw", "lbfgs", "sgd"):
        (directory / f"{name}.cfg").write_text("--batch_size=8\n")
    path = directory / "plan.cfg"
    path.write_text("".join(f"{line}\n" for line in lines).replace("HERE", str(directory)))
    return str(path)


def jobs(directory: pathlib.Path, *lines: str) -> list[runs.Job]:
    return plan.jobs(plan.read(write(directory, *lines)))


def test_a_grid_is_the_product_of_its_values(tmp_path):
    made = jobs(
        tmp_path,
        "# a comment",
        "--train_flagfile=HERE/rotation.cfg",
        "--eval_flagfile=HERE/lbfgs.cfg",
        "--grid=one",
        "--tasks=rotation,jigsaw",
        "--architectures=revnet50,vgg19_bn",
        "--widening_factors=1,2",
        "--representation_sizes=0,64",
        "--seeds=0,1,2",
        "--probes=lbfgs,knn",
        "--datasets=scenes,folder",
        "--train_fractions=1,0.1",
    )
    assert len(made) == 2 * 2 * 2 * 2 * 3
    assert {len(job.evaluations) for job in made} == {2 * 2 * 2}
    names = [run.name for job in made for run in job.runs]
    assert len(set(names)) == len(names)
    first = made[0]
    assert first.train.name == "rotation-revnet50-k1-seed0"
    assert first.train.flags == (
        f"--flagfile={tmp_path}/rotation.cfg",
        "--task=rotation",
        "--architecture=revnet50",
        "--widening_factor=1",
        "--seed=0",
    )
    assert made[3].train.name == "rotation-revnet50-k1-size64-seed0"
    assert "--representation_size=64" in made[3].train.flags
    probe = first.evaluations[1]
    assert probe.name == "rotation-revnet50-k1-seed0/probes/lbfgs-scenes-labels0.1"
    assert probe.flags[1:] == ("--probe=lbfgs", "--dataset=scenes", "--train_fraction=0.1")


def test_a_name_in_the_path_picks_a_file_and_is_no_flag(tmp_path):
    (job,) = jobs(
        tmp_path,
        "--grid=one",
        "--train_flagfile=HERE/{task}.cfg",
        "--eval_flagfile=HERE/{probe}.cfg",
        "--tasks=jigsaw",
        "--probes=sgd",
    )
    assert job.train.flags == (f"--flagfile={tmp_path}/jigsaw.cfg",)
    assert job.evaluations[0].flags == (f"--flagfile={tmp_path}/sgd.cfg",)


def test_what_grids_have_in_common_runs_once(tmp_path):
    (job,) = jobs(
        tmp_path,
        "--train_flagfile=HERE/rotation.cfg",
        "--eval_flagfile=HERE/lbfgs.cfg",
        "--seeds=0",
        "--grid=one",
        "--probes=lbfgs",
        "--grid=two",
        "--probes=lbfgs,knn",
    )
    assert [run.name for run in job.evaluations] == ["seed0/probes/lbfgs", "seed0/probes/knn"]


def test_a_grid_without_probes_trains_alone(tmp_path):
    (job,) = jobs(tmp_path, "--grid=one", "--train_flagfile=HERE/rotation.cfg")
    assert job.train.name == "one"
    assert job.evaluations == ()


def test_shards_are_disjoint_and_whole(tmp_path):
    lines = ["--grid=a", "--train_flagfile=HERE/rotation.cfg", "--seeds=0,1,2,3,4,5,6"]
    made = jobs(tmp_path, *lines)
    shards = [runs.shard(made, f"{index}/3") for index in range(3)]
    assert [len(part) for part in shards] == [3, 2, 2]
    assert sorted(job.train.name for part in shards for job in part) == sorted(
        job.train.name for job in made
    )
    for wrong in ("3/3", "-1/3", "1", "a/b", "0/0"):
        with pytest.raises(ValueError, match="use i/n"):
            runs.shard(made, wrong)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["--tasks=rotation"], "describes no grid"),
        (["--grid=a", "--grid=a"], "a name of its own"),
        (["--grid=a"], "--train_flagfile is missing"),
        (["--grid=a", "--train_flagfile=HERE/no.cfg"], r"no\.cfg does not exist"),
        (["--grid=a", "--train_flagfile=HERE/rotation.cfg", "--task=x"], "Unknown command line"),
        (["--grid=a", "--train_flagfile=HERE/rotation.cfg", "rotation"], "what is rotation"),
        (["--grid=a", "--train_flagfile=HERE/{task}.cfg"], "needs a task"),
        (
            ["--grid=a", "--train_flagfile=HERE/rotation.cfg", "--widening_factors=4,wide"],
            "--widening_factors: wide is not a whole number",
        ),
        (
            ["--grid=a", "--train_flagfile=HERE/rotation.cfg", "--train_fractions=2"],
            "--train_fractions: 2 is not a share",
        ),
        (
            [
                *("--tasks=rotation", "--grid=a", "--train_flagfile=HERE/rotation.cfg"),
                *("--grid=b", "--train_flagfile=HERE/jigsaw.cfg"),
            ],
            "different runs by rotation",
        ),
    ],
)
def test_a_wrong_plan_is_one_clear_line(tmp_path, lines, message):
    with pytest.raises(ValueError, match=message) as error:
        jobs(tmp_path, *lines)
    assert "\n" not in str(error.value)


def test_a_missing_plan():
    with pytest.raises(ValueError, match="does not exist"):
        plan.read("no/such/plan.cfg")


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("configs/study/*.cfg")), ids=lambda path: path.stem
)
def test_every_shipped_plan_can_be_read(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    if "\n--grid=" not in path.read_text():
        pytest.skip("no plan but a flag file of one")
    assert f"--plan=configs/study/{path.name}" in path.read_text(), "the command"
    assert plan.jobs(plan.read(str(path)))


RATES = ["--train_flagfile=HERE/rotation.cfg", "--tasks=rotation", "--grid=a"]


def test_one_learning_rate_is_a_flag(tmp_path):
    (job,) = jobs(tmp_path, *RATES, "--learning_rates=1e-3")
    assert job.rates == ()
    assert job.train.name == "rotation-rate0.001"
    assert job.train.flags[-1] == "--learning_rate=0.001"


def test_learning_rates_hold_for_all_grids_of_a_task_and_architecture(tmp_path):
    made = jobs(tmp_path, *RATES, "--learning_rates=0.1,0.01", "--grid=b", "--seeds=0,1")
    assert [job.rates for job in made] == [(0.1, 0.01)] * 3
    with pytest.raises(ValueError, match=r"grid b, --learning_rates: .*grid a has others"):
        jobs(tmp_path, *RATES, "--learning_rates=0.1,0.01", "--grid=b", "--learning_rates=0.2,0.1")


def test_untrained_networks_have_no_learning_rate(tmp_path):
    (tmp_path / "untrained.cfg").write_text("--epochs=0\n")
    lines = ["--train_flagfile=HERE/{task}.cfg", "--grid=a", "--tasks=untrained,rotation"]
    made = jobs(tmp_path, *lines, "--learning_rates=0.1,0.01")
    assert [job.rates for job in made] == [(), (0.1, 0.01)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--tasks=rotatoin", "--tasks: there is no task rotatoin; did you mean rotation?"),
        ("--tasks=Rotation", "did you mean rotation?"),
        ("--tasks=a/../../b", "--tasks: 'a/../../b' is not a name"),
        ("--architectures=resnet50", "--architectures: there is no architecture resnet50; did you"),
        ("--architectures=zzz", "use one of resnet50_v1, "),
        ("--taks=rotation", "Unknown command line flag 'taks'. Did you mean: tasks"),
        ("--tasks", "Missing value for flag"),
        ("--tasks=", "--tasks: a value is missing"),
        ("--tasks=rotation,,jigsaw", "--tasks: a value is missing"),
        ("--tasks=rotation,rotation", "--tasks: rotation stands there twice"),
        ("--train_fractions=1,1.0", "--train_fractions: 1 stands there twice"),
        ("--train_fractions=0", "0 is not a share"),
        ("--train_fractions=nan", "nan is not a share"),
        ("--train_fractions=-0.1", "-0.1 is not a share"),
        ("--widening_factors=0", "--widening_factors: 0 is not a whole number of at least 1"),
        ("--widening_factors=-4", "-4 is not a whole number"),
        (f"--widening_factors=1{'0' * 30}", "is not a whole number of at least 1 and at most 1000"),
        ("--widening_factors=²", "² is not a whole number"),
        (f"--seeds={'9' * 9999}", "is not a whole number of at least 0"),
        ("--seeds=-1", "--seeds: -1 is not a whole number"),
        ("--representation_sizes=1e3", "1e3 is not a whole number"),
        ("--learning_rates=0.1,0", "--learning_rates: 0 is not a learning rate"),
        ("--learning_rates=inf", "inf is not a learning rate"),
        ("--probes=lbgfs", "there is no probe lbgfs; did you mean lbfgs?"),
        ("--eval_flagfile=HERE/lbgfs.cfg", "lbgfs.cfg does not exist; did you mean HERE/lbfgs.cfg"),
        ("--train_flagfile=HERE/rotatoin.cfg", "does not exist; did you mean HERE/rotation.cfg?"),
        ("--train_flagfile=HERE", "--train_flagfile: HERE is not a file"),
        ("--train_flagfile=HERE/{tasks}.cfg", "what is {tasks} in HERE/{tasks}.cfg? did you mean"),
        ("--train_flagfile=HERE/itself.cfg", "itself.cfg includes HERE/itself.cfg, and so itself"),
        ("--train_flagfile=HERE/round.cfg", "itself.cfg includes HERE/itself.cfg, and so itself"),
        ("--train_flagfile=HERE/lost.cfg", "HERE/lost.cfg includes HERE/none.cfg does not exist"),
        ("--train_flagfile=HERE/bytes.cfg", "bytes.cfg cannot be read: it is not text"),
        (f"--datasets={'d' * 300}", "would be a directory's name of"),
        ("--flagfile=HERE/itself.cfg", "includes HERE/itself.cfg, and so itself"),
    ],
)
def test_a_wrong_value_is_named_with_plan_and_flag(tmp_path, line, message):
    (tmp_path / "itself.cfg").write_text(f"--flagfile={tmp_path}/itself.cfg\n")
    (tmp_path / "round.cfg").write_text(f"--flagfile={tmp_path}/itself.cfg\n")
    (tmp_path / "lost.cfg").write_text(f"--flagfile={tmp_path}/none.cfg\n")
    (tmp_path / "bytes.cfg").write_bytes(b"\xff\xfe\x00")
    start = ["--train_flagfile=HERE/rotation.cfg", "--eval_flagfile=HERE/lbfgs.cfg", "--grid=g"]
    with pytest.raises(ValueError, match=r".") as error:
        jobs(tmp_path, *start, line)
    assert message.replace("HERE", str(tmp_path)) in str(error.value)
    assert str(error.value).startswith(f"{tmp_path}/plan.cfg, grid g")
    assert "\n" not in str(error.value)


def test_a_misspelt_name_that_picks_a_file(tmp_path):
    with pytest.raises(ValueError, match=r"grid g, --tasks=rotatoin: .*did you mean .*rotation\.c"):
        jobs(tmp_path, "--grid=g", "--train_flagfile=HERE/{task}.cfg", "--tasks=rotatoin")


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "-x"])
def test_names_of_grids_become_directories(tmp_path, name):
    with pytest.raises(ValueError, match="a name of its own"):
        jobs(tmp_path, "--train_flagfile=HERE/rotation.cfg", f"--grid={name}")


def test_a_plan_that_is_no_text(tmp_path):
    (tmp_path / "bytes.cfg").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"--plan=.*bytes\.cfg cannot be read: it is not text"):
        plan.read(str(tmp_path / "bytes.cfg"))
    with pytest.raises(ValueError, match="is not a file"):
        plan.read(str(tmp_path))
    (tmp_path / "empty.cfg").write_text("")
    with pytest.raises(ValueError, match="describes no grid"):
        plan.read(str(tmp_path / "empty.cfg"))
    with pytest.raises(ValueError, match=r"none\.cfg does not exist"):
        plan.read(str(tmp_path / "none.cfg"))


def test_known_names_are_those_of_the_programs():
    import models
    import pretext
    from evaluate import probes, protocols

    assert set(values.TASKS) == set(pretext.TASKS)
    assert set(values.ARCHITECTURES) == set(models.NAMES)
    assert set(values.PROBES) == {*probes.NAMES, *protocols.PAPER}
