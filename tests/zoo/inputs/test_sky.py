"""Derived sky columns against astropy, and their way through records, tables and stage 1."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from astropy import units
from astropy.coordinates import BarycentricMeanEcliptic, SkyCoord

from tests.conftest import ROOT
from tfrecords.errors import UsageError
from tfrecords.reader import RecordDirectory
from zoo.inputs import data, pipeline, sky
from zoo.inputs import spec as specs
from zoo.inputs.config import InputConfig, SelectionConfig

ANGLES = ("galactic_longitude", "galactic_latitude", "ecliptic_longitude", "ecliptic_latitude")


@pytest.fixture(scope="module")
def positions():
    """Random positions, the poles of all three frames, and the deep fields' centres, with rims around them."""
    rng = np.random.default_rng(0)
    ra, dec = rng.uniform(0, 360, 300), np.degrees(np.arcsin(rng.uniform(-1, 1, 300)))
    special = SkyCoord([0, 0, 359.999999], [90, -90, 0], unit="deg")
    centres = SkyCoord(*np.array(list(sky.DEEP_FIELDS.values())).T, unit="deg", frame="galactic")
    rims = [centres.directional_offset_by(angle * units.deg, distance * units.deg)
            for angle in (10, 200) for distance in (1.7499, 1.7501)]  # fmt: skip
    parts = [SkyCoord(ra, dec, unit="deg"), special, *(item.icrs for item in (centres, *rims))]
    return SkyCoord(np.concatenate([p.ra.deg for p in parts]), np.concatenate([p.dec.deg for p in parts]), unit="deg")


def test_positions_are_those_of_astropy(positions):
    ours = sky.derive(ANGLES, tf.constant(positions.ra.deg), tf.constant(positions.dec.deg)).numpy()
    ecliptic = positions.transform_to(BarycentricMeanEcliptic())
    expected = [positions.galactic.l.deg, positions.galactic.b.deg, ecliptic.lon.deg, ecliptic.lat.deg]
    for name, mine, theirs in zip(ANGLES, ours.T, expected, strict=True):
        difference = mine - theirs
        if name.endswith("longitude"):
            difference = (difference + 180) % 360 - 180
            difference *= np.cos(np.radians(expected[ANGLES.index(name) + 1]))
            assert (mine >= 0).all() and (mine < 360).all()
        assert np.abs(difference).max() < 1e-6, name


def test_flags_are_those_of_astropy(positions):
    names = ("mw_plane_flag", *sky.DEEP_FIELDS)
    ours = sky.derive(names, tf.constant(positions.ra.deg), tf.constant(positions.dec.deg)).numpy()
    np.testing.assert_array_equal(ours[:, 0], np.abs(positions.galactic.b.deg) < 15)
    for column, centre in enumerate(sky.DEEP_FIELDS.values(), 1):
        separation = positions.separation(SkyCoord(*centre, unit="deg", frame="galactic")).deg
        np.testing.assert_array_equal(ours[:, column], separation < 1.75)
        assert 3 <= ours[:, column].sum() < 20, "centre and inner rims"


def test_no_position_no_value():
    ours = sky.derive(list(sky.UNITS), tf.constant([np.nan, 10.0, 10.0, 10.0]), tf.constant([0.0, np.inf, -999.0, 5.0]))
    np.testing.assert_array_equal(np.isnan(ours.numpy()).all(axis=1), [True, True, True, False])


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """Records with positions among their static columns."""
    from data_tools import plasticc

    path = tmp_path_factory.mktemp("sky") / "records"
    pair = sorted((ROOT / "tests" / "fixtures" / "plasticc_tiny").glob("*.csv.gz"))
    columns = "hostgal_photoz,decl,mwebv,ra"
    plasticc.main([*map(str, pair), "--out", str(path), "--folds", "2", "--static-columns", columns, "--quiet"])
    return RecordDirectory(path)


def test_the_model_gets_columns_that_records_lack(directory):
    inputs = InputConfig(derived_static=["galactic_latitude", "mw_plane_flag"], static_columns=["mwebv"])
    spec = specs.describe(directory, ("static",), inputs, SelectionConfig())
    assert spec.model_info().static == ("mwebv", "galactic_latitude", "mw_plane_flag")
    assert spec.raw_static == ("mwebv", "ra", "decl")
    assert "cadence" in spec.static[1].caution and not spec.static[0].caution
    assert specs.DataSpec.from_dict(spec.to_dict()) == spec
    examples = data.Examples(directory, np.arange(12), spec)
    records = [directory.record(number).static for number in range(12)]
    table = {column.name: [row[place] for row in records]
             for place, column in enumerate(directory.info.static_columns)}  # fmt: skip
    latitude = SkyCoord(table["ra"], table["decl"], unit="deg").galactic.b.deg
    expected = np.stack([table["mwebv"], latitude, np.abs(latitude) < 15], axis=1)
    np.testing.assert_allclose(examples.static_values(100, 0), expected, rtol=0, atol=2e-5)
    stage = specs.build_stage(spec, "packed", ("static",), inputs, spec.record_static)
    batch, targets, _ = next(iter(pipeline.evaluation(examples, stage, 12)[0]))
    np.testing.assert_array_equal(batch["static"], examples.static_at(targets["position"].numpy()))
    # The exported model takes the raw columns in an order of its own.
    raw = specs.build_stage(spec, "packed", ("static",), inputs, spec.raw_static)
    curves, _ = stage.parse(tf.constant(examples.serialized(np.arange(12))))
    values = tf.constant(np.stack([table[name] for name in spec.raw_static], axis=1), tf.float32)
    again = raw.tensors(raw.prepare(curves, values, tf.zeros([12, 0, 0])))["static"]
    np.testing.assert_array_equal(again, examples.static_at(np.arange(12)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"derived_static": ["latitude"]}, "no such derived column. Valid: galactic_longitude.*Received: 'latitude'"),
        ({"derived_static": ["cosmos_flag"] * 2}, "named twice"),
        ({"derived_static": ["cosmos_flag"], "ra_column": "RA"}, "--ra-column gives. Valid: .*ra.* Received: 'RA'"),
    ],
)
def test_wrong_names_are_said(directory, options, message):
    with pytest.raises(UsageError, match=message):
        specs.describe(directory, ("static",), InputConfig(**options), SelectionConfig())
