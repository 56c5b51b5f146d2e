"""Values of the computed features of one light curve; `feature_list` defines them."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from data_tools.computed.feature_list import (
    BAND,
    LATE,
    NEAR,
    OBJECT,
    OF_DETECTIONS,
    OWN,
    PACKAGE,
    PAIR,
    VERSION,
    WINDOWS,
    columns,
)
from tfrecords.errors import DataError
from tfrecords.schema import FLAG_DETECTED, FLAG_TRIGGER, FLAG_UNKNOWN, LightCurve
from tfrecords.times import reference_time

_PLACE = {name: place for place, name in enumerate((*PACKAGE, *OWN))}
_COLORS = [_PLACE[name] for name in ("peak_flux", "weighted_mean", "snr_flux")]
_EDGES = np.array([*WINDOWS, NEAR, LATE], np.float64)
# Without a row both counts are 0 and all else is missing.
_NO_ROWS = np.array([0.0 if name in ("count", "detected_count") else np.nan for name in _PLACE])


def code_version() -> str:
    """Name what the values depend on: the version of the list and of the `light-curve` package.

    Raises
    ------
    DataError
        If the package is not installed.
    """
    try:
        return f"features {VERSION}, light-curve {importlib.metadata.version('light-curve')}"
    except importlib.metadata.PackageNotFoundError as error:
        raise DataError(
            "computed features need the package light-curve, which is not installed; "
            "install it with pip install 'timedomain-zoo[features]'. Received: no such package"
        ) from error


class FeatureExtractor:
    """Computes the features of light curves, one at a time.

    Parameters
    ----------
    bands : sequence of str
        Names of the band table.

    Attributes
    ----------
    columns : list of str

    Raises
    ------
    DataError
        If the `light-curve` package is not installed, or gives other features than this list was written for.
    """

    def __init__(self, bands: Sequence[str]) -> None:
        code_version()
        import light_curve

        self.columns = columns(bands)
        self._bands = len(bands)
        base = [*(BAND * len(bands)), *(PAIR * (len(bands) - 1)), *OBJECT]
        self._of_detections = np.array([name in OF_DETECTIONS for name in base])
        self._statistics = light_curve.Extractor(*_statistics(light_curve))
        given = tuple(self._statistics.names)
        if given != PACKAGE:
            raise DataError(
                f"the installed light-curve package does not give the features of list {VERSION}; install the "
                f"version in constraints.txt. Received: {', '.join(given)}"
            )

    def __call__(self, lc: LightCurve | None, days: Sequence[float]) -> np.ndarray:
        """Compute the features of an object at some days after its reference time.

        Parameters
        ----------
        lc : LightCurve or None
            Rows sorted by time. A row with NaN in flux or error counts as none.
        days : sequence of float
            Positive. Each row of the answer is computed from the observations until so many days after the
            reference time; infinity for all.

        Returns
        -------
        numpy.ndarray
            f4 [days, columns], finite or NaN.

        Raises
        ------
        DataError
            If the `light-curve` package fails.
        """
        try:
            return self._compute(lc, days)
        except BaseException as error:
            # A panic in the compiled code of the package is no Exception, and no process can be sent it.
            if type(error).__module__ != "pyo3_runtime":
                raise
            raise DataError(f"the light-curve package failed. Received: {error}") from None

    def _compute(self, lc: LightCurve | None, days: Sequence[float]) -> np.ndarray:
        values = np.full((len(days), len(self.columns)), np.nan)
        if lc is None or not (good := np.isfinite(lc.flux) & np.isfinite(lc.flux_err)).any():
            return values.astype("<f4")
        flags = lc.flags[good]
        rows = _Rows(
            time=lc.time[good] - reference_time(lc.time[good], flags),
            band=lc.band[good].astype(np.intp),
            flux=lc.flux[good].astype(np.float64),
            error=lc.flux_err[good].astype(np.float64),
            detected=(flags & (FLAG_DETECTED | FLAG_TRIGGER)) != 0,
        )
        by_band = [rows.keep(rows.band == band) for band in range(self._bands)]
        known: dict[tuple[int, int], np.ndarray] = {}
        ends = np.array([rows.count_until(day) for day in days])
        # A float64 can be beyond a float32, and most quantities divide by something that may be zero.
        with np.errstate(all="ignore"):
            for place, end in enumerate(ends):
                if place and end == ends[place - 1]:
                    values[place] = values[place - 1]
                else:
                    cuts = [band.until(band.count_until(days[place])) for band in by_band]
                    values[place] = self._values(rows.until(end), cuts, known)
            found = values.astype("<f4")
        found[~np.isfinite(found)] = np.nan
        flagged = (flags & FLAG_UNKNOWN) == 0
        no_flags = ends <= (np.argmax(flagged) if flagged.any() else len(flags))
        found[np.ix_(no_flags, self._of_detections)] = np.nan
        return found

    def _values(self, rows: _Rows, cuts: list[_Rows], known: dict[tuple[int, int], np.ndarray]) -> np.ndarray:
        peak = int(np.argmax((rows.flux - rows.error) / rows.error))
        own, windows = [], []
        for band, cut in enumerate(cuts):
            key = (band, len(cut.time))
            if key not in known:
                known[key] = self._band_values(cut)
            own.append(known[key])
            windows.append(_window_means(cut, rows.time[peak]))
        parts = []
        for values, means in zip(own, windows, strict=True):
            parts += [values, means[: len(WINDOWS)] / values[_PLACE["peak_flux"]]]
        for one in range(self._bands - 1):
            parts.append(_pair_values(*(each[one : one + 2] for each in (cuts, own, windows))))
        parts.append(_object_values(rows, cuts, own, peak))
        return np.concatenate(parts)

    def _band_values(self, rows: _Rows) -> np.ndarray:
        if not len(rows.time):
            return _NO_ROWS
        # The fill value stands where the package needs more rows than there are.
        statistics = self._statistics(*_merged(rows), sorted=True, check=False, fill_value=np.nan)
        return np.concatenate([statistics, _own_values(rows)])


class _Rows(NamedTuple):
    """Rows of an object or of one band of it, their times after the reference time ascending."""

    time: np.ndarray
    band: np.ndarray
    flux: np.ndarray
    error: np.ndarray
    detected: np.ndarray

    def keep(self, mask: np.ndarray) -> _Rows:
        return _Rows(*(column[mask] for column in self))

    def until(self, end: int) -> _Rows:
        return _Rows(*(column[:end] for column in self))

    def count_until(self, day: float) -> int:
        return int(np.searchsorted(self.time, day, side="right"))


def _statistics(package) -> tuple:
    return (
        package.Amplitude(),
        package.AndersonDarlingNormal(),
        package.BeyondNStd(1.0),
        package.Cusum(),
        package.Eta(),
        package.EtaE(),
        package.ExcessVariance(),
        package.InterPercentileRange(0.25),
        package.InterPercentileRange(0.1),
        package.Kurtosis(),
        package.LinearFit(),
        package.MagnitudePercentageRatio(0.4, 0.05),
        package.MaximumSlope(),
        package.Mean(),
        package.Median(),
        package.MedianAbsoluteDeviation(),
        package.MedianBufferRangePercentage(0.1),
        package.OtsuSplit(),
        package.PercentAmplitude(),
        package.ReducedChi2(),
        package.Roms(),
        package.Skew(),
        package.StandardDeviation(),
        package.StetsonK(),
        package.WeightedMean(),
    )


def _merged(rows: _Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give time, flux and error of a band with strictly ascending times, without which the package panics."""
    if (rows.time[1:] > rows.time[:-1]).all():
        return rows.time, rows.flux, rows.error
    time, place = np.unique(rows.time, return_inverse=True)
    weight = rows.error**-2.0
    total = np.bincount(place, weight)
    return time, np.bincount(place, weight * rows.flux) / total, total**-0.5


