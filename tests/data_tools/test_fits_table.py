"""Binary tables against astropy, headers that lie, and compressed files that are bombs or cut short."""

from __future__ import annotations

import gzip
import tracemalloc

import numpy as np
import pytest
from astropy.io import fits

from data_tools.formats.compressed import gunzip, read_file
from data_tools.formats.fits_table import _plain_values, read_header, read_table
from tfrecords.errors import DataError


@pytest.fixture(name="table")
def table_fixture(tmp_path):
    """A table of every kind of column that SNANA and others write, with scaled ones."""
    rng = np.random.default_rng(0)
    columns = [
        fits.Column("I", "J", array=rng.integers(-9, 9, 7)),
        fits.Column("U", "I", bzero=32768, array=rng.integers(0, 60000, 7).astype(np.uint16)),
        fits.Column("L", "L", array=np.array([True, False] * 3 + [True])),
        fits.Column("E", "E", array=rng.normal(size=7)),
        fits.Column("D", "D", array=rng.normal(size=7)),
        fits.Column("S", "E", bscale=0.5, bzero=3.0, array=np.arange(7.0)),
        fits.Column("A", "5A", array=np.array(["ab", "c", "", "de", "f", "g", "hijkl"])),
        fits.Column("V", "3E", array=rng.normal(size=(7, 3))),
    ]
    path = tmp_path / "t.fits"
    primary = fits.PrimaryHDU()
    primary.header["SURVEY"] = "it''s / one"
    fits.HDUList([primary, fits.BinTableHDU.from_columns(columns)]).writeto(path)
    return path


def test_columns_are_astropys(table):
    found = read_table(table)
    with fits.open(table) as hdus:
        for name in ("I", "U", "E", "D", "S"):
            np.testing.assert_array_equal(found.numbers(name, "f8"), np.asarray(hdus[1].data[name], "f8"), name)
        assert found.text("A") == hdus[1].data["A"].tolist()
        assert found.keywords["SURVEY"] == hdus[0].header["SURVEY"]
    with pytest.raises(DataError, match="'A' holds one number a row"):
        found.numbers("A", "f8")
    with pytest.raises(DataError, match="'V' holds one number a row"):
        found.numbers("V", "f8")
    with pytest.raises(DataError, match="'E' holds integers"):
        found.numbers("E", "i8")


LIES = [
    (b"NAXIS2  =                    7", b"NAXIS2  =                  700", "cut short: the table has 700 rows"),
    (b"NAXIS2  =                    7", b"NAXIS2  =         999999999999", "cut short: the table has 999999999999"),
    (b"NAXIS2  =                    7", b"NAXIS2  =                   -7", "key NAXIS2 is an integer from 0"),
    (b"NAXIS1  =                   40", b"NAXIS1  =                   39", "rows have 40 bytes by their columns"),
    (b"TFIELDS =                    8", b"TFIELDS =             99999999", "key TFIELDS is an integer from 0 to 999"),
    (b"TFORM4  = 'E       '", b"TFORM4  = '9999999E'", "rows have"),
    (b"TFORM4  = 'E       '", b"TFORM4  = 'Y       '", "has a format of the standard"),
    (b"TTYPE5  = 'D       '", b"TTYPE5  = 'E       '", "the columns make no table"),
    (b"XTENSION= 'BINTABLE'", b"XTENSION= 'IMAGE   '", "extension 1 is a binary table"),
    (b"SIMPLE  =", b"SAMPLE  =", "a FITS header starts with SIMPLE"),
]


@pytest.mark.parametrize(("truth", "lie", "message"), LIES, ids=[message for *_, message in LIES])
def test_headers_that_lie(table, truth, lie, message):
    content = table.read_bytes()
    assert content.count(truth) == 1
    table.write_bytes(content.replace(truth, lie))
    with pytest.raises(DataError, match=f"t.fits: .*{message}"):
        read_table(table)


def test_values_of_common_cards_are_astropys():
    header = fits.Header()
    for name, value in (("A", "it is"), ("B-1", 5), ("C_", -7), ("D", True), ("E", False), ("LONGNAME", "x/y  ")):
        header[name] = (value, "a comment / 'quoted'")
    header["COMMENT"] = "more = 5"
    text = header.tostring().encode()
    plain = _plain_values(text)
    assert plain == {name: value for name, value in header.items() if name != "COMMENT"}
    assert {type(each) for each in plain.values()} == {str, int, bool}
    for name, value in (("F", 1.5), ("G", "it's"), ("H", 1 << 70), ("HIERARCH long keyword", 1), ("I", "x" * 100)):
        odd = header.copy()
        odd[name] = value
        text = odd.tostring().encode()
        assert _plain_values(text) is None
        found, _ = read_header(b"SIMPLE  =                    T".ljust(80) + text, 0, "a file")
        assert found[name.removeprefix("HIERARCH ")] == value
    assert _plain_values(b"A = 5".ljust(80) + text) is None


def test_public_files_are_read_as_astropy_reads_them(shared):
    for path in sorted(shared("data/snana").rglob("*.[Ff][Ii][Tt][Ss]*")):
        found = read_table(path)
        with fits.open(path) as hdus:
            raw = hdus[1].data.view(np.ndarray)
            assert [raw[name].tobytes() for name in raw.dtype.names] == [
                found.rows[name].tobytes() for name in found.columns
            ]


def test_a_bomb_is_refused_in_bounded_memory(tmp_path):
    bomb = gzip.compress(bytes(300 << 20))
    tracemalloc.start()
    with pytest.raises(DataError, match=r"a bomb: holds at most \d+ bytes, after decompression"):
        gunzip(bomb, "a bomb")
    with pytest.raises(DataError, match="holds at most 1000 bytes"):
        gunzip(gzip.compress(bytes(2000)), "a bomb", 1000)
    assert tracemalloc.get_traced_memory()[1] < 80 << 20
    tracemalloc.stop()


def test_gzip_of_several_members_padding_and_damage(tmp_path):
    two = gzip.compress(b"one ") + gzip.compress(b"two")
    path = tmp_path / "a.gz"
    for content in (two, two + bytes(20)):
        path.write_bytes(content)
        assert read_file(path) == b"one two"
    for content, message in (
        (two[:-3], "cut short"),
        (two[:5] + b"?" + two[6:-6] + b"?" + two[-5:], "damaged"),
        (two + b"more", "followed by something else"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=f"a.gz: .*{message}"):
            read_file(path)
