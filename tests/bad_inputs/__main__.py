"""Carries out all trials, two at a time, and prints those that do not end as they should.

    python -m tests.bad_inputs [--quick] [--slow=SECONDS] [PATTERN]

carries out only those trials whose name matches the pattern, if one is given, and of these with
--quick only those that have to end before anything is computed. --slow=10 also names the trials
that took longer than ten seconds. The exit status is the number of faults, at most 100.
"""

import argparse
import re
import sys
import time

from tests.bad_inputs.trials import carry_out_all, every_trial


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bad_inputs")
    parser.add_argument("pattern", nargs="?", default="")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--slow", type=float, default=float("inf"))
    options = parser.parse_args()
    trials = [
        trial
        for trial in every_trial()
        if re.search(options.pattern, trial.name) and (trial.quick or not options.quick)
    ]
    begin, faults = time.monotonic(), 0
    for trial, fault, seconds in carry_out_all(trials):
        faults += bool(fault)
        if fault or seconds > options.slow:
            print(f"{trial.name} ({seconds:.1f} s): {fault or 'right'}", flush=True)
    print(f"{len(trials)} trials, {faults} faults, {time.monotonic() - begin:.0f} s")
    return min(faults, 100)


if __name__ == "__main__":
    sys.exit(main())
