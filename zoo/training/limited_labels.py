"""Limited-label experiments: models on subsets of the labels, from scratch and pre-trained, in one table and figure."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tfrecords.errors import DataError, UsageError
from tfrecords.subsets import SUBSETS
from zoo.training import compare, files, resolve
from zoo.training.contender import Contender
from zoo.training.run import read_config

WHOLE = "full"
"""What the training split with all its labels is called."""

SCRATCH, PRETRAINED = "scratch", "pretrained"
OWN = (*compare.OWN, "seed", "subset", "init_from")
"""Options of ``zoo.fit`` that the experiment sets itself."""

COLUMNS = (
    "model", "preset", "start", "subset", "fold", "seed", "status", "labels", "accuracy", "macro_f1", "log_loss",
    "epochs", "training_seconds", "run", "reason",
)  # fmt: skip
_KEY = ("model", "preset", "start", "subset", "fold", "seed")


@dataclass(frozen=True)
class LimitedContender(Contender):
    """What is trained for a row: a contender on a subset of the labels.

    Attributes
    ----------
    subset : str
    seed : int
    sources : tuple of str
        ``[PART=]RUN`` to start from; empty for none.
    """

    subset: str = WHOLE
    seed: int = 0
    sources: tuple[str, ...] = ()

    @property
    def start(self) -> str:
        """Whether it starts from other runs."""
        return PRETRAINED if self.sources else SCRATCH

    @property
    def key(self) -> tuple[str, ...]:
        """What tells rows apart."""
        model, preset, _, fold = super().key
        return model, preset, self.start, self.subset, fold, str(self.seed)

    @property
    def run_place(self) -> str:
        """Directory of the run inside the experiment's."""
        return f"{super().run_place}-{self.subset}-{self.start}-seed{self.seed}"

    @property
    def flags(self) -> list[str]:
        """The shared flags with this row's fold, seed, subset and sources."""
        subset = [] if self.subset == WHOLE else ["--subset", self.subset]
        sources = ["--init-from", ",".join(self.sources)] if self.sources else []
        return [*super().flags, "--seed", str(self.seed), *subset, *sources]


