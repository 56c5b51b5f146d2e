"""ASAS variable stars to records: values, classes, damaged archives, the real set."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
from collections import Counter

import numpy as np
import pytest

from data_tools import asas
from data_tools.asas import AsasSource
from data_tools.formats import untrusted
from data_tools.formats.compressed import read_file
from data_tools.sources import SOURCES, open_source, source_class
from tests.data_tools.survey_files import asas_rows, write_asas, write_tar
from tfrecords.check import check
from tfrecords.errors import DataError, UsageError
from tfrecords.reader import RecordDirectory, read_ledger


def _stars(count=10):
    return {f"2{number:05d}": (("Mira", "RCB")[number % 2], asas_rows(number)) for number in range(count)}


def _outcomes(paths, **options):
    return {outcome.object_id: outcome for outcome in AsasSource(paths, **options).objects()}


def test_values_are_those_of_the_files(tmp_path):
    stars = _stars()
    stars["300000"] = ("RCB", "2002.5,12.000,0.020\n2001.5,10.0,0.05\n2003.5,29.999,0.1\n")
    asas.main([str(write_asas(tmp_path / "in", stars)), "--out", str(tmp_path / "out"), "--quiet"])
    assert check(tmp_path / "out", deep=True).violations == []
    records = RecordDirectory(tmp_path / "out")
    assert [(native.id, native.name) for native in records.info.classes] == [(0, "Mira"), (1, "RCB")]
    assert (records.info.flux_unit, records.info.zero_point) == ("mJy", 16.4)
    record = records.record(records.find("300000"))
    assert record.class_id == 1
    assert record.lc.time.tolist() == [52001.0, 52002.0, 52003.0]
    # V = 0 is 3636 Jy; errors of magnitudes are of the first order.
    assert record.lc.flux[:2].tolist() == pytest.approx([363.6, 57.627], rel=1e-4)
    assert (record.lc.flux_err / record.lc.flux)[:2].tolist() == pytest.approx([0.05 / 1.0857, 0.02 / 1.0857], rel=1e-4)
    assert np.isnan([record.lc.flux[2], record.lc.flux_err[2]]).all()
    assert set(record.lc.flags) == {1}


def test_further_columns_of_the_table_are_static_columns(tmp_path):
    stars = {name: (f"{label},{number}.5", text) for number, (name, (label, text)) in enumerate(_stars().items())}
    folder = write_asas(tmp_path / "in", stars, ",period")
    found = _outcomes([folder], static_columns=["period"])
    assert found["200003"].record.static.tolist() == [3.5]
    with pytest.raises(UsageError, match="static columns are columns of classes.dat.*Received: colour"):
        AsasSource([folder], static_columns=["colour"])


def test_without_table_stars_are_unlabelled(tmp_path):
    folder = write_asas(tmp_path / "in", _stars())
    source = open_source([folder / "stars.tar.gz"])
    assert isinstance(source, AsasSource)
    assert set(source.labels()[1].tolist()) == {-1}
    assert all(outcome.record for outcome in source.objects())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1900.5,11.0\n", "wrong line"),
        ("1900.5,eleven,0.1\n", "wrong line"),
        ("2451900.5,11.0,0.1\n", "time is HJD - 2450000"),
        ("1900.5,inf,0.1\n", "magnitude is below 100; line 1"),
        ("1900.5,11,0.1\n1901,11,0\n", "magnitude error is positive and finite; line 2"),
        ("1900.5,11,nan\n1901,-99,0.1\n", "float32"),
        ("1900.5,11,0.1\n\xe9", "plain text"),
    ],
)
def test_bad_values_quarantine_the_star(tmp_path, text, reason):
    stars = _stars() | {"bad": ("Mira", text)}
    folder = write_asas(tmp_path / "in", stars)
    found = _outcomes([folder])
    assert found["bad"].quarantined
    assert "stars.tar.gz, bad" in found["bad"].reason
    assert reason in found["bad"].reason
    assert sum(outcome.record is not None for outcome in found.values()) == 10


def test_every_star_and_member_is_in_the_ledger(tmp_path):
    folder = write_asas(tmp_path / "in", _stars() | {"empty": ("RCB", "")})
    members = {"../../etc/200001.dat": asas_rows(1).encode(), "notes.txt": b"x", "a/200001.dat": b"", "b/2.dat": b"1"}
    write_tar(folder / "z.tar", members, "w")
    with open(folder / "classes.dat", "a") as file:
        file.write("lonely,Mira\n")
    asas.main([str(folder), "--out", str(tmp_path / "out"), "--quiet"])
    ledger = {row["object_id"]: (row["outcome"], row["reason"]) for row in read_ledger(tmp_path / "out")}
    assert ledger["lonely"] == ("skipped", "no light curve in the archives")
    assert ledger["empty"] == ("skipped", "no observations")
    assert "two members" in ledger["200001#z.tar#0"][1]
    assert "name that ends in .dat" in ledger["notes.txt"][1]
    assert "wrong line" in ledger["2"][1]
    outcomes = Counter(outcome for outcome, _ in ledger.values())
    assert outcomes == {"written": 10, "skipped": 2, "quarantined": 4}


def test_a_cut_archive_gives_the_stars_before_the_cut(tmp_path):
    folder = write_asas(tmp_path / "in", _stars(40))
    path = folder / "stars.tar.gz"
    plain = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(plain[: 1024 * 20 + 600]))
    found = _outcomes([folder])
    written = sum(outcome.record is not None for outcome in found.values())
    assert written == 20
    assert found["stars.tar.gz"].quarantined
    assert "cut short" in found["stars.tar.gz"].reason
    assert len(found) == 41


@pytest.mark.parametrize("place", [0.3, 0.6, 0.999])
def test_a_damaged_archive_gives_none(tmp_path, place):
    folder = write_asas(tmp_path / "in", _stars(40))
    path = folder / "stars.tar.gz"
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 4
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"no object is left.*stars\.tar\.gz"):
        asas.main([str(folder), "--out", str(tmp_path / "out"), "--quiet"])


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path):
    path = write_tar(tmp_path / "a.tar", {f"{name}.dat": b"1900,11,0.1\n" for name in "abcd"}, "w")
    good = path.read_bytes()
    for damage, message in ((b"x" + good[1025:], "header of a member is damaged"), (bytes(512) + good[1536:], "zeros")):
        path.write_bytes(good[:1024] + damage)
        with tarfile.open(path) as archive:
            assert archive.getnames() == ["a.dat"]
        with pytest.raises(DataError, match=message):
            list(untrusted.tar_members(path, 100, 1 << 20))


def test_bombs_are_refused_in_bounded_memory(tmp_path):
    path = tmp_path / "bomb.tar.gz"
    with gzip.open(path, "wb") as file:
        for name in ("big.dat", "more.dat"):
            member = tarfile.TarInfo(name)
            member.size = 20 << 20
            file.write(member.tobuf())
            file.write(bytes(20 << 20))
        file.write(bytes(1024))
    members = list(untrusted.tar_members(path, 1 << 20, 1 << 30))
    assert [(member.name, member.data) for member in members] == [("big.dat", None), ("more.dat", None)]
    with pytest.raises(DataError, match="holds at most"):
        list(untrusted.tar_members(path, 1 << 20, 30 << 20))
    with pytest.raises(DataError, match="holds at most 1000 bytes"):
        read_file(path, 1000)


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_names_of_archives_are_read_as_the_standard_library_does(tmp_path, form):
    name = "/".join(["folder" * 6] * 3) + "/" + "n" * 60 + ".dat"
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=form) as archive:
        for each in (name, "short.dat"):
            member = tarfile.TarInfo(each)
            member.size = 3
            archive.addfile(member, io.BytesIO(b"abc"))
    members = list(untrusted.tar_members(path, 100, 1 << 20))
    assert [(member.name, member.data) for member in members] == [(name, b"abc"), ("short.dat", b"abc")]


def test_tables_that_make_no_sense(tmp_path):
    folder = write_asas(tmp_path / "in", _stars())
    table = tmp_path / "table.csv"
    for text, message in (
        ("name,period\nx,1\n", "a column class is needed"),
        ("filename,class\na,Mira\na.dat,RCB\n", "an object stands there once"),
        ("filename,class\na\n", "rows have 2 fields"),
        ("", "starts with the names"),
    ):
        table.write_text(text)
        with pytest.raises(DataError, match=message):
            AsasSource([folder / "stars.tar.gz", table])
    with pytest.raises(UsageError, match="ASAS is archives"):
        AsasSource([table])


def test_pieces_are_read_by_a_copy_without_the_tables(tmp_path):
    source = AsasSource([write_asas(tmp_path / "in", _stars())])
    copy = pickle.loads(pickle.dumps(source))
    assert copy.labels()[0] == []
    [piece] = source.pieces()
    assert [outcome.row for outcome in copy.read(piece)] == list(range(10))
    chosen = np.arange(10) % 2 == 0
    assert [outcome.record is not None for outcome in copy.read(piece, chosen)] == chosen.tolist()


def test_real_stars(shared, tmp_path, capsys):
    folder = shared("data/asas")
    assert [name for name in SOURCES if source_class(name).recognises([folder])] == ["asas"]
    asas.main([str(folder), "--out", str(tmp_path / "out"), "--folds", "5", "--quiet"])
    assert "810 objects: 810 written" in capsys.readouterr().out
    assert check(tmp_path / "out", deep=True).violations == []
    records = RecordDirectory(tmp_path / "out")
    assert len(records.info.classes) == 28
    counts = Counter(records.index["class_id"].tolist())
    assert (sum(count >= 10 for count in counts.values()), max(counts.values())) == (20, 91)
    assert (records.index["length"].min(), records.index["length"].max()) == (50, 1772)
    assert records.index["length"].sum() == 490855
