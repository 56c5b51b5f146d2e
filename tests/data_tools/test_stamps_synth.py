"""Synthetic stamps: profiles against their formulas, noise, classes as they should look, the same bytes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from data_tools import stamps_synth
from data_tools.readers.ztf_survey import ALERT_NAMES, CLASSES, coordinates
from data_tools.synthetic import stamps_synth as synth
from data_tools.synthetic import stamps_synth_artefacts as artefacts
from data_tools.synthetic import stamps_synth_columns as columns
from data_tools.synthetic import stamps_synth_images as images
from data_tools.synthetic import stamps_synth_objects as objects
from tfrecords import check
from tfrecords.errors import UsageError
from tfrecords.reader import RecordDirectory
from tfrecords.schema import encode

SMALL = synth.Settings(size=31, edge_share=0.0)


def _run(path, *flags):
    stamps_synth.main(["--out", str(path), "--quiet", *map(str, flags)])
    return RecordDirectory(path)


def _columns(record):
    return dict(zip(ALERT_NAMES, record.stamps.metadata.T, strict=True))


@pytest.fixture(scope="module")
def made():
    """Forty objects by class."""
    found = {name: [] for name in CLASSES}
    for number in range(40):
        record = synth.make(number, 4, SMALL)
        found[CLASSES[record.class_id]].append(record)
    return found


def test_a_point_has_its_flux_width_and_place():
    psf = images.Psf(2.5)
    image = images.draw_points(101, psf, [3.25], [-5.5], [1000.0])
    y, x = np.mgrid[:101, :101] - 50
    # A Moffat profile with exponent 3 has 1 - (1 + R²/α²)^-2 of its flux within R.
    alpha = 2.5 / 2 / math.sqrt(2 ** (1 / 3) - 1)
    near = np.hypot(x - 3.25, y + 5.5) <= 15
    assert image[near].sum() == pytest.approx(1000 * (1 - (1 + (15 / alpha) ** 2) ** -2), rel=2e-3)
    assert (image * x)[near].sum() / image[near].sum() == pytest.approx(3.25, abs=0.02)
    assert (image * y)[near].sum() / image[near].sum() == pytest.approx(-5.5, abs=0.02)
    assert psf.density(1.25**2) == pytest.approx(psf.density(0.0) / 2)
    assert psf.noise_area == pytest.approx(1 / ((image / 1000) ** 2).sum(), rel=0.1)


def test_a_galaxy_has_half_of_its_flux_within_its_radius_and_becomes_rounder_in_bad_seeing():
    # The half-light radius holds for what reaches to infinity: 0.5 of an exponential disc within 1.678 scale lengths.
    disc = images.Galaxies(101, [images.Galaxy(0.0, 0.0, 500.0, 4.0, 1.0, 0.5, 0.0)])
    y, x = np.mgrid[:101, :101] - 50
    sharp, blurred = disc.draw(images.Psf(0.7, 4.5)), disc.draw(images.Psf(6.0))
    assert sharp[np.hypot(x, y / 0.5) <= 4].sum() == pytest.approx(250, rel=0.05)

    def ratio(image):
        near = np.hypot(x, y) < 15
        return (image * y**2)[near].sum() / (image * x**2)[near].sum()

    assert ratio(sharp) == pytest.approx(0.25, abs=0.05) and ratio(blurred) > 0.45
    moved = disc.draw(images.Psf(2.0), (2.0, -1.0))
    assert (moved * x).sum() / moved.sum() == pytest.approx(2.0, abs=0.1)
    assert (moved * y).sum() / moved.sum() == pytest.approx(-1.0, abs=0.1)


def test_noise_is_that_of_electrons_and_of_the_read_out():
    rng, level = np.random.default_rng(0), np.full((300, 300), 200.0)
    for exposures in (1, 20):
        found = images.expose(rng, level, exposures)
        assert found.mean() == pytest.approx(200, abs=0.2)
        assert found.var() == pytest.approx((200 / 6.2 + (10 / 6.2) ** 2) / exposures, rel=0.03)
    assert images.variance(level)[0, 0] == pytest.approx(200 / 6.2 + (10 / 6.2) ** 2)


def test_charge_above_saturation_flows_along_its_column_and_is_kept():
    image = np.full((41, 41), 100.0)
    image[20, 7] = 6 * images.SATURATION
    found = images.saturate(image)
    assert found.max() == images.SATURATION and found.sum() == pytest.approx(image.sum())
    assert (found[18:23, 7] == images.SATURATION).all() and (np.delete(found, 7, axis=1) == 100).all()


def test_a_walk_has_the_correlation_that_is_stated():
    rng, time = np.random.default_rng(2), np.array([0.0, 30.0, 130.0])
    walks = np.array([objects.damped_walk(rng, time, 100.0, 0.3) for _ in range(20000)])
    assert walks.std(axis=0) == pytest.approx([0.3] * 3, rel=0.03)
    found = np.corrcoef(walks.T)
    assert [found[0, 1], found[1, 2]] == pytest.approx([math.exp(-0.3), math.exp(-1)], abs=0.02)


def test_a_periodic_magnitude_has_the_mean_0_and_amplitude_1():
    for seed in range(12):
        found = objects.periodic(np.random.default_rng(seed), np.linspace(0, 3000, 100_001))
        assert found.mean() == pytest.approx(0, abs=0.02) and np.ptp(found) == pytest.approx(1, abs=0.02)


def test_photometry_finds_the_flux_within_its_error():
    rng, pulls = np.random.default_rng(3), []
    psf = images.Psf(2.2)
    for _ in range(200):
        clean = 150 + images.draw_points(31, psf, [0.3], [-0.2], [2000.0])
        image = images.expose(rng, clean) - 150
        found = columns.measure(image, images.variance(clean), psf, 0.3, -0.2)
        pulls.append((found.flux - 2000) / found.error)
    assert np.mean(pulls) == pytest.approx(0, abs=0.25) and np.std(pulls) == pytest.approx(1, abs=0.15)


def test_classes_differ_as_they_should(made):
    signs = {name: np.concatenate([_columns(record)["isdiffpos"] for record in records])
             for name, records in made.items()}  # fmt: skip
    assert not signs["SN"].any() and not signs["asteroid"].any()
    assert 0.1 < signs["VS"].mean() < 0.9 and 0.1 < signs["AGN"].mean() < 0.9
    for name in ("AGN", "SN", "VS", "asteroid"):
        for record in made[name]:
            found = _columns(record)
            assert (found["sigmapsf"] < 0.4).all(), record.object_id
            # The source of the difference stands in its middle.
            middle = record.stamps.images[:, 13:18, 13:18, 2]
            level = np.sqrt(np.median((record.stamps.images[..., 2]) ** 2))
            assert (np.abs(middle).max(axis=(1, 2)) > 1.5 * level).all(), record.object_id
    assert {len(record.stamps.time) for record in made["asteroid"]} == {1}
    scores = {name: np.median([_columns(record)["sgscore1"][0] for record in made[name]]) for name in ("AGN", "VS")}
    assert scores["VS"] > 0.8 and scores["AGN"] < 0.2
    # New sources are not in the template.
    for record in made["asteroid"]:
        science, template, difference = np.moveaxis(record.stamps.images[0, 14:17, 14:17], -1, 0)
        assert difference.sum() > 0.5 * (science - np.median(record.stamps.images[0, ..., 0])).sum() - 100


def test_a_trail_is_long_and_straight():
    image = images.draw_trail(41, images.Psf(2.0), 1.0, 0.0, 500.0, 9.0, math.pi / 4)
    found = columns.shape_columns(image, False, 2.0)
    assert image.sum() == pytest.approx(500, rel=0.02) and found["elong"] > 2
    y, x = np.mgrid[:41, :41] - 20
    assert (image * (x - 1) * y).sum() / image.sum() > 0.8 * 81 / 24
    assert (image * x).sum() / image.sum() == pytest.approx(1.0, abs=0.05)


def test_columns_agree_with_one_another(made):
    for record in (record for records in made.values() for record in records):
        found, count = _columns(record), len(record.stamps.time)
        assert np.isfinite(record.stamps.metadata).all()
        np.testing.assert_array_equal(found["non_detections"], found["ncovhist"] - found["ndethist"])
        assert (found["ndethist"] >= 1).all() and (found["non_detections"] >= 0).all()
        assert (np.diff(found["ndethist"]) >= 1).all() and (np.diff(record.stamps.time) > 0).all()
        place = coordinates(float(found["ra"][0]), float(found["dec"][0]))
        assert place == pytest.approx([found[name][0] for name in ("ecl_lat", "ecl_long", "gal_lat", "gal_long")],
                                      abs=1e-2)  # fmt: skip
        near = found["sgscore1"] != -999
        assert ((found["distpsnr1"] != -999) == near).all() and (found["sgscore1"][near] <= 1).all()
        assert len(record.lc) == count and (np.sign(record.lc.flux) == 1 - 2 * found["isdiffpos"]).all()


def test_every_artefact_is_made_and_shows():
    rng, kinds = np.random.default_rng(5), set()
    while len(kinds) < len(artefacts.KINDS):
        artefact = artefacts.draw_artefact(rng, 31)
        kinds.add(artefact.kind)
        image = artefacts.added(rng, artefact, 31, 5.0)
        assert image.shape == (31, 31) and np.isfinite(image).all()
        if artefact.kind == "cosmic ray":
            assert image[14:17, 14:17].max() >= 75 and 1 <= np.count_nonzero(image) <= 20 and not artefact.repeats
        elif artefact.kind == "hot column":
            assert np.count_nonzero(image.any(axis=0)) <= 2 and image[15, 13:19].any()
        elif artefact.kind == "mask":
            gone = artefacts.masked(artefact.corner, 31)
            assert not gone[15, 15] and gone.any() and image[~gone].max() > 50
        else:
            (x, y), wider = artefacts.misregistration(rng, artefact)
            assert artefact.magnitude < 17
            assert (math.hypot(x, y) >= 0.29) == (artefact.kind == "subtraction") and 0.8 < wider < 1.2


def test_edges_of_the_chip_have_no_values_and_stand_there():
    seen = 0
    for number in range(10):
        record = synth.make(number, 2, synth.Settings(epochs=(1, 1), size=31, edge_share=1.0))
        gone = np.isnan(record.stamps.images[0]).all(axis=-1)
        assert gone.any() and not gone[15, 15]
        found = _columns(record)
        margin = min(found["xpos"][0], found["ypos"][0], 3073 - found["xpos"][0], 3081 - found["ypos"][0])
        if record.class_id != CLASSES.index("bogus"):
            width = max(gone.all(axis=0).sum(), gone.all(axis=1).sum())
            assert margin == pytest.approx(16 - width, abs=1)
            seen += 1
    assert seen == 8


def test_the_same_bytes_whatever_makes_them(tmp_path):
    flags = ("--objects", 55, "--seed", 9, "--size", 21)
    one = _run(tmp_path / "one", *flags, "--workers", 2)
    assert check.main([str(tmp_path / "one"), "--deep", "--json"]) == 0
    settings = synth.Settings(size=21)
    for place in range(0, 55, 6):
        record = one.record(place)
        number = int(record.object_id.removeprefix("synth"))
        assert encode(record) == encode(synth.make(number, 9, settings)) != encode(synth.make(number, 8, settings))
    assert np.unique(one.index["class_id"], return_counts=True)[1].tolist() == [11] * 5
    ids = [set(one.ids(one.split_indices(split))) for split in ("train", "validation", "test")]
    assert sum(map(len, ids)) == len(set.union(*ids)) == 55


def test_alerts_are_as_many_as_asked_for():
    for number in range(15):
        record = synth.make(number, 1, synth.Settings(epochs=(4, 6), size=21))
        count = len(record.stamps.time)
        assert record.stamps.images.shape == (count, 21, 21, 3)
        assert 4 <= count <= 6 or (count == 1 and CLASSES[record.class_id] in ("asteroid", "bogus"))


@pytest.mark.parametrize(
    "flags",
    [("--epochs", "5:2"), ("--epochs", "0"), ("--size", "62"), ("--size", "19"), ("--edge-share", "1.5"),
     ("--objects", "0"), ("--seed", "-1"), ("--workers", "0")],
)  # fmt: skip
def test_what_cannot_be_is_refused(tmp_path, flags):
    with pytest.raises(UsageError, match="Received"):
        stamps_synth.main(["--out", str(tmp_path / "r"), "--objects", "8", *flags])
    assert not (tmp_path / "r").exists()
