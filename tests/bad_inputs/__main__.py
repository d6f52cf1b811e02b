"""Carries out all trials, two at a time, and prints those that do not end as they should.

    python -m tests.bad_inputs [PATTERN]

Names only those trials whose name matches the pattern, if one is given. The exit status is the
number of faults, at most 100.
"""

from programs import quiet  # noqa: F401, I001 (before anything that imports TensorFlow)

import os
import re
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import data
import evaluate
import pretext
import pretext.loop
import evaluate.representations  # noqa: F401 (imported once, before all forks)
from tests.bad_inputs import every_trial
from tests.bad_inputs.trial import carry_out


def main() -> int:
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    pattern = re.compile(sys.argv[1] if len(sys.argv) > 1 else "")
    trials = [trial for trial in every_trial() if pattern.search(trial.name)]
    begin, faults = time.monotonic(), 0
    # Forked workers, each of which forks again for every trial.
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        for trial, (fault, seconds) in zip(trials, pool.map(carry_out, trials), strict=True):
            if fault:
                faults += 1
                print(f"{trial.name} ({seconds:.0f} s): {fault}", flush=True)
    print(f"{len(trials)} trials, {faults} faults, {time.monotonic() - begin:.0f} s")
    return min(faults, 100)


if __name__ == "__main__":
    sys.exit(main())
