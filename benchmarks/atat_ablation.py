"""What each option of the preset ``plasticc`` is worth: short equal budgets, several seeds, mean and spread.

    python benchmarks/atat_ablation.py --data DIR [--extra-data DIR] --out FOLDER [--epochs 10] [--seeds 3]

Every row takes one thing away from the preset, or adds one; all train the same number of steps. Needs records with
computed features (``python -m data_tools.features DIR``), and re-simulated copies (``python -m data_tools.resimulate``)
with their features. Every other flag of ``zoo.fit`` goes to all runs, for instance a smaller network. Runs that are in
FOLDER already are not trained again, so the command can be repeated. The table goes to FOLDER/ablation.csv as it
grows, and to the screen.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import f1_score, log_loss

VARIANTS = {
    "the preset": {},
    "flux not compressed": {"flux_transform": "none"},
    "no flux error as input": {"use_flux_err": False},
    "no observations dropped": {"drop_fraction": 0.0},
    "random truncation": {"truncate": "uniform", "truncate_days": [8.0, 2048.0]},
    "no re-simulated copies": {"extra_share": None, "extra_data": None},
    "no averaged weights": {"weight_average": 0.0},
    "no label smoothing": {"label_smoothing": 0.0},
    "balanced sampling": {"sampling": "balanced", "extra_share": None},
    "no computed features": {"features": False, "rest_frame": False},
    "no rest-frame columns": {"rest_frame": False},
    "no absolute flux": {"absolute_flux": False},
    "tabular transformer": {"tabular": "transformer"},
    "no light-curve branch": {"objective": "tab", "absolute_flux": False},
    "no metadata": {"metadata": False, "rest_frame": False, "absolute_flux": False},
}
SPLITS = ("validation", "test")


def train(options, variant: str, seed: int) -> Path:
    """Train a variant unless its run is there; give the run."""
    name = f"{variant.replace(' ', '-')}-seed{seed}"
    path = options.out / "atat" / name
    if not (path / "bundle" / "bundle.json").is_file():
        import keras

        import zoo

        flags = {"data": str(options.data), "extra_data": options.extra_data and str(options.extra_data),
                 "epochs": options.epochs, "steps_per_epoch": options.steps, "batch_size": options.batch_size,
                 "seed": seed, "fold": options.fold, "members": 1, "calibrate": "heads", "runs": str(options.out),
                 "name": name, "evaluate": False, "export": False}  # fmt: skip
        # None stands here for no copies, and not for what the preset says.
        flags |= VARIANTS[variant]
        if path.exists():
            sys.exit(f"{path}: unfinished; remove it to train it again")
        zoo.fit("atat", "plasticc", arguments=options.rest, quiet=True, **flags)
        keras.backend.clear_session()
    return path


def answers(path: Path) -> dict:
    """Give labels and logits (object, class) of all heads of a run, by split."""
    import tensorflow as tf

    from tfrecords.reader import RecordDirectory
    from zoo.inputs import pipeline
    from zoo.inputs.data import Examples
    from zoo.training.run import load_run

    run = load_run(path)
    directory, spec = RecordDirectory(run.run_config.data), run.bundle.spec
    stage = run.stage(column.name for column in directory.info.static_columns)
    forward = tf.function(lambda inputs: run.network(inputs, training=False), reduce_retracing=True)
    found = {}
    for split in SPLITS:
        indices = directory.split_indices(split, run.run_config.fold or 0)
        indices = indices[spec.labels.index(directory.index["class_id"][indices]) >= 0]
        examples = Examples(directory, indices, spec)
        logits = {head: np.zeros((len(examples), len(spec.classes))) for head in run.network.heads}
        dataset, _ = pipeline.evaluation(examples, stage, 256)
        for inputs, targets, weight in dataset:
            real = weight.numpy() > 0
            for head, values in forward(inputs).items():
                logits[head][targets["position"].numpy()[real]] = values.numpy()[real]
        found[split] = (examples.labels, logits)
    return {"run": run, "splits": found}


def weighted(logits, weights) -> np.ndarray:
    """Give the log-probabilities (object, class) of the heads' weighted logits."""
    total = sum(logits[head] * weight for head, weight in weights.items())
    total -= total.max(axis=1, keepdims=True)
    return total - np.log(np.exp(total).sum(axis=1, keepdims=True))


