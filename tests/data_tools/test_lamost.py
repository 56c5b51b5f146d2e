"""LAMOST spectra to records: both layouts, values of the header, labels, damaged and lying files."""

from __future__ import annotations

import gzip
import io
import pickle
import time

import numpy as np
import pytest

from data_tools import lamost
from data_tools.lamost import LamostSource, static_values
from data_tools.readers import lamost_files
from data_tools.sources import SOURCES, source_class
from tests.data_tools.survey_files import lamost_values, write_lamost
from tfrecords.check import check
from tfrecords.errors import DataError, UsageError
from tfrecords.reader import RecordDirectory, read_ledger


@pytest.fixture
def folder(tmp_path):
    """Two files of each layout, one of them gzipped, in two folders."""
    root = tmp_path / "in"
    write_lamost(root / "spec-1.fits", 0)
    write_lamost(root / "spec-2.fits.gz", 1, CLASS="GALAXY", SUBCLASS="", Z=0.12)
    write_lamost(root / "deeper" / "spec-3.fits", 2, "table", CLASS="QSO", Z=-9999.0)
    write_lamost(root / "deeper" / "spec-4.fits.gz", 3, "table", CLASS="Unknown", SUBCLASS="dM3", OBSID=77)
    return root


def _outcomes(paths, **options):
    return {outcome.object_id: outcome for outcome in LamostSource(paths, **options).objects()}


def test_values_are_those_of_the_files(folder, tmp_path):
    lamost.main([str(folder), "--out", str(tmp_path / "out"), "--quiet", "--test-fraction", "0"])
    assert check(tmp_path / "out", deep=True).violations == []
    records = RecordDirectory(tmp_path / "out")
    found = [records.record(records.find(f"spec-{number}")) for number in (1, 2, 3, 4)]
    wavelength = (10 ** (3.568 + 1e-4 * np.arange(60))).astype("f4")
    for number, record in enumerate(found):
        flux, ivar = lamost_values(number)
        assert record.spectrum.flux.tobytes() == flux.tobytes()
        assert record.spectrum.ivar.tobytes() == ivar.tobytes()
        assert record.spectrum.wavelength.tolist() == wavelength.tolist()
        assert record.lc is None
    assert [record.class_id for record in found] == [0, 1, 2, -1]
    redshifts = [record.targets["redshift"][0] for record in found]
    np.testing.assert_array_equal(redshifts, [0.0001, 0.12, np.nan, 0.0001])
    columns = {column.name: column for column in records.info.static_columns}
    assert (columns["ra"].unit, columns["snrz"].missing) == ("deg", (-9999.0,))
    assert bool(columns["class"].caution) > bool(columns["snrg"].caution)
    values = dict(zip(columns, found[0].static.tolist(), strict=True))
    assert (values["ra"], values["dec"], values["snrg"], values["snrz"]) == (150.25, -1.5, 20.5, -9999.0)
    assert (values["class"], values["subclass"]) == (0, 42)
    assert np.isnan(found[1].static[list(columns).index("subclass")])
    assert found[3].static[list(columns).index("subclass")] == 63


def test_values_that_are_odd_stay(tmp_path):
    path = write_lamost(tmp_path / "a.fits")
    from astropy.io import fits

    for value in (0.0, np.nan):
        with fits.open(path, mode="update") as units:
            units[0].data[0] = value
        _, spectrum = lamost_files.read_spectrum(path)
        np.testing.assert_array_equal(spectrum.flux, np.full(60, value, "f4"))
    assert static_values({"RA": "text", "SN_G": 3, "DEC": True})["snrg"] == 3
    assert np.isnan(static_values({"RA": "text"})["ra"])


