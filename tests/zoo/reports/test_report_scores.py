"""Scores against numbers worked out by hand, by plain loops and by scikit-learn."""

from __future__ import annotations

import math
import time

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from tfrecords.errors import UsageError
from zoo.reports.predictions import by_day
from zoo.reports.scores import (
    METRICS,
    confusion,
    matrix_scores,
    per_class_table,
    reliability_table,
    row_fractions,
    score_table,
)


def table(rows, classes=("A", "B", "C"), day=math.inf) -> pd.DataFrame:
    """Rows of (true class, probabilities)."""
    frame = pd.DataFrame([p for _, p in rows], columns=[f"p_{c}" for c in classes])
    frame.insert(0, "object_id", [f"o{i}" for i in range(len(rows))])
    frame.insert(1, "class", [name for name, _ in rows])
    frame.insert(2, "day", day)
    return frame


def test_numbers_worked_out_by_hand():
    # Predicted: A A B | B B | A; true: A A A | B B | C.
    rows = [("A", (0.8, 0.1, 0.1)), ("A", (0.5, 0.25, 0.25)), ("A", (0.2, 0.7, 0.1)),
            ("B", (0.1, 0.8, 0.1)), ("B", (0.3, 0.4, 0.3)), ("C", (0.5, 0.25, 0.25))]  # fmt: skip
    row = score_table(table(rows), ["A", "B", "C"], {"C": 2.0}, bootstrap=0).iloc[0]
    assert row["objects"] == 6
    assert row["accuracy"] == pytest.approx(4 / 6)
    # precision 2/3, 2/3, 0; recall 2/3, 1, 0; F1 2/3, 4/5, 0
    assert row["macro_precision"] == pytest.approx(4 / 9)
    assert row["macro_recall"] == row["balanced_accuracy"] == pytest.approx(5 / 9)
    assert row["macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 3)
    losses = [-math.log(p) for p in (0.8, 0.5, 0.2, 0.8, 0.4, 0.25)]
    assert row["log_loss"] == pytest.approx(sum(losses) / 6)
    weighted = (sum(losses[:3]) / 3 + sum(losses[3:5]) / 2 + 2 * losses[5]) / 4
    assert row["weighted_log_loss"] == pytest.approx(weighted)
    # A: positives .8 .5 .2 against .1 .3 .5 -> wins 3 + 2.5 + 1 of 9.
    per_class = per_class_table(table(rows), ["A", "B", "C"]).set_index("class")
    assert per_class["auroc"]["A"] == pytest.approx(6.5 / 9)
    # B: .8 first, then .7 (A), .4 -> precision 1 at recall 1/2, 2/3 at recall 1.
    assert per_class["average_precision"]["B"] == pytest.approx((1 + 2 / 3) / 2)
    assert per_class["support"].tolist() == [3, 2, 1]
    assert per_class["predicted"].tolist() == [3, 3, 0]
    # Bins of the top probability: .8 .8 | .7 | .5 .5 | .4
    assert row["ece"] == pytest.approx((abs(2 - 1.6) + abs(0 - 0.7) + abs(1 - 1.0) + abs(1 - 0.4)) / 6)


def test_scikit_learn_gives_the_same_numbers(predictions, make):
    scores = score_table(predictions, make.classes, bootstrap=0).set_index("day")
    per_class = per_class_table(predictions, make.classes)
    assert list(scores.index) == [1.0, 8.0, 128.0, math.inf]
    for day, part in predictions.groupby("day"):
        true, p = part["class"].to_numpy(), part[[f"p_{c}" for c in make.classes]].to_numpy(np.float64)
        guess = np.array(make.classes)[p.argmax(axis=1)]
        row = scores.loc[day]
        options = {"labels": make.classes, "average": "macro", "zero_division": 0}
        assert row["macro_f1"] == pytest.approx(metrics.f1_score(true, guess, **options))
        assert row["macro_precision"] == pytest.approx(metrics.precision_score(true, guess, **options))
        assert row["macro_recall"] == pytest.approx(metrics.recall_score(true, guess, **options))
        assert row["accuracy"] == pytest.approx(metrics.accuracy_score(true, guess))
        assert row["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(true, guess))
        order = np.argsort(make.classes)
        normal = p[:, order] / p.sum(axis=1, keepdims=True)
        assert row["log_loss"] == pytest.approx(metrics.log_loss(true, normal), abs=1e-6)
        assert row["auroc"] == pytest.approx(metrics.roc_auc_score(true, normal, multi_class="ovr"), abs=1e-6)
        hot = true[:, None] == np.array(make.classes)
        assert row["average_precision"] == pytest.approx(metrics.average_precision_score(hot, p), abs=1e-6)
        reference = metrics.precision_recall_fscore_support(true, guess, labels=make.classes, zero_division=0)
        mine = per_class[per_class["day"] == day]
        for name, values in zip(("precision", "recall", "f1", "support"), reference, strict=True):
            np.testing.assert_allclose(mine[name], values)
        counts = confusion(predictions, day)
        assert counts.columns.tolist() == counts.index.tolist() == make.classes
        np.testing.assert_array_equal(counts, metrics.confusion_matrix(true, guess, labels=make.classes))


def test_calibration_error_and_weighted_loss_by_plain_loops(predictions, make):
    weights = {"TDE": 2.0, "KN": 64.0}
    scores = score_table(predictions, make.classes, weights, bootstrap=0).set_index("day")
    block = by_day(predictions, make.classes)[-1]
    gap, reliability = 0.0, reliability_table(block)
    for b in range(15):
        inside = [i for i, c in enumerate(block.confidence) if b / 15 <= c < (b + 1) / 15 or (b == 14 and c == 1)]
        assert reliability["objects"][b] == len(inside)
        if inside:
            right = np.mean([block.predicted[i] == block.truth[i] for i in inside])
            assert reliability["accuracy"][b] == pytest.approx(right)
            gap += len(inside) / 60 * abs(right - np.mean([block.confidence[i] for i in inside]))
    assert scores["ece"][math.inf] == pytest.approx(gap)
    upper = lower = 0.0
    for c, name in enumerate(make.classes):
        losses = [-math.log(block.probability[i, c]) for i in range(60) if block.truth[i] == c]
        upper += weights.get(name, 1.0) * sum(losses) / len(losses)
        lower += weights.get(name, 1.0)
    assert scores["weighted_log_loss"][math.inf] == pytest.approx(upper / lower)


def test_a_class_without_objects_is_left_out_and_counted(make):
    present = ["SNIa", "TDE", "RRL"]
    frame = make.predictions(objects=40, present=present, skill=1.0)
    row = score_table(frame, make.classes, {"KN": 50.0}, bootstrap=20).iloc[-1]
    assert row["classes_left_out"] == row["ranking_classes_left_out"] == 1
    block = by_day(frame, make.classes)[-1]
    true, guess = (np.array(make.classes)[x] for x in (block.truth, block.predicted))
    assert "KN" in guess
    expected = metrics.f1_score(true, guess, labels=present, average="macro", zero_division=0)
    assert row["macro_f1"] == pytest.approx(expected)
    assert np.isfinite(row[list(METRICS)].to_numpy(float)).all()
    # The absent class's weight must not enter the weighted loss.
    same = score_table(frame, make.classes, {"KN": 1.0}, bootstrap=0).iloc[-1]
    assert row["weighted_log_loss"] == same["weighted_log_loss"]
    empty = per_class_table(frame, make.classes).set_index("class").loc["KN"]
    assert (empty["support"] == 0).all() and (empty["predicted"] > 0).any()
    assert empty[["precision", "recall", "f1", "auroc", "average_precision"]].isna().all(axis=None)


def test_one_class_only_has_no_ranking_scores_and_says_so(make):
    frame = make.predictions(objects=20, present=["TDE"])
    row = score_table(frame, make.classes, bootstrap=20).iloc[-1]
    assert math.isnan(row["auroc"]) and math.isnan(row["average_precision"])
    assert row["ranking_classes_left_out"] == 4 and row["classes_left_out"] == 3
    assert row["macro_recall"] == row["accuracy"] and row["macro_precision"] == 1


def test_probability_zero_is_clipped_not_infinite():
    rows = [("A", (0.0, 1.0)), ("B", (0.0, 1.0))]
    row = score_table(table(rows, ("A", "B")), ["A", "B"], bootstrap=10).iloc[0]
    assert row["log_loss"] == pytest.approx(-math.log(1e-15) / 2)
    assert row["ece"] == pytest.approx(0.5)


def test_a_single_object_has_scores_but_no_errors():
    row = score_table(table([("A", (0.6, 0.4))], ("A", "B")), ["A", "B"]).iloc[0]
    assert row["accuracy"] == 1 and math.isnan(row["accuracy_se"])


def test_bootstrap_errors_agree_with_resampling_rows_and_with_theory(make):
    frame = make.predictions(objects=300, days=(math.inf,), skill=1.5)
    # Wrong where the model is sure, so that bins miss in both directions.
    sure = frame[[f"p_{c}" for c in make.classes]].max(axis=1) > 0.8
    frame.loc[sure, "class"] = np.random.default_rng(1).choice(make.classes, sure.sum())
    weights = {"KN": 3.0}
    row = score_table(frame, make.classes, weights, bootstrap=2000).iloc[0]
    share = row["accuracy"]
    assert row["accuracy_se"] == pytest.approx(math.sqrt(share * (1 - share) / 300), rel=0.06)
    losses = -np.log(np.take_along_axis(*_chosen(frame, make.classes), axis=1))
    assert row["log_loss_se"] == pytest.approx(losses.std() / math.sqrt(300), rel=0.06)
    random, drawn = np.random.default_rng(7), []
    for _ in range(150):
        again = frame.iloc[random.integers(0, 300, 300)].assign(object_id=[f"r{i}" for i in range(300)])
        drawn.append(score_table(again, make.classes, weights, bootstrap=0).iloc[0])
    spread = pd.DataFrame(drawn)[list(METRICS)].std()
    for name in ("macro_f1", "macro_precision", "macro_recall", "weighted_log_loss", "ece"):
        assert row[f"{name}_se"] == pytest.approx(spread[name], rel=0.25), name


def test_calibration_error_keeps_bins_that_miss_in_opposite_directions_apart():
    # Sure and right in 6 of 10, unsure and right in 9 of 10: signed gaps would cancel.
    rows = [("A" if i % 10 < 6 else "B", (0.9, 0.1)) for i in range(200)]
    rows += [("A" if i % 10 < 9 else "B", (0.61, 0.39)) for i in range(200)]
    row = score_table(table(rows, ("A", "B")), ["A", "B"], bootstrap=2000).iloc[0]
    assert row["ece"] == pytest.approx((0.3 + 0.29) / 2)
    spread = math.sqrt((0.6 * 0.4 + 0.9 * 0.1) / 2 / 400)
    assert row["ece_se"] == pytest.approx(spread, rel=0.08)


def _chosen(frame, classes):
    p = frame[[f"p_{c}" for c in classes]].to_numpy(np.float64)
    return p, np.array([[classes.index(name)] for name in frame["class"]])


def test_same_seed_same_errors_and_days_resample_alike(make):
    one = make.predictions(days=(math.inf,))
    twice = pd.concat([one, one.assign(day=4.0)])
    a, b = (score_table(twice, make.classes, seed=3) for _ in range(2))
    pd.testing.assert_frame_equal(a, b)
    np.testing.assert_array_equal(a.filter(like="_se").iloc[0], a.filter(like="_se").iloc[1])
    assert not a.filter(like="_se").equals(score_table(twice, make.classes, seed=4).filter(like="_se"))


def test_matrix_scores_keep_leading_axes_and_row_fractions_mark_empty_rows():
    stack = np.array([[[3, 1], [0, 0]], [[2, 2], [1, 3]]])
    scores = matrix_scores(stack)
    np.testing.assert_allclose(scores["macro_recall"], [3 / 4, (1 / 2 + 3 / 4) / 2])
    np.testing.assert_allclose(scores["accuracy"], [3 / 4, 5 / 8])
    fractions = row_fractions(stack[0])
    np.testing.assert_allclose(fractions[0], [0.75, 0.25])
    assert np.isnan(fractions[1]).all()


def test_objects_that_the_model_saw_nothing_of_are_counted(predictions, make):
    scores = score_table(predictions, make.classes, bootstrap=0)
    expected = predictions[predictions["observations"] == 0].groupby("day").size()
    assert scores["unobserved"].tolist() == [expected.get(day, 0) for day in scores["day"]]
    unknown = score_table(predictions.drop(columns="observations"), make.classes, bootstrap=0)
    assert unknown["unobserved"].isna().all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"class_weights": {"Mira": 2.0}}, "Mira"),
        ({"class_weights": {"KN": -1.0}}, "> 0"),
        ({"bootstrap": 1}, "at least 2"),
    ],
)
def test_senseless_options_are_refused(predictions, make, options, words):
    with pytest.raises(UsageError, match=f"(?=.*{words}).*Received: "):
        score_table(predictions, make.classes, **options)


def test_a_day_that_is_not_there_names_those_that_are(predictions):
    with pytest.raises(UsageError, match=r"1, 8, 128, all .*Received: 3"):
        confusion(predictions, 3)


@pytest.mark.slow
def test_twenty_thousand_objects_of_twenty_classes_take_less_than_five_seconds(make):
    classes = [f"c{i}" for i in range(20)]
    frame = make.predictions(classes, 20_000, days=(math.inf,))
    start = time.perf_counter()
    score_table(frame, classes)
    assert time.perf_counter() - start < 5
