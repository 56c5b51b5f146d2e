"""Run golden cases: does the zoo compute what the published systems compute?

``python -m zoo.parity DIR`` runs every case under DIR: one folder a family, in it ``<name>.npz`` with
``<name>.json`` or ``<name>.config.json`` (or the configuration inside the npz). A case's own configuration
says what is built.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfrecords import command
from tfrecords.errors import DataError, UsageError
from zoo import registry
from zoo.golden import Case, Comparison, NotCarried

EPILOG = """examples:
  python -m zoo.parity golden                 every family below a folder
  python -m zoo.parity golden/atat --json     one family, machine-readable
exit code 0: no case failed; 1: a case failed or has no handler; 2: wrong usage
An output that the zoo has no counterpart of is shown as not carried, with the reason, and fails nothing.
"""


def find_cases(directory: Path) -> list[Path]:
    """Give the npz files of all cases below a directory, sorted."""
    if not directory.is_dir():
        raise UsageError(f"DIR must be a directory of golden cases. Received: {directory}")
    found = sorted(directory.rglob("*.npz"))
    if not found:
        raise UsageError(f"No .npz case anywhere below the directory. Received: {directory}")
    return found


def load_case(path: Path) -> Case:
    """Read a case; nothing is unpickled."""
    import zipfile

    import numpy as np

    config = {}
    for suffix in (".json", ".config.json"):
        beside = path.with_name(path.name.removesuffix(".npz") + suffix)
        if beside.is_file():
            try:
                config = json.loads(beside.read_text("utf-8"))
            except ValueError as error:
                raise DataError(f"{beside}: not valid JSON ({error})") from None
    try:
        # Opened here: NumPy leaves the file open when it turns out to be damaged.
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as data:
            arrays = {key: data[key] for key in data.files}
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read as a golden case ({error})") from None
    return Case(path.parent.name, path.name.removesuffix(".npz"), config, arrays)


def run_case(case: Case, model: str | None = None) -> list[Comparison | NotCarried]:
    """Run a case with the handlers of its family.

    Parameters
    ----------
    case : Case
    model : str, optional
        Name of a model whose family handles the case, where the folder's name does not say.

    Returns
    -------
    list of Comparison and NotCarried
        Empty if no handler took the case.
    """
    family = registry.get(model).family if model else case.family
    for handler in registry.golden_handlers().get(family, ()):
        comparisons = registry.load(handler)(case)
        if comparisons is not None:
            return comparisons
    return []


def parity(directory, model: str | None = None, quiet: bool = True) -> list[dict[str, Any]]:
    """Run every golden case below a directory.

    Parameters
    ----------
    directory : path
    model : str, optional
        See `run_case`.
    quiet : bool
        No progress bar.

    Returns
    -------
    list of dict
        One a case: ``case``, ``passed``, ``outcome`` (``passed``, ``failed``, or ``not carried`` where nothing could
        be compared), ``outputs`` (output, difference, tolerance, passed), ``not_carried`` (output, reason),
        ``problem``.
    """
    rows = []
    paths = find_cases(Path(directory))
    for path in command.progress(paths, "golden cases", len(paths), quiet):
        problem = ""
        found: list[Comparison | NotCarried] = []
        name = f"{path.parent.name}/{path.stem}"
        try:
            case = load_case(path)
            found = run_case(case, model)
            if not found:
                problem = "no handler: this family or kind of case is not known to the zoo"
        except (DataError, UsageError) as error:
            problem = str(error)
        except Exception as error:
            # Whatever is odd about one case must not keep the others from being run.
            text = re.sub(r"\x1b\[[0-9;]*m|\s+", " ", str(error)).strip()
            problem = f"the case does not have the expected form: {type(error).__name__}: {text}"
        rows.append(_row(name, found, problem))
    return rows


def _row(name: str, found: list[Comparison | NotCarried], problem: str) -> dict[str, Any]:
    comparisons = [item for item in found if isinstance(item, Comparison)]
    missing = [item for item in found if isinstance(item, NotCarried)]
    good = not problem and all(item.passed for item in comparisons)
    outcome = "failed" if not good else "passed" if comparisons else "not carried"
    return {
        "case": name,
        "passed": outcome == "passed",
        "outcome": outcome,
        "problem": problem,
        "outputs": [dataclasses.asdict(item) | {"passed": item.passed} for item in comparisons],
        "not_carried": [dataclasses.asdict(item) for item in missing],
    }


def _line(row: dict[str, Any]) -> str:
    verdict = {"passed": "pass", "failed": "FAIL", "not carried": "none"}[row["outcome"]]
    if row["problem"]:
        return f"{verdict}  {row['case']}  {row['problem']}"
    outputs = "  ".join(
        f"{item['output']}{'' if item['passed'] else '!'} {item['difference']:.1e} ({item['tolerance']:.0e})"
        for item in row["outputs"]
    )
    reasons: dict[str, list[str]] = {}
    for item in row["not_carried"]:
        reasons.setdefault(item["reason"], []).append(item["output"])
    missing = "; ".join(f"{', '.join(names)} ({reason})" for reason, names in reasons.items())
    return "  ".join(filter(None, [verdict, row["case"], outputs, missing and f"not carried: {missing}"]))


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m zoo.parity",
        description="Compare the zoo's models with golden cases of the published systems. One line a case: "
        "family/name, largest absolute difference of each output (tolerance), pass or FAIL; none where nothing "
        "of a case is carried.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="folder of cases, at any depth")
    parser.add_argument("--model", help="model that handles cases in folders of other names")
    parser.add_argument("--json", action="store_true", help="print the full result as JSON")
    command.add_common_flags(parser)
    options = parser.parse_args(argv)
    rows = parity(options.directory, options.model, options.quiet or options.json)
    if options.json:
        print(json.dumps(rows, indent=1))
    else:
        for row in rows:
            print(_line(row))
        missing = sum(len(row["not_carried"]) for row in rows)
        more = f", {missing} outputs not carried" if missing else ""
        print(f"{sum(row['passed'] for row in rows)} of {len(rows)} cases passed{more}")
    return int(any(row["outcome"] == "failed" for row in rows))


if __name__ == "__main__":
    from zoo import quiet

    quiet.silence()
    command.run(main)
