"""The study: many runs of train.py and eval.py from one plan, and its tables and figures.

    python study.py --plan=configs/study/tasks.cfg --workdir=runs/tasks
    python study.py --report=runs/tasks

The first runs what is not finished; the second reads what is, and leaves a page of tables and
figures, runs/tasks/report/index.html.
"""

import dataclasses
import sys

from absl import flags
from etils import epath

from programs import command_line
from studies import plan, runner
from studies.cost import estimate


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags of a call; see their help."""

    plan: str
    workdir: str
    data_dir: str
    list: bool
    shard: str
    report: str
    output: str
    keep_representations: bool
    estimate: bool
    accelerators: int
    memory_gib: float
    peak_tflops: float
    utilisation: float
    bytes_per_number: int
    images_per_second: str


flags.DEFINE_string("plan", None, "The flag file that describes the grids of runs.")
flags.DEFINE_string("workdir", None, "The study's directory; default: runs/ and the plan's name.")
flags.DEFINE_string("data_dir", None, "The data sets' directory for all runs.")
flags.DEFINE_bool("list", False, "Print the commands that are left to do, and run nothing.")
flags.DEFINE_string("shard", "0/1", "i/n: only every n-th network from the i-th, i from 0 to n-1.")
flags.DEFINE_string("report", None, "The directory of a study to report on; runs nothing.")
flags.DEFINE_string("output", None, "Where the report goes; default: report/ in the study's.")
flags.DEFINE_bool(
    "keep_representations", False, "Keep representations after their network's last evaluation."
)
flags.DEFINE_bool("estimate", False, "Print what the plan would take, and run nothing.")
flags.DEFINE_integer("accelerators", 1, "How many share a run's batch.")
flags.DEFINE_float(
    "memory_gib", 0.0, "Of each: networks that are estimated not to fit are skipped; 0: none is."
)
flags.DEFINE_float("peak_tflops", 156.0, "For --estimate: of each (an A100's in TF32).")
flags.DEFINE_float("utilisation", 0.3, "For --estimate: the share of that which a step reaches.")
flags.DEFINE_integer("bytes_per_number", 4, "Of activations: 4 in float32, 2 in bfloat16.")
flags.DEFINE_string(
    "images_per_second",
    None,
    "For --estimate: a CSV file of measurements on one accelerator, to take instead of arithmetic; "
    "columns task, architecture, widening_factor, images_per_second.",
)


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise ValueError(f"what is {argv[1]}? Every option begins with -- and a name")

    # ---------------------------------------------------------------- flags
    names = [field.name for field in dataclasses.fields(Config)]
    config = Config(**{name: flags.FLAGS[name].value for name in names})
    if config.report:
        report(config)
        return
    if not config.plan:
        raise ValueError("give --plan=FILE, such as configs/study/tasks.cfg, or --report=DIR")

    # ---------------------------------------------------------------- plan
    accelerators = estimate.Accelerators(
        count=config.accelerators,
        memory_gib=config.memory_gib,
        peak_tflops=config.peak_tflops,
        utilisation=config.utilisation,
        bytes_per_number=config.bytes_per_number,
        images_per_second=estimate.read_images_per_second(config.images_per_second)
        if config.images_per_second
        else {},
    )
    all_jobs, too_large = estimate.split_by_memory(plan.jobs(plan.read(config.plan)), accelerators)
    skipped = [f"{job.train.name}: skipped, because {reason}" for job, reason in too_large]
    for line in skipped:
        print(line, file=sys.stderr)
    jobs = plan.shard(all_jobs, config.shard)
    if config.estimate:
        print(estimate.table(jobs, accelerators))
        return
    workdir = epath.Path(config.workdir or epath.Path("runs") / epath.Path(config.plan).stem)
    place = runner.Place(workdir, config.data_dir or "")
    plan.note(
        all_jobs,
        skipped,
        f"python study.py --plan={config.plan} --workdir={workdir}",
        workdir / "plans" / f"{epath.Path(config.plan).stem}.txt",
    )

    # ---------------------------------------------------------------- runs
    if config.list:
        for line in runner.command_lines(jobs, place):
            print(line)
        return
    failures = runner.run_all(jobs, place, keep_representations=config.keep_representations)
    if failures.failed:
        raise ValueError(
            f"{len(failures.failed)} runs failed ({', '.join(failures.failed)}) and "
            f"{len(failures.not_started)} were not started for lack of their network; what they "
            f"said is in {workdir / 'logs'}"
        )


def report(config: Config) -> None:
    """Reads what was measured, and writes the tables and figures."""
    from studies import collect, page  # Importing matplotlib takes as long as all else of a plan.

    study = collect.read(config.report)
    directory = epath.Path(config.output or epath.Path(config.report) / "report")
    output = f" --output={config.output}" if config.output else ""
    commands = [*study.commands, f"python study.py --report={config.report}{output}"]
    print(page.write(study, f"Study {epath.Path(config.report).name}", commands, directory))
    if study.missing:
        print(f"{len(study.missing)} runs are missing; the page lists them")


if __name__ == "__main__":
    command_line.run("study.py", main)
