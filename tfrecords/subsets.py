"""Limited-label subsets: the histogram of the classes flattened to a share of the objects (arXiv:2411.08842)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from tfrecords.errors import UsageError
from tfrecords.layout import stable_hash

SUBSETS = {"sub50": 2, "sub25": 4, "sub10": 10}
"""By name, what part of the objects a subset holds about: one in so many."""


def subset_cap(counts: Sequence[int], factor: int) -> int:
    """Give the largest number of objects of one class in a limited-label subset.

    The level starts at the smallest class and is raised class by class while the total stays below sum / factor; what
    is left is shared by the larger classes. Where the smallest class is above the level already, the published
    procedure takes what is too much from all classes but one. It is followed (the published sub10 has 169 stars a
    class, not 172) unless that would lose more than a tenth of the subset.

    Parameters
    ----------
    counts : sequence of int
        Objects of each class.
    factor : int
        2, 4 or 10.
    """
    ordered = sorted(counts)
    classes, goal, total, done = len(ordered), sum(ordered) / factor, len(ordered) * ordered[0], 1
    if goal < total:
        level = ordered[0] + int(np.floor((goal - total) / max(1, classes - 1)))
        return level if level * classes >= 0.9 * goal else max(1, int(goal / classes))
    while done < classes and (raised := total + (ordered[done] - ordered[done - 1]) * (classes - done)) < goal:
        total, done = raised, done + 1
    return ordered[done - 1] + int((goal - total) / max(1, classes - done))


def subset_mask(labels: Sequence[int], ids: Sequence[str], subset: str, seed: int) -> np.ndarray:
    """Choose the objects of a limited-label subset.

    A class keeps its first objects in the order of a seeded hash of their ids, so that sub10 is part of sub25 and that
    of sub50, wherever the objects stand.

    Parameters
    ----------
    labels : sequence of int
        Class of each object; one with -1 is always chosen.
    ids : sequence of str
    subset : {"sub50", "sub25", "sub10"}
    seed : int

    Returns
    -------
    numpy.ndarray
        bool, one an object.

    Raises
    ------
    UsageError
        If there is no such subset.
    """
    if subset not in SUBSETS:
        raise UsageError(f"subsets are {', '.join(SUBSETS)}. Received: {subset!r}")
    labels = np.asarray(labels, "int64")
    chosen = labels == -1
    known = np.flatnonzero(~chosen).tolist()
    if not known:
        return chosen
    cap = subset_cap(list(Counter(labels[known].tolist()).values()), SUBSETS[subset])
    hash_seed = stable_hash(f"{seed}:subset", 0)
    kept: Counter[int] = Counter()
    for number in sorted(known, key=lambda each: (stable_hash(ids[each], hash_seed), ids[each])):
        name = int(labels[number])
        kept[name] += 1
        chosen[number] = kept[name] <= cap
    return chosen
