"""ATAT: parameter counts of the paper's experiments, heads by objective, options that exclude each other."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tfrecords.errors import UsageError
from zoo import registry, views
from zoo.models.atat.config import AtatConfig
from zoo.training.resolve import resolve

CLASSES, BANDS = tuple(map(str, range(20))), tuple("ugrizY")


def _build(preset: str, static: int = 64, features: int = 429):
    settled = resolve("atat", preset)
    info = registry.ModelInfo(CLASSES, BANDS, tuple(f"m{n}" for n in range(static)),
                              tuple(f"f{n}" for n in range(features)), (2048.0,))  # fmt: skip
    hparams = dataclasses.asdict(settled.hparams) | {"quantiles": 2}
    return registry.create("atat", info, **hparams)


@pytest.mark.parametrize(
    ("preset", "count"),
    [
        ("lc", 1_190_804),
        ("lc_mtime", 1_190_804),
        ("lc_pos_enc_mtime", 895_892),
        ("header", 416_788),
        ("features", 510_228),
        ("header_feat", 526_612),
        ("lc_header", 1_820_092),
        ("lc_header_mtime_no_qt", 1_820_092),
        ("lc_header_feat", 1_929_916),
        ("lc_header_pos_enc_mtime_no_qt", 1_525_180),
    ],
)
def test_published_parameter_counts(preset, count):
    """Of what the objective trains; modules that it does not use are not built."""
    network = _build(preset)
    assert sum(int(np.prod(item.shape)) for item in network.trainable_variables) == count


@pytest.mark.parametrize(
    ("options", "heads"),
    [
        ({"objective": "lc"}, ["lc"]),
        ({"objective": "tab"}, ["tab"]),
        ({"objective": "mix"}, ["mix"]),
        ({"objective": "all"}, ["lc", "tab", "mix"]),
        ({"objective": "all", "combine_tokens": True}, ["lc"]),
    ],
)
def test_heads_by_objective(options, heads):
    config = AtatConfig(**options)
    assert list(config.heads()) == heads
    info = registry.ModelInfo(("a", "b"), BANDS, ("x",))
    small = {"layers": 1, "head_dim": 2, "tab_head_dim": 2, "harmonics": 2, "quantiles": 2}
    network = registry.create("atat", info, **small, **options)
    inputs = views.example("packed_by_band", network.config.parts(), info)
    assert list(network(inputs)) == heads and network.primary == heads[-1]


def test_a_model_of_the_table_reads_no_light_curve():
    assert AtatConfig(objective="tab").parts() == ("static",)
    assert AtatConfig(objective="lc").parts() == ("light_curve",)
    assert AtatConfig(objective="mix", features=True).parts() == ("light_curve", "static", "features")
    assert AtatConfig(objective="lc", combine_tokens=True).parts() == ("light_curve", "static")


def test_quantiles_never_exceed_rows():
    config = AtatConfig(quantiles=1000)
    assert [config.for_rows(rows).quantiles for rows in (5000, 70, 1, 0)] == [1000, 70, 2, 2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": 0}, "layers must be at least 1. Received: 0"),
        ({"max_period": 0.0}, "max_period must be positive"),
        ({"dropout": 1.0}, "dropout must lie in"),
        ({"quantiles": 1}, "quantiles must be at least 2"),
        ({"objective": "tab", "metadata": False}, "needs a tabular input"),
        ({"combine_tokens": True, "metadata": False, "objective": "lc"}, "combine_tokens needs a tabular input"),
        ({"combine_tokens": True, "objective": "tab"}, "Received: tab"),
        ({"combine_tokens": True, "tabular": "raw"}, "tabular must be transformer"),
        ({"band_embedding": True}, "goes with time_encoding sinusoid"),
    ],
)
def test_options_that_exclude_each_other(options, message):
    with pytest.raises(UsageError, match=message):
        AtatConfig(**options)


def test_initial_values_are_the_published_ones():
    network = _build("lc_header")
    std = {item.path.split("/", 1)[1]: np.std(np.array(item)) for item in network.trainable_variables}
    assert std["tokens/modulation/kernel"] == pytest.approx(1.0, rel=0.02)
    assert std["tokenizer/kernel"] == pytest.approx(1.0, rel=0.05)
    assert std["encoder/block_0/attention/query_kernel"] == pytest.approx(0.02, rel=0.02)
    assert std["encoder/block_0/ffn_in/kernel"] == pytest.approx(0.02, rel=0.02)
    bias = np.array(network.tokens.embedding.bias)
    assert np.abs(bias).max() <= 1 and bias.std() == pytest.approx(1 / np.sqrt(3), rel=0.2)


def test_missing_values_by_policy():
    info = registry.ModelInfo(("a", "b"), BANDS, ("x", "y"))
    table = np.float32([[np.nan, 1.0], [2.0, np.inf]])
    small = {"objective": "tab", "layers": 1, "tab_head_dim": 2, "quantiles": 5}
    rows = np.random.default_rng(0).normal(size=(50, 2))
    for missing in ("sentinel", "median", "indicator"):
        network = registry.create("atat", info, missing=missing, **small)
        network.fitted()["static"].fit(rows)
        found = np.array(network.table({"static": table}))
        assert np.isfinite(found).all()
        expected = -5.1993 if missing == "sentinel" else 0.0
        np.testing.assert_allclose([found[0, 0], found[1, 1]], expected, atol=1e-3)
        if missing == "indicator":
            np.testing.assert_array_equal(found[:, 2:], [[1, 0], [0, 1]])
        raw = registry.create("atat", info, missing=missing, quantile=False, **small)
        found = np.array(raw.table({"static": table}))
        np.testing.assert_array_equal(found[0, :2], [-9999.0 if missing == "sentinel" else 0.0, 1.0])
