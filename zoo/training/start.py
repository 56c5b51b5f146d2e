"""How a run begins: its directory, its configuration, what each split holds."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

from tfrecords.errors import DataError, UsageError
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
    files.write_text(path / "class_composition.csv", composition(spec, splits))
    files.write_text(path / "objects.csv", _objects(directory, options.fold, splits))
    return path


def composition(spec, splits) -> str:
    """Give, as CSV, how many objects of every class each split has."""
    rows = ["split,class,count"]
    for name, examples in splits.items():
        counts = np.bincount(examples.labels[examples.labels >= 0], minlength=len(spec.classes))
        rows += [f'{name},"{label}",{count}' for label, count in zip(spec.classes, counts, strict=True)]
    return "\n".join(rows) + "\n"


def chosen_folds(count: int, text: str) -> list[int]:
    """Read which of the folds of a data set are meant: ``all``, or different numbers with commas."""
    if not count:
        raise UsageError("--folds: the data set has no folds; convert it with --folds K. Received: none")
    if text == "all":
        return list(range(count))
    try:
        folds = [int(item) for item in text.split(",")]
    except ValueError:
        folds = [-1]
    if any(not 0 <= fold < count for fold in folds) or len(set(folds)) != len(folds):
        raise UsageError(f"--folds: valid are all, or different numbers 0..{count - 1}. Received: {text!r}")
    return folds


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
    if spec.nodes:
        text = json.dumps([spec.nodes, spec.parents, spec.places])
        found["taxonomy_fingerprint"] = hashlib.sha256(text.encode("utf-8")).hexdigest()
    return found


def class_counts(labels, spec, sampling: str) -> np.ndarray:
    """Give how many training objects each class has, int64 (class,), as an epoch draws them."""
    counts = np.bincount(labels, minlength=len(spec.classes))
    return np.where(counts > 0, counts.max(), 0) if sampling != "natural" else counts


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
    names = {"data": "data are not those", "extra": "extra data are not those", "taxonomy": "taxonomy is not the one"}
    for kind, what in names.items():
        key = f"{kind}_fingerprint"
        if config.get(key) != data.get(key):
            raise DataError(
                f"{path}: the {what} the run was started on. Valid: fingerprint {config.get(key)}. "
                f"Received: {data.get(key)}"
            )
