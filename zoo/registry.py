"""The models of the zoo by name, without importing Keras.

Every family is a folder ``zoo/models/<family>`` whose ``config.py`` holds keras-free dataclasses and a list
``ENTRIES``. The class behind an entry is named as a string and imported when a model is created.
"""

from __future__ import annotations

import dataclasses
import difflib
import fnmatch
import importlib
import pkgutil
from functools import cache
from typing import Any

import zoo.models
from tfrecords.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Entry:
    """What the registry knows of a model.

    Attributes
    ----------
    name : str
        Name on the command line.
    family : str
        Name of its folder and of its file in ``hparams``.
    summary : str
        One line for the list.
    config : type
        Keras-free dataclass of its hyperparameters.
    model : str
        ``module:Class`` of the Keras model; called as ``Class(config, info)``.
    task : str
        Name of its task, see ``zoo.tasks``.
    view : str
        Name of its view, see ``zoo.inputs``.
    paper : str
        Reference.
    importer : str
        ``module:function`` that reads the original's weights, see ``zoo.convert``; empty when it has none.
    """

    name: str
    family: str
    summary: str
    config: type
    model: str
    task: str
    view: str
    paper: str
    importer: str = ""


@dataclasses.dataclass(frozen=True)
class ModelInfo:
    """What a model must know of the data it is built for.

    Attributes
    ----------
    classes : tuple of str
        Class names in the order of the logits.
    bands : tuple of str
        Band names in the order of their indices.
    static : tuple of str
        Names of the static columns in order.
    features : tuple of str
        Names of the computed features in order.
    feature_days : tuple of float
        Days at which the features are known.
    nodes : tuple of str
        Nodes of the taxonomy in level order where the loss is hierarchical; empty otherwise.
    channels : tuple of str
        Channels of the stamps in order; empty without stamps.
    stamp_size : int
        Height and width of the stamps in pixels.
    alert_columns : tuple of str
        Names of the columns of an alert in order.
    spectrum_size : int
        Points of the grid of wavelengths of spectra; 0 without.
    """

    classes: tuple[str, ...] = ()
    bands: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    feature_days: tuple[float, ...] = ()
    nodes: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    stamp_size: int = 0
    alert_columns: tuple[str, ...] = ()
    spectrum_size: int = 0

    @property
    def outputs(self) -> tuple[str, ...]:
        """What a head of a classifier has one logit for: the taxonomy's nodes if there are any, else the classes."""
        return self.nodes or self.classes

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelInfo:
        """Build from the lists of a JSON or YAML file."""
        return cls(**{key: tuple(value) if isinstance(value, list | tuple) else value for key, value in values.items()})


@cache
def _configs() -> dict[str, Any]:
    families = [module.name for module in pkgutil.iter_modules(zoo.models.__path__) if module.ispkg]
    return {name: importlib.import_module(f"zoo.models.{name}.config") for name in families}


GOLDEN = {
    "addons": [
        "zoo.optimizers.parity:check_optimizers",
        "zoo.losses.parity:check_losses",
        "zoo.metrics.parity:check_metrics",
        "zoo.layers.parity:check_images",
        "zoo.layers.parity:check_layers",
    ],
    "hierarchical": ["zoo.losses.hierarchical_parity:check_loss"],
    "astrom3": ["zoo.training.parity:check_optimizer", "zoo.training.parity:check_schedule"],
}
"""Handlers of golden cases of building blocks and of training, which belong to no family."""


def golden_handlers() -> dict[str, list[str]]:
    """Give the handlers (``module:function``) of golden cases by the name of their folder.

    A handler takes a ``zoo.golden.Case`` and gives a list of ``zoo.golden.Comparison`` and
    ``zoo.golden.NotCarried``, or None when the case is not of its kind.
    """
    found: dict[str, list[str]] = {}
    for table in (GOLDEN, *(getattr(config, "GOLDEN", {}) for config in _configs().values())):
        for folder, handlers in table.items():
            found.setdefault(folder, []).extend(handlers)
    return found


@cache
def entries() -> dict[str, Entry]:
    """Give every entry by name, sorted."""
    found: dict[str, Entry] = {}
    for config in _configs().values():
        for entry in config.ENTRIES:
            if entry.name in found:
                raise RuntimeError(f"model {entry.name!r} is registered by two families")
            found[entry.name] = entry
    return dict(sorted(found.items()))


def list_models(pattern: str = "*") -> list[str]:
    """Give the names that match a shell pattern, for instance ``atat*``."""
    return fnmatch.filter(entries(), pattern)


def get(name: str) -> Entry:
    """Give the entry of a name.

    Raises
    ------
    UsageError
        If there is none; the message names the closest ones and the command that lists all.
    """
    if name in entries():
        return entries()[name]
    raise UsageError(unknown("model", name, entries(), "python -m zoo.list"))


def unknown(kind: str, name: str, valid, command: str = "") -> str:
    """Word the message for a name that does not exist: closest ones, how to see all, what came."""
    close = difflib.get_close_matches(str(name), [str(item) for item in valid], n=3, cutoff=0.4)
    hint = f"Closest: {', '.join(close)}. " if close else ""
    every = f"All of them: {command}. " if command else f"Valid: {', '.join(map(str, valid))}. "
    return f"There is no {kind} of this name. {hint}{every}Received: {name!r}"


def load(reference: str):
    """Import what a ``module:name`` string names."""
    module, name = reference.split(":")
    return getattr(importlib.import_module(module), name)


def create(name: str, info: ModelInfo, **hparams):
    """Build a model, ready for weights.

    Parameters
    ----------
    name : str
        Name in the registry.
    info : ModelInfo
        Classes, bands and columns of the data.
    **hparams
        Hyperparameters that differ from the defaults.

    Returns
    -------
    keras.Model
        Built; its inputs are those of the entry's view.
    """
    entry = get(name)
    keys = [field.name for field in dataclasses.fields(entry.config)]
    for key in hparams:
        if key not in keys:
            raise UsageError(unknown(f"hyperparameter of {name}", key, keys))
    config = entry.config(**hparams)
    # A fixed name: Keras would number networks as they are made and write the number into weights files.
    model = load(entry.model)(config, info, name=entry.family)
    model(example_inputs(name, config, info))
    return model


def example_inputs(name: str, config, info: ModelInfo) -> dict:
    """Give a batch of empty objects in the view of a model, see `zoo.views.example`."""
    from zoo import views

    return views.example(get(name).view, config.parts(), info)
