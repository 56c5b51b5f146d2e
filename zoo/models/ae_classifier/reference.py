"""The original classifiers on the encoder: their configuration keys and weights under their canonical paths."""

from __future__ import annotations

from typing import Any

from tfrecords.errors import DataError
from zoo.models.transformer_autoencoder.reference import assign, bands, dense, encoder_hparams, settings, stack
from zoo.registry import ModelInfo, create


def pairs(model):
    """Pair every variable with the name of the original's array."""
    yield from stack(model.encoder, "encoder")
    yield from dense(model.classifier.ffn_in, "ffn/0")
    yield from dense(model.classifier.ffn_out, "ffn/1")
    yield from dense(model.classifier.output_layer, "head")


def import_weights(arrays: dict[str, Any], config: dict[str, Any], model: str = "ae_classifier"):
    """Build the model of an original's configuration and fill it with the original's weights.

    Parameters
    ----------
    arrays : dict of str to numpy array
        Under their canonical paths, kernels (input, output).
    config : dict
        The original's configuration keys.
    model : {"ae_classifier", "encoder_ffn"}

    Returns
    -------
    keras.Model
    """
    try:
        values = settings(config)
        hparams = encoder_hparams(values)
        classes = tuple(map(str, range(values["n_classes"])))
    except KeyError as error:
        raise DataError(f"the configuration lacks the original's key {error}") from None
    info = ModelInfo(classes=classes, bands=bands(values.get("n_bands", 6)))
    network = create(model, info, context_transform="none", pool_mask=False, **hparams)
    assign(pairs(network), arrays)
    return network
