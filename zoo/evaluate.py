"""Score runs and write their reports: ``python -m zoo.evaluate RUN [RUN ...]``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from tfrecords import command
from tfrecords.errors import UsageError

EPILOG = """examples:
  python -m zoo.evaluate runs/atat/NAME                      report/index.md of the run's own test split
  python -m zoo.evaluate runs/atat/*fold*                    several: their mean, spread and curves as well
  python -m zoo.evaluate runs/atat/NAME --data DIR --split all --out DIR2
  python -m zoo.evaluate runs/atat/NAME --redraw             draw again from the stored predictions
  python -m zoo.evaluate runs/atat/NAME --taxonomy plasticc  at every level of a tree too, with animations over days
exit code 0: done; 1: failed on the way; 2: wrong usage
"""


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m zoo.evaluate",
        description="Score runs on the test split at 1, 2, 4 ... 2048 days after the reference time and on the "
        "whole light curve: tables (CSV, JSON), plots (PNG) and report/index.md.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run directory")
    parser.add_argument("--data", metavar="DIR", help="another record directory of the same survey")
    parser.add_argument("--split", default="test", choices=["test", "validation", "train", "all"])
    parser.add_argument("--days", help="comma-separated days after the reference time, 'inf' for everything")
    parser.add_argument("--out", metavar="DIR", help="where the comparison, or a report on --data, is written")
    parser.add_argument("--taxonomy", metavar="NAME", help="score at each level of a tree too; a name or a YAML file")
    parser.add_argument("--redraw", action="store_true", help="use stored predictions, load no model")
    command.add_common_flags(parser)
    options = parser.parse_args(argv)
    from zoo.training import evaluation

    days = evaluation.DAYS
    if options.days:
        try:
            days = tuple(float(item) for item in options.days.split(","))
        except ValueError:
            days = (0.0,)
        if any(not day > 0 for day in days):
            raise UsageError(f"--days: positive numbers, comma-separated. Received: {options.days!r}")
    index = evaluation.evaluate(
        options.runs, days=days, data=options.data, split=options.split, out=options.out,
        redraw=options.redraw, taxonomy=options.taxonomy, quiet=options.quiet,
    )  # fmt: skip
    print(index)
    return 0


if __name__ == "__main__":
    from zoo import quiet

    quiet.silence()
    command.run(main)
