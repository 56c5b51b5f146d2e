"""The synthetic trimodal set: read as the published one, equal bytes, parts that fit one another and their class."""

from __future__ import annotations

import csv
import zipfile

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits

from data_tools import psm
from data_tools.psm import PsmSource
from data_tools.readers.psm_tables import META_COLUMNS, PHOTO_COLUMNS, STATIC_COLUMNS
from data_tools.synthetic import psm_synth, psm_synth_files
from data_tools.synthetic.psm_synth import class_counts, synthesise
from data_tools.synthetic.psm_synth_curves import ZERO_POINT, light_curve, shape, string_length
from data_tools.synthetic.psm_synth_files import Shares, curve_text
from data_tools.synthetic.psm_synth_spectra import COUNT, spectrum, wavelengths
from data_tools.synthetic.psm_synth_stars import KINDS, catalogue, galactic, make_star
from tfrecords.check import check
from tfrecords.errors import UsageError
from tfrecords.reader import RecordDirectory


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A set of 40 stars, four of each class."""
    out = tmp_path_factory.mktemp("psm") / "set"
    synthesise(out, 40, 3, balanced=True, points=60)
    return out


def _files(folder):
    return {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def _table(folder, suffix=""):
    rows = []
    for split in ("train", "val", "test"):
        with open(folder / f"preprocessed_data/full/spectra_and_v_{split}{suffix}.csv", newline="") as file:
            rows += [row | {"split": split} for row in csv.DictReader(file)]
    return rows


def _star(kind, number=0):
    return make_star(kind, np.random.default_rng([number, list(KINDS).index(kind)]))


def test_the_converter_reads_it_as_it_is(made, tmp_path, capsys):
    psm.main([str(made), "--out", str(tmp_path / "records"), "--quiet"])
    assert "40 objects: 40 written" in capsys.readouterr().out
    assert check(tmp_path / "records", deep=True).violations == []
    records = RecordDirectory(tmp_path / "records")
    assert [column.name for column in records.info.static_columns] == list(STATIC_COLUMNS)
    assert [native.name for native in records.info.classes] == list(KINDS)
    found = [records.record(row) for row in range(40)]
    assert np.bincount([record.class_id for record in found]).tolist() == [4] * 10
    assert all(len(record.lc) > 5 and len(record.spectrum.flux) > 1500 for record in found)
    assert all(np.isfinite(record.static).all() for record in found)
    units = {fits.info(path, output=False)[-1][0] for path in sorted((made / "Spectra/v2").iterdir())[:12]}
    assert units == {0, 1}


def test_equal_seeds_give_equal_bytes_and_others_do_not(made, tmp_path, monkeypatch):
    # A star does not depend on what else its process makes.
    monkeypatch.setattr(psm_synth, "BLOCK", 7)
    monkeypatch.setattr(psm_synth_files, "BLOCK", 7)
    synthesise(tmp_path / "again", 40, 3, balanced=True, points=60)
    assert _files(tmp_path / "again") == _files(made)
    synthesise(tmp_path / "other", 20, 4, points=20)
    assert not set(_files(tmp_path / "other").values()) & set(_files(made).values())


def test_scaled_tables_follow_from_the_raw_ones(made):
    raw, scaled = _table(made), _table(made, "_norm")
    train = np.array([row["split"] == "train" for row in raw])
    values = {name: np.array([float(row[name]) for row in raw]) for name in STATIC_COLUMNS}
    found = {name: np.array([float(row[name]) for row in scaled]) for name in STATIC_COLUMNS}
    for name in (*META_COLUMNS, *PHOTO_COLUMNS):
        assert (abs(found[name][train].mean()), found[name][train].std()) == pytest.approx((0, 1), abs=1e-6)
    assert (found["org_period"] == values["org_period"]).all()
    parallax = np.where(values["parallax"] > 0, values["parallax"], 1.0)
    by_hand = {
        "k_mag": values["k_mag"] - 10 + 5 * np.log10(parallax),
        "period": np.log10(values["period"]),
        "l": np.cos(np.radians(values["l"])),
        "e_k_mag": values["e_k_mag"],
    }
    for name, expected in by_hand.items():
        expected = (expected - expected[train].mean()) / expected[train].std()
        np.testing.assert_allclose(found[name], expected, atol=1e-6)
    assert [[row["split"] for row in raw].count(name) for name in ("train", "val", "test")] == [34, 3, 3]
    assert {row["target"] for row in raw if row["split"] == "train"} == set(KINDS)


def test_shares_of_missing_parts(tmp_path):
    shares = Shares(no_light_curve=0.3, no_spectrum=0.4, no_metadata=0.5, partial_spectra=1.0)
    made = synthesise(tmp_path / "set", 40, 1, points=20, shares=shares)
    source = PsmSource([tmp_path / "set"], suffix="")
    found = [outcome.record for outcome in source.objects()]
    assert sum(record.lc is not None for record in found) == made.light_curves
    assert sum(record.spectrum is not None for record in found) == made.spectra
    assert 18 <= made.light_curves <= 36
    assert 14 <= made.spectra <= 33
    empty = [np.isnan(record.static).all() for record in found]
    assert 10 <= sum(empty) <= 30
    assert all(np.isfinite(record.static).all() for record, none in zip(found, empty, strict=True) if not none)
    assert all(len(record.spectrum.flux) < COUNT for record in found if record.spectrum is not None)
    assert synthesise(tmp_path / "none", 20, 1, points=20, shares=Shares(1, 1, 0, 0)).spectra == 0


def test_classes_have_the_published_shares():
    counts = class_counts(21440)
    assert counts == {name: kind.count for name, kind in KINDS.items()}
    assert set(class_counts(10).values()) == {1}
    for objects in (11, 57, 1500):
        assert sum(class_counts(objects).values()) == sum(class_counts(objects, True).values()) == objects
    assert max(class_counts(57, True).values()) - min(class_counts(57, True).values()) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_light_curve_has_its_period_and_range(kind):
    star = _star(kind)
    time = 2456550 + np.linspace(0, 3 * star.period, 3000)
    light = shape(star, time, np.random.default_rng(0))
    low, high = {"SR": (0.2, 1.3), "ROT": (0.2, 1.3), "DSCT": (0.6, 1.01), "M": (0.7, 1.6)}.get(kind, (0.6, 1.1))
    assert low < np.ptp(light) < high
    curve = light_curve(star, np.random.default_rng(1), 200)
    assert 60 <= len(curve) <= 600
    assert 4 * 365 < np.ptp(curve[:, 0]) < 1900
    # Seasons: some gap is longer than any spell of bad weather, for stars that the Sun passes.
    assert np.diff(np.sort(curve[:, 0])).max() > 20
    assert np.abs(np.median(curve[:, 3] / 10 ** (-0.4 * (star.magnitude - ZERO_POINT))) - 1) < 0.6
    if kind not in ("SR", "ROT", "DSCT"):
        assert string_length(curve, star.period) < 0.5 < string_length(curve, star.period * 0.873211)


def test_limits_are_marked_as_the_survey_does():
    faint = light_curve(_star("RRAB"), np.random.default_rng(0), 50)
    faint[0, 1:3] = 17.3, 99.99
    text = curve_text(faint)
    lines = text.decode().splitlines()
    assert lines[2].split()[1:3] == [">17.300", "99.990"]
    read = psm.light_curve(text)
    assert len(read) == len(faint)
    assert (read.flags == 0).sum() == (faint[:, 2] > 99).sum() >= 1
    order = np.argsort(faint[:, 0])
    np.testing.assert_allclose(read.flux, faint[order, 3], atol=1e-4)


def test_string_length_of_order_and_of_none():
    curve = np.zeros((400, 5))
    curve[:, 0] = np.random.default_rng(0).uniform(0, 400, 400)
    curve[:, 1] = np.sin(2 * np.pi * curve[:, 0] / 3.7)
    assert string_length(curve, 3.7) < 0.01
    assert string_length(curve, 2.9) == pytest.approx(1, abs=0.2)
    assert np.isnan(string_length(curve[:1], 1.0))


def test_metadata_follow_from_the_star():
    rows, stars = [], []
    for number in range(60):
        for kind in KINDS:
            stars.append(_star(kind, number))
            rows.append(catalogue(stars[-1], np.random.default_rng([len(stars), 7])))
    column = {name: np.array([row[name] for row in rows]) for name in META_COLUMNS}
    truth = {name: np.array([getattr(star, name) for star in stars]) for name in ("distance", "dust", "absolute", "ra",
             "dec", "magnitude", "temperature")}  # fmt: skip
    pull = (column["parallax"] + 0.02 - 1 / truth["distance"]) / column["parallax_error"]
    assert (abs(pull.mean()), pull.std()) == pytest.approx((0, 1), abs=0.15)
    seen = truth["absolute"] + truth["dust"] + 5 * np.log10(truth["distance"] * 100)
    np.testing.assert_allclose(seen, truth["magnitude"], atol=1e-6)
    sky = SkyCoord(truth["ra"], truth["dec"], unit="deg").galactic
    np.testing.assert_allclose([galactic(star.ra, star.dec)[1] for star in stars], sky.b.deg, atol=1e-3)
    np.testing.assert_allclose(column["l"], sky.l.deg, atol=1e-2)
    assert np.corrcoef(column["bp_rp"], np.log(truth["temperature"]))[0, 1] < -0.8
    miras = np.array([star.kind == "M" for star in stars])
    assert column["w3_w4"][miras].mean() > 0.2
    assert column["j_k"][miras].min() > 0.9
    np.testing.assert_allclose(column["pm"], np.hypot(column["pmra"], column["pmdec"]))


def test_spectra_tell_temperature_and_kind():
    def depth(kind, middle, half, beside):
        """Give 1 - flux in a window over that beside it, median of stars."""
        found = []
        for number in range(8):
            flux, ivar = spectrum(_star(kind, number), np.random.default_rng(number))
            good, place = ivar > 0, wavelengths()
            inside = good & (np.abs(place - middle) < half)
            outside = good & (np.abs(np.abs(place - middle) - beside) < half)
            found.append(1 - np.mean(flux[inside]) / np.mean(flux[outside]))
        return np.median(found)

    assert depth("DSCT", 4862.7, 5, 60) > depth("EW", 4862.7, 5, 60) + 0.1 > 0.1
    assert depth("SR", 7100, 20, 70) > 0.05 > depth("RRAB", 7100, 20, 70)
    assert depth("M", 4102.9, 4, 40) < -0.5
    assert depth("EW", 5177, 10, 50) > depth("RRAB", 5177, 10, 50) + 0.03
    flux, ivar = spectrum(_star("RRAB"), np.random.default_rng(0))
    assert flux.dtype == ivar.dtype == "float32"
    assert 0 < (ivar == 0).sum() < 60
    assert np.isfinite(flux).all()


def test_what_cannot_be_is_refused(made, tmp_path, capsys):
    with pytest.raises(UsageError, match="something already"):
        synthesise(made, 20)
    for options, message in (
        ({"objects": 19}, "--objects is between 20"),
        ({"objects": 20, "points": 2}, "--points is between 5"),
        ({"objects": 20, "seed": -1}, "--seed"),
        ({"objects": 20, "shares": Shares(no_spectrum=1.5)}, "--no-spectrum is between 0 and 1.*Received: 1.5"),
    ):
        with pytest.raises(UsageError, match=message):
            synthesise(tmp_path / "set", **options)
    assert not list(tmp_path.iterdir())
    psm.main(["synth", str(tmp_path / "set"), "--objects", "20", "--points", "20", "--workers", "1", "--quiet"])
    assert "20 stars, 20 light curves, 20 spectra" in capsys.readouterr().out
    with zipfile.ZipFile(tmp_path / "set" / "asassnvarlc_vband_complete.zip") as archive:
        assert len(archive.namelist()) == 20
