"""Warm start: weights of an earlier run for the whole network or named parts, and frozen parts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tfrecords.errors import DataError, UsageError
from zoo.inputs.config import scales
from zoo.registry import unknown
from zoo.training import bundle as bundles


def _by_path(network) -> dict[str, object]:
    """Give the network's weights by path below the network's own name; states of random generators are none."""
    return {_short(variable.path): variable for variable in network.weights}


def _in_part(path: str, network, part: str) -> bool:
    return _under(path, [_short(network.parts_of_model()[part].path)])


def _check_parts(network, parts, flag: str) -> None:
    valid = network.parts_of_model()
    for part in parts or ():
        if part not in valid:
            raise UsageError(f"{flag}: " + unknown("part", part, valid))


def initialise(network, sources, reset, bundle=None) -> list[str]:
    """Copy weights of earlier runs into a network.

    Parameters
    ----------
    network : keras.Model
    sources : list of str
        ``RUN`` for everything, or ``PART=RUN``; a later one wins.
    reset : list of str or None
        Parts that are left as they are.
    bundle : zoo.training.bundle.Bundle, optional
        Of the new run, whose inputs are compared with those of the sources.

    Returns
    -------
    list of str
        One line a source: how many arrays were loaded, and which were not; and a warning where what was loaded was
        trained on inputs of other options.

    Raises
    ------
    DataError
        If a source gives no array at all, a part that was named has other sizes, or one of the same sizes other
        options that its arrays go with.
    """
    _check_parts(network, reset, "--reset")
    ours, lines = _by_path(network), []
    # Tables are fitted on this run's own training split.
    fitted = [_short(layer.path) for layer in network.fitted().values()]
    for source in sources:
        part, run = _source(network, source)
        before = bundles.load(run / "bundle")
        if before.members:
            raise UsageError(f"--init-from: an ensemble; name one of its members, {run}/members/*. Received: {source}")
        other = bundles.load_network(run / "bundle")
        theirs = _by_path(other)
        _check_meaning(network, other, part, reset, run)
        foreign = _foreign(network, other)
        loaded, left = [], []
        for path, variable in ours.items():
            if part and not _in_part(path, network, part):
                continue
            if any(_in_part(path, network, name) for name in reset or ()) or _under(path, fitted):
                continue
            if _under(path, foreign):
                left.append(path)
                continue
            if path in theirs and tuple(theirs[path].shape) == tuple(variable.shape):
                variable.assign(theirs[path])
                loaded.append(path)
            elif part and path in theirs:
                raise DataError(
                    f"--init-from: the part {part!r} of {run} has other sizes than this network's: {path}. Set the "
                    f"model's options to those of the run. Valid: {tuple(variable.shape)}. "
                    f"Received: {tuple(theirs[path].shape)}"
                )
            else:
                left.append(path)
        # Biases fit by chance, those of a head wherever there are as many classes.
        if not any(part or len(ours[path].shape) > 1 for path in loaded):
            where = f" in part {part!r}" if part else f", but for vectors: {', '.join(loaded[:3])}" if loaded else ""
            raise DataError(f"--init-from: no array of {run} fits this network{where}. Received: {source}")
        rest = f"; not loaded (absent, of another shape, or of other classes, bands or columns): {', '.join(left)}"
        lines.append(f"{source}: {len(loaded)} of {len(loaded) + len(left)} arrays loaded{rest if left else ''}")
        differing = other_inputs(bundle, before, {path.split("/")[0] for path in loaded}) if bundle else []
        if differing:
            lines.append(
                f"warning: {source}: what was loaded was trained on other inputs than this run's: "
                f"{'; '.join(differing)}. Give this run the same options, unless that is meant"
            )
    return lines


READS = {"photo": ("light_curve",), "spectra": ("spectrum",), "meta": ("static",), "tokens": ("light_curve",),
         "tokenizer": ("static",), "tab": ("static",), "table": ("static",)}  # fmt: skip
"""Inputs that a part reads, by the first word of its name; all that the model reads for every other part."""

TRANSFORMS = {"photo": ("photo_transform",), "meta": ("meta_transform", "meta_scaling")}
"""Options of the model that change what a part reads; in a model of one modality without the first word."""


def other_inputs(ours, theirs, parts) -> list[str]:
    """Say in which options the inputs of two bundles differ, of those that some parts of a network read.

    Parameters
    ----------
    ours, theirs : zoo.training.bundle.Bundle
    parts : collection of str
        First words of the paths of weights.

    Returns
    -------
    list of str
        The option with both values, one each.
    """
    common = [part for part in ours.config.parts() if part in theirs.config.parts()]
    words = {name.split("_")[0] for name in parts}
    read = [part for part in common if any(part in READS.get(word, common) for word in words)]
    sides = [dataclasses.asdict(item.inputs) for item in (ours, theirs)]
    names = [[name for part in read for name in scales(item.entry.view, part)] for item in (ours, theirs)]
    names = [name for name in names[0] if name in names[1]]
    if not any(side["fold_period"] for side in sides):
        names = [name for name in names if name != "fold_zero"]
    found = [(name, *(side[name] for side in sides)) for name in names]
    for word in sorted(words & set(TRANSFORMS)):
        for name in TRANSFORMS[word]:
            values = [item.hparams.get(name, item.hparams.get(name.split("_", 1)[1])) for item in (ours, theirs)]
            idle = name == "photo_transform" and not ours.hparams.get("photo_cols")
            found += [(name, *values)] if None not in values and not idle else []
    return [f"{name} {other} there, {own} here" for name, own, other in found if own != other]


MEANING = {"num_heads": "number of heads", "positions": "kind of positions", "activation": "activation",
           "head_merge": "head_merge", "pool": "pool", "use_scale": "use_scale", "use_err": "use_err",
           "photo_cols": "list of photo_cols"}  # fmt: skip
"""Options of a part that say what its arrays are for, where the arrays' sizes need not."""


