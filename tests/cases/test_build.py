"""Building: the same variables every time, each under a path of its own, outputs of the stated shape."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.cases import variants
from zoo import registry, views


def _shapes(network) -> dict[str, tuple]:
    return {item.path.split("/", 1)[1]: tuple(item.shape) for item in network.weights}


def test_every_variable_has_a_path_of_its_own(bench):
    assert len(_shapes(bench.network)) == len(bench.network.weights)


@pytest.mark.parametrize("example", variants.costly(variants.one_a_kind()), ids=str)
def test_the_seed_decides_the_weights_and_nothing_else(example, make_bench):
    bench = make_bench(example)
    network, same, other = bench.network, bench.build(0), bench.build(1)
    assert _shapes(network) == _shapes(other)
    assert network.count_params() == other.count_params() > 0
    for ours, theirs in zip(network.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    pairs = zip(network.get_weights(), other.get_weights(), strict=True)
    assert any((ours != theirs).any() for ours, theirs in pairs)


@pytest.mark.parametrize("example", variants.costly(variants.one_a_view()), ids=str)
def test_objects_and_lengths_may_be_unknown_in_the_graph(example, make_bench):
    # As the pipeline of a fit has them; arrays at hand would hide what takes a number of frames for granted.
    bench = make_bench(example)
    known = views.sizes(bench.spec.model_info())
    signature = {
        name: tf.TensorSpec([known.get(axis) for axis in axes], kind, name)
        for name, (axes, kind) in views.tensors(example.entry.view, bench.bundle.config.parts()).items()
    }
    expected = {name: value.shape[1:] for name, value in bench.network(bench.batch()[0], training=False).items()}
    for training in (False, True):
        traced = tf.function(lambda inputs, training=training: bench.network(inputs, training=training))
        found = traced.get_concrete_function(signature).structured_outputs
        for name, value in found.items():
            assert value.shape[1:].is_compatible_with(expected[name]), name


def test_tied_layers_are_there(bench):
    paths = {variable.path for variable in bench.network.weights}
    for aspect, tied in bench.network.tied_to().items():
        assert aspect in ("classes", "bands", "static", "features", "channels", "alert_columns")
        for path in tied:
            assert any(name.startswith(path + "/") for name in paths) or "sinusoid" in path, path


def test_outputs_are_logits_of_every_class_or_node_or_embeddings_or_the_steps_themselves(bench):
    inputs, _, _ = bench.batch()
    if bench.task.labelled:
        shape = (8, len(bench.network.info.outputs))
    elif bench.example.entry.task == "contrast":
        shape = (8, bench.network.config.hidden_dim)
    else:
        shape = inputs["flux"].shape if "flux" in inputs else bench.network.preprocess(inputs["stamp"])[0].shape
    for value in bench.task.object_outputs(bench.outputs(inputs)).values():
        assert value.shape == shape
        assert np.ptp(value, axis=0).max() > 1e-6, "all objects got the same answer"


def test_parts_cover_what_is_trained(bench):
    network = bench.network
    parts = network.parts_of_model()
    known = {id(variable) for variable in network.variables}
    reached = {id(variable) for layer in parts.values() for variable in layer.variables}
    assert reached <= known
    lost = [variable.path for variable in network.trainable_variables if id(variable) not in reached]
    assert not lost, "neither frozen nor reset by any part"


def test_example_inputs_match_the_pipeline(bench):
    inputs, _, _ = bench.batch()
    config, info = bench.bundle.config, bench.info
    example = registry.example_inputs(bench.example.model, config, info)
    assert {key: (value.ndim, value.dtype) for key, value in example.items()} == {
        key: (value.ndim, value.dtype) for key, value in inputs.items()
    }
