"""Cutouts with a table: FITS of both layouts, arrays, sequences, and every file that is not what it should be."""

from __future__ import annotations

import gzip
import io

import numpy as np
import pytest
import yaml
from astropy.io import fits

from data_tools import stamps
from data_tools.sources import SOURCES, open_source, source_class
from tfrecords.errors import DataError, UsageError
from tfrecords.reader import RecordDirectory, read_ledger

RNG = np.random.default_rng(3)
IMAGES = RNG.normal(100, 10, (4, 9, 7, 2)).astype(np.float32)
IMAGES[2, 4, 4, 1] = np.nan
TABLE = "oid,candid,jd,label,rb,sgscore\nb,10,2459000.5,SN,0.9,0.5\na,11,2459002.5,?,0.8,-999\n"
TABLE += "a,12,2459001.5,?,0.7,\nc,13,2459000.5,AGN,0.6,1\n"
MAPPING = {
    "survey": "toy",
    "stamps": {"channels": ["science", "difference"], "size": [9, 7], "files": ["{candid}.fits"]},
    "table": {
        "files": ["*.csv"],
        "id": "oid",
        "time": {"column": "jd", "scale": "jd"},
        "class": {
            "column": "label",
            "unlabelled": ["?"],
            "classes": [{"id": 0, "name": "AGN"}, {"id": 1, "name": "SN"}],
        },
        "columns": [{"column": "rb"}, {"column": "sgscore", "missing": [-999]}],
    },
}


@pytest.fixture(name="folder")
def folder_fixture(tmp_path):
    """A function that writes table and mapping to a folder with the cutouts 10 to 13."""
    folder = tmp_path / "data"
    folder.mkdir()

    def write(text=TABLE, cutouts="hdus", **changes):
        (folder / "alerts.csv").write_text(text)
        (folder / "m.yaml").write_text(yaml.safe_dump({**MAPPING, "stamps": {**MAPPING["stamps"], **changes}}))
        for number, image in enumerate(IMAGES, 10):
            if cutouts == "hdus":
                hdus = [fits.PrimaryHDU(), *(fits.ImageHDU(image[..., each]) for each in range(2))]
                fits.HDUList(hdus).writeto(folder / f"{number}.fits", overwrite=True)
            elif cutouts == "cube":
                file = io.BytesIO()
                fits.PrimaryHDU(np.moveaxis(image, 2, 0)).writeto(file)
                (folder / f"{number}.fits").write_bytes(gzip.compress(file.getvalue()))
            elif cutouts == "npy":
                np.save(folder / f"{number}.npy", image)
            elif cutouts == "channels":
                fits.PrimaryHDU(image[..., 0]).writeto(folder / f"{number}_s.fits")
                np.save(folder / f"{number}_d.npy", image[..., 1])
        if cutouts == "array":
            np.save(folder / "all.npy", IMAGES)
        return folder

    return write


def _outcomes(folder):
    return {each.object_id: each for each in open_source([folder]).objects()}


@pytest.mark.parametrize(
    ("cutouts", "changes"),
    [
        ("hdus", {}),
        ("cube", {}),
        ("npy", {"files": ["{candid}.npy"]}),
        ("channels", {"files": ["{candid}_s.fits", "{candid}_d.npy"]}),
        ("array", {"files": None, "array": "all.npy"}),
    ],
)
def test_values_are_those_of_the_files(folder, cutouts, changes):
    place = folder(cutouts=cutouts)
    content = yaml.safe_load((place / "m.yaml").read_text())
    content["stamps"] = {key: value for key, value in {**content["stamps"], **changes}.items() if value}
    (place / "m.yaml").write_text(yaml.safe_dump(content))
    assert [name for name in SOURCES if source_class(name).recognises([place])] == ["stamps"]
    found = _outcomes(place)
    sequence = found["a"].record.stamps
    np.testing.assert_array_equal(sequence.images, IMAGES[[2, 1]])
    np.testing.assert_array_equal(sequence.time, [59001, 59002])
    np.testing.assert_allclose(sequence.metadata, [[0.7, np.nan], [0.8, -999]])
    assert [found[name].record.class_id for name in "abc"] == [-1, 1, 0]


def test_cutouts_that_no_row_names_are_in_the_ledger(folder):
    outcomes = _outcomes(folder(TABLE.replace("c,13,2459000.5,AGN,0.6,1\n", "")))
    assert set(outcomes) == {"a", "b", "13.fits"}
    assert not outcomes["13.fits"].quarantined
    assert outcomes["13.fits"].reason == "13.fits: no row of the table names it"


