"""AstroM3's weights under the names of its public code."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfrecords.errors import DataError
from zoo.losses.clip import MODALITIES, PAIRS, name_of
from zoo.models import state_dict
from zoo.models.astrom3.config import options
from zoo.models.galspecnet import reference as spectra
from zoo.models.informer import reference as photo
from zoo.models.metamodel import reference as meta
from zoo.models.oracle.reference import array, fill
from zoo.registry import ModelInfo, create

NAMES = {"photo": "photometry", "spectra": "spectra", "meta": "metadata"}
"""Modalities there."""

SCALES = dict(zip(map(name_of, PAIRS), ("logit_scale_ps", "logit_scale_sm", "logit_scale_mp"), strict=True))
"""Logarithms of the scales there, by pair."""

ENCODERS = {"photo": photo.encoder_pairs, "spectra": spectra.encoder, "meta": meta.encoder}
MODELS = {"clip": "astrom3_clip", "all": "astrom3"}
"""Models of the zoo by the original's mode."""


def read_config(config: dict[str, Any], arrays) -> tuple[str, dict[str, Any], ModelInfo]:
    """Translate the original's configuration; sizes are those of the weights.

    Parameters
    ----------
    config : dict
        The original's keys, by themselves or under ``config``: ``mode`` clip or all, ``hidden_dim``, ``fusion``, those
        of the three parts, and as the parts' own importers take them ``n_wave``, ``classes``, ``photo_cols``,
        ``meta_cols``, ``meta_mean`` and ``meta_std``.
    arrays : dict of str to numpy array

    Returns
    -------
    model : str
        Name in the registry.
    hparams : dict
    info : ModelInfo
    """
    values = spectra.settings(config)
    model = MODELS.get(values.get("mode"))
    if model is None:
        raise DataError(f"mode must be one of {', '.join(MODELS)}. Received: {values.get('mode')!r}")
    channels = array(arrays, "photometry_encoder.enc_embedding.value_embedding.tokenConv.weight").shape[1]
    parts = {
        "photo": photo.hyperparameters(values, channels),
        "spectra": spectra.hparams(values),
        "meta": meta.hparams(values),
    }
    size = spectra.grid_size(config, array(arrays, "spectra_proj.weight").shape[1], values)
    columns = meta.columns(values, array(arrays, "metadata_encoder.model.0.weight").shape[1])
    parts["meta"]["columns"] = list(columns)
    hparams: dict[str, Any] = {"hidden_dim": len(array(arrays, "photometry_proj.weight"))}
    for name, chosen in parts.items():
        hparams |= {options(name)[key]: value for key, value in chosen.items()}
    if model == "astrom3":
        hparams["fusion"] = values.get("fusion", "avg")
        count = len(array(arrays, "fc.weight"))
    else:
        hparams |= {"init_scale": 100.0, "scale_compat": True}
        count = len(values["classes"]) if values.get("classes") else 0
    static = dict.fromkeys([*columns, *parts["photo"]["photo_cols"]])
    info = ModelInfo(classes=spectra.names(values, "classes", count), static=tuple(static), spectrum_size=size)
    return model, hparams, info


def import_weights(arrays: dict[str, np.ndarray], config: dict[str, Any]):
    """Build `zoo.models.astrom3.model.AstroM3`, or `AstroM3Clip`, of the weights' sizes and fill it.

    Parameters
    ----------
    arrays : dict of str to numpy array
        State dict of the published network in its mode ``all`` or ``clip``; float16 is read as float32.
    config : dict
        See `read_config`.

    Returns
    -------
    keras.Model
        It behaves as the original does.

    Raises
    ------
    DataError
        If an array is missing, of the wrong shape, or unknown, or the configuration is of something else.
    """
    arrays = {name: np.asarray(value, "float32") for name, value in photo.without_table(arrays).items()}
    name, hparams, info = read_config(config, arrays)
    model = create(name, info, **hparams)
    pairs = []
    for modality in MODALITIES:
        start = f"{NAMES[modality]}_encoder."
        pairs += ENCODERS[modality](getattr(model, modality), arrays, start)
        pairs += state_dict.dense(getattr(model, f"{modality}_projection"), f"{NAMES[modality]}_proj", arrays)
    if name == "astrom3":
        # The scales are there in this mode too, and of no use.
        arrays = {key: value for key, value in arrays.items() if key not in SCALES.values()}
        pairs += state_dict.dense(model.head, "fc", arrays)
    else:
        for pair, theirs in SCALES.items():
            pairs.append((model.pair_scales.logarithms[pair], [theirs], array(arrays, theirs)))
    fill(pairs, arrays)
    meta.statistics(model.meta, spectra.settings(config))
    return model
