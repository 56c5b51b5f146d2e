"""Light curves on a regular grid by a Gaussian process over time and wavelength, as a derived group beside the records.

The interpolation of t2 (Allam & McEwen 2021, arXiv:2105.06178; kernel and search as Boone 2019, arXiv:1907.04690):

- Rows from 50 days before the first detection to 50 days after the last are kept, all of them without detections.
- The kernel is a Matern-3/2 in r² = (Δt / τ)² + (Δλ / 6000 Å)² of amplitude A around a mean of zero, with the square of
  the flux error as noise. The likelihood is climbed by L-BFGS-B in ln A² and ln τ², from τ = 20 days and from A = half
  the absolute flux of the row with the highest signal-to-noise, for which every error counts at least 1 % of the
  highest flux. τ stays within 1 and 1,000 days, ln A² within 10 of its start.
- The group holds the mean at 100 uniform times, first and last kept row included, at the effective wavelengths of the
  bands. Columns go step after step, in each the bands of the band table: ``gp_000_u``, ``gp_000_g`` ... ``gp_099_y``.

Objects are dealt in pieces to processes; memory does not grow with their number, and the bytes do not depend on the
number of processes.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import itertools
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from data_tools.engine.processes import cores, in_order
from data_tools.features import Piece, check_days, days_argument
from tfrecords import command
from tfrecords.derived import DerivedGroup, DerivedWriter
from tfrecords.errors import DataError, UsageError
from tfrecords.reader import RecordDirectory
from tfrecords.schema import FLAG_DETECTED, FLAG_TRIGGER, LightCurve
from tfrecords.times import reference_time

VERSION = "1"
STEPS = 100
MARGIN = 50.0
TIME_SCALE, LONGEST_SCALE = 20.0, 1000.0
WAVELENGTH_SCALE = 6000.0
ERROR_FLOOR = 0.01
MOST_ROWS = 1000
"""Longer light curves are thinned evenly: the work grows with the cube of the rows."""

_PIECE = 16
_IMPOSSIBLE = 1e25


def code_version() -> str:
    """Name what the values depend on. Raises DataError if the package george is not installed."""
    try:
        return f"gp_grid {VERSION}, george {importlib.metadata.version('george')}"
    except importlib.metadata.PackageNotFoundError as error:
        raise DataError(
            "the Gaussian-process grid needs the package george, which is not installed; install it with "
            "pip install 'timedomain-zoo[gp]'. Received: no such package"
        ) from error


def columns(bands: Sequence[str], steps: int = STEPS) -> list[str]:
    """Give the names of the columns in order: step after step, in each the bands."""
    return [f"gp_{step:03d}_{band}" for step in range(steps) for band in bands]


class GridInterpolator:
    """Interpolates light curves, one at a time.

    Parameters
    ----------
    wavelengths : sequence of float
        Effective wavelengths of the band table in angstrom.
    steps : int
        Times of the grid.

    Raises
    ------
    DataError
        If a wavelength is unknown.
    """

    def __init__(self, wavelengths: Sequence[float], steps: int = STEPS) -> None:
        self._wavelengths = np.asarray(wavelengths, np.float64)
        self._steps = steps
        if not (np.isfinite(self._wavelengths) & (self._wavelengths > 0)).all():
            raise DataError(
                "a Gaussian process over wavelength needs the effective wavelength of every band in angstrom. "
                f"Received: {', '.join(f'{value:g}' for value in self._wavelengths)}"
            )

    def __call__(self, lc: LightCurve | None, days: Sequence[float]) -> np.ndarray:
        """Interpolate an object at some days after its reference time.

        Parameters
        ----------
        lc : LightCurve or None
            Rows sorted by time. A row with NaN in flux or error counts as none.
        days : sequence of float
            Ascending. Each row of the answer is computed from the observations until so many days after the
            reference time; infinity for all.

        Returns
        -------
        numpy.ndarray
            f4 [days, steps · bands], flux; a row of NaN without observations, or where the covariance is singular
            (rows without error that contradict each other).
        """
        values = np.full((len(days), self._steps * len(self._wavelengths)), np.nan, "<f4")
        if lc is None or not len(lc.time):
            return values
        good = np.isfinite(lc.flux) & np.isfinite(lc.flux_err)
        since = lc.time - reference_time(lc.time, lc.flags)
        kept = None
        for place, day in enumerate(days):
            rows = np.flatnonzero(good & (since <= day))
            if kept is not None and len(rows) == len(kept):
                values[place] = values[place - 1]
                continue
            kept = rows
            if len(rows):
                values[place] = self._grid(lc, rows)
        return values

    def _grid(self, lc: LightCurve, rows: np.ndarray) -> np.ndarray:
        rows = _window(lc.time[rows], lc.flags[rows], rows)
        if len(rows) > MOST_ROWS:
            rows = rows[np.linspace(0, len(rows) - 1, MOST_ROWS).round().astype(int)]
        time = lc.time[rows] - lc.time[rows].min()
        places = np.stack([time, self._wavelengths[lc.band[rows]]], axis=1)
        flux, error = lc.flux[rows].astype(np.float64), lc.flux_err[rows].astype(np.float64)
        times = np.repeat(np.linspace(0.0, time.max(), self._steps), len(self._wavelengths))
        wanted = np.stack([times, np.tile(self._wavelengths, self._steps)], axis=1)
        with np.errstate(all="ignore"):
            found = _posterior_mean(places, flux, error, wanted).astype("<f4")
        return found if np.isfinite(found).all() else np.full_like(found, np.nan)


def _window(time: np.ndarray, flags: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Choose the rows around the detections; all where nothing is detected."""
    detected = time[(flags & (FLAG_DETECTED | FLAG_TRIGGER)) != 0]
    if not len(detected):
        return rows
    return rows[(time >= detected.min() - MARGIN) & (time <= detected.max() + MARGIN)]


