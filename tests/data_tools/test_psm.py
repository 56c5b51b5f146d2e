"""The trimodal set to records: all three parts, missing parts, published splits, subsets, bad files."""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections import Counter

import numpy as np
import pytest

from data_tools import psm
from data_tools.formats.zip_members import ZipPlace, read_member, zip_places
from data_tools.psm import PsmSource, light_curve
from data_tools.readers.psm_tables import Star, limited_subset
from data_tools.sources import SOURCES, source_class
from tests.data_tools.survey_files import Psm, lamost_values, psm_light_curve
from tfrecords import show
from tfrecords.check import check
from tfrecords.errors import DataError, UsageError
from tfrecords.reader import RecordDirectory, read_ledger


@pytest.fixture
def trimodal(tmp_path):
    """A set of 18 stars, to be spoiled and written."""
    return Psm(tmp_path / "in")


def _outcomes(root, **options):
    return {outcome.object_id: outcome for outcome in PsmSource([root], **options).objects()}


def _id(number):
    return str(10**18 + number)


def test_all_three_parts_are_those_of_the_files(trimodal, tmp_path, capsys):
    root, out = trimodal.write(), tmp_path / "out"
    psm.main([str(root), "--out", str(out), "--quiet"])
    assert "18 objects: 18 written" in capsys.readouterr().out
    assert check(out, deep=True).violations == []
    records = RecordDirectory(out)
    assert (records.info.flux_unit, records.info.zero_point) == ("mJy", 16.4)
    assert [native.name for native in records.info.classes] == [
        "DSCT", "EA", "EB", "EW", "HADS", "M", "ROT", "RRAB", "RRC", "SR",
    ]  # fmt: skip
    columns = records.info.static_columns
    assert [(column.name, column.unit) for column in columns] == [
        ("mean_vmag", "standardised"), ("parallax", "standardised"), ("l", "standardised"), ("org_period", "d"),
    ]  # fmt: skip
    for number in range(18):
        record = records.record(records.find(_id(number)))
        assert record.class_id == (3, 7, 9)[number % 3]
        rows = sorted(line.split() for line in psm_light_curve(number).splitlines()[2:])
        assert record.lc.time.tolist() == [float(row[0]) - 2400000.5 for row in rows]
        assert record.lc.flux.tolist() == [np.float32(row[3]) for row in rows]
        assert record.lc.flux_err.tolist() == [np.float32(row[4]) for row in rows]
        assert record.lc.flags.tolist() == [int(row[2] != "99.99") for row in rows]
        assert record.spectrum.flux.tobytes() == lamost_values(number)[0].tobytes()
        np.testing.assert_array_equal(record.static, np.array([0.5, -number / 7, np.nan, 0.1 + number], "f4"))
    show.main([str(out), "--object", _id(0), "--plot", str(tmp_path / "a.png")])


def test_published_splits_are_told(trimodal):
    source = PsmSource([trimodal.write()])
    ids, _ = source.labels()
    expected = ["train"] * 12 + ["validation"] * 3 + ["test"] * 3
    assert source.partitions().tolist() == expected
    assert ids == [_id(number) for number in range(18)]


def test_raw_tables_have_units(trimodal):
    root = trimodal.write()
    tables = root / "preprocessed_data" / "full"
    for path in tables.iterdir():
        path.rename(tables / path.name.replace("_norm", ""))
    units = {column.name: column.unit for column in PsmSource([root], suffix="").static_columns}
    assert units == {"mean_vmag": "mag", "parallax": "mas", "l": "deg", "org_period": "d"}


def test_missing_parts_are_written_with_what_there_is(trimodal, tmp_path, capsys):
    names = [row["name"].replace(" ", "") for row in trimodal.rows["train"]]
    del trimodal.light_curves[names[0]], trimodal.light_curves[names[2]]
    del trimodal.spectra["spec-55859-F5902_sp01-001.fits"], trimodal.spectra["spec-55859-F5902_sp01-002.fits"]
    trimodal.rows["train"][3]["spec_filename"] = ""
    trimodal.light_curves[names[4]] = b"# star\nHJD MAG MAG_ERR FLUX FLUX_ERR\n"
    psm.main([str(trimodal.write()), "--out", str(tmp_path / "out"), "--quiet"])
    output = capsys.readouterr().out
    for line in ("without light curve: 1", "without spectrum: 2", "without both: 1", "18 written"):
        assert line in output
    assert check(tmp_path / "out", deep=True).violations == []
    records = RecordDirectory(tmp_path / "out")
    parts = []
    for number in range(6):
        record = records.record(records.find(_id(number)))
        parts.append((record.lc is not None, record.spectrum is not None))
    assert parts == [(False, True), (True, False), (False, False), (True, False), (False, True), (True, True)]


