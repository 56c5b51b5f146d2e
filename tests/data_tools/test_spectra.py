"""SNID templates to records: spectra by epoch, groups, damaged files, the real set."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pytest

from data_tools import spectra
from data_tools.sources import SOURCES, source_class
from data_tools.spectra import SpectraSource
from tests.data_tools.survey_files import lnw_text
from tfrecords import show, stats
from tfrecords.check import check
from tfrecords.errors import UsageError
from tfrecords.reader import RecordDirectory, read_ledger


@pytest.fixture
def folder(tmp_path):
    """Three supernovae, two of one type; one has two spectra of one age."""
    root = tmp_path / "in"
    root.mkdir()
    (root / "sn1.lnw").write_text(lnw_text("sn1", ages=(-3.0, 10.5, 10.5)))
    (root / "sn2.lnw").write_text(lnw_text("sn2", "IIn", "4  4", ages=(0.0,)))
    (root / "sn3.lnw").write_text(lnw_text("sn3", ages=(1.25, 400.0)))
    return root


def _outcomes(folder, **options):
    return {outcome.object_id: outcome for outcome in SpectraSource([folder], **options).objects()}


def test_values_are_those_of_the_files(folder, tmp_path):
    spectra.main([str(folder), "--out", str(tmp_path / "out"), "--quiet", "--validation-fraction", "0"])
    assert check(tmp_path / "out", deep=True).violations == []
    records = RecordDirectory(tmp_path / "out")
    assert [(native.id, native.name) for native in records.info.classes] == [(102, "Ia-norm"), (404, "IIn")]
    rows = np.loadtxt((folder / "sn1.lnw").read_text().splitlines()[5:])
    for number, name in enumerate(("sn1@-3", "sn1@+10.5", "sn1@+10.5#2")):
        record = records.record(records.find(name))
        assert record.class_id == 102
        assert record.spectrum.wavelength.tolist() == rows[:, 0].astype("f4").tolist()
        assert record.spectrum.flux.tolist() == rows[:, number + 1].astype("f4").tolist()
        assert record.spectrum.ivar[[0, 1, -2, -1]].tolist() == [0, 0, 0, 0]
        assert np.isnan(record.spectrum.ivar[2:-2]).all()
        assert record.targets["age"][0] == (-3.0, 10.5, 10.5)[number]
        assert record.static.tolist() == [record.targets["age"][0], np.float32(-9.99)]
    columns = records.info.static_columns
    assert columns[1].missing == (-9.99,)
    assert all(column.caution for column in columns)


def test_groups_name_the_supernova_of_every_object(folder):
    source = SpectraSource([folder])
    ids, _ = source.labels()
    assert list(source.groups()) == [object_id.split("@")[0] for object_id in ids]
    (folder / "bad.lnw").write_text("nothing")
    source = SpectraSource([folder])
    assert len(source.groups()) == len(source.labels()[0]) == len(source) == 7


@pytest.mark.parametrize(
    ("spoil", "count", "reason"),
    [
        (lambda text: "", 1, "not a SNID template"),
        (lambda text: text.replace("    2   16", "    9   16", 1), 1, "kind of age and 9 ages"),
        (lambda text: text.replace("    2   16", "    2 1024", 1), 2, "the header says 1024 bins. Received: 16"),
        (lambda text: text.replace("    2   16", "    2 9999999", 1), 1, "counts epochs, bins and knots"),
        (lambda text: text[:-50], 2, "cut short"),
        (lambda text: text[:-3], 2, "cut short"),
        (lambda text: text.replace("   0.000    0.000\n", "   0.000\n", 1), 2, "wrong line"),
        (lambda text: text.replace("  -3.000", "     inf"), 1, "ages and delta m15 are finite"),
        (lambda text: text.replace("    0.000    0.000", "    0.000  1e39", 1), 2, "flux is finite"),
        (lambda text: text.replace("2610.68", "3610.68"), 2, "wavelength is positive and increases"),
        (lambda text: text.replace("Ia-norm", "Ia-pec "), 1, "a type has one name"),
        (lambda text: text.replace("1  2", "1  7"), 1, "a type has one name"),
        (lambda text: text.replace("sn9", "sn1"), 1, "another file has the supernova sn1"),
        (lambda text: text.replace("sn9", "s\xe99"), 1, "not a SNID template"),
    ],
)
def test_a_bad_file_is_quarantined_and_the_rest_goes_on(folder, spoil, count, reason):
    good = lnw_text("sn9")
    text = spoil(good)
    assert text != good
    (folder / "sn9.lnw").write_text(text, "latin-1")
    found = _outcomes(folder)
    bad = [outcome for outcome in found.values() if outcome.quarantined]
    assert [len(bad), len(found)] == [count, 6 + count]
    assert all(outcome.reason.startswith("sn9.lnw: ") and reason in outcome.reason for outcome in bad)


def test_mutants_end_in_records_or_a_reason(folder):
    rng = np.random.default_rng(3)
    good = lnw_text("sn9").encode()
    ends = {True: 0, False: 0}
    for _ in range(100):
        data = bytearray(good)
        for place in rng.integers(0, len(data), 2):
            data[place] = rng.choice(list(b"0123456789 .-+eE\nx\xff"))
        (folder / "sn9.lnw").write_bytes(data[: rng.integers(len(data))] if rng.random() < 0.2 else data)
        for outcome in list(_outcomes(folder).values()):
            assert outcome.quarantined == (outcome.record is None)
        ends[outcome.quarantined] += 1
    assert min(ends.values()) > 5


def test_pieces_are_read_by_a_copy(folder):
    source = SpectraSource([folder])
    copy = pickle.loads(pickle.dumps(source))
    [piece] = source.pieces()
    assert (len(copy), [outcome.row for outcome in copy.read(piece)]) == (0, list(range(6)))
    chosen = np.arange(6) % 2 == 0
    assert [outcome.record is not None for outcome in copy.read(piece, chosen)] == chosen.tolist()


def test_usage(folder, tmp_path):
    with pytest.raises(UsageError, match="static columns are age, delta_m15"):
        SpectraSource([folder], static_columns=["z"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="SNID templates are files"):
        SpectraSource([tmp_path / "empty"])
    assert [name for name in SOURCES if source_class(name).recognises([folder])] == ["spectra"]


def test_show_and_stats_know_spectra(folder, tmp_path, capsys):
    out, picture = tmp_path / "out", tmp_path / "a.png"
    spectra.main([str(folder), "--out", str(out), "--quiet", "--validation-fraction", "0"])
    capsys.readouterr()
    show.main([str(out), "--object", "sn1@-3", "--plot", str(picture)])
    assert "16 values" in capsys.readouterr().out
    assert picture.read_bytes().startswith(b"\x89PNG")
    stats.main([str(out), "--quiet"])
    assert "Ia-norm (102)" in capsys.readouterr().out


def test_real_templates(shared, tmp_path, capsys):
    folder = shared("data/spectra_sn")
    assert [name for name in SOURCES if source_class(name).recognises([folder])] == ["spectra"]
    source = SpectraSource([folder])
    counts = Counter(source.labels()[1].tolist())
    assert (len(source), len(counts), len(set(source.groups()))) == (850, 14, 212)
    names = {native.name: counts[native.id] for native in source.classes}
    assert (names["Ia-norm"], names["Ia-91bg"], names["Ic-broad"], names["IIn"]) == (557, 69, 33, 7)
    spectra.main([str(folder), "--out", str(tmp_path / "out"), "--quiet"])
    assert "850 objects: 850 written" in capsys.readouterr().out
    assert check(tmp_path / "out", deep=True).violations == []
    assert {row["outcome"] for row in read_ledger(tmp_path / "out")} == {"written"}
    records = RecordDirectory(tmp_path / "out")
    spectrum = records.record(records.find("sn1994T@+0.8#2")).spectrum
    assert (len(spectrum.flux), spectrum.wavelength[0], spectrum.wavelength[-1]) == (
        1024,
        np.float32(2501.69),
        np.float32(9993.24),
    )
