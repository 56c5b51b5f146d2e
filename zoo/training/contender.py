"""One row of a comparison: a model or a baseline trained, scored and timed in a process of its own."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
import statistics
import threading
import time
from pathlib import Path
from typing import Any

from tfrecords.errors import DataError, UsageError
from zoo.training import baselines, files, resolve
from zoo.training.run import CONFIG, STATE

TIMED_OBJECTS = 2000
"""Most test objects that the rate of light curves is measured on."""

_SCORES = ("accuracy", "macro_f1", "log_loss", "weighted_log_loss")
_CLOCK = "clock.json"


@dataclasses.dataclass(frozen=True)
class Contender:
    """What is trained for a row.

    Attributes
    ----------
    model : str
        Name in the registry, or of a baseline.
    preset : str
        Settled name; a file of options is given by `preset_file`.
    fold : int or None
        None in a data set without folds.
    arguments : tuple of str
        Flags that all contenders share.
    preset_file : str
        What to give to ``zoo.fit`` as its preset; the name where it is no file.
    head : {"network", "latent", "latent_columns"}
        What classifies: the network itself, or a probe on its codes, see `zoo.training.latent_probe`.
    trained : str
        Directory of a finished run that is taken as it is, its name being the preset; empty for none.
    """

    model: str
    preset: str
    fold: int | None
    arguments: tuple[str, ...]
    preset_file: str = ""
    head: str = "network"
    trained: str = ""

    @property
    def is_baseline(self) -> bool:
        """Whether trees are meant."""
        return self.model in baselines.BASELINES

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What tells rows apart: model, preset, head, fold as text."""
        return self.model, self.preset, self.head, "" if self.fold is None else str(self.fold)

    @property
    def run_place(self) -> str:
        """Directory of the run inside the comparison's."""
        fold = "" if self.fold is None else f"-fold{self.fold}"
        return f"runs/{self.model}/{self.preset}{fold}"

    @property
    def place(self) -> str:
        """Directory inside the comparison's whose ``report/`` is the row's."""
        if self.head == "network" and not self.trained:
            return self.run_place
        return f"reports/{self.run_place.removeprefix('runs/')}-{self.head}"

    @property
    def flags(self) -> list[str]:
        """The shared flags with this row's fold."""
        return [*self.arguments, *([] if self.fold is None else ["--fold", str(self.fold)])]


class _Clock:
    """Adds the time between entry and exit to a file, and what passed until then every second."""

    def __init__(self, path: Path) -> None:
        self._path, self._done = path, threading.Event()

    def __enter__(self) -> _Clock:
        self._before, self._started = elapsed(self._path), time.monotonic()
        self._thread = threading.Thread(target=self._tick, daemon=True)
        self._thread.start()
        return self

    def _tick(self) -> None:
        while not self._done.wait(1.0):
            self._write()

    def _write(self) -> None:
        files.write_json(self._path, {"seconds": self._before + time.monotonic() - self._started})

    def __exit__(self, *error) -> None:
        self._done.set()
        self._thread.join()
        self._write()


