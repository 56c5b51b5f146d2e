"""The representation of objects: shape, finite, blind to padding, the same after saving, in inference mode."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tests.cases import tensors, variants
from tfrecords.errors import UsageError
from zoo.models.network import Network, representing
from zoo.registry import ModelInfo

WITH = [example for example in variants.examples() if example.model not in variants.WITHOUT_REPRESENTATION]


RICHEST = variants.richest()


@pytest.fixture(
    params=[item if item in RICHEST else pytest.param(item, marks=pytest.mark.slow) for item in WITH], ids=str
)
def bench(request, make_bench):
    """The workbench of one model and variant that has a representation."""
    return make_bench(request.param)


def _represent(network, inputs) -> np.ndarray:
    inputs = {name: keras.ops.convert_to_tensor(value) for name, value in inputs.items()}
    return keras.ops.convert_to_numpy(network.represent(inputs))


def _rows(bench) -> bool:
    return "light_curve" in bench.bundle.config.parts()


def test_a_finite_vector_an_object(bench):
    inputs = bench.batch()[0]
    found = _represent(bench.network, inputs)
    assert found.dtype == "float32" and found.ndim == 2 and len(found) == 8 and found.shape[1] > 1
    assert np.isfinite(found).all()
    np.testing.assert_allclose(_represent(bench.network, inputs), found, rtol=0, atol=0)
    # Objects differ, and in more than one direction.
    assert np.linalg.matrix_rank(found - found.mean(axis=0), tol=1e-5) > 1
    if _rows(bench):
        empty = inputs | {"mask": np.zeros_like(inputs["mask"])}
        assert np.isfinite(_represent(bench.network, empty)).all()


def test_padding_and_neighbours_change_nothing(bench):
    inputs, view = bench.batch()[0], bench.example.entry.view
    found = _represent(bench.network, inputs)
    alone = {name: value[3:4] for name, value in inputs.items()}
    np.testing.assert_allclose(_represent(bench.network, alone), found[3:4], rtol=0, atol=1e-5)
    if _rows(bench):
        changed = [tensors.pad(view, inputs), tensors.poison(view, inputs, np.random.default_rng(1))]
        for values in changed:
            np.testing.assert_allclose(_represent(bench.network, values), found, rtol=0, atol=1e-5)


def test_weights_bring_the_representation_along(bench, tmp_path):
    inputs, network = bench.batch()[0], bench.network
    again = type(network).from_config(network.get_config())
    again.build_from_config({})
    path = tmp_path / "some.weights.h5"
    network.save_weights(path)
    again.load_weights(path)
    np.testing.assert_array_equal(_represent(again, inputs), _represent(network, inputs))


def test_the_default_names_the_models_that_have_one():
    class Silent(Network):
        entry_name = "silent"

        def __init__(self):
            super().__init__()
            self.info = ModelInfo()

    with pytest.raises(UsageError, match="ae_classifier, alexnet, astrom3.*Received: silent"):
        Silent().represent({})
    assert set(representing()) == {example.model for example in WITH}
