"""The record: what goes in comes out, and what breaks a rule is refused by key."""

from __future__ import annotations

import contextlib
import dataclasses

import numpy as np
import pytest

from tfrecords.errors import DataError
from tfrecords.schema import LightCurve, Record, Spectrum, Stamps, decode, encode, sort_rows
from tfrecords.wire import decode_example, encode_example


def _same(left, right) -> bool:
    if dataclasses.is_dataclass(left):
        return all(_same(getattr(left, f.name), getattr(right, f.name)) for f in dataclasses.fields(left))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and np.array_equal(left, right, equal_nan=left.dtype.kind == "f")
    return left == right


@pytest.mark.parametrize("number", [0, 1, 2, 5, 10, 13])
def test_roundtrip(make_record, number):
    record = make_record(number)
    assert _same(decode(encode(record)), record)


def test_roundtrip_of_spectrum_and_stamps():
    rng = np.random.default_rng(0)
    record = Record(
        "x1",
        "toy",
        spectrum=Spectrum(np.linspace(3000, 9000, 7), rng.normal(size=7), np.ones(7)),
        stamps=Stamps(rng.normal(size=(2, 5, 4, 3)), [59000.25, 59001.5], [[1.0, np.nan], [2.0, 3.0]]),
    )
    assert _same(decode(encode(record)), record)


def test_bytes_do_not_depend_on_the_order_of_targets():
    one = Record("a", "toy", targets={"t0": 1.0, "redshift": 2.0})
    two = Record("a", "toy", targets={"redshift": 2.0, "t0": 1.0})
    assert encode(one) == encode(two)


def test_mjd_keeps_float64():
    lc = LightCurve([60123.456789012], [0], [1], [1], [0])
    assert decode(encode(Record("a", "toy", lc=lc))).lc.time[0] == 60123.456789012


def test_sort_is_by_time_band_and_source_row_and_keeps_duplicates():
    lc = LightCurve([2, 1, 2, 1, 2], [1, 1, 0, 1, 1], [0, 1, 2, 3, 4], np.ones(5), np.zeros(5))
    assert sort_rows(lc).flux.tolist() == [1, 3, 2, 0, 4]


def test_sort_refuses_nan_times():
    with pytest.raises(DataError, match=r"lc/time.*row 1"):
        sort_rows(LightCurve([1, np.nan], [0, 0], [1, 1], [1, 1], [0, 0]))


def _lc(**changes) -> Record:
    columns = {"time": [1.0, 2.0], "band": [0, 1], "flux": [1, 2], "flux_err": [1, 1], "flags": [0, 1]}
    return Record("obj", "toy", lc=LightCurve(**(columns | changes)))


@pytest.mark.parametrize(
    ("record", "key"),
    [
        (_lc(flux=[1, np.inf]), "lc/flux"),
        (_lc(flux_err=[1, 0]), "lc/flux_err"),
        (_lc(flux_err=[-1, 1]), "lc/flux_err"),
        (_lc(time=[1, np.nan]), "lc/time"),
        (_lc(time=[2, 1]), "sorted"),
        (_lc(time=[1, 1], band=[1, 0]), "sorted"),
        (_lc(flags=[0, 16]), "lc/flags"),
        (_lc(flux=[1]), "one length"),
        (Record("", "toy"), "object_id"),
        (Record("a\nb", "toy"), "object_id"),
        (Record("obj", "toy", -2), "class_id"),
        (Record("obj", "toy", static=[np.inf]), "static"),
        (Record("obj", "toy", targets={"t0": np.inf}), "target/t0"),
        (Record("obj", "toy", spectrum=Spectrum([2, 1], [1, 1], [1, 1])), "wavelength"),
        (Record("obj", "toy", stamps=Stamps(np.zeros((2, 3, 3, 1)), [1.0], [[1.0], [1.0]])), "stamps"),
    ],
)
def test_encode_refuses_by_object_and_key(record, key):
    with pytest.raises(DataError, match=key) as error:
        encode(record)
    assert repr(record.object_id) in str(error.value)


def test_nan_flux_of_a_source_is_kept():
    assert np.isnan(decode(encode(_lc(flux=[np.nan, 1]))).lc.flux[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.pop("class_id"), "class_id.*missing"),
        (lambda f: f.update({"surprise": b"x"}), "surprise"),
        (lambda f: f.update({"lc/flux": f["lc/flux"][:-1]}), "lc/flux"),
        (lambda f: f.update({"lc/length": [99]}), "lc/time"),
        (lambda f: f.pop("lc/length"), "lc/band"),
        (lambda f: f.update({"static": [1]}), "static.*bytes"),
        (lambda f: f.update({"object_id": b"\xff\xfe"}), "object_id.*UTF-8"),
    ],
)
def test_decode_refuses_by_key(make_record, change, message):
    features = decode_example(encode(make_record(2)))
    change(features)
    with pytest.raises(DataError, match=message):
        decode(encode_example(features))


def test_decode_never_fails_in_another_way(make_record):
    data = encode(make_record(3))
    rng = np.random.default_rng(0)
    for cut in range(0, len(data), 7):
        with pytest.raises(DataError):
            decode(data[:cut])
    for _ in range(500):
        changed = bytearray(data)
        changed[rng.integers(len(data))] = rng.integers(256)
        with contextlib.suppress(DataError):
            decode(bytes(changed))
