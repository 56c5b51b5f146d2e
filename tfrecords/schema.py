"""The record, schema version 1: one object on the sky, its source values as they are.

A record is one ``tf.train.Example``. Arrays are one little-endian byte string each, scalars are int64 or text:

===================  ======================================================================================
``object_id``        text
``survey``           text
``class_id``         int64, native class of the source, -1 unlabelled
``lc/length``        int64, number of rows L; absent without a light curve
``lc/time``          f8 [L], MJD in days
``lc/band``          u1 [L], index into the band table of the data set
``lc/flux``          f4 [L], in the data set's unit (its zero point is in the info file)
``lc/flux_err``      f4 [L], one standard deviation, positive
``lc/flags``         u1 [L], sum of FLAG_DETECTED, FLAG_TRIGGER, FLAG_SATURATED, FLAG_UNKNOWN
``static``           f4 [S], one value a static column of the data set
``target/<name>``    f8, any length: usable as a target, never as an input; with the name of a light-curve column
                     (``target/flux``) f8 [L], a value a row, for instance the noiseless flux
``spectrum/...``     ``wavelength`` (angstrom, increasing), ``flux``, ``ivar``: f4 [W]
``stamps``           f4 [A, H, W, C], with ``stamps/shape`` int64 [4], ``stamps/time`` f8 [A] (MJD) and
                     ``stamps/metadata`` f4 [A, M]
===================  ======================================================================================

Rows are sorted by (time, band, row in the source); duplicates stay. NaN stands only where the source has NaN or
lacks the column; sentinels stay. Infinite values, NaN times and errors at or below zero are refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tfrecords.errors import DataError
from tfrecords.wire import decode_example, encode_entry, encode_example

SCHEMA_VERSION = 1
FLAG_DETECTED = 1
FLAG_TRIGGER = 2
FLAG_SATURATED = 4
FLAG_UNKNOWN = 8
_ALL_FLAGS = FLAG_DETECTED | FLAG_TRIGGER | FLAG_SATURATED | FLAG_UNKNOWN

_LC_TYPES = {"time": "<f8", "band": "u1", "flux": "<f4", "flux_err": "<f4", "flags": "u1"}
_SPECTRUM_TYPES = {"wavelength": "<f4", "flux": "<f4", "ivar": "<f4"}
_STAMP_KEYS = {"stamps", "stamps/shape", "stamps/time", "stamps/metadata"}


@dataclass(eq=False)
class LightCurve:
    """Rows of one object: ``time`` f8, ``band`` u1, ``flux`` f4, ``flux_err`` f4, ``flags`` u1, all of shape [L]."""

    time: np.ndarray
    band: np.ndarray
    flux: np.ndarray
    flux_err: np.ndarray
    flags: np.ndarray

    def __post_init__(self) -> None:
        for name, dtype in _LC_TYPES.items():
            setattr(self, name, np.ascontiguousarray(getattr(self, name), dtype))

    def __len__(self) -> int:
        return len(self.time)


@dataclass(eq=False)
class Spectrum:
    """One spectrum: ``wavelength`` in angstrom, ``flux``, ``ivar`` (inverse variance), all f4 of shape [W]."""

    wavelength: np.ndarray
    flux: np.ndarray
    ivar: np.ndarray

    def __post_init__(self) -> None:
        for name, dtype in _SPECTRUM_TYPES.items():
            setattr(self, name, np.ascontiguousarray(getattr(self, name), dtype))


@dataclass(eq=False)
class Stamps:
    """Image cutouts by alert: ``images`` f4 [A, H, W, C], ``time`` f8 [A] in MJD, ``metadata`` f4 [A, M]."""

    images: np.ndarray
    time: np.ndarray
    metadata: np.ndarray

    def __post_init__(self) -> None:
        self.images = np.ascontiguousarray(self.images, "<f4")
        self.time = np.ascontiguousarray(self.time, "<f8")
        self.metadata = np.ascontiguousarray(self.metadata, "<f4")


@dataclass(eq=False)
class Record:
    """One object.

    Attributes
    ----------
    object_id, survey : str
    class_id : int
        Native class of the source, -1 unlabelled.
    lc : LightCurve or None
        None: the source has no light curve of this object.
    static : numpy.ndarray or None
        f4 [S], in the order of the data set's static columns.
    targets : dict of str to numpy.ndarray
        f8, one-dimensional; one that has the name of a light-curve column has a value for each of its rows.
    spectrum : Spectrum or None
    stamps : Stamps or None
    """

    object_id: str
    survey: str
    class_id: int = -1
    lc: LightCurve | None = None
    static: np.ndarray | None = None
    targets: dict[str, np.ndarray] = field(default_factory=dict)
    spectrum: Spectrum | None = None
    stamps: Stamps | None = None

    def __post_init__(self) -> None:
        if self.static is not None:
            self.static = np.ascontiguousarray(self.static, "<f4")
        self.targets = {name: np.atleast_1d(np.ascontiguousarray(value, "<f8")) for name, value in self.targets.items()}


def sort_rows(lc: LightCurve) -> LightCurve:
    """Sort the rows by (time, band, row in the source); duplicates stay in the order of the source.

    Raises
    ------
    DataError
        If a time is NaN or infinite: such a row has no place in the order.
    """
    _check_times("lc/time", lc.time)
    if _sorted(lc.time, lc.band):
        return lc
    order = np.lexsort((lc.band, lc.time))
    return LightCurve(*(getattr(lc, name)[order] for name in _LC_TYPES))


def encode(record: Record) -> bytes:
    """Encode a record; equal records give equal bytes.

    Returns
    -------
    bytes
        A serialized ``tf.train.Example``.

    Raises
    ------
    DataError
        If the record breaks a rule of the schema; the message names the object and the key.
    """
    _refuse(validate(record), f"object {record.object_id!r}")
    features: dict[str, bytes | list[int]] = {
        "object_id": record.object_id.encode(),
        "survey": record.survey.encode(),
        "class_id": [int(record.class_id)],
    }
    if record.lc is not None:
        features["lc/length"] = [len(record.lc)]
        for name in _LC_TYPES:
            features[f"lc/{name}"] = getattr(record.lc, name).tobytes()
    if record.static is not None:
        features["static"] = record.static.tobytes()
    for name, value in record.targets.items():
        features[f"target/{name}"] = value.tobytes()
    if record.spectrum is not None:
        for name in _SPECTRUM_TYPES:
            features[f"spectrum/{name}"] = getattr(record.spectrum, name).tobytes()
    if record.stamps is not None:
        features["stamps"] = record.stamps.images.tobytes()
        features["stamps/shape"] = list(record.stamps.images.shape)
        features["stamps/time"] = record.stamps.time.tobytes()
        features["stamps/metadata"] = record.stamps.metadata.tobytes()
    return encode_example(features)


def encode_id(object_id: str) -> bytes:
    """Give the bytes that stand in every encoded record of this object, and in no other object's."""
    return encode_entry("object_id", object_id.encode())


