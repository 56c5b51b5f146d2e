"""ATAT's public reference: its configuration keys and its weights under their own names."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfrecords.errors import DataError
from zoo.registry import ModelInfo, create

CLASSES = (
    "AGN", "CART", "Cepheid", "Delta Scuti", "Dwarf Novae", "EB", "ILOT", "KN", "M-dwarf Flare", "PISN",
    "RR Lyrae", "SLSN", "91bg", "Ia", "Iax", "Ib/c", "II", "SN-like/Other", "TDE", "uLens",
)  # fmt: skip
"""The reference's twenty classes in the order of its logits."""

HEADS = {"lc": "lc_classifier", "tab": "tab_classifier", "mix": "mix_classifier"}
BUILT_ANYWAY = ("token", "time_modulator.", "transformer.", "tab_", "lc_classifier.", "mix_classifier.")
"""The reference builds and stores modules that an objective does not use; they may be left over."""


def read_config(values: dict[str, Any]) -> tuple[dict[str, Any], ModelInfo]:
    """Translate the reference's configuration.

    Parameters
    ----------
    values : dict
        The reference's own keys, as in a golden case.

    Returns
    -------
    hparams : dict
        Hyperparameters of `AtatConfig`. Columns are taken as already transformed: ``quantile`` is off.
    info : ModelInfo
    """
    bands, classes = values["dataset_channel"], values["n_classes"]
    static = values["n_metadata"] if values["using_metadata"] else 0
    features = values["n_features"] if values["using_features"] else 0
    pooling = {"token": "token", "avg": "average"}
    if values.get("emb_to_classifier", "token") not in pooling:
        raise DataError(f"emb_to_classifier must be token or avg. Received: {values['emb_to_classifier']!r}")
    # Without a table the reference's fusion head is its light-curve head.
    objective = values["predict_obj"] if static or features else "lc"
    hparams = {
        "objective": objective,
        "metadata": bool(static),
        "features": bool(features),
        "num_heads": values["num_heads"],
        "head_dim": values["head_dim"],
        "layers": values["attn_layers"],
        "tab_num_heads": values["tab_num_heads"],
        "tab_head_dim": values["tab_head_dim"],
        "time_encoding": "sinusoid" if values["use_common_positional_encoding"] else "modulation",
        "harmonics": values["M"],
        "max_period": float(values["T_max"]),
        "use_flux_err": values["cat_noise_to_E"],
        "quantile": False,
        "tabular": "raw" if values["not_tabular_transformer"] else "transformer",
        "combine_tokens": values["combine_lc_tab"],
        "combine_read": "first",
        "pooling": pooling[values.get("emb_to_classifier", "token")],
        "dropout": values.get("dropout_first_mha", 0.0),
        "head_dropout": values.get("dropout_second_mha", 0.0),
    }
    info = ModelInfo(
        classes=CLASSES if classes == len(CLASSES) else tuple(str(n) for n in range(classes)),
        bands=tuple("ugrizY") if bands == 6 else tuple(str(n) for n in range(bands)),
        static=tuple(f"metadata_{n}" for n in range(static)),
        features=tuple(f"feature_{n}" for n in range(features)),
        feature_days=(2048.0,) if features else (),
    )
    return hparams, info


