"""Several workers by TF_CONFIG: the weights of one process, also across a kill; one of them writes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.cases.variants import Example
from tests.conftest import ROOT
from tfrecords.errors import UsageError
from zoo.training import devices, tuning, workers

HOSTS = ["127.0.0.1:1", "127.0.0.1:2"]
TASK = {"type": "worker", "index": 0}


def _set(monkeypatch, value) -> None:
    monkeypatch.setenv("TF_CONFIG", value if isinstance(value, str) else json.dumps(value))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{", "must be JSON"),
        ("[]", "needs 'cluster'"),
        ({"task": TASK}, "needs 'cluster'"),
        ({"cluster": {"worker": HOSTS, "ps": ["127.0.0.1:3"]}, "task": TASK}, "chief and worker only.*'ps'"),
        ({"cluster": {"worker": "127.0.0.1:1"}, "task": TASK}, "list of addresses host:port"),
        ({"cluster": {"worker": ["127.0.0.1"]}, "task": TASK}, "list of addresses host:port"),
        ({"cluster": {"worker": HOSTS[:1] * 2}, "task": TASK}, "an address of its own"),
        ({"cluster": {"chief": HOSTS, "worker": ["127.0.0.1:3"]}, "task": TASK}, "may name one chief"),
        ({"cluster": {"worker": HOSTS}}, "needs 'task'.*Received: None"),
        ({"cluster": {"worker": HOSTS}, "task": {"type": "worker", "index": 2}}, "one of worker 0, worker 1"),
        ({"cluster": {"worker": HOSTS}, "task": {"type": "worker", "index": "0"}}, "one of worker 0, worker 1"),
        ({"cluster": {"worker": HOSTS}, "task": {"type": "worker", "index": [0]}}, "one of worker 0, worker 1"),
        ({"cluster": {"worker": HOSTS}, "task": {"type": "evaluator", "index": 0}}, "one of worker 0, worker 1"),
    ],
)
def test_a_malformed_variable_is_refused(monkeypatch, value, message):
    _set(monkeypatch, value)
    with pytest.raises(UsageError, match=f"TF_CONFIG .*{message}") as caught:
        devices.strategy("cpu")
    assert "Valid: {" in str(caught.value) and "Received: " in str(caught.value)


def test_places_in_the_cluster(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert workers.place() == workers.Place(0, 1)
    _set(monkeypatch, workers.EXAMPLE)
    assert workers.place() == workers.Place(0, 2)
    # TensorFlow numbers the chief first, wherever the mapping names it.
    _set(monkeypatch, {"cluster": {"worker": HOSTS, "chief": ["127.0.0.1:3"]}, "task": TASK})
    assert workers.place() == workers.Place(1, 3)
    _set(monkeypatch, {"cluster": {"worker": HOSTS[:1]}, "task": TASK})
    assert workers.place() == workers.Place(0, 1)
    assert devices.strategy("cpu").num_replicas_in_sync == 1


def test_what_several_workers_cannot_do_is_refused(monkeypatch):
    _set(monkeypatch, workers.EXAMPLE)
    with pytest.raises(UsageError, match="a worker's CPU is one device.*Received: 'cpu:2'"):
        devices.strategy("cpu:2")
    with pytest.raises(UsageError, match="valid forms are"):
        devices.strategy("tpu")
    with pytest.raises(UsageError, match="zoo.tune trains one model after the other.*with 2 workers"):
        tuning.tune("atat")
    with pytest.raises(UsageError, match="--folds trains one model after the other"):
        workers.refuse("--folds")


def _flags(records, runs, name, **changes) -> list[str]:
    """Give the flags of a small run with unequal lengths, clipping and truncation, without dropout.

    The step is as large as the gradient, so that rounding stays rounding and a wrong factor would show.
    """
    options = Example("atat", "mix").hparams | {
        "data": records, "runs": runs, "name": name, "epochs": 4, "batch_size": 4, "truncate": "choice",
        "truncate_days": "8,2048", "sampling": "balanced", "optimizer": "sgd", "learning_rate": 0.05,
        "clip_norm": 1.0, "seed": 7, "patience": 0, "chunk_batches": 2, "weight_decay": 0.0,
        "dropout": 0.0, "head_dropout": 0.0,
    } | changes  # fmt: skip
    flags = [(f"--{key.replace('_', '-')}", str(value)) for key, value in options.items() if value is not None]
    return ["--model", "atat", *(item for pair in flags for item in pair)]


def _start(flags, count=1):
    """Start one process, or workers on free ports; the last one is the chief."""
    with_ports = [socket.socket() for _ in range(count)]
    for probe in with_ports:
        probe.bind(("127.0.0.1", 0))
    hosts = [f"127.0.0.1:{probe.getsockname()[1]}" for probe in with_ports]
    for probe in with_ports:
        probe.close()
    command, started = [sys.executable, "-m", "zoo.fit", *flags], []
    for index in reversed(range(count)):
        environment = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
        if count > 1:
            cluster = {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}}
            environment["TF_CONFIG"] = json.dumps(cluster)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command, cwd=ROOT, env=environment, **pipes))
    return started


def _end(processes, seconds=300):
    """Wait for processes; give return code, output and errors of each."""
    try:
        ended = [process.communicate(timeout=seconds) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, *texts) for process, texts in zip(processes, ended, strict=True)]


def _weights(path) -> dict[str, np.ndarray]:
    import h5py

    found: dict[str, np.ndarray] = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


def _assert_same(ours, theirs):
    for name in ("bundle/model.weights.h5", "checkpoints/last.weights.h5"):
        mine, other = _weights(ours / name), _weights(theirs / name)
        assert set(mine) == set(other)
        for key in mine:
            if mine[key].dtype.kind == "f":
                np.testing.assert_allclose(mine[key], other[key], rtol=0, atol=1e-6, err_msg=f"{name} {key}")
    rows = [np.genfromtxt(path / "metrics.csv", delimiter=",", names=True) for path in (ours, theirs)]
    assert rows[0].dtype.names == rows[1].dtype.names
    for key in rows[0].dtype.names:
        # Norms are no numbers near 1.
        rtol = 1e-5 if key.startswith("gradient_norm") else 0
        np.testing.assert_allclose(rows[0][key], rows[1][key], rtol=rtol, atol=1e-5, err_msg=key)


@pytest.fixture(scope="module")
def single(records, tmp_path_factory):
    """Runs directory with the run of one process in it."""
    runs = tmp_path_factory.mktemp("runs")
    [(code, _, errors)] = _end(_start(_flags(records, runs, "one", evaluate="false", export="false")))
    assert code == 0, errors
    return runs


@pytest.mark.slow
def test_two_workers_give_the_weights_of_one_process(records, single):
    other, chief = _end(_start(_flags(records, single, "two"), 2))
    assert chief[0] == 0, chief[2]
    assert other == (0, "", "")
    path = single / "atat" / "two"
    assert chief[1].strip() == str(path)
    assert len(chief[2].splitlines()) <= 4, chief[2]
    _assert_same(path, single / "atat" / "one")
    assert (path / "report" / "index.md").is_file() and (path / "saved_model" / "saved_model.pb").is_file()
    # A second writer would have left its own event file, or another run beside this one.
    assert len([*(path / "tensorboard" / "train").iterdir()]) == 1
    assert {item.name for item in (single / "atat").iterdir()} == {"one", "two"}


@pytest.mark.slow
def test_killed_workers_go_on(records, single):
    path = single / "atat" / "killed"
    flags = _flags(records, single, "killed", evaluate="false", export="false")
    processes = _start(flags, 2)
    deadline = time.monotonic() + 200
    while not (path / "state.json").is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in processes:
        process.send_signal(signal.SIGKILL)
    _end(processes)
    state = json.loads((path / "state.json").read_text())
    assert 1 <= state["epoch"] < 4 and not (path / "bundle").exists()
    other, chief = _end(_start(["--resume", str(path)], 2))
    assert chief[0] == 0, chief[2]
    assert other == (0, "", "")
    _assert_same(path, single / "atat" / "one")


@pytest.mark.slow
def test_workers_fail_together(records, single):
    # The chief cannot make this run; without it the other must not wait for ever.
    ended = _end(_start(_flags(records, single, "one", evaluate="false", export="false"), 2))
    for code, _, errors in ended:
        assert code == 2 and "--name: this run exists" in errors
