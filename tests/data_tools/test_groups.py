"""Groups of objects against plain definitions: separations on the sphere, pairwise comparison."""

from __future__ import annotations

import numpy as np
import pytest

from data_tools.engine import groups
from tests.tfrecords.conftest import SETTINGS, make_record
from tfrecords.errors import DataError, UsageError
from tfrecords.reader import RecordDirectory
from tfrecords.writer import DatasetWriter


def _same(labels):
    """Give the pairs of objects that belong together."""
    count = len(labels)
    return {(i, j) for i in range(count) for j in range(i) if labels[i] == labels[j] >= 0}


def _separation(ra, dec):
    """Great-circle separations in arcseconds by Vincenty's formula, every object to every other."""
    a, d = np.radians(ra), np.radians(dec)
    difference = a[:, None] - a
    over = np.hypot(
        np.cos(d) * np.sin(difference),
        np.cos(d)[:, None] * np.sin(d) - np.sin(d)[:, None] * np.cos(d) * np.cos(difference),
    )
    under = np.sin(d)[:, None] * np.sin(d) + np.cos(d)[:, None] * np.cos(d) * np.cos(difference)
    return np.degrees(np.arctan2(over, under)) * 3600


@pytest.mark.parametrize("center", [(150.0, 2.0), (0.0, 45.0), (30.0, 89.9999), (10.0, -90.0)])
def test_friends_of_friends_on_the_sphere(center):
    rng = np.random.default_rng(1)
    ra = (center[0] + rng.normal(size=80) * 4 / 3600 / np.cos(np.radians(min(abs(center[1]), 89.99)))) % 360
    dec = np.clip(center[1] + rng.normal(size=80) * 4 / 3600, -90, 90)
    near = _separation(ra, dec) <= 1.0
    reach = near.copy()
    for _ in range(7):
        reach = (reach.astype(int) @ reach.astype(int)) > 0
    expected = {(i, j) for i in range(80) for j in range(i) if reach[i, j]}
    assert 0 < len(expected) < 80 * 79 // 2
    assert _same(groups.by_position(ra, dec)) == expected


def test_positions_across_zero_hours_and_unknown_ones():
    ra = np.array([359.9999, 0.0001, 0.0001, np.nan, 0.0001])
    dec = np.array([0.0, 0.0, 0.0, 0.0, np.nan])
    assert _same(groups.by_position(ra, dec)) == {(1, 0), (2, 0), (2, 1)}
    assert groups.by_position(ra, dec)[3] == -1
    assert _same(groups.by_position(ra, dec, 0.5)) == {(2, 1)}
    with pytest.raises(DataError, match="declinations up to 90"):
        groups.by_position(np.zeros(1), np.array([91.0]))


def test_many_objects_at_one_position():
    labels = groups.by_position(np.full(20_000, 10.0), np.full(20_000, 5.0))
    assert (labels == labels[0]).all() and labels[0] >= 0


def test_identical_photometry(tmp_path):
    with DatasetWriter(tmp_path / "r", **SETTINGS) as writer:
        for number in (2, 3, 4, 5, 7, 8, 14):
            record = make_record(number)
            if number in (4, 5):
                record.lc = make_record(2).lc
            if number == 5:
                record.lc.flux = record.lc.flux + np.float32(1e-3)
            writer.write(record, "train")
    records = RecordDirectory(tmp_path / "r")
    labels = groups.by_photometry(records)
    ids = records.ids(np.arange(len(records)))
    # Light curves that are absent (7, 14) or empty (8) are not the same light curve.
    assert {(ids[i], ids[j]) for i, j in _same(labels)} == {("obj4", "obj2")}


def test_patterns_and_names():
    labels = groups.by_pattern(["615", "615+1", "615+2", "7+1", "x"], r"^(\d+)")
    assert _same(labels) == {(1, 0), (2, 0), (2, 1)}
    assert labels[4] == -1
    for pattern in ("(", "no group"):
        with pytest.raises(UsageError, match="--by-id"):
            groups.by_pattern(["a"], pattern)


def test_connected_through_others():
    one, two = np.array([0, 0, 1, -1, 2]), np.array([-1, 5, 5, 6, 6])
    joined = groups.connect(5, [one, two])
    assert joined[0] == joined[1] == joined[2] != joined[3] == joined[4]
    assert len(set(groups.connect(4, []).tolist())) == 4


def test_spanning_groups():
    labels = np.array([0, 1, 0, 1, -1, -1, 2])
    found = groups.spanning(labels, np.array([0, 1, 2, 1, 0, 1, 0]))
    assert [group.tolist() for group in found] == [[0, 2]]
    assert groups.spanning(np.full(3, -1), np.zeros(3)) == []
