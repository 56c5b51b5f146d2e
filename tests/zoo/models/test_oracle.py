"""ORACLE and the hierarchical LSTM: sizes, recurrences against loops, golden cases, sentinels, bands."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import hparams
from tfrecords.errors import DataError, UsageError
from zoo import registry
from zoo.convert import convert
from zoo.golden import Case
from zoo.models.oracle import parity, reference
from zoo.parity import load_case, run_case
from zoo.training.resolve import resolve
from zoo.training.run import Run

INFO = registry.ModelInfo(tuple(map(str, range(26))), tuple("ugrizY"), tuple(f"s{n}" for n in range(23)))
SEED_INFO = registry.ModelInfo(INFO.classes, INFO.bands, tuple(f"s{n}" for n in range(42)))
RNG = np.random.default_rng(5)


def _inputs(info, objects=4, rows=9):
    """Give random objects of the view, the second with one row, the third with none."""
    inputs = registry.example_inputs("oracle_gru", registry.get("oracle_gru").config(), info)
    inputs = {name: np.zeros((objects, rows), value.dtype) for name, value in inputs.items() if name != "static"}
    inputs["mask"] = np.arange(rows) < np.array([rows, 1, 0, 5])[:, None]
    for name, scale in (("time", 50), ("flux", 900), ("flux_err", 30)):
        inputs[name] = (np.abs(RNG.normal(size=(objects, rows))) * scale * inputs["mask"]).astype("float32")
    inputs["band"] = (RNG.integers(0, 6, (objects, rows)) * inputs["mask"]).astype("int32")
    inputs["detected"] = (RNG.random((objects, rows)) < 0.5) & inputs["mask"]
    return inputs | {"static": RNG.normal(size=(objects, len(info.static))).astype("float32")}


def _logits(network, inputs):
    tensors = {key: keras.ops.convert_to_tensor(value) for key, value in inputs.items()}
    return keras.ops.convert_to_numpy(network(tensors)["logits"])


def test_published_sizes():
    assert registry.create("oracle_gru", INFO).count_params() == 122_294
    assert registry.create("oracle_gru_lite", INFO).count_params() == 121_054
    # PyTorch's LSTM has a second bias of 4 · 64 numbers in each of its four layers.
    assert registry.create("hierarchical_lstm", SEED_INFO).count_params() == 136_346 - 4 * 256


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _gru(sequence, kernel, recurrent, bias):
    state = np.zeros(recurrent.shape[0])
    states = []
    for row in sequence:
        z, r, h = np.split(row @ kernel + bias[0], 3)
        rz, rr, rh = np.split(state @ recurrent + bias[1], 3)
        z, r = _sigmoid(z + rz), _sigmoid(r + rr)
        state = z * state + (1 - z) * np.tanh(h + r * rh)
        states.append(state)
    return np.array(states)


def test_oracle_is_its_formula():
    network = registry.create("oracle_gru", INFO, units=7, dense=6, latent=5)
    for variable in network.trainable_variables:
        variable.assign(RNG.normal(size=variable.shape) * 0.4)
    inputs = _inputs(INFO)
    inputs["static"][0, 3], inputs["static"][1, :4], inputs["static"][3] = np.nan, [-99, 999, -9, -9999], -999
    ours = keras.ops.convert_to_numpy(
        network({key: keras.ops.convert_to_tensor(v) for key, v in inputs.items()})["logits"]
    )
    table = np.array([0.360, 0.476, 0.6215, 0.7545, 0.870, 1.015])
    weights = {w.path.split("/", 1)[1]: keras.ops.convert_to_numpy(w) for w in network.weights}

    def layer(name, values):
        return values @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]

    for number, size in enumerate(inputs["mask"].sum(axis=1)):
        item = {key: value[number, :size].astype("float64") for key, value in inputs.items() if key != "static"}
        sequence = np.stack([item["time"] / 100, item["detected"], item["flux"] / 1000, item["flux_err"] / 1000,
                             table[item["band"].astype(int)]], axis=1)  # fmt: skip
        for place in range(2):
            cell = f"encoder/gru_{place}/gru_cell"
            sequence = _gru(sequence, *(weights[f"{cell}/{part}"] for part in ("kernel", "recurrent_kernel", "bias")))
        state = sequence[-1] if size else np.zeros(7)
        static = inputs["static"][number].astype("float64")
        static[~np.isfinite(static) | np.isin(static, [-9, -99, -999, -9999, 999])] = -9
        static = np.zeros(23) if (static == -9).all() else static
        both = np.concatenate([np.tanh(layer("series", state)), layer("table", static)])
        latent = np.maximum(layer("latent", np.maximum(layer("merge", both), 0)), 0)
        np.testing.assert_allclose(ours[number], layer("logits", latent), rtol=1e-4, atol=1e-5)


def test_lstm_zeroes_negative_columns_only_with_relu_first():
    inputs = _inputs(SEED_INFO)
    inputs["static"] = -np.abs(inputs["static"])
    for relu in (True, False):
        network = registry.create("hierarchical_lstm", SEED_INFO, units=5, layers=2, relu_first=relu)
        moved = inputs | {"static": inputs["static"] * 2}
        ours, theirs = _logits(network, inputs), _logits(network, moved)
        assert np.isfinite(ours).all() and (np.abs(ours - theirs).max() < 1e-7) == relu


@pytest.mark.parametrize("kind", ["oracle_gru", "oracle_gru_lite", "seed_lstm", "prep"])
def test_golden_cases(shared, kind):
    folder = shared("golden/hierarchical")
    for path in sorted(folder.glob(f"{kind}_open_*.npz")):
        found = run_case(load_case(path))
        assert found and all(item.passed for item in found), [item for item in found if not item.passed]


def test_a_golden_case_can_fail(shared):
    case = load_case(shared("golden/hierarchical/prep_open_0.npz"))
    for key in ("y/x_s", "y/x_o", "y/len_by_day", "y/flags", "y/s_stop"):
        spoiled = dict(case.arrays) | {key: case.arrays[key] + (case.arrays[key].ndim > 0)}
        found = run_case(Case(case.family, case.name, {}, spoiled))
        assert sum(not item.passed for item in found) == 1, key


def test_wrong_weights_are_named(shared):
    arrays = load_case(shared("golden/hierarchical/oracle_gru_lite_open_0.npz")).group("w")
    with pytest.raises(DataError, match="does not have. Received: 'more'"):
        reference.import_weights(arrays | {"more": np.zeros(3)})
    lost = {name: value for name, value in arrays.items() if name != "latent/bias"}
    with pytest.raises(DataError, match="'latent/bias' is missing"):
        reference.import_weights(lost)


def _published(network):
    """Give a network's arrays as a public Keras file names them, numbers of a second model in one session."""
    dense = ("series", "table", "merge", "latent", "output_layer")
    layers = [getattr(network, name) for name in dense if hasattr(network, name)]
    found = {f"model_weights/dense_{place}/dense_{place}/{part}:0": getattr(layer, part).numpy()
             for place, layer in enumerate(layers, 9) for part in ("kernel", "bias")}  # fmt: skip
    for place, layer in enumerate(network.encoder.stack):
        name = f"gru_{place}" if place else "gru"
        for part in ("kernel", "recurrent_kernel", "bias"):
            found[f"model_weights/{name}/{name}/gru_cell/{part}:0"] = getattr(layer.cell, part).numpy()
    return found


