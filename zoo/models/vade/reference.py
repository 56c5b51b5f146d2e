"""Variational deep embedding: weights under the names of its golden case."""

from __future__ import annotations

from typing import Any

from zoo.models import state_dict
from zoo.models.oracle.reference import array, fill
from zoo.models.stamp_ae.reference import SIDE, settings, stamps
from zoo.registry import create

NAMES = {1: ["snr"], 2: ["template", "science"], 3: ["template", "science", "difference"]}


def pairs(model, arrays):
    """Pair every variable with the array of the original's name."""
    shape = (6, 6, model.config.filters)
    for layer, convolutions, norms in ((model.encoder, "enc", "eb"), (model.decoder, "dec", "db")):
        for place, convolution in enumerate(layer.convolutions):
            yield from state_dict.convolution(convolution, f"{convolutions}.{place}", arrays)
        for place, norm in enumerate(layer.norms):
            yield from state_dict.batch_norm(norm, f"{norms}.{place}", arrays)
    yield from state_dict.dense(model.encoder.dense[0], "mu", arrays, images_in=shape)
    yield from state_dict.dense(model.encoder.dense[1], "lv", arrays, images_in=shape)
    yield from state_dict.dense(model.decoder.dense, "fc", arrays, images_out=shape)
    if model.variance is not None:
        yield from state_dict.dense(model.variance.layers[0], "v1", arrays)
        yield from state_dict.dense(model.variance.layers[1], "v2", arrays)
    prior = model.prior
    for variable, name in ((prior.weight_logits, "pi"), (prior.means, "muc"), (prior.log_variances, "lvc")):
        yield variable, [name], array(arrays, name)


def import_weights(arrays, config: dict[str, Any]):
    """Build the network of the arrays' sizes and fill it.

    Parameters
    ----------
    arrays : dict of str to numpy array
        ``enc``, ``eb``, ``mu``, ``lv``, ``fc``, ``dec``, ``db``, ``v1``, ``v2`` (or without the last two), ``pi``,
        ``muc``, ``lvc``, kernels as PyTorch has them.
    config : dict
        ``channels``: list of names; ``full_density``: false for the paper's formula.

    Returns
    -------
    keras.Model
    """
    arrays, values = state_dict.without_counters(arrays), settings(config)
    filters, count = array(arrays, "enc.0.weight").shape[:2]
    components, latent = array(arrays, "muc").shape
    names = list(values.get("channels") or NAMES.get(count) or (f"channel_{place}" for place in range(count)))
    hparams = {"channels": names, "crop": SIDE, "filters": filters, "latent": latent, "components": components}
    # A golden case says it in words.
    density = values.get("full_density", "full" in str(values.get("gamma", "full")))
    hparams |= {"variance_head": "v1.weight" in arrays, "full_density": bool(density)}
    if "v1.weight" in arrays:
        hparams["width"] = len(arrays["v1.weight"])
    model = create("vade", stamps(names), **hparams)
    fill(pairs(model, arrays), arrays)
    return model
