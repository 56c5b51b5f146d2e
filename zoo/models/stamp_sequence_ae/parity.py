"""Golden cases of the recurrent networks on stamps."""

from __future__ import annotations

import numpy as np
from keras import ops

from zoo.golden import Case
from zoo.losses.classification import crossentropy
from zoo.losses.reconstruction import reconstruction_loss
from zoo.models.stamp_ae.parity import channels_first, channels_last, chosen
from zoo.models.stamp_sequence_ae import reference
from zoo.models.stamp_sequence_ae.model import merged


def _everywhere(values):
    """Give a mask (batch, frame) of valid frames."""
    return ops.ones(values.shape[:2], "bool")


def check_autoencoder(case: Case):
    """Compare a case of the recurrent autoencoder; None for another model."""
    weights = case.group("w")
    if not {"encoder.0.weight", "rnn.weight_ih_l0"} <= set(weights):
        return None
    model = reference.import_autoencoder(weights, case.config)
    images, expected = channels_last(case.arrays["x/sequence"]), case.group("y")
    mask = _everywhere(images)
    codes = model.code(images, mask)
    projected = model.project(codes, mask)
    found = model.decode(projected, mask)
    logits = model.decide(projected)
    ours = {
        "latent": merged(codes),
        "reconstruction": lambda: channels_first(merged(model.decode(codes, mask))),
        "rnn_hidden": lambda: model.recurrent(codes, mask),
        "rnn_latent": projected,
        "rnn_reconstruction": channels_first(merged(found)),
        "class_logits": logits,
    }
    losses = {}
    everywhere = ops.ones(found.shape, "bool")
    losses["loss_recurrent_mse"] = ops.mean(reconstruction_loss("MSE", images, found, everywhere))
    if "x/labels" in case.arrays:
        labels = ops.convert_to_tensor(np.asarray(case.arrays["x/labels"], "int32"))
        losses["loss_ce"] = ops.mean(crossentropy(labels, logits))
        losses["loss_combined_half"] = 0.5 * losses["loss_recurrent_mse"] + 0.5 * losses["loss_ce"]
    return chosen(ours | losses, expected)


def check_latent_rnn(case: Case):
    """Compare a case of the recurrent classifier of codes; None for another model."""
    weights = case.group("w")
    if not {"fc3.weight", "rnn.weight_ih_l0"} <= set(weights) or "x/latent_sequence" not in case.arrays:
        return None
    model = reference.import_latent_rnn(weights, case.config)
    codes = ops.convert_to_tensor(case.arrays["x/latent_sequence"], "float32")
    return chosen({"logits": model.decide(model.project(codes, _everywhere(codes)))}, case.group("y"))


def check_gru(case: Case):
    """Compare a case of the GRU on codes; None for another model."""
    weights = case.group("w")
    if "fc.7.weight" not in weights:
        return None
    model = reference.import_gru(weights, case.config)
    codes = ops.convert_to_tensor(case.arrays["x/code_sequence"], "float32")
    return chosen({"logits": model.decide(codes, _everywhere(codes))}, case.group("y"))
