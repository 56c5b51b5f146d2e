"""Several classifiers on the same records, split, folds and budget, in one table that survives a kill."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

from tfrecords.errors import DataError, UsageError
from zoo import registry
from zoo.inputs.config import SelectionConfig
from zoo.training import baselines, files, resolve
from zoo.training.config import RunConfig
from zoo.training.contender import TIMED_OBJECTS, Contender, child
from zoo.training.latent_probe import HEADS
from zoo.training.run import CONFIG, read_config

TABLE, SETTINGS = "table.csv", "comparison.json"
COLUMNS = (
    "model", "preset", "head", "fold", "seed", "status", "accuracy", "macro_f1", "log_loss", "weighted_log_loss",
    "rmse", "clusters", "parameters", "light_curves_per_second", "training_seconds", "epochs", "run", "reason",
)  # fmt: skip
OWN = ("runs", "name", "evaluate", "export", "fold")
"""Options of ``zoo.fit`` that the comparison sets itself."""

NOTES = f"""Scores are of the test split, whole light curves. *Parameters*: trained weights of a network; trees have
none. *Light curves/s*: whole light curves of at most {TIMED_OBJECTS:,} test objects from records in memory to
probabilities, input pipeline included, in batches of 256 on the device of the training, the middle of three passes
after one that compiles; for trees from computed features that are there already, whose own computation is not counted.
*Training*: wall time from the start of the fit to its end, validation and compilation included, over all starts of a
run that was interrupted; for trees the fits of all evaluation days."""

PROBES = """What classifies is the *network*, or a logistic regression on its codes of the training objects: *latent*,
or *latent_columns* with the columns of the alert beside the code (feature-augmented). Parameters and training are those
of the network that gives the codes. *RMSE*: root mean squared error of the reconstructions, over all observed points of
the test objects, in the units in which the model scales its input. *Clusters*: accuracy of k-means on the codes of the
test objects, as many clusters as classes, under the best assignment of one to the other; it needs no labels."""


def compare(
    models: Sequence[str], out: str | Path, *, data=None, folds: str | None = None, levels: str | None = None,
    arguments=None, quiet: bool = False,
) -> tuple[Path, bool]:  # fmt: skip
    """Train classifiers one after the other and write one table and one report on all.

    Parameters
    ----------
    models : sequence of str
        ``NAME`` or ``NAME:PRESET``: models of the registry, ``random_forest``, ``gradient_boosting`` (presets
        ``features``, ``features_metadata``); or directories of finished runs on these records, which are taken as they
        are. Models that reconstruct have a row for each probe on their codes, see `zoo.training.latent_probe`.
    out : path
        Directory of the comparison. What is finished there is kept, what is not is resumed or done again.
    data : path, optional
        Directory of records; the sample that comes with the project when absent.
    folds : str, optional
        ``all``, or numbers with commas: one row a model and fold; the first fold when absent.
    levels : str, optional
        Tree of classes, by name or as a YAML file: score all rows at each of its levels too, trees and flat networks
        by sums of their probabilities.
    arguments : sequence of str, optional
        Flags that all fits share, for instance ``--epochs 20 --seed 1``.
    quiet : bool
        No progress.

    Returns
    -------
    index : Path
        ``index.md``, beside it ``table.csv`` and ``report/`` with the figures.
    whole : bool
        Whether every row that was asked for is finished.

    Raises
    ------
    UsageError
        For an unknown model, preset or flag, or if `out` holds a comparison under other settings.
    """
    from tfrecords.reader import RecordDirectory
    from zoo.training import workers
    from zoo.training.loop import sample_directory
    from zoo.training.start import chosen_folds

    workers.refuse("zoo.compare")
    out = Path(out)
    arguments = [*(arguments or []), *([] if data is None else ["--data", str(Path(data).resolve())])]
    shared = resolve.normalise(arguments)
    taken = [token for token in shared if token.startswith("--") and token[2:] in OWN]
    if taken:
        raise UsageError(f"a comparison sets {', '.join(OWN)} itself (folds by --folds). Received: {taken[0]}")
    contenders = [contender for text in models for contender in _named(text, arguments)]
    if not contenders:
        raise UsageError("--models: at least one name is needed. Received: none")
    common = [item for item in contenders if item.is_baseline]
    path = data or _settled((common or contenders)[0]).run.data
    directory = RecordDirectory(path or sample_directory())
    if not directory.info.alert_columns:
        contenders = [item for item in contenders if item.head != "latent_columns"]
    numbers = chosen_folds(directory.info.folds, folds) if folds else [0 if directory.info.folds else None]
    rows = [dataclasses.replace(c, fold=fold) for fold in numbers for c in contenders if not c.trained]
    rows += [_checked(c, directory) for c in contenders if c.trained]
    twice = {row.key for row in rows if [each.key for each in rows].count(row.key) > 1}
    if twice:
        raise UsageError(f"--models: every model and preset once. Received: {sorted(twice)[0]} twice")
    _check_data([item for item in contenders if not item.trained], directory)
    tree = _tree(levels, contenders, directory)
    _check_settings(out, directory.info.fingerprint, shared)
    for number, contender in enumerate(rows, start=1):
        table = _read(out)
        if table.get(contender.key, {}).get("status") == "finished":
            continue
        if not quiet:
            fold = "" if contender.fold is None else f", fold {contender.fold}"
            head = "" if contender.head == "network" else f", {contender.head}"
            label = f"[{number}/{len(rows)}] {contender.model} {contender.preset}{head}{fold}"
            print(label, file=sys.stderr, flush=True)
        _enter(out, contender, *_compete(contender, out, quiet))
    table = _read(out)
    if tree is not None:
        from zoo.reports.several_levels import write_level_comparison

        places = [out / row["run"] for row in table.values() if row["status"] == "finished"]
        if places:
            write_level_comparison(places, out / "report", tree)
    index = _write_page(out, table)
    return index, all(table[row.key]["status"] == "finished" for row in rows)


def _named(text: str, arguments) -> list[Contender]:
    """Give the contenders of a name: one for each of what classifies in them."""
    if (Path(text) / CONFIG).is_file():
        path = Path(text).resolve()
        config = read_config(path)
        model, preset = config["model"], path.name
        heads = HEADS.get(registry.get(model).task, ("network",))
        return [Contender(model, preset, config["run"]["fold"], tuple(arguments), "", head, str(path))
                for head in heads]  # fmt: skip
    model, _, preset = text.partition(":")
    if model in baselines.BASELINES:
        preset = preset or next(iter(baselines.PRESETS))
        if preset not in baselines.PRESETS:
            raise UsageError(registry.unknown(f"preset of {model}", preset, baselines.PRESETS))
        resolve.common(arguments)
        return [Contender(model, preset, None, tuple(arguments))]
    known = [*registry.entries(), *baselines.BASELINES]
    if model not in registry.entries():
        raise UsageError(registry.unknown("model", model, known, "python -m zoo.list, and " + ", ".join(known[-2:])))
    settled = resolve.resolve(model, preset or None, arguments=arguments)
    heads = HEADS.get(registry.get(model).task, ("network",))
    return [Contender(model, settled.preset, None, tuple(arguments), preset, head) for head in heads]


def _checked(contender: Contender, directory) -> Contender:
    """Give a finished run with its fold. Raises UsageError if it was trained on other records, or is not finished."""
    from zoo.training.run import load_run

    fingerprint = load_run(contender.trained).bundle.spec.fingerprint
    if fingerprint != directory.info.fingerprint:
        raise UsageError(
            f"--models: a run must have been trained on the records of the comparison. "
            f"Valid: fingerprint {directory.info.fingerprint}. Received: {contender.trained}, {fingerprint}"
        )
    return dataclasses.replace(contender, fold=(contender.fold or 0) if directory.info.folds else None)


def _check_data(contenders: list[Contender], directory) -> None:
    """Raise the first UsageError if none can read the data as asked; one that can leaves the others failed rows."""
    from zoo.inputs import spec

    refused = []
    for contender in contenders:
        settled = _settled(contender)
        parts = baselines.PRESETS[contender.preset] if contender.is_baseline else settled.hparams.parts()
        try:
            spec.describe(directory, parts, settled.inputs, settled.selection)
        except UsageError as error:
            refused.append(error)
        except DataError:
            pass
    if refused and len(refused) == len(contenders):
        raise refused[0]


def _tree(name: str | None, contenders: list[Contender], directory):
    """Give the tree of a name; a class of a contender that is not in it is an error before anything is trained."""
    from zoo.inputs import labels
    from zoo.taxonomies import tree as trees

    if name is None:
        return None
    tree = trees.load(name)
    for contender in contenders:
        selection = _settled(contender).selection
        found = labels.load(directory.info.classes, selection.label_map)
        for label in (found.restrict(selection.classes) if selection.classes else found).classes:
            tree.index(label)
    return tree


def _settled(contender: Contender):
    """Give the options of a contender: those that all models share where it is a baseline."""
    if contender.trained:
        config = read_config(Path(contender.trained))
        return SimpleNamespace(run=RunConfig(**config["run"]), selection=SelectionConfig(**config["selection"]))
    if contender.is_baseline:
        return resolve.common(contender.arguments)
    preset = contender.preset_file or contender.preset
    return resolve.resolve(contender.model, preset, arguments=contender.arguments)


def _check_settings(out: Path, fingerprint: str, shared: list[str]) -> None:
    """Keep rows of one directory comparable: same records, same flags."""
    import json

    flags = dict(zip(shared[::2], shared[1::2], strict=False))
    # Where the records lie and what computes does not change the numbers.
    settings = {
        "fingerprint": fingerprint,
        "flags": {k: v for k, v in flags.items() if k not in ("--data", "--devices")},
    }
    path = out / SETTINGS
    try:
        before = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise UsageError(f"--out: an empty or new directory, or one with {SETTINGS}. Received: {out}") from None
        files.write_json(path, settings)
        return
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    if before != settings:
        raise UsageError(
            f"{out} holds a comparison with other records or flags; name another --out. "
            f"Valid: {before}. Received: {settings}"
        )


def _compete(contender: Contender, out: Path, quiet: bool) -> tuple[str, dict]:
    """Run a contender in a process of its own: what one leaves behind, or breaks, is no other's concern."""
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    # Not as a daemon: trees share their work out, which a daemon may not.
    process = context.Process(target=child, args=(contender, out, quiet, os.getpid(), sending))
    process.start()
    sending.close()
    try:
        status, found = receiving.recv()
        process.join(timeout=60)
    except EOFError:
        process.join()
        status, found = "failed", f"its process died with code {process.exitcode} (killed, or out of memory)"
    finally:
        receiving.close()
        if process.is_alive():
            process.kill()
            process.join()
    return status, {"reason": found} if status == "failed" else found