def _own_values(rows: _Rows) -> tuple[float, ...]:
    snr = rows.flux / rows.error
    peak = int(np.argmax(rows.flux - rows.error))
    weight = snr * snr
    weight = weight / weight.sum()
    center = weight @ rows.time
    return (
        len(rows.time),
        rows.detected.sum(),
        rows.flux.min(),
        rows.flux.max(),
        snr.min(),
        snr.max(),
        rows.flux[peak],
        rows.time[peak],
        weight @ rows.flux,
        center,
        np.sqrt(weight @ (rows.time - center) ** 2),
        (snr < -3.0).mean(),
    )


def _window_means(rows: _Rows, peak: float) -> np.ndarray:
    means = np.full(len(_EDGES), np.nan)
    starts, ends = np.searchsorted(rows.time, (peak + _EDGES).T, side="right")
    for place in np.flatnonzero(ends > starts):
        inside = slice(starts[place], ends[place])
        weight = rows.error[inside] ** -2.0
        means[place] = weight @ rows.flux[inside] / weight.sum()
    return means


def _pair_values(cuts: list[_Rows], own: list[np.ndarray], windows: list[np.ndarray]) -> list[float]:
    if not all(len(rows.time) for rows in cuts):
        return [np.nan] * len(PAIR)
    scale = np.sqrt(2.0 * sum((rows.error**2).mean() for rows in cuts))
    fluxes = [(*values[_COLORS], *means[-2:]) for values, means in zip(own, windows, strict=True)]
    first, second = np.arcsinh(np.array(fluxes) / scale)
    lag = own[1][_PLACE["peak_time"]] - own[0][_PLACE["peak_time"]]
    return [*(first - second), lag]


def _object_values(rows: _Rows, cuts: list[_Rows], own: list[np.ndarray], peak: int) -> list[float]:
    snr = rows.flux / rows.error
    detections = rows.time[rows.detected]
    counts = [float(len(detections)), sum(float(cut.detected.any()) for cut in cuts)]
    if len(detections):
        first, last = detections[0], detections[-1]
        within = (rows.time >= first) & (rows.time <= last)
        detected = [
            first,
            last,
            last - first,
            np.diff(detections).max() if len(detections) > 1 else 0.0,
            rows.detected[within].mean(),
            rows.time[peak] - first,
            last - rows.time[peak],
        ]
    else:
        detected = [np.nan] * 7
    place = _PLACE["weighted_mean"]
    squares = sum(
        (((cut.flux - values[place]) / cut.error) ** 2).sum()
        for cut, values in zip(cuts, own, strict=True)
        if len(cut.time)
    )
    freedom = len(rows.time) - sum(len(cut.time) > 0 for cut in cuts)
    return [
        float(len(rows.time)),
        *counts,
        *detected,
        rows.time[0],
        rows.time[-1],
        rows.time[peak],
        rows.flux[peak],
        rows.flux[peak] / rows.error[peak],
        float(rows.band[peak]),
        squares / freedom if freedom else np.nan,
        np.sqrt((snr * snr).sum()),
        (snr < -3.0).mean(),
    ]
