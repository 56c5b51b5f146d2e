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


@pytest.fixture(params=variants.costly(variants.one_a_kind(), variants.of_records), ids=str)
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
    longest = max(len(item.lc.time) for item in objects) + 3
    names = ("time", "flux", "flux_err", "band", "flags")
    kinds = dict(zip(names, ("float64", "float32", "float32", "int32", "int32"), strict=True))
    arrays = {name: np.zeros((count, longest), kinds[name]) for name in names}
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


def test_classes_are_named(pair):
    bench, _, loaded = pair
    names = [name.decode() for name in loaded.signatures["classes"]()["classes"].numpy()]
    assert names == list(bench.spec.classes)
