"""Published autoencoders of stamps: weights under the names of their PyTorch modules."""

from __future__ import annotations

from typing import Any

from tfrecords.errors import DataError
from zoo.models import state_dict
from zoo.models.oracle.reference import array, fill
from zoo.registry import ModelInfo, create

CONVOLUTIONS, NORMS = (0, 3, 6, 9), (1, 4, 7, 10)
BACK, NORMS_BACK = (3, 6, 10, 13, 17, 20), (4, 7, 11, 14, 18)
SIDE = 21

NAMES = {2: ["template", "science"], 3: ["template", "science", "difference"]}
"""Channels of the published networks by their number."""


def settings(config: dict[str, Any]) -> dict[str, Any]:
    """Give the original's keys of a configuration, which may stand under ``config`` as in a golden case."""
    return config.get("config", config)


def channels(config: dict[str, Any], count: int, names=None) -> list[str]:
    """Give the names of the channels: those of the key ``channel_order``, or the published ones."""
    found = settings(config).get("channel_order") or (names or NAMES).get(count)
    found = list(found or (f"channel_{place}" for place in range(count)))
    if len(found) != count:
        raise DataError(f"channel_order: the weights are of {count} channels. Received: {found}")
    return found


def stamps(names, classes=0, size: int = 63, config=None) -> ModelInfo:
    """Give what a model must know of stamps with these channels, in the order in which ZTF's records hold them."""
    order = ["science", "template", "difference"]
    there = [name for name in order if name in names]
    there += [name for name in names if name not in [*order, "snr"]]
    if "snr" in names and "difference" not in there:
        there.append("difference")
    found = settings(config or {}).get("classes")
    # A golden case has their number here.
    found = tuple(found) if isinstance(found, list) else tuple(map(str, range(classes)))
    if len(found) != classes:
        raise DataError(f"classes: the weights are of {classes}. Received: {len(found)} names")
    return ModelInfo(classes=found, channels=tuple(there), stamp_size=size)


def encoder(layer, arrays, name: str = "encoder"):
    """Give the arrays of a `StampEncoder` with one head."""
    for ours, place in zip(layer.convolutions, CONVOLUTIONS, strict=True):
        yield from state_dict.convolution(ours, f"{name}.{place}", arrays)
    for ours, place in zip(layer.norms, NORMS, strict=True):
        yield from state_dict.batch_norm(ours, f"{name}.{place}", arrays)
    yield from state_dict.dense(layer.dense[0], f"{name}.13", arrays, images_in=(6, 6, layer.settings["filters"]))


def decoder(layer, arrays, name: str = "decoder"):
    """Give the arrays of a `StampDecoder`."""
    yield from state_dict.dense(layer.dense, f"{name}.0", arrays, images_out=(6, 6, layer.settings["filters"]))
    for ours, place in zip(layer.convolutions, BACK, strict=True):
        yield from state_dict.convolution(ours, f"{name}.{place}", arrays)
    for ours, place in zip(layer.norms, NORMS_BACK, strict=True):
        yield from state_dict.batch_norm(ours, f"{name}.{place}", arrays)


def sizes(arrays, config) -> dict[str, Any]:
    """Give the hyperparameters of encoder and decoder by the shapes of their arrays."""
    filters, count = array(arrays, "encoder.0.weight").shape[:2]
    latent = len(array(arrays, "encoder.13.weight"))
    return {"channels": channels(config, count), "crop": SIDE, "filters": filters, "latent": latent}


def import_weights(arrays, config: dict[str, Any]):
    """Build `zoo.models.stamp_ae.model.StampAe` of the arrays' sizes and fill it.

    Parameters
    ----------
    arrays : dict of str to numpy array
        State dict of the published autoencoder.
    config : dict
        ``channel_order``: names of the channels; by default template, science, difference.

    Returns
    -------
    keras.Model
    """
    arrays = state_dict.without_counters(arrays)
    hparams = sizes(arrays, config)
    model = create("stamp_ae", stamps(hparams["channels"]), **hparams)
    fill([*encoder(model.encoder, arrays), *decoder(model.decoder, arrays)], arrays)
    return model


ENCODER_POOLED, DECODER_POOLED = (1, 3, 6, 8, 11, 13, 16), (0, 2, 4, 6, 8, 10, 12, 14)


def import_pooled(arrays, config: dict[str, Any]):
    """Build `zoo.models.stamp_ae.pooled.StampAeClassifier` of the arrays' sizes and fill it.

    Parameters
    ----------
    arrays : dict of str to numpy array
        State dict of the published autoencoder with classifier.
    config : dict
        ``channel_order`` and ``classes``: lists of names.

    Returns
    -------
    keras.Model
    """
    arrays = state_dict.without_counters(arrays)
    filters, count = array(arrays, "encoder.1.weight").shape[:2]
    names = channels(config, count, {3: ["science", "template", "difference"]})
    classes = len(array(arrays, "classifier.8.weight"))
    width = len(array(arrays, "classifier.2.weight"))
    info = stamps(names, classes, config=config)
    model = create("stamp_ae_classifier", info, channels=names, filters=filters, width=width)
    pairs = []
    for layer, place in zip(model.encoder.convolutions, ENCODER_POOLED, strict=True):
        pairs += state_dict.convolution(layer, f"encoder.{place}", arrays)
    for layer, place in zip(model.decoder.convolutions, DECODER_POOLED, strict=True):
        pairs += state_dict.convolution(layer, f"decoder.{place}", arrays)
    for layer, place in zip([*model.hidden, model.head], (2, 4, 6, 8), strict=True):
        pairs += state_dict.dense(layer, f"classifier.{place}", arrays)
    fill(pairs, arrays)
    return model
