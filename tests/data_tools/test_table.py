"""Tables by a mapping: what becomes of times, bands, magnitudes, flags, limits and classes, and of damaged files."""

from __future__ import annotations

import gzip
import io
import pickle
import re
import tarfile
from importlib import resources

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from data_tools import table
from data_tools.readers.table_mapping import MAPPINGS, load_mapping
from data_tools.sources import SOURCES, open_source, source_class
from data_tools.table import TableSource
from tfrecords.errors import DataError, UsageError
from tfrecords.reader import read_ledger
from tfrecords.schema import FLAG_DETECTED, FLAG_SATURATED, FLAG_UNKNOWN

MAPPING = {
    "survey": "toy",
    "zero_point": 25.0,
    "bands": [
        {"name": "g", "aliases": [1], "wavelength_angstrom": 4800},
        {"name": "r", "aliases": [2, "R"], "wavelength_angstrom": 6200},
    ],
    "light_curves": {
        "files": ["curves*"],
        "id": {"column": "id"},
        "time": {"column": "t", "scale": "hjd", "offset": 2450000},
        "band": {"column": "band"},
        "magnitude": {"column": "mag", "error": "err"},
    },
    "objects": {
        "files": ["objects*"],
        "id": "name",
        "class": {
            "column": "type",
            "unlabelled": ["?"],
            "classes": [{"id": 3, "name": "RRab", "values": ["ab", "AB"]}, {"id": 7, "name": "Mira"}],
        },
        "static": [{"column": "A_V", "unit": "mag", "missing": [-99, "--"]}, {"column": "b", "unit": "deg"}],
        "targets": [{"name": "period", "column": "per"}],
    },
}
CURVES = """id,t,band,mag,err
5,1000.5,1,20,0.1
5,1001.5,R,22.5,0.2
7,1000.25,2,25,0.3
5,1000.0,r,20,0.1
8,1000,g,20,0.1
"""
OBJECTS = "name,type,A_V,b,per\n5,ab,-99,-30.5,0.5\n7.0,?,--,1,\n9,Mira,0.1,2,300\n"


@pytest.fixture(name="toy")
def toy_fixture(tmp_path):
    """A function that writes mapping, light curves and object table to a folder and opens it."""

    def write(curves=CURVES, objects=OBJECTS, name="curves.csv", options=None, **changes):
        mapping = {**MAPPING, "light_curves": {**MAPPING["light_curves"], **changes}, **(options or {})}
        if objects is None:
            if mapping["objects"] is MAPPING["objects"]:
                mapping.pop("objects")
        else:
            (tmp_path / "objects.csv").write_text(objects)
        (tmp_path / "mapping.yaml").write_text(yaml.safe_dump({k: v for k, v in mapping.items() if v is not None}))
        content = curves.encode() if isinstance(curves, str) else curves
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return open_source([tmp_path])

    return write


def _outcomes(source):
    return {each.object_id: each for each in source.objects()}


def test_values_are_those_of_the_file(toy):
    source = toy()
    assert isinstance(source, TableSource)
    found = _outcomes(source)
    record = found["5"].record
    np.testing.assert_array_equal(record.lc.time, [50999.5, 51000.0, 51001.0])
    np.testing.assert_array_equal(record.lc.band, [1, 0, 1])
    np.testing.assert_allclose(record.lc.flux, [100, 100, 10], rtol=1e-6)
    np.testing.assert_allclose(record.lc.flux_err, [9.210340, 9.210340, 1.842068], rtol=1e-6)
    assert set(record.lc.flags) == {FLAG_UNKNOWN}
    np.testing.assert_allclose(record.static, [-99, -30.5])
    assert (record.class_id, record.targets["period"][0]) == (3, 0.5)
    np.testing.assert_allclose(found["7"].record.static, [np.nan, 1])
    assert (found["7"].record.class_id, np.isnan(found["7"].record.targets["period"][0])) == (-1, True)
    assert (found["8"].reason, found["9"].reason) == ("not in the object table", "no observations")
    assert source.static_columns[0].missing == (-99.0,)
    assert [each.name for each in source.classes] == ["RRab", "Mira"]