def _read(out: Path) -> dict[tuple, dict]:
    """Give the rows of the table by model, preset, head and fold; all values are text."""
    import csv

    try:
        with open(out / TABLE, newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        # Tables of earlier versions have networks alone.
        return {(row["model"], row["preset"], row.setdefault("head", "network"), row["fold"]): row for row in rows}
    except FileNotFoundError:
        return {}
    except (KeyError, ValueError) as error:
        raise DataError(f"{out / TABLE}: damaged ({type(error).__name__}: {error})") from None


def _enter(out: Path, contender: Contender, status: str, found: dict) -> None:
    """Put a row at the end of the table, in place of what an earlier try left, and draw everything anew."""
    from zoo.reports.several import write_comparison

    table = _read(out)
    table.pop(contender.key, None)
    places = [out / row["run"] for row in table.values() if row["status"] == "finished"]
    if status == "finished":
        try:
            write_comparison([*places, out / contender.place], out / "report")
        except DataError as error:
            status, found = "failed", {"reason": str(error)}
    row = dict.fromkeys(COLUMNS, "") | {
        "model": contender.model, "preset": contender.preset, "head": contender.head, "fold": contender.key[3],
        "status": status,
        "seed": str(_settled(contender).run.seed), "run": contender.place,
    }  # fmt: skip
    row |= {key: _text(value) for key, value in found.items()}
    table[contender.key] = row
    _write_table(out, list(table.values()))
    _write_page(out, table)


def _text(value) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _write_table(out: Path, rows: list[dict]) -> None:
    import csv
    import io

    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    files.write_text(out / TABLE, text.getvalue())


def _write_page(out: Path, table: dict[tuple, dict]) -> Path:
    """Write ``index.md``: the table for people, how it was measured, the figure, and what failed."""
    from zoo.reports.write import markdown_table

    forms = {
        "accuracy": ("accuracy", "{:.3f}"), "macro_f1": ("macro F1", "{:.3f}"), "log_loss": ("log-loss", "{:.3f}"),
        "weighted_log_loss": ("weighted log-loss", "{:.3f}"), "rmse": ("RMSE", "{:.4f}"),
        "clusters": ("clusters", "{:.3f}"), "parameters": ("parameters", "{:,.0f}"),
        "light_curves_per_second": ("light curves/s", "{:,.0f}"), "training_seconds": ("training, s", "{:,.0f}"),
        "epochs": ("epochs", "{:.0f}"),
    }  # fmt: skip
    finished = [row for row in table.values() if row["status"] == "finished"]
    failed = [row for row in table.values() if row["status"] != "finished"]
    probes = any(row["head"] != "network" for row in finished)
    if not probes:
        del forms["rmse"], forms["clusters"]
    header = ("model", "preset", *(["classified by"] if probes else []), "fold", *(name for name, _ in forms.values()))
    lines = [
        (row["model"], row["preset"], *([row["head"]] if probes else []), row["fold"] or "–",
         *(form.format(float(row[name])) if row.get(name) else "–" for name, (_, form) in forms.items()))
        for row in finished
    ]  # fmt: skip
    text = (0, 1, 2) if probes else (0, 1)
    parts = [
        "# Comparison of classifiers",
        markdown_table(lines, header, text=text),
        *([PROBES] if probes else []),
        NOTES,
    ]
    if finished:
        parts += ["![Macro F1 by day](report/macro_f1_by_day.png)", "More: [report/index.md](report/index.md)."]
    for page in sorted(out.glob("report/levels_*/index.md")):
        name = page.parent.name
        parts.append(
            f"At the levels of {name.removeprefix('levels_')}: [report/{name}/index.md](report/{name}/index.md)."
        )
    if failed:
        rows = [(row["model"], row["preset"], row["head"], row["fold"] or "–", row["reason"]) for row in failed]
        header = ("model", "preset", "classified by", "fold", "reason")
        parts += ["## Failed", markdown_table(rows, header, text=(0, 1, 2, 4))]
    files.write_text(out / "index.md", "\n\n".join(parts) + "\n")
    return out / "index.md"
