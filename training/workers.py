"""Several machines: who takes part, how they begin together, and how the loss of one is told.

The environment's TF_CONFIG names the machines of `--strategy=multi_worker`, and which of them this
one is. TensorFlow would wait for machines that cannot come, so whatever is wrong with it is told
first.
"""

import contextlib
import dataclasses
import ipaddress
import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence

import tensorflow as tf

from training import devices
from training.error_lines import reason

# What a sum over machines ends with, depending on how the other one went.
_GONE = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
)

TF_CONFIG_EXAMPLE = (
    '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
)
_JOBS = ("chief", "worker")

SECONDS_BETWEEN_CALLS = 0.2
SECONDS_TO_ANSWER = 5.0
# What a machine that waits says to those that call; TensorFlow's server says something, too.
GREETING = b"a worker waits here\n"
# Machines of a cluster may begin minutes apart, where a scheduler starts them.
SECONDS_TO_BEGIN = 600


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The machines by address, HOST:PORT.

    Attributes:
        own: this machine's.
        others: the other ones'.
    """

    own: str
    others: tuple[str, ...]


def read_cluster(text: str) -> Cluster:
    """The machines of the environment's TF_CONFIG.

    Raises:
        ValueError: they are not named, or not as TensorFlow wants them; says what is wrong.
    """
    try:
        return _parse_cluster(text)
    except _Wrong as wrong:
        raise ValueError(
            f"--strategy=multi_worker: {wrong}; it needs the machines and this one's position "
            f"among them in the environment's TF_CONFIG, such as {TF_CONFIG_EXAMPLE}; it is "
            f"{' '.join(text.split())[:500] or 'not set'}"
        ) from wrong


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
        target = address.rpartition(":")[0].strip("[]"), _port(address)
        with socket.create_connection(target, timeout=SECONDS_TO_ANSWER) as connection:
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
def lost_worker_explained(
    strategy: tf.distribute.Strategy, resumes_from: str = "the last checkpoint"
) -> Iterator[None]:
    """Around steps of several machines: when one is lost, the others end with a line.

    A machine that does not answer for about ten seconds counts as gone: TensorFlow's coordination
    service, in the first worker's process, hears from each every few seconds, and ends the sums
    that wait for it.

    Args:
        strategy: of the steps.
        resumes_from: what a restart finds, for the line.

    Raises:
        ConnectionError: a machine is gone.
    """
    try:
        yield
    except _GONE as error:
        several = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        if not several or devices.is_out_of_memory(error):
            raise
        raise ConnectionError(
            "another worker is gone, and with it the state of this one; start all of them again, "
            f"and they resume from {resumes_from} ({reason(error)})"
        ) from error


def wait_for_all(strategy: tf.distribute.Strategy) -> None:
    """Returns when every machine has come here: to leave early looks like a failure to others.

    Raises:
        ConnectionError: a machine is gone.
    """
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        with lost_worker_explained(strategy):
            here = strategy.run(lambda: tf.ones([]))
            strategy.reduce("SUM", here, axis=None).numpy()


class _Wrong(Exception):
    """What is wrong with a TF_CONFIG."""


def _parse_cluster(text: str) -> Cluster:
    if not text.strip():
        raise _Wrong("there is no TF_CONFIG")
    try:
        config = json.loads(text)
    except (ValueError, RecursionError):
        raise _Wrong("TF_CONFIG is not JSON") from None
    cluster, task = (_object(config, name) for name in ("cluster", "task"))
    unknown = sorted(set(cluster) - set(_JOBS))
    if unknown:
        raise _Wrong(f"TF_CONFIG's cluster has {', '.join(unknown)}: only workers take part")
    addresses = {job: _addresses(cluster[job], job) for job in _JOBS if job in cluster}
    if not addresses.get("worker"):
        raise _Wrong("TF_CONFIG's cluster has no worker")
    everyone = [address for job in _JOBS for address in addresses.get(job, ())]
    for address in everyone:
        if everyone.count(address) > 1:
            raise _Wrong(f"TF_CONFIG names {address} twice: each process has an address of its own")
    kind, index = task.get("type"), task.get("index")
    if not isinstance(kind, str) or kind not in addresses:
        raise _Wrong(f"TF_CONFIG's task is of type {kind!r}, of which its cluster has none")
    if type(index) is not int or not 0 <= index < len(addresses[kind]):
        raise _Wrong(
            f"TF_CONFIG's task has index {json.dumps(index)}: {kind} has "
            f"{len(addresses[kind])}, counted from 0"
        )
    own = addresses[kind][index]
    return Cluster(own, tuple(address for address in everyone if address != own))


def _object(config: object, name: str) -> dict[str, object]:
    value = config.get(name) if isinstance(config, dict) else None
    if not isinstance(value, dict):
        raise _Wrong(f"TF_CONFIG has no {name} with names in braces")
    return value


def _addresses(value: object, job: str) -> list[str]:
    if not isinstance(value, list):
        raise _Wrong(f"TF_CONFIG's {job} is not a list of addresses")
    for address in value:
        host, _, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
        is_port = port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536
        if not host or host != host.strip() or not is_port:
            raise _Wrong(f"TF_CONFIG's {json.dumps(address)} is not an address HOST:PORT")
    return value
