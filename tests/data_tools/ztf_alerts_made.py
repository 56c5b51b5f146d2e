"""Small ZTF-like alerts made for tests: cutouts as gzipped FITS, records, and Avro files of them."""

from __future__ import annotations

import gzip
import io
import zlib

import numpy as np
import pytest

fastavro = pytest.importorskip("fastavro")

FLOATS = (
    *("sgscore1", "distpsnr1", "sgscore2", "distpsnr2", "sgscore3", "distpsnr3", "fwhm", "magpsf", "sigmapsf"),
    *("diffmaglim", "rb", "distnr", "magnr", "classtar", "chinr", "sharpnr", "drb", "ssdistnr", "ssmagnr", "elong"),
    *("xpos", "ypos"),
)


def _null(kind: str) -> list:
    return ["null", kind]


def _fields(pairs) -> list[dict]:
    return [{"name": name, "type": kind} for name, kind in pairs]


CANDIDATE = [
    *(("jd", "double"), ("fid", "int"), ("pdiffimfilename", _null("string")), ("programid", "int")),
    *(("candid", "long"), ("isdiffpos", "string"), ("ra", "double"), ("dec", "double")),
    *((name, _null("float")) for name in FLOATS),
    *(("ndethist", "int"), ("ncovhist", "int"), ("nbad", _null("int")), ("nneg", _null("int"))),
    ("ssnamenr", ["string", "null"]),
]
PREVIOUS = [
    *(("jd", "double"), ("fid", "int"), ("candid", _null("long")), ("isdiffpos", _null("string"))),
    *(("magpsf", _null("float")), ("sigmapsf", _null("float")), ("diffmaglim", _null("float"))),
]
_CUTOUT = {"type": "record", "name": "cutout", "fields": _fields([("fileName", "string"), ("stampData", "bytes")])}
SCHEMA = {
    "type": "record",
    "namespace": "ztf",
    "name": "alert",
    "fields": _fields(
        [
            *(("schemavsn", "string"), ("objectId", "string"), ("candid", "long")),
            ("candidate", {"type": "record", "name": "ztf.alert.candidate", "fields": _fields(CANDIDATE)}),
            (
                "prv_candidates",
                [
                    {"type": "array", "items": {"type": "record", "name": "prv", "fields": _fields(PREVIOUS)}},
                    "null",
                ],
            ),
            ("cutoutScience", [_CUTOUT, "null"]),
            ("cutoutTemplate", ["ztf.cutout", "null"]),
            ("cutoutDifference", ["ztf.cutout", "null"]),
        ]
    ),
}


def fits_bytes(image: np.ndarray, bitpix: int = -32, cards: tuple[str, ...] = ()) -> bytes:
    """Write an image as a FITS file of one HDU by hand."""
    kind = {8: "u1", 16: ">i2", 32: ">i4", -32: ">f4", -64: ">f8"}[bitpix]
    lines = [
        "SIMPLE  =                    T",
        f"BITPIX  = {bitpix:20d}",
        "NAXIS   =                    2",
        f"NAXIS1  = {image.shape[1]:20d}",
        f"NAXIS2  = {image.shape[0]:20d}",
        *cards,
        "END",
    ]
    header = "".join(f"{line:80}" for line in lines).encode()
    data = image.astype(kind).tobytes()
    return header + b" " * (-len(header) % 2880) + data + b"\0" * (-len(data) % 2880)


def cutout(seed: int = 0, shape: tuple[int, int] = (63, 63)) -> bytes:
    """Make a gzipped cutout of noise."""
    image = np.random.default_rng(seed).normal(100, 5, shape)
    return gzip.compress(fits_bytes(image), mtime=0)


def make_alert(name: str = "ZTF18aaaaaaa", candid: int = 2666398273215015054, jd: float = 2459000.5, **changes) -> dict:
    """Make an alert; `changes` are fields of its candidate, or of the alert itself."""
    rng = np.random.default_rng(candid % 1000)
    candidate = {"jd": jd, "fid": 1, "pdiffimfilename": "x" * 60, "programid": 1, "candid": candid, "isdiffpos": "t"}
    candidate |= {"ra": 150.0, "dec": 2.0, "ndethist": 4, "ncovhist": 30, "nbad": 0, "nneg": None, "ssnamenr": "null"}
    candidate |= {field: float(np.float32(rng.uniform(0.1, 1))) for field in FLOATS}
    candidate |= {"magpsf": 18.5, "sigmapsf": 0.125, "sgscore3": -999.0, "drb": None, "xpos": 20.0, "ypos": 1500.0}
    alert = {"schemavsn": "3.3", "objectId": name, "candid": candid, "prv_candidates": None}
    for number, key in enumerate(("cutoutScience", "cutoutTemplate", "cutoutDifference")):
        alert[key] = {"fileName": "a.fits.gz", "stampData": cutout(candid % 1000 + number)}
    alert |= {key: value for key, value in changes.items() if key in alert}
    candidate |= {key: value for key, value in changes.items() if key not in alert}
    return alert | {"candidate": candidate}


def previous(jd: float, mag: float | None = 19.0, candid: int = 7, fid: int = 2, sign: str = "f") -> dict:
    """Make a previous candidate: a detection, or without a magnitude an upper limit."""
    if mag is None:
        row = {"candid": None, "isdiffpos": None, "magpsf": None, "sigmapsf": None}
    else:
        row = {"candid": candid, "isdiffpos": sign, "magpsf": mag, "sigmapsf": 0.25}
    return {"jd": jd, "fid": fid, "diffmaglim": 20.0, **row}


def avro_bytes(*alerts: dict, codec: str = "null", schema: dict = SCHEMA, interval: int = 16000) -> bytes:
    """Write alerts as an Avro container file; snappy blocks are packed here, as fastavro needs another library."""
    buffer = io.BytesIO()
    written = "null" if codec == "snappy" else codec
    fastavro.writer(buffer, schema, alerts, codec=written, sync_interval=interval, sync_marker=b"0123456789abcdef")
    content = buffer.getvalue()
    return _to_snappy(content) if codec == "snappy" else content


def _to_snappy(content: bytes) -> bytes:
    import pyarrow as pa

    start = content.index(b"0123456789abcdef") + 16
    parts = [content[:start].replace(b"avro.codec\x08null", b"avro.codec\x0csnappy")]
    for block in fastavro.block_reader(io.BytesIO(content)):
        raw = block.bytes_.getvalue()
        packed = bytes(pa.Codec("snappy").compress(raw, asbytes=True)) + zlib.crc32(raw).to_bytes(4, "big")
        head = io.BytesIO()
        for number in (block.num_records, len(packed)):
            head.write(zigzag(number))
        parts.append(head.getvalue() + packed + b"0123456789abcdef")
    return b"".join(parts)


def zigzag(number: int) -> bytes:
    """Write an integer as Avro does."""
    value, out = (number << 1) ^ (number >> 63), bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
