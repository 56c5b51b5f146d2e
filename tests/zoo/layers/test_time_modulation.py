"""Time encodings against their formulas, and packing against a loop."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from zoo.layers.time_modulation import BandTokens, SinusoidEncoding, TimeModulation

BANDS, WIDTH, SLOTS = 3, 6, 5


@pytest.fixture
def values():
    """Embeddings (band, slot, width) and times (band, slot) up to 2000 days."""
    rng = np.random.default_rng(0)
    time = rng.uniform(-50, 2000, (BANDS, SLOTS)).astype("float32")
    return rng.normal(size=(BANDS, SLOTS, WIDTH)).astype("float32"), time


def _modulated(kernel, embedding, time, harmonics, period):
    result = np.zeros(embedding.shape)
    for band in range(BANDS):
        alpha, beta = np.zeros((SLOTS, WIDTH)), np.zeros((SLOTS, WIDTH))
        for k in range(harmonics):
            angle = 2 * np.pi * k * time[band].astype("float64")[:, None] / period
            sines, cosines = kernel[band, k], kernel[band, harmonics + k]
            alpha += np.sin(angle) * sines[:WIDTH] + np.cos(angle) * cosines[:WIDTH]
            beta += np.sin(angle) * sines[WIDTH:] + np.cos(angle) * cosines[WIDTH:]
        result[band] = embedding[band] * alpha + beta
    return result


def test_modulation_is_its_formula(values):
    layer = TimeModulation(BANDS, WIDTH, harmonics=7, max_period=1500.0)
    ours = ops.convert_to_numpy(layer(*values))
    kernel = ops.convert_to_numpy(layer.kernel).astype("float64")
    np.testing.assert_allclose(ours, _modulated(kernel, *values, 7, 1500.0), atol=5e-5)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_modulation_keeps_days_in_float32(values, policy):
    embedding, _ = values
    layer = TimeModulation(BANDS, WIDTH, harmonics=64, dtype=policy)
    day = np.full((BANDS, SLOTS), 1234.567, "float32")
    ours = [np.float64(np.array(layer(embedding, day + step))) for step in (0.0, 1.0)]
    kernel = ops.convert_to_numpy(layer.kernel).astype("float64")
    expected = [_modulated(kernel, embedding, day + step, 64, 1500.0) for step in (0.0, 1.0)]
    tolerance = 5e-3 if policy == "float32" else 0.2
    for found, wanted in zip(ours, expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=tolerance * np.abs(wanted).max())
    assert np.abs(ours[1] - ours[0]).max() > 0.1


def test_sinusoid_keeps_days_in_float32(values):
    layer = SinusoidEncoding(BANDS, WIDTH, dtype="mixed_bfloat16")
    day = np.full((BANDS, SLOTS), 1234.6, "float32")
    ours = [np.float32(np.array(layer(values[0] * 0, day + step))) for step in (0.0, 1.0)]
    assert np.abs(ours[1] - ours[0]).max() > 0.5
    np.testing.assert_allclose(ours[0][..., 0], np.sin(1234.6), atol=0.01)


def test_sinusoid_is_its_formula(values):
    embedding, time = values
    layer = SinusoidEncoding(BANDS, WIDTH, max_period=1500.0)
    expected = embedding.astype("float64")
    for j in range(WIDTH // 2):
        rate = 1500.0 ** (-2 * j / WIDTH)
        expected[..., 2 * j] += np.sin(time.astype("float64") * rate)
        expected[..., 2 * j + 1] += np.cos(time.astype("float64") * rate)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(embedding, time)), expected, atol=3e-4)
    assert not layer.weights


def test_band_embedding_starts_at_zero_and_tells_bands_apart(values):
    embedding, time = np.repeat(values[0][:1], BANDS, axis=0), np.repeat(values[1][:1], BANDS, axis=0)
    plain, layer = SinusoidEncoding(BANDS, WIDTH), SinusoidEncoding(BANDS, WIDTH, band_embedding=True)
    np.testing.assert_array_equal(layer(embedding, time), plain(embedding, time))
    layer.bands.assign(np.arange(BANDS)[:, None, None] * np.ones((1, WIDTH)))
    found = np.array(layer(embedding, time))
    np.testing.assert_allclose(found[2] - found[0], 2.0, atol=1e-5)


def test_an_odd_width_is_refused():
    with pytest.raises(ValueError, match="even.*Received: 5"):
        SinusoidEncoding(BANDS, 5)


@pytest.mark.parametrize("channels", [1, 2])
def test_packing_gathers_the_right_slots(channels):
    rng = np.random.default_rng(3)
    batch, rows = 4, 8
    values = rng.normal(size=(batch, BANDS, SLOTS, channels)).astype("float32")
    time = rng.uniform(0, 100, (batch, BANDS, SLOTS)).astype("float32")
    index = rng.integers(0, BANDS * SLOTS, (batch, rows)).astype("int32")
    layer = BandTokens(TimeModulation(BANDS, WIDTH, 4), channels, "xavier")
    ours = ops.convert_to_numpy(layer(values, time, index))
    kernel = ops.convert_to_numpy(layer.encoding.kernel).astype("float64")
    for b in range(batch):
        embedded = values[b] @ np.array(layer.embedding.kernel) + np.array(layer.embedding.bias)
        grid = _modulated(kernel, embedded, time[b], 4, 1500.0)
        for place, where in enumerate(index[b]):
            np.testing.assert_allclose(ours[b, place], grid[where // SLOTS, where % SLOTS], atol=2e-5)


def test_one_channel_is_modulated_without_its_embedding():
    rng = np.random.default_rng(5)
    layer = TimeModulation(bands=3, width=8, harmonics=4, max_period=100.0)
    flux, time = rng.normal(0, 30, (3, 7)).astype("float32"), rng.uniform(0, 300, (3, 7)).astype("float32")
    kernel, bias = rng.normal(size=(2, 8)).astype("float32")
    expected = layer(flux[..., None] * kernel + bias, time)
    np.testing.assert_allclose(layer.of_flux(flux, kernel, bias, time), expected, rtol=1e-4, atol=1e-4)
