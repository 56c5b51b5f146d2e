"""Devices and the tf.distribute strategy of a run."""

from __future__ import annotations

import re

from tfrecords.errors import UsageError
from zoo.training import workers

FORMS = "auto, cpu, cpu:N, gpu:0,1"


def strategy(devices: str):
    """Give the strategy for ``auto``, ``cpu``, ``cpu:N`` or ``gpu:0,1``.

    One device gives TensorFlow's default strategy, several a MirroredStrategy. ``cpu:N`` splits the CPU
    into N logical devices, which must happen before TensorFlow has touched it. Under a TF_CONFIG with several
    workers the form names the devices of this one, all of them make a MultiWorkerMirroredStrategy, and the
    call returns when every worker has come to it.

    Raises
    ------
    UsageError
        If the form is unknown, a GPU is not there, or the CPU cannot be split any more; if TF_CONFIG is
        malformed, or comes too late in this process.
    """
    import tensorflow as tf

    if workers.place().count > 1:
        return _multi_worker(devices)
    gpus = tf.config.list_physical_devices("GPU")
    if devices == "auto":
        return tf.distribute.MirroredStrategy() if len(gpus) > 1 else tf.distribute.get_strategy()
    if match := re.fullmatch(r"cpu(?::([1-9]\d*))?", devices):
        if gpus:
            tf.config.set_visible_devices([], "GPU")
        count = int(match[1] or 1)
        if count == 1:
            return tf.distribute.get_strategy()
        _split_cpu(count)
        return tf.distribute.MirroredStrategy([f"CPU:{number}" for number in range(count)])
    if re.fullmatch(r"gpu:\d+(,\d+)*", devices):
        numbers = _gpu_numbers(devices, len(gpus))
        if len(numbers) == 1:
            tf.config.set_visible_devices([gpus[numbers[0]]], "GPU")
            return tf.distribute.get_strategy()
        return tf.distribute.MirroredStrategy([f"GPU:{number}" for number in numbers])
    raise UsageError(f"--devices: valid forms are {FORMS}. Received: {devices!r}")


def _gpu_numbers(devices: str, count: int) -> list[int]:
    numbers = [int(number) for number in devices.removeprefix("gpu:").split(",")]
    if len(set(numbers)) != len(numbers) or max(numbers) >= count:
        raise UsageError(
            f"--devices: TensorFlow sees {count} GPU(s), numbered from 0, each to be named once. Received: {devices!r}"
        )
    return numbers


def _multi_worker(devices: str):
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    communication = tf.distribute.experimental.CommunicationImplementation.AUTO
    if re.fullmatch(r"gpu:\d+(,\d+)*", devices):
        visible = [gpus[number] for number in _gpu_numbers(devices, len(gpus))]
    elif devices == "auto":
        visible = gpus
    elif devices in ("cpu", "cpu:1"):
        visible = []
    elif re.fullmatch(r"cpu:[1-9]\d*", devices):
        # The strategy takes one CPU device of each worker, however many there are.
        raise UsageError(
            f"--devices: under {workers.VARIABLE} a worker's CPU is one device. Valid: auto, cpu, gpu:0,1. "
            f"Received: {devices!r}"
        )
    else:
        raise UsageError(f"--devices: valid forms are {FORMS}. Received: {devices!r}")
    if not visible:
        communication = tf.distribute.experimental.CommunicationImplementation.RING
    options = tf.distribute.experimental.CommunicationOptions(implementation=communication)
    try:
        if visible != gpus:
            tf.config.set_visible_devices(visible, "GPU")
        return tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
    except RuntimeError as error:
        raise UsageError(
            f"{workers.VARIABLE}: several workers must be joined before TensorFlow's first use in a process, and for "
            f"one run. Valid: a process of its own for each run. Received: {str(error).splitlines()[0]}"
        ) from None


def _split_cpu(count: int) -> None:
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    except RuntimeError:
        if len(tf.config.list_logical_devices("CPU")) >= count:
            return
        raise UsageError(
            f"--devices: the CPU must be split before TensorFlow's first use in this process. Received: cpu:{count}"
        ) from None


def check_batch(batch_size: int, replicas: int) -> None:
    """Refuse a global batch that does not divide evenly among the replicas."""
    if batch_size % replicas:
        raise UsageError(f"batch_size must be a multiple of the number of devices, {replicas}. Received: {batch_size}")
