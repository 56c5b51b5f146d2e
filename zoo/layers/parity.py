"""Golden cases of image operations and layers of tensorflow-addons."""

from __future__ import annotations

import math
import re

import keras
import numpy as np
from keras import ops

from zoo.golden import Case, NotCarried, compare, unknown
from zoo.layers.stamp_augment import rotate, translate

TOLERANCE = 1e-5
UNSTATED = "the case does not state its parameters"
NO_USE = "no model here uses it, and Keras has none"
IMAGES_NOT_CARRIED = {
    "transform": UNSTATED,
    "shear": UNSTATED,
    "cutout": UNSTATED,
    "equalize": "of no use on fluxes; Keras has the layer Equalization",
    "sharpness": "of no use on fluxes; Keras has the layer RandomSharpness",
    "median_filter": NO_USE,
}
LAYERS_NOT_CARRIED = {
    "weight_normalization": NO_USE,
    "layernorm_lstm": NO_USE,
    "peephole_lstm": NO_USE,
    "layernorm_simplernn": NO_USE,
    "maxout": NO_USE,
    "spp": "no model here uses it; Keras has AdaptiveAveragePooling2D",
    "frn_tlu": NO_USE,
    "stochastic_depth": UNSTATED,
    "crf": NO_USE,
}


def _rotate(form, arrays):
    return rotate(arrays["images"], arrays["angles"], form["how"], form["fill"])


def _translate(form, arrays):
    return translate(arrays["images"], arrays["translations_dx_dy"], form["how"], form["fill"])


def _rotate_all(form, arrays):
    angle = math.radians(float(form["degrees"]))
    return rotate(arrays["images"], np.full(len(arrays["images"]), angle, "float32"), form["how"])


def _reflected(images, size: int):
    before = (size - 1) // 2
    edge = (before, size - 1 - before)
    return ops.pad(images, ((0, 0), edge, edge, (0, 0)), mode="reflect")


def _mean_filter(form, arrays):
    size = int(form["size"])
    return ops.average_pool(_reflected(arrays["images"], size), size, 1, "valid", "channels_last")


def _gaussian_filter(form, arrays):
    size, sigma = int(form["size"]), float(form["sigma"])
    # Keras pads with zeros: what it does with the reflected edge is cut away again.
    images = _reflected(arrays["images"], size)
    found = ops.image.gaussian_blur(images, (size, size), (sigma, sigma), data_format="channels_last")
    before, after = (size - 1) // 2, size // 2
    return found[:, before : found.shape[1] - after, before : found.shape[2] - after]


def _warp(form, arrays):
    images, flow = arrays["images"], arrays["flow"]
    rows, columns = np.meshgrid(*(np.arange(size, dtype="float32") for size in images.shape[1:3]), indexing="ij")
    warped = np.empty_like(images)
    for place, (image, moved) in enumerate(zip(images, flow, strict=True)):
        # Theirs holds a place outside at the edge.
        where = [np.clip(base - moved[..., axis], 0, size - 1)
                 for axis, (base, size) in enumerate(zip((rows, columns), image.shape, strict=False))]  # fmt: skip
        for channel in range(image.shape[-1]):
            found = ops.image.map_coordinates(image[..., channel], np.stack(where), order=1, fill_mode="nearest")
            warped[place, ..., channel] = ops.convert_to_numpy(found)
    return warped


WAYS = r"(?P<how>nearest|bilinear)"
FILLS = r"(?P<fill>constant|nearest|reflect|wrap)"
IMAGES = {
    rf"rotate_{WAYS}_{FILLS}": _rotate,
    rf"translate_{WAYS}_{FILLS}": _translate,
    rf"rotate(?P<degrees>-?[\d.]+)_{WAYS}": _rotate_all,
    r"mean_filter(?P<size>\d+)": _mean_filter,
    r"gaussian_filter(?P<size>\d+)_s(?P<sigma>[\d.]+)": _gaussian_filter,
    r"dense_image_warp": _warp,
}


def check_images(case: Case):
    """Compare image operations; the settings are part of the names of the outputs. None when the case holds none."""
    arrays = case.group("x")
    if "images" not in arrays or "angles" not in arrays:
        return None
    found = []
    for name, theirs in case.group("y").items():
        forms = [(form, give) for text, give in IMAGES.items() if (form := re.fullmatch(text, name))]
        reasons = [reason for start, reason in IMAGES_NOT_CARRIED.items() if name.startswith(start)]
        if forms:
            found.append(compare(name, forms[0][1](forms[0][0], arrays), theirs, TOLERANCE))
        else:
            found.append(NotCarried(name, reasons[0]) if reasons else unknown(name))
    return found


def check_layers(case: Case):
    """Compare layers that Keras has under another name; None when the case holds none."""
    arrays, expected = case.group("x"), case.group("y")
    if "seq" not in arrays and "crf_logits" not in arrays:
        return None
    found = []
    for name, theirs in expected.items():
        reasons = [reason for start, reason in LAYERS_NOT_CARRIED.items() if name.startswith(start)]
        if name == "instance_normalization":
            layer = keras.layers.GroupNormalization(groups=-1)
            layer.build(arrays["images"].shape)
            weights = case.group(f"w/{name}")
            layer.set_weights([weights["gamma_0"], weights["beta_1"]])
            found.append(compare(name, layer(arrays["images"]), theirs, TOLERANCE))
        else:
            found.append(NotCarried(name, reasons[0]) if reasons else unknown(name))
    return found
