import json
import types

import pytest
import tensorflow as tf

from training import strategies


def test_one_device_without_a_gpu():
    assert isinstance(strategies.build("auto"), tf.distribute.OneDeviceStrategy)


@pytest.mark.parametrize(
    ("name", "flag", "environment", "asked"),
    [
        ("tpu", "my-tpu", None, "my-tpu"),
        ("tpu", None, "local", "local"),
        ("tpu", "my-tpu", "local", "my-tpu"),
        ("auto", "my-tpu", None, "my-tpu"),
    ],
)
def test_the_tpu_is_asked_for_by_its_name(name, flag, environment, asked, monkeypatch):
    calls = []

    def resolve(tpu: str) -> str:
        calls.append(("resolve", tpu))
        return "resolver"

    def record(call: str):
        return lambda resolver: calls.append((call, resolver)) or "strategy"

    monkeypatch.setattr(tf.distribute.cluster_resolver, "TPUClusterResolver", resolve)
    monkeypatch.setattr(tf.config, "experimental_connect_to_cluster", record("connect"))
    monkeypatch.setattr(tf.tpu.experimental, "initialize_tpu_system", record("initialize"))
    monkeypatch.setattr(tf.distribute, "TPUStrategy", record("strategy"))
    monkeypatch.delenv("TPU_NAME", raising=False)
    if environment:
        monkeypatch.setenv("TPU_NAME", environment)
    assert strategies.build(name, flag) == "strategy"
    steps = ("connect", "initialize", "strategy")
    assert calls == [("resolve", asked), *((step, "resolver") for step in steps)]


def test_a_tpu_that_is_not_there(monkeypatch):
    def resolve(tpu: str) -> None:
        raise RuntimeError("no such\n  node")

    monkeypatch.setattr(tf.distribute.cluster_resolver, "TPUClusterResolver", resolve)
    with pytest.raises(ValueError, match=r"the TPU nowhere cannot be reached: no such node$"):
        strategies.build("tpu", "nowhere")
    with pytest.raises(ValueError, match=r"grpc://127.0.0.1:1 cannot be reached: .*[Rr]efused"):
        strategies.build("tpu", "grpc://127.0.0.1:1")
    monkeypatch.delenv("TPU_NAME", raising=False)
    with pytest.raises(ValueError, match="needs the TPU's name"):
        strategies.build("tpu")
    with pytest.raises(ValueError, match="--tpu=nowhere needs --strategy=tpu"):
        strategies.build("mirrored", "nowhere")


@pytest.mark.parametrize(
    "config",
    [
        None,
        "{",
        "[]",
        '{"cluster": {}}',
        '{"cluster": {"worker": ["a:1"]}}',
        '{"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}}',
        json.dumps({"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}),
        json.dumps({"cluster": {"worker": ["a:1"]}, "task": {"type": "evaluator", "index": 0}}),
    ],
)
def test_machines_that_are_not_named(config, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if config is not None:
        monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(ValueError, match=r"TF_CONFIG, such as .*; it is"):
        strategies.build("multi_worker")


def strategy_of(replicas: int) -> types.SimpleNamespace:
    return types.SimpleNamespace(num_replicas_in_sync=replicas)


def test_a_batch_divides_into_devices_and_micro_batches():
    strategies.check_batch_size(strategy_of(4), 16, micro_batches=2)
    with pytest.raises(ValueError, match="does not divide into 4 devices of 3 micro-batches each"):
        strategies.check_batch_size(strategy_of(4), 16, micro_batches=3)
    with pytest.raises(ValueError, match=r"=6 does not divide into 4 devices$"):
        strategies.check_batch_size(strategy_of(4), 6)
    with pytest.raises(ValueError, match="--gradient_accumulation=0 must be at least 1"):
        strategies.check_batch_size(strategy_of(4), 16, micro_batches=0)


def test_xla_does_not_compile_what_devices_do_together():
    strategies.check_compilation(strategy_of(1), True, True)
    strategies.check_compilation(strategy_of(2), False, False)
    with pytest.raises(ValueError, match="--jit and --synchronized_batch_norm exclude"):
        strategies.check_compilation(strategy_of(2), True, False)
    with pytest.raises(ValueError, match="--synchronized_batch_norm and --global_negatives excl"):
        strategies.check_compilation(strategy_of(2), True, True)
