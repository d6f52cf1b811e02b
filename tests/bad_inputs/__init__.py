"""Wrong input of every kind, given to the programs as a user would: `python -m tests.bad_inputs`."""

from tests.bad_inputs import flags
from tests.bad_inputs.trial import Trial


def every_trial() -> list[Trial]:
    """All trials, by kind."""
    return [*flags.trials()]