def test_records_are_written(folder, tmp_path):
    stamps.main([str(folder()), "--out", str(tmp_path / "out"), "--quiet", "--workers", "2"])
    info = RecordDirectory(tmp_path / "out").info
    assert (info.stamp_channels, info.ledger.written) == (("science", "difference"), 3)
    assert info.alert_columns[1].missing == (-999.0,)


def test_odd_shapes_and_missing_files_have_an_outcome(folder, tmp_path):
    place = folder()
    (place / "10.fits").unlink()
    fits.HDUList([fits.PrimaryHDU(IMAGES[3, :5, :, each]) for each in range(2)][:1]).writeto(place / "x.fits")
    small = [fits.ImageHDU(IMAGES[3, :5, :, each]) for each in range(2)]
    fits.HDUList([fits.PrimaryHDU(), *small]).writeto(place / "13.fits", overwrite=True)
    found = _outcomes(place)
    assert (found["b"].reason, found["b"].quarantined) == ("10.fits: no such file", True)
    assert "13.fits: a stamp has 9 x 7 pixels. Received: [5, 7]" in found["c"].reason
    found = _outcomes(folder(cutouts="", odd_shapes="padded", missing_files="nan"))
    assert np.isnan(found["b"].record.stamps.images).all()
    np.testing.assert_array_equal(found["c"].record.stamps.images[0, 2:7], IMAGES[3, :5])
    assert np.isnan(found["c"].record.stamps.images[0, [0, 1, 7, 8]]).all()


def test_bad_rows_and_files_refuse_their_object_only(folder, tmp_path):
    rows = "d,../m,2459000.5,SN,1,1\ne,10,soon,SN,1,1\nf,11,2459000.5,star,1,1\ng,12,2459000.5,SN,x,1\n"
    rows += "b,10,2459003,AGN,1,1\n"
    place = folder(TABLE + rows + "h,1\n,10,2459000.5,SN,1,1\ni,/etc/hostname,2459000.5,SN,1,1\n")
    (place / "13.fits").write_bytes((place / "13.fits").read_bytes()[:9000])
    (place.parent / "m.fits").write_bytes((place / "10.fits").read_bytes())
    stamps.main([str(place), "--out", str(tmp_path / "out"), "--quiet"])
    ledger = {row["object_id"]: row for row in read_ledger(tmp_path / "out")}
    assert [name for name, row in ledger.items() if row["outcome"] == "written"] == ["a"]
    for name, word in (
        ("b", "one class"),
        ("c", "cut short"),
        ("d", "lies in the folder"),
        ("e", "is a time"),
        ("f", "'label' is one of"),
        ("g", "finite number"),
        ("h", "2 instead of 6 fields"),
        ("i", "no such file"),
        ("data/alerts.csv, row 10", "no gaps"),
    ):
        assert word in ledger[name]["reason"], name


@pytest.mark.parametrize("bits", [16, -64])
def test_fits_numbers_are_scaled(folder, bits):
    from data_tools.formats.fits_image import read_images

    file = io.BytesIO()
    if bits == 16:
        hdu = fits.PrimaryHDU(np.array([[0, 40000], [7, 65535]], np.uint16))
    else:
        hdu = fits.PrimaryHDU(np.array([[0.5, 1e300], [np.nan, -1]]))
    hdu.writeto(file)
    [image] = read_images(file.getvalue(), "x")
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(image, hdu.data.astype(np.float32))
    lie = file.getvalue().replace(b"NAXIS1  =                    2", b"NAXIS1  =           2000000000")
    with pytest.raises(DataError, match="cut short|belong"):
        read_images(lie, "x")


def test_a_wrong_mapping_is_named_by_its_key(folder):
    for changes, message in (
        ({"size": [9]}, "'stamps.size' is "),
        ({"files": ["{candid.__class__}"]}, "'stamps.files' are names"),
        ({"files": ["a", "b", "c"]}, "'stamps.files' has one name"),
        ({"odd_shapes": "cropped"}, "'stamps.odd_shapes' is one of"),
        ({"array": "all.npy"}, "'stamps.files' or 'array'"),
    ):
        with pytest.raises(UsageError, match=message):
            open_source([folder(**changes)])


def test_an_array_has_a_row_for_every_stamp(folder):
    place = folder(cutouts="array")
    content = yaml.safe_load((place / "m.yaml").read_text())
    content["stamps"] = {"channels": ["s", "d"], "size": [9, 7], "array": "all.npy"}
    (place / "m.yaml").write_text(yaml.safe_dump(content))
    (place / "alerts.csv").write_text(TABLE + "z,1,2459000.5,SN,1,1\n")
    with pytest.raises(DataError, match="one stamp a row of the table, 5. Received: 4"):
        open_source([place])
