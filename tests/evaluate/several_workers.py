"""`eval.py` several times in one process, alone or as one of several that work together.

    python -m tests.evaluate.several_workers OUTPUT LINES [dies]

LINES is a JSON file with a list of command lines. OUTPUT gets the optimum that each L-BFGS fit
ended at: its objective, and the checksum of its weights. With `dies` the process kills itself in
the extraction.
"""

from training import quiet  # noqa: F401, I001 (before anything that imports TensorFlow)

import json
import os
import pathlib
import signal
import sys
import zlib

from absl import flags

absl_flags = set(flags.FLAGS)

import eval as program  # noqa: E402 (its flags are those that absl does not have)
from evaluate import logistic_regression, representation_files  # noqa: E402
from tests import graphs  # noqa: E402
from training import command_line, strategies  # noqa: E402


def main(argv: list[str]) -> None:
    _, output, lines, *more = argv
    graphs.leave_unoptimised()
    names = set(flags.FLAGS) - absl_flags
    if "TF_CONFIG" in os.environ:
        strategy = strategies.build("multi_worker")  # Which a process can make only once.
        program.strategies.build = lambda *_: strategy
    if more == ["dies"]:
        append = representation_files.RepresentationFiles.append

        def append_and_die(files, batch, records):
            append(files, batch, records)
            if records >= 8:
                os.kill(os.getpid(), signal.SIGKILL)

        representation_files.SECONDS_BETWEEN_HEADERS = 0.0
        representation_files.SHARE_OF_HEADERS = 1e9
        representation_files.RepresentationFiles.append = append_and_die
    optima = []
    evaluate = logistic_regression.evaluate

    def evaluate_and_note(probe, *arguments):
        optima.append([probe.objective, zlib.crc32(probe.weights)])
        return evaluate(probe, *arguments)

    logistic_regression.evaluate = evaluate_and_note
    for arguments in json.loads(pathlib.Path(lines).read_text()):
        flags.FLAGS.unparse_flags()
        for name in names:
            flags.FLAGS[name].unparse()
        program.main(command_line.parse(["eval.py", *arguments]))
    pathlib.Path(output).write_text(json.dumps(optima))


if __name__ == "__main__":
    command_line.interruption.install("eval.py")
    try:
        main(sys.argv)
    except Exception as error:
        command_line.interruption.end_with(f"eval.py: {error}\n", 1)
    # Without Python's own shutdown, which may come while TensorFlow's threads call Python.
    command_line.interruption.end_with("", 0)
