"""ELAsTiCC alerts to light curves: alerts of an object put together, flux scale, columns, classes, bad files."""

from __future__ import annotations

import pickle
import random

import numpy as np
import pytest

from data_tools import elasticc_alerts
from data_tools.elasticc_alerts import ElasticcAlertSource
from data_tools.readers.elasticc_alerts_survey import COLUMNS
from data_tools.sources import SOURCES, open_source, source_class
from tests.data_tools.test_ztf import records_of
from tfrecords.errors import DataError, UsageError
from tfrecords.reader import RecordDirectory


def measured(mjd, band="r", flux=3631.0, error=100.0, object_id=7):
    return {"diaObjectId": object_id, "diaSourceId": 1, "midPointTai": mjd, "filterName": band, "psFlux": flux,
            "psFluxErr": error}  # fmt: skip


def alert(mjd, object_id=7, past=(), forced=None, host=0.5, flux=3631.0, **columns):
    about = {"diaObjectId": object_id, "ra": 150.0, "decl": -2.0, "mwebv": 0.05, "z_final": 0.5, "hostgal_zphot": host}
    about |= {"hostgal_zspec": -9.0, "hostgal_mag_u": 999.0, "hostgal_ra": -999.0, "hostgal_zphot_q050": 0.4}
    return {
        "alertId": 1,
        "diaSource": measured(mjd, flux=flux, object_id=object_id),
        "prvDiaSources": list(past),
        "prvDiaForcedSources": forced,
        "diaObject": about,
        **columns,
    }


def write(path, *alerts, **options):
    import pyarrow as pa
    import pyarrow.parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    pa.parquet.write_table(pa.Table.from_pylist(list(alerts)), path, **options)
    return path


def column(record, name):
    return float(record.static[list(COLUMNS).index(name)])


def test_alerts_of_an_object_are_put_together(tmp_path):
    first = alert(60000.0, past=[measured(59990.0, "g")], forced=None, host=0.1)
    forced = [measured(59980.0, "Y", -50.0), measured(60000.0), measured(60001.0, "u", 10.0)]
    second = alert(60002.0, past=[measured(59990.0, "g"), measured(60000.0, flux=9.0)], forced=forced, host=0.2)
    write(tmp_path / "a" / "late.parquet", second)
    write(tmp_path / "b.parquet", alert(60001.0, 8), first)
    source = ElasticcAlertSource([tmp_path])
    records, others = records_of(source)
    assert (list(records), others) == (["7", "8"], {})
    lc = records["7"].lc
    assert lc.time.tolist() == [59980.0, 59990.0, 60000.0, 60001.0, 60002.0]
    assert [source.bands[band].name for band in lc.band] == ["Y", "g", "r", "u", "r"]
    assert lc.flags.tolist() == [0, 1, 1, 0, 1]
    # From nJy to 27.5; where forced photometry was done it counts.
    np.testing.assert_allclose(lc.flux, np.array([-50.0, 3631.0, 3631.0, 10.0, 3631.0]) / 36.307805, rtol=1e-6)
    np.testing.assert_allclose(lc.flux_err, 100 / 36.307805, rtol=1e-6)
    assert column(records["7"], "HOSTGAL_PHOTOZ") == np.float32(0.2)
    assert column(records["7"], "HOSTGAL_ZPHOT_Q050") == np.float32(0.4)
    assert (column(records["7"], "HOSTGAL_MAG_u"), column(records["7"], "HOSTGAL_RA")) == (999.0, -999.0)
    assert np.isnan(column(records["7"], "HOSTGAL2_SNSEP"))
    for each in source.static_columns:
        assert (999.0 in each.missing) == ("_MAG" in each.name)
        assert bool(each.caution) == (each.name in ("RA", "DEC", "HOSTGAL_RA", "HOSTGAL_DEC"))


def test_the_early_schema_has_another_flux_scale(tmp_path):
    early = alert(60000.0)
    about = early["diaObject"]
    about["hostgal_z"] = about.pop("hostgal_zspec")
    about["hostgal_zphot_q50"] = about.pop("hostgal_zphot_q050")
    path = write(tmp_path / "a.parquet", early)
    [record] = records_of(ElasticcAlertSource([path]))[0].values()
    assert record.lc.flux.tolist() == [3631.0]
    assert column(record, "HOSTGAL_ZPHOT_Q050") == np.float32(0.4)
    [record] = records_of(ElasticcAlertSource([path], alert_zero_point=30.0))[0].values()
    np.testing.assert_allclose(record.lc.flux, 363.1, rtol=1e-6)


