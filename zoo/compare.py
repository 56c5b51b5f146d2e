"""Compare classifiers on one data set: ``python -m zoo.compare --models NAME,NAME --data DIR``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from tfrecords import command
from tfrecords.errors import UsageError

EPILOG = """examples:
  python -m zoo.compare --models atat,random_forest,gradient_boosting --data DIR --epochs 20
  python -m zoo.compare --models oracle_gru,random_forest --data DIR --levels plasticc --epochs 20
  python -m zoo.compare --models atat:plasticc_lc,atat:plasticc_lc_md --data DIR --folds all --seed 1
  python -m zoo.compare --models informer --data DIR --subsets full,sub50,sub25,sub10 --pretrained photo=RUN
  python -m zoo.compare --models stamp_classifier,stamp_ae,stamp_recurrent_ae,vade:three_channels --data STAMPS
  python -m zoo.compare --models stamp_classifier,runs/vade/mine --data STAMPS --epochs 20
random_forest and gradient_boosting train on the computed features (python -m data_tools.features DIR) of every
evaluation day; NAME:features_metadata adds the static columns. Autoencoders have a row for each logistic regression
on their codes: latent, and latent_columns with the columns of the alert beside (the stamp classifier's, or
--alert-columns). A finished run on the same records is not trained again. All other flags go to every fit alike: they
are options of `python -m zoo.fit --model NAME --help` that all the models have. Rows are written as they are
finished; the same command again keeps them, goes on with what was interrupted and tries again what failed.
--subsets trains every model on subsets of the labels (of training and validation; the test split stays whole), from
scratch and, with --pretrained, from other runs, and draws scores against the number of labels.
exit code 0: all rows are there; 1: one failed, see its reason in table.csv; 2: wrong usage
"""


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m zoo.compare",
        description="Train classifiers on the same records, split, folds and budget: one table (CSV, Markdown) and "
        "macro F1 against days in one figure.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--models", required=True, metavar="A,B:PRESET,RUN", help="models, each with a preset or its default, or runs"
    )
    parser.add_argument("--data", metavar="DIR", help="directory of records (default: the sample)")
    parser.add_argument("--folds", metavar="all|K,K", help="a row for each fold (default: the first one)")
    parser.add_argument("--levels", metavar="NAME", help="score at each level of a tree too; a name or a YAML file")
    parser.add_argument("--subsets", metavar="full,sub25", help="a row for each of full, sub50, sub25, sub10")
    parser.add_argument(
        "--pretrained", metavar="[PART=]RUN,..", help="with --subsets: rows from these runs too; {fold}, {seed} in them"
    )
    parser.add_argument("--seeds", metavar="K,K", help="with --subsets: a row for each (default: 0)")
    parser.add_argument("--out", default="comparison", metavar="DIR", help="of runs, table and figures (%(default)s)")
    command.add_common_flags(parser)
    options, rest = parser.parse_known_args(argv)
    models = [name.strip() for name in options.models.split(",") if name.strip()]
    if not models:
        raise UsageError(f"--models: names with commas. Received: {options.models!r}")
    if options.subsets is not None:
        return _limited_labels(models, options, rest)
    if options.pretrained or options.seeds:
        raise UsageError("--pretrained and --seeds go with --subsets. Received: no --subsets")
    from zoo.training.compare import compare

    index, whole = compare(
        models, options.out, data=options.data, folds=options.folds, levels=options.levels, arguments=rest,
        quiet=options.quiet,
    )  # fmt: skip
    print(index.read_text("utf-8") if not options.quiet else index)
    return 0 if whole else 1


def _limited_labels(models, options, rest) -> int:
    if options.levels:
        raise UsageError(f"--levels does not go with --subsets. Received: {options.levels}")
    try:
        seeds = [int(item) for item in (options.seeds or "0").split(",")]
    except ValueError:
        raise UsageError(f"--seeds: numbers with commas. Received: {options.seeds!r}") from None
    from zoo.training.limited_labels import experiment

    names = [[item.strip() for item in (text or "").split(",") if item.strip()]
             for text in (options.subsets, options.pretrained)]  # fmt: skip
    index, whole = experiment(
        models, options.out, subsets=names[0], pretrained=names[1], seeds=seeds, data=options.data,
        folds=options.folds, arguments=rest, quiet=options.quiet,
    )  # fmt: skip
    print(index.read_text("utf-8") if not options.quiet else index)
    return 0 if whole else 1


if __name__ == "__main__":
    from zoo import quiet

    quiet.silence()
    command.run(main)
