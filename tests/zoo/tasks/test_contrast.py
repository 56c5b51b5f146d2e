"""The task contrast: loss, scores of a batch, columns, what it refuses; a run from training to its report."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tests.cases.photometry_bench import PhotometryBench
from tests.cases.variants import Example
from tests.trimodal_records import make_trimodal_records
from tfrecords.errors import UsageError
from zoo.losses.clip import MODALITIES, PAIRS, name_of
from zoo.tasks.contrast import Contrast


@pytest.fixture(scope="module")
def bench():
    """The workbench of a small network."""
    return PhotometryBench(Example("astrom3_clip", "columns"))


def test_rows_that_fill_up_a_batch_count_nowhere(bench):
    inputs, targets, weight = bench.batch()
    weight[5:] = 0
    outputs = bench.network(inputs, training=False)
    cut = {key: value[:5] for key, value in outputs.items()}
    losses = np.array(bench.task.loss(bench.network, outputs, targets | {"sample_weight": tf.constant(weight)}))
    alone = np.array(bench.task.loss(bench.network, cut, targets))
    np.testing.assert_allclose(losses[:5], alone, atol=1e-5)
    assert not losses[5:].any() and alone.mean() > 1
    (score,), (other,) = bench.task.metrics(bench.network), bench.task.metrics(bench.network)
    score.update_state(targets, outputs, tf.constant(weight))
    other.update_state(targets, cut)
    found = {key: float(value) for key, value in score.result().items()}
    assert found == pytest.approx({key: float(value) for key, value in other.result().items()}, abs=1e-5)
    assert set(found) == {"clip_accuracy", *(f"loss_{name_of(pair)}" for pair in PAIRS)}
    total = sum(value for key, value in found.items() if key.startswith("loss_"))
    assert total == pytest.approx(alone.mean(), rel=1e-5)


def test_columns_are_cosines_and_what_is_there(bench):
    outputs = bench.network(bench.batch()[0], training=False)
    found = dict(zip(bench.task.columns(), np.array(bench.task.predictions(bench.network, outputs)).T, strict=True))
    photo, meta = np.array(outputs["photo"]), np.array(outputs["meta"])
    np.testing.assert_allclose(found["cos_meta_photo"], np.sum(photo * meta, axis=1), atol=1e-6)
    assert [found[f"has_{name}"].sum() for name in MODALITIES] == [7, 7, 7] and found["cos_meta_photo"][1] == 0
    answer = bench.task.answer(bench.network, outputs)
    assert set(answer) == {*MODALITIES, *bench.task.columns()}


def test_what_has_no_meaning_is_refused(bench):
    for change, words in (
        ({"loss": "crossentropy"}, "no loss for the task contrast of this name. .*clip"),
        ({"class_weights": "balanced"}, "no classes to weigh"),
        ({"calibrate": "temperature"}, "no probabilities to calibrate"),
        ({"batch_size": 1}, "batch_size must be at least 2"),
        ({"monitor": "macro_f1"}, "monitor of the task Contrast"),
    ):
        with pytest.raises(UsageError, match=words):
            Contrast(bench.spec, dataclasses.replace(bench.settled.run, **change))


@pytest.mark.slow
def test_a_run_learns_to_find_objects_and_its_parts_start_others(tmp_path):
    import zoo

    records = make_trimodal_records(tmp_path / "stars", 420)
    grid = {"spectrum_points": 75, "spectrum_step": 72.0}
    common = {"data": str(records), "runs": str(tmp_path / "runs"), "quiet": True, "export": False, "batch_size": 35}
    small = Example("astrom3_clip", "columns").hparams | {"hidden_dim": 16, "meta_hidden_dim": 16}
    run = zoo.fit("astrom3_clip", name="clip", epochs=30, learning_rate=0.01, **small, **grid, **common)
    scores = pd.read_csv(run.path / "report" / "scores.csv")
    whole = scores[scores["class"] == "all"].set_index(["query", "searched"])
    assert len(whole) == 6 and (whole["recall@10"] > 1.5 * whole["chance@10"]).mean() > 0.6
    assert json.loads((run.path / "report" / "report_config.json").read_text())["task"] == "contrast"
    with pytest.raises(UsageError, match="--curves scores classifications"):
        zoo.evaluate(run, curves=[1.0])
    table = run.predict(str(records))
    assert list(table.columns)[1:7] == run.task.columns() and np.isfinite(table["cos_meta_photo"]).all()
    assert np.isfinite(run.embed(str(records)).filter(like="e_")).all(axis=None)
    start = {"init_from": [f"meta={run.path}"], "freeze": ["meta"], "hidden_dim": 16}
    other = zoo.fit("metamodel", name="meta", epochs=1, columns=["mean_vmag", "parallax", "l", "b", "ruwe"], **start,
                    dropout=0.0, **common)  # fmt: skip
    np.testing.assert_array_equal(other.network.meta.hidden[1].kernel, run.network.meta.hidden[1].kernel)
