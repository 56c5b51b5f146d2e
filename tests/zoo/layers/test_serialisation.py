"""Every layer, metric, optimizer and initializer of the zoo is rebuilt from its configuration."""

from __future__ import annotations

import json

import keras
import pytest

from zoo.layers import attention, batch_norm, causal, initializers, preprocess, tabular, time_modulation, transformer
from zoo.metrics.confusion import ConfusionMatrix
from zoo.metrics.steps import StepAccuracy
from zoo.optimizers.adam import Adam

MADE = [
    lambda: attention.SelfAttention(2, 4, 0.1, "xavier", name="some"),
    lambda: transformer.EncoderBlock(2, 4, ffn_factor=3, dropout=0.1, initializer="orthogonal", name="some"),
    lambda: transformer.TransformerEncoder(2, 2, 4, class_token=False, dropout=0.1, name="some"),
    lambda: tabular.FeatureTokenizer(8, name="some"),
    lambda: tabular.NormHead(5, hidden=1, dropout=0.1, name="some"),
    lambda: time_modulation.TimeModulation(2, 4, 3, 700.0, name="some"),
    lambda: time_modulation.SinusoidEncoding(2, 4, 700.0, True, name="some"),
    lambda: time_modulation.BandTokens(time_modulation.TimeModulation(2, 4), 2, name="some"),
    lambda: preprocess.QuantileNormalizer(3, 5, 2, None, name="some"),
    lambda: preprocess.FluxScale("asinh", 20.0, name="some"),
    lambda: batch_norm.MaskedBatchNorm(0.9, 1e-4, name="some"),
    lambda: causal.RecurrentStack("gru", 3, 2, "hard_sigmoid", False, True, 0.1, name="some"),
    lambda: causal.CausalConvolutions(3, 2, (1, 2), "relu", 0.1, name="some"),
    lambda: ConfusionMatrix(4, name="some"),
    lambda: StepAccuracy(name="some"),
    lambda: Adam(0.1, 0.2, 0.3, 0.4),
    lambda: initializers.FanInUniform(7, seed=3),
]


@pytest.mark.parametrize("make", MADE, ids=lambda make: type(make()).__name__)
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_the_configuration_gives_the_same_object(make, policy):
    keras.mixed_precision.set_global_policy(policy)
    try:
        made = make()
    finally:
        keras.mixed_precision.set_global_policy("float32")
    stored = json.loads(json.dumps(keras.saving.serialize_keras_object(made)))
    again = keras.saving.deserialize_keras_object(stored, safe_mode=True)
    assert type(again) is type(made)
    assert json.loads(json.dumps(keras.saving.serialize_keras_object(again))) == stored
