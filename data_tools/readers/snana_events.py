"""Events of SNANA files as records: rows cut out of PHOT tables, flags, static columns and targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from data_tools.formats.fits_table import Table, read_table
from data_tools.readers.snana_files import SEPARATOR_MJD, row_ranges, unclaimed_rows
from data_tools.readers.snana_survey import Survey
from data_tools.readers.snana_text import read_text
from data_tools.sources import Outcome
from tfrecords.errors import DataError
from tfrecords.info import StaticColumn
from tfrecords.schema import (
    FLAG_DETECTED,
    FLAG_SATURATED,
    FLAG_TRIGGER,
    FLAG_UNKNOWN,
    LightCurve,
    Record,
    sort_rows,
)

_BITS = {"detected": FLAG_DETECTED, "trigger": FLAG_TRIGGER, "saturated": FLAG_SATURATED}
_NO_BAND = 255
_COLUMN_NAMES = {"DEC": ("DEC", "DECL"), "HOSTGAL_LOGsSFR": ("HOSTGAL_LOGsSFR", "HOSTGAL_sSFR")}


def names_of_column(name: str) -> tuple[str, ...]:
    """Give the names that a column has in files of different age."""
    return _COLUMN_NAMES.get(name, (name,))


class PairReader:
    """The events of one HEAD+PHOT pair.

    Parameters
    ----------
    survey : Survey
    static_columns : sequence of StaticColumn
    head : Table
    phot : pathlib.Path
    ids : sequence of str
    classes : numpy.ndarray
        int64, native.

    Raises
    ------
    DataError
        If the PHOT file is damaged, lacks a column, or its rows cannot be told apart.
    """

    def __init__(
        self,
        survey: Survey,
        static_columns: Sequence[StaticColumn],
        head: Table,
        phot: Path,
        ids: Sequence[str],
        classes: np.ndarray,
    ) -> None:
        self._survey, self._ids, self._classes = survey, ids, classes
        self._static_columns = static_columns
        table = read_table(phot)
        self.name = table.name
        self._time = table.numbers(table.find("MJD"), "f8")
        self._start, self._stop = row_ranges(head, self._time, ids, table.name)
        self._flux = table.numbers(table.find("FLUXCAL"), "f4")
        self._error = table.numbers(table.find("FLUXCALERR"), "f4")
        self._band, self._band_names = _bands(table, survey)
        self._flags = _flags(table, survey, self._time)
        self._static = _static(head, static_columns)
        self._targets = _targets(head, survey)
        # The few events with a problem are looked at one by one: there are thousands of events in a pair.
        good = _good_rows(self._time, self._flux, self._error) & (self._band != _NO_BAND)
        good[self._time == SEPARATOR_MJD] = True
        bad = np.append(0, np.cumsum(~good))
        self._suspect = (bad[self._stop] > bad[self._start]) | np.isinf(self._static).any(axis=1)

    def left_over(self) -> Iterator[Outcome]:
        """Give an outcome for rows that belong to no event: HEAD lacks events that PHOT has."""
        count = unclaimed_rows(self._start, self._stop, self._time)
        if count:
            reason = f"{count} rows belong to no event of the HEAD file"
            yield Outcome(f"{self.name} (rows)", None, f"{self.name}: {reason}", quarantined=True)

    def outcomes(self, first: int, chosen: np.ndarray | None) -> Iterator[Outcome]:
        """Give an outcome an event; `first` is the row of the first one in the source's list."""
        for position, object_id in enumerate(self._ids):
            if chosen is not None and not chosen[position]:
                yield Outcome(object_id, None, "not selected", first + position)
                continue
            rows = slice(self._start[position], self._stop[position])
            if rows.start == rows.stop:
                yield Outcome(object_id, None, "no observations", first + position)
                continue
            if self._suspect[position]:
                problem = self._problem(position, rows)
                yield Outcome(object_id, None, f"{self.name}: {problem}", first + position, quarantined=True)
                continue
            targets = {name: values[position] for name, values in self._targets.items() if values[position] is not None}
            native = int(self._classes[position])
            lc = sort_rows(
                LightCurve(self._time[rows], self._band[rows], self._flux[rows], self._error[rows], self._flags[rows])
            )
            record = Record(object_id, self._survey.name, native, lc, self._static[position], targets)
            yield Outcome(object_id, record, "", first + position)

    def _problem(self, position: int, rows: slice) -> str:
        static = self._static[position]
        if np.isinf(static).any():
            return f"column {self._static_columns[int(np.argmax(np.isinf(static)))].name!r} of HEAD is infinite"
        band = self._band[rows]
        if band.max() == _NO_BAND:
            row = int(np.argmax(band == _NO_BAND))
            names = ", ".join(band.name for band in self._survey.bands)
            return f"bands are {names}; row {row + 1} of the event has {self._band_names(rows.start + row)!r}"
        return row_problem(self._time[rows], self._flux[rows], self._error[rows])


