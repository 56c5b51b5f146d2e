"""t2: golden cases, parameter counts, redshift modes, class-activation maps, missing grids, refused inputs."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from tfrecords.errors import DataError, UsageError
from zoo import fit, registry, views
from zoo.convert import convert, read_weights
from zoo.models.t2 import reference
from zoo.models.t2.config import T2Config
from zoo.parity import find_cases, parity
from zoo.training.run import Run

BANDS, STEPS = tuple("ugr"), 5
STATIC = ("hostgal_photoz", "hostgal_photoz_err")
INFO = registry.ModelInfo(
    ("a", "b"), BANDS, ("mwebv", *STATIC), tuple(f"gp_{n:03d}_{band}" for n in range(STEPS) for band in BANDS), (9.0,)
)
SMALL = {"d_model": 4, "num_heads": 2, "dff": 3, "scaling": "none"}


def _inputs(rng, batch=3):
    inputs = views.example("packed", ("static", "features"), INFO, batch=batch)
    return inputs | {name: rng.normal(size=inputs[name].shape).astype("float32") for name in ("static", "features")}


def test_every_golden_case_passes(shared):
    folder = shared("golden/t2")
    rows = parity(folder)
    assert len(rows) == len(find_cases(folder)) and all(row["passed"] for row in rows), rows
    assert all("probabilities" in {item["output"] for item in row["outputs"]} for row in rows)


def test_published_weights_become_a_run(shared, tmp_path):
    case = shared("golden/t2/t2_ugrizy_wz.npz")
    run = Run(convert(case, case.with_suffix(".json"), "t2", tmp_path / "run", survey="plasticc"))
    assert run.bundle.spec.feature_group == "gp_grid" and run.bundle.config.redshift == "L"
    with np.load(case) as data:
        inputs = {"features": data["x/flux"].reshape(6, -1), "static": data["x/aux"]}
        found = run.task.answer(run.network, run.network(inputs))["probabilities"]
        np.testing.assert_allclose(found, data["y/probabilities"], atol=1e-5)


def _attributes(network):
    """Give the network's arrays by the published network's attributes."""
    import tensorflow as tf

    own = {"query": "query_dense", "key": "key_dense", "value": "value_dense", "out": "combine_heads"}
    names = {"conv_embedding": "embedding/conv1d", "head": "classifier", "attention": "att", "ffn": "ffn"}
    found = {}
    for variable, name in reference.pairs(network):
        name = re.sub(r"block_(\d+)", r"encoder/\1", name).replace("/norm", "/layernorm")
        name = re.sub(r"ffn/(\d)", r"ffn/layer_with_weights-\1", name)
        found["/".join((own | names).get(part, part) for part in name.split("/"))] = tf.Variable(variable.numpy())
    return found


def _tree(attributes):
    """Give nested objects from arrays by attributes."""
    import tensorflow as tf

    below = {}
    for name, value in attributes.items():
        first, _, rest = name.partition("/")
        below.setdefault(first, {})[rest] = value
    return tf.train.Checkpoint(**{key: item[""] if "" in item else _tree(item) for key, item in below.items()})


@pytest.mark.parametrize("saved_model", [True, False])
def test_a_published_checkpoint_becomes_a_run(tmp_path, saved_model):
    import tensorflow as tf

    config = {"embed_dim": 4, "num_heads": 2, "ff_dim": 3, "num_layers": 2, "n_classes": 2, "n_bands": 3,
              "seq_len": 5, "aux": "2 extra time steps"}  # fmt: skip
    hparams, info = reference.read_config(config)
    network = registry.create("t2", info, **hparams)
    rng = np.random.default_rng(0)
    for variable in network.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    attributes = _attributes(network)
    kernel = attributes["embedding/conv1d/kernel"]
    attributes["embedding/conv1d/kernel"] = tf.Variable(kernel[None])
    root = _tree(attributes | {"optimizer/m": tf.Variable(1.0), "keras_api/metrics/0": tf.Variable(2.0)})
    if saved_model:
        # As Keras 2 does: the file then knows the arrays by their places in this list.
        root.variables = list(attributes.values())
    path = tmp_path / "published"
    prefix = root.write(str(path / "variables" / "variables"))
    assert any(name.startswith("variables/") for name, _ in tf.train.list_variables(prefix)) == saved_model
    run = Run(convert(path if saved_model else f"{prefix}.index", config, "t2", tmp_path / "run"))
    for ours, theirs in zip(run.network.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_weights_that_do_not_fit_are_named(shared):
    case = shared("golden/t2/t2_ugrizy_noz.npz")
    config, arrays = json.loads(case.with_suffix(".json").read_text("utf-8")), read_weights(case)
    with pytest.raises(DataError, match="'head/bias' has the wrong shape.*Received: \\(3,\\)"):
        reference.import_weights(arrays | {"head/bias": np.zeros(3)}, config)
    with pytest.raises(DataError, match="reference does not have. Received: 'block_1/x'"):
        reference.import_weights(arrays | {"block_1/x": np.zeros(3)}, config)
    with pytest.raises(DataError, match="extra channels. Received: 'twice'"):
        reference.read_config(config["config"] | {"aux": "twice"})
    hparams, info = reference.read_config(config["config"] | {"aux": "2 extra channels", "bands": list("abcdef")})
    assert hparams["redshift"] == "M" and info.features[6] == "gp_001_a"


@pytest.mark.parametrize("mode", ["L", "M", "none"])
def test_redshift_enters_by_its_mode(mode):
    network = registry.create("t2", INFO, redshift=mode, **SMALL)
    inputs = _inputs(np.random.default_rng(0))
    inputs["static"][2, 1] = np.nan
    grid = inputs["features"].reshape(3, STEPS, 3)
    z = np.nan_to_num(inputs["static"][:, 1:])
    expected = grid
    if mode == "L":
        # Written out for three bands: the columns follow each other across the border between the two steps.
        steps = [[[a, b, a], [b, a, b]] for a, b in z]
        expected = np.concatenate([grid, steps], axis=1)
    if mode == "M":
        expected = np.stack([[[*grid[n, t], *z[n]] for t in range(STEPS)] for n in range(3)])
    np.testing.assert_array_equal(network.sequence(inputs), expected)


def test_class_activation_averages_to_the_logits():
    network = registry.create("t2", INFO, layers=2, **SMALL)
    network.lc_head.bias.assign([0.5, -2.0])
    inputs = _inputs(np.random.default_rng(1))
    found = np.array(network.class_activation(inputs))
    assert found.shape == (3, STEPS + 2, 2) and np.ptp(found, axis=1).min() > 1e-3
    np.testing.assert_allclose(found.mean(axis=1) + [0.5, -2.0], network(inputs)["lc"], atol=1e-5)


def test_the_grid_is_scaled_by_band_and_a_missing_one_counts_as_the_median():
    network = registry.create("t2", INFO, redshift="none", **(SMALL | {"scaling": "robust"}))
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(40, STEPS, 3)) * [1, 10, 0] + [5, -3, 7]
    rows[3:6] = np.nan
    network.fitted()["features"].fit(rows.reshape(40, -1).astype("float32"))
    values = np.nan_to_num(rows[:4] - np.nanmedian(rows, axis=(0, 1)))
    low, high = np.nanpercentile(rows, [25, 75], axis=(0, 1))
    expected = values / np.where(high > low, high - low, 1.0)
    inputs = {"features": rows[:4].reshape(4, -1).astype("float32"), "feature_set": np.zeros(4, "int32")}
    np.testing.assert_allclose(network.sequence(inputs), expected, atol=1e-5)
    assert np.isfinite(network(inputs)["lc"]).all()


def test_nothing_known_of_an_object_gives_a_finite_answer():
    network = registry.create("t2", INFO, **SMALL)
    inputs = _inputs(np.random.default_rng(3))
    alone = np.array(network(inputs)["lc"])[0]
    for name in ("static", "features"):
        inputs[name][1:] = np.nan
    found = np.array(network(inputs)["lc"])
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[0], alone, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"d_model": 30}, "d_model must be a multiple of num_heads. Received: d_model 30, num_heads 16"),
        ({"layers": 0}, "layers must be at least 1. Received: 0"),
        ({"dropout": 1.0}, "dropout must lie in"),
        ({"redshift_columns": []}, "needs redshift_columns"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(UsageError, match=message):
        T2Config(**options)


@pytest.mark.slow
def test_a_fit_ends_in_a_report_with_class_activations_and_a_saved_model(records, tmp_path):
    options = {"d_model": 8, "num_heads": 2, "dff": 8, "epochs": 2, "batch_size": 8}
    run = fit("t2", data=str(records), runs=str(tmp_path), quiet=True, **options)
    assert (run.path / "saved_model" / "saved_model.pb").is_file()
    table = pd.read_parquet(run.path / "report" / "class_activations.parquet")
    behind = table["step"] >= 4
    assert set(table["step"]) == set(range(6)) and table["flux_u"][behind].isna().all()
    # One of the drawn objects may be one of the two without a grid.
    assert table["flux_u"][~behind].isna().sum() <= 8 and np.isfinite(table.filter(like="a_")).all(axis=None)
    days = set(pd.read_parquet(run.path / "report" / "predictions_by_day.parquet")["day"])
    assert min(days) == 8.0 and np.inf in days
    page = (run.path / "report" / "index.md").read_text("utf-8")
    for object_id in set(table["object_id"]):
        assert f"(class_activation_{object_id}.png)" in page
        assert (run.path / "report" / f"class_activation_{object_id}.png").is_file()
    with pytest.raises(UsageError, match="begins at day 8. Received: 1, 2"):
        run.evaluate(days=[1.0, 2.0])


def test_other_columns_are_refused():
    with pytest.raises(UsageError, match="Valid: mwebv, hostgal_photoz.*Received: 'z'"):
        registry.create("t2", INFO, redshift_columns=["z"], **SMALL)
    for features in ((), INFO.features[:-1], INFO.features[1:] + INFO.features[:1]):
        info = registry.ModelInfo(INFO.classes, BANDS, INFO.static, features, (9.0,))
        with pytest.raises(UsageError, match="data_tools.gp_grid.*a multiple of 3 columns for the bands u, g, r"):
            registry.create("t2", info, **SMALL)
