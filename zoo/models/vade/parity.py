"""Golden cases of the variational deep embedding: codes, images, and every term of the bound."""

from __future__ import annotations

from keras import ops

from zoo.golden import Case
from zoo.models.stamp_ae.parity import channels_first, channels_last, chosen
from zoo.models.vade import reference


def check_model(case: Case):
    """Compare a case; None for another model."""
    weights = case.group("w")
    if not {"muc", "lvc", "enc.0.weight"} <= set(weights):
        return None
    model = reference.import_weights(weights, case.config)
    images = channels_last(case.arrays["x/image"])
    mean, log_variance = model.encode(images)
    noise = ops.convert_to_tensor(case.arrays["x/eps"], "float32")
    found = model.bound(images, ops.ones(images.shape, "bool"), mean, log_variance, noise)
    found |= {"mu": mean, "logvar": log_variance, "recon": channels_first(found["recon"])}
    return chosen(found, case.group("y"))
