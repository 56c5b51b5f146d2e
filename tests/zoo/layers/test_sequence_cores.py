"""Cores of short sequences: as many frames as there are, and lengths that the graph does not know."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from zoo.layers.sequence_cores import ConvolutionCore, DelayCore, GammaCore

FRAMES = 3
CORES = (ConvolutionCore, DelayCore, GammaCore)


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("length", [1, 3, 6])
def test_lengths_may_be_unknown_in_the_graph(core, length):
    rng = np.random.default_rng(length)
    sequence = rng.normal(size=(4, length, 5)).astype("float32")
    mask = np.arange(length) < np.array([0, 1, 2, 6])[:, None]
    layer = core(FRAMES, 2)
    layer.build((None, None, 5))
    traced = tf.function(
        layer.call, input_signature=[tf.TensorSpec([None, None, 5]), tf.TensorSpec([None, None], "bool")]
    )
    found = traced(sequence, mask)
    np.testing.assert_allclose(found, layer.call(sequence, mask), atol=1e-6)
    assert found.shape == (4, *layer.compute_output_shape(sequence.shape)[1:])
    # Padding does not count, and nor does what stands in it.
    longer = np.concatenate(
        [np.where(mask[..., None], sequence, np.nan), np.full((4, 2, 5), np.nan, "float32")], axis=1
    )
    longer_mask = np.concatenate([mask, np.zeros((4, 2), bool)], axis=1)
    np.testing.assert_allclose(traced(longer, longer_mask), found, atol=1e-6)
