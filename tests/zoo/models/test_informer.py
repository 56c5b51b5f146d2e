"""The Informer: attention against its definition, padding, golden cases, what the options change."""

from __future__ import annotations

import importlib

import keras
import numpy as np
import pytest
from keras import ops

from tests.cases.photometry_bench import inputs_of
from tfrecords.errors import UsageError
from zoo import registry
from zoo.layers.prob_sparse_attention import ProbSparseAttention, chosen_rows
from zoo.models.informer.config import InformerConfig
from zoo.registry import ModelInfo

SMALL = {"length": 30, "d_model": 8, "num_heads": 2, "dff": 8, "layers": 2, "dropout": 0.0, "embedding_dropout": 0.0}


def _dense(layer, part, values):
    kernel, bias = (np.array(getattr(layer, f"{part}_{kind}"), "float64") for kind in ("kernel", "bias"))
    return values @ kernel + bias


def _by_definition(layer, tokens, index):
    """Attend by the formulas, one object, head and row at a time."""
    heads, size, rows = layer.settings["num_heads"], layer.size, tokens.shape[1]
    parts = [_dense(layer, part, tokens.astype("float64")) for part in ("query", "key", "value")]
    query, key, value = (item.reshape(len(tokens), rows, heads, size).transpose(0, 2, 1, 3) for item in parts)
    context = np.empty((len(tokens), heads, rows, size))
    count = int(chosen_rows(rows, layer.settings["factor"])[rows])
    for place, head in np.ndindex(len(tokens), heads):
        q, k, v = query[place, head], key[place, head], value[place, head]
        sampled = [q[row] @ k[index[row]].T for row in range(rows)]
        measure = np.array([item.max() - item.sum() / rows for item in sampled])
        context[place, head] = v.mean(axis=0)
        for row in np.argsort(-measure)[:count]:
            score = q[row] @ k.T / np.sqrt(size)
            weights = np.exp(score - score.max())
            context[place, head, row] = weights / weights.sum() @ v
    if layer.settings["head_merge"] == "standard":
        context = context.transpose(0, 2, 1, 3)
    return _dense(layer, "output", context.reshape(len(tokens), rows, heads * size))


@pytest.mark.parametrize("merge", ["mixed", "standard"])
@pytest.mark.parametrize(("heads", "rows", "factor"), [(1, 12, 1), (4, 12, 2), (3, 11, 1), (2, 2, 1), (1, 2, 1)])
def test_attention_is_what_its_definition_says(merge, heads, rows, factor):
    rng = np.random.default_rng(heads)
    layer = ProbSparseAttention(heads, rows, factor, merge)
    tokens = rng.normal(size=(3, rows, 10)).astype("float32")
    index = rng.integers(0, rows, (rows, layer.most)).astype("int32")
    found = ops.convert_to_numpy(layer(tokens, index=index))
    np.testing.assert_allclose(found, _by_definition(layer, tokens, index), rtol=0, atol=1e-5)


@pytest.mark.parametrize("merge", ["mixed", "standard"])
@pytest.mark.parametrize("sampling", ["fixed", "all"])
def test_rows_that_do_not_count_are_as_if_they_were_not_there(merge, sampling):
    rng = np.random.default_rng(0)
    layer = ProbSparseAttention(2, 12, head_merge=merge, key_sampling=sampling, seed=1)
    tokens = rng.normal(size=(4, 12, 8)).astype("float32")
    lengths = np.array([12, 7, 1, 0], "int32")
    found = ops.convert_to_numpy(layer(tokens, lengths))
    assert np.isfinite(found).all()
    for place, count in enumerate(lengths[:3]):
        alone = np.concatenate([tokens[place : place + 1, :count], np.zeros((1, 4, 8), "float32")], axis=1)
        alone = ops.convert_to_numpy(layer(alone[:, :12], lengths[place : place + 1]))
        np.testing.assert_allclose(found[place, :count], alone[0, :count], rtol=0, atol=1e-5)
    if sampling == "all":
        # Seven rows are what a layer of seven rows makes of them.
        short = ProbSparseAttention(2, 7, head_merge=merge)
        short.build((None, 7, 8))
        short.set_weights(layer.get_weights())
        theirs = ops.convert_to_numpy(short(tokens[1:2, :7]))
        np.testing.assert_allclose(found[1, :7], theirs[0], rtol=0, atol=1e-5)