def start_amplitude(flux: np.ndarray, error: np.ndarray) -> float:
    """Give half the absolute flux of the row with the highest signal-to-noise, errors raised to 1 % of the peak."""
    floor = ERROR_FLOOR * np.abs(flux).max()
    return 0.5 * float(np.abs(flux[np.argmax(np.abs(flux) / np.hypot(error, floor))]))


def _posterior_mean(places, flux, error, wanted) -> np.ndarray:
    """Fit the process and give its mean at wanted places; NaN if the covariance is singular."""
    import george
    from george.kernels import Matern32Kernel
    from scipy.optimize import minimize

    amplitude = start_amplitude(flux, error) if flux.any() else 0.0
    if amplitude == 0.0:
        return np.zeros(len(wanted))
    kernel = amplitude**2 * Matern32Kernel([TIME_SCALE**2, WAVELENGTH_SCALE**2], ndim=2)
    kernel.freeze_parameter("k2:metric:log_M_1_1")
    process = george.GP(kernel)
    try:
        process.compute(places, error)

        def cost(parameters):
            process.set_parameter_vector(parameters)
            likelihood = process.log_likelihood(flux, quiet=True)
            return -likelihood if np.isfinite(likelihood) else _IMPOSSIBLE

        def slope(parameters):
            process.set_parameter_vector(parameters)
            return -process.grad_log_likelihood(flux, quiet=True)

        start = process.get_parameter_vector()
        bounds = [(start[0] - 10, start[0] + 10), (0.0, 2 * math.log(LONGEST_SCALE))]
        best = minimize(cost, start, jac=slope, bounds=bounds, method="L-BFGS-B")
        process.set_parameter_vector(best.x)
        return process.predict(flux, wanted, return_cov=False)
    except np.linalg.LinAlgError:
        return np.full(len(wanted), np.nan)