def test_static_columns_are_chosen_by_name(toy, tmp_path):
    toy()
    source = open_source([tmp_path], static_columns=["b"])
    np.testing.assert_allclose(_outcomes(source)["5"].record.static, [-30.5])
    with pytest.raises(UsageError, match=r"A_V, b.*Received: \['ra'\]"):
        open_source([tmp_path], static_columns=["ra"])


def _tar(content: bytes, name="curves.csv", mode="w:gz") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for member in ("../../evil.csv", name):
            info = tarfile.TarInfo(member)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def _parquet(lists=False) -> bytes:
    rows = [line.split(",") for line in CURVES.strip().splitlines()[1:]]
    columns = dict(zip(("id", "t", "band", "mag", "err"), map(list, zip(*rows, strict=True)), strict=True))
    numbers = {name: [float(each) for each in columns[name]] for name in ("t", "mag", "err")}
    ids = [int(each) for each in columns["id"]]
    tables = {"id": ids, "band": columns["band"], **numbers}
    if lists:
        places = {each: [row for row, one in enumerate(ids) if one == each] for each in sorted(set(ids))}
        tables = {k: [[v[row] for row in rows] for rows in places.values()] for k, v in tables.items() if k != "id"}
        tables["id"] = list(places)
    file = io.BytesIO()
    pq.write_table(pa.table(tables), file, row_group_size=2)
    return file.getvalue()


BLANKS = "# by hand\n" + CURVES.split("\n", 1)[1].replace(",", "   ").replace("\n", "  \r\n")
HEADER = {"header": ["id", "t", "band", "mag", "err"], "separator": "blank", "comment": "#"}
SAME = {
    "gz": {"name": "curves.csv.gz"},
    "tar.gz": {"curves": _tar(CURVES.encode()), "name": "curves.tgz", "files": ["*curves.csv"]},
    "tar": {"curves": _tar(CURVES.encode(), mode="w"), "name": "curves.tar", "files": ["*curves.csv"]},
    "blanks": {"curves": BLANKS, "name": "curves.dat", **HEADER},
    "parquet": {"curves": _parquet(), "name": "curves.parquet"},
    "lists": {"curves": _parquet(lists=True), "name": "curves.parquet", "rows": "object"},
    "blank line first": {"curves": "\n" + CURVES, "name": "curves.csv"},
    "no end of line": {"curves": CURVES.rstrip()},
    "byte order mark": {"curves": "\ufeff" + CURVES},
}


@pytest.mark.parametrize("case", SAME)
def test_layouts_change_nothing(toy, tmp_path, case):
    plain = _outcomes(toy())
    (tmp_path / "curves.csv").unlink()
    other = _outcomes(toy(**SAME[case]))
    assert sorted(other) == sorted(plain)
    for object_id, outcome in plain.items():
        assert other[object_id].reason == outcome.reason
        if outcome.record is not None:
            for name in ("time", "band", "flux", "flux_err", "flags"):
                np.testing.assert_array_equal(
                    getattr(other[object_id].record.lc, name), getattr(outcome.record.lc, name)
                )


def test_one_file_an_object_and_band(toy, tmp_path):
    for name, rows in (("5_g", "1,20,.1"), ("5_r", "2,21,.1"), ("7_z", "1,20,.1"), ("x", "1,20,.1")):
        (tmp_path / f"curves_{name}.csv").write_text(f"t,mag,err\n{rows}\n")
    (tmp_path / "curves_empty_g.csv").write_text("t,mag,err\n")
    pattern = {"id": {"file": r"curves_(\w+)_\w\.csv"}, "band": {"file": r".*_(\w)\.csv"}}
    found = _outcomes(toy("t,mag,err\n", objects=None, name="curves_9_g.csv", **pattern))
    np.testing.assert_array_equal(found["5"].record.lc.band, [0, 1])
    assert "is a band of the mapping. Received: 'z'" in found["7"].reason and found["7"].quarantined
    assert found["9"].reason == found["empty"].reason == "no observations that the mapping keeps"
    [bad] = [each for name, each in found.items() if name.endswith("curves_x.csv")]
    assert bad.quarantined and "gives no id" in bad.reason


