"""Which objects belong together: by position on the sky, by their photometry, or by a name that they share.

A grouping is an array of labels, int64, one an object: equal labels belong together, -1 to nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_tools.engine.published import read_groups
from tfrecords import command
from tfrecords.errors import DataError, UsageError
from tfrecords.framing import read_frame
from tfrecords.reader import RecordDirectory
from tfrecords.wire import decode_example

_PHOTOMETRY = ("lc/time", "lc/band", "lc/flux", "lc/flux_err")
_ARCSEC = np.pi / (180 * 3600)


@dataclass(frozen=True)
class Grouping:
    """What makes objects belong together.

    Attributes
    ----------
    position : tuple of str, optional
        Static columns with right ascension and declination in degrees.
    radius : float
        Arcseconds.
    photometry : bool
        Identical light curves.
    id_pattern : str, optional
        Regular expression whose first parentheses give the object's part of an id.
    by : tuple of str
        Static columns, or files with a column of ids and one of groups.
    id_column, group_column : str, optional
        Of those files.
    """

    position: tuple[str, str] | None = None
    radius: float = 1.0
    photometry: bool = False
    id_pattern: str | None = None
    by: tuple[str, ...] = ()
    id_column: str | None = None
    group_column: str | None = None

    def find(self, records: RecordDirectory, ids: Sequence[str], quiet: bool = True) -> dict[str, np.ndarray]:
        """Give the labels (`data_tools.engine.groups`) of every grouping asked for, in the order of the index.

        Raises
        ------
        UsageError
            If a static column or a file is not there.
        DataError
            If a record or a table is damaged.
        """
        if not self.radius > 0:
            raise UsageError(f"--radius is positive, in arcseconds. Received: {self.radius:g}")
        tables = {}
        columns = [column.name for column in records.info.static_columns]
        wanted = list(self.position or ())
        for name in self.by:
            if name not in columns and Path(name).is_file():
                tables[name] = read_groups(Path(name), self.id_column, self.group_column)
            else:
                wanted.append(name)
        values = _static(records, wanted, quiet) if wanted else {}
        found = {}
        if self.position:
            found["position"] = by_position(*(values[name] for name in self.position), self.radius)
        if self.photometry:
            rows = command.progress(range(len(records)), "comparing light curves", len(records), quiet)
            found["photometry"] = by_photometry(records, rows)
        if self.id_pattern is not None:
            found["id"] = by_pattern(ids, self.id_pattern)
        for name in self.by:
            if name in tables:
                found[Path(name).name] = by_names([tables[name].get(object_id) for object_id in ids])
            else:
                found[name] = by_names([None if value != value else value for value in values[name].tolist()])
        return found


def _static(records: RecordDirectory, names: Sequence[str], quiet: bool) -> dict[str, np.ndarray]:
    """Read static columns, f8; NaN where a value is missing by the column's rule."""
    columns = [column.name for column in records.info.static_columns]
    unknown = [name for name in names if name not in columns]
    if unknown:
        raise UsageError(
            f"{records.path}: static columns are {', '.join(columns) or 'none'} (or a file). Received: {unknown[0]!r}"
        )
    places = [columns.index(name) for name in names]
    found = np.full((len(records), len(names)), np.nan)
    for row in command.progress(range(len(records)), "reading", len(records), quiet):
        static = records.record(row).static
        if static is not None:
            found[row] = static[places]
    for number, place in enumerate(places):
        missing = np.array(records.info.static_columns[place].missing, "f4")
        found[np.isin(found[:, number].astype("f4"), missing), number] = np.nan
    return {name: found[:, number] for number, name in enumerate(names)}


