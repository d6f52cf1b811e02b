"""Graphs as they are traced.

Optimising a graph takes longer in a test than what it saves: a fifth of the suite's processor time.
The programs that tests start as a user does, in processes of their own, do optimise.
"""

import tensorflow as tf


def leave_unoptimised() -> None:
    """For all that this process, and every fork of it, computes from now on."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
