"""Cross-validation: every object is in the test split of one fold, and scored by networks that never saw it.

    python benchmarks/five_folds.py --data DIR --out FOLDER --models informer:asas,metamodel [--folds 5] [--least 10]

Folds are stratified; of what a fold does not test, an eighth of each class validates (the best epoch is chosen on it).
Every other flag of ``zoo.fit`` goes to all runs. Beside the networks stand random forests of 500 trees on 13 statistics
of the magnitudes of each light curve, and on the static columns of the records if there are any; they train on
training and validation objects together. ``A+B`` averages the probabilities of two models. Runs and forests that are in
FOLDER already are not trained again. The table goes to FOLDER/scores.csv and to the screen: accuracy, macro F1 and
log-loss of all objects together, and mean and standard deviation of the macro F1 over the folds.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd

STATISTICS, COLUMNS = "forest_statistics", "forest_static_columns"
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
    from sklearn.model_selection import StratifiedKFold, train_test_split

    from data_tools import partition

    found = []
    folds = StratifiedKFold(options.folds, shuffle=True, random_state=options.seed)
    for number, (rest, test) in enumerate(folds.split(table, table["class"])):
        place = options.out / f"records{number}"
        found.append(place)
        if place.is_dir():
            continue
        split = np.full(len(table), "train", object)
        split[test] = "test"
        _, validation = train_test_split(
            rest, test_size=0.125, random_state=options.seed, stratify=table["class"].to_numpy()[rest]
        )
        split[validation] = "validation"
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


def forest(kind: str, table: pd.DataFrame, splits: pd.DataFrame, classes, options) -> pd.DataFrame | None:
    """Give the probabilities of a random forest for the test objects of a fold."""
    from sklearn.ensemble import RandomForestClassifier

    from tfrecords.reader import RecordDirectory
    from tfrecords.schema import decode

    directory = RecordDirectory(options.data)
    if kind == COLUMNS and not directory.info.static_columns:
        return None
    records = [decode(record) for record in directory.serialized(table["place"].to_numpy())]
    values = statistics(records) if kind == STATISTICS else np.stack([record.static for record in records])
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
    parser.add_argument("--seed", type=int, default=0)
    options, options.rest = parser.parse_known_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    table = table_of(options.data, options.least)
    classes, labels = sorted(table["class"].unique()), table.set_index("object_id")["class"]
    places = divide(table, options)
    found: dict[str, list[pd.DataFrame]] = {}
    for number, place in enumerate(places):
        splits = pd.read_csv(options.out / f"splits{number}.csv", dtype={"object_id": str})
        tested = splits["object_id"][splits["split"] == "test"]
        for kind in (STATISTICS, COLUMNS):
            part = forest(kind, table, splits, classes, options)
            if part is not None:
                found.setdefault(kind, []).append(part)
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
