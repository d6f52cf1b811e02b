"""Import this before TensorFlow: it keeps TensorFlow's start-up messages off the terminal.

Libraries that do not heed the log level yet write them straight to standard error (oneDNN's notice,
CUDA's search for drivers), when TensorFlow is imported and when it first lists devices. A failing
import still raises and shows its error; Ctrl-C during the imports ends without a traceback. The
import is also faster this way.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from types import TracebackType

# Errors too: those that concern a user are also raised, and oneDNN logs a fallback as one.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"  # Whatever backend the user has configured.


# Keras imports them where they are installed, for parts of it that nothing here uses; together they
# take a third of the time that TensorFlow's import does.
_NOT_NEEDED_BY_KERAS = ("matplotlib", "pandas", "sklearn")


@contextlib.contextmanager
def _hidden(*names: str) -> Iterator[None]:
    """Inside, modules that were not imported before are as if not installed."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextlib.contextmanager
def _no_standard_error() -> Iterator[None]:
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


with _no_standard_error(), _hidden(*_NOT_NEEDED_BY_KERAS):
    import tensorflow as tf

    tf.config.list_physical_devices()


def _no_traceback_for_ctrl_c(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """Ctrl-C while the imports of a program last, before `training.interruption` is at work."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)


sys.excepthook = _no_traceback_for_ctrl_c

# Deprecation notices from inside libraries.
tf.get_logger().setLevel("ERROR")