def decode(data: bytes, where: str = "") -> Record:
    """Decode and check a record.

    Parameters
    ----------
    data : bytes
        A serialized ``tf.train.Example``.
    where : str
        File and record, for the message of an error.

    Raises
    ------
    DataError
        If the bytes are no record of schema version 1 or break one of its rules.
    """
    try:
        features = decode_example(data)
        record = _from_features(features)
    except DataError as error:
        raise DataError(f"{where}: {error}" if where else str(error)) from error
    _refuse(validate(record), f"{where}, object {record.object_id!r}" if where else f"object {record.object_id!r}")
    return record


def _from_features(features: Mapping[str, bytes | list[int]]) -> Record:
    left = dict(features)
    record = Record(_text(left, "object_id"), _text(left, "survey"), _integers(left, "class_id", 1)[0])
    if "lc/length" in left:
        length = _integers(left, "lc/length", 1)[0]
        arrays = [_array(left, f"lc/{name}", dtype, length) for name, dtype in _LC_TYPES.items()]
        record.lc = LightCurve(*arrays)
    if "static" in left:
        record.static = _array(left, "static", "<f4")
    if "spectrum/wavelength" in left:
        record.spectrum = Spectrum(
            *(_array(left, f"spectrum/{name}", dtype) for name, dtype in _SPECTRUM_TYPES.items())
        )
    if "stamps" in left:
        record.stamps = _decode_stamps(left)
    for key in [key for key in left if key.startswith("target/") and key != "target/"]:
        record.targets[key.removeprefix("target/")] = _array(left, key, "<f8")
    if left:
        raise DataError(f"a record has no such key (or lacks what belongs to it). Received: {sorted(left)}")
    return record


