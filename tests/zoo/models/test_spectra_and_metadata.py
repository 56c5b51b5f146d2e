"""GalSpecNet and MetaModel: golden cases, published sizes, refused weights and settings, gaps."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tfrecords.errors import DataError, UsageError
from zoo import registry, views
from zoo.models.galspecnet import parity as of_spectra
from zoo.models.galspecnet import reference as spectra
from zoo.models.metamodel import parity as of_metadata
from zoo.models.metamodel import reference as metadata
from zoo.parity import find_cases, load_case

CLASSES = tuple("abcdefghij")


def _cases(shared, start):
    return [load_case(path) for path in find_cases(shared("golden/astrom3")) if path.name.startswith(start)]


@pytest.mark.parametrize(
    ("start", "handler"),
    [("galspecnet", of_spectra.check_model), ("meta", of_metadata.check_model),
     ("prep_metadata", of_metadata.check_columns)],
)  # fmt: skip
def test_golden_cases_pass(shared, start, handler):
    cases = _cases(shared, start)
    assert cases
    for case in cases:
        found = handler(case)
        assert len(found) >= len(case.group("y")) and all(item.passed for item in found), found
        # The numbers are those of these weights and inputs alone.
        name = next(name for name in case.arrays if name.startswith(("w/", "x/")))
        case.arrays[name] = case.arrays[name] * 1.01
        assert not all(item.passed for item in handler(case))


def test_handlers_leave_other_cases_alone(shared):
    for case in _cases(shared, "cliploss"):
        handlers = (of_spectra.check_model, of_metadata.check_model, of_metadata.check_columns)
        assert [handler(case) for handler in handlers] == [None] * 3


def test_published_sizes_have_the_published_numbers_of_parameters():
    net = registry.create("galspecnet", registry.ModelInfo(CLASSES, spectrum_size=2575))
    assert net.count_params() == 34_122 and net.spectra.count_params() == 22_272 and net.spectra.width == 1184
    net = registry.create("metamodel", registry.ModelInfo(CLASSES, static=tuple(f"c{n}" for n in range(34))))
    assert sum(int(np.prod(item.shape)) for item in net.trainable_variables) == 285_706
    assert net.meta.hidden[0].count_params() + net.meta.hidden[1].count_params() == 280_576


def test_first_weights_are_uniform_as_in_the_original():
    keras.utils.set_random_seed(0)
    net = registry.create("metamodel", registry.ModelInfo(CLASSES, static=tuple(f"c{n}" for n in range(34))))
    for layer, inputs in zip((*net.meta.hidden, net.head), (34, 512, 512), strict=True):
        for values in layer.get_weights():
            assert 0.95 * inputs**-0.5 < np.abs(values).max() <= inputs**-0.5 or values.size < 50
            assert np.abs(values).max() > 0


def test_broken_weights_and_names_are_refused(shared):
    (case, *_) = _cases(shared, "galspecnet_small_a")
    arrays = case.group("w")
    with pytest.raises(DataError, match="'layers.3.weight' is missing"):
        spectra.import_weights({name: item for name, item in arrays.items() if name != "layers.3.weight"}, case.config)
    with pytest.raises(DataError, match="n_wave: the weights take 8 features. Received: .* of 900 grid points"):
        spectra.import_weights(arrays, case.config | {"n_wave": 900})
    (case,) = _cases(shared, "meta_small_b")
    arrays, config = case.group("w"), case.config["config"]
    with pytest.raises(DataError, match="meta_cols: the weights are of 7. Received: 2 names"):
        metadata.import_weights(arrays, config | {"meta_cols": ["l", "b"]})
    with pytest.raises(DataError, match="meta_std: one number for each of 7 columns. Received: 0"):
        metadata.import_weights(arrays, config | {"meta_mean": [0.0] * 7})
    names = ["mean_vmag", "parallax", "l", "b", "period", "ruwe", "w1_mag"]
    scaled = config | {"meta_cols": names, "meta_mean": [1.0] * 7, "meta_std": [2.0] * 7}
    model = metadata.import_weights(arrays, scaled)
    assert model.config.transform and model.info.static == tuple(names)
    values = np.float32([[12, 10, 60, 30, 10, 1, 9]])
    np.testing.assert_allclose(model.meta.columns(values), (np.array([[7, 10, 0.5, 0.5, 1, 1, 4]]) - 1) / 2, atol=1e-6)


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match="too short for 4 convolutions.*Received: 100 grid points"):
        registry.create("galspecnet", registry.ModelInfo(CLASSES, spectrum_size=100))
    with pytest.raises(UsageError, match="channels must name at least one"):
        registry.create("galspecnet", registry.ModelInfo(CLASSES, spectrum_size=100), channels=[])
    with pytest.raises(UsageError, match="columns must be named, each once"):
        registry.create("metamodel", registry.ModelInfo(CLASSES, static=("a",)), columns=["a", "a"])


def test_objects_without_a_spectrum_or_metadata_get_finite_answers():
    info = registry.ModelInfo(CLASSES, static=("l", "period", "x"), spectrum_size=30)
    net = registry.create("galspecnet", info, channels=[4, 4], use_err=False)
    inputs = views.example("photometry", ("spectrum",), info, batch=3)
    inputs["spectrum"][0], inputs["spectrum_mask"][0] = 1.0, True
    np.testing.assert_array_equal(net.spectra.present(inputs), [True, False, False])
    assert np.isfinite(net(inputs)["logits"]).all()
    net = registry.create("metamodel", info, hidden_dim=4)
    found = net({"static": np.float32([[np.nan] * 3, [np.nan, -1, np.nan], [1, 2, 3]])})["logits"]
    assert np.isfinite(found).all() and not np.allclose(found[0], found[2])
    np.testing.assert_array_equal(found[0], found[1])
