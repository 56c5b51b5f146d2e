"""Which objects are used and in which partition each ends: stratified by class, seeded, whatever the input order.

Objects of a class are ranked by a hash of seed and id. The rank depends on nothing else, so that the same object
stays where it is when others are added or the files are sorted differently, as far as the counts allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfrecords.errors import UsageError
from tfrecords.layout import stable_hash


@dataclass(frozen=True)
class Partitioning:
    """How objects are divided.

    Attributes
    ----------
    folds : int
        0: train, validation, test. K >= 2: test and K folds.
    test_fraction, validation_fraction : float
        Of each class; the second one without folds only.
    seed : int
    test_per_class : int, optional
        So many objects of each class for the test instead of a fraction; of a small class at most half.
    """

    folds: int = 0
    test_fraction: float = 0.2
    validation_fraction: float = 0.1
    seed: int = 0
    test_per_class: int | None = None

    def __post_init__(self) -> None:
        if self.folds < 0 or self.folds == 1:
            raise UsageError(f"the number of folds is 0 or at least 2. Received: {self.folds}")
        validation = 0.0 if self.folds else self.validation_fraction
        if min(self.test_fraction, validation) < 0 or not self.test_fraction + validation < 1:
            raise UsageError(
                "fractions are not negative and leave something to train on. "
                f"Received: test {self.test_fraction}, validation {validation}"
            )
        if self.test_per_class is not None and self.test_per_class < 0:
            raise UsageError(f"the number of test objects of a class is not negative. Received: {self.test_per_class}")

    def assign(self, ids: Sequence[str], classes: np.ndarray, groups: Sequence[str] | None = None) -> np.ndarray:
        """Assign objects to partitions.

        Parameters
        ----------
        ids : sequence of str
        classes : numpy.ndarray
            int64; unlabelled objects (-1) go to ``test``: nothing can be trained on them.
        groups : sequence of str or int, optional
            Name or number of each object's group; groups stay together. A group counts as its most frequent class, and
            goes to ``test`` if it has none. Groups of one object each change nothing.

        Returns
        -------
        numpy.ndarray
            Names of partitions, one an object.
        """
        if groups is not None:
            return self._assign_groups(ids, classes, groups)
        names = np.full(len(ids), "test", dtype=object)
        dealt = 0
        for native, members in _ranked(ids, classes, f"{self.seed}:split").items():
            if native == -1:
                continue
            tests = self._tests(len(members))
            rest = members[tests:]
            if self.folds:
                # Dealing goes on where the last class ended, or fold 0 would get one more of every class.
                for position, member in enumerate(rest, start=dealt):
                    names[member] = f"fold{position % self.folds}"
                dealt += len(rest)
            else:
                validations = self._validations(len(members), len(rest))
                names[rest[:validations]] = "validation"
                names[rest[validations:]] = "train"
        return names

    def _tests(self, count: int) -> int:
        if self.test_per_class is None:
            return _share(count, self.test_fraction, 1)
        return min(count // 2, self.test_per_class)

    def _validations(self, count: int, rest: int) -> int:
        if self.test_per_class is not None:
            return min(_share(count, self.validation_fraction, 1), max(0, rest - 1))
        return _share(rest, self.validation_fraction / (1 - self.test_fraction), 1)

    def _assign_groups(self, ids: Sequence[str], classes: np.ndarray, groups: Sequence[str]) -> np.ndarray:
        _, unit = np.unique(np.asarray(groups), return_inverse=True)
        sizes = np.bincount(unit)
        # A group is known by its first id, whatever the order of the input.
        first = np.lexsort((np.array(ids, dtype=str), unit))[np.cumsum(sizes) - sizes]
        names = np.full(len(sizes), "test", dtype=object)
        natives = _common_classes(unit, classes, sizes)
        totals = np.zeros(max(self.folds, 1), np.int64)
        for native, members in _ranked([ids[place] for place in first], natives, f"{self.seed}:split").items():
            if native == -1:
                continue
            count = int(sizes[members].sum())
            tests = _fill(sizes[members], self._tests(count))
            rest = members[~tests]
            if not self.folds:
                validations = _fill(sizes[rest], self._validations(count, int(sizes[rest].sum())))
                names[rest] = np.where(validations, "validation", "train")
                continue
            mine = np.zeros(self.folds, np.int64)
            # Large groups first, as small ones can still level what they leave uneven.
            for member in rest[np.argsort(-sizes[rest], kind="stable")].tolist():
                fold = int(np.lexsort((totals, mine))[0])
                names[member] = f"fold{fold}"
                mine[fold] += sizes[member]
                totals[fold] += sizes[member]
        return names[unit]


def _common_classes(unit: np.ndarray, classes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Give the most frequent labelled class of each group, of equally frequent ones the lowest; -1 without."""
    labelled = classes != -1
    pairs, counts = np.unique(np.stack([unit[labelled], classes[labelled]]), axis=1, return_counts=True)
    order = np.lexsort((-pairs[1], counts))
    found = np.full(len(sizes), -1, np.int64)
    # Of several values for one place, the last one stays.
    found[pairs[0][order]] = pairs[1][order]
    return found