def _check_meaning(network, other, part: str | None, reset, run: Path) -> None:
    """Refuse parts whose arrays fit and would compute something else: other heads, positions, channels."""
    ours, theirs = (item.parts_of_model() for item in (network, other))
    for name in [part] if part else [name for name in ours if _fits(network, other, name, reset)]:
        own, foreign = _options(ours[name]), _options(theirs.get(name))
        for key, words in MEANING.items():
            if key in own and key in foreign and own[key] != foreign[key]:
                raise DataError(
                    f"--init-from: the part {name!r} of {run} has another {words} than this network's. Set the "
                    f"model's options to those of the run. Valid: {own[key]}. Received: {foreign[key]}"
                )


def _fits(network, other, part: str, reset) -> bool:
    """Say whether a part that is not reset has the arrays of the other network's."""
    theirs = {path: tuple(variable.shape) for path, variable in _by_path(other).items()}
    ours = {path: tuple(variable.shape) for path, variable in _by_path(network).items()}
    inside = [path for path in ours if _in_part(path, network, part)]
    return part not in (reset or ()) and all(theirs.get(path) == ours[path] for path in inside)


def _options(layer) -> dict:
    """Give the options that a part was built with."""
    config = getattr(layer, "config", None)
    if dataclasses.is_dataclass(config):
        return dataclasses.asdict(config)
    return getattr(layer, "settings", {})


def _source(network, source: str) -> tuple[str | None, Path]:
    """Split ``PART=RUN``; a path may hold ``=`` itself."""
    if Path(source).is_dir():
        return None, Path(source)
    part, mark, run = source.partition("=")
    if not mark or "/" in part:
        return None, Path(source)
    _check_parts(network, [part], "--init-from")
    return part, Path(run)


def _foreign(network, other) -> list[str]:
    """Give the parts whose rows mean something else in the other network: other outputs, bands or columns."""
    found = []
    for aspect, paths in network.tied_to().items():
        # A head's rows stand for classes, or for nodes where the loss is hierarchical.
        aspect = "outputs" if aspect == "classes" else aspect
        if network.tied_names(aspect) != other.tied_names(aspect):
            found += [_short(path) for path in paths]
    return found


def _short(path: str) -> str:
    return path.split("/", 1)[1]


def _under(path: str, starts) -> bool:
    return any(path == start or path.startswith(start + "/") for start in starts)


def freeze(network, parts) -> None:
    """Make parts of a network untrainable."""
    _check_parts(network, parts, "--freeze")
    for part in parts or ():
        network.parts_of_model()[part].trainable = False
    if not network.trainable_variables:
        raise UsageError(f"--freeze: nothing is left to train. Received: {','.join(parts)}")