def _decode_stamps(left: dict) -> Stamps:
    shape = _integers(left, "stamps/shape", 4)
    if min(shape) < 1:
        raise DataError(f"key 'stamps/shape' holds four positive sizes. Received: {shape}")
    images = _array(left, "stamps", "<f4", shape[0] * shape[1] * shape[2] * shape[3]).reshape(shape)
    metadata = _array(left, "stamps/metadata", "<f4")
    if len(metadata) % shape[0]:
        raise DataError(f"key 'stamps/metadata' has {shape[0]} rows. Received: {len(metadata)} values")
    return Stamps(images, _array(left, "stamps/time", "<f8", shape[0]), metadata.reshape(shape[0], -1))


def _take(left: dict, key: str, kind: type):
    if key not in left:
        raise DataError(f"key {key!r} is missing. Received: {sorted(left)}")
    value = left.pop(key)
    if not isinstance(value, kind):
        expected = "bytes" if kind is bytes else "int64"
        raise DataError(f"key {key!r} is {expected}. Received: {type(value).__name__}")
    return value


def _text(left: dict, key: str) -> str:
    value = _take(left, key, bytes)
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"key {key!r} is UTF-8 text. Received: {value[:40]!r}") from error


def _integers(left: dict, key: str, count: int) -> list[int]:
    value = _take(left, key, list)
    if len(value) != count:
        raise DataError(f"key {key!r} holds {count} integer(s). Received: {len(value)}")
    return value


def _array(left: dict, key: str, dtype: str, length: int | None = None) -> np.ndarray:
    value = _take(left, key, bytes)
    size = np.dtype(dtype).itemsize
    if len(value) % size or (length is not None and len(value) != length * size):
        need = f"{length} values" if length is not None else "whole values"
        raise DataError(f"key {key!r} holds {need} of {size} bytes. Received: {len(value)} bytes")
    return np.frombuffer(value, dtype)


def validate(record: Record) -> list[str]:
    """List the rules of the schema that a record breaks; an empty list for a good one."""
    problems: list[str] = []
    for name, text in (("object_id", record.object_id), ("survey", record.survey)):
        if not isinstance(text, str) or not text or not text.isprintable():
            problems.append(f"key {name!r} is printable text, not empty. Received: {text!r}")
    if not -1 <= record.class_id < 1 << 63:
        problems.append(f"key 'class_id' is -1 or a native class. Received: {record.class_id}")
    if record.lc is not None:
        problems += _validate_lc(record.lc)
    if record.static is not None:
        problems += _validate_values("static", record.static)
    for name, value in record.targets.items():
        if len(value) != 1 or not math.isfinite(value.item()):
            problems += _validate_values(f"target/{name}", value)
        rows = len(record.lc) if record.lc is not None else 0
        if name in _LC_TYPES and len(value) != rows:
            problems.append(f"key 'target/{name}' has a value a row, {rows}. Received: {len(value)} values")
    if record.spectrum is not None:
        problems += _validate_spectrum(record.spectrum)
    if record.stamps is not None:
        problems += _validate_stamps(record.stamps)
    return problems