def elapsed(clock: Path) -> float:
    """Give the seconds that a run's clock shows; 0 where it has not started."""
    try:
        return float(json.loads(clock.read_text("utf-8"))["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


def compete(contender: Contender, out: Path, quiet: bool) -> dict[str, Any]:
    """Train, score and time a contender; go on with what an earlier process left.

    Parameters
    ----------
    contender : Contender
    out : Path
        Directory of the comparison.
    quiet : bool
        No progress.

    Returns
    -------
    dict
        ``accuracy``, ``macro_f1``, ``log_loss``, ``weighted_log_loss`` of the whole light curves, ``epochs``,
        ``parameters``, ``light_curves_per_second``, ``training_seconds``, of a probe ``rmse`` and ``clusters`` too;
        None where there is no such thing.
    """
    from zoo.reports.classify import write_report

    path = out / contender.place
    if contender.is_baseline:
        settled = resolve.common(contender.flags)
        shutil.rmtree(path, ignore_errors=True)
        found = {"epochs": None, "parameters": None}
        found |= baselines.run(contender.model, contender.preset, settled, path, quiet=quiet)
        write_report(path)
        return found | _headline(path)
    training = out / contender.run_place
    run = _trained(contender, training, quiet)
    found, predict = {}, None
    if contender.head == "network":
        run.evaluate(quiet=quiet, out=path if contender.trained else None)
    else:
        from zoo.training.latent_probe import probe

        found, predict = probe(run, contender.head, path, contender.preset, quiet=quiet)
        write_report(path)
    parts = getattr(run.network, "members", [run.network])
    size = sum(math.prod(item.shape) for part in parts for item in part.trainable_variables)
    clock = training.with_name(f"{training.name}.{_CLOCK}")
    return (
        {
            "epochs": _epochs(run.path),
            "parameters": int(size),
            "light_curves_per_second": rate(run, predict),
            "training_seconds": None if contender.trained else elapsed(clock),
        }
        | found
        | _headline(path)
    )


def _trained(contender: Contender, path: Path, quiet: bool):
    from zoo.training.loop import fit
    from zoo.training.run import load_run

    if contender.trained:
        return load_run(contender.trained)
    clock = path.with_name(f"{path.name}.{_CLOCK}")
    if _finished(path):
        return load_run(path)
    begun = (path / CONFIG).is_file() and (
        (path / STATE).is_file() or any((path / folder).is_dir() for folder in ("members", "stages"))
    )
    if not begun:
        shutil.rmtree(path, ignore_errors=True)
        clock.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _Clock(clock):
        if begun:
            # The run keeps its own options; it writes a report only now, and no SavedModel.
            return fit(None, resume=path, quiet=quiet)
        return fit(
            contender.model, contender.preset_file or contender.preset, arguments=contender.flags, quiet=quiet,
            runs=str(path.parent.parent), name=path.name, evaluate=False, export=False,
        )  # fmt: skip


def _finished(path: Path) -> bool:
    if not (path / "bundle" / "bundle.json").is_file():
        return False
    try:
        return json.loads((path / STATE).read_text("utf-8"))["finished"] is True
    except FileNotFoundError:
        # An ensemble has no state of its own; its bundle comes last.
        return True
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path / STATE}: damaged ({type(error).__name__}: {error})") from None


def _epochs(path: Path) -> int:
    """Count the trained epochs, over all members of an ensemble and all stages."""
    parts = sorted((*path.glob(f"members/*/{STATE}"), *path.glob(f"stages/*/{STATE}")))
    states = parts or [state for state in [path / STATE] if state.is_file()]
    return sum(json.loads(state.read_text("utf-8"))["epoch"] for state in states)


def _headline(path: Path) -> dict[str, float]:
    """Give the scores of the whole light curves from a run's report."""
    file = path / "report" / "metrics.json"
    try:
        found = json.loads(file.read_text("utf-8"))["headline"]
        return {name: float(found[name]) for name in _SCORES}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{file}: a comparison needs the scores {', '.join(_SCORES)} of a classifier's report. "
            f"Received: {type(error).__name__}: {error}"
        ) from None


def rate(run, predict=None, repeats: int = 3) -> float:
    """Measure how many light curves a second a run predicts: from records in memory to probabilities.

    Whole light curves of at most `TIMED_OBJECTS` test objects, in the batches of ``zoo.predict``, with the input
    pipeline; the middle of some passes after a first one that compiles. ``predict`` takes examples and a stage and is
    the run's own prediction when absent.
    """
    from tfrecords.reader import RecordDirectory
    from zoo.inputs.data import Examples
    from zoo.training.loop import sample_directory

    directory, spec = RecordDirectory(run.run_config.data or sample_directory()), run.bundle.spec
    indices = directory.split_indices("test", (run.run_config.fold or 0) if directory.info.folds else None)
    examples = Examples(directory, indices[:TIMED_OBJECTS], spec)
    stage = run.stage_for(directory.info)
    predict = predict or run.predictor
    predict(examples, stage)
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        predict(examples, stage)
        times.append(time.perf_counter() - started)
    return len(examples) / statistics.median(times)


def child(contender: Contender, out: Path, quiet: bool, parent: int, answer) -> None:
    """Compete in a process of its own and send the row, or why there is none.

    Parameters
    ----------
    contender, out, quiet
        See `compete`.
    parent : int
        Process that waits for the answer; when it is gone this one ends, so that a repeated command finds no rival.
    answer : multiprocessing.connection.Connection
        Gets ``("finished", row)`` or ``("failed", reason)``.
    """
    from zoo.quiet import silence

    silence()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    try:
        answer.send(("finished", compete(contender, out, quiet)))
    except (DataError, UsageError) as error:
        answer.send(("failed", str(error)))
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        answer.send(("failed", f"{type(error).__name__}: {first}"))


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
