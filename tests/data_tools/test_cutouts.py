"""Cutouts: bit for bit what astropy reads, and an error for everything else."""

from __future__ import annotations

import gzip
import io
import random

import numpy as np
import pytest

from data_tools.formats.cutouts import decode_cutout
from data_tools.readers.ztf_files import AlertFile, list_alerts, load_alerts
from tests.data_tools.ztf_alerts_made import fits_bytes
from tfrecords.errors import DataError


def astropy_reads(raw):
    from astropy.io import fits

    with fits.open(io.BytesIO(raw)) as hdus:
        return np.array(hdus[0].data, np.float32)


IMAGE = np.random.default_rng(0).normal(100, 30, (48, 63))
SCALED = ("BSCALE  =                  0.5", "BZERO   =              32768.0")


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("bitpix", "cards"),
    [(-32, ()), (-64, ()), (16, ()), (32, ()), (8, ()), (16, SCALED), (-32, SCALED), (-32, ("COMMENT x",) * 80),
     (16, ("BLANK   =                  100",))],
)  # fmt: skip
def test_reads_what_astropy_reads(bitpix, cards, zipped):
    raw = fits_bytes(IMAGE, bitpix, cards)
    found = decode_cutout(gzip.compress(raw) if zipped else raw)
    assert found.dtype == np.float32
    assert found.dtype.isnative
    assert found.tobytes() == astropy_reads(raw).tobytes()
    assert found.shape == IMAGE.shape


@pytest.mark.filterwarnings("ignore:Found a SIMPLE card")
@pytest.mark.parametrize("step", [12, pytest.param(1, marks=pytest.mark.slow)])
def test_every_real_cutout_is_bit_for_bit_that_of_astropy(shared, step):
    count = 0
    for path in sorted(shared("data/ztf_alerts/alerts").glob("*.avro"))[::step]:
        file = AlertFile(path, path.name, "avro")
        [entry] = list_alerts(file)[0]
        [(_, fields)] = load_alerts(file, [entry.place])
        for key in ("cutoutScience", "cutoutTemplate", "cutoutDifference"):
            data = fields[key]["stampData"]
            want = astropy_reads(gzip.decompress(data))
            found = decode_cutout(data)
            assert (found.shape, found.tobytes()) == (want.shape, want.tobytes())
            count += 1
    assert count == -(-818 // step) * 3


PLAIN = fits_bytes(IMAGE)


def _changed(old, new):
    assert old in PLAIN
    return PLAIN.replace(old, new, 1)


BAD = {
    "empty": b"x",
    "cut": PLAIN[:-2880],
    "not whole": PLAIN[:-1],
    "more": PLAIN + bytes(2880),
    "simple": _changed(b"SIMPLE  =                    T", b"SIMPLE  =                    F"),
    "order": _changed(b"SIMPLE", b"SAMPLE"),
    "bitpix": _changed(b"BITPIX  =                  -32", b"BITPIX  =                  -31"),
    "integer": _changed(b"NAXIS1  =                   63", b"NAXIS1  =                  6.3"),
    "lie": _changed(b"NAXIS1  =                   63", b"NAXIS1  =                  511"),
    "huge": _changed(b"NAXIS1  =                   63", b"NAXIS1  =       99999999999999"),
    "negative": _changed(b"NAXIS2  =                   48", b"NAXIS2  =                  -48"),
    "cube": _changed(b"NAXIS   =                    2", b"NAXIS   =                    3"),
    "no end": _changed(b"END  ", b"ENT  "),
    "text": _changed(b"END" + b" " * 100, b"END" + b" " * 99 + b"x"),
    "bytes": _changed(b"END" + b" " * 100, b"END" + b" " * 99 + b"\xff"),
    "scale": fits_bytes(IMAGE, -32, ("BSCALE  =                  nan",)),
    "gzip: cut": gzip.compress(PLAIN)[:-9],
    "gzip: size": gzip.compress(PLAIN)[:-1] + b"\x77",
    "gzip: rest": gzip.compress(PLAIN) + b"rest",
    "gzip: bomb": gzip.compress(bytes(50 << 20)),
}


@pytest.mark.parametrize("case", BAD)
def test_everything_else_is_an_error(case):
    with pytest.raises(DataError, match="Received"):
        decode_cutout(BAD[case])


def test_a_flipped_bit_never_changes_a_pixel_unseen():
    good, rng, same = gzip.compress(PLAIN, mtime=0), random.Random(0), 0
    for _ in range(500):
        data = bytearray(good)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        try:
            found = decode_cutout(bytes(data))
        except DataError:
            continue
        # Only gzip's time, name of the system and such are not covered by its CRC-32.
        assert found.tobytes() == decode_cutout(good).tobytes()
        same += 1
    assert same < 10
