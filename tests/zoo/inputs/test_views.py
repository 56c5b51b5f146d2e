"""Views hold every row once, at its place, and 0 elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.zoo.inputs import ragged
from zoo import views
from zoo.inputs import build
from zoo.inputs.config import InputConfig
from zoo.registry import ModelInfo


@pytest.fixture(params=range(3))
def objects(request):
    """Objects with times small enough to be exact in float32."""
    made = ragged.make_objects(request.param)
    for item in made:
        item["time"] = (item["time"] - 59000).round(1)
    return made


def test_packed(objects):
    view = {key: value.numpy() for key, value in build.packed(ragged.to_curves(objects)).items()}
    longest = max(len(item["time"]) for item in objects)
    assert view["mask"].shape == (len(objects), longest)
    for number, item in enumerate(objects):
        size = len(item["time"])
        np.testing.assert_array_equal(view["mask"][number], np.arange(longest) < size)
        for key in ("time", "flux", "flux_err", "band"):
            np.testing.assert_array_equal(view[key][number, :size], item[key].astype(view[key].dtype))
            assert not view[key][number, size:].any()


def test_packed_by_band(objects):
    view = build.packed_by_band(ragged.to_curves(objects), ragged.BANDS)
    view = {key: value.numpy() for key, value in view.items()}
    slots = view["grid_time"].shape[2]
    most = max((item["band"] == band).sum() for item in objects for band in range(ragged.BANDS))
    assert view["grid_flux"].shape == (len(objects), ragged.BANDS, most)
    for number, item in enumerate(objects):
        size = len(item["time"])
        assert view["mask"][number].sum() == size
        index = view["pack_index"][number, :size]
        assert len(set(index)) == size and not view["pack_index"][number, size:].any()
        np.testing.assert_array_equal(index // slots, item["band"])
        for key in ("time", "flux", "flux_err"):
            flat = view[f"grid_{key}"][number].ravel()
            np.testing.assert_array_equal(flat[index], item[key].astype("float32"))
            assert not np.delete(flat, index).any()


@pytest.mark.parametrize("name", list(views.VIEWS))
def test_no_observation_gives_one_masked_slot(name):
    empty = ragged.to_curves([{key: value[:0] for key, value in ragged.make_objects(0)[0].items()}] * 2)
    info = ModelInfo(bands=tuple("abcd"))
    view = build.build(name, empty, ragged.BANDS, InputConfig())
    example = views.example(name, ("light_curve",), info, step=1)
    assert {key: (tuple(value.shape), value.dtype.name) for key, value in view.items()} == {
        key: (value.shape, value.dtype.name) for key, value in example.items()
    }
    assert not view["mask"].numpy().any()


@pytest.mark.parametrize("name", list(views.VIEWS))
def test_tensors_are_those_of_the_table(name):
    view = build.build(name, ragged.to_curves(ragged.make_objects(0)), ragged.BANDS, InputConfig())
    table = views.tensors(name, ("light_curve",))
    assert {key: (len(axes), kind) for key, (axes, kind) in table.items()} == {
        key: (len(value.shape), value.dtype.name) for key, value in view.items()
    }


def test_an_unknown_view_is_named():
    with pytest.raises(ValueError, match="packed_by_band.*Received: 'folded_twice'"):
        build.build("folded_twice", ragged.to_curves(ragged.make_objects(0)), ragged.BANDS, InputConfig())


def test_declared_sentinels_become_missing():
    static = tf.constant([[-9.0, -9.0, 1.0], [0.0, -99.0, np.nan]], tf.float32)
    ours = build.static_values(static, {0: [-9.0], 1: [-9.0, -99.0]}).numpy()
    np.testing.assert_array_equal(np.isnan(ours), [[1, 1, 0], [0, 1, 1]])
    np.testing.assert_array_equal(build.static_values(static, {}), static)
