"""The files of a run that reports are drawn from, read and checked."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfrecords.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

CONFIG = "report/report_config.json"
PREDICTIONS = "report/predictions_by_day.parquet"
LIGHT_CURVES = "report/light_curves.parquet"
STEPS = "report/steps.parquet"
ACTIVATIONS = "report/class_activations.parquet"
HISTORY = "metrics.csv"
COMPOSITION = "class_composition.csv"

HISTORY_COLUMNS = ("epoch", "learning_rate") + tuple(
    prefix + name for prefix in ("", "val_") for name in ("loss", "macro_f1", "accuracy")
)
LIGHT_CURVE_COLUMNS = ("object_id", "class", "mjd", "time_from_ref", "band", "flux", "flux_err", "flags")
COMPOSITION_COLUMNS = ("split", "class", "count")


@dataclass(frozen=True)
class ReportConfig:
    """What ``report_config.json`` says of a run.

    Attributes
    ----------
    model, run, task, survey : str
    preset : str or None
    classes : list of str
        In the model's order.
    class_weights : dict of str to float, or None
        Weights of the weighted log-loss; None weighs all classes alike.
    cautions : list of str
        What a reader of the scores must know, for example inputs that a real survey would not have.
    seed : int or None
    fold : int or None
    flux_unit : str
        Unit of the light curves' flux, optional in the file.
    taxonomy : dict or None
        Tree of a hierarchical run: ``name, nodes, parents`` and ``class_nodes``, the node of every class.
    """

    model: str
    run: str
    task: str
    survey: str
    classes: list[str]
    preset: str | None = None
    class_weights: dict[str, float] | None = None
    cautions: list[str] = field(default_factory=list)
    seed: int | None = None
    fold: int | None = None
    flux_unit: str = ""
    taxonomy: dict[str, Any] | None = None

    @property
    def group(self) -> str:
        """Model and preset, the key under which folds and seeds are averaged."""
        return f"{self.model} {self.preset}" if self.preset else self.model

    @property
    def mark(self) -> str:
        """What titles end with where cautions apply."""
        return " † see cautions" if self.cautions else ""


@dataclass(frozen=True)
class RunFiles:
    """A run's tables; those that a run may lack are None.

    Attributes
    ----------
    path : Path
    config : ReportConfig
    predictions : DataFrame
        One row per (object, day), see `zoo.reports.predictions.by_day`.
    history, composition, light_curves, activations : DataFrame or None
    steps : DataFrame or None
        Probabilities of the drawn objects at every step, of models that give them.
    """

    path: Path
    config: ReportConfig
    predictions: pd.DataFrame
    history: pd.DataFrame | None = None
    composition: pd.DataFrame | None = None
    light_curves: pd.DataFrame | None = None
    steps: pd.DataFrame | None = None
    activations: pd.DataFrame | None = None

    @property
    def predictions_path(self) -> Path:
        """Where the predictions lie, for messages."""
        return self.path / PREDICTIONS


def read_run(run_dir: str | Path, only_scores: bool = False) -> RunFiles:
    """Read what reports need of a run directory.

    Parameters
    ----------
    run_dir : path
        ``runs/<model>/<name>``.
    only_scores : bool
        Leave the history, the class composition, the light curves and the class activations unread.

    Returns
    -------
    RunFiles
        ``metrics.csv``, ``class_composition.csv``, ``light_curves.parquet``, ``steps.parquet`` and
        ``class_activations.parquet`` may be absent (a converted model has no history); where they exist they must
        be whole.

    Raises
    ------
    DataError
        A file is missing or broken; the message names it and the command that makes it.
    """
    path = Path(run_dir)
    config = read_config(path)
    predictions = _parquet(path, PREDICTIONS)
    if only_scores:
        return RunFiles(path, config, predictions)
    history = _csv(path, HISTORY, ("epoch",))
    if history is not None:
        _numeric(path / HISTORY, path, history, [name for name in HISTORY_COLUMNS if name in history.columns])
    composition = _csv(path, COMPOSITION, COMPOSITION_COLUMNS, text=("split", "class"))
    if composition is not None:
        _numeric(path / COMPOSITION, path, composition, ["count"])
    light_curves = steps = activations = None
    if (path / LIGHT_CURVES).exists():
        light_curves = _parquet(path, LIGHT_CURVES, LIGHT_CURVE_COLUMNS)
        _numeric(path / LIGHT_CURVES, path, light_curves, ["time_from_ref", "flux", "flux_err", "flags"])
    if (path / STEPS).exists():
        steps = _parquet(path, STEPS, ("object_id", "step", "time_days"))
        _numeric(path / STEPS, path, steps, [name for name in steps.columns if name != "object_id"])
    if (path / ACTIVATIONS).exists():
        columns = ["object_id", "step", *(f"a_{name}" for name in config.classes)]
        activations = _parquet(path, ACTIVATIONS, tuple(columns))
        _numeric(path / ACTIVATIONS, path, activations, columns[1:])
    return RunFiles(path, config, predictions, history, composition, light_curves, steps, activations)


def read_predictions(run_dir: str | Path, relative: str, columns: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read a table of predictions of a run, by its place in the run, that must have some columns."""
    return _parquet(Path(run_dir), relative, columns)