def experiment(
    models: Sequence[str], out: str | Path, *, subsets: Sequence[str] = (WHOLE, *SUBSETS),
    pretrained: Sequence[str] = (), seeds: Sequence[int] = (0,), data=None, folds: str | None = None, arguments=None,
    quiet: bool = False,
) -> tuple[Path, bool]:  # fmt: skip
    """Train models on subsets of the labels one after the other and write one table and figure.

    Parameters
    ----------
    models : sequence of str
        ``NAME`` or ``NAME:PRESET``, as `zoo.training.compare.compare` takes them.
    out : path
        Directory of the experiment. What is finished there is kept, what is not is resumed or done again.
    subsets : sequence of str
        Some of ``full``, ``sub50``, ``sub25`` and ``sub10``, see ``SelectionConfig.subset``.
    pretrained : sequence of str
        ``RUN`` or ``PART=RUN``: every network is trained from these too, beside from scratch; trees are not.
        ``{fold}`` and ``{seed}`` in it stand for the row's.
    seeds : sequence of int
        One row each; a seed draws the subset as well.
    data : path, optional
        Directory of records; the sample that comes with the project when absent.
    folds : str, optional
        ``all``, or numbers with commas; the first fold when absent.
    arguments : sequence of str, optional
        Flags that all fits share.
    quiet : bool
        No progress.

    Returns
    -------
    index : Path
        ``index.md``, beside it ``table.csv``, ``scores_by_labels.csv`` and ``scores_by_labels.png``.
    whole : bool
        Whether every row that was asked for is finished.

    Raises
    ------
    UsageError
        For an unknown model, preset, flag, subset or run, for a pre-trained run of another fold of the same records,
        or if `out` holds an experiment under other settings.
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
        raise UsageError(
            f"limited labels set {', '.join(OWN)} themselves (--folds, --seeds, --subsets, --pretrained). "
            f"Received: {taken[0]}"
        )
    _check_names("--subsets", subsets, (WHOLE, *SUBSETS))
    if len(set(seeds)) != len(seeds) or not seeds or min(seeds) < 0:
        raise UsageError(f"--seeds: different numbers from 0 on. Received: {','.join(map(str, seeds))}")
    named = [_classifier(text, arguments) for text in models]
    _check_names("--models", [f"{each.model}:{each.preset}" for each in named])
    directory = RecordDirectory(_data(named[0], arguments) or sample_directory())
    numbers = chosen_folds(directory.info.folds, folds) if folds else [0 if directory.info.folds else None]
    rows = []
    for fold in numbers:
        for seed in seeds:
            sources = tuple(_source(text, fold, seed, directory) for text in pretrained)
            for subset in subsets:
                for each in named:
                    rows += [
                        LimitedContender(each.model, each.preset, fold, each.arguments, each.preset_file,
                                         subset=subset, seed=seed, sources=start)
                        for start in ((), sources)[: 2 if sources and not each.is_baseline else 1]
                    ]  # fmt: skip
    compare._check_settings(out, directory.info.fingerprint, [*shared, "--pretrained", ",".join(pretrained)])
    for number, row in enumerate(rows, start=1):
        if _read(out).get(row.key, {}).get("status") == "finished":
            continue
        if not quiet:
            print(f"[{number}/{len(rows)}] {' '.join(row.key)}", file=sys.stderr, flush=True)
        _enter(out, row, *compare._compete(row, out, quiet))
    table = _read(out)
    return out / "index.md", all(table[row.key]["status"] == "finished" for row in rows)


def _classifier(text: str, arguments) -> Contender:
    """Give the contender of a name that classifies by itself and is to be trained."""
    for found in compare._named(text, arguments):
        if found.head == "network" and not found.trained:
            return found
    raise UsageError(f"--subsets trains classifiers: NAME or NAME:PRESET of one. Received: {text}")


def _check_names(flag: str, names: Sequence[str], valid: Sequence[str] = ()) -> None:
    wrong = [name for name in names if valid and name not in valid]
    if wrong or not names or len(set(names)) != len(names):
        meant = f"different ones of {', '.join(valid)}" if valid else "every model and preset once, at least one"
        raise UsageError(f"{flag}: {meant}. Received: {','.join(names) or 'none'}")


def _data(contender: Contender, arguments) -> str | None:
    if contender.is_baseline:
        return resolve.common(arguments).run.data
    return resolve.resolve(contender.model, contender.preset_file or contender.preset, arguments=arguments).run.data


def _source(text: str, fold, seed: int, directory) -> str:
    """Settle a source for a row; one that was trained on what the row validates on is refused."""
    text = text.replace("{fold}", str(fold or 0)).replace("{seed}", str(seed))
    part, mark, run = text.partition("=")
    path = Path(run if mark and not Path(text).is_dir() else text)
    if not path.is_dir():
        raise UsageError(f"--pretrained: [PART=]RUN with the directory of a run. Received: {text}")
    config = read_config(path)
    before = config["run"].get("fold") or 0
    if fold is not None and config.get("data_fingerprint") == directory.info.fingerprint and before != fold:
        raise UsageError(
            f"--pretrained: {path} was trained on fold {before} of these records and knows objects that fold {fold} "
            f"validates on; write {{fold}} in place of the number in its name. Received: {text}"
        )
    return f"{part}={path.resolve()}" if path == Path(run) and mark else str(path.resolve())


def _labels(path: Path) -> int:
    """Count the training objects of a run."""
    try:
        with open(path / "class_composition.csv", newline="", encoding="utf-8") as stream:
            return sum(int(row["count"]) for row in csv.DictReader(stream) if row["split"] == "train")
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{path}: the numbers of training objects cannot be read: {error}") from None


def _accuracy(path: Path) -> float:
    import json

    try:
        return float(json.loads((path / "report" / "metrics.json").read_text("utf-8"))["headline"]["accuracy"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: the report of a classifier with its accuracy is needed: {error}") from None


def _read(out: Path) -> dict[tuple, dict]:
    try:
        with open(out / compare.TABLE, newline="", encoding="utf-8") as stream:
            return {tuple(row[name] for name in _KEY): row for row in csv.DictReader(stream)}
    except FileNotFoundError:
        return {}
    except (KeyError, ValueError) as error:
        raise DataError(f"{out / compare.TABLE}: damaged ({type(error).__name__}: {error})") from None


def _enter(out: Path, contender: LimitedContender, status: str, found: dict) -> None:
    """Put a row at the end of the table, in place of what an earlier try left, and draw everything anew."""
    from zoo.reports.limited_labels import write

    table = _read(out)
    table.pop(contender.key, None)
    if status == "finished":
        try:
            path = out / contender.place
            found = found | {"labels": _labels(path), "accuracy": _accuracy(path)}
        except DataError as error:
            status, found = "failed", {"reason": str(error)}
    row = dict.fromkeys(COLUMNS, "") | dict(zip(_KEY, contender.key, strict=True))
    row |= {"status": status, "run": contender.place}
    row |= {key: compare._text(value) for key, value in found.items() if key in COLUMNS}
    table[contender.key] = row
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table.values())
    files.write_text(out / compare.TABLE, text.getvalue())
    write(out)
