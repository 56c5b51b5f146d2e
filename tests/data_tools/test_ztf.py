"""ZTF alerts to records: what becomes of every alert and file, labels, sequences, columns, light curves."""

from __future__ import annotations

import csv
import gzip
import io
import pickle
import tarfile
from collections import Counter

import numpy as np
import pytest

from data_tools import ztf
from data_tools.readers.ztf_survey import ALERT_NAMES, coordinates, join_candid
from data_tools.sources import open_source
from data_tools.ztf import ZtfSource
from tests.data_tools.ztf_alerts_made import avro_bytes, cutout, fits_bytes, make_alert, previous
from tfrecords.errors import DataError, UsageError
from tfrecords.reader import RecordDirectory


def write(path, *alerts, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(avro_bytes(*alerts, **options))
    return path


def records_of(source):
    """Give records by id, and the other outcomes by id, after checking that every object ends once."""
    outcomes = list(source.objects())
    ids, _ = source.labels()
    assert sorted(each.row for each in outcomes if each.row >= 0) == list(range(len(ids)))
    assert all(each.object_id == ids[each.row] for each in outcomes if each.row >= 0)
    assert len({each.object_id for each in outcomes}) == len(outcomes)
    others = {each.object_id: each for each in outcomes if each.record is None}
    assert all(each.reason for each in others.values())
    return {each.object_id: each.record for each in outcomes if each.record is not None}, others


def column(record, name):
    return record.stamps.metadata[:, ALERT_NAMES.index(name)]


def tar_bytes(mode, **members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


A1 = make_alert("ZTF18aaaaaaa", 1001, 2459000.5, prv_candidates=[previous(2458999.5), previous(2458998.5, None)])
A2 = make_alert("ZTF18aaaaaaa", 1002, 2459003.5, isdiffpos="f", fid=2,
                prv_candidates=[previous(2458999.5), previous(2459000.5, 18.5, 1001, 1, "1")])  # fmt: skip
B = make_alert("ZTF18bbbbbbb", 2**61 + 12345, 2459001.25)


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy"])
def test_alerts_of_an_object_become_a_sequence(tmp_path, codec):
    write(tmp_path / "night" / "two.avro", A2, B, codec=codec)
    write(tmp_path / "one.avro", A1, codec=codec)
    source = ZtfSource([tmp_path])
    records, others = records_of(source)
    assert list(records) == ["ZTF18aaaaaaa", "ZTF18bbbbbbb"]
    assert not others
    record = records["ZTF18aaaaaaa"]
    assert record.stamps.images.shape == (2, 63, 63, 3)
    assert record.stamps.time.tolist() == [59000.0, 59003.0]
    assert column(record, "isdiffpos").tolist() == [0, 1]
    assert column(record, "non_detections").tolist() == [26, 26]
    assert column(record, "sgscore3").tolist() == [-999, -999]
    assert np.isnan(column(record, "drb")).all()
    assert (
        record.static.tolist()[:2] == column(record, "sgscore1")[1:].tolist() + column(record, "distpsnr1")[1:].tolist()
    )
    parts = [column(records["ZTF18bbbbbbb"], f"candid_{part}")[0] for part in ("high", "middle", "low")]
    assert join_candid(*parts) == 2**61 + 12345
    [gap] = [each.missing for each in source.alert_columns if each.name == "sgscore3"]
    assert gap == (-999.0,)


def test_a_light_curve_has_every_detection_once_as_flux(tmp_path):
    records, _ = records_of(ZtfSource([write(tmp_path / "a.avro", A1, A2)]))
    lc = records["ZTF18aaaaaaa"].lc
    assert lc.time.tolist() == [58999.0, 59000.0, 59003.0]
    assert lc.band.tolist() == [1, 0, 1]
    flux = 10 ** (-0.4 * (np.array([19.0, 18.5, 18.5]) - 27.5))
    np.testing.assert_allclose(lc.flux, flux * [-1, 1, -1], rtol=1e-6)
    np.testing.assert_allclose(lc.flux_err, flux * [0.25, 0.125, 0.125] / 1.0857362, rtol=1e-6)
    assert lc.flags.tolist() == [1, 1, 1]


def test_coordinates_are_those_of_astropy():
    from astropy.coordinates import SkyCoord

    for ra, dec in ((0.0, 0.0), (150.1, 2.2), (359.9, -89.0), (266.4, -28.9)):
        sky = SkyCoord(ra, dec, unit="deg")
        ecliptic, galactic = sky.barycentricmeanecliptic, sky.galactic
        want = (ecliptic.lat.deg, ecliptic.lon.deg, galactic.b.deg, galactic.l.deg)
        np.testing.assert_allclose(coordinates(ra, dec), want, atol=1e-7)


def test_one_record_an_alert(tmp_path):
    source = ZtfSource([write(tmp_path / "a.avro", A1, A2, A1)], group="alert")
    assert len(set(source.groups())) == 1
    records, others = records_of(source)
    assert list(records) == ["1001", "1002"]
    assert {name: each.reason for name, each in others.items()} == {
        "1001/1001 (1)": "alert dropped: it was read before"
    }


SMALL = fits_bytes(np.ones((63, 48)))
BROKEN = bytearray(cutout(3))
BROKEN[600] ^= 1
INFINITE = np.ones((63, 63))
INFINITE[5, 5] = np.inf


def _with_cutouts(alert, **cutouts):
    changed = {key: {"fileName": "", "stampData": bytes(value)} if value is not None else None
               for key, value in cutouts.items()}  # fmt: skip
    return alert | changed


def test_alerts_that_are_left_out_stand_in_the_ledger(tmp_path):
    alerts = [
        A1,
        _with_cutouts(make_alert("ZTF18aaaaaaa", 1, 2459001.5), cutoutScience=SMALL),
        _with_cutouts(make_alert("ZTF18aaaaaaa", 2, 2459001.75), cutoutDifference=BROKEN),
        _with_cutouts(make_alert("ZTFnull", 3), cutoutTemplate=None),
        _with_cutouts(make_alert("ZTFinf", 4), cutoutTemplate=fits_bytes(INFINITE)),
        make_alert("ZTFsign", 5, isdiffpos="x"),
        _with_cutouts(make_alert("ZTFsmall", 6), cutoutScience=SMALL),
        A1,
    ]
    records, others = records_of(ZtfSource([write(tmp_path / "a.avro", *alerts)]))
    assert [len(each.stamps.time) for each in records.values()] == [1]
    assert {name: each.quarantined for name, each in others.items()} == {
        "ZTF18aaaaaaa/1": False,
        "ZTF18aaaaaaa/2": True,
        "ZTF18aaaaaaa/1001": False,
        "ZTFnull/3": True,
        "ZTFnull": True,
        "ZTFinf/4": True,
        "ZTFinf": True,
        "ZTFsign/5": True,
        "ZTFsign": True,
        "ZTFsmall/6": False,
        "ZTFsmall": False,
    }
    for name, word in {"2": "difference cutout: the gzip", "1": "not 63x63", "1001": "read before"}.items():
        assert word in others[f"ZTF18aaaaaaa/{name}"].reason
    assert "no template cutout" in others["ZTFnull/3"].reason
    assert "infinite" in others["ZTFinf/4"].reason
    assert "'x'" in others["ZTFsign/5"].reason
    # Its photometry is good, though its cutouts are small; that of the damaged one is not used.
    assert records["ZTF18aaaaaaa"].lc.time.tolist() == [58999.0, 59000.0, 59001.0]


def test_small_cutouts_are_padded_where_the_chip_ends(tmp_path):
    image = np.random.default_rng(0).normal(size=(63, 48))
    small = dict.fromkeys(("cutoutScience", "cutoutTemplate", "cutoutDifference"), fits_bytes(image))
    for xpos, start in ((10.0, 15), (3060.0, 0)):
        path = write(tmp_path / f"{xpos}.avro", _with_cutouts(make_alert(xpos=xpos), **small))
        [stamps] = [each.stamps for each in records_of(ZtfSource([path], on_bad_shape="pad"))[0].values()]
        np.testing.assert_array_equal(stamps.images[0, :, start : start + 48, 1], image.astype("f4"))
        assert np.isnan(stamps.images).sum() == 15 * 63 * 3


def test_nan_pixels_stay(tmp_path):
    image = np.ones((63, 63))
    image[3, 4] = np.nan
    path = write(tmp_path / "a.avro", _with_cutouts(B, cutoutTemplate=gzip.compress(fits_bytes(image))))
    [record] = records_of(ZtfSource([path]))[0].values()
    assert np.argwhere(np.isnan(record.stamps.images)).tolist() == [[0, 3, 4, 1]]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_night_in_a_tar_file_is_streamed_and_nothing_is_unpacked(tmp_path, mode, monkeypatch):
    members = {"../../evil.avro": avro_bytes(A1), "b" * 150 + ".avro": avro_bytes(A2, B), "readme.txt": b"hello",
               "bad.avro": b"no avro"}  # fmt: skip
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / ("night.tar.gz" if mode == "w:gz" else "night.tar")).write_bytes(tar_bytes(mode, **members))
    before = sorted(tmp_path.rglob("*"))
    records, others = records_of(ZtfSource([folder]))
    assert [len(each.stamps.time) for each in records.values()] == [2, 1]
    assert [each.quarantined for each in others.values()] == [True]
    assert "member 3" in next(iter(others))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_damaged_file_is_quarantined_and_the_rest_goes_on(tmp_path):
    content = write(tmp_path / "a.avro", A1, B, interval=100).read_bytes()
    (tmp_path / "b.avro").write_bytes(content[: len(content) - 40])
    (tmp_path / "c.avro").write_bytes(b"")
    night = tar_bytes("w:gz", x=avro_bytes(make_alert("ZTFtar", 9)), y=avro_bytes(make_alert("ZTFtar", 10)))
    (tmp_path / "d.tar.gz").write_bytes(night[: len(night) // 2 + 9000])
    records, others = records_of(ZtfSource([tmp_path]))
    assert set(records) >= {"ZTF18aaaaaaa", "ZTF18bbbbbbb"}
    assert len(records["ZTF18aaaaaaa"].stamps.time) == 1
    damaged = {name: each for name, each in others.items() if each.quarantined}
    assert {name.split(",")[0] for name in damaged} == {"b.avro", "c.avro", "d.tar.gz"}
    assert all(name.split(",")[0] in each.reason for name, each in damaged.items())


def _labels(path, rows, header=("candid", "class")):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def test_labels_by_alert_object_and_file(tmp_path):
    write(tmp_path / "a.avro", A1, A2)
    write(tmp_path / "b.avro", B)
    write(tmp_path / "c.avro", make_alert("ZTFc", 77), make_alert("ZTFd", 78))
    rows = [(1001, "SN"), (1002, "none"), ("ZTF18bbbbbbb", "VS"), (77, "kilonova"), ("unknown", "SN")]
    source = ZtfSource([tmp_path], labels=_labels(tmp_path / "l.csv", rows))
    assert dict(zip(*source.labels(), strict=True)) == {
        "ZTF18aaaaaaa": 1,
        "ZTF18bbbbbbb": 2,
        "ZTFc": 5,
        "ZTFd": -1,
    }
    assert [each.name for each in source.classes] == ["AGN", "SN", "VS", "asteroid", "bogus", "kilonova"]
    assert source.unused_labels == 1
    table = _labels(tmp_path / "f.csv", [("b.avro", "AGN")], ("file", "kind"))
    source = ZtfSource([tmp_path], labels=table, class_column="kind")
    assert dict(zip(*source.labels(), strict=True))["ZTF18bbbbbbb"] == 0
    rows = [(1001, "SN"), (1002, "AGN")]
    source = ZtfSource([tmp_path / "a.avro"], labels=_labels(tmp_path / "l.csv", rows))
    records, others = records_of(source)
    assert not records
    assert others["ZTF18aaaaaaa"].reason == "conflicting labels: AGN, SN"
    with pytest.raises(DataError, match="no id of the table"):
        ZtfSource([tmp_path / "a.avro"], labels=_labels(tmp_path / "l.csv", [(1, "SN")]))
    with pytest.raises(UsageError, match="--class-column"):
        ZtfSource([tmp_path / "a.avro"], labels=_labels(tmp_path / "l.csv", [(1, "SN")], ("candid", "x")))


def test_pieces_can_be_read_anywhere_and_give_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(ztf, "_PIECE_ALERTS", 2)
    for number in range(5):
        write(tmp_path / f"{number}.avro", make_alert(f"ZTF{number}", number), make_alert("ZTFall", 100 + number))
    source = ZtfSource([tmp_path])
    pieces = source.pieces()
    assert [piece.rows for piece in pieces] == [range(0, 2), range(2, 4), range(4, 6)]
    assert len({piece.name for piece in pieces}) == 3
    sent = pickle.loads(pickle.dumps(source))
    for piece in pieces:
        chosen = np.array([True, False])
        outcomes = list(sent.read(pickle.loads(pickle.dumps(piece)), chosen))
        assert [(each.object_id, each.reason) for each in outcomes if each.row == piece.rows[1]][0][1] == "not selected"
    assert len(records_of(source)[0]["ZTFall"].stamps.time) == 5


def test_a_file_that_changes_while_it_is_read_is_quarantined(tmp_path):
    path = write(tmp_path / "a.avro", A1, B)
    source = ZtfSource([path])
    path.write_bytes(path.read_bytes()[:-5000])
    records, others = records_of(source)
    assert list(records) == ["ZTF18aaaaaaa"]
    assert {name: each.quarantined for name, each in others.items()} == dict.fromkeys(
        ("ZTF18bbbbbbb", "ZTF18bbbbbbb/file 1"), True
    )


def test_recognises_alerts_only(tmp_path, tiny):
    night = tmp_path / "n.tar.gz"
    night.write_bytes(tar_bytes("w:gz", x=avro_bytes(A1)))
    table = _labels(tmp_path / "t.csv", [(1, 2)])
    (tmp_path / "bad.avro").write_bytes(b"Obj\x01")
    assert ZtfSource.recognises([write(tmp_path / "a" / "a.avro", A1)])
    assert ZtfSource.recognises([tmp_path / "a"])
    assert ZtfSource.recognises([night])
    for path in (table, tmp_path / "bad.avro", tmp_path / "nowhere", tiny):
        assert not ZtfSource.recognises([path])
    assert isinstance(open_source([night]), ZtfSource)


def test_wrong_options_say_what_is_valid(tmp_path):
    path = write(tmp_path / "a.avro", A1)
    for options in ({"group": "night"}, {"on_bad_shape": "crop"}, {"static_columns": ["candid_low"]}):
        with pytest.raises(UsageError, match=r"Received: '?(night|crop|candid_low)"):
            ZtfSource([path], **options)
    with pytest.raises(UsageError, match=r"\*.avro"):
        ZtfSource([tmp_path / "nothing" if (tmp_path / "nothing").mkdir() else tmp_path / "nothing"])


@pytest.mark.parametrize("step", [15, pytest.param(1, marks=pytest.mark.slow)])
def test_the_real_alerts_convert_with_a_full_ledger(shared, tmp_path, step):
    folder, out = shared("data/ztf_alerts"), tmp_path / "records"
    files = sorted(folder.rglob("*.avro"))[::step]
    ztf.main([*map(str, files), "--labels", str(folder / "index.csv"), "--out", str(out), "--quiet"])
    with open(out / "ledger.csv", newline="") as file:
        ledger = list(csv.DictReader(file))
    alerts = [row for row in ledger if "/" in row["object_id"]]
    objects = [row for row in ledger if "/" not in row["object_id"]]
    with open(folder / "index.csv", newline="") as file:
        index = {row["candid"]: row for row in csv.DictReader(file)}
    listed = [index[path.stem] for path in files]
    assert len(objects) == len({row["objectId"] for row in listed})
    directory = RecordDirectory(out)
    stamps = sum(len(directory.record(row).stamps.time) for row in range(len(directory)))
    assert stamps + len(alerts) == len(files)
    dropped = Counter(row["reason"][:13] for row in alerts)
    assert dropped == {"alert dropped": sum(row["shape_ok"] == "False" for row in listed)}
    assert len(objects) == 669 or step > 1
    classes = {(row["objectId"], row["weak_class"]) for row in listed if row["weak_class"] != "none"}
    names = {native.id: native.name for native in directory.info.classes}
    for row in range(len(directory)):
        record = directory.record(row)
        if record.class_id != -1:
            assert (record.object_id, names[record.class_id]) in classes


def test_pixels_and_features_are_those_of_the_published_classifier(shared):
    import json

    case = np.load(shared("golden/stamps/stamp_preprocess.npz"), allow_pickle=False)
    names = json.loads(shared("golden/stamps/stamp_preprocess.json").read_text())["feature_order"]
    for candid, image, features in zip(case["x/candid"], case["x/raw_image"], case["x/raw_features"], strict=True):
        path = shared(f"data/ztf_alerts/alerts/{candid}.avro")
        [record] = records_of(ZtfSource([path]))[0].values()
        np.testing.assert_array_equal(record.stamps.images[0], image)
        assert join_candid(*(column(record, f"candid_{part}")[0] for part in ("high", "middle", "low"))) == candid
        for name, want in zip(names, features, strict=True):
            # Its ecliptic is another realisation, 0.1 arcsec away.
            tolerance = {"atol": 5e-5} if name[:4] in ("ecl_", "gal_") else {"rtol": 1e-6}
            np.testing.assert_allclose(column(record, name), want, err_msg=name, **tolerance)


def test_parquet_of_real_alerts_goes_the_same_way(shared):
    source = ZtfSource([shared("data/elasticc_alerts/superluminous_test_alerts.parquet")])
    records, others = records_of(source)
    assert (len(records), len(others)) == (64, 0)
    assert sum(len(each.stamps.time) for each in records.values()) == 74