def _good_rows(time: np.ndarray, flux: np.ndarray, error: np.ndarray) -> np.ndarray:
    return np.isfinite(time) & ~np.isinf(flux) & (error > 0) & (error < np.inf)


def row_problem(time: np.ndarray, flux: np.ndarray, error: np.ndarray) -> str:
    """Say what is wrong with the rows of an event, an empty text if nothing is."""
    good = _good_rows(time, flux, error)
    if good.all():
        return ""
    row = int(np.argmin(good))
    if not np.isfinite(time[row]):
        return f"MJD is a finite time; row {row + 1} of the event has {time[row]}"
    if np.isinf(flux[row]):
        return f"FLUXCAL is not infinite; row {row + 1} of the event has {flux[row]}"
    return f"FLUXCALERR is positive and finite; row {row + 1} of the event has {error[row]}"


def _bands(table: Table, survey: Survey):
    """Give the index of every row's band (255: none of the table), and what names a row's band as it stands."""
    column = table.find("BAND", "FLT")
    raw = np.ascontiguousarray(table.rows[column])
    if raw.dtype.kind != "S":
        raise DataError(f"{table.name}: column {column!r} holds text. Received: {raw.dtype}")
    numbers = band_numbers(survey)
    width = raw.dtype.itemsize
    # Fixed-width text as bytes: most columns hold one or two characters and padding, and there are millions of rows.
    characters = raw.view(np.uint8).reshape(len(raw), width) if width else np.zeros((len(raw), 1), np.uint8)
    padding = (characters == 0) | (characters == 0x20)
    if padding[:, 1:].all():
        lookup = np.full(256, _NO_BAND, np.uint8)
        for name, number in numbers.items():
            if len(name) == 1 and name.isascii():
                lookup[ord(name)] = number
        band = lookup[characters[:, 0]]
    else:
        values, inverse = np.unique(raw, return_inverse=True)
        found = [numbers.get(_band_name(value), _NO_BAND) for value in values.tolist()]
        band = np.array(found, np.uint8)[inverse.reshape(-1)]
    return band, lambda row: _band_name(raw[row])


def band_numbers(survey: Survey) -> dict[str, int]:
    """Give the band index by name and alias."""
    names = {alias: number for number, band in enumerate(survey.bands) for alias in band.aliases}
    return names | {band.name: number for number, band in enumerate(survey.bands)}


def _band_name(raw: bytes) -> str:
    """Strip a band of its padding, and of the instrument in front of a slash (``CFA3K-U/p`` is filter p)."""
    return raw.replace(b"\0", b" ").decode("ascii", "replace").strip().rpartition("/")[2]


def _flags(table: Table, survey: Survey, time: np.ndarray) -> np.ndarray:
    if "PHOTFLAG" not in table.columns:
        return np.full(len(table), FLAG_UNKNOWN, np.uint8)
    return flags_of(table.numbers("PHOTFLAG", "i8"), survey, time != SEPARATOR_MJD)


