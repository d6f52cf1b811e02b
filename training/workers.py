"""Several machines: how they begin together, and what one does when another one is gone."""

import contextlib
import ipaddress
import socket
import threading
import time
from collections.abc import Iterator, Sequence

import tensorflow as tf

from training import out_of_memory
from training.error_lines import reason

# What a sum over machines ends with, depending on how the other one went.
_GONE = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
)


SECONDS_BETWEEN_CALLS = 0.2
SECONDS_TO_ANSWER = 5.0
# What a machine that waits says to those that call; TensorFlow's server says something, too.
GREETING = b"train.py waits here\n"
# Machines of a cluster may begin minutes apart, where a scheduler starts them.
SECONDS_TO_BEGIN = 600


def wait_for_start(own: str, others: Sequence[str]) -> None:
    """Returns when every other machine has come here too, or is past it.

    TensorFlow waits by itself, but without a word, without ending for a signal, and for an hour.
    So something else that listens at another machine's address, and says nothing, does not count.

    Args:
        own: this machine's address of TF_CONFIG, HOST:PORT; TensorFlow will listen there next.
        others: the other machines'.

    Raises:
        ValueError: another machine's address leads back to this process.
        OSError: something else listens on this machine's port, or the other machines did not
            begin within `SECONDS_TO_BEGIN`.
    """
    port = _port(own)
    try:
        server = socket.create_server(("", port))
    except OSError as error:
        raise OSError(
            f"port {port}, this machine's of TF_CONFIG, cannot be used: {reason(error)}; end what "
            "uses it, or name another one"
        ) from error
    deadline = time.monotonic() + SECONDS_TO_BEGIN
    with server, _greeting(server):
        missing = [address for address in others if not _answers(address, port)]
        if missing:
            print(f"{own} waits for {', '.join(missing)} to begin", flush=True)
        while missing:
            if time.monotonic() > deadline:
                raise ConnectionError(
                    f"{', '.join(missing)} of TF_CONFIG did not begin within "
                    f"{SECONDS_TO_BEGIN // 60} minutes: start the same command on every machine"
                )
            time.sleep(SECONDS_BETWEEN_CALLS)
            missing = [address for address in missing if not _answers(address, port)]


@contextlib.contextmanager
def _greeting(server: socket.socket) -> Iterator[None]:
    """Inside, whoever calls is greeted."""
    done = threading.Event()
    server.settimeout(SECONDS_BETWEEN_CALLS)

    def greet() -> None:
        with contextlib.ExitStack() as stack:
            while not done.is_set():
                with contextlib.suppress(OSError):
                    # The caller is to hang up first: the port has to be free behind this.
                    stack.enter_context(connection := server.accept()[0])
                    connection.sendall(GREETING)

    thread = threading.Thread(target=greet, name="greeting", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def _answers(address: str, own_port: int) -> bool:
    """Whether the program waits, or is past it, at another machine's address."""
    try:
        host = address.rpartition(":")[0].strip("[]")
        place = (host, _port(address))
        with socket.create_connection(place, timeout=SECONDS_TO_ANSWER) as connection:
            here, there = (
                ipaddress.ip_address(name[0].partition("%")[0])
                for name in (connection.getsockname(), connection.getpeername())
            )
            greeted = bool(connection.recv(1))
    except (OSError, UnicodeError):
        return False
    is_this_host = here == there or (here.is_loopback and there.is_loopback)
    if is_this_host and _port(address) == own_port:
        raise ValueError(
            f"{address} of TF_CONFIG is this process by another name: each has an address of its "
            "own"
        )
    return greeted


@contextlib.contextmanager
def told_when_gone(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Around steps of several machines: the loss of one ends the others with a line.

    A machine that does not answer for about ten seconds counts as gone: TensorFlow's coordination
    service, in the first worker's process, hears from each every few seconds, and ends the sums
    that wait for it.

    Raises:
        ConnectionError: a machine is gone.
    """
    try:
        yield
    except _GONE as error:
        several = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        if not several or out_of_memory.is_meant(error):
            raise
        raise ConnectionError(
            "another worker is gone, and with it the state of this one; start all of them again, "
            f"and they go on from the last checkpoint ({reason(error)})"
        ) from error


def wait_for_all(strategy: tf.distribute.Strategy) -> None:
    """Returns when every machine has come here: to leave early looks like a failure to others.

    Raises:
        ConnectionError: a machine is gone.
    """
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        with told_when_gone(strategy):
            here = strategy.run(lambda: tf.ones([]))
            strategy.reduce("SUM", here, axis=None).numpy()
