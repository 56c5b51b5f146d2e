"""Bands, columns, classes and splits of a run, and what is refused."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from tests.trimodal_records import COLUMNS, make_record
from tfrecords.errors import DataError, UsageError
from tfrecords.info import StaticColumn
from tfrecords.reader import RecordDirectory
from tfrecords.sample import sample_path
from tfrecords.schema import Spectrum, encode
from tfrecords.subsets import SUBSETS, subset_cap
from zoo.inputs import data, labels
from zoo.inputs import spec as specs
from zoo.inputs.config import InputConfig, SelectionConfig
from zoo.inputs.spec import DataSpec

PARTS = ("light_curve", "static")


@pytest.fixture
def directory(records):
    """The tiny directory: 14 classes, an object of each in fold 0, fold 1 and test."""
    return RecordDirectory(records)


def _split(directory, fold=0, seed=0, inputs=None, **selection):
    config = SelectionConfig(**selection)
    spec = specs.describe(directory, PARTS, inputs or InputConfig(), config)
    return data.splits(directory, spec, config, fold, seed)


def test_folds_take_turns(directory):
    spec, first = _split(directory, fold=0)
    _, second = _split(directory, fold=1)
    assert len(spec.classes) == 14 and {name: len(part) for name, part in first.items()} == {
        "train": 14, "validation": 14, "test": 14
    }  # fmt: skip
    assert first["train"].ids() == second["validation"].ids()
    assert first["test"].ids() == second["test"].ids()
    everyone = [name for part in first.values() for name in part.ids()]
    assert len(set(everyone)) == 42
    with pytest.raises(UsageError, match="fold"):
        _split(directory, fold=2)


def test_labels_are_the_classes_of_the_records(directory):
    spec, parts = _split(directory)
    names = {item.id: item.name for item in directory.info.classes}
    for part in parts.values():
        for place, label in zip(part.indices, part.labels, strict=True):
            assert spec.classes[label] == names[directory.record(int(place)).class_id]


def test_chosen_classes_keep_the_order_asked_for(directory):
    spec, parts = _split(directory, classes=["AGN", "TDE", "KN"])
    assert spec.classes == ("AGN", "TDE", "KN")
    for part in parts.values():
        assert sorted(part.labels.tolist()) == [0, 1, 2]
    with pytest.raises(UsageError, match="--classes: no such class.*Received: 'SNIb'"):
        _split(directory, classes=["AGN", "SNIb"])
    with pytest.raises(UsageError, match="named twice"):
        _split(directory, classes=["AGN", "AGN"])
    with pytest.raises(DataError, match="at least two classes.*AGN 1"):
        _split(directory, classes=["AGN"])
    with pytest.raises(DataError, match="at least two classes with 2 objects"):
        _split(directory, min_per_class=2)


def test_label_maps_merge_and_drop(directory, tmp_path):
    path = tmp_path / "map.yaml"
    path.write_text("classes:\n  Ia: [SNIa, SNIax, SNIa-91bg]\n  other: [AGN, KN]\n")
    spec, parts = _split(directory, label_map=str(path))
    assert spec.classes == ("Ia", "other")
    assert np.bincount(parts["train"].labels).tolist() == [3, 2]
    both, _ = _split(directory, label_map=str(path), classes=["other", "Ia"])
    assert both.classes == ("other", "Ia")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("classes: {A: [SNIa, nova]}", "class 'A' holds a native class.*Received: 'nova'"),
        ("classes: {A: [SNIa], B: [SNIa]}", "in two classes. Received: 'SNIa'"),
        ("classes: [SNIa]", "must read"),
        ("classes: {A: SNIa}", "must read"),
        ("classes: {}", "must read"),
        ("other: 1", "must read"),
        ("a: [", "must read"),
    ],
)
def test_bad_label_maps_are_named(directory, tmp_path, text, message):
    path = tmp_path / "map.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        labels.load(directory.info.classes, str(path))
    assert str(path) in str(caught.value)


def test_an_unknown_label_map_is_a_usage_error(directory):
    with pytest.raises(UsageError, match="neither a label map.*Received: 'nothing'"):
        labels.load(directory.info.classes, "nothing")


def test_numbers_that_no_class_has_are_dropped():
    ours = labels.Labels(("a", "b"), {5: 1, 7: 0})
    np.testing.assert_array_equal(ours.index([7, 5, -1, 9, 7]), [0, 1, -1, -1, 0])
    assert ours.index([]).shape == (0,)


def test_selection_thins_training_only(directory):
    _, parts = _split(directory, classes=["AGN", "TDE", "KN", "EB"], max_objects=2)
    assert len(parts["train"]) == 4, "one of every class stays"
    assert len(parts["validation"]) == len(parts["test"]) == 4


def test_static_columns(directory):
    spec, parts = _split(directory, inputs=InputConfig(static_columns=["mwebv", "hostgal_photoz"]))
    assert [column.name for column in spec.static] == ["mwebv", "hostgal_photoz"]
    names = [column.name for column in directory.info.static_columns]
    order = [names.index("mwebv"), names.index("hostgal_photoz")]
    expected = np.stack([directory.record(int(place)).static for place in parts["train"].indices])[:, order]
    np.testing.assert_array_equal(parts["train"].static_values(10**6, 0, rules=False), expected)
    assert parts["train"].static_values(5, 0).shape == (5, 2)
    with pytest.raises(UsageError, match="--static-columns.*hostgal_photoz.*Received: 'colour'"):
        _split(directory, inputs=InputConfig(static_columns=["colour"]))
    with pytest.raises(DataError, match="--static-columns"):
        _split(directory, inputs=InputConfig(static_columns=[]))


def test_the_description_survives_json(directory):
    import json

    config = InputConfig()
    spec = specs.describe(directory, (*PARTS, "features"), config, SelectionConfig())
    assert spec.feature_days == (8.0, 128.0, np.inf)
    assert DataSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_data_of_another_survey_are_refused(directory):
    spec, _ = _split(directory)
    specs.check_compatible(spec, directory.info, "here")
    other = {
        "survey": {"survey": "ztf"},
        "band table": {"bands": directory.info.bands[::-1]},
        "zero point": {"zero_point": 31.4},
        "static column 'hostgal_photoz'": {"static_columns": directory.info.static_columns[1:]},
    }
    for what, change in other.items():
        with pytest.raises(DataError, match=f"here: .*{what}.*Received"):
            specs.check_compatible(spec, dataclasses.replace(directory.info, **change), "here")


def test_subsets_of_the_labels_are_nested_and_leave_test():
    whole = RecordDirectory(sample_path())
    _, parts = _split(whole)
    thin = {name: _split(whole, seed=3, subset=name)[1] for name in SUBSETS}
    for name, found in thin.items():
        for split in ("train", "validation"):
            counts = np.bincount(parts[split].labels)
            cap = subset_cap(counts[counts > 0].tolist(), SUBSETS[name])
            assert np.bincount(found[split].labels).tolist() == np.minimum(counts, cap).tolist()
        assert found["test"].ids() == parts["test"].ids()
    for split in ("train", "validation"):
        ids = [set(thin[name][split].ids()) for name in ("sub10", "sub25", "sub50")]
        assert ids[0] < ids[1] < ids[2] < set(parts[split].ids())
        assert set(_split(whole, seed=4, subset="sub10")[1][split].ids()) != ids[0]
    assert np.bincount(_split(whole, subset="sub50", max_per_class=2)[1]["train"].labels).max() == 2


def test_a_missing_feature_group_lists_those_there_are(directory):
    with pytest.raises(DataError, match="features, gp_grid.*Received: 'nothing'"):
        specs.describe(directory, ("features",), InputConfig(feature_group="nothing"), SelectionConfig())


def test_a_missing_group_is_named_with_its_command():
    config = InputConfig(feature_group="gp_grid")
    with pytest.raises(DataError, match="python -m data_tools.gp_grid DIR makes it. Valid: none. Received: 'gp_grid'"):
        specs.describe(RecordDirectory(sample_path()), ("features",), config, SelectionConfig())


@pytest.mark.parametrize(
    "options",
    [
        {"window_before": -1.0}, {"max_per_band": 1}, {"drop_fraction": 1.0}, {"truncate_days": [0.0]},
        {"truncate": "choice", "truncate_days": []},
    ],
)  # fmt: skip
def test_input_options_out_of_range(options):
    with pytest.raises(UsageError, match="Received"):
        InputConfig(**options)
    for bad in ({"label_fraction": 0.0}, {"max_per_class": 0}, {"max_objects": 0}):
        with pytest.raises(UsageError, match="Received: 0"):
            SelectionConfig(**bad)


def test_models_of_spectra_need_spectra(directory):
    _, parts = _split(directory)
    with pytest.raises(DataError, match="none of 14 training objects.*Received: no spectra"):
        data.check_spectra(parts["train"], InputConfig())
    data.check_spectra(parts["train"], InputConfig(), required=False)


def test_models_of_columns_need_some(directory):
    _, parts = _split(directory)
    data.check_columns(parts["train"])
    values = parts["train"].static_values(100, 0, rules=False)
    columns = tuple(dataclasses.replace(column, missing=tuple(map(float, values[:, place])))
                    for place, column in enumerate(parts["train"].spec.static))  # fmt: skip
    parts["train"].spec = dataclasses.replace(parts["train"].spec, static=columns)
    with pytest.raises(DataError, match="none of 14 training objects has a value in one.*Received: hostgal_photoz, "):
        data.check_columns(parts["train"])


class _Sampled(SimpleNamespace):
    """Training objects as the checks look at them."""

    def __len__(self):
        return len(self.records)

    def serialized(self, places):
        return [encode(self.records[place]) for place in places]


def _sampled(change):
    records = [dataclasses.replace(item, **change(item)) for item in map(make_record, range(14))]
    info = SimpleNamespace(static_columns=tuple(map(StaticColumn, COLUMNS)))
    period = specs.Column("period", missing=(99.0,))
    directory = SimpleNamespace(path="here", info=info)
    return _Sampled(records=records, directory=directory, spec=SimpleNamespace(period=period))


def _spectrum(shift=0.0, factor=1.0):
    def change(item):
        old = item.spectrum
        return {"spectrum": old and Spectrum(old.wavelength + shift, old.flux * factor, old.ivar)}

    return change


@pytest.mark.parametrize("required", [True, False])
def test_training_spectra_must_lie_on_the_grid_and_vary(required):
    data.check_spectra(_sampled(_spectrum()), InputConfig(), required)
    data.check_spectra(_sampled(_spectrum(3000)), InputConfig(), required)
    with pytest.raises(DataError, match=r"none of 12 .* reaches the grid.*Valid: 3850 to 8998 ang.*Received: 12\d\d\d"):
        data.check_spectra(_sampled(_spectrum(9000)), InputConfig(), required)
    data.check_spectra(_sampled(_spectrum(9000)), InputConfig(spectrum_start=13000.0), required)
    with pytest.raises(DataError, match="none of 12 training spectra has a flux that varies"):
        data.check_spectra(_sampled(_spectrum(0, 0)), InputConfig(), required)


def test_some_training_objects_must_have_a_period_to_fold_on():
    data.check_periods(_sampled(lambda item: {}))
    data.check_periods(_sampled(lambda item: {"static": None} if item.class_id else {}))
    for value in (0.0, np.nan, -3.0, 99.0):
        static = np.full(len(COLUMNS), value)
        with pytest.raises(DataError, match="--fold-period: none of 14 training objects has a period in.*'period'"):
            data.check_periods(_sampled(lambda item, static=static: {"static": static}))
