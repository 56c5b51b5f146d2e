"""Small seeded runs as the training and evaluation commands leave them, made without a model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

DAYS = (1.0, 8.0, 128.0, np.inf)
CLASSES = ["SNIa", "TDE", "KN", "RRL"]


def make_predictions(classes=CLASSES, objects=60, days=DAYS, seed=0, skill=3.0, present=None) -> pd.DataFrame:
    """Draw predictions that get better with the day; `present` limits the true classes."""
    random = np.random.default_rng(seed)
    size = len(classes)
    pool = [classes.index(name) for name in (present or classes)]
    truth = random.choice(pool, objects)
    truth[: len(pool)] = pool
    parts = []
    for step, day in enumerate(days):
        score = random.normal(size=(objects, size))
        score[np.arange(objects), truth] += skill * (step + 1) / len(days)
        probability = np.exp(score)
        probability /= probability.sum(axis=1, keepdims=True)
        part = pd.DataFrame(
            {
                "object_id": [f"obj{i:05d}" for i in range(objects)],
                "class": np.array(classes)[truth],
                "day": float(day),
                "observations": random.integers(0, 5 * (step + 1), objects),
            }
        )
        for c, name in enumerate(classes):
            part[f"p_{name}"] = probability[:, c].astype(np.float32)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def make_light_curves(predictions: pd.DataFrame, count: int = 2, seed: int = 0) -> pd.DataFrame:
    """Draw rising and falling light curves for the first objects, with a trigger and a saturated row."""
    random = np.random.default_rng(seed)
    parts = []
    for object_id in predictions["object_id"].drop_duplicates().iloc[:count]:
        time = np.sort(random.uniform(-60, 300, 90))
        flux = 400 * np.exp(-np.abs(time - 10) / 40) + random.normal(0, 15, 90)
        error = random.uniform(5, 25, 90)
        flags = (flux > 4 * error).astype(np.uint8)
        flags[np.flatnonzero(flags)[0]] |= 2
        flags[int(np.argmax(flux))] |= 4
        name = predictions.loc[predictions["object_id"] == object_id, "class"].iloc[0]
        parts.append(
            pd.DataFrame(
                {
                    "object_id": object_id,
                    "class": name,
                    "mjd": 60000 + time,
                    "time_from_ref": time,
                    "band": random.choice(list("ugrizY"), 90),
                    "flux": flux.astype(np.float32),
                    "flux_err": error.astype(np.float32),
                    "flags": flags,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def make_run(path: Path, predictions: pd.DataFrame | None = None, classes=CLASSES, epochs: int = 6, **config) -> Path:
    """Write every file of a run that reports read."""
    (path / "report").mkdir(parents=True)
    predictions = make_predictions(classes) if predictions is None else predictions
    predictions.to_parquet(path / "report" / "predictions_by_day.parquet", index=False)
    make_light_curves(predictions).to_parquet(path / "report" / "light_curves.parquet", index=False)
    base = {
        "model": "atat",
        "preset": "lc_md",
        "run": path.name,
        "task": "classify",
        "survey": "plasticc",
        "classes": list(classes),
        "class_weights": None,
        "cautions": [],
        "seed": 1,
        "fold": None,
    }
    (path / "report" / "report_config.json").write_text(json.dumps(base | config))
    epoch = np.arange(1, epochs + 1)
    pd.DataFrame(
        {
            "epoch": epoch,
            "stage": "whole",
            "loss": 2 / epoch,
            "macro_f1": 1 - 1 / (epoch + 1),
            "accuracy": 1 - 1 / (epoch + 2),
            "learning_rate": 1e-3 / epoch,
            "val_loss": 2 / epoch + 0.1,
            "val_macro_f1": 0.9 - 1 / (epoch + 1) - 0.01 * np.maximum(epoch - 4, 0),
            "val_accuracy": 0.5,
            "seconds": 3.0,
        }
    ).to_csv(path / "metrics.csv", index=False)
    rows = [
        (split, name, 3 ** (i % 6) * n)
        for split, n in (("train", 8), ("validation", 2), ("test", 1))
        for i, name in enumerate(classes)
    ]
    pd.DataFrame(rows, columns=["split", "class", "count"]).to_csv(path / "class_composition.csv", index=False)
    return path


@pytest.fixture
def predictions() -> pd.DataFrame:
    """60 objects, 4 classes, 4 days."""
    return make_predictions()


@pytest.fixture
def make():
    """The makers as attributes: ``make.run(path, ...)``, ``make.predictions(...)``."""

    class Make:
        run = staticmethod(make_run)
        predictions = staticmethod(make_predictions)
        light_curves = staticmethod(make_light_curves)
        classes = CLASSES

    return Make
