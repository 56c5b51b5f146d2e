"""Stamp classifiers: published sizes, golden cases, published probabilities from alerts onward, what is refused."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest

import hparams
from tfrecords.errors import DataError, UsageError
from zoo import registry
from zoo.convert import convert
from zoo.golden import Case, Comparison
from zoo.models.stamp_classifier import reference
from zoo.parity import load_case, run_case
from zoo.training.resolve import resolve
from zoo.training.run import Run

CLASSES = reference.CLASSES
INFO = registry.ModelInfo(CLASSES, channels=reference.CHANNELS, stamp_size=63, alert_columns=tuple(map(str, range(26))))
CASES = ("stampclf_features26", "stampclf_nofeat", "stampclf_nofeat_entropyreg", "stamp_preprocess")


def _trainable(network) -> int:
    return sum(int(np.prod(variable.shape)) for variable in network.trainable_variables)


def test_published_sizes():
    network = registry.create("stamp_classifier", INFO, kernel=3)
    # Running mean and variance of the columns are among the published number.
    assert _trainable(network) + 2 * 26 == 261_101
    assert network.encoder.dense.kernel.shape == (2304, 64) and network.hidden[0].kernel.shape == (90, 64)
    larger = registry.create("stamp_classifier", INFO, crop=63, features=False)
    assert larger.encoder.dense.kernel.shape == (16384, 64)
    enhanced = registry.create("stamp_classifier_enhanced", INFO)
    assert enhanced.encoder.dense.kernel.shape == (5184, 64) and enhanced.turn.turns == 6


@pytest.mark.parametrize("name", CASES)
def test_golden_cases(shared, name):
    found = run_case(load_case(shared(f"golden/stamps/{name}.npz")), "stamp_classifier")
    compared = [item for item in found if isinstance(item, Comparison)]
    assert len(compared) >= 2 and all(item.passed for item in compared), compared


def test_a_golden_case_can_fail(shared):
    case = load_case(shared("golden/stamps/stampclf_features26.npz"))
    for key in [key for key in case.arrays if key.startswith("y/")]:
        spoiled = dict(case.arrays) | {key: case.arrays[key] + np.float32(0.01)}
        found = run_case(Case(case.family, case.name, case.config, spoiled))
        assert [item.output for item in found if not item.passed] == [key.removeprefix("y/")]


def _published(shared) -> tuple:
    """Give the weights file and the configuration of the published network of 26 columns with their statistics."""
    config = json.loads(shared("golden/stamps/stampclf_features26.json").read_text())
    arrays = load_case(shared("golden/stamps/stamp_preprocess.npz")).arrays
    config |= {key: arrays[f"x/{key}"].tolist() for key in reference.STATISTICS}
    return shared("golden/stamps/stampclf_features26.npz"), config


@pytest.fixture
def run(shared, tmp_path):
    """The published network of 26 columns as a run."""
    weights, config = _published(shared)
    return Run(convert(weights, config, "stamp_classifier", tmp_path / "run", survey="ztf"))


def test_published_weights_answer_raw_cutouts(shared, run):
    arrays = load_case(shared("golden/stamps/stamp_preprocess.npz")).arrays
    inputs = {"stamp": arrays["x/raw_image"], "alert": arrays["x/raw_features"].astype("float32")}
    outputs = run.network({key: keras.ops.convert_to_tensor(value) for key, value in inputs.items()})
    probabilities = keras.ops.softmax(outputs["logits"])
    np.testing.assert_allclose(probabilities, arrays["y/probs_features26"], rtol=0, atol=1e-5)


@pytest.mark.slow
def test_alerts_give_the_published_probabilities(shared, run, tmp_path):
    import pandas as pd

    from data_tools import ztf

    ztf.main([str(shared("data/ztf_alerts/alerts")), "--group", "alert", "--out", str(tmp_path / "records"), "--quiet"])
    ours = run.predict(tmp_path / "records").set_index("object_id")
    index = pd.read_csv(shared("data/ztf_alerts/index.csv"))
    theirs = index.set_index(index["candid"].astype(str))[[f"alerce_p_{name}" for name in CLASSES]].dropna()
    assert len(theirs) > 700 and set(theirs.index) <= set(ours.index)
    np.testing.assert_allclose(
        ours.loc[theirs.index, [f"p_{name}" for name in CLASSES]], theirs, rtol=0, atol=1e-4
    )  # fmt: skip


@pytest.mark.slow
def test_the_export_takes_raw_cutouts(shared, run, tmp_path):
    import tensorflow as tf

    arrays = load_case(shared("golden/stamps/stamp_preprocess.npz")).arrays
    loaded = tf.saved_model.load(str(run.export(tmp_path / "out")))
    answer = loaded.signatures["serve"](
        stamp=tf.constant(arrays["x/raw_image"]), alert=tf.constant(arrays["x/raw_features"], tf.float32)
    )
    np.testing.assert_allclose(answer["probabilities"], arrays["y/probs_features26"], rtol=0, atol=1e-5)
    names = [name.decode() for name in loaded.signatures["classes"]()["alert_columns"].numpy()]
    assert names == list(run.bundle.spec.model_info().alert_columns) and len(names) == 26


def test_wrong_weights_are_named(shared, tmp_path):
    path, config = _published(shared)
    arrays = load_case(path).group("w")
    with pytest.raises(DataError, match="does not have. Received: 'more'"):
        reference.import_weights(arrays | {"more": np.zeros(3)})
    with pytest.raises(DataError, match="'dense3/bias' is missing"):
        reference.import_weights({name: value for name, value in arrays.items() if name != "dense3/bias"})
    with pytest.raises(DataError, match="feature_order: the weights are of 26. Received: 2 names"):
        reference.import_weights(arrays, {"feature_order": ["a", "b"]})
    with pytest.raises(DataError, match="feature_mean: the weights are of 26 columns"):
        reference.import_weights(arrays, {"feature_mean": [1.0], "feature_std": [1.0]})
    with pytest.raises(DataError, match="go together"):
        reference.import_weights(arrays, {"feature_mean": config["feature_mean"]})
    with pytest.raises(DataError, match="wrong shape"):
        reference.import_weights(arrays | {"conv3/bias": np.zeros(3)})


def test_what_the_data_cannot_give_is_refused():
    for options, said in (
        ({"channels": ["scence"]}, r"science, template, difference, snr. Received: \['scence'\]"),
        ({"crop": 20}, "Stamps: 63 pixels. Received: 20"),
        ({"crop": 65}, "Stamps: 63 pixels. Received: 65"),
    ):
        with pytest.raises(UsageError, match=said):
            registry.create("stamp_classifier", INFO, **options)
    with pytest.raises(UsageError, match="needs columns of an alert"):
        registry.create("stamp_classifier", registry.ModelInfo(CLASSES, channels=("a",), stamp_size=63))
    for name, options, said in (
        ("stamp_classifier", {"dropout": 1.0}, "dropout"),
        ("stamp_classifier", {"crop": 0}, "crop must be at least 1"),
        ("stamp_classifier_enhanced", {"window": 44}, "window must be crop or an even number"),
        ("stamp_classifier_enhanced", {"theta": -1.0}, "theta"),
    ):
        with pytest.raises(UsageError, match=said):
            registry.get(name).config(**options)


def test_an_image_and_its_rotation_are_the_same():
    network = registry.create("stamp_classifier", INFO, units=8, features=False)
    images = np.random.default_rng(0).normal(size=(2, 63, 63, 3)).astype("float32")
    inputs = {"alert": np.zeros((2, 26), "float32")}
    plain, turned = (network(inputs | {"stamp": keras.ops.convert_to_tensor(item)})["logits"]
                     for item in (images, np.rot90(images, axes=(1, 2)).copy()))  # fmt: skip
    np.testing.assert_allclose(plain, turned, atol=1e-5)


def test_presets_are_valid():
    for model in ("stamp_classifier", "stamp_classifier_enhanced"):
        for preset in hparams.presets(model):
            assert resolve(model, preset).run.entropy_weight > 0
    assert len(resolve("stamp_classifier", "published").inputs.alert_columns) == 23
    assert len(resolve("stamp_classifier", "published_26").inputs.alert_columns) == 26
