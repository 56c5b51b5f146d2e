"""Golden cases of Deep-HiTS."""

from __future__ import annotations

import numpy as np
from keras import ops

from zoo.golden import Case
from zoo.models.deep_hits import reference
from zoo.models.stamp_ae.parity import channels_first, channels_last, chosen


def check_model(case: Case):
    """Compare a case; None for another model."""
    weights = case.group("w")
    if not {"c1.weight", "d1.weight", "out.weight"} <= set(weights):
        return None
    model = reference.import_weights(weights, case.config)
    joined = model.joined(channels_last(case.arrays["x/image"]))
    logits = model.head(model.embed(joined))

    def published_order():
        filters = 2 * model.config.filters
        side = reference.side(joined.shape[1], filters)
        images = np.reshape(ops.convert_to_numpy(joined), (-1, 4, side, side, filters))
        return np.reshape(channels_first(images), (len(images), -1))

    ours = {"logits": logits, "joined": published_order, "probs": lambda: ops.softmax(logits, axis=-1)}
    return chosen(ours, case.group("y"))
