"""Golden cases of the transformer autoencoder and of its losses."""

from __future__ import annotations

import math

import keras
import numpy as np
from keras import ops

from zoo.golden import Case, compare, gradients
from zoo.losses.reconstruction import LOSSES, POINTS, reconstruction_loss
from zoo.losses.sparsity import bernoulli_divergence, sparsity
from zoo.models.transformer_autoencoder import reference
from zoo.models.transformer_autoencoder.model import may_attend, row_valid

TOLERANCE, AFTER_ADAM, DRIFT = 2e-5, 1e-3, 1e-2


def _close(name, ours, theirs, tolerance=TOLERANCE):
    """Compare; numbers above 1 relative to the largest."""
    ours, theirs = np.asarray(ops.convert_to_numpy(ours)), np.asarray(theirs)
    return compare(name, ours, theirs, tolerance, max(1.0, float(np.max(np.abs(theirs), initial=0.0))))


def _tensors(case: Case, prefix: str = "x"):
    return {key: ops.convert_to_tensor(value) for key, value in case.group(prefix).items()}


# ---- losses


def check_losses(case: Case):
    """Compare a case of loss values; None for another kind."""
    if case.config.get("kind") != "losses":
        return None
    x = _tensors(case)
    target, prediction, observed = x["y_true"], x["y_pred"], x["mask"] > 0
    found = []
    for name, value in case.config["losses"].items():
        ours = _loss(name, target, prediction, observed, x.get("weight_map"))
        if ours is not None:
            found.append(_close(name, ours, value))
    kernels = [ops.convert_to_tensor(value) for value in case.group("w").values()]
    base = float(_loss("RMSE", target, prediction, observed, None))
    for row in case.config.get("kld", ()):
        found += _penalties(row, kernels, base, float(case.config.get("eps_for_correct", 1e-7)))
    return found


def _loss(name, target, prediction, observed, weights):
    """Give a loss of the reference's name over the batch, None for one that is not known."""
    everywhere = ops.ones_like(observed)
    if name in LOSSES:
        return ops.mean(reconstruction_loss(name, target, prediction, everywhere, reduction="all_points"))
    # Over all points of the batch together: as the points of one object.
    one = [ops.reshape(item, (1, -1, item.shape[-1])) for item in (target, prediction, observed, everywhere)]
    weights = None if weights is None else ops.reshape(weights, one[0].shape)
    kinds = {"masked": (one[2], None), "weighted_normalised": (one[3], weights), "weighted": (one[2], weights)}
    kind = name.split("_")[0] + ("_normalised" if name.endswith("_normalised") else "")
    loss = next((part for part in name.split("_")[1:] if part in POINTS), None)
    if kind not in kinds or loss is None:
        return None
    return reconstruction_loss(loss, one[0], one[1], kinds[kind][0], weight=kinds[kind][1])[0]


def _penalties(row, kernels, base: float, floor: float):
    """Compare all forms of the penalty at one (alpha, rho)."""
    alpha, rho = row["alpha"], row["rho"]

    def clipped(mean):
        return bernoulli_divergence(rho, ops.minimum(mean, 1.0 - floor), floor)

    weights = [ops.abs(kernel) for kernel in kernels]
    sums = {
        "seed_kld_sum": sum(sparsity(kernel, rho, "seed") for kernel in kernels),
        "correct_elementwise_kl_sum": sum(ops.sum(clipped(weight)) for weight in weights),
        "correct_layer_mean_kl": sum(clipped(ops.mean(weight)) for weight in weights),
        "correct_unit_mean_kl_sum": sum(ops.sum(clipped(ops.mean(weight, axis=0))) for weight in weights),
    }
    totals = {"seed_kld_sum": "seed_KLD_RMSE"}
    found = []
    for name, value in sums.items():
        total = totals.get(name) or name.split("_kl")[0] + "_KLD_RMSE"
        value = float(value)
        for key, ours in ((name, value), (total, base + alpha * value)):
            if key not in row:
                continue
            if row[key] is None:
                # The reference itself gave no finite number: so must the legacy form.
                found.append(compare(f"{key} rho={rho:g}", float(math.isfinite(ours)), 0.0, 0.0))
            else:
                found.append(_close(f"{key} rho={rho:g}", ours, row[key]))
    return found


# ---- autoencoder


def check_autoencoder(case: Case):
    """Compare a case of the autoencoder; None for another model."""
    if case.config.get("model", "transformer_autoencoder") != "transformer_autoencoder" or not case.group("w"):
        return None
    model = reference.import_weights(case.group("w"), case.config)
    x, expected = _tensors(case), case.group("y")
    source, rows, mask = x["source"], x["target_in"], x["mask"] > 0
    forward = _forward(model, source, rows)
    found = _masks(model, source, rows, expected) + _layers(model, source, expected)
    memory, hidden = forward()
    recon = model.values(hidden)
    ours = {
        "encoder_out": memory,
        "decoder_out": hidden,
        "recon": recon,
        "recon_masked": ops.where(mask, recon, 0.0),
    }
    found += [_close(name, value, expected[name]) for name, value in ours.items() if name in expected]
    if "rollout_obj0" in expected:
        found += _roll_out(model, memory, source, mask, expected["rollout_obj0"])
    target = x["target_out"]

    def loss(name="MSE"):
        predicted = model.values(forward()[1])
        return ops.mean(reconstruction_loss(name, target, predicted, mask, reduction="all_points"))

    losses = case.config.get("losses", {})
    found += [
        _close(name, loss(name), value) for name, value in losses.items() if name in LOSSES and name != "KLD_RMSE"
    ]
    found += _gradients(model, loss, expected)
    if "adam_1e-3_mse_trajectory" in losses:
        found += _adam(model, loss, forward, mask, losses["adam_1e-3_mse_trajectory"], expected)
    return found


