"""Warm start: weights of an earlier run for the whole network or named parts, and frozen parts."""

from __future__ import annotations

from pathlib import Path

from tfrecords.errors import DataError, UsageError
from zoo.registry import unknown
from zoo.training import bundle as bundles


def _by_path(network) -> dict[str, object]:
    """Give the network's variables by path below the network's own name."""
    return {variable.path.split("/", 1)[1]: variable for variable in network.variables}


def _in_part(path: str, network, part: str) -> bool:
    start = network.parts_of_model()[part].path.split("/", 1)[1]
    return path == start or path.startswith(start + "/")


def _check_parts(network, parts, flag: str) -> None:
    valid = network.parts_of_model()
    for part in parts or ():
        if part not in valid:
            raise UsageError(f"{flag}: " + unknown("part", part, valid))


def initialise(network, sources, reset) -> list[str]:
    """Copy weights of earlier runs into a network.

    Parameters
    ----------
    network : keras.Model
    sources : list of str
        ``RUN`` for everything, or ``PART=RUN``; a later one wins.
    reset : list of str or None
        Parts that are left as they are.

    Returns
    -------
    list of str
        One line a source: how many arrays were loaded, and which were not.

    Raises
    ------
    DataError
        If a source gives no array at all.
    """
    _check_parts(network, reset, "--reset")
    ours, lines = _by_path(network), []
    for source in sources:
        part, _, run = source.rpartition("=")
        part = part or None
        _check_parts(network, [part] if part else [], "--init-from")
        run = Path(run)
        theirs = _by_path(bundles.load_network(run / "bundle"))
        loaded, left = 0, []
        for path, variable in ours.items():
            if part and not _in_part(path, network, part):
                continue
            if any(_in_part(path, network, name) for name in reset or ()):
                continue
            if path in theirs and tuple(theirs[path].shape) == tuple(variable.shape):
                variable.assign(theirs[path])
                loaded += 1
            else:
                left.append(path)
        if not loaded:
            raise DataError(
                f"--init-from: no array of {run} fits this network"
                f"{f' in part {part!r}' if part else ''}. Received: {source}"
            )
        rest = f"; not loaded (other shape or absent): {', '.join(left)}" if left else ""
        lines.append(f"{source}: {loaded} arrays loaded{rest}")
    return lines


def freeze(network, parts) -> None:
    """Make parts of a network untrainable."""
    _check_parts(network, parts, "--freeze")
    for part in parts or ():
        network.parts_of_model()[part].trainable = False
    if not network.trainable_variables:
        raise UsageError(f"--freeze: nothing is left to train. Received: {','.join(parts)}")