def test_labels_of_a_table(folder, tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("spec_filename,variable_type\nspec-1.fits,RRAB\nspec-3.fits.gz,EW\nspec-9.fits,EW\n")
    source = LamostSource([folder], labels=table)
    assert [(native.id, native.name) for native in source.classes] == [(0, "EW"), (1, "RRAB")]
    found = _outcomes([folder], labels=table)
    assert [found[f"spec-{n}"].record.class_id for n in (1, 2, 3, 4)] == [1, -1, 0, -1]
    assert (found["spec-9"].reason, found["spec-9"].quarantined) == ("no spectrum in the files", False)
    table.write_text("obsid,class\n77,M\n")
    found = _outcomes([folder], labels=table)
    assert [found[f"spec-{n}"].record.class_id for n in (1, 4)] == [-1, 0]


def test_static_columns_are_chosen(folder):
    found = _outcomes([folder], static_columns=["z", "snrg"])
    assert found["spec-2"].record.static.tolist() == [np.float32(0.12), 20.5]
    with pytest.raises(UsageError, match="static columns are ra, dec"):
        LamostSource([folder], static_columns=["colour"])


def _header(path, **values):
    from astropy.io import fits

    with fits.open(path) as units:
        for key, value in values.items():
            unit, key = (1, key[1:]) if key.startswith("_") else (0, key)
            units[unit].header[key] = value
        buffer = io.BytesIO()
        units.writeto(buffer, output_verify="ignore")
    path.write_bytes(buffer.getvalue())


def _swap(path, old, new):
    data = path.read_bytes()
    assert data.count(old) >= 1
    path.write_bytes(data.replace(old, new, 1))


LIES = [
    ("image", lambda p: _swap(p, b"NAXIS1  =                   60", b"NAXIS1  =           2000000000"), "cut short"),
    ("image", lambda p: _swap(p, b"NAXIS2  =                    5", b"NAXIS2  =       9000000000000"), "spec"),
    ("image", lambda p: _swap(p, b"NAXIS   =                    2", b"NAXIS   =                    1"), "spec"),
    ("image", lambda p: _swap(p, b"NAXIS1  =                   60", b"NAXIS1  =                  -60"), "spec"),
    ("image", lambda p: _swap(p, b"BITPIX  =                  -32", b"BITPIX  =                   17"), "spec"),
    ("image", lambda p: _header(p, COEFF1=-1e-4), "wavelength is positive and increases"),
    ("image", lambda p: _header(p, COEFF1=1e4), "wavelength is finite"),
    ("image", lambda p: _header(p, COEFF0="x"), "COEFF0 and COEFF1"),
    ("table", lambda p: _swap(p, b"NAXIS2  =                    1", b"NAXIS2  =           1000000000"), "cut short"),
    ("table", lambda p: _swap(p, b"NAXIS2  =                    1", b"NAXIS2  =                    0"), "spec"),
    ("table", lambda p: _swap(p, b"TFORM1  = '60E", b"TFORM1  = '1PE"), "spec"),
    ("table", lambda p: _swap(p, b"XTENSION= 'BINTABLE'", b"XTENSION= 'TABLE   '"), "spec"),
    ("table", lambda p: p.write_bytes(p.read_bytes()[:5000]), "spec"),
    ("image", lambda p: p.write_bytes(p.read_bytes()[:2880]), "cut short"),
    ("image", lambda p: p.write_bytes(b""), "starts with SIMPLE"),
    ("image", lambda p: p.write_bytes(b"\x1f\x8b" + p.read_bytes()), "gzip data are damaged"),
    ("image", lambda p: p.write_bytes(gzip.compress(bytes(50 << 20))), "at most"),
]


@pytest.mark.parametrize(("layout", "spoil", "reason"), LIES)
def test_a_bad_file_is_quarantined_and_the_rest_goes_on(tmp_path, layout, spoil, reason):
    write_lamost(tmp_path / "in" / "good.fits", 1, layout)
    spoil(write_lamost(tmp_path / "in" / "spec.fits", 2, layout))
    start = time.monotonic()
    found = _outcomes([tmp_path / "in"])
    assert time.monotonic() - start < 2
    assert found["good"].record is not None
    assert found["spec"].quarantined
    assert "spec.fits: " in found["spec"].reason
    assert reason in found["spec"].reason


def test_negative_variance_and_infinite_flux_are_refused(tmp_path):
    from astropy.io import fits

    for row, value, reason in ((1, -1.0, "inverse variance is not negative"), (0, np.inf, "flux is finite")):
        path = write_lamost(tmp_path / f"{row}.fits")
        with fits.open(path, mode="update") as units:
            units[0].data[row, 7] = value
        with pytest.raises(DataError, match=reason):
            lamost_files.read_spectrum(path)


def test_three_units_are_no_spectrum(tmp_path):
    from astropy.io import fits

    path = write_lamost(tmp_path / "a.fits", 0, "table")
    with fits.open(path) as units:
        fits.HDUList([*units, fits.ImageHDU()]).writeto(tmp_path / "b.fits")
    with pytest.raises(DataError, match="three or more"):
        lamost_files.read_spectrum(tmp_path / "b.fits")


@pytest.mark.parametrize("layout", ["image", "table"])
def test_mutants_end_in_a_record_or_a_reason(tmp_path, layout):
    rng = np.random.default_rng(5)
    path = write_lamost(tmp_path / "spec.fits", 0, layout)
    good = path.read_bytes()
    ends = {"record": 0, "reason": 0}
    for _ in range(60):
        data = bytearray(good)
        for place in rng.integers(0, len(data), 3):
            data[place] = rng.integers(256)
        path.write_bytes(data[: rng.integers(len(data))] if rng.random() < 0.2 else data)
        [outcome] = LamostSource([path]).objects()
        ends["record" if outcome.record is not None else "reason"] += 1
        assert outcome.quarantined == (outcome.record is None)
    assert min(ends.values()) > 5


def test_two_files_of_one_name_and_no_file(folder, tmp_path):
    write_lamost(folder / "deeper" / "spec-1.fits.gz", 9)
    found = _outcomes([folder])
    assert "two files have this name" in found["spec-1#1"].reason
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="spectra are files with the suffix"):
        LamostSource([tmp_path / "empty"])


def test_the_ledger_counts_every_file(folder, tmp_path):
    (folder / "broken.fits").write_bytes(b"SIMPLE  =")
    lamost.main([str(folder), "--out", str(tmp_path / "out"), "--quiet"])
    outcomes = sorted(row["outcome"] for row in read_ledger(tmp_path / "out"))
    assert outcomes == ["quarantined", *["written"] * 4]


def test_recognised_by_this_source_only(folder, tiny):
    for paths in ([folder], [folder / "spec-1.fits", folder / "spec-2.fits.gz"], [folder / "deeper"]):
        assert [name for name in SOURCES if source_class(name).recognises(paths)] == ["lamost"]
    assert not LamostSource.recognises([tiny])


def test_snana_files_are_not_claimed(shared):
    for name in ("snana/plasticc_altsched", "snana/sncosmo", "snana/pantheonplus_sim"):
        assert not LamostSource.recognises([shared(f"data/{name}")])


def test_pieces_are_read_by_a_copy(folder):
    source = LamostSource([folder])
    copy = pickle.loads(pickle.dumps(source))
    [piece] = source.pieces()
    assert (len(copy), [outcome.row for outcome in copy.read(piece)]) == (0, [0, 1, 2, 3])
