"""Broken tables of predictions are refused by the name of what is wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tfrecords.errors import DataError
from zoo.reports.predictions import BEFORE, by_day, day_text


def test_days_come_ascending_and_classes_in_the_asked_order(predictions, make):
    order = list(reversed(make.classes))
    blocks = by_day(predictions.sample(frac=1, random_state=0), order)
    assert [block.day for block in blocks] == [1.0, 8.0, 128.0, math.inf]
    block = blocks[2]
    assert block.probability.shape == (60, 4) and block.probability.dtype == np.float64
    rows = predictions[predictions["day"] == 128].set_index("object_id").loc[list(block.object_id)]
    np.testing.assert_array_equal(block.probability[:, 0], rows["p_RRL"].to_numpy(np.float64))
    assert [order[i] for i in block.truth] == rows["class"].tolist()
    assert block.observations.tolist() == rows["observations"].tolist()


def test_day_text():
    assert [day_text(d) for d in (-3.0, BEFORE, 0.5, 2048.0, math.inf)] == ["-3", "before", "0.5", "2048", "all"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.2, 1.5])
def test_a_probability_that_is_none_names_the_object_and_the_class(predictions, make, value):
    predictions.loc[predictions.index[7], "p_KN"] = value
    with pytest.raises(DataError, match=r"KN for object obj00007 at day 1 .*Received: "):
        by_day(predictions, make.classes)


def test_probabilities_that_do_not_sum_to_one_name_the_object(predictions, make):
    predictions.loc[predictions.index[60 + 5], [f"p_{c}" for c in make.classes]] = 0.2
    with pytest.raises(DataError, match=r"object obj00005 at day 8 .*sum to 1.*Received: 0\.8"):
        by_day(predictions, make.classes)


@pytest.mark.parametrize("name", ["Mira", None])
def test_an_unknown_true_class_names_the_object(predictions, make, name):
    predictions.loc[predictions.index[3], "class"] = name
    with pytest.raises(DataError, match=r"obj00003 must be one of \['SNIa'.*Received: "):
        by_day(predictions, make.classes)


def test_a_second_row_of_an_object_and_day_is_refused(predictions, make):
    predictions.loc[predictions.index[4], "object_id"] = "obj00009"
    with pytest.raises(DataError, match="obj00009 must have one row at day 1"):
        by_day(predictions, make.classes)


@pytest.mark.parametrize("day", [math.nan, -math.inf])
def test_a_day_that_is_none_is_refused(predictions, make, day):
    predictions.loc[predictions.index[2], "day"] = day
    with pytest.raises(DataError, match="day of object obj00002"):
        by_day(predictions, make.classes)


def test_missing_and_foreign_columns_and_empty_tables_are_refused(predictions, make):
    with pytest.raises(DataError, match=r"FILE misses the columns \['p_TDE'\].*Received: "):
        by_day(predictions.drop(columns="p_TDE"), make.classes, "FILE")
    with pytest.raises(DataError, match=r"unknown classes \['RRL'\]"):
        by_day(predictions, make.classes[:3])
    with pytest.raises(DataError, match="no p_<class> column"):
        by_day(predictions[["object_id", "class", "day"]])
    with pytest.raises(DataError, match="has no rows"):
        by_day(predictions.iloc[:0], make.classes)
