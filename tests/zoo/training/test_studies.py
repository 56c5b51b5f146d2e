"""Which cuts the studies of zoo.evaluate are asked for."""

from __future__ import annotations

import math

import pytest

from tfrecords.errors import UsageError
from zoo.evaluate import _joined
from zoo.inputs.cuts import Cut
from zoo.reports.predictions import BEFORE
from zoo.training import studies


def test_lists_and_ranges_of_numbers():
    assert studies.read_numbers("days", "8,inf,-2,before,8") == (-2.0, BEFORE, 8.0, math.inf)
    assert studies.read_numbers("curves", "-20:200:2") == tuple(map(float, range(-20, 201, 2)))
    assert studies.read_numbers("fractions", "0.1:1:0.1") == tuple(n / 10 for n in range(1, 11))
    assert studies.read_numbers("days", "1:4:2,7") == (1.0, 3.0, 7.0)
    assert _joined(["RUN", "--curves", "-20:200:2", "--days", "-1"]) == ["RUN", "--curves=-20:200:2", "--days=-1"]


@pytest.mark.parametrize("text", ["", "1,soon", "nan", "-inf", "1:2", "1:9:0", "9:1:1", "1:9:-1", "1:inf:1", "0:1e6:1"])
def test_what_is_no_number(text):
    with pytest.raises(UsageError, match="--days: .*Received: "):
        studies.read_numbers("days", text)


def test_what_is_asked_for():
    assert studies.asked(None, None, None, False) == {}
    found = studies.asked((8.0, -1.0), (3.0, 2.0), (1.0, 0.5), True)
    assert found["curves"] == [Cut(2.0), Cut(3.0)] and found["branches"] == [Cut(-1.0), Cut(8.0)]
    assert found["fractions"] == [Cut(fraction=0.5), Cut(fraction=1.0)]
    assert studies.asked(None, None, None, True)["branches"][0] == Cut(BEFORE)
    for shares in ((0.0, 1.0), (0.5, 1.5)):
        with pytest.raises(UsageError, match="--fractions"):
            studies.asked(None, None, shares, False)
