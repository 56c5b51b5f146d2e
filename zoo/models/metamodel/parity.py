"""Golden cases of MetaModel, and of the preparation of its columns."""

from __future__ import annotations

import numpy as np
from keras import ops

from tfrecords.errors import DataError
from zoo.golden import Case, compare, unknown
from zoo.layers.catalogue import CatalogueColumns
from zoo.models.metamodel import reference

TOLERANCE = 2e-5
PREPARED = 1e-6
KINDS = {"abs": "absolute", "cos": "cos", "sin": "sin", "log10": "log10"}
"""Names of the transforms in golden cases, and ours."""


def _compared(case: Case, found: dict, tolerance: float) -> list:
    result = []
    for name, theirs in case.group("y").items():
        if name not in found:
            result.append(unknown(name))
            continue
        # Magnitudes of 20 cannot agree to 1e-6 in float32.
        scale = max(1.0, float(np.abs(theirs).max(initial=0.0))) if tolerance == PREPARED else 1.0
        result.append(compare(name, ops.convert_to_numpy(found[name]), theirs, tolerance, scale))
    return result


def check_model(case: Case):
    """Compare a case of MetaModel; None for another model."""
    weights = case.group("w")
    if case.config.get("module") != "MetaModel" or not weights:
        return None
    model = reference.import_weights(weights, case.config)
    values = ops.convert_to_tensor(case.arrays["x/metadata"], "float32")
    found = {"logits": model({"static": values})["logits"]}
    for place, layer in enumerate(model.meta.hidden, 1):
        values = ops.relu(layer(values))
        found[f"hidden{place}"] = values
    result = _compared(case, found, TOLERANCE)
    if "n_params" in case.config:
        # Means and deviations of columns are no weights of the original.
        count = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
        result.append(compare("n_params", count, case.config["n_params"], 0.0))
    return result


def check_columns(case: Case):
    """Compare a case of the preparation of metadata; None for another kind."""
    if case.config.get("module") != "preprocess_metadata":
        return None
    if case.config.get("std_ddof", 0):
        raise DataError(f"std_ddof: valid is 0, the population's deviation. Received: {case.config['std_ddof']}")
    names, roles = case.config["columns"], {}
    for kind, columns in case.config["roles"].items():
        roles |= dict.fromkeys(columns, KINDS[kind]) if kind in KINDS else {}
    layer = CatalogueColumns(names, names, roles)
    train, test = (ops.convert_to_tensor(case.arrays[f"x/{name}"], "float32") for name in ("train", "test"))
    layer.fit(ops.convert_to_numpy(train))
    found = {
        "train_transformed": layer.transformed(train),
        "mean": layer.mean,
        "std": layer.deviation,
        "train_scaled": layer(train),
        "test_scaled": layer(test),
    }
    return _compared(case, found, PREPARED)
