"""Four classes of toy transients, made by the function of Bazin et al. 2009, as a directory of records.

    f(t) = A exp(-(t - t0) / tau_fall) / (1 + exp(-(t - t0) / tau_rise)),    t0 = 40 days

An object is seen once a day for 100 days in each of six bands. Its parameters are drawn anew for every band, most of
the points are dropped at random, and photometric noise is added if asked for. The noiseless twin of a row, by the mean
parameters of class and band, is its target ``flux``. Every object has a random generator of its own, from the seed and
its number: the same seed gives the same objects, however many there are and whatever process makes them.

The flux errors are those of the noise. Without noise there are none to state, and every row has the error 0.1: a weight
1 / error² of 100, the value that the published toy set gives to an observed point (``--flux-err weight`` does so with
noise as well). Rows are flagged as detected where the flux is above 5 errors of the noise, without noise all of them.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from data_tools.engine.conversion import add_output_flags, run_conversion
from data_tools.engine.processes import in_order
from data_tools.readers.plasticc_survey import BANDS as LSST_BANDS
from data_tools.sources import Outcome
from tfrecords import command
from tfrecords.errors import UsageError
from tfrecords.info import Band, NativeClass
from tfrecords.schema import FLAG_DETECTED, LightCurve, Record

SURVEY = "bazin"
DAYS, PEAK = 100, 40.0
WEIGHT_ERROR = 0.1
"""Flux error by which an observed point has the weight of the published toy set."""

DETECTION = 5.0
_PIECE = 256

CLASSES = (
    NativeClass(0, "slow"),
    NativeClass(1, "fast"),
    NativeClass(2, "sudden"),
    NativeClass(3, "gradual"),
)
# Mean and standard deviation of A, tau_rise and tau_fall; A loses SLOPES with every band.
_MEANS = np.array([[100, 5, 30], [103, 5, 10], [100, 1, 10], [100, 10, 15]], float)
_SPREADS = np.array([[10, 1, 1], [10, 1, 1], [5, 0.2, 0.5], [10, 0.5, 1]], float)
_SLOPES = np.array([2, 2, 0, 0], float)


@dataclasses.dataclass(frozen=True)
class Settings:
    """How the objects are observed.

    Attributes
    ----------
    noise : (str, float) or None
        ``("flux", S)``: Gaussian noise with a standard deviation of S flux units. ``("snr", R)``: of the band's
        largest noiseless flux over R. None for no noise.
    drop_fraction : float
        Share of the 100 points of a band that is dropped.
    flux_err : {"noise", "weight"}
        The noise's standard deviation, or 0.1 for every row.
    start_mjd : float
        MJD of t = 0.
    """

    noise: tuple[str, float] | None = None
    drop_fraction: float = 0.9
    flux_err: str = "weight"
    start_mjd: float = 60000.0

    def __post_init__(self) -> None:
        if self.noise is not None and not (self.noise[0] in ("flux", "snr") and 0 < self.noise[1] < np.inf):
            raise UsageError(f"--noise is flux:S or snr:R with a positive number. Received: {self.noise}")
        if not 0 <= self.drop_fraction < 1 or not self.kept:
            raise UsageError(
                f"--drop-fraction lies in [0, 1) and leaves one of {DAYS} points. Received: {self.drop_fraction:g}"
            )
        if self.flux_err not in ("noise", "weight"):
            raise UsageError(f"--flux-err is noise or weight. Received: {self.flux_err!r}")
        if self.flux_err == "noise" and self.noise is None:
            raise UsageError("--flux-err noise goes with --noise. Received: no noise")
        if not np.isfinite(self.start_mjd):
            raise UsageError(f"--start-mjd is finite. Received: {self.start_mjd}")

    @property
    def kept(self) -> int:
        """Number of points that stay in a band."""
        return DAYS - round(self.drop_fraction * DAYS)


def bazin(t, amplitude, rise, fall) -> np.ndarray:
    """Compute A exp(-(t - t0) / tau_fall) / (1 + exp(-(t - t0) / tau_rise)), f8; arguments broadcast."""
    since = np.asarray(t, float) - PEAK
    # Far before a steep rise the denominator is infinite and the flux 0, as it should be.
    with np.errstate(over="ignore"):
        return amplitude * np.exp(-since / fall) / (1 + np.exp(-since / rise))


def class_of(number: int, seed: int) -> int:
    """Give the class of an object: each class once in every four objects, in random order."""
    return int(np.random.default_rng([seed, number // 4, 1]).permutation(4)[number % 4])


def make(number: int, seed: int, settings: Settings) -> Record:
    """Make an object.

    Parameters
    ----------
    number : int
        Of the object, from 0.
    seed : int
    settings : Settings

    Returns
    -------
    Record
        Rows of all bands with flux and error, and the target ``flux``: the noiseless twin of every row.
    """
    kind = class_of(number, seed)
    random = np.random.default_rng([seed, number, 0])
    bands = np.arange(len(BANDS))
    means = np.tile(_MEANS[kind], (len(bands), 1))
    means[:, 0] -= _SLOPES[kind] * bands
    drawn = means + _SPREADS[kind] * random.standard_normal(means.shape)
    # One band in a million would rise backwards in time.
    while (wrong := drawn[:, 1:] <= 0).any():
        again = means + _SPREADS[kind] * random.standard_normal(means.shape)
        drawn[:, 1:][wrong] = again[:, 1:][wrong]
    days = np.arange(DAYS)
    kept = np.argsort(random.random((len(bands), DAYS)), axis=1)[:, : settings.kept]
    curves, twins = (bazin(days, *each.T[:, :, None]) for each in (drawn, means))
    sigma = np.full(curves.shape, WEIGHT_ERROR)
    if settings.noise is not None:
        kind_of_noise, value = settings.noise
        sigma[:] = value if kind_of_noise == "flux" else curves.max(axis=1, keepdims=True) / value
        curves = curves + sigma * random.standard_normal(curves.shape)
    band, day = np.repeat(bands, settings.kept), kept.ravel()
    order = np.lexsort((band, day))
    band, day = band[order], day[order]
    flux, error = curves[band, day], sigma[band, day]
    detected = np.ones(len(day), bool) if settings.noise is None else flux > DETECTION * error
    if settings.flux_err == "weight":
        error = np.full(len(day), WEIGHT_ERROR)
    lc = LightCurve(settings.start_mjd + day, band, flux, error, detected.astype("u1") * FLAG_DETECTED)
    return Record(_name(number), SURVEY, CLASSES[kind].id, lc, targets={"flux": twins[band, day]})


def _name(number: int) -> str:
    return f"bazin{number}"


class _Task:
    """Makes a piece of the objects."""

    def __init__(self, objects: int, seed: int, settings: Settings) -> None:
        self._objects, self._seed, self._settings = objects, seed, settings

    def __call__(self, start: int) -> list[Record]:
        last = min(start + _PIECE, self._objects)
        return [make(number, self._seed, self._settings) for number in range(start, last)]


BANDS = tuple(
    Band("Y", tuple("y" if alias == "Y" else alias for alias in band.aliases), band.wavelength_angstrom)
    if band.name == "y"
    else band
    for band in LSST_BANDS
)


class BazinSource:
    """The generator as a data source.

    Parameters
    ----------
    objects : int
        How many.
    seed : int
    settings : Settings
    workers : int
        Processes; 1 makes them in this one.
    """

    survey = SURVEY
    bands = BANDS
    zero_point = 27.5
    flux_unit = "arbitrary"
    static_columns = ()
    classes = CLASSES
    targets = ("flux",)

    def __init__(self, objects: int, seed: int, settings: Settings, workers: int = 1) -> None:
        for flag, value in (("--objects", objects), ("--workers", workers)):
            if value < 1:
                raise UsageError(f"{flag} is at least 1. Received: {value}")
        if seed < 0:
            raise UsageError(f"--seed is not negative. Received: {seed}")
        self._objects, self._seed, self._settings, self._workers = objects, seed, settings, workers
        noise = None if settings.noise is None else f"{settings.noise[0]}:{settings.noise[1]:g}"
        self.options = dataclasses.asdict(settings) | {"noise": noise, "objects": objects}

    def __len__(self) -> int:
        return self._objects

    def labels(self) -> tuple[list[str], np.ndarray]:
        """List the objects: ids and classes."""
        numbers = range(self._objects)
        return [_name(each) for each in numbers], np.array([class_of(each, self._seed) for each in numbers], "i8")

    def objects(self, chosen: np.ndarray | None = None) -> Iterator[Outcome]:
        """Make the objects one after the other."""
        pieces = in_order(
            _Task,
            (self._objects, self._seed, self._settings),
            range(0, self._objects, _PIECE),
            self._workers,
            "a process that makes light curves",
        )
        with contextlib.closing(pieces):
            numbers = iter(range(self._objects))
            for piece in pieces:
                for record, row in zip(piece, numbers, strict=False):
                    if chosen is not None and not chosen[row]:
                        yield Outcome(record.object_id, None, "not selected", row)
                    else:
                        yield Outcome(record.object_id, record, "", row)


def _noise(text: str) -> tuple[str, float]:
    kind, _, value = text.partition(":")
    try:
        return kind, float(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"noise is flux:S or snr:R, as in flux:2. Received: {text!r}") from error


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m data_tools.bazin",
        description="Make light curves of four toy classes with their noiseless twins (target flux), as records.",
    )
    add_output_flags(parser)
    parser.add_argument("--objects", type=int, default=10000, metavar="N", help="classes in equal parts (%(default)s)")
    parser.add_argument(
        "--noise",
        type=_noise,
        metavar="flux:S|snr:R",
        help="Gaussian noise of S flux units, or of a band's largest flux over R (none)",
    )
    parser.add_argument(
        "--flux-err",
        choices=("noise", "weight"),
        help="flux errors are those of the noise, or 0.1 for every row (noise with --noise, else weight)",
    )
    parser.add_argument(
        "--drop-fraction", type=float, default=0.9, metavar="F", help="of the 100 points of a band (%(default)s)"
    )
    parser.add_argument(
        "--start-mjd", type=float, default=60000.0, metavar="MJD", help="of the first day (%(default)s)"
    )
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes (%(default)s)")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    arguments = parse_arguments(argv)
    settings = Settings(
        arguments.noise,
        arguments.drop_fraction,
        arguments.flux_err or ("noise" if arguments.noise else "weight"),
        arguments.start_mjd,
    )
    source = BazinSource(arguments.objects, arguments.seed, settings, arguments.workers)
    run_conversion(source, arguments, "data_tools.bazin")


if __name__ == "__main__":
    command.run(main)