def scores(labels, log_probabilities) -> tuple[float, float]:
    """Give macro F1 over the classes that occur, and the log-loss."""
    occurring = np.unique(labels)
    macro = f1_score(labels, log_probabilities.argmax(axis=1), labels=occurring, average="macro")
    probabilities = np.exp(log_probabilities)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return float(macro), float(log_loss(labels, probabilities, labels=range(probabilities.shape[1])))


def rows_of(variant: str, runs: list[dict]) -> list[dict]:
    """Give the row of a variant; for the preset also those of other calibrations and of the ensemble."""
    wanted = {variant: "heads"}
    if variant == "the preset":
        wanted |= {"no calibration": "none", "temperature instead of heads": "temperature"}
    rows, members = [], {split: [] for split in SPLITS}
    for label, kind in wanted.items():
        row = {"variant": label, "runs": len(runs)}
        each = {split: [] for split in SPLITS}
        for item in runs:
            task, network = item["run"].task, item["run"].network
            known, logits = item["splits"]["validation"]
            weights = {network.primary: 1.0}
            if kind != "none":
                weights = task.fit_calibration(kind, network, logits, known)
            for split in SPLITS:
                labels, logits = item["splits"][split]
                values = weighted(logits, weights)
                each[split].append(scores(labels, values))
                if kind == "heads":
                    members[split].append(values)
        rows.append(row | _summary(each))
    if variant == "the preset" and len(runs) > 1:
        each = {split: [scores(runs[0]["splits"][split][0], np.mean(members[split], axis=0))] for split in SPLITS}
        rows.append({"variant": f"ensemble of {len(runs)}", "runs": 1} | _summary(each))
    return rows


def _summary(each) -> dict:
    row = {}
    for split, values in each.items():
        for name, column in zip(("macro_f1", "log_loss"), np.array(values).T, strict=True):
            row[f"{split}_{name}"] = column.mean()
            row[f"{split}_{name}_spread"] = column.std(ddof=1) if len(column) > 1 else float("nan")
    return row


def main() -> None:
    """Train, score, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, type=Path, metavar="DIR", help="records with computed features")
    parser.add_argument("--extra-data", type=Path, metavar="DIR", help="their re-simulated copies, with features")
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="where the runs are kept")
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--steps", type=int, default=50, help="steps an epoch")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", help="comma-separated variants")
    options, options.rest = parser.parse_known_args()
    chosen = options.only.split(",") if options.only else list(VARIANTS)
    if options.extra_data is None:
        chosen = [name for name in chosen if name != "no re-simulated copies"]
    rows: list[dict] = []
    for variant in chosen:
        runs = []
        for seed in range(options.seeds):
            print(f"{variant}, seed {seed}", file=sys.stderr)
            runs.append(answers(train(options, variant, seed)))
        rows += rows_of(variant, runs)
        pd.DataFrame(rows).to_csv(options.out / "ablation.csv", index=False, float_format="%.4f")
    print("| | test macro F1 | test log-loss | validation macro F1 | validation log-loss |")
    print("|---|---:|---:|---:|---:|")
    for row in rows:
        cells = [f"{row[f'{split}_{name}']:.3f} ± {row[f'{split}_{name}_spread']:.3f}"
                 for split in ("test", "validation") for name in ("macro_f1", "log_loss")]  # fmt: skip
        print(f"| {row['variant']} | {' | '.join(cells)} |".replace(" ± nan", ""))


if __name__ == "__main__":
    main()
