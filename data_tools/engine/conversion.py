"""What the commands of all sources share: their flags, and the run from parsed flags to the printed report."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from data_tools.engine.convert import convert
from data_tools.engine.splits import Partitioning, select
from data_tools.engine.summary import STRICT, MaxBad, Summary, report
from data_tools.sources import Source
from tfrecords import command
from tfrecords.errors import DataError, UsageError

_SUBSETS = ("max_objects", "limit_per_class", "flatten")


def parser_of(source: str, description: str, files: str, files_help: str) -> argparse.ArgumentParser:
    """Make the parser of a source's command; the source adds what is its own.

    Parameters
    ----------
    source : str
        Name of the module in data_tools.
    description : str
    files, files_help : str
        How the paths are called, and what they are.
    """
    parser = argparse.ArgumentParser(prog=f"python -m data_tools.{source}", description=description)
    parser.add_argument("files", nargs="+", type=Path, metavar=files, help=files_help)
    add_output_flags(parser)
    subset = parser.add_mutually_exclusive_group()
    subset.add_argument("--max-objects", type=int, metavar="N", help="so many, classes in their proportions")
    subset.add_argument("--limit-per-class", type=int, metavar="N", help="at most so many of each class")
    subset.add_argument("--flatten", type=int, metavar="N", help="so many, large classes cut to one size")
    bad = parser.add_mutually_exclusive_group()
    bad.add_argument("--strict", action="store_true", help="fail on the first object or file that is refused")
    bad.add_argument("--max-bad", type=_max_bad, metavar="N|P%", help="fail if more are refused (default: never)")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes (%(default)s)")
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="of a Dask cluster whose workers convert instead, such as tcp://HOST:8786 (extra dask)",
    )
    return parser


def _max_bad(text: str) -> MaxBad:
    try:
        return MaxBad.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"a number such as 20, or a share such as 1%. Received: {text!r}") from error


def add_output_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the output and its splits: ``--out --folds ... --shards --overwrite``."""
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="directory of records to make")
    parser.add_argument("--folds", type=int, default=0, metavar="K", help="K folds instead of train and validation")
    parser.add_argument("--test-fraction", type=float, default=0.2, metavar="F", help="of each class (0.2)")
    parser.add_argument("--validation-fraction", type=float, metavar="F", help="of each class, without folds (0.1)")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (0)")
    parser.add_argument("--shards", type=int, metavar="N", help="files a partition (default: of about 256 MiB)")
    parser.add_argument("--overwrite", action="store_true", help="replace records at --out")
    command.add_common_flags(parser)


def partitioning_of(arguments: argparse.Namespace) -> Partitioning:
    """Give the splits that the flags ask for. Raises UsageError."""
    if arguments.folds and arguments.validation_fraction is not None:
        raise UsageError("with --folds each fold validates in its turn; leave out --validation-fraction")
    if arguments.shards is not None and arguments.shards < 1:
        raise UsageError(f"--shards is at least 1. Received: {arguments.shards}")
    validation = 0.1 if arguments.validation_fraction is None else arguments.validation_fraction
    return Partitioning(arguments.folds, arguments.test_fraction, validation, arguments.seed)


def run_conversion(source: Source, arguments: argparse.Namespace, tool: str) -> Summary:
    """Convert a source as the flags of `parser_of` say, and print the report.

    Raises
    ------
    UsageError, DataError
        As `data_tools.engine.convert.convert`.
    """
    partitioning = partitioning_of(arguments)
    if getattr(arguments, "workers", 1) < 1:
        raise UsageError(f"--workers is at least 1. Received: {arguments.workers}")
    # Not every source misses the files of a folder that is misspelt.
    for path in getattr(arguments, "files", ()):
        if not path.exists():
            raise DataError(f"{path}: cannot be read: No such file or folder. Received: {str(path)!r}")
    subset = {name: getattr(arguments, name, None) for name in _SUBSETS}
    chosen = None
    if any(value is not None for value in subset.values()):
        chosen = select(*source.labels(), arguments.seed, **subset)
    summary = convert(
        source,
        arguments.out,
        partitioning,
        tool=tool,
        chosen=chosen,
        options={
            "seed": arguments.seed,
            "folds": arguments.folds,
            "test_fraction": arguments.test_fraction,
            "validation_fraction": 0.0 if arguments.folds else partitioning.validation_fraction,
            **{name: value for name, value in subset.items() if value is not None},
        },
        shards=arguments.shards,
        overwrite=arguments.overwrite,
        inputs=getattr(arguments, "files", ()),
        max_bad=STRICT if getattr(arguments, "strict", False) else getattr(arguments, "max_bad", None),
        workers=getattr(arguments, "workers", 1),
        scheduler=getattr(arguments, "scheduler", None),
        quiet=arguments.quiet,
    )
    report(summary, source, partitioning, arguments.out)
    return summary


def names_in(text: str) -> Sequence[str]:
    """Split a comma-separated flag into names."""
    return [name for name in text.split(",") if name]