def _fill(sizes: np.ndarray, target: int) -> np.ndarray:
    """Take groups in their order as long as they fit into a number of objects; bool. Leaves at least one group."""
    taken, total = np.zeros(len(sizes), bool), 0
    for place, size in enumerate(sizes.tolist()):
        if total + size <= target:
            taken[place] = True
            total += size
    if target > 0 and not total and len(sizes) > 1:
        taken[int(np.argmin(sizes))] = True
    return taken


def _share(count: int, fraction: float, least: int) -> int:
    """Take a fraction, at least one where it is asked for, and leave at least one."""
    if fraction <= 0 or count < 2:
        return 0
    return min(count - 1, max(least, round(count * fraction)))


def select(
    ids: Sequence[str],
    classes: np.ndarray,
    seed: int,
    max_objects: int | None = None,
    limit_per_class: int | None = None,
    flatten: int | None = None,
) -> np.ndarray | None:
    """Choose a subset, at random by seed.

    Parameters
    ----------
    ids : sequence of str
    classes : numpy.ndarray
        int64 native classes.
    seed : int
    max_objects : int, optional
        So many objects in all, classes in their proportions (at least one of each).
    limit_per_class : int, optional
        At most so many of each class.
    flatten : int, optional
        So many objects in all, with the one limit for every class that reaches this number: rare classes stay whole.

    Returns
    -------
    numpy.ndarray or None
        bool, one an object; None where nothing was asked for.

    Raises
    ------
    UsageError
        If more than one way, or a number below 1, is asked for.
    """
    asked = [value for value in (max_objects, limit_per_class, flatten) if value is not None]
    if not asked:
        return None
    if len(asked) > 1 or asked[0] < 1:
        raise UsageError(f"a subset is asked for in one way, by a number of at least 1. Received: {asked}")
    ranked = _ranked(ids, classes, f"{seed}:select")
    counts = np.array([len(members) for members in ranked.values()])
    if limit_per_class is not None:
        wanted = np.minimum(counts, limit_per_class)
    elif flatten is not None:
        wanted = np.minimum(counts, _cap(counts, flatten))
    else:
        wanted = _proportional(counts, max_objects)
    chosen = np.zeros(len(ids), bool)
    for members, count in zip(ranked.values(), wanted.tolist(), strict=True):
        chosen[members[:count]] = True
    return chosen


def _cap(counts: np.ndarray, total: int) -> int:
    """Find the largest limit, at least 1, that keeps the sum of the limited counts within a total."""
    low, high = 1, int(counts.max())
    while low < high:
        middle = (low + high + 1) // 2
        if np.minimum(counts, middle).sum() <= total:
            low = middle
        else:
            high = middle - 1
    return low


def _proportional(counts: np.ndarray, total: int) -> np.ndarray:
    """Divide a total in the proportions of counts, by largest remainders, at least 1 each."""
    total = min(total, int(counts.sum()))
    shares = counts * (total / counts.sum())
    wanted = np.maximum(1, np.floor(shares).astype(int))
    left = total - int(wanted.sum())
    for position in np.argsort(np.floor(shares) - shares, kind="stable")[: max(0, left)]:
        wanted[position] += wanted[position] < counts[position]
    return wanted


def _ranked(ids: Sequence[str], classes: np.ndarray, salt: str) -> dict[int, np.ndarray]:
    """Give the positions of the objects of each class, ranked by hash (and id, should hashes be equal)."""
    seed = stable_hash(salt, 0)
    hashes = np.array([stable_hash(each, seed) for each in ids], np.uint64)
    order = np.lexsort((np.array(ids, dtype=str), hashes, classes))
    natives, starts = np.unique(classes[order], return_index=True)
    return dict(zip(natives.tolist(), np.split(order, starts[1:]), strict=True))
