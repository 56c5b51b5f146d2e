"""The synthetic SNANA pairs: columns, pointers, flags, sentinels and traps as specified, equal bytes, light."""

from __future__ import annotations

import argparse
import errno
import gzip
import importlib.resources

import numpy as np
import pytest
import yaml
from astropy.io import fits

from data_tools.synthetic import snana_synth
from data_tools.synthetic.resimulation import luminosity_distance
from data_tools.synthetic.snana_synth import Traps, synthesise
from data_tools.synthetic.snana_synth_columns import HEAD_COLUMNS, PHOT_COLUMNS
from data_tools.synthetic.snana_synth_files import make_block
from data_tools.synthetic.snana_synth_models import MODELS
from data_tools.synthetic.snana_synth_survey import Events, Visits, set_trigger
from data_tools.synthetic.snana_synth_transients import WAVELENGTHS, Transient
from data_tools.synthetic.snana_synth_traps import CHOICES, mix
from data_tools.synthetic.snana_synth_variables import binary_lens
from tfrecords.errors import DataError, UsageError

BANDS = "ugrizY"
QUANTILES = " ".join(f"?_ZPHOT_Q{each:03d}" for each in range(0, 101, 10))
MAGNITUDES = " ".join(f"?_{kind}_{band}" for kind in ("MAG", "MAGERR") for band in BANDS)
GALAXY = """?_OBJID ?_FLAG ?_PHOTOZ ?_PHOTOZ_ERR ?_SPECZ ?_SPECZ_ERR ?_RA ?_DEC ?_SNSEP ?_DDLR ?_CONFUSION
?_LOGMASS ?_LOGMASS_ERR ?_LOGSFR ?_LOGSFR_ERR ?_LOGsSFR ?_LOGsSFR_ERR ?_COLOR ?_COLOR_ERR ?_ELLIPTICITY ?_OBJID2
?_SQRADIUS ?_OBJID_UNIQUE"""
FIRST = f"{GALAXY} {QUANTILES} {MAGNITUDES}".replace("?", "HOSTGAL")
SECOND = f"{GALAXY} {MAGNITUDES} {QUANTILES}".replace("?_CONFUSION", "").replace("?", "HOSTGAL2")
HEAD = f"""SNID IAUC FAKE RA DEC PIXSIZE NXPIX NYPIX SNTYPE NOBS PTROBS_MIN PTROBS_MAX MWEBV MWEBV_ERR REDSHIFT_HELIO
REDSHIFT_HELIO_ERR REDSHIFT_FINAL REDSHIFT_FINAL_ERR VPEC VPEC_ERR HOSTGAL_NMATCH HOSTGAL_NMATCH2 {FIRST} {SECOND}
{" ".join(f"HOSTGAL_SB_FLUXCAL_{band}" for band in BANDS)}
PEAKMJD MJD_TRIGGER MJD_DETECT_FIRST MJD_DETECT_LAST SEARCH_TYPE SIM_MODEL_NAME SIM_MODEL_INDEX SIM_TYPE_INDEX
SIM_TYPE_NAME SIM_TEMPLATE_INDEX SIM_LIBID SIM_NGEN_LIBID SIM_NOBS_UNDEFINED SIM_SEARCHEFF_MASK SIM_REDSHIFT_HELIO
SIM_REDSHIFT_CMB SIM_REDSHIFT_HOST SIM_REDSHIFT_FLAG SIM_VPEC SIM_HOSTLIB_GALID SIM_HOSTLIB(LOGMASS_TRUE)
SIM_HOSTLIB(LOG_SFR) SIM_DLMU SIM_LENSDMU SIM_RA SIM_DEC SIM_MWEBV SIM_PEAKMJD SIM_MJD_EXPLODE SIM_MAGSMEAR_COH SIM_AV
SIM_RV {" ".join(f"SIM_{kind}_{band}" for kind in ("PEAKMAG", "EXPOSURE", "GALFRAC") for band in BANDS)}
SIM_SUBSAMPLE_INDEX""".split()
NAMES = """MJD BAND CCDNUM FIELD PHOTFLAG PHOTPROB FLUXCAL FLUXCALERR PSF_SIG1 PSF_SIG2 PSF_RATIO SKY_SIG SKY_SIG_T
RDNOISE ZEROPT ZEROPT_ERR GAIN XPIX YPIX SIM_FLUXCAL_HOSTERR SIM_MAGOBS"""
PHOT = NAMES.split()