def test_parts_can_be_left_out(trimodal):
    root = trimodal.write()
    assert all(outcome.record.lc is None for outcome in _outcomes(root, v_zip="").values())
    assert all(outcome.record.spectrum is None for outcome in _outcomes(root, lamost_spec_dir="").values())
    (root / "second.zip").write_bytes(b"")
    with pytest.raises(DataError, match="one zip archive.*second.zip, vband.zip"):
        PsmSource([root])
    assert len(PsmSource([root], v_zip="vband.zip")) == 18
    with pytest.raises(DataError, match="folder of spectra Spectra/v9"):
        PsmSource([root], v_zip="", lamost_spec_dir="Spectra/v9")


@pytest.mark.parametrize(
    ("column", "what"), [("edr3_source_id", "id"), ("name", "light curve"), ("spec_filename", "spectrum")]
)
def test_a_star_in_two_splits_is_refused(trimodal, column, what):
    trimodal.rows["test"][1][column] = trimodal.rows["train"][5][column]
    with pytest.raises(DataError, match=rf"test_norm.csv: data row 2.*{what} .*train_norm.csv"):
        PsmSource([trimodal.write()])


def test_a_star_twice_in_one_split_is_quarantined(trimodal):
    trimodal.rows["train"].append(dict(trimodal.rows["train"][0]))
    found = _outcomes(trimodal.write())
    assert found[_id(0)].record is not None
    assert "stands there before" in found[f"{_id(0)}#2"].reason


def test_classes_that_were_not_published_come_after_those(trimodal):
    trimodal.rows["val"][0]["target"] = "VAR"
    trimodal.rows["val"][1]["target"] = ""
    source = PsmSource([trimodal.write()])
    assert [(native.id, native.name) for native in source.classes][9:] == [(9, "SR"), (10, "VAR")]
    assert source.labels()[1][[12, 13]].tolist() == [10, -1]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"a\nb\n2457000.5 14 0.1 5\n", "wrong line"),
        (b"a\nb\n7000.5 14 0.1 5 0.1\n", "HJD is a full Julian date"),
        (b"a\nb\n2457000.5 14 0.1 5 0\n", "FLUX_ERR is positive"),
        (b"a\nb\n2457000.5 14 0.1 1e39 0.1\n", "FLUX and FLUX_ERR are finite"),
        (b"a\nb\n2457000.5 14 0.1 5 x\n", "wrong line"),
        (b"\xff\xfe", "plain text"),
        (b"a\n" * (9 << 20), "a member has at most"),
    ],
)
def test_a_bad_light_curve_quarantines_the_star(trimodal, text, reason):
    name = trimodal.rows["train"][1]["name"].replace(" ", "")
    trimodal.light_curves[name] = text
    found = _outcomes(trimodal.write())
    assert found[_id(1)].quarantined
    assert f"vband.zip, {name}: " in found[_id(1)].reason
    assert reason in found[_id(1)].reason
    assert sum(outcome.record is not None for outcome in found.values()) == 17


def test_bad_spectra_and_metadata_quarantine_the_star(trimodal):
    trimodal.rows["train"][2]["parallax"] = "far"
    trimodal.rows["train"][3]["parallax"] = "inf"
    root = trimodal.write()
    (root / "Spectra" / "v2" / "spec-55859-F5902_sp01-001.fits").write_bytes(b"SIMPLE  = nothing")
    found = _outcomes(root)
    bad = {object_id: outcome.reason for object_id, outcome in found.items() if outcome.quarantined}
    assert set(bad) == {_id(1), _id(2), _id(3)}
    assert bad[_id(1)].startswith("spec-55859-F5902_sp01-001.fits: ")
    assert "column 'parallax' holds numbers. Received: 'far'" in bad[_id(2)]
    assert "infinite" in bad[_id(3)]


def test_names_of_tables_are_no_paths(trimodal, tmp_path):
    (tmp_path / "secret.fits").write_bytes(b"")
    trimodal.rows["train"][0]["spec_filename"] = "../../../secret.fits"
    trimodal.rows["train"][0]["name"] = "../../secret"
    found = _outcomes(trimodal.write())
    record = found[_id(0)].record
    assert (record.lc, record.spectrum) == (None, None)


