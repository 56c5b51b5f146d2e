"""Search over hyperparameters with KerasTuner; every trial is an ordinary run of the fit loop."""

from __future__ import annotations

import csv
import io
import os
import shutil
import threading
import time
from pathlib import Path

import hparams as preset_files
from tfrecords.errors import DataError, UsageError
from zoo import registry
from zoo.training import files, workers
from zoo.training.resolve import resolve
from zoo.training.run import Run, read_state

TUNERS = ("random", "bayesian", "hyperband")
OBJECTIVE = "objective"
DRAWS = 1000
"""Times that values are drawn before there are none that go together."""

COLUMNS = ("trial", "status", "score", "epochs", "seconds")


def space(family: str):
    """Give the search space of a family's YAML file as KerasTuner's HyperParameters."""
    import keras_tuner

    table = preset_files.family(family).get("search")
    if not table:
        raise UsageError(f"hparams/{family}.yaml has no search space. Received: {family!r}")
    hyperparameters = keras_tuner.HyperParameters()
    for name, rule in table.items():
        if rule["type"] == "choice":
            hyperparameters.Choice(name, rule["values"])
        elif rule["type"] == "int":
            hyperparameters.Int(name, rule["min"], rule["max"], sampling=rule.get("sampling"))
        elif rule["type"] == "float":
            hyperparameters.Float(name, rule["min"], rule["max"], sampling=rule.get("sampling"))
        else:
            raise DataError(
                f"hparams/{family}.yaml: search.{name}: valid types are choice, int, float. Received: {rule['type']!r}"
            )
    return hyperparameters


def fits(model: str, flat: dict, values: dict) -> bool:
    """Say whether drawn values go together, and with the fixed options: heads must divide the width, for instance."""
    try:
        resolve(model, **(flat | {key: value for key, value in values.items() if not key.startswith("tuner/")}))
    except UsageError:
        return False
    return True


def _drawing(kind: type, valid) -> type:
    """Give a kind of oracle that draws again where values do not go together."""

    class Drawing(kind):
        def _random_values(self):
            for _ in range(DRAWS):
                values = super()._random_values()
                if values is None or valid(values):
                    return values
            return None

        def populate_space(self, trial_id):
            found = super().populate_space(trial_id)
            # The Bayesian search rounds the best point of its model without asking for more.
            if found.get("values") and not valid(found["values"]):
                values = self._random_values()
                return {"status": "STOPPED" if values is None else "RUNNING", "values": values}
            return found

    return Drawing


def _oracle(tuner: str, trials: int, epochs: int, seed: int, hyperparameters, mode: str, valid):
    import keras_tuner
    from keras_tuner import oracles

    common = {
        "objective": keras_tuner.Objective(OBJECTIVE, mode),
        "hyperparameters": hyperparameters,
        "allow_new_entries": False,
        "tune_new_entries": False,
        # Trials that fail, as for want of memory, end no search, however many come in a row.
        "max_consecutive_failed_trials": max(trials, 3),
        "seed": seed,
    }
    if tuner == "random":
        return _drawing(oracles.RandomSearchOracle, valid)(max_trials=trials, **common)
    if tuner == "bayesian":
        return _drawing(oracles.BayesianOptimizationOracle, valid)(max_trials=trials, **common)
    if tuner == "hyperband":
        return _drawing(oracles.HyperbandOracle, valid)(max_epochs=epochs, factor=3, **common)
    raise UsageError(registry.unknown("tuner", tuner, TUNERS))


