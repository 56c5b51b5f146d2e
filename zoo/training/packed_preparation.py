"""Golden cases of the hierarchical classifiers' data preparation: stage 1 and the networks' first layer together."""

from __future__ import annotations

import numpy as np

from zoo.golden import Case, compare

DETECTION_BIT, TRIGGER_BIT, SATURATED_BIT = 4096, 2048, 1024
FLAGS = ("mw_plane_flag", "elais_s1_flag", "xmm_lss_flag", "ecdfs_flag", "cosmos_flag")
"""In the order of a case's columns."""


def check_preparation(case: Case):
    """Compare matrices, lengths and flags; None when the case holds no raw rows with their flag bits.

    Objects without a detection have length 0. Window and matrix of the LSTM are those of preset ``published`` of
    ``hierarchical_lstm``, the others of ``published`` of ``oracle``.
    """
    if "x/photflag" not in case.arrays:
        return None
    import tensorflow as tf

    from zoo.inputs import sky

    expected, curves = case.group("y"), _curves(case)
    found = []
    for letter, model in (("o", "oracle_gru_lite"), ("s", "hierarchical_lstm")):
        stage, layer = _stage(model)
        inputs = _tensors(stage, curves)
        size = inputs["mask"].numpy().sum(axis=1)
        ours = np.asarray(layer(*(inputs[name] for name in layer.INPUTS)), "float64")
        padded = np.zeros(expected[f"x_{letter}"].shape)
        padded[:, : ours.shape[1]] = ours[:, : padded.shape[1]]
        scale = max(1.0, np.abs(expected[f"x_{letter}"]).max())
        found.append(compare(f"x_{letter}", padded, expected[f"x_{letter}"], 1e-6, scale))
        found.append(compare(f"len_{letter}", size, expected[f"len_{letter}"], 0.0))
        if letter == "o":
            masks = [_tensors(stage, curves, float(day))["mask"] for day in case.arrays["x/days"]]
            ours = np.stack([mask.numpy().sum(axis=1) for mask in masks], axis=1)
            found.append(compare("len_by_day", ours, expected["len_by_day"], 0.0))
    flags = sky.derive(FLAGS, tf.constant(case.arrays["x/ra"]), tf.constant(case.arrays["x/dec"]))
    return [*found, compare("flags", flags.numpy(), expected["flags"], 0.0), _window(curves, expected)]


def _stage(model: str):
    """Give stage 1 and the first layer of a model under its published options, on bands u, g, r, i, z, Y."""
    from zoo import registry
    from zoo.inputs.stage import Stage
    from zoo.training.resolve import resolve

    settled = resolve(model, "published", static=False)
    info = registry.ModelInfo(("a", "b"), tuple("ugrizY"))
    network = registry.load(registry.get(model).model)(settled.hparams, info)
    return Stage("packed", ("light_curve",), settled.inputs, 6), network.observations


def _curves(case: Case):
    from zoo.inputs import transforms

    arrays = case.group("x")
    photflag = arrays["photflag"].astype("int64")
    flags = (
        (photflag & DETECTION_BIT > 0) * transforms.DETECTED
        + (photflag & TRIGGER_BIT > 0) * transforms.TRIGGER
        + (photflag & SATURATED_BIT > 0) * transforms.SATURATED
    )
    mask = np.arange(photflag.shape[1]) < arrays["n"][:, None]
    return transforms.from_padded(
        arrays["mjd"], arrays["fluxcal"], arrays["fluxcalerr"], arrays["band"], flags.astype("int32"), mask
    )


def _tensors(stage, curves, day: float = float("inf")) -> dict:
    """Give the tensors that the network reads of what was observed until a day after the first detection."""
    import tensorflow as tf

    days = tf.fill([curves.count], tf.constant(day, tf.float64))
    nothing = tf.zeros([curves.count, 0]), tf.zeros([curves.count, 0, 0])
    return stage.tensors(stage.prepare(curves, *nothing, days=days))


def _window(curves, expected):
    """Compare the first and last rows of the window among the rows that are not saturated."""
    from zoo.inputs import transforms

    curves = transforms.keep(curves, ~transforms.has(curves, transforms.SATURATED))
    kept = transforms.detection_window(curves._replace(time=transforms.position(curves)))
    rows, owner = kept.time.numpy(), kept.row.numpy()
    ours = np.array([[rows[owner == k].min(), rows[owner == k].max() + 1] if (owner == k).any() else [0, 0]
                     for k in range(int(curves.count))])  # fmt: skip
    return compare("window", ours, np.stack([expected["s_start"], expected["s_stop"]], axis=1), 0.0)