def read_config(run_dir: str | Path) -> ReportConfig:
    """Read and check ``report/report_config.json`` of a run; keys that reports do not use are let pass."""
    path = Path(run_dir)
    file = path / CONFIG
    if not file.is_file():
        raise _missing(file, path)
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise _broken(file, path, "must be JSON", error) from error
    if not isinstance(raw, dict):
        raise _broken(file, path, "must hold one JSON object", type(raw).__name__)
    for key in ("model", "run", "task", "survey"):
        _expect(file, path, raw, key, str)
    for key in ("classes", "cautions"):
        _expect(file, path, raw, key, list)
        if not all(isinstance(item, str) for item in raw[key]):
            raise _broken(file, path, f"key {key!r} must be a list of text", repr(raw[key]))
    if not raw["classes"] or len(set(raw["classes"])) != len(raw["classes"]):
        raise _broken(file, path, "key 'classes' must be different names", raw["classes"])
    _expect(file, path, raw, "preset", str, optional=True)
    for key in ("seed", "fold"):
        _expect(file, path, raw, key, int, optional=True)
    _expect(file, path, raw, "class_weights", dict, optional=True)
    for name, weight in (raw.get("class_weights") or {}).items():
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if name not in raw["classes"] or not number or not 0 < weight < float("inf"):
            what = "key 'class_weights' must give classes a number > 0"
            raise _broken(file, path, what, f"{name!r}: {weight!r}")
    _expect(file, path, raw, "taxonomy", dict, optional=True)
    if "flux_unit" in raw:
        _expect(file, path, raw, "flux_unit", str)
    return ReportConfig(**{key: raw[key] for key in ReportConfig.__dataclass_fields__ if key in raw})


def _expect(file: Path, run: Path, raw: dict[str, Any], key: str, kind: type, optional: bool = False) -> None:
    value = raw.get(key)
    if optional and value is None:
        return
    if key not in raw or not isinstance(value, kind) or isinstance(value, bool):
        words = {str: "text", list: "a list", int: "a whole number", dict: "an object"}[kind]
        received = repr(value) if key in raw else "no such key"
        raise _broken(file, run, f"key {key!r} must be {words}{' or null' if optional else ''}", received)


def _parquet(run: Path, relative: str, columns: tuple[str, ...] = ()) -> pd.DataFrame:
    import pandas as pd
    import pyarrow

    file = run / relative
    if not file.is_file():
        raise _missing(file, run)
    try:
        table = pd.read_parquet(file)
    except (pyarrow.ArrowException, ValueError, OSError) as error:
        raise _broken(file, run, "must be a readable parquet table", str(error).partition("\n")[0]) from error
    return _with_columns(file, run, table, columns)


def _csv(run: Path, relative: str, columns: tuple[str, ...], text: tuple[str, ...] = ()) -> pd.DataFrame | None:
    import pandas as pd

    file = run / relative
    if not file.exists():
        return None
    try:
        # Class names such as "90" or "NA" are names.
        table = pd.read_csv(file, dtype=dict.fromkeys(text, str), keep_default_na=not text)
    except (ValueError, OSError) as error:
        raise _broken(file, run, "must be a readable CSV table", error) from error
    return _with_columns(file, run, table, columns)


def _with_columns(file: Path, run: Path, table: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise _broken(file, run, f"misses the columns {missing}", list(table.columns))
    return table


def _numeric(file: Path, run: Path, table: pd.DataFrame, columns: list[str]) -> None:
    import pandas as pd

    for name in columns:
        if not pd.api.types.is_numeric_dtype(table[name]) and len(table):
            number = pd.to_numeric(table[name], errors="coerce")
            bad = table[name][number.isna()]
            raise _broken(file, run, f"column {name!r} must hold numbers", repr(bad.iloc[0]))


def _missing(file: Path, run: Path) -> DataError:
    found = "no such run directory" if not run.is_dir() else f"{run} without it"
    return DataError(f"{file} is missing; `python -m zoo.evaluate {run}` makes it. Received: {found}")


def _broken(file: Path, run: Path, what: str, received: object) -> DataError:
    maker = "python -m zoo.fit" if file.name in (HISTORY, COMPOSITION) else f"python -m zoo.evaluate {run}"
    return DataError(f"{file}: {what}; `{maker}` makes it anew. Received: {received}")
