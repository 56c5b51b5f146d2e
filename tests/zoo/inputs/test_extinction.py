"""The Milky Way's extinction: the law, the fluxes of stage 1, and the exported model."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.cases.variants import Example
from tests.cases.workbench import Workbench
from tests.zoo.inputs import ragged
from tfrecords.errors import DataError, UsageError
from tfrecords.reader import RecordDirectory
from zoo.inputs import extinction, transforms
from zoo.inputs import spec as specs
from zoo.inputs.config import InputConfig, SelectionConfig
from zoo.training import bundle as bundles
from zoo.training.run import Run

LAW = {
    2000.0: 8.562993876770033, 2500.0: 7.055291116002093, 2650.0: 6.41466547622208, 3000.0: 5.569914235944607,
    3569.5: 4.820811043380218, 4766.5: 3.70984678672247, 6214.5: 2.556269477135223, 7544.5: 1.8907587219547857,
    8707.5: 1.4852284093222914, 10039.5: 1.1603073035391844, 22000.0: 0.33828281973531205, 60000.0: 0.10404141710717567,
}  # fmt: skip
"""A / E(B−V) by wavelength in angstrom, from fitzpatrick99 of the package extinction 0.4.9."""


def test_the_law_is_that_of_the_package():
    np.testing.assert_allclose(extinction.coefficients(list(LAW)), list(LAW.values()), rtol=1e-12)
    for outside in (0.0, 900.0, 70000.0, np.nan):
        with pytest.raises(DataError, match="wavelength of every band.*Valid: 910 to 60000"):
            extinction.coefficients([5000.0, outside])


def test_fluxes_and_errors_grow_where_there_is_dust():
    objects = ragged.make_objects(3)
    reddening = np.linspace(0.05, 2, len(objects)).astype("float32")
    reddening[3:7] = [np.nan, np.inf, -0.1, 0]
    law = np.array([4.8, 3.7, 2.6, 1.9])
    ours = ragged.to_objects(transforms.deredden(ragged.to_curves(objects), tf.constant(reddening), law))
    for number, (found, item) in enumerate(zip(ours, objects, strict=True)):
        factor = 10 ** (0.4 * law[item["band"]] * (0 if 3 <= number < 7 else reddening[number]))
        for key in ("flux", "flux_err"):
            np.testing.assert_allclose(found[key], item[key] * factor, rtol=1e-5)
        np.testing.assert_array_equal(found["time"], item["time"])


@pytest.mark.parametrize("metadata", [True, False])
def test_the_network_need_not_take_the_column(records, metadata):
    example = Example("rapid_gru", "redshift" if metadata else "no_redshift")
    columns = {"static_columns": ["hostgal_photoz"]} if metadata else {}
    plain = Workbench(example, records, **columns)
    ours = Workbench(example, records, deredden="mwebv", **columns)
    assert ours.spec.model_info() == plain.spec.model_info() and ours.spec.raw_static[-1] == "mwebv"
    place = ours.spec.record_static.index("mwebv")
    law = extinction.coefficients([band.wavelength_angstrom for band in ours.directory.info.bands])
    dust = np.array([ours.directory.record(number).static[place] for number in range(8)])
    assert dust.min() > 0
    (before, targets, _), (after, again, _) = plain.batch(), ours.batch()
    np.testing.assert_array_equal(targets["position"], again["position"])
    factor = 10 ** (0.4 * np.array(law) * dust[targets["position"], None, None])
    for key in ("flux", "flux_err"):
        np.testing.assert_allclose(after[key], before[key] * factor, rtol=1e-5)
    assert specs.DataSpec.from_dict(ours.spec.to_dict()) == ours.spec


@pytest.mark.slow
def test_the_exported_model_corrects_fluxes_itself(records, tmp_path):
    bench = Workbench(Example("rapid_tcn", "no_redshift"), records, deredden="mwebv")
    bundles.save(tmp_path / "bundle", bench.bundle, bench.network)
    run = Run(tmp_path)
    loaded = tf.saved_model.load(str(run.export(tmp_path / "out")))
    serve = loaded.signatures["serve"]
    assert serve.structured_input_signature[1]["static"].shape == [None, 1]
    assert list(loaded.signatures["classes"]()["static"].numpy()) == [b"mwebv"]
    records = tf.constant(list(bench.examples.serialized(np.arange(5))))
    found = loaded.signatures["serve_examples"](records)["probabilities"]
    np.testing.assert_allclose(found, run.predictor(bench.examples, bench.stage)[0][:5], atol=1e-6)


def test_what_cannot_be_corrected_is_said(records):
    directory = RecordDirectory(records)
    inputs = InputConfig(deredden="MWEBV")
    with pytest.raises(UsageError, match="--deredden.*no such static column.*Valid: .*mwebv.* Received: 'MWEBV'"):
        specs.describe(directory, ("light_curve",), inputs, SelectionConfig())
    with pytest.raises(UsageError, match="goes with a model that reads light curves. Received: static, features"):
        specs.describe(directory, ("static", "features"), InputConfig(deredden="mwebv"), SelectionConfig())
    spec = specs.describe(directory, ("light_curve",), InputConfig(deredden="mwebv"), SelectionConfig())
    other = [item for item in directory.info.static_columns if item.name != "mwebv"]
    with pytest.raises(DataError, match="there: lacks the static column 'mwebv'"):
        specs.check_compatible(spec, dataclasses.replace(directory.info, static_columns=tuple(other)), "there")
