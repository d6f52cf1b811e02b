"""Whether a gRPC server answers at an address; TensorFlow itself would wait there for an hour."""

import re

import grpc

ADDRESS = re.compile(r"^grpc://((?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+):(\d{1,5}))$")
SECONDS = 20.0


def host_and_port(address: str) -> str:
    """The HOST:PORT of a `grpc://HOST:PORT`; empty for anything else."""
    match = ADDRESS.match(address)
    return match[1] if match and 1 <= int(match[2]) <= 65_535 else ""


def problem(address: str, method: str, seconds: float = SECONDS) -> str:
    """What is wrong with the server at an address.

    Args:
        address: `grpc://HOST:PORT`.
        method: `/package.Service/Method`, one that takes an empty message and changes nothing.
        seconds: how long to wait for its answer.

    Returns:
        Empty if the method answers, otherwise a few words.
    """
    with grpc.insecure_channel(host_and_port(address)) as channel:
        try:
            channel.unary_unary(method)(b"", timeout=seconds)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNIMPLEMENTED:
                return "something else listens there"
            if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                return f"nothing came within {seconds:g} seconds"
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                # gRPC tries several addresses, and the last one's error is the informative one.
                return " ".join((error.details() or "").split("last error: ")[-1].split())
    return ""
