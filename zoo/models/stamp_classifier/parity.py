"""Golden cases of the stamp classifier: network, loss, and preparation of stamps and columns."""

from __future__ import annotations

import numpy as np
from keras import ops

from zoo.golden import Case, NotCarried, compare, unknown
from zoo.layers.alert_columns import AlertColumns
from zoo.layers.stamps import StampPreprocess
from zoo.losses.classification import crossentropy, entropy
from zoo.models.stamp_classifier import reference

TOLERANCE, OF_LOSS = 1e-5, 1e-4


def check_model(case: Case):
    """Compare a case with weights; None when they are of no stamp classifier."""
    weights, expected = case.group("w"), case.group("y")
    if not reference.is_stamp_classifier(weights) or "x/image" not in case.arrays:
        return None
    images = ops.convert_to_tensor(case.arrays["x/image"], "float32")
    # The images of a case are prepared already: their own width is that of the network.
    model = reference.import_weights(weights, case.config | {"crop": images.shape[1], "stamp_size": images.shape[1]})
    columns = ops.convert_to_tensor(case.arrays["x/features"], "float32") if model.config.features else None
    logits = model.decide(images, columns)
    ours = {"logits": logits, "probs": ops.softmax(logits), "pooled": model.pooled(images)}
    if "conv_block1_rot_major" in expected:
        shown = model.encoder.first_block(model.turn(images))
        ours["conv_block1_rot_major"] = ops.convert_to_numpy(shown)[:: max(1, len(images) // 4)]
    if columns is not None:
        ours["fused"] = model.fused(ours["pooled"], columns)
    if "x/labels" in case.arrays:
        ce = ops.mean(crossentropy(ops.convert_to_tensor(case.arrays["x/labels"], "int32"), logits))
        spread = ops.mean(entropy(logits))
        ours |= {"ce": ce, "entropy": spread, "loss": ce - float(case.config.get("beta") or 0.0) * spread}
    found = []
    for name, theirs in expected.items():
        if name not in ours:
            found.append(unknown(name))
            continue
        loss = name in ("ce", "entropy", "loss")
        # Beyond 10 the published tolerance is relative: 1e-4 of the value.
        scale = 1.0 if loss else max(1.0, 0.1 * float(np.abs(theirs).max()))
        found.append(compare(name, ops.convert_to_numpy(ours[name]), theirs, OF_LOSS if loss else TOLERANCE, scale))
    return found


def check_preparation(case: Case):
    """Compare a case of raw stamps and columns; None when it holds none."""
    arrays, expected = case.arrays, case.group("y")
    if "x/raw_image" not in arrays:
        return None
    found = []
    for name, theirs in expected.items():
        if name == "image":
            images = arrays["x/raw_image"]
            names = [str(place) for place in range(images.shape[-1])]
            layer = StampPreprocess(theirs.shape[1], "per_image", names, names)
            ours, _ = layer(ops.convert_to_tensor(images, "float32"))
            found.append(compare(name, ops.convert_to_numpy(ours), theirs, 1e-6))
        elif name == "features":
            layer = AlertColumns(case.config["feature_order"], _limits(case.config["clip"]))
            layer.build()
            layer.set_statistics(arrays["x/feature_mean"], arrays["x/feature_std"])
            ours = layer(ops.convert_to_tensor(arrays["x/raw_features"], "float32"))
            found.append(compare(name, ops.convert_to_numpy(ours), theirs, TOLERANCE))
        elif name.startswith("probs"):
            found.append(NotCarried(name, "the case holds no weights"))
        else:
            found.append(unknown(name))
    return found


def _limits(table) -> dict:
    """Read limits as a case writes them: ``a,b``, or ``a1..3`` for a1, a2 and a3."""
    limits = {}
    for names, pair in table.items():
        for name in names.split(","):
            stem, mark, last = name.strip().partition("..")
            if not mark:
                limits[stem] = tuple(pair)
                continue
            limits |= {f"{stem[:-1]}{number}": tuple(pair) for number in range(int(stem[-1]), int(last) + 1)}
    return limits
