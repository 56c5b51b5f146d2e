"""How a run begins: its directory, its configuration, what each split holds."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from tfrecords.errors import DataError
from zoo.training import files
from zoo.training.resolve import Resolved
from zoo.training.run import CONFIG, new_directory, read_config


def start(settled: Resolved, directory, spec, splits, parent: Path | None = None) -> Path:
    """Make the directory of a new run, with its configuration and what each split holds."""
    options = settled.run
    fold = f"-fold{options.fold or 0}" if directory.info.folds else ""
    stem = f"{settled.preset}{fold}-seed{options.seed}"
    path = new_directory(parent or Path(options.runs) / settled.model, options.name, stem)
    write_config(path, settled, fingerprints(spec, splits))
    rows = ["split,class,count"]
    for name, examples in splits.items():
        counts = np.bincount(examples.labels[examples.labels >= 0], minlength=len(spec.classes))
        rows += [f'{name},"{label}",{count}' for label, count in zip(spec.classes, counts, strict=True)]
    files.write_text(path / "class_composition.csv", "\n".join(rows) + "\n")
    files.write_text(path / "objects.csv", _objects(directory, options.fold, splits))
    return path


def _objects(directory, fold, splits) -> str:
    """Give, as CSV, how many objects of every native class each split has, and how many of them the run uses."""
    native = directory.index["class_id"]
    names = {item.id: item.name for item in directory.info.classes}
    rows = ["split,native_class,objects,used"]
    for name in ("train", "validation", "test"):
        examples = splits[name]
        indices = directory.split_indices(name, (fold or 0) if directory.info.folds else None)
        for number in np.unique(native[indices]):
            label = names.get(int(number), "unlabelled")
            used = np.count_nonzero(native[examples.indices] == number)
            rows.append(f'{name},"{label}",{np.count_nonzero(native[indices] == number)},{used}')
    return "\n".join(rows) + "\n"


def fingerprints(spec, splits) -> dict[str, str]:
    """Give the fingerprints of a run's data, and of its extra data if it has any."""
    found = {"data_fingerprint": spec.fingerprint}
    if "extra" in splits:
        found["extra_fingerprint"] = splits["extra"].directory.info.fingerprint
    return found


def write_config(path: Path, settled: Resolved, data: dict[str, str]) -> None:
    """Write the resolved configuration with versions and the fingerprints of the data."""
    import keras
    import tensorflow as tf

    from zoo import __version__

    versions = {"zoo": __version__, "tensorflow": tf.__version__, "keras": keras.__version__,
                "numpy": np.__version__, "python": sys.version.split()[0]}  # fmt: skip
    text = settled.to_yaml() + "versions:\n"
    text += "".join(f"  {key}: '{value}'\n" for key, value in versions.items())
    files.write_text(path / CONFIG, text + "".join(f"{key}: {value}\n" for key, value in data.items()))


def check_fingerprints(path: Path, data: dict[str, str]) -> None:
    """Refuse to go on with a run on other data than it was started on."""
    config = read_config(path)
    for key in ("data_fingerprint", "extra_fingerprint"):
        if config.get(key) != data.get(key):
            what = "data" if key.startswith("data") else "extra data"
            raise DataError(
                f"{path}: the {what} are not those the run was started on. Valid: fingerprint {config.get(key)}. "
                f"Received: {data.get(key)}"
            )