def test_flags_limits_and_validity(toy):
    rows = ["a,0,g,20,.1,0,21", "a,1,g,20,.5,0,21", "a,2,g,,,1,21", "a,3,g,99,99,0,21", "a,4,g,20,.1,2,21"]
    curves = "id,t,band,mag,err,flag,limit\n" + "\n".join(rows)
    rules = {
        "valid": {"flag": [0, 2]},
        "detected": {"snr": 5},
        "saturated": {"column": "flag", "values": [2]},
        "upper_limits": {"column": "mag", "empty": True, "become": "dropped"},
    }
    lc = _outcomes(toy(curves, objects=None, **{**rules, "valid": {"err": [0, 90]}}))["a"].record.lc
    assert lc.flags.tolist() == [FLAG_DETECTED, 0, FLAG_DETECTED | FLAG_SATURATED]
    rules["upper_limits"] |= {"become": "kept", "limit": "limit", "sigma": 5}
    lc = _outcomes(toy(curves, objects=None, **rules))["a"].record.lc
    assert lc.time.tolist() == [49999.5 + each for each in range(5)]
    assert (lc.flux[2], lc.flags[2]) == (0.0, 0)
    np.testing.assert_allclose(lc.flux_err[2], 10 ** (0.4 * 4) / 5, rtol=1e-6)
    # A limit has no magnitude and no error that could be valid.
    curves = curves.replace("a,2,g,,,1,21", "a,2,g,,,9,21\na,5,g,,,1,21")
    rules["valid"] = {"mag": [10, 30], "err": [0, 1], "flag": [0, 2]}
    lc = _outcomes(toy(curves, objects=None, **rules))["a"].record.lc
    assert lc.time.tolist() == [49999.5 + each for each in (0, 1, 4, 5)] and lc.flux[3] == 0


def test_fluxes_are_brought_to_the_stated_zero_point(toy):
    flux = {"magnitude": None, "flux": {"column": "mag", "error": "err", "zero_point": 22.5}}
    curves = {key: value for key, value in {**MAPPING["light_curves"], **flux}.items() if value}
    lc = _outcomes(toy(objects=None, options={"light_curves": curves}))["7"].record.lc
    np.testing.assert_allclose([lc.flux[0], lc.flux_err[0]], [250, 3], rtol=1e-6)


def test_a_bad_row_refuses_its_object_only(toy):
    bad = "9,1,g,20,0.1\n5,bad,g,20,0.1\n7,1,q,20,0.1\n8,1,g,20,0\n10,1,g,20\n11,inf,g,20,.1\n12,1,g,20,.1\n"
    found = _outcomes(toy(CURVES + bad, objects=None))
    reasons = {name: each.reason for name, each in found.items() if each.quarantined}
    assert set(reasons) == {"5", "7", "8", "10", "11"}
    assert "column 't' holds numbers. Received: 'bad'" in reasons["5"]
    assert "Received: 'q'" in reasons["7"] and "positive" in reasons["8"]
    assert "4 instead of 5 fields" in reasons["10"] and "column 't' is a time" in reasons["11"]
    assert found["12"].record is not None


def test_a_cut_file_refuses_what_it_holds_and_the_rest_goes_on(toy, tmp_path):
    toy(objects=None)
    other = gzip.compress(b"id,t,band,mag,err\n" + b"20,1,g,20,.1\n" * 1000 + b"21,1,g,20,.1\n")
    (tmp_path / "curves_b.csv.gz").write_bytes(other[:-4])
    (tmp_path / "curves_c.csv").write_text("id,t,band,mag,err\n30,1,g,20,.1\n")
    (tmp_path / "curves_d.csv").write_bytes(b"\x00\xff" * 50)
    table.main([str(tmp_path), "--out", str(tmp_path / "out"), "--quiet"])
    ledger = {row["object_id"]: row for row in read_ledger(tmp_path / "out")}
    assert {name for name, row in ledger.items() if row["outcome"] == "written"} == {"5", "7", "8", "30"}
    name = f"{tmp_path.name}/curves_b.csv.gz"
    assert "cut short" in ledger[name]["reason"]
    assert f"{tmp_path.name}/curves_d.csv" in ledger