def _pairs(folder):
    """Give the tables of all pairs: by model, a list of (head, phot, primary header)."""
    found = {}
    for path in sorted(folder.glob("*/*_HEAD.FITS*")):
        with fits.open(path) as head, fits.open(path.with_name(path.name.replace("HEAD", "PHOT"))) as phot:
            tables = head[1].data.copy(), phot[1].data.copy(), head[0].header.copy()
        found.setdefault(path.parent.name.removeprefix("ELASTICC_TRAIN_"), []).append(tables)
    return found


def _files(folder):
    return {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


@pytest.fixture(scope="module")
def blocks():
    """Detected candidates of every model, by name."""
    return {model.name: make_block(place, np.random.default_rng(place)) for place, model in enumerate(MODELS)}


def test_columns_are_those_of_the_published_set():
    assert [name for name, _ in HEAD_COLUMNS] == HEAD
    assert len(HEAD) == 170
    assert [name for name, _ in PHOT_COLUMNS] == PHOT


def test_models_are_those_of_the_label_map_with_their_type_numbers():
    text = importlib.resources.files("zoo.label_maps").joinpath("elasticc_20.yaml").read_text("utf-8")
    named = [name for names in yaml.safe_load(text)["classes"].values() for name in names]
    assert sorted(named) == sorted(model.name for model in MODELS)
    numbers = {model.name: model.gentype for model in MODELS}
    assert sorted(set(numbers.values())) == [
        10, 11, 12, 20, 21, 25, 26, 27, 30, 31, 32, 35, 36, 37, 40, 42, 45, 46, 50, 51, 59, 60, 80, 82, 83, 84, 87, 88,
        89, 90, 91,
    ]  # fmt: skip
    assert (numbers["SNIa-SALT2"], numbers["SNIIb+HostXT_V19"], numbers["KN_B19"], numbers["d-Sct"]) == (10, 37, 51, 91)


def test_every_event_is_detected_twice_and_triggers_once(blocks):
    for name, (head, curves) in blocks.items():
        assert len(head) == len(curves) > 5, name
        for row, curve in zip(head, curves, strict=True):
            flags, snr = curve["PHOTFLAG"], curve["FLUXCAL"].astype(float) / curve["FLUXCALERR"]
            assert set(np.unique(flags)) <= {0, 1024, 4096, 5120, 6144}
            detected = flags & 4096 > 0
            assert (snr[detected] > 5).all(), name
            assert (snr[flags == 0] <= 5).all(), name
            assert (detected & (flags & 1024 == 0)).sum() >= 2
            [trigger] = np.flatnonzero(flags == 6144)
            assert trigger == np.flatnonzero(detected & (flags & 1024 == 0))[0]
            assert row["MJD_TRIGGER"] == np.float32(curve["MJD"][trigger])
            assert row["MJD_DETECT_FIRST"] == np.float32(curve["MJD"][detected][0])
            assert row["MJD_DETECT_LAST"] == np.float32(curve["MJD"][detected][-1])
            assert (np.diff(curve["MJD"]) > 0).all()
            assert row["NOBS"] == len(curve)


def test_blocks_hold_what_kind_of_object_they_are_of(blocks):
    for model in MODELS:
        head, curves = blocks[model.name]
        assert set(head["SIM_TYPE_INDEX"]) == {model.gentype}
        assert set(head["SNTYPE"]) == {model.gentype + 100}
        assert 40 < np.median(head["NOBS"]) < 450, model.name
        assert all(np.isfinite(head[name]).all() for name in head.dtype.names if head.dtype[name].kind == "f")
        assert all(np.isfinite(curve["FLUXCAL"]).all() and (curve["FLUXCALERR"] > 0).all() for curve in curves)
        assert (head["SIM_REDSHIFT_HELIO"] == 0).all() == model.galactic
        since = np.concatenate(
            [
                (curve["MJD"] - row["SIM_PEAKMJD"]) / (1 + row["SIM_REDSHIFT_HELIO"])
                for row, curve in zip(head, curves, strict=True)
            ]
        )
        if model.law.window is not None:
            assert model.law.window[0] - 1 < since.min() < since.max() < model.law.window[1] + 1
            assert np.abs(head["PEAKMJD"] - head["SIM_PEAKMJD"]).max() <= 0.51
        assert {band for curve in curves for band in curve["BAND"]} == set(b.encode() for b in BANDS)
    # The brightest stars are saturated.
    assert any((curve["PHOTFLAG"] & 1024).any() for curve in blocks["Cepheid"][1])


def test_missing_values_are_the_simulation_s(blocks):
    first = {"OBJID": 0, "PHOTOZ": -9, "SPECZ": -9, "RA": -999, "DEC": -999, "SNSEP": -9, "LOGMASS": -9999}
    first |= {"COLOR": -9999, "SQRADIUS": -9999, "MAG_u": 999, "MAGERR_Y": 999, "ZPHOT_Q050": -9, "LOGsSFR": -9999}
    for name in ("RRL", "SLSN-I_no_host"):
        head, _ = blocks[name]
        for suffix, value in first.items():
            assert set(head[f"HOSTGAL_{suffix}"]) == set(head[f"HOSTGAL2_{suffix}"]) == {value}, suffix
        assert set(head["HOSTGAL_CONFUSION"]) == {-99}
        assert set(head["REDSHIFT_HELIO"]) == set(head["REDSHIFT_FINAL"]) == {-9}
        assert set(head["HOSTGAL_SB_FLUXCAL_r"]) == {-999}
        assert set(head["HOSTGAL_NMATCH"]) == {0}
    head = np.concatenate([blocks[name][0] for name in ("SNIa-SALT2", "SNIb-Templates", "TDE", "AGN")])
    assert set(head["HOSTGAL_NMATCH"]) == {0, 1, 2}
    assert set(head["HOSTGAL_LOGMASS_ERR"]) == {-9999}
    assert (head["HOSTGAL2_OBJID"] == 0).sum() == (head["HOSTGAL_NMATCH"] < 2).sum()
    assert set(head["HOSTGAL_OBJID2"]) == {-9, 0}
    known = head["HOSTGAL_NMATCH"] > 0
    spectrum = head["HOSTGAL_SPECZ"] > 0
    assert (head["REDSHIFT_HELIO"][spectrum] == head["HOSTGAL_SPECZ"][spectrum]).all()
    assert (head["REDSHIFT_HELIO"][known & ~spectrum] == head["HOSTGAL_PHOTOZ"][known & ~spectrum]).all()
    assert 0.02 < spectrum.sum() / known.sum() < 0.3
    assert np.corrcoef(head["HOSTGAL_PHOTOZ"][known], head["SIM_REDSHIFT_HELIO"][known])[0, 1] > 0.7
    quantiles = np.stack([head[f"HOSTGAL_ZPHOT_Q{each:03d}"][known] for each in range(0, 101, 10)])
    assert (np.diff(quantiles, axis=0) >= 0).all()


def test_classes_differ_as_their_physics_does(blocks):
    def slowest(name):
        """Give the median time in rest-frame days over which events are detected."""
        head, _ = blocks[name]
        return np.median((head["MJD_DETECT_LAST"] - head["MJD_DETECT_FIRST"]) / (1 + head["SIM_REDSHIFT_HELIO"]))

    assert slowest("KN_K17") < 12 < slowest("SNIa-SALT2") < slowest("TDE")
    assert slowest("Mdwarf-flare") < 400 < slowest("RRL")
    head, _ = blocks["SNIa-SALT2"]
    absolute = head["SIM_PEAKMAG_i"] - head["SIM_DLMU"]
    near = (head["SIM_REDSHIFT_HELIO"] < 0.5) & (head["SIM_MWEBV"] < 0.1)
    assert -20 < np.median(absolute[near]) < -18
    for name, least in (("RRL", 0.2), ("EB", 0.1), ("AGN", 0.2), ("SNIa-SALT2", 0.2)):
        below = np.mean([(curve["FLUXCAL"] < 0).mean() for curve in blocks[name][1]])
        assert least < below < 0.8, name


def test_distances_are_those_of_single_redshifts():
    redshifts = np.array([0.01, 0.5, 2.0])
    assert luminosity_distance(redshifts) == pytest.approx([luminosity_distance(each) for each in redshifts])


def test_a_transient_has_its_magnitude_at_maximum():
    law = Transient(-19.0, 0.0, 5, 20, 10000, 5000, 20, 1.0, blanketing=0.0, dust=0.0, tail=0.0, scatter=1e-9)
    # The r band is seen where the object's frame has 5500 angstrom.
    redshift = WAVELENGTHS[2] / 5500 - 1
    event = Events(*(np.array([each]) for each in (10.0, -30.0, 0.0, redshift, 60500.0)))
    days = np.linspace(-30, 80, 1101)
    seen = Visits(np.zeros(len(days), int), 60500 + days * (1 + redshift), np.full(len(days), 2))
    flux, _ = law(np.random.default_rng(0), event, seen, {})
    magnitude = 27.5 - 2.5 * np.log10(flux)
    modulus = 25 + 5 * np.log10(luminosity_distance(redshift)) - 2.5 * np.log10(1 + redshift)
    assert days[magnitude.argmin()] == pytest.approx(0, abs=0.5)
    assert magnitude.min() == pytest.approx(-19 + modulus, abs=0.01)


def test_two_masses_lens_as_one_where_they_should():
    u = np.geomspace(0.05, 5, 40)
    place = u * np.exp(1j * np.linspace(0, 6, 40))
    single = (u**2 + 2) / (u * np.sqrt(u**2 + 4))
    close = binary_lens(place, np.full(40, 1e-3), np.full(40, 0.5))
    assert close == pytest.approx(single, rel=1e-3)
    light = binary_lens(place, np.full(40, 1.1), np.full(40, 1e-9))
    assert light == pytest.approx(single, rel=1e-3)
    # Inside the caustic of equal masses at a distance of 1 there are five images, and at its centre A > 3.
    assert binary_lens(np.zeros(1, complex), np.ones(1), np.ones(1))[0] > 3


def test_the_trigger_needs_two_detections_that_are_not_saturated():
    flags = np.array([0, 4096, 0, 5120, 4096, 4096, 4096, 1024])
    accepted = set_trigger(flags, np.array([0, 0, 0, 1, 1, 1, 2, 2]), 4)
    assert accepted.tolist() == [False, True, False, False]
    assert flags.tolist() == [0, 4096, 0, 5120, 6144, 4096, 4096, 1024]


TRAPS = {
    "none": Traps(),
    "flt": Traps(band_column="FLT", declination="DECL"),
    "blank": Traps(band_pad="blank", integer_snid=True),
    "open end": Traps(last_separator=False, empty_primary=True),
    "stale": Traps(stale_pointers=True, compressed=False),
    "stale, open end": Traps(stale_pointers=True, last_separator=False, band_pad="blank"),
}


@pytest.mark.parametrize("traps", TRAPS.values(), ids=TRAPS)
def test_a_pair_has_its_traps_and_is_right_otherwise(traps, tmp_path):
    made = synthesise(tmp_path / "set", 7, 1, 3, models=["SNIa-SALT2"], traps=traps)
    [(head, phot, keywords)] = _pairs(tmp_path / "set")["SNIa-SALT2"]
    assert (made.models, made.pairs, made.objects, made.rows) == (1, 1, 7, head["NOBS"].sum())
    assert head.names == [traps.declination if name == "DEC" else name for name in HEAD]
    assert phot.names == [traps.band_column if name == "BAND" else name for name in PHOT]
    ends = np.flatnonzero(phot["MJD"] == -777)
    assert len(ends) == 7 - (not traps.last_separator)
    assert len(phot) == head["NOBS"].sum() + len(ends)
    for name, value in {"FLUXCAL": -777, "FLUXCALERR": -777, "FIELD": "XXXX", traps.band_column: "-"}.items():
        assert {str(each).strip() for each in phot[name][ends]} in ({str(value)}, {f"{value}.0"})
    lengths = np.diff(np.concatenate([[-1], ends, [] if traps.last_separator else [len(phot)]])) - 1
    assert lengths.tolist() == head["NOBS"].tolist()
    assert (head["PTROBS_MAX"] - head["PTROBS_MIN"] + 1 == head["NOBS"]).all()
    right = np.concatenate([[1], np.cumsum(head["NOBS"] + 1)[:-1] + 1])
    assert (head["PTROBS_MIN"] == right).all() == (not traps.stale_pointers)
    if traps.stale_pointers:
        assert (head["PTROBS_MIN"] >= right).all()
        assert head["PTROBS_MAX"][-1] > len(phot)
    assert ("SURVEY" in keywords) == (not traps.empty_primary)
    folder = tmp_path / "set" / "ELASTICC_TRAIN_SNIa-SALT2"
    [path] = folder.glob("*_PHOT.FITS*")
    assert path.name.endswith(".FITS.gz" if traps.compressed else ".FITS")
    content = gzip.decompress(path.read_bytes()) if traps.compressed else path.read_bytes()
    # The first row's band stands behind its eight bytes of MJD.
    start = next(each for each in range(2880, len(content), 2880) if content[each - 2880 :][:80].startswith(b"XTEN"))
    while b"END" + 77 * b" " not in content[start - 2880 : start]:
        start += 2880
    assert content[start + 9 : start + 10] == {"nul": b"\0", "blank": b" "}[traps.band_pad]
    assert len(content) % 2880 == 0
    assert (head["SNID"].dtype.kind in "iu") == traps.integer_snid


def test_keywords_list_and_names(tmp_path):
    synthesise(tmp_path / "set", 4, 2, models=["Cepheid", "AGN"])
    pairs = _pairs(tmp_path / "set")
    [(_, _, keywords), _] = pairs["Cepheid"]
    expected = {"SURVEY": "LSST", "FILTERS": "ugrizY", "DATATYPE": "SIM_SNANA", "VERSION": "ELASTICC_TRAIN_Cepheid"}
    expected |= {"PHOTFILE": "ELASTICC_TRAINFIX_NONIaMODEL0-0001_PHOT.FITS", "CODE_IVERSION": 20}
    assert {name: keywords[name] for name in expected} == expected
    assert "SNANA_VERSION" in keywords
    folder = tmp_path / "set" / "ELASTICC_TRAIN_Cepheid"
    names = (folder / "ELASTICC_TRAIN_Cepheid.LIST").read_text().split()
    assert names == [f"ELASTICC_TRAINFIX_NONIaMODEL0-000{each}_HEAD.FITS" for each in (1, 2)]
    assert all((folder / f"{name}.gz").is_file() for name in names)
    assert "GENTYPE:    90" in (folder / "ELASTICC_TRAIN_Cepheid.README").read_text()
    ids = {name: np.concatenate([head["SNID"] for head, *_ in found]) for name, found in pairs.items()}
    assert len(set(ids["AGN"])) == 4
    # As in the published set Cepheids and delta Scuti stars have ids of other objects.
    assert set(ids["AGN"]) == set(ids["Cepheid"])


def test_equal_seeds_give_equal_bytes_whatever_is_made_beside(tmp_path):
    for folder, seed, models in (("one", 7, ["CART", "RRL"]), ("alone", 7, ["RRL"]), ("other", 8, ["RRL"])):
        synthesise(tmp_path / folder, 3, 2, seed, models=models, traps="mixed")
    both, alone, other = (_files(tmp_path / folder) for folder in ("one", "alone", "other"))
    assert alone == {name: content for name, content in both.items() if "RRL" in name}
    assert not set(alone.values()) & {content for name, content in other.items() if "FITS" in name}


@pytest.mark.slow
def test_processes_do_not_change_the_bytes(tmp_path):
    one, two = (synthesise(tmp_path / str(each), 5, 2, models=["CART", "RRL"], workers=each) for each in (1, 2))
    assert one == two
    assert _files(tmp_path / "1") == _files(tmp_path / "2")


def test_mixed_traps_show_every_variant():
    drawn = [mix(0, place, number) for place in range(32) for number in range(2)]
    assert all(traps != Traps() for traps in drawn)
    for name, choices in CHOICES.items():
        assert {getattr(traps, name) for traps in drawn} == set(choices)
    assert len(set(drawn)) > 30


WRONG = {
    "unknown model": ({"models": ["RRLyrae"]}, "RRLyrae"),
    "no model": ({"models": []}, "names one"),
    "no object": ({"objects_per_class": 0}, "--objects"),
    "more files than objects": ({"objects_per_class": 2, "files_per_class": 3}, "--files"),
    "seed": ({"seed": -1}, "--seed"),
    "workers": ({"workers": 0}, "--workers"),
    "traps": ({"traps": "all"}, "'all'"),
}


@pytest.mark.parametrize(("changes", "said"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_is_refused(changes, said, tmp_path):
    with pytest.raises(UsageError, match="Received") as caught:
        synthesise(tmp_path / "set", **({"objects_per_class": 2} | changes))
    assert said in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_nothing_is_replaced_and_nothing_is_left_behind(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="something already"):
        synthesise(tmp_path, 2)
    monkeypatch.setattr("data_tools.synthetic.snana_synth.in_order", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        synthesise(tmp_path / "new", 2)
    monkeypatch.setattr("data_tools.synthetic.snana_synth.in_order", _full_disk)
    with pytest.raises(DataError, match=r"cannot write .*new: No space left on device"):
        synthesise(tmp_path / "new", 2)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    with pytest.raises(UsageError, match="band_pad"):
        Traps(band_pad="zero")


def _full_disk(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_the_command_takes_flags_and_says_what_was_made(tmp_path, capsys):
    parser = argparse.ArgumentParser()
    snana_synth.add_arguments(parser)
    flags = ["--objects", "2", "--models", "ILOT", "--workers", "1", "--quiet"]
    out = ["--out", str(tmp_path / "set")]
    snana_synth.run(parser.parse_args([*out, *flags, "--flt", "--plain", "--stale-pointers"]))
    assert "2 objects of 1 models" in capsys.readouterr().out
    [(head, phot, _)] = _pairs(tmp_path / "set")["ILOT"]
    assert "FLT" in phot.names
    assert len(head) == 2
    with pytest.raises(UsageError, match="--decl"):
        snana_synth.run(parser.parse_args([*out, *flags, "--mixed-traps", "--decl"]))


@pytest.mark.slow
def test_a_whole_set_has_all_models(tmp_path):
    made = synthesise(tmp_path / "set", 3, 1, traps="mixed")
    assert (made.models, made.pairs, made.objects) == (32, 32, 96)
    pairs = _pairs(tmp_path / "set")
    assert sorted(pairs) == sorted(model.name for model in MODELS)
    assert made.size == sum(len(content) for name, content in _files(tmp_path / "set").items() if "FITS" in name)
