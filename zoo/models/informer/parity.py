"""Golden cases of the Informer: forward pass, chosen queries and intermediates."""

from __future__ import annotations

import re

import numpy as np
from keras import ops

from zoo.golden import Case, compare, unknown
from zoo.models.informer import reference

TOLERANCE = 2e-5


def check_model(case: Case):
    """Compare a case; None for another model."""
    weights, arrays = case.group("w"), case.group("x")
    if case.config.get("module") != "Informer" or not weights:
        return None
    model = reference.import_weights(weights, case.config)
    channels = ops.convert_to_tensor(arrays["photometry"], "float32")
    mask = ops.convert_to_tensor(arrays["mask"] > 0.5)
    tokens, found = inside(model.photo, channels, mask, indices(arrays, len(model.photo.blocks), channels.shape[1]))
    flat = model.photo.flat(tokens, mask)
    found |= {"encoder_flat": flat, "logits": model.head(flat)}
    result = [_compared(name, found, theirs) for name, theirs in case.group("y").items()]
    if "n_params" in case.config:
        count = sum(int(np.prod(item.shape)) for item in model.trainable_variables)
        result.append(compare("n_params", count, case.config["n_params"], 0.0))
    return result


def indices(arrays, blocks: int, rows: int):
    """Give the sampled keys of every block; where a case holds none, all keys once."""
    whole = np.tile(np.arange(rows, dtype="int32"), (rows, 1))
    return [ops.convert_to_tensor(arrays.get(f"index_sample{place}", whole), "int32") for place in range(blocks)]


def inside(encoder, channels, mask, sampled):
    """Run an encoder block by block.

    Returns
    -------
    tokens : tensor (batch, row, d_model)
        What `InformerEncoder.encode` gives.
    found : dict of str to tensor
        Intermediates under the names of the cases.
    """
    tokens, found = encoder.embed(channels, mask, training=False), {}
    found["embed"] = tokens
    for place, (block, index) in enumerate(zip(encoder.blocks, sampled, strict=True)):
        measure = block.attention.measure(tokens, None, index)
        chosen = block.attention.choose(measure)
        found[f"M{place}"], found[f"top{place}"] = measure, np.sort(ops.convert_to_numpy(chosen), axis=-1)
        found[f"attn{place}"] = block.attention(tokens, None, index)
        tokens = found[f"layer{place}"] = block(tokens, None, index, training=False)
    tokens = found["encoder_out"] = encoder.norm(tokens)
    return tokens, found


def _compared(name, found, theirs):
    if name not in found:
        return unknown(name)
    ours = ops.convert_to_numpy(found[name])
    if re.fullmatch(r"top\d+", name):
        return compare(name, ours, np.sort(theirs, axis=-1), 0.0)
    # Scores are sums of many products: rounding grows with their size.
    scale = max(1.0, float(np.abs(theirs).max())) if name.startswith("M") else 1.0
    return compare(name, ours, theirs, TOLERANCE, scale)
