"""The embedded sample: what every command works on when no data set is named."""

from __future__ import annotations

from importlib import resources
from pathlib import Path


def sample_path() -> Path:
    """Give the directory of the embedded PLAsTiCC records (``tfrecords/plasticc_sample``)."""
    return Path(str(resources.files("tfrecords") / "plasticc_sample"))
