"""In which order training sees its objects: exact, seeded, resumable at any step."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


class TrainingStream:
    """An endless sequence of objects, epoch after epoch, cut into chunks of one size.

    ``natural``: every epoch is a permutation of all objects. ``balanced``: every class is repeated, each
    time in a new order, up to the size of the largest, and the classes take turns, so that an epoch holds
    classes × largest objects and any run of it is balanced. ``replicate``: the same objects, shuffled without
    regard to class. ``sampler``: as many draws with replacement as there are objects, every class as likely as
    any other. ``undersample``: of every class as many objects, drawn anew every epoch, as the smallest has. What
    an epoch leaves over carries into the next batch.

    Parameters
    ----------
    labels : array (object,), int
        Class of each object.
    sampling : {"natural", "balanced", "replicate", "sampler", "undersample"}
    seed : int
    originals : int, optional
        With ``natural``: how many objects, from the first, an epoch holds once; all when absent.
    share : float
        Share of an epoch that is drawn from the rest, which takes several epochs to go round.
    """

    def __init__(self, labels, sampling: str, seed: int, originals: int | None = None, share: float = 0.0):
        self.labels = np.asarray(labels)
        self.originals = len(self.labels) if originals is None else originals
        self.drawn = round(self.originals * share / (1.0 - share))
        self.sampling = sampling
        self.seed = seed
        self.members = [np.flatnonzero(self.labels == name) for name in np.unique(self.labels)]
        self._cached: tuple[int, np.ndarray] | None = None

    @property
    def epoch_size(self) -> int:
        """Number of objects an epoch draws."""
        if self.sampling == "natural":
            return self.originals + self.drawn
        if self.sampling == "sampler":
            return len(self.labels)
        sizes = list(map(len, self.members))
        return len(self.members) * (min(sizes) if self.sampling == "undersample" else max(sizes))

    def epoch(self, number: int) -> np.ndarray:
        """Give the objects of an epoch in order, int64."""
        rng = np.random.default_rng([self.seed, number])
        if self.sampling == "natural":
            return rng.permutation(np.concatenate([np.arange(self.originals), self._rest(number)]))
        if self.sampling == "sampler":
            chosen = rng.integers(0, len(self.members), len(self.labels))
            luck = rng.random(len(self.labels))
            return np.array([self.members[name][int(share * len(self.members[name]))]
                             for name, share in zip(chosen, luck, strict=True)], "int64")  # fmt: skip
        if self.sampling == "undersample":
            smallest = min(map(len, self.members))
            return rng.permutation(np.concatenate([rng.permutation(members)[:smallest] for members in self.members]))
        largest = max(map(len, self.members))
        columns = []
        for members in self.members:
            rounds = -(-largest // len(members))
            column = np.concatenate([rng.permutation(members) for _ in range(rounds)])
            columns.append(column[:largest])
        if self.sampling == "replicate":
            return rng.permutation(np.concatenate(columns))
        turns = np.stack(columns, axis=1)
        return rng.permuted(turns, axis=1).ravel()

    def _rest(self, number: int) -> np.ndarray:
        count = len(self.labels) - self.originals
        places = np.arange(number * self.drawn, (number + 1) * self.drawn)
        rounds = [np.random.default_rng([self.seed, turn, 1]).permutation(count) for turn in np.unique(places // count)]
        order = np.concatenate(rounds)[places - places[0] // count * count] if len(places) else places
        return self.originals + order

    def chunk(self, number: int, size: int) -> np.ndarray:
        """Give chunk ``number`` of ``size`` objects of the endless sequence, int64."""
        taken, place = [], number * size
        while size:
            epoch, offset = divmod(place, self.epoch_size)
            if self._cached is None or self._cached[0] != epoch:
                self._cached = (epoch, self.epoch(epoch))
            part = self._cached[1][offset : offset + size]
            taken.append(part)
            place, size = place + len(part), size - len(part)
        return np.concatenate(taken)

    def chunks(self, size: int, start: int = 0) -> Iterator[tuple[int, np.ndarray]]:
        """Give chunk after chunk with its number, from number ``start`` on, without end."""
        while True:
            yield start, self.chunk(start, size)
            start += 1


def select(labels, config, seed: int) -> np.ndarray:
    """Choose training objects by a `SelectionConfig`'s limits and ``label_fraction``.

    Returns
    -------
    array of int64
        Places in ``labels``, ascending. At least one object of every class stays.
    """
    labels = np.asarray(labels)
    rng = np.random.default_rng([seed, 0x5E1EC7])
    share = config.label_fraction
    if config.max_objects is not None:
        share = min(share, config.max_objects / max(len(labels), 1))
    chosen = []
    for name in np.unique(labels):
        members = np.flatnonzero(labels == name)
        count = max(1, int(share * len(members) + 1e-9))
        if config.max_per_class is not None:
            count = min(count, config.max_per_class)
        chosen.append(rng.permutation(members)[:count])
    return np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, "int64")
