"""Carries out all trials, two at a time, and prints those that do not end as they should.

    python -m tests.bad_inputs [PATTERN]

carries out only those trials whose name matches the pattern, if one is given. The exit status is
the number of faults, at most 100.
"""

import re
import sys
import time

from tests.bad_inputs.trials import carry_out_all, every_trial


def main() -> int:
    pattern = re.compile(sys.argv[1] if len(sys.argv) > 1 else "")
    trials = [trial for trial in every_trial() if pattern.search(trial.name)]
    begin, faults = time.monotonic(), 0
    for trial, fault, seconds in carry_out_all(trials):
        if fault:
            faults += 1
            print(f"{trial.name} ({seconds:.0f} s): {fault}", flush=True)
    print(f"{len(trials)} trials, {faults} faults, {time.monotonic() - begin:.0f} s")
    return min(faults, 100)


if __name__ == "__main__":
    sys.exit(main())
