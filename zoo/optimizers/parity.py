"""Golden cases of optimizers and learning-rate schedules of tensorflow-addons."""

from __future__ import annotations

import re
from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from tfrecords.errors import DataError
from zoo.golden import Case, NotCarried, compare, unknown
from zoo.optimizers.build import Schedule
from zoo.optimizers.lamb import Lamb
from zoo.optimizers.lookahead import Lookahead
from zoo.optimizers.rectified_adam import RectifiedAdam
from zoo.optimizers.schedules import Cyclical

TOLERANCE = 1e-5
LOW_USE = "of little use for these models: neither here nor in Keras"
NOT_CARRIED = {
    "adabelief": LOW_USE,
    "yogi": LOW_USE,
    "novograd": LOW_USE,
    "cocob": LOW_USE,
    "conditional_gradient": LOW_USE,
    "proximal_adagrad": LOW_USE,
    "swa": "weights are averaged by --weight-average, a running mean",
}


def _rectified(settings: dict, **defaults):
    values = {"lr": 1e-3, "total_steps": 0, "warmup_proportion": 0.1, "min_lr": 0.0} | defaults | settings
    rate, total = float(values["lr"]), values["total_steps"]
    if total:
        # What tensorflow-addons built into this optimizer is a schedule here.
        rate = Schedule("linear", rate, total * values["warmup_proportion"], total, values["min_lr"] / rate)
    names = ("beta_1", "beta_2", "epsilon", "weight_decay", "sma_threshold")
    return RectifiedAdam(rate, **{key: values[key] for key in names if key in values})


def _moments(settings: dict) -> dict:
    # Theirs rounds the decays to float32 before it takes 1 − β, Keras after.
    decays = {key: float(np.float32(settings.get(key, value))) for key, value in (("beta_1", 0.9), ("beta_2", 0.999))}
    return decays | ({"epsilon": settings["epsilon"]} if "epsilon" in settings else {})


def _adam(settings: dict):
    return keras.optimizers.Adam(float(settings.get("lr", 1e-3)), **_moments(settings))


def _decayed(settings: dict) -> dict:
    # Theirs does not multiply the decay by the learning rate.
    rate = float(settings["lr"])
    return {"learning_rate": rate, "weight_decay": settings.get("weight_decay", 0.0) / rate}


def _adamw(settings: dict):
    return keras.optimizers.AdamW(**_decayed(settings), **_moments(settings))


def _sgd(settings: dict):
    return keras.optimizers.SGD(float(settings.get("lr", 0.01)), momentum=settings.get("momentum", 0.0))


def _sgdw(settings: dict):
    return keras.optimizers.SGD(**_decayed(settings), momentum=settings.get("momentum", 0.0))


def _lamb(settings: dict):
    decay = settings.get("weight_decay", settings.get("weight_decay_rate", 0.0))
    return Lamb(float(settings.get("lr", 1e-3)), weight_decay=decay, **_moments(settings))


INNER: dict[str, Callable] = {
    "Adam": _adam,
    "SGD": _sgd,
    "RectifiedAdam": _rectified,
    "LAMB": _lamb,
    "AdamW": _adamw,
    "SGDW": _sgdw,
}
OUTER: dict[str, Callable] = {
    "rectified_adam": _rectified,
    "lamb": _lamb,
    "adamw": _adamw,
    "sgdw": _sgdw,
    "lazy_adam": _adam,
}
SHORT = {"eps": "epsilon", "learning_rate": "lr", "wd": "weight_decay"}


def inner(text: str):
    """Give the optimizer that a case writes as ``Name(rate, key=value)``."""
    form = re.fullmatch(r"\s*(\w+)\(([^()]*)\)\s*", text)
    if not form or form[1] not in INNER:
        raise DataError(f"inner: valid are {', '.join(INNER)} as Name(rate, key=value). Received: {text!r}")
    settings = {}
    for place, item in enumerate(part for part in form[2].split(",") if part.strip()):
        key, mark, value = item.partition("=")
        if not mark and place:
            raise DataError(f"inner: one value may stand without its name, the learning rate. Received: {text!r}")
        name = key.strip() if mark else "lr"
        settings[SHORT.get(name, name)] = float(value if mark else key)
    return INNER[form[1]](settings)


def _build(name: str, settings: dict):
    """Give the optimizer of a case's name and settings; None if the name is not known."""
    if "inner" in settings and "average_decay" in settings:
        return _Averaged(inner(settings["inner"]), settings["average_decay"])
    if "inner" in settings:
        return Lookahead(inner(settings["inner"]), settings["sync_period"], settings["slow_step_size"])
    known = [key for key in OUTER if name == key or name.startswith(key + "_")]
    return OUTER[max(known, key=len)](settings) if known else None


