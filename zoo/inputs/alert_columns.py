"""What a run knows of the stamps of its data: channels, size, columns of an alert."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfrecords.batch import height_width_channels, named_objects
from tfrecords.errors import DataError, UsageError
from tfrecords.reader import RecordDirectory

LOOKED_AT = 64
"""Records that are looked at for their stamps before training."""


def describe(directory: RecordDirectory, names) -> dict[str, Any]:
    """Give channels, size and columns as `zoo.inputs.spec.DataSpec` keeps them.

    Parameters
    ----------
    directory : RecordDirectory
    names : list of str or None
        Columns of an alert that the model takes, in order; all that carry no caution when None.

    Raises
    ------
    UsageError
        If there is no column of a name, or one is named twice.
    DataError
        If the records have no stamps, or stamps that are not square or not of one shape.
    """
    from zoo.inputs.spec import Column

    info = directory.info
    table = {column.name: column for column in info.alert_columns}
    if not info.stamp_channels:
        raise DataError(
            f"{directory.path}: the model reads stamps, and these records hold none; python -m data_tools.ztf makes "
            f"such records. Received: {info.survey}, records without stamps"
        )
    if names is None:
        names = [name for name, column in table.items() if not column.caution]
    for name in names:
        if name not in table:
            raise UsageError(
                f"--alert-columns: {directory.path} has no such column of an alert. "
                f"Valid: {', '.join(table) or 'none'}. Received: {name!r}"
            )
    if len(set(names)) != len(names):
        raise UsageError(f"--alert-columns: a column is named once. Received: {','.join(names)}")
    return {
        "channels": info.stamp_channels,
        "stamp_size": _size(directory),
        "alert_columns": tuple(Column(name, tuple(table[name].missing), table[name].caution) for name in names),
        "record_alert_columns": tuple(table),
    }


def _size(directory: RecordDirectory) -> int:
    """Give height and width of the stamps, after looking at some records."""
    size = 0
    for place in np.unique(np.linspace(0, len(directory) - 1, LOOKED_AT).astype("int64")):
        record = directory.record(int(place))
        if record.stamps is None:
            raise DataError(
                f"{directory.path}: the model reads stamps, and object {record.object_id!r} has none. "
                "Valid: at least one alert an object. Received: 0"
            )
        shape = record.stamps.images.shape[1:]
        size = size or shape[0]
        if shape[:2] != (size, size):
            raise DataError(
                f"{directory.path}: stamps must be squares of one size, and those of object {record.object_id!r} are "
                f"others. Valid: {size}x{size}. Received: {height_width_channels(shape)}"
            )
    return size


def values(serialized, shape, size: int, inputs) -> np.ndarray:
    """Give all columns (row, column), float32, of the alerts of records that ``inputs`` lets a model see.

    Raises
    ------
    DataError
        If stamps are of another shape than ``shape`` or have not ``size`` columns; the message names the objects.
    """
    from zoo.inputs import stamps

    with named_objects():
        alerts = stamps.parse(serialized, shape, size)
    return stamps.seen(alerts, inputs).values.numpy()


def check(spec, info, where: str) -> None:
    """Refuse data whose stamps are not those of a model: other channels, or without its columns of an alert."""
    channels = tuple(getattr(info, "stamp_channels", ()))
    if channels != spec.channels:
        raise DataError(
            f"{where}: the channels of the stamps are not those the model was trained on. "
            f"Valid: {', '.join(spec.channels)}. Received: {', '.join(channels) or 'no stamps'}"
        )
    have = [column.name for column in getattr(info, "alert_columns", ())]
    for column in spec.alert_columns:
        if column.name not in have:
            raise DataError(
                f"{where}: lacks the column {column.name!r} of an alert that the model takes. "
                f"Received: {', '.join(have) or 'no such columns'}"
            )
