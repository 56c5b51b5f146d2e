"""Models for astronomical time-domain data: train, evaluate, predict, export.

What the commands do, from Python; importing this package imports neither Keras nor TensorFlow.
"""

from __future__ import annotations

import sys
import types

__version__ = "0.1.0"

_FUNCTIONS = {
    "list_models": "zoo.registry:list_models",
    "create": "zoo.registry:create",
    "ModelInfo": "zoo.registry:ModelInfo",
    "fit": "zoo.training.loop:fit",
    "load_run": "zoo.training.run:load_run",
    "evaluate": "zoo.training.evaluation:evaluate",
    "predict": "zoo.training.prediction:predict",
    "embed": "zoo.training.embedding:embed",
    "export": "zoo.training.saved_model:export",
    "parity": "zoo.parity:parity",
    "convert": "zoo.convert:convert",
    "compare": "zoo.training.compare:compare",
    "tune": "zoo.training.tuning:tune",
    "taxonomy": "zoo.taxonomies.tree:load",
}

__all__ = ["__version__", *_FUNCTIONS]


def __getattr__(name):
    if name not in _FUNCTIONS:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    from zoo.registry import load

    return load(_FUNCTIONS[name])


class _Package(types.ModuleType):
    """``zoo.fit`` is the function, also after the command's module ``zoo.fit`` was imported."""

    def __setattr__(self, name, value):
        if not (name in _FUNCTIONS and isinstance(value, types.ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