class _Averaged:
    """An optimizer whose running mean is asked for as well."""

    def __init__(self, optimizer, momentum: float):
        settings = optimizer.get_config() | {"use_ema": True, "ema_momentum": momentum}
        self.optimizer, self.momentum = type(optimizer).from_config(settings), momentum

    def mean(self, points):
        """Give the running mean (width,) that starts from the first of the points (step + 1, width).

        Keras's starts from the second.
        """
        late = ops.convert_to_numpy(self.optimizer._model_variables_moving_average[0])
        return late - self.momentum ** (len(points) - 1) * (points[1] - points[0])


def _sigmoid(values):
    return 0.5 * (1.0 + np.tanh(0.5 * values))


def _problem(name: str, arrays: dict):
    """Give the start and the function of a problem that gives loss and gradient of a point."""
    if name == "quadratic":
        matrix, vector = (arrays[key].astype("float64") for key in ("A", "b"))
        return arrays["x0"], lambda point: (
            0.5 * point @ matrix @ point - vector @ point,
            0.5 * (matrix + matrix.T) @ point - vector,
        )
    if name == "logistic":
        rows, true = (arrays[key].astype("float64") for key in ("X", "y"))
        return arrays["w0"], lambda point: (
            np.mean(np.logaddexp(0.0, rows @ point) - true * (rows @ point)),
            rows.T @ (_sigmoid(rows @ point) - true) / len(rows),
        )
    raise DataError(f"problem: valid are quadratic, logistic. Received: {name!r}")


def _run(optimizer, start, function, steps: int):
    """Take steps; give the points (step + 1, width), the losses before each and the optimizer's running mean."""
    plain = optimizer.optimizer if isinstance(optimizer, _Averaged) else optimizer
    variable = keras.Variable(start)
    points, losses = [np.array(start)], []
    for _ in range(steps):
        loss, slope = function(points[-1].astype("float64"))
        losses.append(loss)
        plain.apply([ops.convert_to_tensor(slope.astype("float32"))], [variable])
        points.append(ops.convert_to_numpy(variable).copy())
    points = np.stack(points)
    return points, np.array(losses), optimizer.mean(points) if isinstance(optimizer, _Averaged) else None


def _trajectory(name: str, settings: dict, problem: str, expected: dict, arrays: dict) -> list:
    start, function = _problem(problem, arrays)
    optimizer = _build(name, settings)
    label = f"{name}/{problem}"
    if optimizer is None:
        return [unknown(label)]
    points, losses, mean = _run(optimizer, start, function, len(expected["trajectory"]) - 1)
    ours = {"trajectory": points, "loss": losses, "averaged": mean}
    found = []
    for key, theirs in expected.items():
        if ours.get(key) is None:
            found.append(unknown(f"{label}/{key}"))
            continue
        # Rounding grows with the numbers: points lie some ten times further out than 1 in these problems.
        scale = max(1.0, float(np.abs(theirs).max()))
        found.append(compare(f"{label}/{key}", ours[key], theirs, TOLERANCE, scale))
    return found


def _cyclical(name: str, settings: dict, theirs) -> list:
    kind = {"triangular": "triangular", "triangular2": "triangular2", "exponential": "triangular_exp"}.get(
        name.removeprefix("cyclical_")
    )
    if kind is None:
        return [unknown(name)]
    low, high, half = (float(settings[key]) for key in ("initial", "maximal", "step_size"))
    decay = settings.get("gamma")
    if decay is None and kind == "triangular_exp":
        # Not always stated: the first step off the lower bound gives it, and every other one is then compared.
        decay = (float(theirs[1]) - low) / (high - low) * half
    schedule = Cyclical(kind, low, high, half, 1.0 if decay is None else decay)
    ours = [float(ops.convert_to_numpy(schedule(step))) for step in range(len(theirs))]
    return [compare(name, ours, theirs, TOLERANCE, max(1e-2, high))]


def check_optimizers(case: Case):
    """Compare trajectories of optimizers and values of schedules; None when the case holds none."""
    configs = case.config.get("configs")
    if configs is None or "x/A" not in case.arrays:
        return None
    found, groups = [], {}
    for key, values in case.group("y").items():
        name, *rest = key.split("/")
        if name in NOT_CARRIED:
            found.append(NotCarried(key, NOT_CARRIED[name]))
        elif name not in configs:
            found.append(unknown(key))
        elif not rest:
            found += _cyclical(name, configs[name], values)
        else:
            groups.setdefault((name, rest[0]), {})[rest[1]] = values
    for (name, problem), expected in groups.items():
        found += _trajectory(name, configs[name], problem, expected, case.group("x"))
    return found