def test_damaged_archives(trimodal):
    root = trimodal.write()
    path = root / "vband.zip"
    good = path.read_bytes()
    place = next(iter(zip_places(path).values()))
    content = bytearray(good)
    content[place.offset + 80] ^= 0xFF
    path.write_bytes(content)
    found = _outcomes(root)
    assert [outcome.reason.count("a member is damaged") for outcome in found.values()].count(1) == 1
    path.write_bytes(good[:-30])
    with pytest.raises(DataError, match="vband.zip: damaged, or no zip archive"):
        PsmSource([root])


def test_lying_members_are_refused(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(20 << 20))
        archive.writestr("good", b"abc" * 100)
    places = zip_places(path)
    assert read_member(path, places["good"], 1000) == b"abc" * 100
    lies = [
        (places["bomb"], "at most 1000 bytes"),
        (places["bomb"]._replace(size=1000, packed=1000), "damaged"),
        (places["good"]._replace(crc=1), "damaged"),
        (places["good"]._replace(offset=3), "damaged|not where"),
        (places["good"]._replace(offset=1 << 40), "not where"),
        (places["good"]._replace(flags=1), "not encrypted"),
        (places["good"]._replace(method=14), "stored or deflated"),
    ]
    for place, message in lies:
        with pytest.raises(DataError, match=message):
            read_member(path, ZipPlace(*place), 1000)
    assert struct.calcsize("<4s5H3I2H") == 30


def test_tables_that_make_no_sense(trimodal, tmp_path):
    with pytest.raises(UsageError, match="one folder"):
        PsmSource([tmp_path / "none"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="<file>_train_norm.csv"):
        PsmSource([tmp_path / "empty"])
    root = trimodal.write()
    with pytest.raises(UsageError, match="static columns are columns of .*Received: ruwe"):
        PsmSource([root], static_columns=["ruwe"])
    other = root / "preprocessed_data" / "sub25"
    other.mkdir()
    (other / "spectra_and_v_train_norm.csv").write_text("name\nx\n")
    with pytest.raises(UsageError, match="several sets of tables.*full/spectra_and_v, .*sub25/spectra_and_v"):
        PsmSource([root])
    assert len(PsmSource([root], file="preprocessed_data/full/spectra_and_v")) == 18
    with pytest.raises(DataError, match="columns missing: target"):
        PsmSource([root], file="preprocessed_data/sub25/spectra_and_v")


def test_subsets_are_nested_and_leave_test():
    splits = ("test", "validation", "train", "train", "train")
    stars = [Star(f"s{number}", "", "", int(number**0.5) % 4, splits[number % 5], ()) for number in range(900)]
    masks = [limited_subset(stars, name, 3) for name in ("sub10", "sub25", "sub50")]
    assert (masks[0] <= masks[1]).all()
    assert (masks[1] <= masks[2]).all()
    partition = np.array([star.partition for star in stars])
    for mask, factor in zip(masks, (10, 4, 2), strict=True):
        assert mask[partition == "test"].all()
        for name in ("train", "validation"):
            assert mask[partition == name].sum() == pytest.approx((partition == name).sum() / factor, abs=4)
    assert (limited_subset(stars[::-1], "sub10", 3)[::-1] == masks[0]).all()
    assert (limited_subset(stars, "sub10", 4) != masks[0]).any()


def test_a_subset_is_in_the_ledger(trimodal, tmp_path):
    psm.main([str(trimodal.write()), "--out", str(tmp_path / "out"), "--quiet", "--subset", "sub50"])
    outcomes = Counter((row["outcome"], row["reason"]) for row in read_ledger(tmp_path / "out"))
    assert outcomes == {("written", ""): 12, ("skipped", "not in sub50"): 6}


def test_recognised_by_this_source_only(trimodal):
    assert [name for name in SOURCES if source_class(name).recognises([trimodal.write()])] == ["psm"]


def test_pieces_are_read_by_a_copy(trimodal, monkeypatch):
    monkeypatch.setattr(psm, "_STARS_A_PIECE", 7)
    source = PsmSource([trimodal.write()])
    copy = pickle.loads(pickle.dumps(source))
    pieces = source.pieces()
    assert [piece.rows for piece in pieces] == [range(7), range(7, 14), range(14, 18)]
    rows = [outcome.row for piece in pieces for outcome in copy.read(piece) if outcome.record is not None]
    assert (len(copy), rows) == (0, list(range(18)))


def test_an_upper_limit_in_words_is_read():
    lc = light_curve(b"a\nb\n2457000.5 >17.2 99.99 -0.01 0.2\n2457000.25 15.0 0.02 4.1 0.1\n")
    assert lc.time.tolist() == [56999.75, 57000.0]
    assert lc.flags.tolist() == [1, 0]