def by_position(ra: np.ndarray, dec: np.ndarray, radius: float = 1.0) -> np.ndarray:
    """Group objects that are chained by steps of at most a radius on the sky (friends of friends).

    Distances are chords between unit vectors, 2 sin(angle / 2): great circles, right at the poles and across 0 h.

    Parameters
    ----------
    ra, dec : numpy.ndarray
        f8 [n], degrees; NaN where unknown: such an object belongs to nothing.
    radius : float
        Arcseconds.

    Returns
    -------
    numpy.ndarray
        Labels.

    Raises
    ------
    DataError
        If a declination is beyond a pole or a right ascension no angle from -360 to 360 degrees.
    """
    from scipy.spatial import cKDTree

    known = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
    labels = np.full(len(ra), -1, np.int64)
    if not len(known):
        return labels
    bad = known[(np.abs(dec[known]) > 90) | (np.abs(ra[known]) > 360)]
    if len(bad):
        raise DataError(
            "positions are right ascensions up to 360 and declinations up to 90 degrees. "
            f"Received: {ra[bad[0]]:g}, {dec[bad[0]]:g} (object {bad[0]} of the index)"
        )
    # Many objects at one position would give a pair for each two of them.
    places, inverse = np.unique(np.stack([ra[known], dec[known]], axis=1), axis=0, return_inverse=True)
    angles = np.radians(places)
    vectors = np.stack(
        [
            np.cos(angles[:, 1]) * np.cos(angles[:, 0]),
            np.cos(angles[:, 1]) * np.sin(angles[:, 0]),
            np.sin(angles[:, 1]),
        ],
        axis=1,
    )
    # A hair more than the radius, so that rounding excludes nobody at exactly this distance.
    chord = 2 * np.sin(radius * _ARCSEC / 2) * (1 + 1e-9) + 1e-15
    pairs = cKDTree(vectors).query_pairs(chord, output_type="ndarray")
    labels[known] = _components(len(places), pairs)[inverse.ravel()]
    return labels


def by_photometry(records: RecordDirectory, progress: Iterable[int] | None = None) -> np.ndarray:
    """Group objects whose light curves are the same in time, band, flux and flux error, to the last bit.

    Parameters
    ----------
    records : RecordDirectory
    progress : iterable of int, optional
        The rows of the index, in their order.

    Returns
    -------
    numpy.ndarray
        Labels; an object without observations belongs to nothing.

    Raises
    ------
    DataError
        If a record is damaged.
    """
    seen: dict[bytes, int] = {}
    labels = np.full(len(records), -1, np.int64)
    for row in range(len(records)) if progress is None else progress:
        place = records.index[row]
        if not place["length"]:
            continue
        where = records.where(row)
        features = decode_example(read_frame(records.buffer(int(place["shard"])), int(place["offset"]), where))
        digest = hashlib.blake2b(digest_size=16)
        for key in _PHOTOMETRY:
            digest.update(features[key])
        labels[row] = seen.setdefault(digest.digest(), len(seen))
    return labels


def by_pattern(ids: Sequence[str], pattern: str) -> np.ndarray:
    """Group objects by the part of their ids that the first parentheses of a regular expression match.

    Raises
    ------
    UsageError
        If the pattern is none, or has no parentheses.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"--by-id takes a regular expression: {error}. Received: {pattern!r}") from error
    if not compiled.groups:
        raise UsageError(f"--by-id takes a pattern with parentheses around the object's part. Received: {pattern!r}")
    matches = [compiled.search(object_id) for object_id in ids]
    return by_names([match[1] if match else None for match in matches])


def by_names(names: Sequence[object]) -> np.ndarray:
    """Group objects with equal names; None belongs to nothing."""
    seen: dict[object, int] = {}
    return np.array([-1 if name is None else seen.setdefault(name, len(seen)) for name in names], np.int64)


def connect(count: int, groupings: Iterable[np.ndarray]) -> np.ndarray:
    """Join groupings: whoever shares a label in any of them, even through others, is in one group.

    Returns
    -------
    numpy.ndarray
        int64 [count], the number of each object's group; an object that belongs to nothing is a group of its own.
    """
    pairs = [np.zeros((0, 2), np.int64)]
    for labels in groupings:
        order = np.argsort(labels, kind="stable")
        order = order[labels[order] >= 0]
        same = labels[order[1:]] == labels[order[:-1]]
        pairs.append(np.stack([order[:-1][same], order[1:][same]], axis=1))
    return _components(count, np.concatenate(pairs))


def _components(count: int, pairs: np.ndarray) -> np.ndarray:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def spanning(labels: np.ndarray, partitions: np.ndarray) -> list[np.ndarray]:
    """Give the groups whose members stand in more than one partition.

    Parameters
    ----------
    labels : numpy.ndarray
    partitions : numpy.ndarray
        Numbers, one an object.

    Returns
    -------
    list of numpy.ndarray
        Positions of the members, one array a group.
    """
    order = np.argsort(labels, kind="stable")
    order = order[labels[order] >= 0]
    if not len(order):
        return []
    starts = np.flatnonzero(np.diff(labels[order], prepend=-2))
    numbers = partitions[order].astype(np.int64)
    mixed = np.minimum.reduceat(numbers, starts) != np.maximum.reduceat(numbers, starts)
    members = np.split(order, starts[1:])
    return [members[group] for group in np.flatnonzero(mixed).tolist()]
