"""Writing files so that nobody ever sees half of one."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tfrecords.errors import DataError


def atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file under a temporary name beside its place, then rename it.

    Parameters
    ----------
    path : Path
        Where the file shall be.
    write : callable
        Takes the temporary path, which keeps the suffix, and writes the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".incomplete-{os.getpid()}-{path.name}")
    try:
        write(temporary)
        with open(temporary, "rb+") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def save_weights(path: Path, model) -> None:
    """Write a model's weights atomically, after a look at the disk.

    HDF5 does not survive a disk that fills up while it writes: it crashes the process when it closes.
    """
    variables = [*model.variables, *getattr(getattr(model, "optimizer", None), "variables", [])]
    need = sum(int(math.prod(item.shape)) * 8 for item in variables) + 2**20
    path.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(path.parent).free
    if free < need:
        raise DataError(f"{path}: the disk is full. Valid: {need} bytes free for the weights. Received: {free}")
    atomic(path, model.save_weights)


def write_text(path: Path, text: str) -> None:
    """Write text atomically, UTF-8."""
    atomic(path, lambda temporary: temporary.write_text(text, "utf-8"))


def write_json(path: Path, values) -> None:
    """Write JSON atomically; keys keep their order."""
    write_text(path, json.dumps(values, indent=1, ensure_ascii=False) + "\n")
