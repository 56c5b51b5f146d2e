"""Golden cases of the classifiers on the autoencoder's encoder."""

from __future__ import annotations

import numpy as np
from keras import ops

from zoo.golden import Case, compare
from zoo.models.ae_classifier import reference

MODELS = ("ae_classifier", "encoder_ffn", "encoder_ffn_classifier")
TOLERANCE = 2e-5


def check_classifier(case: Case):
    """Compare a case of a classifier on the encoder; None for another model."""
    if case.config.get("model") not in MODELS:
        return None
    kind = "ae_classifier" if case.config["model"] == "ae_classifier" else "encoder_ffn"
    model = reference.import_weights(case.group("w"), case.config, kind)
    source = ops.convert_to_tensor(case.arrays["x/source"])
    tokens, valid = model.encode(source, None)
    # The case repeats the pair along time.
    logits = model.classify(tokens, ops.convert_to_tensor(case.arrays["x/minmax"][:, 0]), valid)
    probabilities = ops.softmax(logits, axis=-1)
    expected = case.group("y")
    ours = {"encoder_out": tokens, "probabilities": probabilities}
    found = [
        compare(name, ops.convert_to_numpy(value), expected[name], TOLERANCE)
        for name, value in ours.items()
        if name in expected
    ]
    losses = case.config.get("losses", {})
    if "categorical_crossentropy" in losses:
        chosen = np.take_along_axis(np.asarray(probabilities, "float64"), case.arrays["x/label"][:, None], axis=1)
        loss = -np.mean(np.log(chosen))
        found.append(compare("categorical_crossentropy", loss, losses["categorical_crossentropy"], TOLERANCE))
    counts = {"n_params": model.count_params(), "frozen_trainable_params": model.classifier.count_params()}
    found += [compare(name, count, case.config[name], 0.0) for name, count in counts.items() if name in case.config]
    return found
