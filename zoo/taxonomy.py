"""Print and draw a tree of classes: ``python -m zoo.taxonomy NAME``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tfrecords import command
from tfrecords.errors import DataError, UsageError
from zoo.taxonomies.tree import Taxonomy, available, load

EPILOG = """examples:
  python -m zoo.taxonomy                                    names of the taxonomies of the zoo
  python -m zoo.taxonomy elasticc --out tree.png            print and draw one
  python -m zoo.taxonomy my_tree.yaml                       check and print one's own
  python -m zoo.taxonomy plasticc --table predictions.csv --probabilities 615
                                                            with the probabilities of one predicted object
exit code 0: done; 1: a file is broken; 2: wrong usage
"""


def probabilities(tree: Taxonomy, table, object_id: str, day: float | None = None):
    """Give the path probability P of every node for an object of a table of predictions.

    Parameters
    ----------
    tree : Taxonomy
    table : path
        CSV or parquet of ``zoo.predict``, or ``predictions_by_day.parquet`` of a report. The columns
        ``node_<name>`` are taken if the table has them for all nodes, else sums of ``p_<class>``.
    object_id : str
    day : float, optional
        Where the table has days; the last one when absent.

    Returns
    -------
    array (node,), float64
    """
    import numpy as np
    import pandas as pd

    path = Path(table)
    if path.suffix not in (".csv", ".parquet") or not path.is_file():
        raise UsageError(f"--table must be a .csv or .parquet file of predictions. Received: {path}")
    try:
        rows = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype={"object_id": str})
        rows = rows[rows["object_id"].astype(str) == str(object_id)]
    except (ValueError, OSError, KeyError) as error:
        raise DataError(f"{path}: cannot be read as a table of predictions ({error}). Received: {path}") from None
    if not len(rows):
        raise UsageError(f"--probabilities: {path} holds no object of this id. Received: {object_id!r}")
    if "day" in rows.columns:
        days = sorted(rows["day"])
        day = days[-1] if day is None else day
        rows = rows[rows["day"] == day]
        if not len(rows):
            raise UsageError(f"--day: valid are {', '.join(f'{item:g}' for item in days)}. Received: {day:g}")
    elif day is not None:
        raise UsageError(f"--day: {path} has no days. Received: {day:g}")
    row = rows.iloc[0]
    own = [f"node_{name}" for name in tree.nodes]
    if all(name in row.index for name in own):
        found = row[own].to_numpy("float64")
    else:
        columns = [name for name in row.index if str(name).startswith("p_")]
        if not columns:
            raise DataError(f"{path}: has no column p_<class>. Received: {', '.join(map(str, row.index))}")
        places = [tree.index(name.removeprefix("p_")) for name in columns]
        found = row[columns].to_numpy("float64") @ tree.paths[places]
    if not np.isfinite(found).all():
        raise DataError(f"{path}: no prediction for this object. Received: {object_id!r}")
    return found


def show(tree: Taxonomy, probability=None):
    """Give the tree for the screen, with each node's conditional probability q and path probability P if known."""
    from rich.text import Text
    from rich.tree import Tree

    def label(node: int) -> Text:
        text = Text(tree.nodes[node], style="" if node in tree.leaves else "bold")
        if probability is not None:
            parent = tree.parents[node]
            above = probability[parent] if node else probability[node]
            share = f"{probability[node] / above:.3f}" if above > 0 else "–"
            text.append(f"  q {share}  P {probability[node]:.3f}", style="dim")
        return text

    branches = {0: Tree(label(0))}
    for node, parent in enumerate(tree.parents[1:], 1):
        branches[node] = branches[parent].add(label(node))
    return branches[0]


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m zoo.taxonomy",
        description="Check, print and draw a tree of classes, with an object's probabilities if wanted.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="taxonomy of the zoo, or YAML file; none lists them")
    parser.add_argument("--table", metavar="FILE", help="predictions, .csv or .parquet, as zoo.predict writes them")
    parser.add_argument("--probabilities", metavar="ID", help="object of the table whose probabilities are shown")
    parser.add_argument("--day", type=float, help="day of the table, where it has several; the last when absent")
    parser.add_argument("--out", type=Path, metavar="FILE", help="draw the tree as .png")
    command.add_common_flags(parser)
    options = parser.parse_args(argv)
    if options.name is None:
        if options.table or options.probabilities or options.out:
            raise UsageError(f"NAME is needed: one of {', '.join(available())}, or a YAML file. Received: none")
        for name in available():
            tree = load(name)
            print(f"{name:20s} {len(tree)} nodes, {len(tree.leaves)} leaves")
        return 0
    if bool(options.table) != bool(options.probabilities):
        raise UsageError(
            "--table FILE and --probabilities ID go together. "
            f"Received: {options.table or options.probabilities!r} alone"
        )
    if options.out and options.out.suffix != ".png":
        raise UsageError(f"--out must end in .png. Received: {options.out}")
    tree = load(options.name)
    found = probabilities(tree, options.table, options.probabilities, options.day) if options.table else None
    if not options.quiet:
        from rich.console import Console

        Console().print(show(tree, found))
    if options.out:
        from zoo.reports.plots.levels import tree_figure
        from zoo.reports.write import write_figure

        title = f"{tree.name}: object {options.probabilities}" if options.table else tree.name
        print(write_figure(options.out, tree_figure(tree, found, title)))
    return 0


if __name__ == "__main__":
    command.run(main)
