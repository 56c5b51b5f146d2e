"""Published recurrent networks on stamps: weights under the names of their PyTorch modules."""

from __future__ import annotations

from typing import Any

from zoo.models import state_dict
from zoo.models.oracle.reference import array, fill
from zoo.models.stamp_ae import reference as single
from zoo.registry import create


def _recurrent(model, arrays):
    for place, layer in enumerate(model.recurrent.layers):
        yield from state_dict.recurrent(layer, "rnn", place, arrays)


def _head(model, arrays):
    yield from _recurrent(model, arrays)
    yield from state_dict.dense(model.projection, "fc1", arrays)
    yield from state_dict.dense(model.head, "fc3", arrays)


def import_autoencoder(arrays, config: dict[str, Any]):
    """Build `StampRecurrentAe` of the arrays' sizes and fill it.

    Parameters
    ----------
    arrays : dict of str to numpy array
        State dict of the published network: ``encoder``, ``decoder``, ``rnn``, ``fc1``, ``fc3``.
    config : dict
        ``channel_order`` and ``classes``: lists of names.

    Returns
    -------
    keras.Model
    """
    arrays = state_dict.without_counters(arrays)
    hparams = single.sizes(arrays, config) | state_dict.recurrent_sizes(arrays)
    info = single.stamps(hparams["channels"], len(array(arrays, "fc3.weight")), config=config)
    model = create("stamp_recurrent_ae", info, **hparams)
    fill(
        [*single.encoder(model.encoder, arrays), *single.decoder(model.decoder, arrays), *_head(model, arrays)], arrays
    )
    return model


def import_latent_rnn(arrays, config: dict[str, Any]):
    """Build `LatentRnn` of the arrays' sizes and fill it; without arrays of an encoder that stays untrained.

    Parameters
    ----------
    arrays : dict of str to numpy array
        State dict of the published classifier, ``rnn``, ``fc1``, ``fc3``, and of an encoder, ``encoder``.
    config : dict
        ``channel_order`` and ``classes``: lists of names.

    Returns
    -------
    keras.Model
    """
    arrays = state_dict.without_counters(arrays)
    has_encoder = "encoder.0.weight" in arrays
    latent = {"latent": len(array(arrays, "fc1.weight")), "channels": single.channels(config, 3)}
    hparams = (single.sizes(arrays, config) if has_encoder else latent) | state_dict.recurrent_sizes(arrays)
    info = single.stamps(hparams["channels"], len(array(arrays, "fc3.weight")), config=config)
    model = create("latent_rnn", info, **hparams)
    fill([*(single.encoder(model.encoder, arrays) if has_encoder else ()), *_head(model, arrays)], arrays)
    return model


def import_gru(arrays, config: dict[str, Any]):
    """Build `StampGru` of the arrays' sizes and fill it; without arrays of an encoder that stays untrained.

    Parameters
    ----------
    arrays : dict of str to numpy array
        State dict of the published classifier, ``rnn`` and ``fc``, and of an encoder, ``encoder``.
    config : dict
        ``channel_order`` and ``classes``: lists of names.

    Returns
    -------
    keras.Model
    """
    arrays = state_dict.without_counters(arrays)
    has_encoder = "encoder.1.weight" in arrays
    count = arrays["encoder.1.weight"].shape[1] if has_encoder else 3
    names = single.channels(config, count, {3: ["science", "template", "difference"]})
    sizes = state_dict.recurrent_sizes(arrays)
    hparams = {"units": sizes["units"], "layers": sizes["layers"], "width": len(array(arrays, "fc.0.weight")),
               "filters": array(arrays, "rnn.weight_ih_l0").shape[1] // 8, "channels": names}  # fmt: skip
    info = single.stamps(names, len(array(arrays, "fc.7.weight")), config=config)
    model = create("stamp_gru", info, **hparams)
    pairs = list(_recurrent(model, arrays))
    for layer, place in zip([*model.hidden, model.head], (0, 3, 5, 7), strict=True):
        pairs += state_dict.dense(layer, f"fc.{place}", arrays)
    if has_encoder:
        for layer, place in zip(model.encoder.convolutions, single.ENCODER_POOLED, strict=True):
            pairs += state_dict.convolution(layer, f"encoder.{place}", arrays)
    fill(pairs, arrays)
    return model
