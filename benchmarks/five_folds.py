"""Cross-validation: every object is in the test split of one fold, and scored by networks that never saw it.

    python benchmarks/five_folds.py --data DIR --out FOLDER --models informer:asas,metamodel [--folds 5] [--least 10]

Folds are stratified; of what a fold does not test, an eighth of each class validates (the best epoch is chosen on it).
``--by-id REGEX`` keeps objects together whose ids agree in what it matches. Every other flag of ``zoo.fit`` goes to all
runs. Beside the networks stand random forests of 500 trees on what the records hold: 13 statistics of the magnitudes of
each light curve, the static columns, each spectrum in 100 bins between the quartiles of all ends, scaled; they train
on training and validation objects together. ``A+B`` averages the probabilities of two models. Runs that are in FOLDER
already are not trained again. The table goes to FOLDER/scores.csv and to the screen: accuracy, macro F1 and
log-loss of all objects together, and mean and standard deviation of the macro F1 over the folds.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd

STATISTICS, COLUMNS, SPECTRA = "forest_statistics", "forest_static_columns", "forest_spectra"
BINS = 100
SMALLEST = 1e-15


def table_of(data: Path, least: int) -> pd.DataFrame:
    """Give id and class of the labelled objects of classes with ``least`` objects or more."""
    from tfrecords.reader import RecordDirectory

    directory = RecordDirectory(data)
    names = {item.id: item.name for item in directory.info.classes}
    table = pd.DataFrame({"object_id": directory.ids(np.arange(len(directory))),
                          "class": [names.get(number, "") for number in directory.index["class_id"]]})  # fmt: skip
    table["place"] = np.arange(len(table))
    number = table["class"].map(table["class"].value_counts())
    return table[(table["class"] != "") & (number >= least)].reset_index(drop=True)


def divide(table: pd.DataFrame, options) -> list[Path]:
    """Write the records of every fold; give their directories."""
    from sklearn.model_selection import StratifiedGroupKFold

    from data_tools import partition

    groups = [re.match(options.by_id, name)[0] if options.by_id else name for name in table["object_id"]]
    groups, found = np.array(groups), []
    folds = StratifiedGroupKFold(options.folds, shuffle=True, random_state=options.seed)
    eighths = StratifiedGroupKFold(8, shuffle=True, random_state=options.seed)
    for number, (rest, test) in enumerate(folds.split(table, table["class"], groups)):
        place = options.out / f"records{number}"
        found.append(place)
        if place.is_dir():
            continue
        split = np.full(len(table), "train", object)
        split[test] = "test"
        _, validation = next(eighths.split(rest, table["class"].to_numpy()[rest], groups[rest]))
        split[rest[validation]] = "validation"
        file = options.out / f"splits{number}.csv"
        pd.DataFrame({"object_id": table["object_id"], "split": split}).to_csv(file, index=False)
        code = partition.main([str(options.data), "--out", str(place), "--from", str(file), "--quiet"])
        if code:
            sys.exit(code)
    return found


def train(model: str, number: int, data: Path, classes: list[str], options) -> pd.DataFrame:
    """Train a model on a fold unless its predictions are there; give them by object."""
    file = options.out / f"{model.replace(':', '-')}-fold{number}.csv"
    if not file.is_file():
        import keras

        import zoo

        name, _, preset = model.partition(":")
        flags = {"data": str(data), "classes": classes, "seed": options.seed, "runs": str(options.out / "runs"),
                 "name": f"{preset or 'default'}-fold{number}", "evaluate": False, "export": False}  # fmt: skip
        run = zoo.fit(name, preset or None, arguments=options.rest, quiet=True, **flags)
        table = zoo.predict(run.path, data)
        table.rename(columns={f"p_{one}": one for one in classes})[["object_id", *classes]].to_csv(file, index=False)
        keras.backend.clear_session()
    return pd.read_csv(file, dtype={"object_id": str}).set_index("object_id")


def statistics(records) -> np.ndarray:
    """Give 13 statistics (object, 13) of the magnitudes of light curves; rows without positive flux do not count."""
    from scipy import stats

    found = np.full((len(records), 13), np.nan)
    for number, record in enumerate(records):
        flux = record.lc.flux[record.lc.flux > 0].astype("float64") if record.lc is not None else np.zeros(0)
        if len(flux) < 3:
            continue
        magnitude = -2.5 * np.log10(flux)
        middle, spread = np.median(magnitude), magnitude.std() or 1.0
        low, quarter, half, upper, high = np.percentile(magnitude - middle, [5, 25, 50, 75, 95])
        found[number] = [
            magnitude.mean(), spread, stats.skew(magnitude), stats.kurtosis(magnitude), np.ptp(magnitude), low, quarter,
            half + middle, upper, high, np.median(np.abs(magnitude - middle)),
            np.mean(np.abs(magnitude - magnitude.mean()) > spread), np.mean(np.diff(magnitude) ** 2) / spread**2,
        ]  # fmt: skip
    return found


def binned(records) -> np.ndarray:
    """Give spectra (object, bin) on one grid, each less its mean and divided by its standard deviation."""
    ends = np.array([record.spectrum.wavelength[[0, -1]] for record in records if record.spectrum is not None])
    grid = np.linspace(np.percentile(ends[:, 0], 25), np.percentile(ends[:, 1], 75), BINS)
    found = np.zeros((len(records), BINS))
    for number, record in enumerate(records):
        if record.spectrum is not None:
            good = np.isfinite(record.spectrum.flux)
            values = np.interp(grid, record.spectrum.wavelength[good], record.spectrum.flux[good])
            found[number] = (values - values.mean()) / (values.std() or 1.0)
    return found


def values_of(table: pd.DataFrame, data: Path) -> dict[str, np.ndarray]:
    """Give what forests train on, (object, column) by the forest's name."""
    from tfrecords.reader import RecordDirectory
    from tfrecords.schema import decode

    directory = RecordDirectory(data)
    records = [decode(record) for record in directory.serialized(table["place"].to_numpy())]
    found = {}
    if any(record.lc is not None for record in records):
        found[STATISTICS] = statistics(records)
    if any(record.spectrum is not None for record in records):
        found[SPECTRA] = binned(records)
    taken = [place for place, column in enumerate(directory.info.static_columns) if not column.caution]
    if taken:
        found[COLUMNS] = np.stack([record.static for record in records])[:, taken]
    return found


