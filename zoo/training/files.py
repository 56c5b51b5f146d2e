"""Writing files so that nobody ever sees half of one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path


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


def write_text(path: Path, text: str) -> None:
    """Write text atomically, UTF-8."""
    atomic(path, lambda temporary: temporary.write_text(text, "utf-8"))


def write_json(path: Path, values) -> None:
    """Write JSON atomically; keys keep their order."""
    write_text(path, json.dumps(values, indent=1, ensure_ascii=False) + "\n")
