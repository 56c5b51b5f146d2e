"""Golden cases of GalSpecNet."""

from __future__ import annotations

import numpy as np
from keras import ops

from zoo.golden import Case, compare, unknown
from zoo.models.galspecnet import reference

TOLERANCE = 2e-5


def check_model(case: Case):
    """Compare a case of GalSpecNet; None for another model."""
    weights = case.group("w")
    if case.config.get("module") != "GalSpecNet" or not weights:
        return None
    model = reference.import_weights(weights, case.config)
    layer = model.spectra
    spectra = ops.convert_to_tensor(np.moveaxis(case.arrays["x/spectra"], 1, 2), "float32")
    found, place = {}, 0
    for kind, values in layer.features(spectra):
        found[f"layer{place}_{'Conv1d' if kind == 'conv' else 'MaxPool1d'}"] = ops.transpose(values, (0, 2, 1))
        place += 2 if kind == "conv" else 1
    found["flat"] = layer.flat(values)
    found["logits"] = model.head(found["flat"])
    result = []
    for name, theirs in case.group("y").items():
        if name not in found:
            result.append(unknown(name))
            continue
        result.append(compare(name, ops.convert_to_numpy(found[name]), theirs, TOLERANCE))
    if "n_params" in case.config:
        result.append(compare("n_params", model.count_params(), case.config["n_params"], 0.0))
    return result
