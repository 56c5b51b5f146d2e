"""``--logger MODULE:CLASS``: a user's own Keras callback in the fit loop."""

from __future__ import annotations

import importlib
from pathlib import Path

from tfrecords.errors import UsageError


def find(reference: str):
    """Import the class that a ``MODULE:CLASS`` names.

    Raises
    ------
    UsageError
        If the module cannot be imported, or has no Keras callback of this name.
    """
    import keras

    module, name = reference.split(":")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except Exception as error:
        raise UsageError(
            f"--logger: the module {module!r} cannot be imported (it must lie on the path, PYTHONPATH for instance): "
            f"{type(error).__name__}: {error}. Received: {reference}"
        ) from error
    if not (isinstance(found, type) and issubclass(found, keras.callbacks.Callback)):
        raise UsageError(
            f"--logger: {name!r} of module {module!r} must be a subclass of keras.callbacks.Callback. "
            f"Received: {'no such name' if found is None else found}"
        )
    return found


def create(reference: str, path: Path, settings: dict):
    """Make the callback of a run.

    Parameters
    ----------
    reference : str
    path : pathlib.Path
        Directory of the run.
    settings : dict
        All options of the run by name.

    Raises
    ------
    UsageError
        If it cannot be made from these two.
    """
    theclass = find(reference)
    try:
        return theclass(path, dict(settings))
    except Exception as error:
        raise UsageError(
            f"--logger: {reference} could not be made as CLASS(directory, settings): {type(error).__name__}: {error}. "
            f"Received: {path} and {len(settings)} settings"
        ) from error
