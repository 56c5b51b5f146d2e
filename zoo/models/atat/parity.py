"""Golden cases of ATAT: forward pass, intermediates, gradients and optimizer steps."""

from __future__ import annotations

import numpy as np
from keras import ops

from zoo.golden import Case, compare, gradients
from zoo.models.atat import reference
from zoo.optimizers.adam import Adam

REFERENCE_HEADS = {"MLP": "lc", "MLPTab": "tab", "MLPMix": "mix"}


def view(case: Case) -> dict[str, np.ndarray]:
    """Give a case's inputs as the tensors of the view ``packed_by_band`` and of the table.

    The case holds arrays (batch, slot, band) with padding anywhere.
    """
    arrays, config = case.group("x"), case.config
    mask = arrays["mask"].transpose(0, 2, 1) > 0
    grid = {
        "grid_time": arrays["time"].transpose(0, 2, 1),
        "grid_flux": arrays["data"].transpose(0, 2, 1),
        "grid_flux_err": arrays.get("data_var", np.zeros_like(arrays["data"])).transpose(0, 2, 1),
    }
    flat = mask.reshape(len(mask), -1)
    counts = flat.sum(axis=1)
    packed = np.argsort(~flat, axis=1, kind="stable")[:, : max(counts.max(), 1)]
    packed_mask = np.arange(packed.shape[1]) < counts[:, None]
    inputs = grid | {"pack_index": np.where(packed_mask, packed, 0), "mask": packed_mask}
    if "tabular_feat" in arrays:
        table = arrays["tabular_feat"][..., 0]
        split = config["n_metadata"] if config["using_metadata"] else 0
        inputs |= {
            "static": table[:, :split],
            "features": table[:, split:],
            "feature_set": np.zeros(len(table), "int32"),
        }
    kinds = {"pack_index": "int32", "mask": "bool", "feature_set": "int32"}
    return {key: ops.convert_to_tensor(value, kinds.get(key, "float32")) for key, value in inputs.items()}


def _outputs(model, inputs):
    """Give the logits under the reference's head names; without a tabular branch two share one head."""
    logits = model(inputs, training=False)
    if model.config.combine_tokens or model.heads == ("lc",):
        return {"MLP": logits["lc"], "MLPMix": logits["lc"]}
    return {name: logits[head] for name, head in REFERENCE_HEADS.items() if head in logits}


def check_model(case: Case):
    """Compare a model case; None when the case holds no weights."""
    weights, expected = case.group("w"), case.group("y")
    if not weights:
        return None
    model = reference.import_weights(weights, case.config)
    inputs = view(case)
    outputs = {name: np.asarray(ops.convert_to_numpy(v)) for name, v in _outputs(model, inputs).items()}
    found = []
    for name, logits in outputs.items():
        logprob = np.asarray(ops.log_softmax(logits.astype("float64"), axis=-1))
        if f"logprob_{name}" in expected:
            found.append(compare(f"logprob_{name}", logprob, expected[f"logprob_{name}"], 1e-5))
        if f"logprob64_{name}" in expected:
            found.append(compare(f"logprob64_{name}", logprob, expected[f"logprob64_{name}"], 1e-5))
    heads = [name for name in outputs if f"logprob_{name}" in expected]
    found += _intermediates(model, inputs, expected)
    labels = ops.convert_to_tensor(case.arrays["x/labels"], "int32")

    def loss():
        outputs = _outputs(model, inputs)
        return sum(
            ops.mean(ops.sparse_categorical_crossentropy(labels, outputs[name], from_logits=True)) for name in heads
        )

    if "loss" in expected:
        found.append(compare("loss", ops.convert_to_numpy(loss()), expected["loss"], 1e-5))
    reference_gradients = case.group("g")
    if reference_gradients:
        found.append(_gradients(model, loss, reference_gradients))
    if "adam_losses" in expected:
        found += _adam(model, loss, expected)
    return found


def _intermediates(model, inputs, expected):
    found, table = [], None
    config = model.config
    if "tab_tokens" in expected or "tab_token" in expected:
        table = model.table(inputs)
    if "time_mod_unsorted" in expected and config.uses("light_curve"):
        # (batch, slot, band, width) before the time sort, every slot: pack all of them.
        theirs = expected["time_mod_unsorted"]
        batch, bands, slots = inputs["grid_time"].shape
        every = np.broadcast_to(np.arange(bands * slots, dtype="int32"), (batch, bands * slots))
        tokens = model.light_curve_tokens(inputs | {"pack_index": ops.convert_to_tensor(every)})
        ours = ops.convert_to_numpy(tokens).reshape(batch, bands, slots, -1).transpose(0, 2, 1, 3)
        found.append(compare("time_mod", ours, theirs, 1e-4, max(1.0, np.abs(theirs).max())))
    # With combined tokens position 0 is what the heads read.
    if "lc_token" in expected and config.uses("light_curve"):
        combined = model.table(inputs) if config.combine_tokens else None
        ours = model.embed_light_curve(inputs, combined, training=False)
        scale = max(1.0, np.abs(expected["lc_token"]).max())
        found.append(compare("lc_token", ops.convert_to_numpy(ours), expected["lc_token"], 1e-5, scale))
    if "tab_token" in expected and not config.combine_tokens and "tab" in model.heads:
        ours = model.embed_table(table, training=False)
        scale = max(1.0, np.abs(expected["tab_token"]).max())
        found.append(compare("tab_token", ops.convert_to_numpy(ours), expected["tab_token"], 1e-5, scale))
    return found


def _gradients(model, loss, theirs):
    """Compare all gradients, each relative to the largest entry of its array or of any, times 1e-3."""
    rows = [(v, names, combine) for v, names, combine in reference.pairs(model) if names[0] in theirs]
    ours = gradients(loss, [variable for variable, _, _ in rows])
    largest = max(np.abs(array).max() for array in theirs.values())
    worst = 0.0
    for (_, names, combine), gradient in zip(rows, ours, strict=True):
        expected = combine(*(theirs[name] for name in names))
        scale = max(np.abs(expected).max(), 1e-3 * largest)
        worst = max(worst, np.abs(gradient - expected).max() / scale)
    return compare("gradients", worst, 0.0, 1e-4)


def _adam(model, loss, expected):
    """Take the reference's three Adam steps and compare losses and weights."""
    optimizer = Adam(1e-3, beta_1=0.0, beta_2=0.999, epsilon=1e-8)
    variables = model.trainable_variables
    losses = [float(ops.convert_to_numpy(loss()))]
    for _ in range(len(expected["adam_losses"]) - 1):
        optimizer.apply(gradients(loss, variables), variables)
        losses.append(float(ops.convert_to_numpy(loss())))
    found = [compare("adam_losses", losses, expected["adam_losses"], 1e-5)]
    for variable, names, combine in reference.pairs(model):
        theirs = [expected.get(f"after3/{name}") for name in names]
        if all(array is not None for array in theirs):
            ours = ops.convert_to_numpy(variable)
            found.append(compare(f"after3/{names[0]}", ours, combine(*theirs), 1e-5))
    return found
