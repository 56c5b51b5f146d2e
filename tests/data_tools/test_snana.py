"""SNANA files: what the reader makes of them, with every trap of the format."""

from __future__ import annotations

import gzip
import shutil

import numpy as np
import pytest

from data_tools import snana
from data_tools.snana import SnanaSource
from data_tools.sources import open_source
from tests.data_tools.snana_writer import SnanaPair
from tfrecords.errors import UsageError
from tfrecords.reader import RecordDirectory, read_ledger
from tfrecords.schema import FLAG_DETECTED, FLAG_TRIGGER, FLAG_UNKNOWN


def _records(folder, **options):
    return [outcome.record for outcome in SnanaSource([folder], **options).objects()]


def test_values_are_those_of_the_file(tmp_path):
    pair = SnanaPair()
    pair.write(tmp_path)
    records = _records(tmp_path, static_columns=["MWEBV", "DEC", "HOSTGAL_PHOTOZ"])
    assert [record.object_id for record in records] == pair.snid
    for number, (record, rows) in enumerate(zip(records, pair.events, strict=True)):
        np.testing.assert_array_equal(record.lc.time, [row[0] for row in rows])
        np.testing.assert_array_equal(record.lc.band, ["ugrizY".index(row[1]) for row in rows])
        np.testing.assert_allclose(record.lc.flux, [row[2] for row in rows], rtol=1e-6)
        assert record.lc.flags[2] == FLAG_DETECTED | FLAG_TRIGGER
        # A declination of -9 is a declination; a column that is not there is NaN.
        np.testing.assert_allclose(record.static, [0.1 + 0.01 * number, -9.0, np.nan], rtol=1e-6)
        np.testing.assert_allclose(record.targets["t0"], 59050.5)


@pytest.mark.parametrize(
    "trap",
    [
        {"band_column": "FLT"},
        {"pad": " "},
        {"band_format": "20A", "pad": "   "},
        {"last_separator": False},
        {"shift": 5000},
        {"shift": 3},
        {"keywords": {}},
        {"integer_ids": True},
    ],
    ids=str,
)
def test_traps_change_nothing(tmp_path, trap):
    SnanaPair().write(tmp_path / "plain")
    pair = SnanaPair()
    for name, value in trap.items():
        setattr(pair, name, value)
    pair.write(tmp_path / "trap", suffix=".FITS")
    plain, other = _records(tmp_path / "plain"), _records(tmp_path / "trap", survey="plasticc_snana")
    for one, two in zip(plain, other, strict=True):
        assert one.object_id == two.object_id
        np.testing.assert_array_equal(one.lc.time, two.lc.time)
        np.testing.assert_array_equal(one.lc.band, two.lc.band)


def test_pointers_and_separators_that_do_not_fit_refuse_the_pair(tmp_path):
    pair = SnanaPair()
    pair.shift = 5000
    pair.write(tmp_path, "bad")
    other = SnanaPair()
    other.events[0].insert(2, (-777.0, "-", -777.0, -777.0, -777))
    other.snid = [f"2{each}" for each in other.snid]
    other.shift = 7
    other.write(tmp_path, "worse")
    outcomes = {each.object_id: each for each in SnanaSource([tmp_path]).objects()}
    assert all(outcomes[each].record is not None for each in pair.snid)
    assert all(outcomes[each].quarantined for each in other.snid)
    assert "worse_PHOT.FITS.gz: rows 15 to 20 of 31 are those of event '21001'" in outcomes["21000"].reason
    assert "(3 of 4 events), and 5 segments between separators" in outcomes["21003"].reason


def test_rows_of_no_event_are_not_lost_in_silence(tmp_path):
    pair = SnanaPair(events=3)
    pair.write(tmp_path, suffix=".FITS")
    head = tmp_path / "X-0001_HEAD.FITS"
    content = head.read_bytes()
    head.write_bytes(content.replace(b"NAXIS2  =                    3", b"NAXIS2  =                    2"))
    *events, rest = SnanaSource([tmp_path]).objects()
    assert [event.record is not None for event in events] == [True, True]
    assert rest.quarantined and "7 rows belong to no event" in rest.reason


def test_an_object_or_a_file_is_refused_and_the_rest_goes_on(tmp_path, capsys):
    folder = tmp_path / "sets"
    for number in range(3):
        pair = SnanaPair(events=12)
        pair.snid = [f"{number}{each}" for each in pair.snid]
        pair.events[1][0] = (*pair.events[1][0][:3], -1.0, 0)
        pair.events[2][0] = (pair.events[2][0][0], "W", *pair.events[2][0][2:])
        pair.write(folder, f"set{number}")
    head = folder / "set1_PHOT.FITS.gz"
    head.write_bytes(head.read_bytes()[:-50])
    (folder / "set2_HEAD.FITS.gz").unlink()
    snana.main([str(folder), "--out", str(tmp_path / "out"), "--quiet"])
    ledger = {row["object_id"]: row for row in read_ledger(tmp_path / "out")}
    assert RecordDirectory(tmp_path / "out").info.ledger.written == 10
    assert len(ledger) == 12 + 12 + 1
    assert "FLUXCALERR is positive and finite; row 1 of the event has -1.0" in ledger["01001"]["reason"]
    assert "row 1 of the event has 'W'" in ledger["01002"]["reason"]
    assert all("cut short" in ledger[f"1{number}"]["reason"] for number in range(1000, 1012))
    assert "there is no HEAD file" in ledger["set2_PHOT.FITS.gz"]["reason"]
    assert "quarantined: 10 more" in capsys.readouterr().err


