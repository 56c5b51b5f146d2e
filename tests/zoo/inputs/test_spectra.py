"""Spectra on a grid against NumPy, and what is no spectrum."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tfrecords.schema import Record, Spectrum, encode
from zoo import views
from zoo.inputs import spectra
from zoo.inputs.config import InputConfig
from zoo.inputs.stage import Stage
from zoo.registry import ModelInfo

CONFIG = InputConfig(spectrum_start=4000.0, spectrum_step=10.0, spectrum_points=50)


def _spectrum(size, seed=0, low=3900.0, high=4600.0):
    rng = np.random.default_rng(seed)
    wave = np.sort(rng.uniform(low, high, size)).astype("float32")
    return Spectrum(wave, rng.normal(5, 2, size), rng.uniform(0, 3, size))


def _records(spectra_):
    return tf.constant([encode(Record(str(number), "made", spectrum=each)) for number, each in enumerate(spectra_)])


def _build(spectra_, **options):
    found = spectra.build(spectra.parse(_records(spectra_)), dataclasses.replace(CONFIG, **options))
    return {name: values.numpy() for name, values in found.items()}


@pytest.mark.parametrize("spread", ["mad", "std"])
def test_spectra_are_interpolated_and_scaled_as_by_numpy(spread):
    made = [_spectrum(90), _spectrum(3, 1), None, _spectrum(40, 2, 4100, 4300), _spectrum(1, 3), None]
    made[0].flux[:40] = 0
    found = _build(made, spectrum_spread=spread)
    grid = spectra.grid(CONFIG)
    for number, each in enumerate(made):
        if each is None or len(each.flux) == 1:
            # One pixel is the same flux everywhere.
            assert all(not values[number].any() for values in found.values())
            continue
        wave = each.wavelength.astype("f8")
        flux, ivar = np.interp(grid, wave, each.flux), np.interp(grid, wave, each.ivar)
        seen = flux[flux != 0]
        scale = np.median(np.abs(seen - np.median(seen))) if spread == "mad" else flux.std()
        np.testing.assert_allclose(found["spectrum"][number], (flux - flux.mean()) / scale, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found["spectrum_err"][number], ivar / scale, rtol=1e-5)
        assert found["spectrum_scale"][number] == pytest.approx(np.log10(scale), abs=1e-6)
        np.testing.assert_array_equal(found["spectrum_mask"][number], (grid >= wave[0]) & (grid <= wave[-1]))


def test_errors_may_be_standard_deviations():
    made = _spectrum(90)
    made.ivar[:45] = 0
    ours = _build([made], spectrum_error="sigma", spectrum_error_scaled=False)["spectrum_err"][0]
    ivar = np.interp(spectra.grid(CONFIG), made.wavelength, made.ivar)
    np.testing.assert_allclose(ours, np.where(ivar > 0, 1 / np.sqrt(np.where(ivar > 0, ivar, 1)), 0), rtol=1e-5)


@pytest.mark.parametrize("flux", [0.0, 4.0, 0.1, 1e-17, np.nan])
def test_a_spectrum_without_shape_is_none(flux):
    made = _spectrum(30)
    made.flux[:] = flux
    # Of so many points the rounded mean is not the number itself.
    found = _build([made, _spectrum(30, 1)], spectrum_points=2575)
    for values in found.values():
        assert not values[0].any() and values[1].any() and np.isfinite(values).all()


@pytest.mark.parametrize("shift", [-3000.0, 6000.0])
def test_a_spectrum_off_the_grid_is_none(shift):
    made = _spectrum(30)
    made.wavelength += shift
    assert not any(values.any() for values in _build([made]).values())


def test_fluxes_of_any_unit_give_finite_numbers():
    made = _spectrum(30)
    made.flux, made.ivar = made.flux * 1e-17, np.full_like(made.ivar, 1e34)
    found = _build([made])
    assert all(np.isfinite(values).all() for values in found.values())
    assert found["spectrum"].std() > 0.5 and not found["spectrum_err"].any()


def test_pixels_without_flux_are_left_out_and_unknown_errors_are_zero():
    made, less = _spectrum(60), _spectrum(60)
    made.flux[20:30], made.ivar[5], less.ivar[5] = np.nan, np.nan, 0
    kept = np.isfinite(made.flux)
    less = Spectrum(*(getattr(less, name)[kept] for name in ("wavelength", "flux", "ivar")))
    ours, theirs = _build([made]), _build([less])
    for name, values in ours.items():
        np.testing.assert_array_equal(values, theirs[name])


def test_arrays_records_and_a_choice_of_objects_give_the_same():
    made = [_spectrum(20), None, _spectrum(35, 1), _spectrum(7, 2)]
    padded = np.full((3, 4, 40), np.nan, "float32")
    for number, each in enumerate(made):
        if each is not None:
            padded[:, number, : len(each.flux)] = each.wavelength, each.flux, each.ivar
    expected = _build(made)
    given = spectra.build(spectra.from_padded(*map(tf.constant, padded)), CONFIG)
    chosen = spectra.build(spectra.gather(spectra.parse(_records(made)), tf.constant([3, 1, 0], tf.int64)), CONFIG)
    for name, values in expected.items():
        np.testing.assert_array_equal(given[name], values)
        np.testing.assert_array_equal(chosen[name], values[[3, 1, 0]])


def test_stage_gives_the_tensors_of_the_table_and_hides_them():
    made = [_spectrum(20), None]
    stage = Stage("photometry", ("spectrum",), CONFIG, 1)
    for hidden in ((), ("spectrum",)):
        shown = dataclasses.replace(stage, hidden=hidden)
        curves, static = shown.parse(_records(made))
        prepared = shown.prepare(curves, static, tf.zeros([2, 0, 0]), **shown.parse_parts(_records(made)))
        found = shown.tensors(prepared)
        expected = views.example("photometry", ("spectrum",), ModelInfo(spectrum_size=50), batch=2)
        assert {name: (tuple(values.shape), values.dtype.name) for name, values in found.items()} == {
            name: (values.shape, values.dtype.name) for name, values in expected.items()
        }
        assert found["spectrum_mask"].numpy().any() == (not hidden)


def test_arrays_of_two_sizes_are_refused():
    good = encode(Record("good", "made", spectrum=_spectrum(5)))
    from tfrecords.wire import encode_example

    bad = encode_example({"object_id": b"bad", "spectrum/wavelength": b"0000", "spectrum/flux": b"00000000"})
    with pytest.raises(tf.errors.InvalidArgumentError, match="bad"):
        spectra.parse(tf.constant([good, bad]))