def compute(
    directory: str | os.PathLike,
    name: str = "gp_grid",
    days: Sequence[float] = (math.inf,),
    *,
    steps: int = STEPS,
    workers: int = 1,
    overwrite: bool = False,
    quiet: bool = True,
) -> Path:
    """Interpolate all records and write the grids as a derived group.

    Parameters
    ----------
    directory : path
        A directory of records.
    name : str
        Of the derived group.
    days : sequence of float
        Days after the reference time, positive and increasing; infinity stands for the whole light curve.
    steps : int
        Times of the grid.
    workers : int
        Processes; 1 computes in this one.
    overwrite : bool
        Replace a group of that name.
    quiet : bool
        No progress bar.

    Returns
    -------
    pathlib.Path
        Of the group.

    Raises
    ------
    UsageError
        If days, steps, workers or name cannot be, or the group exists and may not be replaced.
    DataError
        If there are no records, one is damaged, a band has no wavelength, or the package george is missing. Nothing
        of the group stays.
    """
    days = check_days(days)
    for flag, value, least in (("--workers", workers, 1), ("--steps", steps, 2)):
        if value < least:
            raise UsageError(f"{flag} is at least {least}. Received: {value}")
    records = RecordDirectory(directory)
    bands = records.info.bands
    if not bands:
        raise DataError(f"{records.path}: a grid is made of light curves in one band at least. Received: no bands")
    GridInterpolator([band.wavelength_angstrom for band in bands])
    writer = DerivedWriter(records, name, columns([band.name for band in bands], steps), days, code_version())
    if writer.path.exists() and not overwrite:
        raise UsageError(
            f"{writer.path}: exists already; --overwrite replaces it, --name gives the new one another name. "
            f"Received: --name {name}"
        )
    with writer, contextlib.closing(_pieces(records, days, steps, workers)) as pieces:
        found = itertools.chain.from_iterable(zip(*piece, strict=True) for piece in pieces)
        for object_id, values in command.progress(found, "interpolating", len(records), quiet):
            writer.append(object_id, values)
    return writer.path


def _pieces(records: RecordDirectory, days: tuple[float, ...], steps: int, workers: int) -> Iterator[Piece]:
    starts = range(0, len(records), _PIECE)
    arguments = (os.fspath(records.path.resolve()), days, steps)
    return in_order(_Task, arguments, starts, workers, f"{records.path}: a process that interpolates")


class _Task:
    """Interpolates a piece of the records."""

    def __init__(self, directory: str, days: tuple[float, ...], steps: int) -> None:
        # Only libraries that are loaded are found.
        import scipy.linalg  # noqa: F401
        from threadpoolctl import ThreadpoolController

        self._threads = ThreadpoolController()
        self._records, self._days = RecordDirectory(directory, verify=None), days
        self._interpolate = GridInterpolator([band.wavelength_angstrom for band in self._records.info.bands], steps)

    def __call__(self, start: int) -> Piece:
        ids, values = [], []
        # A process is one core, and how many threads share a sum would show in its last digits.
        with self._threads.limit(limits=1):
            for place in range(start, min(start + _PIECE, len(self._records))):
                record = self._records.record(place)
                ids.append(record.object_id)
                values.append(self._interpolate(record.lc, self._days))
        return ids, np.stack(values)


def without_grid(group: DerivedGroup) -> list[int]:
    """Count the objects that have no grid, for each day of a group."""
    counts = np.zeros(len(group.days), int)
    for first in range(0, len(group), 4096):
        rows = group.values(np.arange(first, min(first + 4096, len(group))))
        counts += np.isnan(rows[:, :, 0]).sum(axis=0)
    return counts.tolist()


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m data_tools.gp_grid",
        description="Interpolate the light curves of a directory of records on a regular grid by a Gaussian process "
        "over time and wavelength, as a derived group beside them.",
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="directory of records")
    parser.add_argument("--name", default="gp_grid", help="of the derived group (%(default)s)")
    parser.add_argument(
        "--days",
        type=days_argument,
        default=(math.inf,),
        metavar="A,B",
        help="days after the reference time, inf for the whole light curve (inf)",
    )
    parser.add_argument("--steps", type=int, default=STEPS, metavar="N", help="times of the grid (%(default)s)")
    parser.add_argument("--workers", type=int, default=cores(), metavar="N", help="processes (one a core: %(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace a group of that name")
    command.add_common_flags(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    arguments = parse_arguments(argv)
    path = compute(
        arguments.directory,
        arguments.name,
        arguments.days,
        steps=arguments.steps,
        workers=arguments.workers,
        overwrite=arguments.overwrite,
        quiet=arguments.quiet,
    )
    group = DerivedGroup(RecordDirectory(arguments.directory, verify=None), arguments.name)
    print(f"{path}: grids of {arguments.steps} steps ({group.code_version})")
    for day, missing in zip(group.days, without_grid(group), strict=True):
        print(f"day {day:g}: {len(group)} objects: {len(group) - missing} interpolated, {missing} without a grid (NaN)")


if __name__ == "__main__":
    command.run(main)
