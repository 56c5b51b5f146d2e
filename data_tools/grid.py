"""Light curves on a fixed grid, arrays [objects, times, bands], to records: ``python -m data_tools.table --grid``.

One ``.npz`` file, or ``.npy`` files, with the arrays

============  =====================================================================================================
``flux``      [N, T, B]
``weight``    [N, T, B], 1 / flux_err^2; 0 where nothing was observed. Or ``mask`` [N, T, B], 1 observed, 0 not, and
              one error of all fluxes. Without both, a flux of exactly 0 was not observed.
``flux_err``  [N, T, B], instead of weights
``time``      [T] or [N, T], MJD; without it steps from a start
``label``     [N], classes 0, 1 ..., or [N, K], one-hot; -1 or a row of zeros unlabelled
``id``        [N], text or integers; without it the position
``model``     [N, T, B], noiseless fluxes: the target ``flux``
``bands``     [B], text
============  =====================================================================================================

``.npy`` files are told by the ends of their names: ``X_flux.npy`` or ``flux.npy`` is the array ``flux``. The names
``lc_data``, ``real_lc_data`` and ``weightmap`` stand for ``flux``, ``model`` and ``weight``. Nothing is
unpickled.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_tools.formats.arrays import Place, load_rows, open_archive, shape_of
from data_tools.sources import Outcome, Piece, PiecewiseSource
from tfrecords.errors import DataError, UsageError
from tfrecords.info import Band, NativeClass, StaticColumn
from tfrecords.schema import FLAG_UNKNOWN, LightCurve, Record

ARRAYS = ("flux", "weight", "mask", "flux_err", "time", "label", "id", "model", "bands")
_ALIASES = {
    **{"weights": "weight", "weightmap": "weight", "wgtmap": "weight", "labels": "label", "ids": "id", "times": "time"},
    **{"lc_data": "flux", "real_lc_data": "model"},
}
_PIECE = 1000
# Effective wavelengths of LSST's filters (angstrom).
_LSST = {"u": 3671.0, "g": 4827.0, "r": 6223.0, "i": 7546.0, "z": 8691.0, "y": 9712.0, "Y": 9712.0}


class GridSource(PiecewiseSource):
    """Arrays on a fixed grid; a piece is 1,000 objects.

    Parameters
    ----------
    paths : sequence of path
        One .npz file, or .npy files.
    static_columns : sequence of str, optional
        There are none.
    survey : str
    bands : str
        Names and wavelengths, ``g=4827,r=6223``; wavelengths of ugrizy are known.
    zero_point : float
        AB magnitude of a flux of 1.
    start, step : float
        MJD of the first step and days between steps, if there are no times.
    flux_err : float, optional
        Of all fluxes, if there are neither weights nor errors.
    skip_steps : int
        Steps at the start of the arrays that are no observations, such as the start row of a decoder.

    Raises
    ------
    UsageError
        If an option does not go with the arrays.
    DataError
        If an array is missing, damaged or of another shape.
    """

    static_columns: tuple[StaticColumn, ...] = ()

    def __init__(
        self,
        paths: Sequence[Path],
        static_columns: Sequence[str] | None = None,
        survey: str = "grid",
        bands: str = "",
        zero_point: float = 27.5,
        start: float = 0.0,
        step: float = 1.0,
        flux_err: float | None = None,
        skip_steps: int = 0,
    ) -> None:
        if static_columns:
            raise UsageError(f"arrays on a grid have no static columns. Received: {','.join(static_columns)}")
        if not (math.isfinite(zero_point) and math.isfinite(start) and 0 < step < math.inf):
            raise UsageError(
                f"zero point and start are finite, the step positive. Received: {zero_point} {start} {step}"
            )
        self._places = _find(paths)
        if "flux" not in self._places:
            raise UsageError(f"arrays on a grid are .npz or .npy files with 'flux'. Received: {sorted(self._places)}")
        self._start, self._step, self._error, self._skip = start, step, flux_err, skip_steps
        self.survey, self.zero_point, self.flux_unit = survey, zero_point, f"flux ({zero_point:g} mag at 1)"
        shape = shape_of(self._places["flux"])
        if len(shape) != 3:
            raise DataError(f"array 'flux' has the shape [objects, times, bands]. Received: {list(shape)}")
        if not 0 <= skip_steps < max(shape[1], 1):
            raise UsageError(f"--skip-steps leaves some of the {shape[1]} steps. Received: {skip_steps}")
        self._check(shape)
        self.bands = self._bands(bands, shape[2])
        self._count = shape[0]
        self._labels = self._read_labels(shape[0])
        self._ids = self._read_ids(shape[0])
        present = sorted(set(self._labels.tolist()) - {-1})
        self.classes = tuple(NativeClass(each, f"class {each}") for each in present)
        self.targets = ("flux",) if "model" in self._places else ()
        self.options = {
            "arrays": sorted(self._places),
            "start": start,
            "step": step,
            "flux_err": flux_err,
            "skip_steps": skip_steps,
        }

    @classmethod
    def recognises(cls, paths: Sequence[Path]) -> bool:
        """Say whether the files hold an array of fluxes and belong to it."""
        try:
            places = _find(paths)
            return "flux" in places and len(shape_of(places["flux"])) == 3
        except (DataError, UsageError, OSError):
            return False

    def __len__(self) -> int:
        return self._count

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_ids": [], "_labels": None}

    def labels(self) -> tuple[list[str], np.ndarray]:
        """List the objects in the order of the arrays."""
        return self._ids, self._labels

    def pieces(self) -> Sequence[Piece]:
        """List the pieces; every one knows its ids and classes."""
        pieces = []
        for start in range(0, self._count, _PIECE):
            stop = min(start + _PIECE, self._count)
            name = f"{self._places['flux'].path.name}, objects {start} to {stop - 1}"
            pieces.append(Piece(name, range(start, stop), (self._ids[start:stop], self._labels[start:stop])))
        return pieces

    def read(self, piece: Piece, chosen: np.ndarray | None = None) -> Iterator[Outcome]:
        """Read the objects of a piece."""
        start, stop = piece.rows.start, piece.rows.stop
        used = [each for each in ARRAYS if each in self._places and each not in ("label", "id", "bands")]
        arrays = {}
        for name in used:
            place = self._places[name]
            whole = name == "time" and len(shape_of(place)) == 1
            arrays[name] = np.array(load_rows(place) if whole else load_rows(place, start, stop), np.float64)
        ids, labels = piece.details
        for number, object_id in enumerate(ids):
            row = start + number
            if chosen is not None and not chosen[number]:
                yield Outcome(object_id, None, "not selected", row)
                continue
            one = {name: each if name == "time" and each.ndim == 1 else each[number] for name, each in arrays.items()}
            try:
                yield Outcome(object_id, self._record(object_id, int(labels[number]), one), "", row)
            except DataError as error:
                yield Outcome(object_id, None, f"{piece.name}: {error}", row, quarantined=True)

    def _record(self, object_id: str, label: int, one: dict[str, np.ndarray]) -> Record:
        flux = one["flux"]
        error, observed = self._errors(one)
        observed[: self._skip] = False
        time = one.get("time", self._start + self._step * (np.arange(len(flux)) - self._skip))
        steps, bands = np.nonzero(observed)
        if not np.isfinite(time[steps]).all():
            raise DataError(f"array 'time' is finite. Received: {time[steps][~np.isfinite(time[steps])][0]}")
        if (np.diff(time[np.unique(steps)]) < 0).any():
            raise DataError("array 'time' increases. Received: a step that goes back")
        with np.errstate(over="ignore"):
            values = {"flux": flux[observed].astype("<f4"), "flux_err": error[observed].astype("<f4")}
        for name, column in values.items():
            if np.isinf(column).any():
                raise DataError(f"array {name!r} is finite. Received: {column[np.isinf(column)][0]}")
        if (values["flux_err"] <= 0).any():
            raise DataError(f"flux errors are positive. Received: {values['flux_err'].min()}")
        flags = np.full(len(steps), FLAG_UNKNOWN, np.uint8)
        # Equal times stay in the order of the steps only if bands do not turn it round.
        order = np.lexsort((bands, time[steps]))
        lc = LightCurve(time[steps][order], bands[order], values["flux"][order], values["flux_err"][order], flags)
        targets = {"flux": one["model"][observed][order]} if "model" in one else {}
        if targets and np.isinf(targets["flux"]).any():
            raise DataError("array 'model' is finite. Received: an infinite flux")
        return Record(object_id, self.survey, label, lc, np.zeros(0, "<f4"), targets)

    def _errors(self, one: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        flux = one["flux"]
        if "weight" in one:
            weight = one["weight"]
            if not (weight >= 0).all() or np.isinf(weight).any():
                raise DataError(f"array 'weight' is finite and not negative. Received: {weight.min()}")
            observed = weight > 0
            with np.errstate(divide="ignore"):
                error = 1 / np.sqrt(weight)
        elif "flux_err" in one:
            error = one["flux_err"]
            observed = np.isfinite(error) & (error > 0) if "mask" not in one else error == error
        else:
            error, observed = np.full(flux.shape, self._error, np.float64), flux != 0
        if "mask" in one:
            if not np.isin(one["mask"], (0, 1)).all():
                raise DataError("array 'mask' holds 0 and 1. Received: other values")
            mask = one["mask"] == 1
            observed = mask if "weight" not in one and "flux_err" not in one else observed & mask
        return error, observed & ~np.isnan(flux)

    def _check(self, shape: tuple[int, ...]) -> None:
        places = self._places
        for name in ("weight", "mask", "flux_err", "model"):
            if name in places and shape_of(places[name]) != shape:
                raise DataError(f"array {name!r} has the shape {list(shape)}. Received: {list(shape_of(places[name]))}")
        if "time" in places and (found := shape_of(places["time"])) not in ((shape[1],), shape[:2]):
            raise DataError(f"array 'time' has the shape {[shape[1]]} or {list(shape[:2])}. Received: {list(found)}")
        if "weight" in places and "flux_err" in places:
            raise UsageError("errors come from 'weight' or from 'flux_err'. Received: both arrays")
        if "weight" not in places and "flux_err" not in places:
            if self._error is None or not 0 < self._error < math.inf:
                raise UsageError(
                    "without an array 'weight' or 'flux_err', --flux-err is the positive error of all fluxes. "
                    f"Received: {self._error}"
                )
        elif self._error is not None:
            raise UsageError(f"the arrays give the errors; leave out --flux-err. Received: {self._error}")

    def _bands(self, text: str, count: int) -> tuple[Band, ...]:
        entries = [each.partition("=") for each in text.split(",") if each]
        if not entries and "bands" in self._places:
            entries = [(str(each), "", "") for each in load_rows(self._places["bands"]).tolist()]
        if not entries and count == 6:
            entries = [(each, "", "") for each in "ugrizy"]
        if len(entries) != count or len({each[0] for each in entries}) != count:
            names = ",".join(each[0] for each in entries)
            raise UsageError(f"--bands names the {count} bands, such as g=4827,r=6223. Received: {names or 'none'}")
        bands = []
        for name, _, wavelength in entries:
            try:
                bands.append(Band(name, (), float(wavelength) if wavelength else _LSST[name]))
            except (KeyError, ValueError):
                raise UsageError(
                    f"--bands has a wavelength in angstrom for {name!r}. Received: {wavelength!r}"
                ) from None
            if not 0 < bands[-1].wavelength_angstrom < math.inf:
                raise UsageError(f"--bands: wavelengths are positive. Received: {wavelength!r}")
        return tuple(bands)

    def _read_labels(self, count: int) -> np.ndarray:
        if "label" not in self._places:
            return np.full(count, -1, np.int64)
        labels = load_rows(self._places["label"])
        if labels.ndim == 2 and len(labels) == count and labels.shape[1]:
            one_hot = np.asarray(labels, np.float64)
            if not np.isin(one_hot, (0, 1)).all() or (one_hot.sum(axis=1) > 1).any():
                raise DataError("array 'label' has one 1 in every row. Received: other values")
            return np.where(one_hot.any(axis=1), one_hot.argmax(axis=1), -1)
        if labels.shape != (count,) or labels.dtype.kind not in "iuf":
            raise DataError(f"array 'label' holds {count} classes. Received: {labels.dtype} {list(labels.shape)}")
        values = np.asarray(labels, np.float64)
        if not ((values == np.floor(values)) & (values >= -1) & (values < 1 << 31)).all():
            raise DataError("array 'label' holds whole numbers from -1 on. Received: other values")
        return values.astype(np.int64)

    def _read_ids(self, count: int) -> list[str]:
        if "id" not in self._places:
            return [str(each) for each in range(count)]
        ids = load_rows(self._places["id"])
        if ids.shape != (count,) or ids.dtype.kind not in "iuUS":
            raise DataError(f"array 'id' holds {count} texts or integers. Received: {ids.dtype} {list(ids.shape)}")
        return [each.decode("utf-8", "replace") if isinstance(each, bytes) else str(each) for each in ids.tolist()]


def _find(paths: Sequence[Path]) -> dict[str, Place]:
    found: dict[str, Place] = {}
    for path in map(Path, paths):
        if path.suffix == ".npz":
            with open_archive(path) as file:
                names = {name.removesuffix(".npy"): name for name in file.namelist()}
            places = {_ALIASES.get(name, name): Place(path, member) for name, member in names.items()}
        elif path.suffix == ".npy":
            known = path.stem in _ALIASES
            name = path.stem if known else path.stem.rsplit("_", 1)[-1]
            name = "flux_err" if path.stem.endswith("flux_err") else name
            places = {_ALIASES.get(name, name): Place(path)}
        else:
            raise UsageError(f"arrays on a grid are .npz or .npy files. Received: {path.name}")
        for name, place in places.items():
            if name not in ARRAYS:
                raise UsageError(f"{path.name}: arrays are {', '.join(ARRAYS)}. Received: {name!r}")
            if name in found:
                raise UsageError(f"array {name!r} stands in one file. Received: {found[name].path.name}, {path.name}")
            found[name] = place
    return found