def tune(model: str, preset: str | None = None, *, config: str | None = None, arguments=None,
         tuner: str = "random", trials: int = 20, directory="tuning", name: str | None = None,
         chief_limit: float = 86400.0, quiet: bool = False, **options) -> Path:  # fmt: skip
    """Search the hyperparameters of a model.

    A search of the same directory and name goes on where it was stopped. Each trial is a run under
    ``<directory>/<name>/runs/``; ``trials.csv`` gets a row as each ends; the best configuration is
    ``best.yaml``, which ``zoo.fit --preset`` takes. Under KerasTuner's environment variables
    (``KERASTUNER_TUNER_ID``, ``KERASTUNER_ORACLE_IP``, ``KERASTUNER_ORACLE_PORT``) this process is the
    chief, or one of its workers on the same file system.

    Parameters
    ----------
    model, preset, config, arguments, **options
        The fixed part of every trial, as `zoo.fit` takes them.
    tuner : {"random", "bayesian", "hyperband"}
    trials : int
        Number of trials; hyperband sets its own from ``epochs``.
    directory, name : str
        Where the search is kept.
    chief_limit : float
        Seconds after which the chief ends, whatever its workers do.
    quiet : bool
        No progress.

    Returns
    -------
    Path
        ``best.yaml``; for the chief of a distributed search, ``trials.csv``.
    """
    import keras_tuner

    from zoo.tasks import base

    workers.refuse("zoo.tune")
    entry = registry.get(model)
    fixed = resolve(model, preset, config, arguments, **options)
    task = base.find(entry.task, fixed.run.loss)
    project = name or f"{model}-{fixed.preset}-{tuner}"
    root = Path(directory) / project
    root.mkdir(parents=True, exist_ok=True)
    flat = {key: value for section in fixed.sections().values() for key, value in section.items()}
    oracle = _oracle(
        tuner, trials, fixed.run.epochs, fixed.run.seed, space(entry.family), task.mode,
        lambda values: fits(model, flat, values),
    )  # fmt: skip

    class Search(keras_tuner.engine.base_tuner.BaseTuner):
        def run_trial(self, trial):
            return _trial(self, trial, model, flat, root, quiet)

        def on_trial_end(self, trial):
            super().on_trial_end(trial)
            if trial.status != "COMPLETED":
                _append(root / "trials.csv", trial.trial_id, trial.status, "", "", "", trial, flat)

    search = Search(oracle, directory=str(directory), project_name=project)
    chief = os.environ.get("KERASTUNER_TUNER_ID") == "chief"
    if chief:
        _limit(chief_limit, root)
    search.oracle.verbose = False
    search.search()
    if chief:
        return root / "trials.csv"
    best = [trial for trial in search.oracle.get_best_trials(1) if trial.score is not None]
    if not best:
        raise DataError(f"{root}: no trial was completed. Received: {_last_message(search.oracle)}")
    return _write_best(root, model, flat, best[0])


def _last_message(oracle) -> str:
    """Give the last line of the newest failed trial's traceback, if this process has it."""
    messages = [trial.message for trial in getattr(oracle, "trials", {}).values() if trial.message]
    return messages[-1].strip().splitlines()[-1] if messages else "no completed trial"


def _trial(search, trial, model: str, flat: dict, root: Path, quiet: bool) -> dict[str, float]:
    """Train one trial and give its objective."""
    import keras

    from zoo.training.loop import fit

    keras.backend.clear_session()
    started, values = time.monotonic(), dict(trial.hyperparameters.values)
    budget = {key: values.pop(key) for key in list(values) if key.startswith("tuner/")}
    epochs = int(budget.get("tuner/epochs", flat["epochs"]))
    path = root / "runs" / model / f"trial-{trial.trial_id}"
    # A trial that was interrupted comes again under its own number and starts anew.
    shutil.rmtree(path, ignore_errors=True)
    earlier = budget.get("tuner/trial_id")
    before = root / "runs" / model / f"trial-{earlier}" if earlier else None
    if before is not None and (before / "state.json").is_file():
        shutil.copytree(before, path)
        run = fit(model, resume=path, epochs=epochs, quiet=True)
    else:
        settled = flat | values | {"epochs": epochs, "runs": str(root / "runs"), "name": path.name}
        single = {"evaluate": False, "export": False, "members": 1}
        run = fit(model, quiet=True, **(settled | single))
    best = read_state(run.path)["best"]
    seconds = round(time.monotonic() - started, 1)
    _append(root / "trials.csv", trial.trial_id, "COMPLETED", best, epochs, seconds, trial, flat)
    if not quiet:
        print(f"trial {trial.trial_id}: {best:.4f} after {epochs} epochs, {seconds} s {values}", flush=True)
    return {OBJECTIVE: best}


def _append(path: Path, number, status, score, epochs, seconds, trial, flat) -> None:
    """Add a row in one write, so that several workers can share the file."""
    names = sorted(key for key in trial.hyperparameters.values if key in flat)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if not path.exists():
        writer.writerow([*COLUMNS, *names])
    values = [trial.hyperparameters.values[key] for key in names]
    writer.writerow([number, status, score, epochs, seconds, *values])
    with open(path, "ab", buffering=0) as stream:
        stream.write(text.getvalue().encode("utf-8"))


def _write_best(root: Path, model: str, flat: dict, trial) -> Path:
    import yaml

    tuned = {key: value for key, value in trial.hyperparameters.values.items() if key in flat}
    run = Run(root / "runs" / model / f"trial-{trial.trial_id}")
    placed = ("data", "extra_data", "runs", "name", "evaluate", "export", "devices")
    options = {key: value for key, value in (flat | tuned).items() if key not in placed}
    options["epochs"] = run.run_config.epochs
    text = f"# The best trial of {root.name}: {trial.trial_id}, {trial.score:.4f} on validation.\n"
    path = root / "best.yaml"
    files.write_text(path, text + yaml.safe_dump(options, sort_keys=False))
    return path


def _limit(seconds: float, root: Path) -> None:
    """End the process after a time: KerasTuner's chief waits for workers that died for ever."""

    def end() -> None:
        print(f"error: {root}: the chief's time limit of {seconds:g} s is over", flush=True)
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
