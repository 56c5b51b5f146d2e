"""Golden cases of RAPID: probabilities at every step, and what the layers give inside."""

from __future__ import annotations

import numpy as np
from keras import ops

from zoo.golden import Case, compare
from zoo.models.rapid import reference

TOLERANCE, INSIDE = 1e-5, 1e-4
"""Of probabilities, and of what layers give: raw fluxes of hundreds make the originals' own states rough at 2e-5."""


def view(model, channels: np.ndarray) -> dict:
    """Give published inputs (batch, step, channel) as the tensors of the view ``grid``, every step valid."""
    bands = len(model.info.bands)
    everywhere = np.ones((*channels.shape[:2], bands), bool)
    inputs = {"flux": channels[..., :bands], "observed": everywhere, "mask": everywhere[..., 0]}
    return {key: ops.convert_to_tensor(value) for key, value in inputs.items()}


def check_model(case: Case):
    """Compare a case; None when it holds no weights."""
    weights, expected = case.group("w"), case.group("y")
    if not weights:
        return None
    model = reference.import_weights(weights, case.config)
    channels = case.arrays["x/input"].astype("float32")
    inputs = view(model, channels)
    # The channels are given as the network sees them: the redshift is 0 behind the last step.
    channels = ops.convert_to_tensor(channels)
    hidden, inside = _encode(model, channels, inputs["mask"])
    found = []
    for name, value in inside.items():
        if name in expected:
            found.append(compare(name, ops.convert_to_numpy(value), expected[name], INSIDE))
    probabilities = ops.convert_to_numpy(ops.softmax(model.head(hidden), axis=-1))
    found += [compare(name, probabilities, expected[name], TOLERANCE)
              for name in ("head", "probabilities") if name in expected]  # fmt: skip
    if "mask" in expected:
        ours = ops.convert_to_numpy(ops.any(channels != 0, axis=-1))
        found.append(compare("mask", ours, expected["mask"], 0.0))
    return found


def _encode(model, channels, mask):
    """Give the encoding of every step, and what each layer gives by the reference's short names."""
    if not hasattr(model, "cell"):
        hidden = model.encode(channels, mask)
        return hidden, {"tcn": hidden}
    hidden, inside = model.encode(channels, mask, every=True)
    kinds = ("rnn", "bn") if model.config.batch_norm else ("rnn",)
    names = [f"{kind}_{place}" for place in range(model.config.layers) for kind in kinds]
    return hidden, dict(zip(names, inside, strict=True))