def test_classes_and_ids_of_elasticc(tmp_path):
    for folder in ("ELASTICC_TRAIN_SNIa-SALT2", "ELASTICC_TRAINFIX_Cepheid", "ELASTICC_TRAIN_SLSN-I_no_host", "new"):
        pair = SnanaPair(events=2)
        pair.types = [90, 90]
        pair.snid = [f"{len(folder)}1", f"{len(folder)}2"]
        pair.write(tmp_path / "E" / folder, folder)
    with pytest.raises(UsageError, match="of one survey, by the first elasticc.*Received: plasticc_snana"):
        SnanaSource([tmp_path / "E"])
    source = SnanaSource([tmp_path / "E"], survey="elasticc")
    ids, classes = source.labels()
    names = {native.id: native.name for native in source.classes}
    found = [(object_id, names[native]) for object_id, native in zip(ids, classes.tolist(), strict=True)]
    # A folder that no model is named after goes by the type of the simulation.
    assert found[::2] == [
        ("1000000251", "Cepheid"),
        ("291", "SLSN-I_no_host"),
        ("251", "SNIa-SALT2"),
        ("100000031", "Cepheid"),
    ]
    shutil.copytree(tmp_path / "E" / "ELASTICC_TRAIN_SNIa-SALT2", tmp_path / "F" / "ELASTICC2_TRAIN_02_SNIa-SALT3")
    assert SnanaSource([tmp_path / "F"]).labels()[0] == ["SNIa-SALT3:251", "SNIa-SALT3:252"]


def test_truth_is_never_an_input(tmp_path):
    SnanaPair().write(tmp_path)
    for name in ("SIM_TYPE_INDEX", "PEAKMJD", "SIM_HOSTLIB(LOGMASS_TRUE)", "SNTYPE"):
        with pytest.raises(UsageError, match="can never be an input"):
            SnanaSource([tmp_path], static_columns=[name])


def test_flags_are_unknown_where_a_file_has_none(tmp_path):
    pair = SnanaPair()
    pair.events = [[(*row[:4], 0) for row in event] for event in pair.events]
    pair.write(tmp_path)
    assert all((record.lc.flags == FLAG_UNKNOWN).all() for record in _records(tmp_path))


TEXT = """SURVEY: SPCC
SNID: 744
FILTERS: griz
REDSHIFT_FINAL: 0.45 +- 0.02
HOST_GALAXY_PHOTO-Z: 0.44 +- 0.03
SIM_COMMENT:  SN Type = IIn , MODEL = X
NOBS: 2
VARLIST: MJD FLT FLUXCAL FLUXCALERR
OBS: 56001.5 r 3.5 1.0
OBS: 56000.5 g -1.5 2.0
END:
"""


def test_text_files(tmp_path):
    (tmp_path / "a.DAT").write_text(TEXT)
    (tmp_path / "b.DAT").write_text(TEXT.replace("744", "745").replace("NOBS: 2", "NOBS: 3"))
    (tmp_path / "readme.txt").write_text("nothing")
    source = SnanaSource([tmp_path], static_columns=["HOSTGAL_PHOTOZ", "HOSTGAL_PHOTOZ_ERR"])
    one, two = source.objects()
    assert (one.object_id, source.classes[0].name) == ("744", "IIn")
    np.testing.assert_array_equal(one.record.lc.time, [56000.5, 56001.5])
    np.testing.assert_allclose(one.record.static, [0.44, 0.03], rtol=1e-6)
    assert two.quarantined and "NOBS is 3. Received: 2 OBS rows" in two.reason


@pytest.mark.parametrize(
    ("folder", "objects", "rows", "survey"),
    [
        ("sncosmo", 3, 99, "pantheonplus"),
        ("plasticc_altsched", 115, 17947 - 110 + 699 - 3, "plasticc_snana"),
        ("des_stale_pointers", 200, 12717 - 199, "des"),
        ("des5yr_foundation", 185, 6195 - 185, "pantheonplus"),
        ("pantheonplus_sim/SIMDESREAL_0001", 620, 42610 - 620, "des"),
        ("pantheonplus_sim/SIMPS1REAL_0001", 513, 24794 - 513, "pantheonplus"),
    ],
)
def test_public_pairs(shared, folder, objects, rows, survey):
    source = open_source([shared(f"data/snana/{folder}")])
    assert isinstance(source, SnanaSource) and source.survey == survey
    outcomes = list(source.objects())
    assert len(outcomes) == objects
    assert sum(len(outcome.record.lc) for outcome in outcomes) == rows


def test_text_files_may_be_gzipped(tmp_path):
    with gzip.open(tmp_path / "a.DAT.gz", "wt") as file:
        file.write(TEXT)
    (tmp_path / "b.DAT.gz").write_bytes(b"\x1f\x8b cut")
    damaged, whole = SnanaSource([tmp_path]).objects()
    assert whole.record.object_id == "744" and damaged.quarantined and damaged.object_id == "b.DAT.gz"
