"""What every network of the zoo has in common: how it is written into a file and read again."""

from __future__ import annotations

import dataclasses

import keras

from tfrecords.errors import UsageError
from zoo import registry
from zoo.registry import ModelInfo


class Network(keras.Model):
    """Base of the networks, which are built from ``(config, info)``; a configuration class names its registry entry."""

    @property
    def entry_name(self) -> str:
        """Name under which the registry knows this network."""
        return next(item.name for item in registry.entries().values() if item.config is type(self.config))

    def represent(self, inputs):
        """Give the representation of objects, what the network knows of them before its heads, in inference mode.

        Parameters
        ----------
        inputs : dict of tensors
            Of the model's view. Padding changes nothing.

        Returns
        -------
        tensor (batch, dimension), float32

        Raises
        ------
        UsageError
            If the network has none; the message names the models that have one.
        """
        raise UsageError(
            f"{self.entry_name} has no representation of objects. Valid: a run of "
            f"{', '.join(representing())}. Received: {self.entry_name}"
        )

    def tied_names(self, aspect: str) -> tuple[str, ...]:
        """Give the names that the rows of layers of `tied_to` stand for, by `ModelInfo` field."""
        return getattr(self.info, aspect)

    def get_config(self):
        return {
            "model": self.entry_name,
            "config": dataclasses.asdict(self.config),
            "info": dataclasses.asdict(self.info),
            "name": self.name,
            "dtype": keras.saving.serialize_keras_object(self.dtype_policy),
        }

    @classmethod
    def from_config(cls, values):
        values = dict(values)
        config = registry.get(values.pop("model")).config(**values.pop("config"))
        values["dtype"] = keras.saving.deserialize_keras_object(values["dtype"])
        return cls(config, ModelInfo.from_dict(values.pop("info")), **values)

    def build_from_config(self, _config):
        self(registry.example_inputs(self.entry_name, self.config, self.info))


def representing() -> list[str]:
    """Give the names of the models whose networks have `Network.represent`."""
    return [
        name for name, entry in registry.entries().items()
        if registry.load(entry.model).represent is not Network.represent
    ]  # fmt: skip