def flags_of(photflag: np.ndarray, survey: Survey, observed: np.ndarray) -> np.ndarray:
    """Turn PHOTFLAG into flags of the schema; where no observation of a file has any bit, they are unknown."""
    if not (photflag[observed] > 0).any():
        return np.full(len(photflag), FLAG_UNKNOWN, np.uint8)
    flags = np.zeros(len(photflag), np.uint8)
    for name, bit in survey.bits.items():
        flags |= np.where((photflag & bit) != 0, _BITS[name], 0).astype(np.uint8)
    return flags


def _static(head: Table, columns: Sequence[StaticColumn]) -> np.ndarray:
    values = np.full((len(head), len(columns)), np.nan, "<f4")
    for number, column in enumerate(columns):
        for name in names_of_column(column.name):
            if name in head.columns:
                values[:, number] = head.numbers(name, "f4")
                break
    return values


def _targets(head: Table, survey: Survey) -> dict[str, list[float | None]]:
    found = {}
    for target, names in survey.targets.items():
        for name in names:
            if name in head.columns:
                values = head.numbers(name, "f8")
                # -9 and -99 stand for "none", and neither target is ever negative.
                found[target] = [each if 0 <= each < np.inf else None for each in values.tolist()]
                break
    return found


def text_outcome(
    survey: Survey, columns: Sequence[StaticColumn], path: Path, object_id: str, native: int, row: int
) -> Outcome:
    """Read a text file as the outcome of its event."""
    try:
        record = _text_record(survey, columns, path, object_id, native)
    except DataError as error:
        return Outcome(object_id, None, str(error), row, quarantined=True)
    if record is None:
        return Outcome(object_id, None, "no observations", row)
    return Outcome(object_id, record, "", row)


def _text_record(
    survey: Survey, columns: Sequence[StaticColumn], path: Path, object_id: str, native: int
) -> Record | None:
    event = read_text(path)
    for need in ("MJD", "FLUXCAL", "FLUXCALERR"):
        if need not in event.columns:
            raise DataError(f"{path.name}: VARLIST names {need}. Received: {' '.join(event.columns)}")
    time, flux, error = (event.numbers(name, path.name) for name in ("MJD", "FLUXCAL", "FLUXCALERR"))
    if not len(time):
        return None
    problem = row_problem(time, flux, error)
    if problem:
        raise DataError(f"{path.name}: {problem}")
    numbers = band_numbers(survey)
    names = event.columns.get("BAND") or event.columns.get("FLT")
    if names is None:
        raise DataError(f"{path.name}: VARLIST names BAND or FLT. Received: {' '.join(event.columns)}")
    unknown = [name for name in names if _band_name(name.encode()) not in numbers]
    if unknown:
        raise DataError(f"{path.name}: bands are {', '.join(numbers)}. Received: {unknown[0]!r}")
    band = np.array([numbers[_band_name(name.encode())] for name in names], np.uint8)
    if "PHOTFLAG" in event.columns:
        flags = flags_of(event.numbers("PHOTFLAG", path.name).astype(np.int64), survey, np.ones(len(time), bool))
    else:
        flags = np.full(len(time), FLAG_UNKNOWN, np.uint8)
    static = np.array([_value(event.values, column.name) for column in columns], "f4")
    targets = {}
    for target, candidates in survey.targets.items():
        value = next((event.values[name] for name in candidates if name in event.values), -9.0)
        if value >= 0:
            targets[target] = np.array(value)
    lc = sort_rows(LightCurve(time, band, flux.astype("f4"), error.astype("f4"), flags))
    return Record(object_id, survey.name, native, lc, static, targets)


def _value(values: Mapping[str, float], name: str) -> float:
    return next((values[each] for each in names_of_column(name) if each in values), np.nan)