def test_labels_and_truth(tmp_path):
    truth = {"GENTYPE": 10, "ZCMB": 0.5, "PEAKMJD": 60005.0}
    path = write(tmp_path / "a.parquet", alert(60000.0, 1, **truth), alert(60000.0, 2, **truth | {"GENTYPE": 60}))
    other = write(tmp_path / "b.parquet", alert(60001.0, 2), alert(60001.0, 3), alert(60001.0, 4))
    table = tmp_path / "labels.csv"
    table.write_text("diaObjectId,class\n2,SNIax\n3,KN_K17\n4,strange\n9,TDE\n")
    source = ElasticcAlertSource([path, other], labels=table)
    assert dict(zip(*source.labels(), strict=True)) == {"1": 10, "2": -1, "3": 50, "4": 1000}
    assert {each.id: each.name for each in source.classes} == {10: "SNIa-SALT2", 50: "KN_K17", 1000: "strange"}
    assert source.unused_labels == 1
    records, others = records_of(source)
    assert {name: value.tolist() for name, value in records["1"].targets.items()} == {
        "redshift": [0.5],
        "t0": [60005.0],
    }
    assert others["2"].reason == "conflicting labels: AGN, SNIax"
    assert source.targets == ("redshift", "t0")
    assert ElasticcAlertSource([other]).targets == ()


@pytest.mark.parametrize(
    ("row", "word"),
    [
        (measured(59990.0, error=0.0), "psFluxErr"),
        (measured(59990.0, error=None), "psFluxErr"),
        (measured(59990.0, flux=float("inf")), "psFlux is finite"),
        (measured(59990.0, "w"), "filterName"),
        (measured(None), "midPointTai"),
    ],
)
def test_an_object_with_a_bad_row_is_quarantined(tmp_path, row, word):
    path = write(tmp_path / "a.parquet", alert(60000.0, 1, past=[row]), alert(60000.0, 2))
    records, others = records_of(ElasticcAlertSource([path]))
    assert list(records) == ["2"]
    assert others["1"].quarantined
    assert others["1"].reason.startswith("a.parquet")
    assert word in others["1"].reason


