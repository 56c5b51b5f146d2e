"""Export: a SavedModel that takes raw light curves or serialized records, checked after writing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np

from tfrecords.errors import DataError, UsageError
from zoo.training.onnx_model import TOLERANCE, difference, write_onnx
from zoo.training.run import Run, load_run

SPECTRUM = ("wavelength", "spectrum_flux", "spectrum_ivar")
"""Arrays of spectra that ``serve`` takes."""


def export(run, out=None, *, onnx=None, overwrite: bool = False) -> Path:
    """Write a SavedModel with the signatures ``serve``, ``serve_examples`` and ``classes``.

    ``serve`` takes raw padded arrays of any length: ``time`` (MJD, float64), ``flux``, ``flux_err``,
    ``band`` (index), ``flags`` (bits), ``mask`` (batch, time), and the ``static`` columns that ``classes`` names;
    ``serve_examples`` takes serialized records; ``classes`` takes nothing and gives names, and a taxonomy's nodes
    with the index of each one's parent. A model with
    computed features has no ``serve_examples``: records do not hold them, ``serve`` takes them as arrays. Of a model
    of stamps ``serve`` takes the tensors of its view that the network reads: cutouts and columns of alerts as they are.
    Of one of spectra it takes ``wavelength`` (angstrom, increasing), ``spectrum_flux`` and ``spectrum_ivar`` (batch,
    pixel) as they were observed, NaN where there is no pixel.

    Parameters
    ----------
    run : path or Run
    out : path, optional
        New directory; ``<run>/saved_model`` when absent, which is replaced.
    onnx : path, optional
        Write the network, from view tensors to outputs, as ONNX too (extra ``onnx``).
    overwrite : bool
        Replace ``out`` if it exists.

    Returns
    -------
    Path
        The SavedModel.

    Raises
    ------
    DataError
        If the reloaded SavedModel does not give the network's numbers.
    """
    import tensorflow as tf

    run = load_run(run)
    target = Path(out) if out is not None else run.path / "saved_model"
    if out is not None and target.exists():
        if not overwrite:
            raise UsageError(f"--out exists; choose another place or --overwrite. Received: {target}")
        if not (target / "saved_model.pb").is_file():
            raise UsageError(f"--overwrite replaces SavedModels only, and this is none. Received: {target}")
    endpoints = _endpoints(run)
    temporary = target.with_name(f".incomplete-{os.getpid()}-{target.name}")
    temporary.parent.mkdir(parents=True, exist_ok=True)
    try:
        _write(run, endpoints, temporary)
        _check(run, endpoints, tf.saved_model.load(str(temporary)), target)
        if target.exists():
            shutil.rmtree(target)
        os.replace(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    if onnx is not None:
        arrays, records = _examples(run)
        write_onnx(run, Path(onnx), _view_tensors(run, arrays, records))
    return target


def _endpoints(run: Run) -> dict:
    """Give function and signature of every endpoint by name."""
    import tensorflow as tf

    from zoo.inputs import spectra, stamps, transforms

    bundle, network, task = run.bundle, run.network, run.task
    spec, parts = bundle.spec, bundle.config.parts()
    raw = run.stage(spec.raw_static)
    records = run.stage(spec.record_static)

    def served(tensors):
        # TensorFlow's convolutions fail on an empty batch: an empty object stands in for none, and is cut off.
        count = tf.shape(next(iter(tensors.values())))[0]
        spare = tf.cast(count == 0, tf.int32)
        tensors = {name: _with_rows(values, spare) for name, values in tensors.items()}
        answer = task.served(network, network(tensors, training=False), tensors)
        return {name: values[:count] for name, values in answer.items()}

    def no_features(count):
        return tf.zeros([count, 0, 0])

    def serve(inputs):
        if "light_curve" in parts:
            keys = ("time", "flux", "flux_err", "band", "flags", "mask")
            curves = transforms.from_padded(*(inputs[key] for key in keys))
        else:
            curves = _no_light_curves(tf.shape(next(iter(inputs.values())), tf.int64)[0])
        static = inputs["static"] if "static" in inputs else tf.zeros([curves.count, 0])
        pixels = spectra.from_padded(*(inputs[key] for key in SPECTRUM)) if "spectrum" in parts else None
        prepared = raw.prepare(curves, static, _day_axis(inputs, spec), pixels=pixels)
        tensors = raw.tensors(prepared)
        if "features" in parts:
            tensors["feature_set"] = inputs["feature_set"]
        if "stamps" in parts:
            tensors |= stamps.from_arrays(raw.view, inputs, raw.config)
        return served(tensors)

    def _day_axis(inputs, spec):
        if "features" not in parts:
            return no_features(0)
        # One set a request: it stands for every day, and `feature_set` says whose tables apply.
        return tf.repeat(inputs["features"][:, None], len(spec.feature_days), axis=1)

    def serve_examples(examples):
        return served(_record_tensors(records, examples))

    def classes():
        return {
            "classes": tf.constant(spec.classes, tf.string),
            "bands": tf.constant(spec.bands),
            "static": tf.constant(spec.raw_static, tf.string),
            **(
                {
                    "channels": tf.constant(spec.channels),
                    "alert_columns": tf.constant(_read_columns(spec, bundle.config), tf.string),
                }
                if spec.channels
                else {}
            ),
            **({"nodes": tf.constant(spec.nodes), "parents": tf.constant(spec.parents)} if spec.nodes else {}),
        }

    found = {"serve": (serve, [_serve_signature(spec, bundle.config, bundle.entry.view)])}
    if "features" not in parts:
        found["serve_examples"] = (serve_examples, [tf.TensorSpec([None], tf.string, "examples")])
    found["classes"] = (classes, [])
    return found


def _with_rows(values, count):
    """Put ``count`` rows of 0, or False, behind those of a tensor."""
    import tensorflow as tf

    found = tf.pad(values, [[0, count], *[[0, 0]] * (len(values.shape) - 1)])
    return tf.ensure_shape(found, [None, *values.shape[1:]])


def _record_tensors(stage, records) -> dict:
    """Give the tensors of serialized records (object,) that hold all that a model reads."""
    import tensorflow as tf

    curves, static = stage.parse(records)
    prepared = stage.prepare(curves, static, tf.zeros([curves.count, 0, 0]), **stage.parse_parts(records))
    return stage.tensors(prepared)


def _no_light_curves(count):
    import tensorflow as tf

    from zoo.inputs.transforms import LightCurves

    kinds = (tf.float64, tf.int32, tf.float32, tf.float32, tf.int32, tf.int64)
    return LightCurves(*(tf.zeros([0], kind) for kind in kinds), count)


def _read_columns(spec, config) -> tuple[str, ...]:
    """Give the names of the columns of an alert that the network reads."""
    return tuple(column.name for column in spec.alert_columns) if "columns" in config.reads else ()


def _serve_signature(spec, config, view: str) -> dict:
    import tensorflow as tf

    parts, signature = config.parts(), {}
    if "stamps" in parts:
        from zoo.inputs import stamps

        shape = (spec.stamp_size, spec.stamp_size, len(spec.channels)) if "images" in config.reads else None
        signature |= stamps.signature(view, shape, len(_read_columns(spec, config)))
    if "light_curve" in parts:
        kinds = {"time": tf.float64, "flux": tf.float32, "flux_err": tf.float32, "band": tf.int32,
                 "flags": tf.int32, "mask": tf.bool}  # fmt: skip
        signature |= {key: tf.TensorSpec([None, None], kind, key) for key, kind in kinds.items()}
    if "spectrum" in parts:
        signature |= {key: tf.TensorSpec([None, None], tf.float32, key) for key in SPECTRUM}
    if "static" in parts or spec.dust or spec.period:
        signature["static"] = tf.TensorSpec([None, len(spec.raw_static)], tf.float32, "static")
    if "features" in parts:
        signature["features"] = tf.TensorSpec([None, len(spec.features)], tf.float32, "features")
        signature["feature_set"] = tf.TensorSpec([None], tf.int32, "feature_set")
    return signature


def _write(run: Run, endpoints: dict, path: Path) -> None:
    import keras

    archive = keras.export.ExportArchive()
    archive.track(run.network)
    for name, (function, signature) in endpoints.items():
        archive.add_endpoint(name, function, input_signature=signature)
    archive.write_out(str(path), verbose=False)


def _examples(run: Run, objects: int = 5):
    """Make objects of different lengths, one without observations, as arrays and as records."""
    import tensorflow as tf

    from tfrecords.schema import LightCurve, Record, Spectrum, Stamps, encode

    rng = np.random.default_rng(0)
    spec, longest = run.bundle.spec, 4 * objects
    size = np.arange(objects) * 4
    mask = np.arange(longest) < size[:, None]
    time = np.sort(60000 + 300 * rng.random((objects, longest)), axis=1)
    arrays = {
        "time": time,
        "flux": (100 * rng.standard_normal((objects, longest))).astype("float32"),
        "flux_err": (1 + 10 * rng.random((objects, longest))).astype("float32"),
        "band": rng.integers(0, max(1, len(spec.bands)), (objects, longest)).astype("int32"),
        "flags": rng.integers(0, 2, (objects, longest)).astype("int32"),
        "mask": mask,
        "static": rng.random((objects, len(spec.raw_static))).astype("float32"),
        "features": rng.standard_normal((objects, len(spec.features))).astype("float32"),
        "feature_set": np.zeros(objects, "int32"),
    }
    arrays = {key: np.where(mask, value, 0).astype(value.dtype) if value.shape == mask.shape and key != "mask"
              else value for key, value in arrays.items()}  # fmt: skip
    pixels = np.where(np.arange(longest) < size[:, None], np.linspace(3700, 9100, longest), np.nan)
    flux, ivar = 10 + rng.standard_normal((objects, longest)), rng.random((objects, longest))
    arrays |= {key: values.astype("float32") for key, values in zip(SPECTRUM, (pixels, flux, ivar), strict=True)}
    columns = np.array([spec.record_static.index(name) for name in spec.raw_static], "int64")
    records = []
    for place, count in enumerate(size):
        static = np.zeros(len(spec.record_static), "float32")
        static[columns] = arrays["static"][place]
        kinds = {"time": "f8", "band": "u1", "flux": "f4", "flux_err": "f4", "flags": "u1"}
        curve = LightCurve(**{key: arrays[key][place, :count].astype(kind) for key, kind in kinds.items()})
        record = Record(str(place), spec.survey, -1, lc=curve, static=static if len(static) else None)
        if place and spec.spectrum_size:
            record.spectrum = Spectrum(*(arrays[key][place, :count] for key in SPECTRUM))
        if place and spec.channels:
            images = rng.standard_normal((place, spec.stamp_size, spec.stamp_size, len(spec.channels)))
            images[0, :3, :3] = np.nan
            values = rng.standard_normal((place, len(spec.record_alert_columns)))
            record.stamps = Stamps(images, 60000 + np.arange(place), values)
        records.append(encode(record))
    if spec.channels:
        tensors = _record_tensors(run.stage(spec.record_static), tf.constant(records))
        arrays |= {key: value.numpy() for key, value in tensors.items() if key not in ("static", "features")}
    return arrays, records


def _check(run: Run, endpoints: dict, loaded, target: Path) -> None:
    """Compare the reloaded signatures with the network, and ``serve`` with ``serve_examples``."""
    import tensorflow as tf

    arrays, records = _examples(run)
    inputs = {key: tf.constant(arrays[key]) for key in endpoints["serve"][1][0]}
    expected, again = (endpoints["serve"][0](inputs) for _ in range(2))
    # What a network draws anew in every answer, as published code may, it will not find again after reloading.
    drawn = {key for key, value in expected.items() if difference(value.numpy(), again[key].numpy()) > TOLERANCE}
    answers = {"serve": loaded.signatures["serve"](**inputs)}
    if "serve_examples" in endpoints:
        answers["serve_examples"] = loaded.signatures["serve_examples"](tf.constant(records))
    for name, outputs in answers.items():
        for key, value in expected.items():
            ours, theirs = value.numpy(), outputs[key].numpy()
            if key in drawn and ours.shape == theirs.shape and np.isfinite(theirs).all():
                continue
            found = difference(ours, theirs)
            if not found <= TOLERANCE:
                raise DataError(
                    f"{target}: signature {name!r} does not give the network's {key!r} after reloading. "
                    f"Valid: a difference <= {TOLERANCE}. Received: {found}"
                )
    names = [name.decode() for name in loaded.signatures["classes"]()["classes"].numpy()]
    if names != list(run.bundle.spec.classes):
        raise DataError(f"{target}: signature 'classes' gives other names. Received: {names}")


def _view_tensors(run: Run, arrays, records):
    """Give the tensors of the network's view of made objects, as `_examples` gives them."""
    import tensorflow as tf

    from zoo.inputs import transforms

    keys = ("time", "flux", "flux_err", "band", "flags", "mask")
    if run.bundle.spec.channels or run.bundle.spec.spectrum_size:
        return _record_tensors(run.stage(run.bundle.spec.record_static), tf.constant(records))
    curves = transforms.from_padded(*(tf.constant(arrays[key]) for key in keys))
    stage = run.stage(run.bundle.spec.raw_static)
    days = len(run.bundle.spec.feature_days)
    features = tf.repeat(tf.constant(arrays["features"])[:, None], days, axis=1)
    return stage.tensors(stage.prepare(curves, tf.constant(arrays["static"]), features))