def pairs(model):
    """Pair every variable of a model with the reference's arrays that make it.

    Yields
    ------
    variable : keras.Variable
    names : list of str
        Names in the reference's state.
    combine : callable
        Takes those arrays and gives the variable's value.
    """
    config = model.config
    if config.uses("light_curve"):
        yield model.encoder.token, ["token"], _same
        yield from _linear(model.tokens.embedding, "time_modulator.to_emb")
        if config.time_encoding == "modulation":
            parts = ("alpha_sin", "beta_sin", "alpha_cos", "beta_cos")
            names = [
                f"time_modulator.time_mod.{band}.{part}" for band in range(len(model.info.bands)) for part in parts
            ]
            yield model.tokens.encoding.kernel, names, _modulation
        yield from _encoder(model.encoder, "transformer")
    if hasattr(model, "tokenizer"):
        yield model.tokenizer.kernel, ["tab_W_feat"], _same
        yield model.tokenizer.bias, ["tab_b_feat"], _same
    if hasattr(model, "tab_encoder"):
        yield model.tab_encoder.token, ["tab_token"], _same
        yield from _encoder(model.tab_encoder, "tab_transformer")
    for head, name in HEADS.items():
        if head not in model.heads:
            continue
        layer = getattr(model, f"{head}_head")
        yield from _norm(layer.norm, f"{name}.norm")
        if head != "mix":
            yield from _linear(layer.output_layer, f"{name}.output_layer")
            continue
        for place, part in zip((0, 3, 6), (*layer.hidden, layer.output_layer), strict=True):
            yield from _linear(part, f"{name}.net.{place}")


def _same(array):
    return array


def _modulation(*arrays):
    rows = [np.concatenate(arrays[n : n + 2], axis=1) for n in range(0, len(arrays), 2)]
    return np.stack([np.concatenate(rows[n : n + 2], axis=0) for n in range(0, len(rows), 2)])


def _linear(layer, name):
    yield layer.kernel, [f"{name}.weight"], np.transpose
    yield layer.bias, [f"{name}.bias"], _same


def _norm(layer, name):
    yield layer.gamma, [f"{name}.weight"], _same
    yield layer.beta, [f"{name}.bias"], _same


def _encoder(encoder, name):
    for place, block in enumerate(encoder.blocks):
        start = f"{name}.layers.{place}"
        yield from _norm(block.attention_norm, f"{start}.0.norm")
        for part in ("query", "key", "value", "output"):
            where = f"{start}.0.fn.mha_lc.{part[0]}_proj"
            yield getattr(block.attention, f"{part}_kernel"), [f"{where}.weight"], np.transpose
            yield getattr(block.attention, f"{part}_bias"), [f"{where}.bias"], _same
        yield from _norm(block.ffn_norm, f"{start}.1.norm")
        yield from _linear(block.ffn_in, f"{start}.1.fn.net.0")
        yield from _linear(block.ffn_out, f"{start}.1.fn.net.3")


def import_weights(arrays: dict[str, np.ndarray], config: dict[str, Any]):
    """Build the model of a reference configuration and fill it with the reference's weights.

    Parameters
    ----------
    arrays : dict of str to numpy array
        State under the reference's names; a common prefix of all of them is dropped.
    config : dict
        The reference's configuration keys.

    Returns
    -------
    keras.Model

    Raises
    ------
    DataError
        If an array is missing, of the wrong shape, or unknown.
    """
    try:
        hparams, info = read_config(config)
    except KeyError as error:
        raise DataError(f"the configuration lacks the reference's key {error}") from None
    model = create("atat", info, **hparams)
    ours = list(pairs(model))
    arrays = _without_prefix(arrays, ours[0][1][0])
    used: set[str] = set()
    for variable, names, combine in ours:
        for name in names:
            if name not in arrays:
                raise DataError(
                    f"weights: the array {name!r} is missing. Received: {', '.join(sorted(arrays)[:6])} ..."
                )
        value = combine(*(arrays[name] for name in names))
        if tuple(value.shape) != tuple(variable.shape):
            raise DataError(
                f"weights: {names[0]!r} has the wrong shape for this configuration. "
                f"Valid: {tuple(variable.shape)} after conversion. Received: {tuple(value.shape)}"
            )
        variable.assign(value)
        used.update(names)
    for name in sorted(set(arrays) - used):
        if not name.startswith(BUILT_ANYWAY):
            raise DataError(f"weights: an array that the reference does not have. Received: {name!r}")
    return model


def _without_prefix(arrays, name):
    if name in arrays:
        return arrays
    prefixes = {key[: -len(name)] for key in arrays if key.endswith(f".{name}")}
    # The shortest is the model's own: "tab_token" and the like do not end in ".token".
    for prefix in sorted(prefixes, key=len):
        return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}
    return arrays