@pytest.mark.parametrize("name", ["oracle_gru", "oracle_gru_lite"])
def test_a_public_keras_file_becomes_a_run(tmp_path, name):
    import h5py

    network = registry.create(name, INFO, units=7, dense=6, latent=5, static_units=3)
    with h5py.File(tmp_path / "best_model.h5", "w") as file:
        for key, array in _published(network).items():
            file[key] = array
        file["optimizer_weights/adam/m:0"] = 3.0
    run = Run(convert(tmp_path / "best_model.h5", {}, name, tmp_path / "run", preset="reference"))
    for ours, theirs in zip(run.network.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    spec = run.bundle.spec
    assert spec.tree.name == "elasticc" and len(spec.classes) == 19 and run.task.tree is not None
    if name == "oracle_gru":
        assert len(spec.static) == 23 and spec.derived_static[0] == "mw_plane_flag"
        assert spec.raw_static[-2:] == ("RA", "DEC") and run.bundle.inputs.drop_saturated
        assert run.stage(spec.raw_static).position == (18, 19)


@pytest.mark.parametrize("name", ["oracle_gru", "oracle_gru_lite"])
def test_weights_of_a_golden_case_become_a_run(shared, tmp_path, name):
    path = shared(f"golden/hierarchical/{name}_open_0.npz")
    run = Run(convert(path, {"taxonomy": "elasticc"}, name, tmp_path / "run"))
    case, network = load_case(path), run.network
    found = network.decide(*parity.states(network, case))
    np.testing.assert_allclose(found, case.arrays["y/logits"], rtol=1e-4, atol=1e-4)
    other = {"oracle_gru": "oracle_gru_lite", "oracle_gru_lite": "oracle_gru"}[name]
    with pytest.raises(UsageError, match=f"are of {name}. Received: {other}"):
        convert(path, {}, other, tmp_path / "other")


def test_names_of_another_number_are_refused(shared, tmp_path):
    path = shared("golden/hierarchical/oracle_gru_open_0.npz")
    for config, said in (
        ({"static": ["a"]}, "static: the weights are of 23. Received: 1 names"),
        ({"taxonomy": "plasticc"}, "taxonomy plasticc: the weights have 26 logits. Received"),
        ({"classes": ["a", "b"]}, "classes: the weights are of 26"),
    ):
        with pytest.raises(DataError, match=said):
            convert(path, config, "oracle_gru", tmp_path / "run")


def test_weights_of_the_seed_become_a_run(shared, tmp_path):
    path = next(shared("golden/hierarchical").glob("seed_lstm_open_*.npz"))
    run = Run(convert(path, {}, "hierarchical_lstm", tmp_path / "run", preset="reference"))
    case = load_case(path)
    found = run.network.decide(*parity.states(run.network, case))
    np.testing.assert_allclose(found, case.arrays["y/logits"], rtol=1e-4, atol=1e-4)
    assert len(run.bundle.spec.static) == 42 and run.bundle.inputs.detection_window


def test_bands_need_a_wavelength():
    info = registry.ModelInfo(("a", "b"), ("g", "W1"))
    with pytest.raises(UsageError, match=r"--wavelengths '\{W1: 0.5\}'.*Received: W1"):
        registry.create("oracle_gru_lite", info)
    network = registry.create("oracle_gru_lite", info, wavelengths={"W1": 3.35})
    assert network.observations.settings["wavelengths"] == [0.476, 3.35]
    assert registry.create("oracle_gru_lite", info, band="one_hot").observations.width == 6


@pytest.mark.parametrize("name", ["oracle_gru", "oracle_gru_lite", "hierarchical_lstm"])
def test_presets_are_valid(name):
    for preset in hparams.presets(registry.get(name).family):
        settled = resolve(name, preset)
        assert settled.inputs.drop_saturated and settled.inputs.max_rows == 500
    published = resolve("oracle_gru", "ORACLE-1")
    assert len(published.inputs.static_columns) + len(published.inputs.derived_static) == 23
    seed = resolve("hierarchical_lstm", "reference").inputs
    assert len(seed.static_columns) + len(seed.derived_static) == 42
    with pytest.raises(UsageError, match="goes with static_scale quantile"):
        resolve(name, "published", missing="indicator")