def test_the_queries_chosen_have_the_gradient_of_a_dense_attention():
    import tensorflow as tf

    tokens = tf.constant(np.random.default_rng(0).normal(size=(2, 5, 8)).astype("float32"))
    # Of five rows all attend under a large factor: softmax attention.
    layer = ProbSparseAttention(2, 5, factor=9)
    layer.build((2, 5, 8))

    def dense(tokens):
        parts = [tf.matmul(tokens, getattr(layer, f"{part}_kernel")) + getattr(layer, f"{part}_bias")
                 for part in ("query", "key", "value")]  # fmt: skip
        query, key, value = (tf.transpose(tf.reshape(item, (2, 5, 2, 4)), (0, 2, 1, 3)) for item in parts)
        weights = tf.nn.softmax(tf.matmul(query, key, transpose_b=True) / 2.0)
        mixed = tf.reshape(tf.transpose(tf.matmul(weights, value), (0, 2, 1, 3)), (2, 5, 8))
        return tf.matmul(mixed, layer.output_kernel) + layer.output_bias

    gradients = []
    variables = [item.value for item in layer.trainable_variables if "key_bias" not in item.path]
    for function in (layer, dense):
        with tf.GradientTape() as tape:
            tape.watch(tokens)
            total = tf.reduce_sum(tf.square(function(tokens)))
        gradients.append(tape.gradient(total, [tokens, *variables]))
    for ours, theirs in zip(*gradients, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def _network(**hparams):
    keras.utils.set_random_seed(0)
    info = ModelInfo(classes=("a", "b", "c"), static=("amplitude", "period"))
    return registry.create("informer", info, **SMALL | hparams)


def _logits(network, inputs):
    return ops.convert_to_numpy(network({name: ops.convert_to_tensor(item) for name, item in inputs.items()})["logits"])


def test_the_published_code_s_behaviour_depends_on_padding_and_draws():
    inputs = inputs_of(("light_curve",), 4)
    other = inputs | {"curve_scale": inputs["curve_scale"] + 1}
    network = _network(head_merge="mixed", key_sampling="random", mask_attention=False, factor=2)
    assert np.abs(_logits(network, inputs) - _logits(network, inputs)).max() > 1e-6
    fixed = _network(head_merge="mixed", key_sampling="fixed", mask_attention=False)
    np.testing.assert_array_equal(_logits(fixed, inputs), _logits(fixed, inputs))
    # Constant channels stand in padded rows too: an object without rows sees them there.
    assert np.abs(_logits(fixed, inputs) - _logits(fixed, other))[0].max() > 1e-4


def test_columns_are_standardised_and_may_be_missing():
    network = _network(photo_cols=["period"])
    rows = np.stack([np.zeros(50), 10 ** np.random.default_rng(0).normal(2, 0.5, 50)], axis=1).astype("float32")
    network.fitted()["static"].fit(rows)
    inputs = inputs_of(("light_curve",), 4)
    values = np.array([100.0, 10.0, np.nan, 0.0], "float32")
    logits = _logits(network, inputs | {"static": np.stack([values * 0, values], axis=1)})
    assert np.isfinite(logits).all()
    moved = _logits(network, inputs | {"static": np.stack([values * 0 + 5, values * 2], axis=1)})
    assert (np.abs(moved - logits).max(axis=1) > 1e-6).tolist() == [True, False, False, False]


def test_rows_beyond_the_length_are_left_out():
    inputs = inputs_of(("light_curve",), 4, rows=24)
    short, whole = _network(length=20), inputs.copy()
    for name in ("time", "flux", "flux_err", "band", "mask"):
        inputs[name] = inputs[name][:, :20]
    np.testing.assert_allclose(_logits(short, inputs), _logits(short, whole), rtol=0, atol=1e-6)


@pytest.mark.parametrize("wrong", [{"length": 1}, {"d_model": 7}, {"d_model": 2, "num_heads": 4}, {"dropout": 1.0}])
def test_impossible_options_are_refused(wrong):
    with pytest.raises(UsageError, match="must.*Received"):
        InformerConfig(**wrong)


@pytest.mark.parametrize("name", ["small_a", "small_fullsample", pytest.param("paper", marks=pytest.mark.slow)])
def test_golden_cases_pass(name, shared):
    run = importlib.import_module("zoo.parity")
    found = run.run_case(run.load_case(shared(f"golden/astrom3/informer_{name}.npz")))
    assert len(found) > 8 and all(item.passed for item in found)


def test_positions_by_time_and_the_mean_of_rows():
    inputs = inputs_of(("light_curve",), 6)
    inputs["time"] = np.where(inputs["mask"], np.arange(inputs["mask"].shape[1]) / 30, 0).astype("float32")
    info = ModelInfo(classes=("a", "b"))
    changes = {"rows": {}, "time": {"positions": "time"}, "mean": {"pooling": "mean"}}
    networks = {key: registry.create("informer", info, **SMALL, **change) for key, change in changes.items()}
    for network in networks.values():
        for ours, theirs in zip(network.photo.weights, networks["rows"].photo.weights, strict=True):
            ours.assign(theirs)
    found = {key: ops.convert_to_numpy(network.photo(inputs)) for key, network in networks.items()}
    # A row's time times the length is its number here.
    np.testing.assert_allclose(found["time"], found["rows"], atol=1e-4)
    tokens, size = found["rows"].reshape(6, 30, 8), inputs["mask"].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found["mean"], tokens.sum(axis=1) / np.maximum(size, 1), atol=1e-5)
