"""The Informer of AstroM3's public code: its configuration keys and its weights under their own names."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfrecords.errors import DataError
from zoo.models import state_dict
from zoo.models.oracle.reference import array, fill
from zoo.registry import ModelInfo, create

PHOTO_COLS = ("amplitude", "period", "lksl_statistic", "rfr_score")


def hyperparameters(config: dict[str, Any], channels: int) -> dict[str, Any]:
    """Translate the original's configuration into hyperparameters of `InformerConfig`.

    Parameters
    ----------
    config : dict
        ``seq_len``, ``p_d_model``, ``p_n_heads``, ``p_d_ff``, ``p_e_layers``, ``p_factor``, ``p_activation`` and
        ``p_dropout``; ``photo_cols`` names static columns.
    channels : int
        Input channels of the weights: time, flux, its error, then columns and two scales, or no scales.

    Raises
    ------
    DataError
        If a key is missing, or the channels do not fit the columns.
    """
    try:
        hparams = {
            "length": config["seq_len"], "d_model": config["p_d_model"], "num_heads": config["p_n_heads"],
            "dff": config["p_d_ff"], "layers": config["p_e_layers"], "factor": config["p_factor"],
        }  # fmt: skip
    except KeyError as error:
        raise DataError(f"the configuration lacks the reference's key {error}") from None
    if channels < 3:
        raise DataError(f"weights: time, flux and its error are three channels. Received: {channels}")
    extra = channels - 3
    scale = extra >= 2
    names = config.get("photo_cols")
    count = extra - 2 * scale
    if names is None:
        names = [*PHOTO_COLS, *(f"static_{number}" for number in range(count))][:count]
    elif len(names) != count and config.get("p_aux", True):
        raise DataError(f"photo_cols: the weights have {count} columns. Received: {len(names)} names")
    return hparams | {
        "activation": "relu" if config.get("p_activation", "gelu") == "relu" else "gelu",
        "dropout": config.get("p_dropout", 0.2),
        "head_merge": "mixed",
        "key_sampling": "random",
        "mask_attention": False,
        "use_scale": bool(scale),
        "photo_cols": list(names)[:count],
    }


def encoder_pairs(encoder, arrays, prefix: str = ""):
    """Give every weight of the encoder with the names of its arrays and their value, see `fill`.

    Parameters
    ----------
    encoder : InformerEncoder
    arrays : dict of str to numpy array
        A PyTorch state dict.
    prefix : str
        What stands before the names, for instance ``photometry_encoder.``.
    """
    name = f"{prefix}enc_embedding.value_embedding.tokenConv.weight"
    yield encoder.embedding.kernel, [name], np.transpose(array(arrays, name), (2, 1, 0))
    for place, block in enumerate(encoder.blocks):
        start = f"{prefix}encoder.attn_layers.{place}"
        for theirs, ours in (("query", "query"), ("key", "key"), ("value", "value"), ("out", "output")):
            name = f"{start}.attention.{theirs}_projection"
            yield getattr(block.attention, f"{ours}_kernel"), [f"{name}.weight"], array(arrays, f"{name}.weight").T
            yield getattr(block.attention, f"{ours}_bias"), [f"{name}.bias"], array(arrays, f"{name}.bias")
        for theirs, layer in (("conv1", block.ffn_in), ("conv2", block.ffn_out)):
            kernel = array(arrays, f"{start}.{theirs}.weight")
            yield layer.kernel, [f"{start}.{theirs}.weight"], np.reshape(kernel, kernel.shape[:2]).T
            yield layer.bias, [f"{start}.{theirs}.bias"], array(arrays, f"{start}.{theirs}.bias")
        for theirs, layer in (("norm1", block.norm_1), ("norm2", block.norm_2)):
            yield from _norm(layer, f"{start}.{theirs}", arrays)
    yield from _norm(encoder.norm, f"{prefix}encoder.norm", arrays)


def _norm(layer, name, arrays):
    yield layer.gamma, [f"{name}.weight"], array(arrays, f"{name}.weight")
    yield layer.beta, [f"{name}.bias"], array(arrays, f"{name}.bias")


def without_table(arrays):
    """Leave out the table of positions, which is computed."""
    return {name: value for name, value in arrays.items() if not name.endswith("position_embedding.pe")}


def import_weights(arrays: dict[str, np.ndarray], config: dict[str, Any]):
    """Build the network of the arrays' sizes and fill it.

    Parameters
    ----------
    arrays : dict of str to numpy array
        State dict of the original in its mode ``photo``; float16 is read as float32.
    config : dict
        As `hyperparameters` takes it, by itself or under ``config``; ``classes`` names the classes.

    Returns
    -------
    keras.Model
        It behaves as the original does; give the options of `InformerConfig` for another behaviour.

    Raises
    ------
    DataError
        If an array is missing, of the wrong shape, or unknown.
    """
    config = config.get("config", config)
    arrays = {name: np.asarray(value, "float32") for name, value in without_table(arrays).items()}
    channels = array(arrays, "enc_embedding.value_embedding.tokenConv.weight").shape[1]
    hparams, count = hyperparameters(config, channels), len(array(arrays, "fc.weight"))
    names = config.get("classes") or [f"class_{number}" for number in range(count)]
    if len(names) != count:
        raise DataError(f"classes: the weights are of {count}. Received: {len(names)} names")
    model = create("informer", ModelInfo(classes=tuple(names), static=tuple(hparams["photo_cols"])), **hparams)
    pairs = [*encoder_pairs(model.photo, arrays), *state_dict.dense(model.head, "fc", arrays)]
    fill(pairs, arrays)
    return model
