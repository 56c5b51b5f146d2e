"""Write golden cases of the real tensorflow-addons, in the format that ``zoo.parity`` reads.

``python make_cases.py OUT SEED`` runs in the environment of ``make_environment.sh``; the zoo cannot be imported there.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import numpy as np

warnings.filterwarnings("ignore")
import tensorflow as tf  # noqa: E402
import tensorflow_addons as tfa  # noqa: E402

tf.get_logger().setLevel("ERROR")

STEPS = 25


def _optimizers(rng):
    """Give the settings of optimizers with what makes each."""
    rate, decay = (float(np.round(rng.uniform(low, high), 4)) for low, high in ((0.02, 0.2), (1e-3, 1e-2)))
    beta = float(np.round(rng.uniform(0.9, 0.999), 3))
    period, slow = int(rng.integers(2, 7)), float(np.round(rng.uniform(0.3, 0.9), 2))
    legacy, ours = tf.keras.optimizers.legacy, tfa.optimizers
    moments = {"lr": rate, "beta_2": beta, "epsilon": 1e-6}
    given = {"learning_rate": rate, "beta_2": beta, "epsilon": 1e-6}
    around = {"sync_period": period, "slow_step_size": slow}
    line = {"total_steps": STEPS, "warmup_proportion": 0.3, "min_lr": 0.001}
    return {
        "rectified_adam": (moments, lambda: ours.RectifiedAdam(**given)),
        "rectified_adam_wd": (
            moments | {"weight_decay": decay},
            lambda: ours.RectifiedAdam(**given, weight_decay=decay),
        ),
        "rectified_adam_warmup": (moments | line, lambda: ours.RectifiedAdam(**given, **line)),
        "lamb": (moments | {"weight_decay": decay}, lambda: ours.LAMB(**given, weight_decay=decay)),
        "adamw": (moments | {"weight_decay": decay}, lambda: ours.AdamW(weight_decay=decay, **given)),
        "sgdw": (
            {"lr": rate, "weight_decay": decay, "momentum": 0.8},
            lambda: ours.SGDW(weight_decay=decay, learning_rate=rate, momentum=0.8),
        ),
        "lazy_adam": (moments, lambda: ours.LazyAdam(**given)),
        "lookahead_adam": (
            around | {"inner": f"Adam({rate},eps=1e-6)"},
            lambda: ours.Lookahead(legacy.Adam(rate, epsilon=1e-6), **around),
        ),
        "lookahead_sgd": (
            around | {"inner": f"SGD({rate},momentum=0.7)"},
            lambda: ours.Lookahead(legacy.SGD(rate, momentum=0.7), **around),
        ),
        "ranger": (
            around | {"inner": f"RectifiedAdam({rate},beta_2={beta})"},
            lambda: ours.Lookahead(ours.RectifiedAdam(rate, beta_2=beta), **around),
        ),
        "moving_average": (
            {"inner": f"SGD({rate})", "average_decay": 0.85},
            lambda: ours.MovingAverage(legacy.SGD(rate), average_decay=0.85),
        ),
    }


def _trajectory(optimizer, start, function):
    variable = tf.Variable(start)
    points, losses = [start], []
    for _ in range(STEPS):
        with tf.GradientTape() as tape:
            loss = function(variable)
        optimizer.apply_gradients([(tape.gradient(loss, variable), variable)])
        points.append(variable.numpy())
        losses.append(loss.numpy())
    found = {"trajectory": np.stack(points), "loss": np.array(losses)}
    if isinstance(optimizer, tfa.optimizers.MovingAverage):
        optimizer.assign_average_vars([variable])
        found["averaged"] = variable.numpy()
    return found


def optimizers(rng):
    """Give arrays and settings of trajectories and of cyclical learning rates."""
    half = rng.normal(size=(4, 4)).astype("float32")
    x = {"A": half @ half.T / 4 + 0.1 * np.eye(4, dtype="float32"), "y": rng.integers(0, 2, 32).astype("float32")}
    x |= {key: rng.normal(size=size).astype("float32") for key, size in
          (("b", 4), ("x0", 4), ("X", (32, 5)), ("w0", 5))}  # fmt: skip
    problems = {
        "quadratic": ("x0", lambda p: tf.reduce_sum(0.5 * p * tf.linalg.matvec(x["A"], p) - x["b"] * p)),
        "logistic": ("w0", lambda w: tf.reduce_mean(
            tf.nn.sigmoid_cross_entropy_with_logits(x["y"], tf.linalg.matvec(x["X"], w)))),
    }  # fmt: skip
    arrays, configs = {f"x/{key}": value for key, value in x.items()}, {}
    for name, (settings, make) in _optimizers(rng).items():
        configs[name] = settings
        for problem, (start, function) in problems.items():
            for key, value in _trajectory(make(), x[start], function).items():
                arrays[f"y/{name}/{problem}/{key}"] = value
    low, high, half = 1e-4, float(rng.uniform(1e-3, 1e-1)), int(rng.integers(3, 9))
    cycles = {
        "triangular": (tfa.optimizers.TriangularCyclicalLearningRate, {}),
        "triangular2": (tfa.optimizers.Triangular2CyclicalLearningRate, {}),
        "exponential": (tfa.optimizers.ExponentialCyclicalLearningRate, {"gamma": 0.95}),
    }
    for name, (make, more) in cycles.items():
        schedule = make(initial_learning_rate=low, maximal_learning_rate=high, step_size=half, **more)
        configs[f"cyclical_{name}"] = {"initial": low, "maximal": high, "step_size": half} | more
        arrays[f"y/cyclical_{name}"] = np.array([schedule(float(step)) for step in range(41)], "float32")
    return arrays, {"configs": configs, "steps": STEPS}


def losses(rng):
    """Give arrays of focal and triplet losses."""
    logits = (rng.normal(size=(16, 4)) * 3).astype("float32")
    x = {"ml_labels": (rng.random((16, 4)) < 0.4).astype("float32"), "ml_logits": logits,
         "ml_probs": tf.sigmoid(logits).numpy(), "embeddings": rng.normal(size=(30, 6)).astype("float32"),
         "emb_labels": rng.integers(0, 5, 30).astype("int32")}  # fmt: skip
    arrays = {f"x/{key}": value for key, value in x.items()}
    for gamma, alpha in ((2.0, 0.25), (1.5, 0.6)):
        for kind, values in (("", x["ml_probs"]), ("_logits", logits)):
            arrays[f"y/sigmoid_focal{kind}_g{gamma}_a{alpha}"] = tfa.losses.sigmoid_focal_crossentropy(
                x["ml_labels"], values, alpha=alpha, gamma=gamma, from_logits=bool(kind)
            ).numpy()
    for margin in (0.3, 1.2):
        for metric in ("L2", "squared-L2", "angular"):
            both = {"margin": margin, "distance_metric": metric}
            for kind, loss, more in (("semihard", tfa.losses.triplet_semihard_loss, {}),
                                     ("hard", tfa.losses.triplet_hard_loss, {}),
                                     ("hard_soft", tfa.losses.triplet_hard_loss, {"soft": True})):  # fmt: skip
                value = loss(x["emb_labels"], x["embeddings"], **both, **more)
                arrays[f"y/triplet_{kind}_m{margin}_{metric}"] = value.numpy()
    return arrays, {}


def metrics(rng):
    """Give arrays of kappa, Matthews correlation, F scores and Hamming loss."""
    classes = 6
    labels = rng.integers(0, classes, 80)
    truth = np.eye(classes, dtype="float32")[labels]
    probs = tf.nn.softmax(rng.normal(size=(80, classes)) + 2 * truth).numpy().astype("float32")
    weight = rng.uniform(0.2, 2.0, 80).astype("float32")
    arrays = {"x/labels": labels, "x/onehot": truth, "x/probs": probs, "x/sample_weight": weight}

    def value(metric, sample_weight=None):
        metric.update_state(truth, probs, sample_weight)
        return metric.result().numpy()

    for name, given in (("", None), ("_sw", weight)):
        for weightage in (None, "linear", "quadratic"):
            kappa = tfa.metrics.CohenKappa(classes, weightage=weightage)
            arrays[f"y/cohen_kappa_{weightage}{name}"] = value(kappa, given)
        arrays[f"y/matthews{name}"] = value(tfa.metrics.MatthewsCorrelationCoefficient(classes), given)
    for average in (None, "micro", "macro", "weighted"):
        arrays[f"y/f1_{average}"] = value(tfa.metrics.F1Score(classes, average=average))
        arrays[f"y/fbeta2_{average}"] = value(tfa.metrics.FBetaScore(classes, average=average, beta=2.0))
    arrays["y/hamming_multiclass"] = value(tfa.metrics.HammingLoss("multiclass"))
    return arrays, {}


def image(rng):
    """Give arrays of stamps that are turned and shifted; the height is not the width."""
    images = rng.random((3, 15, 18, 2)).astype("float32")
    angles, shifts = rng.uniform(-4, 4, 3).astype("float32"), rng.uniform(-5, 5, (3, 2)).astype("float32")
    arrays = {"x/images": images, "x/angles": angles, "x/translations_dx_dy": shifts}
    for how in ("nearest", "bilinear"):
        for fill in ("constant", "reflect", "nearest", "wrap"):
            both = {"interpolation": how, "fill_mode": fill}
            arrays[f"y/rotate_{how}_{fill}"] = tfa.image.rotate(images, angles, **both).numpy()
            arrays[f"y/translate_{how}_{fill}"] = tfa.image.translate(images, shifts, **both).numpy()
    arrays["y/mean_filter3"] = tfa.image.mean_filter2d(images, 3).numpy()
    arrays["y/gaussian_filter5_s1.5"] = tfa.image.gaussian_filter2d(images, 5, 1.5).numpy()
    return arrays, {}


def layers(rng):
    """Give arrays of the layer that Keras has under another name."""
    images = rng.normal(size=(2, 8, 9, 3)).astype("float32")
    layer = tfa.layers.InstanceNormalization()
    layer.build(images.shape)
    gamma, beta = (rng.normal(size=3).astype("float32") for _ in range(2))
    layer.set_weights([gamma, beta])
    name = "instance_normalization"
    return {"x/images": images, "x/seq": np.zeros((1, 1, 1), "float32"), f"w/{name}/gamma_0": gamma,
            f"w/{name}/beta_1": beta, f"y/{name}": layer(images).numpy()}, {}  # fmt: skip


def main(out: Path, seed: int) -> None:
    """Write one case of each kind."""
    out.mkdir(parents=True, exist_ok=True)
    for number, make in enumerate((optimizers, losses, metrics, image, layers)):
        arrays, config = make(np.random.default_rng([seed, number]))
        np.savez(out / f"{make.__name__}.npz", **arrays)
        versions = {"tensorflow": tf.__version__, "tensorflow_addons": tfa.__version__}
        (out / f"{make.__name__}.json").write_text(json.dumps(config | {"reference": versions, "seed": seed}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
