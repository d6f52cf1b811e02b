"""From a plan to the runs that it stands for."""

import pathlib

import pytest

from studies import plan

ROOT = pathlib.Path(__file__).parents[2]


def write(directory: pathlib.Path, *lines: str) -> str:
    """A plan of these lines beside two flag files; its path."""
    for name in ("rotation", "jigsaw", "lbfgs", "sgd"):
        (directory / f"{name}.cfg").write_text("--batch_size=8\n")
    path = directory / "plan.cfg"
    path.write_text("".join(f"{line}\n" for line in lines).replace("HERE", str(directory)))
    return str(path)


def jobs(directory: pathlib.Path, *lines: str) -> list[plan.Job]:
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
    shards = [plan.shard(made, f"{index}/3") for index in range(3)]
    assert [len(part) for part in shards] == [3, 2, 2]
    assert sorted(job.train.name for part in shards for job in part) == sorted(
        job.train.name for job in made
    )
    for wrong in ("3/3", "-1/3", "1", "a/b", "0/0"):
        with pytest.raises(ValueError, match="use i/n"):
            plan.shard(made, wrong)


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
            "--widening_factors: wide is no whole number",
        ),
        (
            ["--grid=a", "--train_flagfile=HERE/rotation.cfg", "--train_fractions=2"],
            "--train_fractions: 2 is no share",
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
