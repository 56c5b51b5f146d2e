"""``--config-from RUN``: hyperparameters of an earlier run for a new one, as AstroM3's ``config_from`` copies them."""

from __future__ import annotations

from pathlib import Path

from tfrecords.errors import UsageError
from zoo.training.run import CONFIG, read_config

KEYS = (
    "optimizer", "learning_rate", "beta_1", "weight_decay", "coupled_decay", "clip_norm", "epochs", "schedule",
    "warmup", "warmup_epochs", "plateau_factor", "plateau_patience", "plateau_threshold", "final_rate", "decay_rate",
    "patience", "patience_by", "patience_start", "init_from", "freeze", "data", "subset", "fold_period", "fold_zero",
    "spectrum_error", "spectrum_error_scaled", "use_scale", "use_err", "photo_cols", "photo_use_scale",
    "spectra_use_err", "spectra_use_scale",
)  # fmt: skip
"""Options that are copied, and with them every one whose name ends in ``dropout``."""


def options(run: str | Path, valid) -> dict:
    """Give the values of an earlier run that a new one takes over.

    Parameters
    ----------
    run : path
        Directory of the earlier run, finished or not.
    valid : collection of str
        Options that the new run has; what only one of the two has is left out.

    Raises
    ------
    UsageError
        If `run` is not the directory of a run.
    DataError
        If its configuration is damaged.
    """
    if not (Path(run) / CONFIG).is_file():
        raise UsageError(f"--config-from must be the directory of a run, one with {CONFIG}. Received: {run}")
    stored = read_config(Path(run))
    flat = {key: value for section in ("hparams", "inputs", "selection", "run")
            for key, value in stored[section].items()}  # fmt: skip
    return {key: flat[key] for key in valid if key in flat and (key in KEYS or key.endswith("dropout"))}


def origin(run: str | Path) -> str:
    """Give what is said of the origin of a copied value."""
    return f"run {run}"


def message(settled, run: str | Path) -> str:
    """Say which values a configuration has from an earlier run, and which of those it could have it has not."""
    flat = {key: value for section in settled.sections().values() for key, value in section.items()}
    copied = options(run, flat)
    taken = [f"{key} {flat[key]}" for key in copied if settled.origin[key] == origin(run)]
    own = [f"{key} {flat[key]}" for key in copied if settled.origin[key] != origin(run)]
    return f"taken from {run}: {', '.join(taken) or 'nothing'}" + (f"; set here: {', '.join(own)}" if own else "")