def forest(values, table: pd.DataFrame, splits: pd.DataFrame, classes, options) -> pd.DataFrame:
    """Give the probabilities of a random forest for the test objects of a fold."""
    from sklearn.ensemble import RandomForestClassifier

    test = splits["split"].to_numpy() == "test"
    trees = RandomForestClassifier(500, random_state=options.seed, n_jobs=-1)
    trees.fit(values[~test], table["class"][~test])
    found = pd.DataFrame(trees.predict_proba(values[test]), columns=trees.classes_)
    return found.reindex(columns=classes, fill_value=0.0).set_index(table["object_id"][test])


def scores(name: str, parts: list[pd.DataFrame], labels: pd.Series) -> dict:
    """Give the scores of the test objects of all folds."""
    from sklearn.metrics import accuracy_score, f1_score, log_loss

    every = pd.concat(parts)
    true, shown = labels[every.index], every.columns[every.to_numpy().argmax(1)]
    each = [f1_score(labels[part.index], part.columns[part.to_numpy().argmax(1)], average="macro") for part in parts]
    probabilities = np.clip(every.to_numpy("float64"), SMALLEST, 1)
    return {
        "model": name,
        "accuracy": accuracy_score(true, shown),
        "macro_f1": f1_score(true, shown, average="macro"),
        "log_loss": log_loss(true, probabilities / probabilities.sum(1, keepdims=True), labels=list(every.columns)),
        "macro_f1_fold_mean": np.mean(each),
        "macro_f1_fold_std": np.std(each),
    }


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="directory of records")
    parser.add_argument("--out", type=Path, required=True, help="folds, runs, predictions and the table")
    parser.add_argument("--models", required=True, help="A,B:PRESET,A+B:PRESET")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--least", type=int, default=10, help="objects of a class")
    parser.add_argument("--by-id", metavar="REGEX", help="objects that stay together")
    parser.add_argument("--seed", type=int, default=0)
    options, options.rest = parser.parse_known_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    table = table_of(options.data, options.least)
    classes, labels = sorted(table["class"].unique()), table.set_index("object_id")["class"]
    places = divide(table, options)
    columns, found = values_of(table, options.data), {}
    for number, place in enumerate(places):
        splits = pd.read_csv(options.out / f"splits{number}.csv", dtype={"object_id": str})
        tested = splits["object_id"][splits["split"] == "test"]
        for kind, values in columns.items():
            found.setdefault(kind, []).append(forest(values, table, splits, classes, options))
        for model in options.models.split(","):
            parts = [train(one, number, place, classes, options).loc[tested] for one in model.split("+")]
            found.setdefault(model, []).append(sum(parts) / len(parts))
    rows = pd.DataFrame([scores(name, parts, labels) for name, parts in found.items()])
    rows.to_csv(options.out / "scores.csv", index=False)
    print(f"{len(table)} objects of {len(classes)} classes, {options.folds} folds")
    print(rows.to_string(index=False, float_format="{:.3f}".format))
    return 0


if __name__ == "__main__":
    sys.exit(main())
