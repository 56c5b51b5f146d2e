"""A light curve in all bands as one Gaussian process over time and wavelength.

The kernel is a Matern-3/2 in r² = (Δt / τ)² + (Δλ / 6000 Å)², of amplitude A around a mean of zero, with the square of
the flux error as noise. A and τ are those of the largest likelihood. The wavelength scale stays fixed, since the few
bands of one object do not tell it (Boone 2019, arXiv:1907.04690).
"""

from __future__ import annotations

import numpy as np

WAVELENGTH_SCALE = 6000.0
# Not scikit-learn's regressor: it searches both parameters by gradients, one factorisation a step. Here all amplitudes
# of a time scale share one eigendecomposition of some milliseconds.
_SCALES = (2.5, 6.0, 14.0, 33.0, 80.0, 190.0, 450.0)
_AMPLITUDES = np.logspace(-2.5, 1.0, 36)
_FIT_ROWS = 160
_ROWS = 400


class GaussianProcess:
    """The process fitted to one light curve.

    Parameters
    ----------
    time : numpy.ndarray
        Days.
    wavelength : numpy.ndarray
        Angstrom, one a row.
    flux, error : numpy.ndarray
        In one unit; errors positive.

    Attributes
    ----------
    scale : float
        τ in days.
    amplitude : float
        A in the unit of the flux.
    """

    def __init__(self, time: np.ndarray, wavelength: np.ndarray, flux: np.ndarray, error: np.ndarray) -> None:
        from scipy.linalg import cho_solve, cholesky

        rows = _thin(len(time), _ROWS)
        self._time, self._wavelength = time[rows].astype(np.float64), wavelength[rows].astype(np.float64)
        flux, error = flux[rows].astype(np.float64), error[rows].astype(np.float64)
        # Duplicates of rows with tiny errors would make the matrix singular.
        error = np.maximum(error, 1e-4 * np.abs(flux).max(initial=0.0) + 1e-12)
        self._fit(flux, error)
        noise = self._kernel(self._time, self._wavelength)
        noise[np.diag_indices_from(noise)] += error**2
        self._factor = cholesky(noise, lower=True, overwrite_a=True, check_finite=False)
        self._weights = cho_solve((self._factor, True), flux, check_finite=False)

    def _fit(self, flux: np.ndarray, error: np.ndarray) -> None:
        rows = _thin(len(flux), _FIT_ROWS)
        flux, error = flux[rows], error[rows]
        time, wavelength = self._time[rows], self._wavelength[rows]
        amplitudes = np.abs(flux).max() * _AMPLITUDES + 1e-12
        apart = np.abs(time[:, None] - time)
        colours = ((wavelength[:, None] - wavelength) / WAVELENGTH_SCALE) ** 2
        whitening = 1 / (error[:, None] * error)
        tried: dict[float, tuple[float, float]] = {}

        def best(scale: float) -> float:
            if scale not in tried:
                correlation = _matern((apart / scale) ** 2 + colours)
                tried[scale] = _likelihood(correlation * whitening, flux / error, amplitudes)
            return tried[scale][0]

        scales = sorted(_SCALES, key=best)
        step = np.log(_SCALES[1] / _SCALES[0])
        for _ in range(2):
            step /= 2
            scales.append(max((scales[-1] * factor for factor in (np.exp(-step), 1.0, np.exp(step))), key=best))
        self.scale = float(scales[-1])
        self.amplitude = tried[self.scale][1]

    def _kernel(self, time: np.ndarray, wavelength: np.ndarray) -> np.ndarray:
        squared = ((time[:, None] - self._time) / self.scale) ** 2
        squared += ((wavelength[:, None] - self._wavelength) / WAVELENGTH_SCALE) ** 2
        return self.amplitude**2 * _matern(squared)

    def predict(self, time: np.ndarray, wavelength: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give mean and standard deviation of the noiseless flux at times (days) and wavelengths (angstrom)."""
        from scipy.linalg import solve_triangular

        kernel = self._kernel(time, wavelength)
        explained = solve_triangular(self._factor, kernel.T, lower=True, check_finite=False)
        variance = self.amplitude**2 - np.einsum("ij,ij->j", explained, explained)
        return kernel @ self._weights, np.sqrt(np.maximum(variance, 0.0))


def _matern(squared: np.ndarray) -> np.ndarray:
    distance = np.sqrt(3 * squared)
    return (1 + distance) * np.exp(-distance)


def _likelihood(correlation: np.ndarray, flux: np.ndarray, amplitudes: np.ndarray) -> tuple[float, float]:
    """Give the largest log-likelihood and its amplitude; correlation and flux are whitened by the errors."""
    from scipy.linalg import eigh

    values, vectors = eigh(correlation, overwrite_a=True, check_finite=False, driver="evd")
    variances = 1 + amplitudes[:, None] ** 2 * np.maximum(values, 0)
    likelihoods = -0.5 * (((vectors.T @ flux) ** 2 / variances).sum(1) + np.log(variances).sum(1))
    place = int(np.argmax(likelihoods))
    return float(likelihoods[place]), float(amplitudes[place])


def _thin(rows: int, most: int) -> np.ndarray:
    """Choose at most so many rows, evenly: an honest sample of cadence and noise, the same in every run."""
    return np.arange(rows) if rows <= most else np.unique(np.linspace(0, rows - 1, most).round().astype(int))