def _forward(model, source, rows):
    def run():
        memory, valid = model.encode(source, None)
        return memory, model.decode(rows, None, memory, valid)

    return run


def _masks(model, source, rows, expected):
    policy = model.config.mask_policy
    blocked = {
        "padding_mask": ops.logical_not(row_valid(policy, source, None))[:, None, None],
        "combined_mask": ops.logical_not(may_attend(policy, row_valid(policy, rows, None)))[:, None],
    }
    return [
        _close(name, ops.cast(value, "float32"), expected[name]) for name, value in blocked.items() if name in expected
    ]


def _layers(model, source, expected):
    """Compare positions, tokens, every encoder block and the first block's attention weights."""
    from zoo.layers.attention import attention_weights
    from zoo.layers.post_norm import score_bias, sinusoids

    found, encoder = [], model.encoder
    if "pos_encoding" in expected:
        theirs = expected["pos_encoding"]
        found.append(_close("pos_encoding", sinusoids(theirs.shape[1], theirs.shape[2])[None], theirs))
    tokens = encoder.tokens(source, sinusoids(source.shape[1], encoder.settings["width"]))
    valid = row_valid(model.config.mask_policy, source, None)
    bias = score_bias(valid, "float32")[:, None, None]
    if "encoder_input" in expected:
        found.append(_close("encoder_input", tokens, expected["encoder_input"]))
    for place, block in enumerate(encoder.blocks):
        name = f"encoder_layer_{place}"
        if f"{name}_attention" in expected:
            attention = block.self_attention
            query, keys, _ = attention.heads(attention.projections(tokens), tokens, 3)
            weights = attention_weights(query, keys, bias)
            found.append(_close(f"{name}_attention", weights, expected[f"{name}_attention"]))
        tokens = block(tokens, bias)
        if name in expected:
            found.append(_close(name, tokens, expected[name]))
    return found


def _roll_out(model, memory, source, mask, theirs):
    """Compare the roll-out of the first object, the start row of zeros included.

    Every row fed back multiplies the rounding of the rows before it: the original's own network in another order of
    operations drifts by 1e-3 in 24 rows. So each row is compared when it follows the original's rows, and the whole
    roll-out with a tolerance of its own.
    """
    valid = row_valid(model.config.mask_policy, source[:1], None)
    outputs = {
        "memory": memory[:1],
        "memory_valid": valid,
        "observed": mask[:1],
        "mask": ops.ones(mask[:1, :, 0].shape, "bool"),
    }
    rows = ops.convert_to_numpy(ops.where(mask[:1], model.roll_out(outputs), 0.0))
    steps = theirs.shape[1] - 1
    fed = ops.convert_to_tensor(theirs[:, :-1])
    allowed = may_attend(model.config.mask_policy, row_valid(model.config.mask_policy, fed, None))
    after = []
    for k in range(steps):
        hidden = model.decoder.prefix(fed, memory[:1], allowed, valid, ops.arange(steps) <= k)
        after.append(model.values(hidden)[:, k : k + 1])
    after = ops.where(mask[:1, :steps], ops.concatenate(after, axis=1), 0.0)
    return [
        _close("rollout_obj0, row by row", after, theirs[:, 1:]),
        _close("rollout_obj0", rows[:, :steps], theirs[:, 1:], DRIFT),
    ]


def _gradients(model, loss, expected):
    wanted = {
        "grad_first_encoder_weight": model.encoder.first_kernel,
        "grad_final_kernel": model.final.kernel,
    }
    wanted = {name: variable for name, variable in wanted.items() if name in expected}
    found = gradients(loss, list(wanted.values())) if wanted else []
    return [_close(name, ours, expected[name]) for name, ours in zip(wanted, found, strict=True)]


def _adam(model, loss, forward, mask, theirs, expected):
    """Take the original's Adam steps on the mean squared error and compare losses and the result."""
    optimizer = keras.optimizers.Adam(1e-3)
    variables, losses = model.trainable_variables, []
    for _ in theirs:
        losses.append(float(loss()))
        optimizer.apply(gradients(loss, variables), variables)
    found = [_close("adam_losses", np.array(losses), np.array(theirs), AFTER_ADAM)]
    name = f"recon_masked_after_{len(theirs)}_adam"
    if name in expected:
        recon = ops.where(mask, model.values(forward()[1]), 0.0)
        found.append(_close(name, recon, expected[name], AFTER_ADAM))
    return found
