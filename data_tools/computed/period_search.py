"""The period of a light curve: a fast periodogram for candidates, fits of several harmonics to choose among them.

The search sees values ``z`` (each band centred on its mean and in units of its standard deviation, so that bands of
different amplitude share one curve) and weights ``w``. Its steps:

1. Generalised Lomb-Scargle power with a floating mean (Zechmeister & Kürster 2009, A&A 496, 577),
   ``P(f) = 1 - chi2(f) / chi2_0``, on a grid of `OVERSAMPLING` frequencies a resolution element ``1 / span``. The sums
   over rows are those of a fast Fourier transform of the rows, spread over a grid by a Gaussian (Greengard & Lee 2004,
   SIAM Rev. 46, 443).
2. Candidates: the highest peaks of ``P(f)``, and of ``P(f) + P(2f) + ... + P(kf)`` for k of 2, 4 and 8, which short
   eclipses show in, with their halves and doubles.
3. Each candidate is refined by weighted fits of a mean and up to 8 harmonics (Schwarzenberg-Czerny 1996,
   ApJ 460, L107); the one with the lowest ``BIC = m ln(chi2 / chi2_0) + 2 K ln m`` wins, m the number of nights or
   visits (rows nearer to each other than a quarter of the shortest period count once), K the number of harmonics. The
   penalty decides between a period and its multiples, which fit equally well with more harmonics. Periods above
   `LONG` days are compared with one harmonic: red giants change from cycle to cycle, and whatever changes slowly is
   fitted by enough harmonics of a long period.
4. A frequency within `ALIAS_WIDTH` cycles a day of one or more cycles in a solar or sidereal day, or of one in 2, 3 or
   4 of them, is taken only if it leaves less than `ALIAS_REMAINS` of the chi2 that the best one elsewhere leaves.
5. Eclipsing binaries with two equal minima look like half their period: `is_half_an_eclipsing_period` tells, and the
   period is doubled if it stays below `LONG` days.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SIDEREAL_DAY = 0.99726957
OVERSAMPLING = 5
HARMONICS = 8
LONG = 100.0
ALIAS_WIDTH = 0.004
ALIAS_REMAINS = 0.5
ECLIPSE_RATIO = (0.12, 0.9)
ECLIPSE_COSINE = 0.9
_SUMS = (1, 2, 4, 8)
_PEAKS = 12
# Of the Gaussian that spreads a row: half its width in cells, and cells of the grid for each one that is used.
_REACH = 5
_FINER = 1.5
_LARGEST = 1 << 22


@dataclass(frozen=True)
class Found:
    """A period in days, the number of harmonics, and ``1 - chi2 / chi2_0`` of their fit."""

    period: float
    harmonics: int
    power: float


def search(
    time: np.ndarray,
    z: np.ndarray,
    weight: np.ndarray,
    min_period: float,
    max_period: float | None = None,
    *,
    dark: int = 1,
) -> Found | None:
    """Find the period.

    Parameters
    ----------
    time : numpy.ndarray
        f8 [n], days, ascending.
    z : numpy.ndarray
        f8 [n], centred values.
    weight : numpy.ndarray
        f8 [n], positive.
    min_period : float
        In days.
    max_period : float, optional
        In days; by default, and at most, the time from the first row to the last one.
    dark : int
        1 if larger values are fainter (magnitudes), -1 if brighter: which way eclipses point.

    Returns
    -------
    Found or None
        None where the span is not longer than `min_period`, or all values are equal.
    """
    time = time - time[0]
    span = float(time[-1])
    longest = min(span, max_period or span)
    weight = weight / weight.sum()
    z = z - (weight * z).sum()
    if not longest > min_period or not (weight * z**2).sum() > 0:
        return None
    step = 1 / (OVERSAMPLING * span)
    if 1 / (min_period * step) > _LARGEST:
        # Decades of observations: the shortest periods give way, or one star would fill the memory.
        min_period = 1 / (_LARGEST * step)
    first, last = int(np.ceil(1 / (longest * step))), int(1 / (min_period * step))
    power = periodogram(time, z, weight, step, last)
    power[:first] = 0
    fits = _Fits(time, z, weight, visits(time, min_period))
    places = _candidates(power, first)
    frequency, number, taken = fits.best(places * step, step, (first * step, (last + 0.5) * step))
    if frequency / 2 >= max(first * step, 1 / LONG) and is_half_an_eclipsing_period(*fits.curve(frequency), dark):
        frequency, number = frequency / 2, min(2 * number, HARMONICS)
        taken = float(1 - fits.remaining(np.array([frequency]), number)[0, -1])
    return Found(1 / frequency, number, taken)


def visits(time: np.ndarray, min_period: float) -> int:
    """Count rows, those nearer to each other than a quarter of the shortest period once."""
    return int(len(time) > 0) + int(np.sum(np.diff(time) > min_period / 4))


def harmonics(
    time: np.ndarray, z: np.ndarray, weight: np.ndarray, period: float, min_period: float
) -> tuple[np.ndarray, np.ndarray]:
    """Give amplitudes A_k and phases phi_k, f8 [4], of a fit ``c + sum_k A_k cos(2 pi k t / period + phi_k)``.

    NaN for the harmonics that there are too few visits for. Time counts from the first row.
    """
    return _Fits(time - time[0], z, weight / weight.sum(), visits(time, min_period)).curve(1 / period)


def is_half_an_eclipsing_period(amplitude: np.ndarray, phase: np.ndarray, dark: int) -> bool:
    """Say whether a curve is that of an eclipsing binary with equal minima, folded on half its period.

    Such a curve is symmetric in time, with a minimum sharper than its maximum: in magnitudes the second and the third
    harmonic are in phase with the first at the minimum, ``phi_k - k phi_1`` near 0, and weaker. Pulsating stars with
    harmonics that strong rise faster than they fall. A curve of two unequal minima, folded on its whole period, has the
    stronger second harmonic.
    """
    if not np.isfinite(phase[2]):
        return False
    ratios = amplitude / amplitude[0]
    # Turned over, every phase moves by half a turn.
    phase = phase if dark > 0 else phase + np.pi
    second, third = (np.cos(phase[k - 1] - k * phase[0]) for k in (2, 3))
    strong = ECLIPSE_RATIO[0] < ratios[1] < ECLIPSE_RATIO[1]
    # The phase of a third harmonic in the noise says nothing.
    return bool(strong and second > ECLIPSE_COSINE and ratios[2] * third > -0.03)


def periodogram(time: np.ndarray, z: np.ndarray, weight: np.ndarray, step: float, last: int) -> np.ndarray:
    """Give the normalised power with a floating mean at the frequencies 0, step ... last * step; 0 at the first.

    Parameters
    ----------
    time, z, weight : numpy.ndarray
        f8 [n]; the weights have the sum 1.
    step : float
        Cycles a day.
    last : int
    """
    window, signal = fourier_sums(time, weight, step, 2 * last), fourier_sums(time, weight * z, step, last)
    once, twice = window[: last + 1], window[::2]
    c, s, c2, s2 = once.real, once.imag, twice.real, twice.imag
    mean = (weight * z).sum()
    yy = (weight * z**2).sum() - mean**2
    yc, ys = signal.real - mean * c, signal.imag - mean * s
    cc, ss, cs = 0.5 * (1 + c2) - c**2, 0.5 * (1 - c2) - s**2, 0.5 * s2 - c * s
    determinant = cc * ss - cs**2
    with np.errstate(all="ignore"):
        power = (ss * yc**2 + cc * ys**2 - 2 * cs * yc * ys) / (yy * determinant)
    power[~(determinant > 1e-6) | ~np.isfinite(power)] = 0
    power[0] = 0
    return np.clip(power, 0, 1)


def fourier_sums(time: np.ndarray, values: np.ndarray, step: float, last: int) -> np.ndarray:
    """Give ``sum_j values[j] exp(2 pi i k step time[j])`` for k of 0 ... last, right to 1e-3 of the largest sum."""
    from scipy import fft

    size = fft.next_fast_len(int(2 * _FINER * (last + 1)), real=True)
    # The variance of the best Gaussian for this reach, in cells.
    spread = _REACH / (2 * np.pi * (1 - 1 / (2 * _FINER)))
    position = (time * step % 1) * size
    cell = np.floor(position).astype(np.int64)
    offsets = np.arange(-_REACH + 1, _REACH + 1)
    kernel = np.exp(-(((position - cell)[:, None] - offsets) ** 2) / (2 * spread))
    grid = np.bincount(((cell[:, None] + offsets) % size).ravel(), (kernel * values[:, None]).ravel(), size)
    number = np.arange(last + 1) / size
    undo = np.exp(2 * np.pi**2 * spread * number**2) / np.sqrt(2 * np.pi * spread)
    # Half the memory and time, and the spreading is no more accurate.
    return np.conj(fft.rfft(grid.astype(np.float32))[: last + 1]) * undo.astype(np.float32)


def _candidates(power: np.ndarray, first: int) -> np.ndarray:
    """Give places of the highest peaks of the power and of its sums over harmonics, with halves and doubles."""
    from scipy.ndimage import maximum_filter1d

    found = []
    total = np.zeros(len(power))
    for k in range(1, max(_SUMS) + 1):
        # A step of the fundamental is k steps of this harmonic.
        near = maximum_filter1d(power, k) if k > 1 else power
        part = near[::k]
        total[: len(part)] += part
        if k in _SUMS:
            inside = total[1:-1]
            peaks = 1 + np.flatnonzero((inside >= total[:-2]) & (inside > total[2:]))
            peaks = peaks[peaks >= first]
            count = min(_PEAKS, len(peaks))
            if count:
                found.append(peaks[np.argpartition(-total[peaks], count - 1)[:count]])
    if not found or first + 1 >= len(power):
        found.append(np.array([max(first, int(np.argmax(power)))]))
    tops = np.unique(np.concatenate(found)).astype(float)
    every = np.concatenate([tops, tops / 2, tops * 2, tops / 3])
    return np.unique(np.round(every[(every >= first) & (every < len(power))] * 2)) / 2


class _Fits:
    """Weighted fits of a mean and 1 ... K harmonics."""

    def __init__(self, time: np.ndarray, z: np.ndarray, weight: np.ndarray, visits: int) -> None:
        self._time, self._z, self._weight = time, z, weight
        self._total = (weight * z**2).sum()
        # With fewer visits than this for each free number a curve of many harmonics swings between the rows.
        self._harmonics = int(np.clip((visits / 4 - 1) / 2, 1, HARMONICS))
        self._visits = visits

    def remaining(self, frequency: np.ndarray, harmonics: int) -> np.ndarray:
        """Give ``chi2 / chi2_0`` at frequencies [F] for 1 ... `harmonics`, f8 [F, harmonics]."""
        phase = np.exp(2j * np.pi * np.outer(frequency, self._time))
        powers = np.cumprod(np.broadcast_to(phase[:, None], (len(frequency), harmonics, len(self._time))), axis=1)
        design = np.empty((len(frequency), 2 * harmonics + 1, len(self._time)))
        design[:, 0] = 1
        design[:, 1::2], design[:, 2::2] = powers.real, powers.imag
        weighted = design * self._weight
        normal = weighted @ design.transpose(0, 2, 1)
        normal[:, np.arange(2 * harmonics + 1), np.arange(2 * harmonics + 1)] += 1e-7
        right = weighted @ self._z
        # With the factor L of the normal matrix, each |L^-1 b|^2 is what one more column takes off chi2.
        factor = np.linalg.cholesky(normal)
        taken = np.linalg.solve(factor, right[..., None])[..., 0] ** 2
        return np.maximum(1 - np.cumsum(taken, axis=1)[:, 2::2] / self._total, 1e-9)

    def curve(self, frequency: float) -> tuple[np.ndarray, np.ndarray]:
        """Give amplitudes and phases of up to 4 harmonics, NaN beyond those that can be fitted."""
        number = min(4, self._harmonics)
        angle = 2 * np.pi * frequency * np.outer(np.arange(1, number + 1), self._time)
        root = np.sqrt(self._weight)
        design = np.concatenate([np.ones((1, len(root))), np.cos(angle), np.sin(angle)]) * root
        cosine, sine = np.split(np.linalg.lstsq(design.T, self._z * root, rcond=1e-6)[0][1:], 2)
        empty = np.full(4 - number, np.nan)
        return np.append(np.hypot(cosine, sine), empty), np.append(np.arctan2(-sine, cosine), empty)

    def score(self, remaining: np.ndarray) -> np.ndarray:
        """Give the BIC of fits [F, K]."""
        numbers = np.arange(1, remaining.shape[-1] + 1)
        # The factor of small samples, as in AICc: without it few visits are fitted by what swings between them.
        few = self._visits / np.maximum(self._visits - 2 * numbers - 2, 1)
        return self._visits * np.log(remaining) + 2 * numbers * few * np.log(self._visits)

    def best(self, frequency: np.ndarray, step: float, limits: tuple[float, float]) -> tuple[float, int, float]:
        """Give frequency, harmonics and power of the best of candidates."""
        around = np.arange(-3, 4) / 6
        rows = []
        for centre in frequency:
            near = np.clip(centre + around * step, *limits)
            number = 1 if centre < 1 / LONG else self._harmonics
            remaining = self.remaining(near, number)
            scores = self.score(remaining)
            place, number = np.unravel_index(np.argmin(scores), scores.shape)
            rows.append((scores[place, number], near[place], number + 1, remaining[place, number]))
        rows.sort()
        clear = [row for row in rows if not is_alias(row[1])]
        chosen = rows[0]
        if is_alias(chosen[1]) and clear and chosen[3] > ALIAS_REMAINS * clear[0][3]:
            chosen = clear[0]
        return self._refine(chosen[1], chosen[2], step, limits)

    def _refine(self, frequency: float, number: int, step: float, limits: tuple[float, float]):
        width = step / 6
        for _ in range(4):
            near = np.clip(frequency + np.arange(-4, 5) / 4 * width, *limits)
            left = self.remaining(near, number)[:, -1]
            frequency, width = near[np.argmin(left)], width / 4
        return float(frequency), int(number), float(1 - left.min())


def is_alias(frequency: float) -> bool:
    """Say whether one or several cycles are within `ALIAS_WIDTH` of one day, or one of 2, 3 or 4 days."""
    for day in (1.0, SIDEREAL_DAY):
        cycles = frequency * day
        nearest = max(round(cycles), 1) if cycles > 0.6 else 1 / min(max(round(1 / cycles), 2), 4)
        if abs(frequency - nearest / day) < ALIAS_WIDTH * min(nearest, 1):
            return True
    return False
