"""Explosion times of a directory of records, as a derived group beside them.

The rise of a light curve is fitted by f(t) = a max(0, t − t0)² + c, with a ≥ 0 and c of each band and a t0 that all
bands share, between 25 days before the reference time and the reference time itself, on the observations until 5 days
before the largest flux (Muthukrishna et al. 2019, arXiv:1904.00014). For every t0 of a fine scan a and c follow from
least squares, so nothing is drawn at random. Times are those of the observer.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from data_tools.engine.processes import cores, in_order
from tfrecords import command
from tfrecords.derived import DerivedGroup, DerivedWriter
from tfrecords.errors import UsageError
from tfrecords.reader import RecordDirectory
from tfrecords.schema import FLAG_SATURATED, LightCurve
from tfrecords.times import reference_time

NAME, VERSION = "explosion_times", "explosion_time 1"
COLUMNS = ("t0", "spread", "flag")
FITTED, TOO_FEW, NO_RISE = 0, 1, 2
"""Values of the column ``flag``; t0 and spread are NaN where it is not `FITTED`."""

EARLIEST, BEFORE_PEAK = -25.0, 5.0
_SCAN = np.linspace(EARLIEST, 0.0, 251)
_ROWS = 4
_RISE = 9.0
_PIECE = 256

Piece = tuple[list[str], np.ndarray]


def fit(lc: LightCurve | None) -> np.ndarray:
    """Fit the explosion time of one light curve.

    Parameters
    ----------
    lc : LightCurve or None

    Returns
    -------
    numpy.ndarray
        f8 [3]: ``t0`` in days from the reference time; ``spread``, the standard deviation of t0 under
        exp(−χ² / 2) over the scan, with errors enlarged where χ² a degree of freedom is above 1; ``flag``: 0
        fitted, 1 fewer than four usable observations before the peak, or no band with three, 2 no rise (χ² less
        than 9 below that of constant flux).
    """
    nothing = np.array([np.nan, np.nan, TOO_FEW])
    if lc is None:
        return nothing
    time, flux, error = (np.asarray(item, "float64") for item in (lc.time, lc.flux, lc.flux_err))
    good = np.isfinite(time) & np.isfinite(flux) & np.isfinite(error) & (error > 0)
    good &= (lc.flags & FLAG_SATURATED) == 0
    if not good.any():
        return nothing
    time = time - reference_time(lc.time, lc.flags)
    early = good & (time < time[good][np.argmax(flux[good])] - BEFORE_PEAK)
    bands = [early & (lc.band == band) for band in np.unique(lc.band[early])]
    if early.sum() < _ROWS or max(band.sum() for band in bands) < 3:
        return nothing
    found = [_chi_squares(time[band], flux[band], error[band]) for band in bands]
    chi, constant = (sum(part) for part in zip(*found, strict=True))
    best = int(np.argmin(chi))
    if constant - chi[best] < _RISE:
        return np.array([np.nan, np.nan, NO_RISE])
    freedom = max(early.sum() - 2 * len(bands) - 1, 1)
    weight = np.exp(-0.5 * (chi - chi[best]) / max(chi[best] / freedom, 1.0))
    mean = np.average(_SCAN, weights=weight)
    # Where a single t0 is left, it still stands for a step of the scan.
    spread = np.sqrt(np.average(np.square(_SCAN - mean), weights=weight) + np.square(_SCAN[1] - _SCAN[0]) / 12)
    return np.array([_lowest(chi, best), spread, FITTED])


def _chi_squares(time: np.ndarray, flux: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, float]:
    """Give χ² of one band's best a and c at every t0 of the scan, and that of constant flux."""
    weight = 1.0 / np.square(error)
    flux = flux - np.average(flux, weights=weight)
    rise = np.square(np.maximum(time[:, None] - _SCAN, 0.0))
    rise -= np.average(rise, axis=0, weights=weight)
    square, product = weight @ np.square(rise), (weight * flux) @ rise
    slope = np.where(square > 0, np.maximum(product, 0.0) / np.where(square > 0, square, 1.0), 0.0)
    constant = float(weight @ np.square(flux))
    return constant - 2 * slope * product + np.square(slope) * square, constant


