"""Copies of a record: light curves of `data_tools.synthetic.resimulation`, and columns that follow the redshift."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from data_tools.synthetic.resimulation import (
    ATTEMPTS,
    LEAST_DETECTIONS,
    LEAST_ROWS,
    Copy,
    Extragalactic,
    Galactic,
    Settings,
    generator,
    luminosity_distance,
    photometric_redshift,
    usable,
)
from tfrecords.errors import UsageError
from tfrecords.info import DatasetInfo
from tfrecords.schema import Record, sort_rows


@dataclasses.dataclass(frozen=True)
class Columns:
    """Which values of a record follow its redshift.

    Attributes
    ----------
    redshift : str
        Static column; 0 or below says that an object is in our Galaxy. ``none``: all are.
    redshift_error : str
        Static column with the error of the former, or empty.
    true_redshift : str
        Target or static column with a better redshift, or empty.
    distance : str
        Static column with the distance modulus of the first one, or empty.
    """

    redshift: str = "hostgal_photoz"
    redshift_error: str = ""
    true_redshift: str = ""
    distance: str = ""

    @classmethod
    def settle(
        cls, info: DatasetInfo, redshift: str | None, redshift_error: str | None, true_redshift: str | None
    ) -> Columns:
        """Check names against a directory of records; None takes PLAsTiCC's where they are there.

        Raises
        ------
        UsageError
            If a column is not there.
        """
        static = [column.name for column in info.static_columns]

        def check(flag: str, name: str | None, defaults: Sequence[str], valid: Sequence[str]) -> str:
            if name is None:
                return next((each for each in defaults if each in valid), "")
            if name == "none":
                return ""
            if name not in valid:
                raise UsageError(f"{flag} is one of {', '.join(valid) or 'no column'}, or none. Received: {name!r}")
            return name

        first = check("--redshift-column", redshift, [cls.redshift], static)
        if not first and redshift != "none":
            raise UsageError(
                f"no static column {cls.redshift!r}; --redshift-column names another one of "
                f"{', '.join(static) or 'none'}, or none where all objects are in our Galaxy. Received: {static}"
            )
        second = check("--redshift-error-column", redshift_error, ["hostgal_photoz_err"], static)
        names = [*info.targets, *static]
        truth = check("--true-redshift-column", true_redshift, ["redshift", "hostgal_specz"], names)
        return cls(first, second, truth, "distmod" if "distmod" in static else "")

    def targets(self, info: DatasetInfo) -> tuple[str, ...]:
        """Name the targets that copies keep: those that are their redshift."""
        return tuple(name for name in info.targets if name == self.true_redshift)


class Resimulator:
    """Makes copies of records.

    Parameters
    ----------
    info : DatasetInfo
        Of the records.
    columns : Columns
    settings : Settings
    copies : int
        Of each object.
    seed : int
    """

    def __init__(self, info: DatasetInfo, columns: Columns, settings: Settings, copies: int, seed: int) -> None:
        self._columns, self._settings, self._copies, self._seed = columns, settings, copies, seed
        self._static = {column.name: number for number, column in enumerate(info.static_columns)}
        self._missing = {column.name: column.missing for column in info.static_columns}
        self._wavelengths = np.array([band.wavelength_angstrom for band in info.bands])

    def __call__(self, record: Record) -> tuple[list[Record | None], str]:
        """Give copies 1, 2 ... of a record, None for one that did not come out, and why there are none or fewer."""
        rows = 0 if record.lc is None else len(lc := usable(record.lc))
        if rows < LEAST_ROWS:
            return [], f"fewer than {LEAST_ROWS} observations"
        photometric = self._value(record, self._columns.redshift) if self._columns.redshift else 0.0
        if not np.isfinite(photometric):
            return [], "no redshift"
        if photometric > 0:
            redshift = self._value(record, self._columns.true_redshift)
            redshift = redshift if redshift > 0 else photometric
            source = Extragalactic(lc, self._wavelengths, redshift, photometric, self._settings)
        else:
            redshift, source = 0.0, Galactic(lc, self._settings)
        copies: list[Record | None] = []
        for number in range(1, self._copies + 1):
            rng = generator(self._seed, record.object_id, number)
            drawn = next(filter(None, (source.draw(rng) for _ in range(ATTEMPTS))), None)
            copies.append(drawn and self._record(record, number, drawn, redshift))
        return copies, f"fewer than {LEAST_DETECTIONS} detections or {LEAST_ROWS} observations in {ATTEMPTS} attempts"

    def _value(self, record: Record, name: str) -> float:
        """Give the value of a target or static column, NaN without one."""
        if name in record.targets:
            return float(record.targets[name][0]) if len(record.targets[name]) else np.nan
        if record.static is None or name not in self._static:
            return np.nan
        value = float(record.static[self._static[name]])
        return np.nan if value in self._missing[name] else value

    def _record(self, original: Record, number: int, copy: Copy, redshift: float) -> Record:
        static = None if original.static is None else original.static.copy()
        columns = self._columns
        if redshift > 0:
            photometric = self._value(original, columns.redshift)
            moved = photometric_redshift(photometric, redshift, copy.redshift)
            shift = 5 * np.log10(luminosity_distance(moved) / luminosity_distance(photometric))
            for name, change in (
                (columns.redshift, lambda value: moved),
                (columns.redshift_error, lambda value: value * copy.stretch),
                (columns.true_redshift, lambda value: photometric_redshift(value, redshift, copy.redshift)),
                (columns.distance, lambda value: value + shift),
            ):
                value = self._value(original, name)
                if name in self._static and np.isfinite(value):
                    static[self._static[name]] = change(value)
        targets = {name: np.array([copy.redshift]) for name in original.targets if name == columns.true_redshift}
        object_id = f"{original.object_id}+{number}"
        return Record(object_id, original.survey, original.class_id, sort_rows(copy.lc), static, targets)