def test_a_bad_file_is_quarantined_and_the_rest_goes_on(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet

    good = write(tmp_path / "good.parquet", alert(60000.0))
    (tmp_path / "cut.parquet").write_bytes(good.read_bytes()[:-100])
    pa.parquet.write_table(pa.table({"x": [1]}), tmp_path / "other.parquet")
    pa.parquet.write_table(pa.table({"diaSource": [1], "diaObject": [2]}), tmp_path / "flat.parquet")
    records, others = records_of(ElasticcAlertSource([tmp_path]))
    assert list(records) == ["7"]
    assert {name: each.quarantined for name, each in others.items()} == dict.fromkeys(
        ("cut.parquet", "other.parquet", "flat.parquet"), True
    )
    assert all(each.reason.startswith(name) for name, each in others.items())


def test_a_damaged_byte_ends_in_an_object_or_a_reason(tmp_path):
    alerts = [alert(60000.0 + n, n, past=[measured(59990.0 - n)] * 3, forced=[measured(59980.0)]) for n in range(20)]
    content = write(tmp_path / "a.parquet", *alerts).read_bytes()
    rng, path = random.Random(1), tmp_path / "mutant.parquet"
    (tmp_path / "a.parquet").unlink()
    refused = 0
    for _ in range(60):
        mutant = bytearray(content)
        for _ in range(rng.choice([1, 5])):
            mutant[rng.randrange(len(mutant))] ^= 1 << rng.randrange(8)
        path.write_bytes(mutant)
        _, others = records_of(ElasticcAlertSource([path]))
        refused += bool(others)
    assert refused > 5


def test_pieces_can_be_read_anywhere(tmp_path, monkeypatch):
    monkeypatch.setattr(elasticc_alerts, "_PIECE_ALERTS", 3)
    path = write(tmp_path / "a.parquet", *(alert(60000.0 + n, n % 5) for n in range(10)), row_group_size=2)
    source = ElasticcAlertSource([path])
    pieces = source.pieces()
    assert [piece.rows for piece in pieces] == [range(0, 2), range(2, 4), range(4, 5)]
    sent = pickle.loads(pickle.dumps(source))
    outcomes = [each for piece in pieces for each in sent.read(pickle.loads(pickle.dumps(piece)))]
    assert [len(each.record.lc) for each in outcomes] == [2] * 5
    [one, two] = sent.read(pieces[0], np.array([False, True]))
    assert (one.reason, two.object_id) == ("not selected", "1")


def test_real_samples_are_recognised_by_one_source_and_hold_what_pyarrow_reads(shared):
    import pyarrow.parquet as pq

    folder = shared("data/elasticc_alerts")
    for path in [*sorted(folder.glob("*.parquet")), folder]:
        found = [name for name in SOURCES if source_class(name).recognises([path])]
        assert found == ["ztf" if path.name.startswith("superluminous") else "elasticc_alerts"]
    path = folder / "elasticc_sample_seed0.parquet"
    source = open_source([path])
    records, others = records_of(source)
    assert not others
    rows = pq.read_table(path).to_pylist()
    assert len(records) == len(rows) == 89
    for row in rows:
        record = records[str(row["diaSource"]["diaObjectId"])]
        seen = {}
        for each in [row["diaSource"], *(row["prvDiaSources"] or ()), *(row["prvDiaForcedSources"] or ())]:
            seen[round(each["midPointTai"], 5), "ugrizY".index(each["filterName"])] = each
        assert [(round(t, 5), b) for t, b in zip(record.lc.time, record.lc.band, strict=True)] == sorted(seen)
        flux = [seen[key]["psFlux"] for key in sorted(seen)]
        np.testing.assert_allclose(record.lc.flux * 36.307805, flux, rtol=2e-6)
        detected = {(round(each["midPointTai"], 5)) for each in [row["diaSource"], *(row["prvDiaSources"] or ())]}
        assert [round(time, 5) in detected for time in record.lc.time] == record.lc.flags.astype(bool).tolist()
        assert column(record, "HOSTGAL_MAG_g") == np.float32(row["diaObject"]["hostgal_mag_g"])


def test_peak_fluxes_fit_the_peak_magnitudes_of_the_simulation(shared):
    import pyarrow.parquet as pq

    path = shared("data/elasticc_alerts/elasticc_parquet_test_elasticc_earlysnia.parquet")
    records, _ = records_of(ElasticcAlertSource([path]))
    offsets = []
    for row in pq.read_table(path, columns=["SNID", "PEAKMAG_i"]).to_pylist():
        lc = records[str(row["SNID"])].lc
        flux = lc.flux[lc.band == 3]
        if len(flux) > 5 and flux.max() > 0:
            offsets.append(27.5 - 2.5 * np.log10(flux.max()) - row["PEAKMAG_i"])
    assert len(offsets) > 100
    assert abs(np.median(offsets)) < 0.1


def test_the_command(tmp_path):
    path = write(tmp_path / "a.parquet", *(alert(60000.0, n, GENTYPE=10 * (1 + n % 2)) for n in range(20)))
    out = tmp_path / "records"
    elasticc_alerts.main([str(path), "--out", str(out), "--quiet", "--static-columns", "MWEBV,HOSTGAL_PHOTOZ"])
    directory = RecordDirectory(out)
    assert (len(directory), directory.info.zero_point, len(directory.info.static_columns)) == (20, 27.5, 2)


def test_wrong_options_say_what_is_valid(tmp_path):
    path = write(tmp_path / "a.parquet", alert(60000.0))
    for options, word in (
        ({"static_columns": ["mwebv"]}, "MWEBV"),
        ({"static_columns": ["MWEBV", "MWEBV"]}, "once"),
        ({"alert_zero_point": 0.0}, "magnitude"),
    ):
        with pytest.raises(UsageError, match=word):
            ElasticcAlertSource([path], **options)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="parquet"):
        ElasticcAlertSource([tmp_path / "empty"])
    with pytest.raises(DataError, match="no such file"):
        open_source([tmp_path / "nowhere.parquet"])
