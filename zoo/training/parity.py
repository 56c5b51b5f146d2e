"""Golden cases of AstroM3's training: optimizer steps, learning rates, early stopping, saved epochs."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

from tfrecords.errors import DataError
from zoo.golden import Case, compare, unknown
from zoo.optimizers.build import optimizer
from zoo.tasks.classify import Classify
from zoo.training.callbacks import Recorder
from zoo.training.config import RunConfig
from zoo.training.model import Trainable
from zoo.training.rates import LEAST_CHANGE, WARMUP_START

TOLERANCE = 1e-5
RATE_TOLERANCE = 1e-9
"""Of learning rates, relative to the largest: they are computed in float64 on both sides."""


class _Perceptron(keras.Model):
    """Dense layers with ReLU between them, from kernels (out, in) and biases."""

    heads, primary = ("classes",), "classes"

    def __init__(self, layers):
        super().__init__()
        last = len(layers) - 1
        self.steps = [
            keras.layers.Dense(len(bias), activation="relu" if place < last else None)
            for place, (_, bias) in enumerate(layers)
        ]
        self(np.zeros((1, layers[0][0].shape[1]), "float32"))
        for step, (kernel, bias) in zip(self.steps, layers, strict=True):
            step.set_weights([kernel.T, bias])

    def call(self, inputs):
        for step in self.steps:
            inputs = step(inputs)
        return {"classes": inputs}


class _Watched(Trainable):
    """Keeps the norm of every step's gradient before it is clipped."""

    def _guarded(self, loss, gradients):
        self.watched.append(float(tf.linalg.global_norm(gradients)))
        return super()._guarded(loss, gradients)


def check_optimizer(case: Case):
    """Compare a few training steps of a perceptron; None when the case holds none."""
    config = case.config
    if config.get("module") != "optimizer":
        return None
    before, inputs, expected = case.group("w0"), case.group("x"), case.group("y")
    names = [key.removesuffix(".weight") for key in before if key.endswith(".weight")]
    known = {f"{name}.{kind}" for name in names for kind in ("weight", "bias")}
    if known != set(before) or set(inputs) != {"metadata", "labels"}:
        raise DataError(
            "w0: valid are weight and bias of the dense layers of a metadata model, and x: metadata, labels. "
            f"Received: {', '.join([*before, *inputs])}"
        )
    # Layers are numbered; the head comes last.
    names.sort(key=lambda name: (name == "fc", [int(part) for part in name.split(".") if part.isdigit()]))
    run = RunConfig(
        optimizer="adam", learning_rate=config["lr"], beta_1=config["beta1"], beta_2=config.get("beta2", 0.999),
        epsilon=config.get("eps", 1e-8), coupled_decay=config["weight_decay"], clip_norm=_clip_norm(config),
    )  # fmt: skip
    network = _Perceptron([(before[f"{name}.weight"], before[f"{name}.bias"]) for name in names])
    classes = tuple(map(str, range(len(before[f"{names[-1]}.bias"]))))
    model = _Watched(network, Classify(SimpleNamespace(classes=classes), run), run.clip_norm, run.coupled_decay)
    model.watched = []
    model.compile(optimizer(run, 1), jit_compile=False)
    model.optimizer.build(network.trainable_variables)
    labels = tf.constant(inputs["labels"], "int32")
    batch = (tf.constant(inputs["metadata"]), {"label": labels}, tf.ones(labels.shape, "float32"))
    losses = []
    for _ in range(config["steps"]):
        model.loss_metric.reset_state()
        losses.append(float(model.train_step(batch)["loss"]))
    after = {}
    for name, step in zip(names, network.steps, strict=True):
        kernel, bias = step.get_weights()
        after |= {f"{name}.weight": kernel.T, f"{name}.bias": bias}
    ours = {"loss_per_step": losses, "grad_norm_before_clip": model.watched}
    found = [compare(f"w1/{key}", after[key], value, TOLERANCE) for key, value in case.group("w1").items()]
    for key, theirs in expected.items():
        scale = max(1.0, float(np.abs(theirs).max(initial=0.0)))
        found.append(compare(key, ours[key], theirs, TOLERANCE, scale) if key in ours else unknown(key))
    return found


