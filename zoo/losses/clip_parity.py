"""Golden cases of the contrastive loss on given logits."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from zoo.golden import Case, compare, gradients, unknown
from zoo.losses.clip import PAIRS, pair_loss

TOLERANCE = 1e-5
SHORT = dict(zip(PAIRS, ("ps", "sm", "mp"), strict=True))
"""Names of the pairs in golden cases."""


def losses(logits) -> dict:
    """Give the loss of every pair of whole batches' logits (batch, batch), and their sum, by the cases' names."""
    found = {}
    for short in SHORT.values():
        rows = logits[short]
        everyone = ops.ones(rows.shape[:1])
        places, count = ops.arange(rows.shape[0], dtype="int32"), ops.sum(everyone)
        found[f"loss_{short}"] = ops.mean(pair_loss(rows, ops.transpose(rows), places, everyone, everyone, count))
    return found | {"loss": sum(found.values())}


def check_loss(case: Case):
    """Compare a case of the loss and its gradients; None for another kind."""
    if case.config.get("module") != "CLIPLoss":
        return None
    logits = {short: keras.Variable(case.arrays[f"x/logits_{short}"], dtype="float32") for short in SHORT.values()}
    slopes = gradients(
        lambda: losses({key: ops.convert_to_tensor(value) for key, value in logits.items()})["loss"], logits.values()
    )
    found = losses({key: ops.convert_to_tensor(value) for key, value in logits.items()})
    found |= {f"grad_{short}": slope for short, slope in zip(logits, slopes, strict=True)}
    result = []
    for name, theirs in case.group("y").items():
        if name not in found:
            result.append(unknown(name))
            continue
        # Losses relative to their size, gradients as they are.
        scale = max(float(np.abs(theirs)), 1e-30) if name.startswith("loss") else 1.0
        result.append(compare(name, ops.convert_to_numpy(found[name]), theirs, TOLERANCE, scale))
    return result
