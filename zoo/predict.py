"""Predict every object of a source: ``python -m zoo.predict RUN --data FILES --out TABLE``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tfrecords import command
from tfrecords.errors import UsageError

EPILOG = """examples:
  python -m zoo.predict runs/atat/NAME --data metadata.csv.gz lightcurves.csv.gz --out predictions.parquet
  python -m zoo.predict runs/atat/NAME --data FOLDER --out predictions.csv --day 8
The table has one row an object in input order: object_id, predicted_class, p_<class> ..., observations
(rows the model saw) and reason (empty, or why there is no prediction). A run with a taxonomy adds node_<name>,
the probability of every node's path. With --steps, for models that answer at every step: one row an object and step,
object_id, step, time_days (from the reference time) and p_<class> ...
exit code 0: done; 1: failed on the way; 2: wrong usage
"""


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m zoo.predict",
        description="Predict every object of survey files or of a record directory with a trained run.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="RUN", help="run directory")
    parser.add_argument("--data", nargs="+", required=True, metavar="PATH", help="files or folder of the source")
    parser.add_argument("--source", help="name of the source; recognised from the data when absent")
    parser.add_argument("--day", type=float, default=float("inf"), help="hide what came later than so many days")
    parser.add_argument("--steps", action="store_true", help="a row an object and step (models of task per_step)")
    parser.add_argument("--out", required=True, type=Path, metavar="TABLE", help=".parquet or .csv")
    command.add_common_flags(parser)
    options = parser.parse_args(argv)
    if options.out.suffix not in (".parquet", ".csv"):
        raise UsageError(f"--out must end in .parquet or .csv. Received: {options.out}")
    if not options.day > 0:
        raise UsageError(f"--day must be positive. Received: {options.day}")
    from zoo.training import files
    from zoo.training.prediction import predict

    if options.steps:
        from zoo.training.steps import predict_steps as predict
    table = predict(options.run, options.data, source=options.source, day=options.day, quiet=options.quiet)
    if options.out.suffix == ".parquet":
        files.atomic(options.out, lambda path: table.to_parquet(path, index=False))
    else:
        files.atomic(options.out, lambda path: table.to_csv(path, index=False))
    if options.steps and not options.quiet:
        print(f"{len(table)} steps of {table['object_id'].nunique()} objects", file=sys.stderr)
    elif not options.quiet:
        # Networks that reconstruct name no class.
        values = table.drop(columns=["object_id", "predicted_class", "observations", "reason"], errors="ignore")
        refused = table[values.isna().all(axis=1)]
        print(f"{len(table)} rows, {len(refused)} without a prediction", file=sys.stderr)
        for _, row in refused.head(5).iterrows():
            print(f"  {row['object_id']}: {row['reason']}", file=sys.stderr)
    print(options.out)
    return 0


if __name__ == "__main__":
    from zoo import quiet

    quiet.silence()
    command.run(main)
