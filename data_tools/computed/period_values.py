"""What a catalogue of variable stars says of a light curve: period, amplitude and shape.

Values are magnitudes ``zero_point - 2.5 log10 flux`` with the errors ``2.5 / ln 10 * flux_err / flux``, or, on request,
fluxes. Rows without a value, flagged as saturated or, for magnitudes, with a flux that is not positive are left out;
if the latter are `MOST_NEGATIVE` of the rows or more (fluxes of difference images) all columns are NaN. ``x`` are the
values of all bands, each minus its band's mean; ``z`` is ``x`` over its band's standard deviation; bands of fewer than
3 rows, or whose values are all equal, are left out. Moments are of the population. Columns:

==========================  ========================================================================================
``period``                  days; `data_tools.computed.period_search` says how it is found
``period_power``            ``1 - chi2 / chi2_0`` of the fit with harmonics at the period, of ``z``
``period_harmonics``        their number
``lksl_statistic``          ``sum (z_(i+1) - z_i)^2 / sum z_i^2 * (N - 1) / (2 N)``, rows in the order of their phase,
                            the last one followed by the first (Lafler & Kinman 1965, ApJS 11, 216; Clarke 2002,
                            A&A 386, 763): about 1 for noise, near 0 for a smooth curve
``lksl_statistic_double``   the same at twice the period
``fourier_r21, _r31``       ``A_k / A_1`` of ``z = c + sum_k A_k cos(2 pi k t / period + phi_k)``, a fit of 4 harmonics
                            (fewer where there are few visits; what is not fitted is NaN)
``fourier_phi21_cos, ...``  cosine and sine of ``phi_k - k phi_1`` (Simon & Lee 1981, ApJ 248, 291), k of 2 and 3
``amplitude``               97.5th minus 2.5th percentile of ``x``
``mean_mag``                mean of the values over all rows; ``mean_flux`` of fluxes
``std``                     standard deviation of ``x``
``skewness, kurtosis``      third moment of ``z``; fourth moment minus 3
``von_neumann_eta``         mean squared difference of successive ``z`` of a band (von Neumann 1941)
``stetson_k``               ``mean |d| / sqrt(mean d^2)``, d each residual from its band's weighted mean over its error
                            (Stetson 1996, PASP 108, 851)
``beyond_1_std``            share of rows with ``|z| > 1``
``median_minus_mean``       of ``x``
==========================  ========================================================================================

All are NaN with fewer than `MIN_ROWS` rows, those of the period and the curve with fewer than `MIN_VISITS` visits.
"""

from __future__ import annotations

import numpy as np

from data_tools.computed import period_search
from tfrecords.info import StaticColumn
from tfrecords.schema import FLAG_SATURATED, LightCurve

MIN_ROWS = 5
MIN_VISITS = 15
MOST_NEGATIVE = 0.1
# Errors of the search in units of a band's standard deviation: no fit of a few harmonics is better than this, and
# without it a few rows with tiny errors would decide. Outliers count as this many standard deviations.
ERROR_FLOOR = 0.3
LARGEST = 6.0

_CURVE = ("period", "period_power", "period_harmonics", "lksl_statistic", "lksl_statistic_double")
_FOURIER = (
    "fourier_r21", "fourier_r31",
    "fourier_phi21_cos", "fourier_phi21_sin", "fourier_phi31_cos", "fourier_phi31_sin",
)  # fmt: skip
_STATISTICS = (
    "amplitude", "mean", "std", "skewness", "kurtosis", "von_neumann_eta", "stetson_k", "beyond_1_std",
    "median_minus_mean",
)  # fmt: skip
_IN_UNITS = ("amplitude", "mean", "std", "median_minus_mean")
VALUES = ("magnitude", "flux")


def columns(values: str, flux_unit: str) -> tuple[StaticColumn, ...]:
    """Give the columns with their units, for `values` of ``magnitude`` or ``flux``."""
    unit, mean = ("mag", "mean_mag") if values == "magnitude" else (flux_unit, "mean_flux")
    units = {"period": "d"} | dict.fromkeys(_IN_UNITS, unit)
    names = (*_CURVE, *_FOURIER, *_STATISTICS)
    return tuple(StaticColumn(mean if name == "mean" else name, units.get(name, "")) for name in names)


