"""Golden cases of t2: forward pass and intermediates of published weights."""

from __future__ import annotations

import numpy as np
from keras import ops

from zoo.golden import Case, compare
from zoo.models.t2 import reference

TOLERANCE = 1e-5


def check_model(case: Case):
    """Compare a model case; None when the case holds no weights."""
    weights, arrays, expected = case.group("w"), case.group("x"), case.group("y")
    if not weights:
        return None
    model = reference.import_weights(weights, case.config)
    inputs = {"features": arrays["flux"].reshape(len(arrays["flux"]), -1)}
    if "aux" in arrays:
        inputs["static"] = arrays["aux"]
    inputs = {name: ops.convert_to_tensor(value, "float32") for name, value in inputs.items()}
    found = {"concat_input": model.sequence(inputs)}
    found["conv_embedding"] = model.embedding(found["concat_input"])
    found["position"] = model.positions[None]
    tokens = found["after_position"] = model.embed(found["concat_input"])
    for place, block in enumerate(model.blocks):
        tokens = found[f"block_{place}"] = block(tokens, training=False)
    found["pooled"] = ops.mean(tokens, axis=1)
    logits = model(inputs, training=False)["lc"]
    found["logits"] = logits
    found["probabilities"] = ops.softmax(logits, axis=-1)
    found["log_probabilities"] = ops.log_softmax(logits, axis=-1)
    if not {"probabilities", "logits"} & set(expected):
        raise ValueError("the case has neither probabilities nor logits")
    result = []
    for name, theirs in expected.items():
        if name not in found:
            continue
        # Tokens of order 100 cannot agree to 1e-5 in float32, nor can positions that are a difference of such tokens.
        tokens = expected.get("conv_embedding", theirs) if name == "position" else theirs
        scale = max(1.0, float(np.abs(tokens).max()))
        result.append(compare(name, ops.convert_to_numpy(found[name]), theirs, TOLERANCE, scale))
    if "n_params" in case.config:
        result.append(compare("n_params", model.count_params(), case.config["n_params"], 0.0))
    return result
