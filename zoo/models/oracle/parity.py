"""Golden cases of ORACLE: latent vector and logits."""

from __future__ import annotations

import numpy as np
from keras import ops

from zoo.golden import Case, compare
from zoo.models.oracle import reference


def states(model, case: Case):
    """Give the encoder's state and the prepared static columns, None without them, of a model case."""
    arrays = case.group("x")
    rows = np.arange(arrays["ts"].shape[1])
    valid = ops.convert_to_tensor(rows[None, :] < arrays["length"][:, None])
    state = model.encoder(ops.convert_to_tensor(arrays["ts"], "float32"), valid)
    static = model.columns(ops.convert_to_tensor(arrays["static"], "float32")) if model.config.static else None
    return state, static


def relative(output: str, ours, theirs):
    """Compare an output to 1e-4, relative to its largest entry where that is above 1."""
    return compare(output, ops.convert_to_numpy(ours), theirs, 1e-4, max(1.0, float(np.abs(theirs).max())))


def check_model(case: Case):
    """Compare a model case; None when the case is none of ORACLE."""
    weights, expected = case.group("w"), case.group("y")
    if "gru_1/kernel" not in weights:
        return None
    model = reference.import_weights(weights)
    inputs = states(model, case)
    found = [relative("logits", model.decide(*inputs), expected["logits"])]
    if "latent" in expected:
        found.append(relative("latent", model.embed(*inputs), expected["latent"]))
    return found