class PeriodValues:
    """Computes the columns of light curves, one at a time.

    Parameters
    ----------
    zero_point : float
        AB magnitude of a flux of 1.
    values : {'magnitude', 'flux'}
    min_period : float
        Days.
    max_period : float, optional
        Days; by default the span of the light curve.
    """

    def __init__(
        self, zero_point: float, values: str = "magnitude", min_period: float = 0.04, max_period: float | None = None
    ) -> None:
        self._zero_point, self._values = zero_point, values
        self._range = (min_period, max_period)

    def __call__(self, lc: LightCurve | None) -> np.ndarray:
        """Give the columns of a light curve, f8 [columns], finite or NaN."""
        rows = self._rows(lc) if lc is not None else None
        if rows is None:
            return np.full(len(_CURVE) + len(_FOURIER) + len(_STATISTICS), np.nan)
        time, band, value, error = rows
        x, z, scale, residual = (np.empty(len(value)) for _ in range(4))
        for number in np.unique(band):
            own = band == number
            x[own] = value[own] - value[own].mean()
            scale[own] = value[own].std()
            z[own] = x[own] / scale[own]
            weight = error[own] ** -2
            mean = (weight * value[own]).sum() / weight.sum()
            residual[own] = np.sqrt(own.sum() / (own.sum() - 1)) * (value[own] - mean) / error[own]
        found = np.concatenate([self._curve(time, z, error / scale), _statistics(band, value, x, z, residual)])
        found[~np.isfinite(found) | (np.abs(found) > np.finfo("f4").max)] = np.nan
        return found

    def _rows(self, lc: LightCurve) -> tuple[np.ndarray, ...] | None:
        good = np.isfinite(lc.flux) & np.isfinite(lc.flux_err) & ((lc.flags & FLAG_SATURATED) == 0)
        time, band = lc.time[good], lc.band[good]
        flux, error = lc.flux[good].astype(np.float64), lc.flux_err[good].astype(np.float64)
        if self._values == "magnitude":
            positive = flux > 0
            if (~positive).sum() >= MOST_NEGATIVE * len(flux):
                return None
            time, band, flux, error = (each[positive] for each in (time, band, flux, error))
            flux, error = self._zero_point - 2.5 * np.log10(flux), 2.5 / np.log(10) * error / flux
        kept = np.zeros(len(time), bool)
        for number in np.unique(band):
            own = band == number
            kept |= own & (own.sum() >= 3) & (np.ptp(flux[own]) > 0)
        if kept.sum() < MIN_ROWS:
            return None
        return time[kept], band[kept], flux[kept], error[kept]

    def _curve(self, time: np.ndarray, z: np.ndarray, error: np.ndarray) -> np.ndarray:
        missing = np.full(len(_CURVE) + len(_FOURIER), np.nan)
        if period_search.visits(time, self._range[0]) < MIN_VISITS:
            return missing
        clipped, weight = np.clip(z, -LARGEST, LARGEST), 1 / (error**2 + ERROR_FLOOR**2)
        dark = 1 if self._values == "magnitude" else -1
        found = period_search.search(time, clipped, weight, *self._range, dark=dark)
        if found is None:
            return missing
        strings = [string_length(time, z, factor * found.period) for factor in (1, 2)]
        amplitude, phase = period_search.harmonics(time, clipped, weight, found.period, self._range[0])
        ratio = amplitude / amplitude[0]
        relative = phase - np.arange(1, 5) * phase[0]
        shape = (ratio[1], ratio[2], *(f(relative[k]) for k in (1, 2) for f in (np.cos, np.sin)))
        return np.array([found.period, found.power, found.harmonics, *strings, *shape])


def string_length(time: np.ndarray, z: np.ndarray, period: float) -> float:
    """Give the Lafler-Kinman statistic, normalised, of centred values folded on a period."""
    folded = z[np.argsort(time / period % 1, kind="stable")]
    steps = np.diff(folded, append=folded[0])
    return float((steps**2).sum() / (z**2).sum() * (len(z) - 1) / (2 * len(z)))


def _statistics(band: np.ndarray, value: np.ndarray, x: np.ndarray, z: np.ndarray, residual: np.ndarray) -> np.ndarray:
    low, high = np.percentile(x, (2.5, 97.5))
    steps = np.concatenate([np.diff(z[band == number]) for number in np.unique(band)])
    return np.array(
        [
            high - low,
            value.mean(),
            x.std(),
            (z**3).mean(),
            (z**4).mean() - 3,
            (steps**2).mean(),
            np.abs(residual).mean() / np.sqrt((residual**2).mean()),
            (np.abs(z) > 1).mean(),
            np.median(x),
        ]
    )
