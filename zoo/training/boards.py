"""What a run shows while it trains: TensorBoard logs, and the user's own logger."""

from __future__ import annotations

from pathlib import Path

from zoo import registry
from zoo.training import logger
from zoo.training.resolve import Resolved

BOARDS = {
    "reconstruct": "zoo.training.reconstruction:ReconstructionBoard",
    "reconstruct_stamps": "zoo.training.stamp_reconstruction:StampBoard",
    "reconstruct_classify": "zoo.training.stamp_reconstruction:StampBoard",
}
"""What draws the reconstructions of a task in TensorBoard."""


def boards(path: Path, settled: Resolved, spec, validation, stage) -> list:
    """Give the callbacks that write a run's TensorBoard logs, and the user's own logger if there is one.

    Parameters
    ----------
    path : Path
        Of the run.
    settled : Resolved
    spec : DataSpec
    validation : Examples
    stage : Stage
    """
    import keras
    from tensorboard.plugins.hparams import api

    from zoo.training.callbacks import ClassBoard

    folder = path / "tensorboard"
    flat = {key: value for section in settled.sections().values() for key, value in section.items()}
    plain = {key: value if isinstance(value, (bool, int, float, str)) else str(value)
             for key, value in flat.items() if value is not None}  # fmt: skip
    found = [keras.callbacks.TensorBoard(str(folder), write_graph=False), ClassBoard(folder, spec.classes)]
    task = registry.get(settled.model).task
    if task in BOARDS and len(validation):
        found.append(registry.load(BOARDS[task])(folder, validation, stage, settled.run.figure_epochs))
    own = [logger.create(settled.run.logger, path, flat)] if settled.run.logger else []
    return [*found, api.KerasCallback(str(folder), plain, trial_id=f"{path.parent.name}/{path.name}"), *own]
