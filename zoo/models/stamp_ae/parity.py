"""Golden cases of the autoencoders of single stamps."""

from __future__ import annotations

import numpy as np
from keras import ops

from zoo.golden import Case, compare
from zoo.models.stamp_ae import reference

TOLERANCE = 1e-5


def close(name, ours, theirs):
    """Compare to 1e-5; numbers above 1 relative to the largest."""
    ours, theirs = np.asarray(ops.convert_to_numpy(ours)), np.asarray(theirs)
    return compare(name, ours, theirs, TOLERANCE, max(1.0, float(np.max(np.abs(theirs), initial=0.0))))


def channels_last(images):
    """Give images (..., channel, height, width) as tensors (..., height, width, channel), float32."""
    return ops.convert_to_tensor(np.moveaxis(images, -3, -1), "float32")


def channels_first(images):
    """Give images (..., height, width, channel) as arrays (..., channel, height, width)."""
    return np.moveaxis(ops.convert_to_numpy(images), -1, -3)


def chosen(ours: dict, expected) -> list:
    """Compare what a case has; a value that is a function is computed only then."""
    return [close(name, value() if callable(value) else value, expected[name])
            for name, value in ours.items() if name in expected]  # fmt: skip


def check_autoencoder(case: Case):
    """Compare a case of the convolutional autoencoder; None for another model."""
    weights = case.group("w")
    if "encoder.0.weight" not in weights or "rnn.weight_ih_l0" in weights:
        return None
    model = reference.import_weights(weights, case.config)
    images = channels_last(case.arrays["x/image"])
    latent = model.encode(images)
    found = model.decode(latent)
    ours = {
        "latent": latent,
        "reconstruction": channels_first(found),
        "mse": lambda: ops.mean(ops.square(found - images)),
    }
    return chosen(ours, case.group("y"))


def check_pooled(case: Case):
    """Compare a case of the autoencoder with average pooling; None for another model."""
    weights = case.group("w")
    if "classifier.8.weight" not in weights:
        return None
    model = reference.import_pooled(weights, case.config)
    latent = model.encoder(channels_last(case.arrays["x/image"]))
    logits = model.classify(latent)
    ours = {
        "latent": latent,
        "reconstruction": lambda: channels_first(model.decoder(latent)),
        "logits": logits,
        "probs": lambda: ops.softmax(logits, axis=-1),
    }
    return chosen(ours, case.group("y"))
