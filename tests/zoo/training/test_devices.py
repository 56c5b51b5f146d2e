"""Devices by name, and files that appear whole or not at all."""

from __future__ import annotations

import json

import pytest
import tensorflow as tf

from tfrecords.errors import UsageError
from zoo.training import devices, files


def test_one_cpu_is_the_default_strategy():
    tf.constant(0)
    assert devices.strategy("cpu").num_replicas_in_sync == 1
    assert devices.strategy("cpu:1").num_replicas_in_sync == 1


@pytest.mark.parametrize("name", ["tpu", "cpu:0", "cpu:two", "gpu", "gpu:", "gpu:0,", "2", ""])
def test_other_forms_are_refused(name):
    with pytest.raises(UsageError, match="--devices: valid forms are auto, cpu, cpu:N, gpu:0,1. Received"):
        devices.strategy(name)


def test_what_is_not_there_is_refused():
    count = len(tf.config.list_physical_devices("GPU"))
    with pytest.raises(UsageError, match=f"TensorFlow sees {count} GPU"):
        devices.strategy(f"gpu:{count}")
    with pytest.raises(UsageError, match="TensorFlow sees"):
        devices.strategy("gpu:0,0")
    tf.constant(0)
    with pytest.raises(UsageError, match="must be split before TensorFlow's first use.*Received: cpu:9"):
        devices.strategy("cpu:9")


def test_a_batch_divides_among_the_devices():
    devices.check_batch(12, 3)
    with pytest.raises(UsageError, match="multiple of the number of devices, 5. Received: 12"):
        devices.check_batch(12, 5)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "deep" / "state.json"
    files.write_json(path, {"b": 1, "a": "é"})
    assert json.loads(path.read_text("utf-8")) == {"b": 1, "a": "é"}

    def fail(temporary):
        temporary.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        files.atomic(path, fail)
    assert json.loads(path.read_text("utf-8"))["b"] == 1
    assert list(path.parent.iterdir()) == [path]
