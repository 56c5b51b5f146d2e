"""Score runs and write their reports: ``python -m zoo.evaluate RUN [RUN ...]``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from tfrecords import command

EPILOG = """examples:
  python -m zoo.evaluate runs/atat/NAME                      report/index.md of the run's own test split
  python -m zoo.evaluate runs/atat/*fold*                    several: their mean, spread and curves as well
  python -m zoo.evaluate runs/atat/NAME --data DIR --split all --out DIR2
  python -m zoo.evaluate runs/atat/NAME --redraw             draw again from the stored predictions
  python -m zoo.evaluate runs/atat/NAME --curves -20:200:2   mean class scores against the day
  python -m zoo.evaluate runs/atat/NAME --fractions 0.1:1:0.1
  python -m zoo.evaluate runs/atat/NAME --branches           every part of the input alone, and all of them
  python -m zoo.evaluate runs/stamp_ae/A runs/vade/B         stamps: errors and drawings of the same objects
  python -m zoo.evaluate runs/astrom3_clip/A runs/astrom3_clip/B     contrast and search between modalities
  python -m zoo.evaluate runs/atat/NAME --taxonomy plasticc  at every level of a tree too, with animations over days
exit code 0: done; 1: failed on the way; 2: wrong usage
"""

LISTS = ("days", "curves", "fractions")


def _joined(argv: Sequence[str]) -> list[str]:
    """Join a list to its flag: one that begins with a minus would be taken for a flag."""
    words = list(argv)
    for place in range(len(words) - 2, -1, -1):
        if words[place].removeprefix("--") in LISTS and words[place].startswith("--"):
            words[place : place + 2] = [f"{words[place]}={words[place + 1]}"]
    return words


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
    parser.add_argument(
        "--days", metavar="LIST", help="days after the reference time: 1,8,inf (everything), -5 or before (rows "
        "before it), FIRST:LAST:STEP"
    )  # fmt: skip
    parser.add_argument(
        "--curves", metavar="LIST", help="days of curves beside the report: scores and mean class scores, report/curves"
    )
    parser.add_argument(
        "--fractions", metavar="LIST", help="shares of each light curve to score at too, report/fractions"
    )
    parser.add_argument(
        "--branches", action="store_true",
        help="score without parts of the input (light curve, spectrum, static columns) too: before the reference "
        "time and after it, or on --days; report/branches"
    )  # fmt: skip
    parser.add_argument("--out", metavar="DIR", help="where the comparison, or a report on --data, is written")
    parser.add_argument("--taxonomy", metavar="NAME", help="score at each level of a tree too; a name or a YAML file")
    parser.add_argument("--redraw", action="store_true", help="use stored predictions, load no model")
    command.add_common_flags(parser)
    options = parser.parse_args(_joined(argv))
    from zoo.training import evaluation, studies

    numbers = {key: studies.read_numbers(key, getattr(options, key))
               for key in LISTS if getattr(options, key) is not None}  # fmt: skip
    index = evaluation.evaluate(
        options.runs, data=options.data, split=options.split, out=options.out, redraw=options.redraw,
        taxonomy=options.taxonomy, branches=options.branches, quiet=options.quiet, **numbers,
    )  # fmt: skip
    print(index)
    return 0


if __name__ == "__main__":
    from zoo import quiet

    quiet.silence()
    command.run(main)
