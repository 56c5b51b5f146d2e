"""Golden cases of AstroM3's data preparation: stage 1 of light curves and spectra."""

from __future__ import annotations

import numpy as np

from zoo.golden import Case, compare
from zoo.inputs.config import InputConfig

TOLERANCE = 1e-6
"""Of prepared inputs, relative to the largest number above 1: rounding of float32."""


def check_photometry(case: Case):
    """Compare a prepared light curve and its mask; None when the case is of another kind."""
    if case.config.get("module") != "preprocess_photometry":
        return None
    import tensorflow as tf

    from zoo.inputs import build, photometry, transforms

    settings, expected = case.config, case.group("y")
    rows = case.arrays["x/light_curve"]
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    count = len(rows)
    # Flux and errors stay in float64, as the original reads them.
    curves = transforms.LightCurves(
        tf.constant(rows[:, 0] - photometry.HELIOCENTRIC), tf.zeros(count, tf.int32), tf.constant(rows[:, 1]),
        tf.constant(rows[:, 2]), tf.zeros(count, tf.int32), tf.zeros(count, tf.int64), tf.constant(1, tf.int64),
    )  # fmt: skip
    config = InputConfig(fold_period="period", fold_zero="epoch", window_rows=settings.get("seq_len", 200))
    period = tf.constant([settings["period"]], tf.float64) if settings.get("phased") else None
    start = settings.get("crop_start")
    start = None if start is None else tf.constant([start], tf.int64)
    tensors = build.photometry(*photometry.prepare(curves, config, period, start=start))
    return _compare(case, tensors, expected)


def _compare(case: Case, tensors, expected):
    size = int(tensors["mask"].numpy().sum())
    wanted = expected["photometry"]
    aux = case.arrays.get("x/aux", [])
    columns = [tensors[name].numpy()[0, :size] for name in ("time", "flux", "flux_err")]
    ours = np.zeros(wanted.shape)
    ours[:size, :3] = np.stack(columns, axis=1)
    if wanted.shape[1] > 3:
        ours[:, 3:] = np.concatenate([aux, tensors["curve_scale"].numpy()[0]])
    return [
        compare("photometry", ours, wanted, TOLERANCE, max(1.0, float(np.abs(wanted).max()))),
        compare("mask", np.arange(len(wanted)) < size, expected["mask"], 0.0),
    ]


def check_spectra(case: Case):
    """Compare a prepared spectrum; None when the case is of another kind."""
    if case.config.get("module") != "preprocess_spectra":
        return None
    import tensorflow as tf

    from zoo.inputs import spectra

    settings = {"s_mad": True, "s_err": True, "s_err_norm": True, "s_aux": True} | case.config
    expected = case.group("y")["spectra"]
    wavelength, flux, ivar = case.arrays["x/spectrum"].T[:, None]
    config = InputConfig(
        spectrum_spread="mad" if settings["s_mad"] else "std", spectrum_error_scaled=settings["s_err_norm"]
    )
    found = spectra.build(spectra.from_padded(*map(tf.constant, (wavelength, flux, ivar))), config)
    ours = [found["spectrum"]]
    if settings["s_err"]:
        ours.append(found["spectrum_err"])
    if settings["s_aux"]:
        ours.append(tf.repeat(found["spectrum_scale"], config.spectrum_points, axis=1))
    return [compare("spectra", np.concatenate(ours), expected, TOLERANCE, max(1.0, float(np.abs(expected).max())))]
