"""The exported model, in plain TensorFlow, answers as the pipeline and the network do."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.cases import variants
from zoo.training import bundle as bundles
from zoo.training.run import Run


@pytest.fixture(scope="module")
def exported():
    """Exports of this module by example: run and loaded SavedModel."""
    return {}


@pytest.fixture(params=variants.costly(variants.one_a_view()), ids=str)
def pair(request, records, exported, make_bench, tmp_path_factory):
    """Workbench, run and SavedModel of one model in one variant."""
    if request.param not in exported:
        bench = make_bench(request.param)
        path = tmp_path_factory.mktemp("run")
        bundles.save(path / "bundle", bench.bundle, bench.network)
        run = Run(path)
        exported[request.param] = (bench, run, tf.saved_model.load(str(run.export(path / "out"))))
    return exported[request.param]


def _raw(bench, count: int) -> dict[str, np.ndarray]:
    """Give the first objects as padded arrays with the values of their records."""
    objects = [bench.directory.record(place) for place in range(count)]
    spectra = {}
    if "spectrum" in bench.bundle.config.parts():
        spectra = {f"spectrum_{name}".replace("spectrum_wavelength", "wavelength"): _pixels(objects, name)
                   for name in ("wavelength", "flux", "ivar")}  # fmt: skip
    if "stamps" in bench.bundle.config.parts():
        return _raw_stamps(bench, objects)
    longest = max(len(item.lc.time) for item in objects) + 3
    names = ("time", "flux", "flux_err", "band", "flags")
    kinds = dict(zip(names, ("float64", "float32", "float32", "int32", "int32"), strict=True))
    arrays = spectra | {name: np.zeros((count, longest), kinds[name]) for name in names}
    arrays["mask"] = np.zeros((count, longest), bool)
    for row, item in enumerate(objects):
        size = len(item.lc.time)
        arrays["mask"][row, :size] = True
        for name in names:
            arrays[name][row, :size] = getattr(item.lc, name)
    columns = [bench.spec.record_static.index(name) for name in bench.spec.raw_static]
    arrays["static"] = np.stack([item.static for item in objects])[:, columns]
    if bench.spec.features:
        arrays["features"] = bench.examples.feature_values(np.arange(count))[:, -1]
        arrays["feature_set"] = np.full(count, len(bench.spec.feature_days) - 1, "int32")
    return arrays


def _pixels(objects, name: str) -> np.ndarray:
    """Give an array of the objects' spectra (object, pixel), NaN behind the last and where there is none."""
    rows = [np.zeros(0) if item.spectrum is None else getattr(item.spectrum, name) for item in objects]
    found = np.full((len(rows), max(map(len, rows)) + 2), np.nan, "float32")
    for row, values in zip(found, rows, strict=True):
        row[: len(values)] = values
    return found


def _raw_stamps(bench, objects) -> dict[str, np.ndarray]:
    """Give objects as the tensors of their view: the last alert, or all of them."""
    names = [column.name for column in bench.directory.info.alert_columns]
    columns = [names.index(column.name) for column in bench.spec.alert_columns]
    static = [bench.spec.record_static.index(name) for name in bench.spec.raw_static]
    arrays = {"static": np.stack([item.static for item in objects])[:, static]}
    if bench.example.entry.view == "stamp":
        images = np.stack([item.stamps.images[-1] for item in objects])
        return arrays | {"stamp": images, "alert": np.stack([item.stamps.metadata[-1, columns] for item in objects])}
    longest = max(len(item.stamps.time) for item in objects) + 1
    parts = {"stamps": "images", "alerts": "metadata", "time": "time"}
    for name, part in parts.items():
        rows = [getattr(item.stamps, part) for item in objects]
        rows = [values - values[0] if name == "time" else values for values in rows]
        rows = [values[:, columns] if name == "alerts" else values for values in rows]
        free = [(0, 0)] * (rows[0].ndim - 1)
        arrays[name] = np.stack([np.pad(values, [(0, longest - len(values)), *free]) for values in rows])
    arrays["time"] = arrays["time"].astype("float32")
    size = np.array([len(item.stamps.time) for item in objects])
    return arrays | {"mask": np.arange(longest) < size[:, None]}


