"""Configuration, weights and the .keras file give the same model back."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest

from tests.cases import variants
from tests.cases.workbench import assert_equal


def test_configuration_and_weights_survive_their_files(bench, tmp_path):
    network = bench.network
    values = json.loads(json.dumps(network.get_config()))
    again = type(network).from_config(values)
    assert again.config == network.config and again.info == network.info
    again.build_from_config({})
    inputs, _, _ = bench.batch()
    before, expected = bench.outputs(inputs, again), bench.outputs(inputs)
    assert any(np.abs(value - before[name]).max() > 1e-4 for name, value in expected.items())
    path = tmp_path / "some.weights.h5"
    network.save_weights(path)
    again.load_weights(path)
    assert_equal(bench.outputs(inputs, again), expected, 0)


@pytest.mark.parametrize("example", variants.costly(variants.one_a_kind()), ids=str)
def test_the_keras_file_needs_no_unsafe_mode(example, make_bench, tmp_path):
    bench = make_bench(example)
    path = tmp_path / "model.keras"
    bench.network.save(path)
    again = keras.saving.load_model(path, safe_mode=True)
    inputs, _, _ = bench.batch()
    assert_equal(bench.outputs(inputs, again), bench.outputs(inputs), 0)