def _clip_norm(config) -> float | None:
    """Read what gradients are clipped to: by the case's own key, or the original's two; None for nothing."""
    if "clip_norm" in config:
        return config["clip_norm"] or None
    return config.get("clip_value") if config.get("clip_grad") else None


def _main_schedule(config) -> dict:
    """Read the schedule behind the warm-up. The original calls its settings by two generations of names."""

    def setting(name, default=None):
        return config.get(name, config.get(f"scheduler_{name}", default))

    kind = config.get("scheduler", "ReduceLROnPlateau")
    if kind == "ExponentialLR":
        return {"schedule": "exponential_epochs", "decay_rate": setting("gamma", 0.9)}
    if kind != "ReduceLROnPlateau":
        raise DataError(f"scheduler: valid are ReduceLROnPlateau and ExponentialLR. Received: {kind!r}")
    return {"schedule": "plateau", "plateau_factor": setting("factor", 0.3),
            "plateau_patience": setting("patience", 3) + 1,
            "plateau_threshold": config.get("threshold", 1e-4)}  # fmt: skip


def check_schedule(case: Case):
    """Compare rates, saved epochs and the last epoch of a series of validation results; None when there is none."""
    config = case.config
    if config.get("module") != "schedule":
        return None
    if config.get("threshold_mode", "rel") != "rel":
        raise DataError(f"threshold_mode: valid is rel. Received: {config['threshold_mode']!r}")
    for key, ours in (("start_factor", WARMUP_START), ("min_delta_lr_eps", LEAST_CHANGE)):
        if config.get(key, ours) != ours:
            raise DataError(f"{key}: valid is {ours:g}. Received: {config[key]}")
    run = RunConfig(
        learning_rate=config["lr"], final_rate=0.0, warmup="epochs", monitor="accuracy",
        warmup_epochs=config["warmup_epochs"] if config.get("warmup", True) else 0, patience_by="loss",
        patience_start=1, patience=config["early_stopping_patience"], **_main_schedule(config),
    )  # fmt: skip
    task = SimpleNamespace(monitor="val_accuracy", mode="max")
    recorder = Recorder(Path(), run, task, 1, quiet=True, writes=False)
    recorder.set_model(SimpleNamespace(optimizer=SimpleNamespace(learning_rate=run.learning_rate), stop_training=False))
    recorder.on_train_begin()
    rates, saved = [], []
    for epoch, (loss, accuracy) in enumerate(zip(case.arrays["x/val_loss"], case.arrays["x/val_acc"], strict=True)):
        rates.append(recorder.model.optimizer.learning_rate)
        recorder.on_epoch_begin(epoch)
        recorder.on_epoch_end(epoch, {"loss": loss, "val_loss": loss, "val_accuracy": accuracy})
        saved += [epoch] if recorder.state["best_epoch"] == epoch + 1 else []
        # As a resumed run finds it.
        recorder.state = recorder.rates.state = json.loads(json.dumps(recorder.state))
        if recorder.model.stop_training:
            break
    ours = {
        "lr_used_in_epoch": (rates, RATE_TOLERANCE, run.learning_rate),
        "saved_epochs": (saved, 0.0, 1.0),
        "stop_epoch": (epoch, 0.0, 1.0),
    }
    found = []
    for key, theirs in case.group("y").items():
        if key not in ours:
            found.append(unknown(key))
            continue
        values, tolerance, scale = ours[key]
        if np.shape(values) != np.shape(theirs):
            raise DataError(f"{key}: valid are {len(theirs)} epochs. Received: {len(values)}")
        found.append(compare(key, values, theirs, tolerance, scale))
    return found