def _validate_lc(lc: LightCurve) -> list[str]:
    shape = (len(lc.time),)
    if not shape == lc.time.shape == lc.band.shape == lc.flux.shape == lc.flux_err.shape == lc.flags.shape:
        shapes = {name: getattr(lc, name).shape for name in _LC_TYPES}
        return [f"the columns of a light curve have one length. Received: {shapes}"]
    try:
        _check_times("lc/time", lc.time)
    except DataError as error:
        return [str(error)]
    problems = _validate_values("lc/flux", lc.flux) + _validate_values("lc/flux_err", lc.flux_err)
    # NaN is not above 0 either, and is looked at again.
    if len(lc) and not lc.flux_err.min() > 0 and (lc.flux_err <= 0).any():
        row = int(np.argmax(lc.flux_err <= 0))
        problems.append(f"key 'lc/flux_err' is positive. Received: {lc.flux_err[row]} in row {row}")
    if len(lc) and lc.flags.max() > _ALL_FLAGS:
        problems.append(f"key 'lc/flags' is at most {_ALL_FLAGS}. Received: {lc.flags.max()}")
    if not _sorted(lc.time, lc.band):
        problems.append("rows are sorted by (time, band). Received: unsorted rows")
    return problems


def _validate_spectrum(spectrum: Spectrum) -> list[str]:
    shapes = {name: getattr(spectrum, name).shape for name in _SPECTRUM_TYPES}
    if any(shape != (len(spectrum.wavelength),) for shape in shapes.values()):
        return [f"the columns of a spectrum have one length. Received: {shapes}"]
    problems = _validate_values("spectrum/flux", spectrum.flux) + _validate_values("spectrum/ivar", spectrum.ivar)
    if not np.isfinite(spectrum.wavelength).all() or (np.diff(spectrum.wavelength) <= 0).any():
        problems.append("key 'spectrum/wavelength' is finite and increases. Received: values that do not")
    if (spectrum.ivar < 0).any():
        problems.append(f"key 'spectrum/ivar' is not negative. Received: {spectrum.ivar.min()}")
    return problems


def _validate_stamps(stamps: Stamps) -> list[str]:
    images, count = stamps.images.shape, len(stamps.time)
    if len(images) != 4 or min(images) < 1:
        return [f"stamps have shape [alerts, height, width, channels]. Received: {images}"]
    if stamps.time.shape != (images[0],) or stamps.metadata.ndim != 2 or len(stamps.metadata) != images[0]:
        return [f"{images[0]} stamps have as many times and rows of metadata. Received: {count} times"]
    try:
        _check_times("stamps/time", stamps.time)
    except DataError as error:
        return [str(error)]
    return _validate_values("stamps", stamps.images.reshape(-1)) + _validate_values(
        "stamps/metadata", stamps.metadata.ravel()
    )


def _validate_values(key: str, values: np.ndarray) -> list[str]:
    if values.ndim != 1:
        return [f"key {key!r} has one dimension. Received: shape {values.shape}"]
    # A finite sum has finite terms; most columns are settled by this one pass.
    if math.isfinite(values.sum(dtype=np.float64)):
        return []
    infinite = np.isinf(values)
    if infinite.any():
        return [f"key {key!r} is finite or NaN. Received: {values[infinite][0]} at {int(np.argmax(infinite))}"]
    return []


def _check_times(key: str, time: np.ndarray) -> None:
    if math.isfinite(time.sum()):
        return
    bad = ~np.isfinite(time)
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(f"key {key!r} is finite. Received: {time[row]} in row {row}")


def _sorted(time: np.ndarray, band: np.ndarray) -> bool:
    earlier, later = time[:-1], time[1:]
    if (later > earlier).all():
        return True
    return not ((later < earlier) | ((later == earlier) & (band[1:] < band[:-1]))).any()


def _refuse(problems: list[str], where: str) -> None:
    if problems:
        raise DataError(f"{where}: {problems[0]}")
