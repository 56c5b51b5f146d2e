"""One ZTF alert: from the fields of its Avro record to stamps, columns and detections."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from data_tools.formats.cutouts import decode_cutout
from data_tools.readers.ztf_survey import (
    ALERT_NAMES,
    CHANNELS,
    CUTOUTS,
    MEASURED,
    SIDE,
    ZERO_POINT,
    coordinates,
    split_candid,
)
from tfrecords.errors import DataError
from tfrecords.schema import FLAG_DETECTED, LightCurve, sort_rows

_ROW_FIELDS = ("jd", "fid", "magpsf", "sigmapsf")
WANTS = {
    "objectId": True,
    "candid": True,
    "candidate": dict.fromkeys((*MEASURED, "jd", "candid"), True),
    "prv_candidates": dict.fromkeys((*_ROW_FIELDS, "isdiffpos"), True),
    **dict.fromkeys(CUTOUTS, {"stampData": True}),
}
"""The fields of an alert that a record needs."""
INDEX_WANTS = {"objectId": True, "candid": True, "candidate": {"candid": True, "jd": True}}
"""The fields that tell which object an alert is of."""

BAD_SHAPE = f"alert dropped: its cutouts are not {SIDE}x{SIDE} pixels (edge of the chip)"

_MJD = 2400000.5
_LARGEST = float(np.finfo(np.float32).max)
_SIGNS = {"t": 0.0, "1": 0.0, "f": 1.0, "0": 1.0}
_FIDS = {1: 0, 2: 1, 3: 2}
_CHIP_CENTRE = (1536.0, 1540.0)


class Detection(NamedTuple):
    """A detection as it stands in an alert: time (JD), band, magnitude and its error, 1.0 for a negative one."""

    jd: float
    band: int
    mag: float
    error: float
    negative: float


@dataclass(frozen=True)
class Alert:
    """What a record takes from an alert.

    Attributes
    ----------
    time : float
        MJD in days.
    values : numpy.ndarray
        f4, one for each of ``ztf_survey.ALERT_NAMES``.
    images : numpy.ndarray or None
        f4 [63, 63, 3]; None if the alert is dropped or refused.
    problem : str
        Why.
    refused : bool
        Its bytes are damaged or its values wrong, not only its shape another.
    detections : list of Detection
        Its own and those before it.
    """

    time: float
    values: np.ndarray
    images: np.ndarray | None
    problem: str
    refused: bool
    detections: list[Detection]


def identify(fields: Mapping[str, Any]) -> tuple[str, int, float]:
    """Give id of the object, number and JD of an alert. Raises DataError if one is missing or wrong."""
    candidate = fields.get("candidate")
    candidate = candidate if isinstance(candidate, Mapping) else {}
    name, candid = _text(fields.get("objectId")), fields.get("candid", candidate.get("candid"))
    jd = candidate.get("jd")
    if not name or not name.isprintable() or len(name) > 100:
        raise DataError(f"an alert has the name of its object, objectId. Received: {name!r:.60}")
    if not isinstance(candid, int) or not 0 <= candid < 1 << 63:
        raise DataError(f"an alert of object {name} has a number, candid. Received: {candid!r:.60}")
    if not isinstance(jd, float) or not 2e6 < jd < 3e6:
        raise DataError(f"alert {candid} has a Julian date, candidate.jd. Received: {jd!r:.60}")
    return name, candid, jd


def decode_alert(fields: Mapping[str, Any], pad: bool = False) -> Alert:
    """Decode an alert.

    Parameters
    ----------
    fields : mapping
        Values by name as `WANTS` lists them; text may be bytes.
    pad : bool
        Fill cutouts at the edge of the chip up with NaN instead of dropping the alert.

    Raises
    ------
    DataError
        If the alert does not say what it is.
    """
    _, candid, jd = identify(fields)
    candidate = fields["candidate"]
    problem, refused, images, values = "", False, None, np.full(len(ALERT_NAMES), np.nan, np.float32)
    detections = list(_detections(fields, jd))
    try:
        values = _columns(candidate, candid)
        images, problem = _images(fields, candidate, pad)
    except DataError as error:
        problem, refused = str(error), True
    return Alert(jd - _MJD, values, images, problem, refused, detections)


def _columns(candidate: Mapping[str, Any], candid: int) -> np.ndarray:
    numbers = {name: _number(name, candidate.get(name)) for name in MEASURED if name != "isdiffpos"}
    numbers["isdiffpos"] = _sign(candidate.get("isdiffpos"))
    place = coordinates(numbers["ra"], numbers["dec"])
    derived = (*place, numbers["ncovhist"] - numbers["ndethist"], *split_candid(candid))
    for name, value in numbers.items():
        if abs(value) > _LARGEST:
            raise DataError(f"candidate.{name} is finite, as a float32 is. Received: {value}")
    return np.array([*map(numbers.__getitem__, MEASURED), *derived], np.float32)


def _number(name: str, value: Any) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"candidate.{name} is a number or null. Received: {value!r:.40}")
    return float(value)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value if isinstance(value, str) else ""


def _sign(value: Any) -> float:
    """Encode ``isdiffpos``: 0 positive, 1 negative, NaN unknown."""
    if value is None:
        return math.nan
    text = _text(value)
    if text not in _SIGNS:
        raise DataError(f"isdiffpos is one of {', '.join(_SIGNS)}. Received: {text!r:.40}")
    return _SIGNS[text]


def _images(fields: Mapping[str, Any], candidate: Mapping[str, Any], pad: bool) -> tuple[np.ndarray | None, str]:
    images = []
    for channel, key in zip(CHANNELS, CUTOUTS, strict=True):
        cutout = fields.get(key)
        data = cutout.get("stampData") if isinstance(cutout, Mapping) else None
        if not isinstance(data, bytes) or not data:
            raise DataError(f"an alert has three cutouts. Received: no {channel} cutout")
        try:
            images.append(decode_cutout(data))
        except DataError as error:
            raise DataError(f"{channel} cutout: {error}") from error
    shapes = [image.shape for image in images]
    if pad and all(max(shape) <= SIDE for shape in shapes):
        images = [_pad(image, candidate) for image in images]
    elif shapes != [(SIDE, SIDE)] * len(CHANNELS):
        return None, BAD_SHAPE
    stack = np.stack(images, axis=-1)
    if np.isinf(stack).any():
        raise DataError("pixels are finite or NaN. Received: an infinite one")
    return stack, ""


def _pad(image: np.ndarray, candidate: Mapping[str, Any]) -> np.ndarray:
    """Put a cutout of the chip's edge where its source is in the middle: the missing side is the near edge's."""
    padded = np.full((SIDE, SIDE), np.nan, np.float32)
    starts = []
    for size, name, centre in zip(image.shape, ("ypos", "xpos"), reversed(_CHIP_CENTRE), strict=True):
        position = candidate.get(name)
        starts.append(SIDE - size if isinstance(position, float) and position < centre else 0)
    padded[starts[0] : starts[0] + image.shape[0], starts[1] : starts[1] + image.shape[1]] = image
    return padded


def _detections(fields: Mapping[str, Any], latest: float) -> Iterable[Detection]:
    previous = fields.get("prv_candidates")
    for each in [*(previous if isinstance(previous, list) else []), fields["candidate"]]:
        # Without a magnitude it is an upper limit, which has no flux with an error.
        if not isinstance(each, Mapping) or each.get("magpsf") is None:
            continue
        jd, fid, mag, error = values = [each.get(name) for name in _ROW_FIELDS]
        if not all(isinstance(value, int | float) for value in values):
            continue
        negative = _SIGNS.get(_text(each.get("isdiffpos")))
        if 2e6 < jd <= latest and fid in _FIDS and 0 < mag < 40 and 0 < error < 10 and negative is not None:
            yield Detection(float(jd), _FIDS[fid], float(np.float32(mag)), float(np.float32(error)), negative)


def light_curve(alerts: Iterable[Alert]) -> LightCurve:
    """Put the detections of an object together; one that stands in several alerts counts once.

    Flux is the difference flux, negative for a negative subtraction: 10^(-0.4 (mag - 27.5)); its error is
    flux * error * ln(10) / 2.5.
    """
    unique: dict[tuple[int, int, float], Detection] = {}
    for alert in alerts:
        for each in alert.detections:
            unique.setdefault((round((each.jd - _MJD) * 1e6), each.band, each.mag), each)
    rows = sorted(unique.values())
    table = np.array(rows, np.float64).reshape(-1, len(Detection._fields))
    jd, band, mag, error, negative = table.T
    flux = 10 ** (-0.4 * (mag - ZERO_POINT))
    return sort_rows(
        LightCurve(
            time=jd - _MJD,
            band=band.astype("u1"),
            flux=np.where(negative == 1, -flux, flux),
            flux_err=flux * error * (math.log(10) / 2.5),
            flags=np.full(len(rows), FLAG_DETECTED, "u1"),
        )
    )
