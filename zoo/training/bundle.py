"""The bundle of a run: all that is needed to rebuild the trained model and to refuse the wrong data."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from tfrecords.errors import DataError
from zoo import __version__, registry
from zoo.inputs.config import InputConfig
from zoo.inputs.spec import DataSpec
from zoo.training import files

FORMAT = 1
DESCRIPTION, WEIGHTS = "bundle.json", "model.weights.h5"


@dataclasses.dataclass(frozen=True)
class Bundle:
    """A model's description.

    Attributes
    ----------
    model : str
        Name in the registry.
    hparams : dict
        Its hyperparameters.
    inputs : InputConfig
        Stage 1.
    spec : DataSpec
        Bands, columns, classes, label map, taxonomy, fingerprint of the training data.
    loss : str
        Name of the task's loss.
    calibration : dict of str to float
        What the task fitted on the validation split; empty for none.
    members : tuple of dict
        The calibration of every member of an ensemble; empty for a single network.
    """

    model: str
    hparams: dict[str, Any]
    inputs: InputConfig
    spec: DataSpec
    loss: str = "crossentropy"
    calibration: dict[str, float] = dataclasses.field(default_factory=dict)
    members: tuple[dict[str, float], ...] = ()

    @property
    def entry(self) -> registry.Entry:
        """The registry's entry of the model."""
        return registry.get(self.model)

    @property
    def config(self):
        """The model's configuration object."""
        return self.entry.config(**self.hparams)

    def build(self):
        """Give the network, untrained."""
        if not self.members:
            return registry.create(self.model, self.spec.model_info(), **self.hparams)
        from zoo.training.ensemble import Ensemble

        single = dataclasses.replace(self, members=())
        return Ensemble([single.build() for _ in self.members], self.members, self.spec.tree)


def save(directory: Path, bundle: Bundle, network) -> None:
    """Write description and weights; the description comes last and holds the weights' SHA-256."""
    files.save_weights(directory / WEIGHTS, network)
    values = {
        "format": FORMAT,
        "zoo_version": __version__,
        "model": bundle.model,
        "hparams": bundle.hparams,
        "inputs": dataclasses.asdict(bundle.inputs),
        "data": bundle.spec.to_dict(),
        "loss": bundle.loss,
        "calibration": bundle.calibration,
        "members": bundle.members,
        "weights_sha256": _digest(directory / WEIGHTS),
    }
    files.write_json(directory / DESCRIPTION, values | {"description_sha256": _description_digest(values)})


def _description_digest(values: dict[str, Any]) -> str:
    rest = {key: value for key, value in values.items() if key != "description_sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode("utf-8")).hexdigest()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load(directory: Path) -> Bundle:
    """Read a bundle's description and check its weights file.

    Raises
    ------
    DataError
        If a file is missing or damaged, or the bundle is of a newer format or another model code.
    """
    path = directory / DESCRIPTION
    if not path.is_file():
        raise DataError(
            f"{directory}: no finished model here; python -m zoo.fit writes bundle/{DESCRIPTION}. Received: {path}"
        )
    try:
        values = json.loads(path.read_text("utf-8"))
        if values["format"] > FORMAT:
            raise DataError(
                f"{path}: written by a newer zoo ({values['zoo_version']}). Valid: format <= {FORMAT}. "
                f"Received: {values['format']}"
            )
        if values["description_sha256"] != _description_digest(values):
            raise DataError(
                f"{path}: changed since it was written. Valid: SHA-256 {values['description_sha256']}. "
                f"Received: {_description_digest(values)}"
            )
        bundle = Bundle(
            values["model"],
            values["hparams"],
            InputConfig(**values["inputs"]),
            DataSpec.from_dict(values["data"]),
            values["loss"],
            values.get("calibration", {}),
            tuple(values.get("members", ())),
        )
        expected = values["weights_sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: damaged ({type(error).__name__}: {error})") from None
    weights = directory / WEIGHTS
    if not weights.is_file():
        raise DataError(f"{directory}: the weights are missing. Valid: a file {WEIGHTS}. Received: none")
    if _digest(weights) != expected:
        raise DataError(
            f"{weights}: damaged, its SHA-256 is not the one in {DESCRIPTION}. "
            f"Valid: {expected}. Received: {_digest(weights)}"
        )
    return bundle


def load_network(directory: Path, bundle: Bundle | None = None):
    """Give the trained network of a bundle."""
    bundle = bundle or load(directory)
    network = bundle.build()
    load_weights(network, directory / WEIGHTS)
    return network


def load_weights(model, path: Path) -> None:
    """Load a weights file into a built model; a damaged or foreign file is a `DataError` naming it."""
    try:
        model.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"{path}: cannot be loaded into this model ({reason})") from None