def test_damaged_archives_are_in_the_ledger(toy):
    whole = _tar(CURVES.encode(), mode="w")
    for damaged, reason in (
        (whole[:1200], "damaged"),
        (whole[:1024], "without its end mark"),
        (whole[:1600], "damaged"),
        (whole[:1100] + b"?" + whole[1101:], "a header after its last readable member"),
        (_tar(CURVES.encode())[:-9], "cut short"),
    ):
        found = _outcomes(toy(damaged, objects=None, name="curves.tar", files=["*curves.csv", "*evil.csv"]))
        assert any(each.quarantined and reason in each.reason for each in found.values()), reason


def test_bombs_are_refused(toy, monkeypatch):
    monkeypatch.setattr("data_tools.formats.streams._SMALL", 1 << 20)
    content = gzip.compress(b"id,t,band,mag,err\n" + b"5,1,g,20,.1\n" * 100_000, 9)
    found = _outcomes(toy(content, objects=None, name="curves.csv"))
    assert all("grows beyond" in each.reason for each in found.values())


def test_parquet_that_unfolds_to_more_rows_than_bytes_is_refused(toy):
    file = io.BytesIO()
    number = pa.array(np.zeros(1_100_000))
    columns = {name: number for name in ("id", "t", "mag", "err")}
    pq.write_table(pa.table({**columns, "band": pa.array(["g"] * len(number))}), file)
    found = _outcomes(toy(file.getvalue(), objects=None, name="curves.parquet"))
    assert ["unfolds to 1100000 rows" in each.reason for each in found.values()] == [True]


def test_one_class_for_all_and_workers_change_nothing(toy, tmp_path):
    rule = {"class": {"constant": "RRab", "classes": [{"id": 4, "name": "RRab"}]}}
    for number in range(3):
        (tmp_path / f"curves_{number}.csv").write_text("t,mag,err\n1,20,.1\n")
    by_file = {**MAPPING["light_curves"], "id": {"file": r"curves_(\w+)\.csv"}, "band": {"constant": 1}}
    source = toy("t,mag,err\n", objects=None, name="curves_9.csv", options={"objects": rule, "light_curves": by_file})
    assert source.labels()[1].tolist() == [4, 4, 4, 4]
    for workers in "12":
        table.main([str(tmp_path), "--out", str(tmp_path / f".{workers}"), "--quiet", "--workers", workers])
    one, two = ({each.name: each.read_bytes() for each in (tmp_path / f".{n}").iterdir()} for n in "12")
    assert one == two


