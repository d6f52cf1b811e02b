"""TF_CONFIG: which machines take part in `--strategy=multi_worker`, and which of them this one is.

TensorFlow would wait for machines that cannot come, so whatever is wrong is told before it is
asked.
"""

import dataclasses
import json

EXAMPLE = (
    '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
)
JOBS = ("chief", "worker")


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The machines by address, HOST:PORT.

    Attributes:
        own: this machine's.
        others: the other ones'.
    """

    own: str
    others: tuple[str, ...]


def read(text: str) -> Cluster:
    """The machines of the environment's TF_CONFIG.

    Raises:
        ValueError: they are not named, or not as TensorFlow wants them; says what is wrong.
    """
    try:
        return _read(text)
    except _Wrong as wrong:
        raise ValueError(
            f"--strategy=multi_worker: {wrong}; it needs the machines and this one's place among "
            f"them in the environment's TF_CONFIG, such as {EXAMPLE}; it is "
            f"{' '.join(text.split())[:500] or 'not set'}"
        ) from wrong


class _Wrong(Exception):
    """What is wrong with a TF_CONFIG."""


def _read(text: str) -> Cluster:
    if not text.strip():
        raise _Wrong("there is no TF_CONFIG")
    try:
        config = json.loads(text)
    except (ValueError, RecursionError):
        raise _Wrong("TF_CONFIG is no JSON") from None
    cluster, task = (_object(config, name) for name in ("cluster", "task"))
    unknown = sorted(set(cluster) - set(JOBS))
    if unknown:
        raise _Wrong(f"TF_CONFIG's cluster has {', '.join(unknown)}: only workers take part")
    addresses = {job: _addresses(cluster[job], job) for job in JOBS if job in cluster}
    if not addresses.get("worker"):
        raise _Wrong("TF_CONFIG's cluster has no worker")
    everyone = [address for job in JOBS for address in addresses.get(job, ())]
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
        raise _Wrong(f"TF_CONFIG's {job} is no list of addresses")
    for address in value:
        host, _, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
        is_port = port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536
        if not host or host != host.strip() or not is_port:
            raise _Wrong(f"TF_CONFIG's {json.dumps(address)} is no address HOST:PORT")
    return value
