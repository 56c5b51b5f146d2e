"""Golden cases of AstroM3: encoders, embeddings, similarity logits, losses, class logits."""

from __future__ import annotations

import zlib

import numpy as np
from keras import ops

from zoo.golden import Case, compare, unknown
from zoo.losses.clip import PAIRS, Similarities, pair_probabilities
from zoo.losses.clip_parity import SHORT, losses
from zoo.models.astrom3 import reference
from zoo.models.informer.parity import indices

TOLERANCE, SIMILARITY, RELATIVE = 2e-5, 1e-4, 1e-5
"""Of embeddings and class logits, of similarity logits, and of losses relative to their size."""

EMBEDDINGS = {"photo": "p_emb", "spectra": "s_emb", "meta": "m_emb"}


def made_weights(shapes: dict[str, list[int]]) -> dict[str, np.ndarray]:
    """Give the weights of a case that states a recipe for them in place of numbers.

    Normal numbers z of a generator seeded with the CRC-32 of the name: logarithms of scales are 2, 3 and 1, weights of
    norms 1 + 0.1 z, biases 0.05 z, all others z divided by the root of the number of inputs.
    """
    scales = dict(zip(reference.SCALES.values(), (2.0, 3.0, 1.0), strict=True))
    found = {}
    for name, shape in shapes.items():
        values = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape).astype("float32")
        if name in scales:
            values = np.float32(scales[name])
        elif "norm" in name and name.endswith("weight"):
            values = 1 + 0.1 * values
        elif name.endswith("bias"):
            values = 0.05 * values
        else:
            values = values / np.sqrt(np.prod(shape[1:]))
        found[name] = np.asarray(values, "float32")
    return found


def check_model(case: Case):
    """Compare a case of AstroM3; None for another kind."""
    weights, arrays, expected = case.group("w"), case.group("x"), case.group("y")
    if not weights and "weight_shapes" in case.config:
        weights = made_weights(case.config["weight_shapes"])
    if case.config.get("module") != "AstroM3" or not weights:
        return None
    model = reference.import_weights(weights, case.config)
    found = _inside(model, arrays)
    result = []
    for name, theirs in expected.items():
        if name not in found:
            result.append(unknown(name))
            continue
        tolerance, scale = TOLERANCE, 1.0
        if name.startswith("loss"):
            tolerance, scale = RELATIVE, max(float(np.abs(theirs)), 1e-30)
        elif name.startswith("logits_"):
            tolerance = SIMILARITY
        result.append(compare(name, ops.convert_to_numpy(found[name]), theirs, tolerance, scale))
    count = case.config.get("n_params_model") or case.config.get("n_params")
    if count:
        # In the mode `all` the original keeps scales that nothing uses; it knows no vectors for what is missing.
        more = [] if hasattr(model, "pair_scales") else model.fusion.trainable_variables
        count += sum(int(np.prod(variable.shape)) for variable in more)
        ours = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
        ours += 0 if hasattr(model, "pair_scales") else len(reference.SCALES)
        result.append(compare("n_params", ours, count, 0.0))
    return result


def _inside(model, arrays) -> dict:
    """Give outputs and intermediates under the names of the cases."""
    channels, mask = ops.convert_to_tensor(arrays["photometry"], "float32"), arrays["mask"] > 0.5
    sampled = indices(arrays, len(model.photo.blocks), channels.shape[1])
    tokens = model.photo.encode(channels, ops.convert_to_tensor(mask), sampled, training=False)
    # Behind the columns of the metadata stand those of the photometry, which the channels hold already.
    other = np.zeros((len(mask), len(model.info.static) - arrays["metadata"].shape[1]), "float32")
    inputs = {
        "static": np.concatenate([arrays["metadata"], other], axis=1),
        **_spectrum(arrays["spectra"], model.spectra),
    }
    features = {
        "photo": model.photo.flat(tokens, ops.convert_to_tensor(mask)),
        "spectra": model.spectra(inputs, training=False),
        "meta": model.meta(inputs, training=False),
    }
    found, ours = {}, {}
    for name, values in features.items():
        theirs = reference.NAMES[name]
        found[f"{theirs}_encoder"] = values
        found[f"{theirs}_proj"] = getattr(model, f"{name}_projection")(values)
        ours[name] = found[EMBEDDINGS[name]] = model.project(name, values)
    # Every 25th row of the long vector.
    found["photometry_encoder_every25"] = ops.reshape(features["photo"], tokens.shape)[:, ::25]
    if hasattr(model, "head"):
        there = ops.ones((len(mask), len(ours)), "bool")
        found["logits"] = model.head(model.fusion(ops.stack(list(ours.values()), axis=1), there))
        return found
    return found | _contrast(ours, model.scales())


def _contrast(ours, scales) -> dict:
    """Give similarity logits, losses, probabilities and accuracy of embeddings by modality."""
    there = {name: ops.ones(values.shape[:1], "bool") for name, values in ours.items()}
    similar = Similarities(ours, there, scales)
    logits, probabilities = {}, 0.0
    for pair in PAIRS:
        rows, columns = similar.logits(pair)
        logits[SHORT[pair]] = rows
        probabilities = probabilities + pair_probabilities(rows, columns, similar.valid(pair)[1]) / len(PAIRS)
    found = {f"logits_{short}": values for short, values in logits.items()} | losses(logits)
    hit = ops.equal(ops.argmax(probabilities, axis=1), ops.arange(probabilities.shape[0]))
    return found | {"pair_prob": probabilities, "clip_accuracy": ops.mean(ops.cast(hit, "float32"))}


def _spectrum(spectra, encoder) -> dict:
    """Give spectra (batch, channel, wavelength) as the tensors of the part ``spectrum``."""
    flux, config = spectra[:, 0], encoder.config
    return {
        "spectrum": flux,
        "spectrum_err": spectra[:, 1] if config.use_err else np.zeros_like(flux),
        # One number for the whole grid.
        "spectrum_scale": spectra[:, -1, :1] if config.use_scale else np.zeros_like(flux[:, :1]),
        "spectrum_mask": np.ones(flux.shape, bool),
    }