WRONG = {
    "survey": ({"survey": None}, "'survey' is needed"),
    "bands": ({"bands": [{"name": "g", "wavelength_angstrom": -1}]}, r"'bands\[0\].wavelength_angstrom' is positive"),
    "unknown": ({"bandz": 1}, r"no such entries. Received: \['bandz'\]"),
    "time": ({"time": {"column": "t", "scale": "tdb"}}, "'light_curves.time.scale' is one of mjd, jd, hjd, bjd"),
    "flux": ({"flux": {"column": "f", "error": "e"}}, "'light_curves.flux' or 'magnitude'"),
    "id": ({"id": {"file": "("}}, "'light_curves.id.file' is a regular expression"),
    "valid": ({"valid": {"mag": [5, 1]}}, "'light_curves.valid.mag' is "),
    "rule": ({"detected": {"column": "x"}}, "'light_curves.detected.column' goes with"),
    "files": ({"files": ["none*"]}, "key 'light_curves.files': no file fits none"),
    "zero": ({"zero_point": "AB"}, "'zero_point' is a number"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_entry_is_named_by_its_key(toy, case):
    changes, message = WRONG[case]
    own = {key: value for key, value in changes.items() if key in MAPPING or key == "bandz"}
    with pytest.raises(UsageError, match=message):
        toy(options=own, **{key: value for key, value in changes.items() if key not in own})


def test_a_column_that_is_missing_is_named(toy, tmp_path):
    found = _outcomes(toy("id,t,band,mag\n5,1,g,20\n", objects=None))
    assert "columns missing: err" in found["5"].reason
    with pytest.raises(DataError, match="columns missing: per"):
        toy(objects="name,type,A_V,b\n5,ab,1,1\n")
    with pytest.raises(UsageError, match="sesar2010, ztf_bts.*Received: none"):
        TableSource([tmp_path / "curves.csv"])
    with pytest.raises(UsageError, match="Received: 'sesar'"):
        load_mapping("sesar")


def test_ready_mappings_are_whole(tmp_path):
    (tmp_path / "m.yaml").write_text("light_curves: ztf_bts")
    assert load_mapping(tmp_path / "m.yaml") == load_mapping("ztf_bts")
    for name in MAPPINGS:
        mapping = load_mapping(name)
        assert len(mapping.bands) >= 3 and mapping.zero_point == 27.5


def test_one_source_recognises_a_folder(toy, tmp_path):
    toy()
    assert [name for name in SOURCES if source_class(name).recognises([tmp_path])] == ["table"]


def test_long_tables_are_read_in_pieces(toy, monkeypatch):
    lines = [f"{row % 700},{row},g,20,.1" for row in range(7000)]
    plain = _outcomes(toy("id,t,band,mag,err\n" + "\n".join(lines), objects=None))
    monkeypatch.setattr("data_tools.readers.table_blocks._READ", 997)
    monkeypatch.setattr("data_tools.table._MAX_OBJECTS", 100)
    source = toy("id,t,band,mag,err\n" + "\n".join(lines), objects=None)
    assert len(source.pieces()) == 7
    found = _outcomes(source)
    assert len(found) == 700
    for name, outcome in found.items():
        np.testing.assert_array_equal(outcome.record.lc.time, plain[name].record.lc.time)
        assert len(outcome.record.lc) == 10


def test_the_real_stars(shared):
    archive = shared("data/rrlyrae_s82_snia_ztf.tar.gz")
    source = TableSource([archive], mapping="sesar2010")
    sent = pickle.loads(pickle.dumps(source))
    records = [outcome.record for piece in source.pieces() for outcome in sent.read(piece)]
    classes = source.labels()[1].tolist()
    assert (len(records), classes.count(1), classes.count(2)) == (483, 379, 104)
    # Of 136,196 rows, 59 have the error 99.999.
    assert sum(len(record.lc) for record in records) == 136_137
    [star] = [record for record in records if record.object_id == "4099"]
    assert star.targets["period"][0] == 0.641754351271


@pytest.mark.slow
def test_the_real_supernovae(shared):
    archive = shared("data/rrlyrae_s82_snia_ztf.tar.gz")
    outcomes = list(TableSource([archive], mapping="ztf_bts").objects())
    assert sum(each.record is not None for each in outcomes) == 2289
    assert sum(len(each.record.lc) for each in outcomes if each.record is not None) == 44_339
    assert [each.reason for each in outcomes if each.record is None] == ["no observations"] * 25


def test_the_mappings_of_the_readme_are_whole(tmp_path):
    from data_tools.readers.stamps_mapping import load_stamp_mapping

    text = resources.files("data_tools").joinpath("README.md").read_text(encoding="utf-8")
    one, two = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "one.yaml").write_text(one)
    (tmp_path / "two.yaml").write_text(two)
    mapping = load_mapping(tmp_path / "one.yaml")
    assert (mapping.time_shift, mapping.limits.keep, mapping.targets[0].name) == (49999.5, True, "period")
    assert load_stamp_mapping(tmp_path / "two.yaml").placeholders == ("candid",)
