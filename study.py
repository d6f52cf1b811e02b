"""The study: many runs of train.py and eval.py from one plan, and its tables and figures.

    python study.py --plan=configs/study/tasks.cfg --workdir=runs/tasks
    python study.py --report=runs/tasks

The first runs what is not finished; the second reads what is, and leaves a page of tables and
figures, runs/tasks/report/index.html.
"""

import dataclasses
import shlex
import sys

from etils import epath

from studies import plan, rates, record, run_files, runner, runs, shares, study_directory
from studies.cost import estimate
from training import command_line, locks, options
from training.options import option


@dataclasses.dataclass(frozen=True)
class StudyOptions:
    """What a call of study.py does; see the help of each option."""

    plan: str | None = option(None, "The flag file that describes the grids of runs.")
    workdir: str | None = option(None, "The study's directory; default: runs/ and the plan's name.")
    data_dir: str | None = option(None, "The data sets' directory for all runs.")
    list: bool = option(False, "Print the commands that are left to do, and run nothing.")
    shard: str = option("0/1", "i/n: only every n-th network from the i-th, i from 0 to n-1.")
    jobs: int = option(
        1,
        "Networks at work at once, each with its share of the cores and a GPU of its own.",
        minimum=1,
        maximum=4096,
    )
    report: str | None = option(None, "The directory of a study to report on; runs nothing.")
    output: str | None = option(None, "Where the report goes; default: report/ in the study's.")
    keep_representations: bool = option(
        False, "Keep representations after their network's last evaluation."
    )
    estimate: bool = option(False, "Print what the plan would take, and run nothing.")
    accelerators: int = option(
        1, "Accelerators that share a run's batch.", minimum=1, maximum=1_000_000
    )
    memory_gib: float = option(
        0.0,
        "Memory of each: networks that are estimated not to fit are skipped; 0: skip none.",
        minimum=0.0,
    )
    peak_tflops: float = option(
        156.0, "For --estimate: the peak of each (an A100's in TF32).", minimum=0.0
    )
    utilisation: float = option(
        0.3,
        "For --estimate: the share of that which a step reaches.",
        minimum=0.0,
        maximum=1.0,
    )
    bytes_per_number: int = option(
        4, "For activations: 4 in float32, 2 in bfloat16.", minimum=1, maximum=8
    )
    images_per_second: str | None = option(
        None,
        "For --estimate: a CSV file of measurements on one accelerator, to take instead of "
        "arithmetic; columns task, architecture, widening_factor, images_per_second.",
    )


GROUPS = (StudyOptions,)
options.define(*GROUPS)


@locks.released_at_the_end
def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise ValueError(f"unexpected argument {argv[1]}: give every option as --name=value")

    # ---------------------------------------------------------------- flags
    config = options.read(StudyOptions)
    if config.plan and config.report is not None:
        raise ValueError("--plan runs a study and --report reads one: give one of them at a time")
    if config.report is not None:
        report(config)
        return
    if not config.plan:
        raise ValueError("give --plan=FILE, such as configs/study/tasks.cfg, or --report=DIR")
    if config.output is not None:
        raise ValueError("--output is where --report=DIR goes; runs go to --workdir")
    if config.list and config.estimate:
        raise ValueError("give --list or --estimate, not both")

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
    jobs = runs.shard(all_jobs, config.shard)
    all_choices = rates.choices(all_jobs)
    own_choices = [choice for choice in all_choices if choice.base in jobs]
    if config.estimate:
        print(estimate.table(jobs, own_choices, accelerators))
        return

    # ---------------------------------------------------------------- directory
    machine = shares.divide(1 if config.list else config.jobs)
    name = epath.Path(config.plan).stem
    study = study_directory.StudyDirectory(
        epath.Path(config.workdir or epath.Path("runs") / name), config.data_dir or ""
    )
    study.make()
    if not config.list:
        study.claim(config.shard)
    command = ["python", "study.py", f"--plan={config.plan}", f"--workdir={study.workdir}"]

    def decide() -> dict[runs.Pair, rates.Decision]:
        """Reads what the candidates' runs left, and writes it down with all that is planned."""
        decisions = {choice.base.pair: rates.decide(choice, study) for choice in all_choices}
        ready, waiting = rates.settle(all_jobs, decisions)
        decided = [(choice, decisions[choice.base.pair]) for choice in all_choices]
        entry = record.entry([*ready, *waiting], decided, skipped, shlex.join(command))
        record.write(study.workdir, name, entry)
        return decisions

    # ---------------------------------------------------------------- runs
    if config.list:
        ready, waiting = rates.settle(jobs, decide())
        candidates = runner.open_candidates(own_choices, study)
        for line in runner.command_lines([*candidates, *ready], study):
            print(line)
        if waiting:
            print(
                f"{len(waiting)} networks wait for their learning rate: list again after these",
                file=sys.stderr,
            )
        return
    # Its own first, so that shards divide them; then what others have not trained yet.
    pairs = {job.pair for job in jobs if job.rates}
    needed = own_choices + [
        choice for choice in all_choices if choice.base.pair in pairs and choice not in own_choices
    ]
    decide()
    candidates = runner.open_candidates(needed, study)
    if candidates:
        runner.run_all(candidates, study, candidates=True, shares=machine)
    decisions = decide()
    # That the loss was not finite at a rate is an answer, not a failure.
    failed = [job.train.name for job in runner.open_candidates(needed, study)]
    for choice in needed:
        print(f"learning rate of {choice}: {decisions[choice.base.pair]}", flush=True)
    ready, waiting = rates.settle(jobs, decisions)
    failures = runner.run_all(
        ready, study, keep_representations=config.keep_representations, shares=machine
    )
    failed += failures.failed
    not_started = len(failures.not_started) + sum(len(job.runs) for job in waiting)
    if failed or not_started:
        raise ValueError(
            f"{len(failed)} runs failed ({', '.join(failed)}) and {not_started} were not started "
            "for lack of their network or its learning rate; what they said is in "
            f"{study.workdir / 'logs'}"
        )


def report(config: StudyOptions) -> None:
    """Reads what was measured, and writes the tables and figures."""
    # Importing pandas and matplotlib takes longer than all else of a plan.
    from studies import read
    from studies import report as pages

    if not config.report:
        raise ValueError("--report names no directory: give that of a study")
    study = read.read(config.report)
    directory = epath.Path(config.output or epath.Path(config.report) / "report")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        arguments = [f"--report={config.report}"]
        arguments += [f"--output={config.output}"] if config.output else []
        commands = [*study.commands, shlex.join(["python", "study.py", *arguments])]
        title = f"Study {run_files.printable(epath.Path(config.report).name)}"
        print(pages.write(study, title, commands, directory))
    except OSError as error:
        reason = "is a file" if directory.is_file() else f"cannot be written ({error.strerror})"
        raise ValueError(
            f"--output={directory} {reason}: name a directory for the report"
        ) from error
    if study.missing:
        print(f"{len(study.missing)} runs are missing; the page lists them")
    if study.unreadable:
        print(f"{study.unreadable} files cannot be read; the page lists them")


if __name__ == "__main__":
    command_line.run("study.py", main)
