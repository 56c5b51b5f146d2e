"""Limited-label subsets: the published limits, and who is chosen."""

from __future__ import annotations

import numpy as np
import pytest

from tfrecords.errors import UsageError
from tfrecords.subsets import SUBSETS, subset_cap, subset_mask

PUBLISHED = [4969, 3652, 2367, 1947, 1585, 1464, 640, 229, 216, 206]


def test_limits_of_the_subsets_are_the_published_ones():
    assert [subset_cap(PUBLISHED, factor) for factor in SUBSETS.values()] == [1224, 523, 169]
    assert [subset_cap(each, 2) for each in ([7], [5, 5], [1], [1, 9], [4, 100, 100])] == [3, 2, 1, 4, 49]


def test_a_subset_holds_a_share_of_the_objects_and_small_classes_whole():
    labels = np.repeat(np.arange(10), PUBLISHED)
    ids = [f"star{number}" for number in range(len(labels))]
    mask = subset_mask(labels, ids, "sub25", 1)
    assert np.bincount(labels[mask]).tolist() == [min(count, 523) for count in PUBLISHED]
    assert abs(mask.sum() - len(labels) / 4) < 10


def test_unlabelled_objects_stay_and_other_names_are_refused():
    assert subset_mask([-1, 0, 0, -1], list("abcd"), "sub50", 0).tolist().count(True) == 3
    assert subset_mask([-1, -1], list("ab"), "sub10", 0).all()
    with pytest.raises(UsageError, match="sub50, sub25, sub10. Received: 'sub33'"):
        subset_mask([0], ["a"], "sub33", 0)