def _expected(bench, run, count: int) -> np.ndarray:
    numbers = run.predictor(bench.examples, bench.stage)[0][:count]
    # Probabilities of nodes, where there are any, come after those of classes.
    return numbers[:, : len(bench.spec.classes)] if bench.task.labelled else numbers


def _columns(bench, answer) -> np.ndarray:
    """Give the prediction columns of an answer: probabilities, or numbers of their own."""
    if "probabilities" in answer:
        return answer["probabilities"].numpy()
    return np.stack([answer[name].numpy() for name in bench.task.columns()], axis=1)


def test_serve_takes_raw_arrays(pair):
    bench, run, loaded = pair
    serve = loaded.signatures["serve"]
    wanted = serve.structured_input_signature[1]
    arrays = {name: value for name, value in _raw(bench, 7).items() if name in wanted}
    assert set(arrays) == set(wanted)
    answer = serve(**{name: tf.constant(value) for name, value in arrays.items()})
    probabilities = _columns(bench, answer)
    np.testing.assert_allclose(probabilities, _expected(bench, run, 7), rtol=0, atol=1e-6)
    if "class_index" in answer:
        np.testing.assert_array_equal(answer["class_index"].numpy(), probabilities.argmax(axis=1))
    if "feature_set" in arrays and any(layer.settings["sets"] > 1 for layer in bench.network.fitted().values()):
        earlier = arrays | {"feature_set": np.zeros(7, "int32")}
        answer = serve(**{name: tf.constant(value) for name, value in earlier.items()})
        assert np.abs(answer["probabilities"].numpy() - probabilities).max() > 1e-4, "tables of another day"


def test_no_objects_give_empty_answers_of_the_same_width(pair):
    bench, _, loaded = pair
    for name in {"serve", "serve_examples"} & set(loaded.signatures):
        serve = loaded.signatures[name]
        if name == "serve":
            raw = {key: tf.constant(value) for key, value in _raw(bench, 3).items()}
            inputs = {key: raw[key] for key in serve.structured_input_signature[1]}
        else:
            inputs = {"examples": tf.constant(list(bench.examples.serialized(np.arange(3))))}
        whole = serve(**inputs)
        empty = serve(**{key: values[:0] for key, values in inputs.items()})
        for key, values in whole.items():
            # The length of a sequence is that of the longest, and of none it is what the view gives to none.
            axes = [k for k, size in enumerate(serve.structured_outputs[key].shape) if k and size is not None]
            assert empty[key].shape[0] == 0 and empty[key].dtype == values.dtype, key
            assert [empty[key].shape[k] for k in axes] == [values.shape[k] for k in axes], key


def test_serve_examples_takes_records(pair):
    bench, run, loaded = pair
    if bench.spec.features:
        assert "serve_examples" not in loaded.signatures
        return
    serve = loaded.signatures["serve_examples"]
    for count in (9, 1):
        answer = serve(tf.constant(list(bench.examples.serialized(np.arange(count)))))
        expected = _expected(bench, run, count)
        np.testing.assert_allclose(_columns(bench, answer), expected, rtol=0, atol=1e-6)


def test_serve_of_stamps_takes_what_the_network_reads(pair):
    bench, run, loaded = pair
    if "stamps" not in bench.bundle.config.parts():
        return
    inputs, _, _ = bench.batch(4)
    whole = bench.outputs(inputs)
    wanted = loaded.signatures["serve"].structured_input_signature[1]
    columns = loaded.signatures["classes"]()["alert_columns"].numpy()
    for name in ("stamp", "stamps", "alert", "alerts"):
        if name not in inputs:
            continue
        # Turned around, as most preparations do not see a factor or an offset.
        changed = bench.outputs(inputs | {name: inputs[name][..., ::-1, :] if "stamp" in name else -inputs[name]})
        reads = any(np.abs(changed[head] - whole[head]).max() > 1e-6 for head in whole)
        assert reads == (name in wanted), name
        if "alert" in name:
            assert len(columns) == (len(bench.spec.alert_columns) if reads else 0)


def test_classes_are_named(pair):
    bench, _, loaded = pair
    names = [name.decode() for name in loaded.signatures["classes"]()["classes"].numpy()]
    assert names == list(bench.spec.classes)