def _lowest(chi: np.ndarray, best: int) -> float:
    """Give the lowest point of the parabola through the lowest of the scan and its neighbours."""
    if not 0 < best < len(chi) - 1:
        return float(_SCAN[best])
    left, middle, right = chi[best - 1 : best + 2]
    bend = left - 2 * middle + right
    shift = 0.5 * (left - right) / bend if bend > 0 else 0.0
    return float(_SCAN[best] + shift * (_SCAN[1] - _SCAN[0]))


def compute(
    directory: str | os.PathLike,
    name: str = NAME,
    *,
    workers: int = 1,
    overwrite: bool = False,
    quiet: bool = True,
) -> Path:
    """Fit the explosion times of all records and write them as a derived group.

    Parameters
    ----------
    directory : path
        A directory of records.
    name : str
        Of the derived group.
    workers : int
        Processes; 1 computes in this one.
    overwrite : bool
        Replace a group of that name.
    quiet : bool
        No progress bar.

    Returns
    -------
    pathlib.Path
        Of the group, with the columns ``t0``, ``spread`` and ``flag`` of `fit`, for the whole light curve.

    Raises
    ------
    UsageError
        If workers or name cannot be, or the group exists and may not be replaced.
    DataError
        If there are no records, or one is damaged. Nothing of the group stays.
    """
    if workers < 1:
        raise UsageError(f"--workers is at least 1. Received: {workers}")
    records = RecordDirectory(directory)
    writer = DerivedWriter(records, name, COLUMNS, (float("inf"),), VERSION)
    if writer.path.exists() and not overwrite:
        raise UsageError(
            f"{writer.path}: exists already; --overwrite replaces it, --name gives the new one another name. "
            f"Received: --name {name}"
        )
    with writer, contextlib.closing(_pieces(records, workers)) as pieces:
        found = itertools.chain.from_iterable(zip(*piece, strict=True) for piece in pieces)
        for object_id, values in command.progress(found, "fitting explosion times", len(records), quiet):
            writer.append(object_id, values)
    return writer.path


def _pieces(records: RecordDirectory, workers: int) -> Iterator[Piece]:
    """Give ids and values of one piece of the records after the other."""
    starts = range(0, len(records), _PIECE)
    arguments = (os.fspath(records.path.resolve()),)
    return in_order(_make_task, arguments, starts, workers, f"{records.path}: a process that fits explosion times")


def _make_task(directory: str):
    records = RecordDirectory(directory, verify=None)

    def piece(start: int) -> Piece:
        found = [records.record(place) for place in range(start, min(start + _PIECE, len(records)))]
        values = np.stack([fit(record.lc) for record in found])
        return [record.object_id for record in found], values[:, None].astype("<f4")

    return piece


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m data_tools.explosion_time",
        description="Fit the explosion times of a directory of records, as a derived group beside them. The task "
        "per_step takes them with --target-group.",
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="directory of records")
    parser.add_argument("--name", default=NAME, help="of the derived group (%(default)s)")
    parser.add_argument("--workers", type=int, default=cores(), metavar="N", help="processes (one a core: %(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace a group of that name")
    command.add_common_flags(parser)
    options = parser.parse_args(argv)
    path = compute(
        options.directory, options.name, workers=options.workers, overwrite=options.overwrite, quiet=options.quiet
    )
    records = RecordDirectory(options.directory, verify=None)
    group = DerivedGroup(records, options.name)
    flags = group.values(np.arange(len(records)))[:, -1, COLUMNS.index("flag")]
    few, flat = int((flags == TOO_FEW).sum()), int((flags == NO_RISE).sum())
    print(f"{path}: {len(flags) - few - flat} of {len(flags)} fitted; {few} with too few observations, {flat} no rise")


if __name__ == "__main__":
    command.run(main)
