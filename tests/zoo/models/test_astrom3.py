"""AstroM3: golden cases, published sizes, missing modalities, warm starts from and to its parts."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest

from tests.cases.photometry_bench import COLUMNS, PhotometryBench, inputs_of
from tests.cases.variants import Example
from tfrecords.errors import DataError, UsageError
from zoo import registry
from zoo.losses.clip import MODALITIES
from zoo.models.astrom3 import reference
from zoo.models.astrom3.config import PARTS, AstroM3ClipConfig, AstroM3Config, options
from zoo.models.astrom3.parity import check_model
from zoo.parity import find_cases, load_case
from zoo.tasks.contrast import similarities
from zoo.training import warm_start

MODELS = ("astrom3", "astrom3_clip")
PRESENT = {"photo": ("mask",), "spectra": ("spectrum_mask",), "meta": ("static",)}
HIDDEN = {"mask": False, "spectrum_mask": False, "static": np.nan}


@pytest.fixture(scope="module")
def benches():
    """Workbenches of both models, networks without dropout."""
    variants = {"astrom3": "concat_columns", "astrom3_clip": "columns"}
    return {name: PhotometryBench(Example(name, variant)) for name, variant in variants.items()}


@pytest.fixture(scope="module")
def spare(benches):
    """A network whose parts tests may fill anew."""
    return benches["astrom3_clip"].build(1)


def _hide(inputs, name, rows=slice(None)):
    """Take a modality from some objects."""
    found = {key: np.array(value) for key, value in inputs.items()}
    for key in PRESENT[name]:
        found[key][rows] = HIDDEN[key]
    return found


def test_golden_cases_pass(shared):
    cases = [load_case(path) for path in find_cases(shared("golden/astrom3")) if path.name.startswith("astrom3")]
    small = [case for case in cases if case.group("w")]
    assert {case.config["config"]["mode"] for case in small} == {"clip", "all"}
    for case in small:
        found = check_model(case)
        assert len(found) > len(case.group("y")) and all(item.passed for item in found), found


def test_a_case_of_concatenated_embeddings_has_the_parameters_of_the_original(shared):
    case = load_case(shared("golden/astrom3/astrom3_all_avg_small.npz"))
    wide = np.concatenate([case.arrays["w/fc.weight"]] * 3, axis=1)
    case.arrays["w/fc.weight"], case.config["config"]["fusion"] = wide, "concat"
    case.config["n_params"] += wide.size * 2 // 3
    case.arrays["y/logits"] = 3 * case.arrays["y/logits"] - 2 * case.arrays["w/fc.bias"]
    assert all(item.passed for item in check_model(case)), check_model(case)


@pytest.mark.slow
def test_golden_cases_of_the_published_size_pass(shared):
    cases = [load_case(path) for path in find_cases(shared("golden/astrom3")) if path.name.startswith("astrom3")]
    for case in [item for item in cases if not item.group("w")]:
        found = check_model(case)
        assert len(found) > len(case.group("y")) and all(item.passed for item in found), found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "hparams", "count"),
    [("astrom3_clip", {}, 15_869_827), ("astrom3", {}, 15_874_957 - 3),
     ("astrom3", {"fusion": "concat"}, 15_885_197 - 3 + 3 * 512)],
)  # fmt: skip
def test_published_sizes_have_the_published_numbers_of_parameters(model, hparams, count):
    # The classifier has no scales, and with concat vectors in place of what is missing.
    static = tuple(f"c{number}" for number in range(34)) + ("amplitude", "period", "lksl_statistic", "rfr_score")
    info = registry.ModelInfo(tuple("abcdefghij"), static=static, spectrum_size=2575)
    net = registry.create(model, info, photo_cols=list(static[-4:]), **hparams)
    assert sum(int(np.prod(item.shape)) for item in net.trainable_variables) == count


def test_options_are_those_of_the_parts():
    ours = {field.name: field.default for field in dataclasses.fields(AstroM3Config)}
    for part, kind in PARTS.items():
        for field in dataclasses.fields(kind):
            assert ours[options(part)[field.name]] == field.default
    with pytest.raises(UsageError, match="options photo_... are those of InformerConfig: d_model must be even"):
        AstroM3Config(photo_d_model=5)
    with pytest.raises(UsageError, match=r"init_scale must lie in \[1, 100\]. Received: 0.5"):
        AstroM3ClipConfig(init_scale=0.5)
    with pytest.raises(UsageError, match="no static column is left"):
        AstroM3Config(photo_cols=["a"]).part("meta", registry.ModelInfo(static=("a",)))
    assert AstroM3Config(photo_cols=["a"]).part("meta", registry.ModelInfo(static=("a", "b"))).columns == ["b"]


def test_embeddings_have_length_one_or_are_missing(benches):
    network = benches["astrom3_clip"].network
    inputs = benches["astrom3_clip"].batch()[0]
    present = {name: np.array(value) for name, value in network.present(inputs).items()}
    assert [int((~present[name]).sum()) for name in MODALITIES] == [1, 1, 1]
    found = network.embeddings(inputs)
    for name in MODALITIES:
        lengths = np.linalg.norm(np.array(found[name]), axis=1)
        np.testing.assert_allclose(lengths, present[name], atol=1e-5)
    total = sum(np.array(found[name]) for name in MODALITIES)
    number = sum(present[name].astype(int) for name in MODALITIES)
    np.testing.assert_allclose(network.represent(inputs), total / number[:, None], atol=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_any_modality_may_be_missing_and_then_changes_nothing(benches, model):
    bench = benches[model]
    inputs = bench.batch()[0]
    whole = bench.outputs(inputs)
    for name in MODALITIES:
        less = _hide(inputs, name)
        spoiled = {key: value.copy() for key, value in less.items()}
        if name != "meta":
            for key in {"photo": ("flux", "time", "curve_scale"), "spectra": ("spectrum", "spectrum_err")}[name]:
                spoiled[key] += 7.0
        ours, theirs = bench.outputs(less), bench.outputs(spoiled)
        for head, values in ours.items():
            assert np.isfinite(values).all()
            np.testing.assert_allclose(values, theirs[head], atol=1e-6)
        assert any(np.abs(values - whole[head]).max() > 1e-4 for head, values in ours.items())
    nothing = _hide(_hide(_hide(inputs, "photo"), "spectra"), "meta")
    for values in bench.outputs(nothing).values():
        assert np.isfinite(values).all()
        np.testing.assert_allclose(values, values[:1].repeat(8, axis=0), atol=1e-6)


def test_training_with_hidden_modalities_stays_finite(benches):
    bench = PhotometryBench(Example("astrom3_clip", "columns"))
    hparams = bench.bundle.hparams | {"modality_dropout": 0.9}
    keras.utils.set_random_seed(0)
    network = registry.create("astrom3_clip", bench.info, **hparams)
    inputs = bench.batch()[0]
    outputs = network(inputs, training=True)
    shown = np.stack([np.array(outputs[f"has_{name}"]) for name in MODALITIES], axis=1)
    there = np.stack([np.array(network.present(inputs)[name]) for name in MODALITIES], axis=1)
    assert (shown.sum(axis=1) >= 1).all() and shown.sum() < there.sum() and not (shown & ~there).any()
    losses = np.array(bench.task.loss(network, outputs, {}))
    assert losses.shape == (8,) and np.isfinite(losses).all()
    for row in range(8):
        found = {name: np.array(outputs[name])[row] for name in MODALITIES}
        assert [bool(item.any()) for item in found.values()] == shown[row].tolist()


def test_a_zero_embedding_spoils_nothing(benches):
    bench = benches["astrom3_clip"]
    network = bench.build()
    for layer in (network.meta_projection, network.photo_projection):
        layer.set_weights([np.zeros_like(item) for item in layer.get_weights()])
    outputs = network(bench.batch()[0], training=False)
    assert not np.array(outputs["meta"]).any()
    assert np.isfinite(bench.task.loss(network, outputs, {})).all()
    assert np.isfinite(bench.task.predictions(network, outputs)).all()


class _Run:
    """What a warm start asks of an earlier run."""

    members = 0


def _weights(network):
    return {item.path.split("/", 1)[1]: np.array(item) for item in network.weights}


def _start(monkeypatch, network, other, source):
    monkeypatch.setattr(warm_start.bundles, "load", lambda path: _Run)
    monkeypatch.setattr(warm_start.bundles, "load_network", lambda path: other)
    return warm_start.initialise(network, [source], None)


SINGLE = {"photo": "informer", "spectra": "galspecnet", "meta": "metamodel"}


def _single(bench, part, **changes):
    """Give the network of one modality with the sizes of a trimodal one, as a run of its own would have it."""
    values = dataclasses.asdict(bench.network.config.part(part, bench.info)) | changes
    keras.utils.set_random_seed(5)
    return registry.create(SINGLE[part], bench.info, **values)


@pytest.mark.parametrize("part", MODALITIES)
def test_parts_go_both_ways_between_single_and_trimodal_networks(benches, spare, part, monkeypatch):
    bench = benches["astrom3_clip"]
    single = _single(bench, part)
    for network, other in ((spare, single), (single, bench.network)):
        before, theirs = _weights(network), _weights(other)
        (line,) = _start(monkeypatch, network, other, f"{part}=runs/other")
        inside = [path for path in before if path.startswith(f"{part}/") and "/columns/" not in path]
        assert f": {len(inside)} of {len(inside)} arrays loaded" in line and len(inside) >= 4
        for path, value in _weights(network).items():
            np.testing.assert_array_equal(value, theirs[path] if path in inside else before[path])


def test_the_classifier_starts_from_contrastive_training_and_trains_what_is_not_frozen(benches, monkeypatch):
    network, other = benches["astrom3"].build(3), benches["astrom3_clip"].network
    (line,) = _start(monkeypatch, network, other, "runs/other")
    assert line.endswith(": fusion/stand_in, head/kernel, head/bias")
    kernels = [_weights(item)["meta_projection/kernel"] for item in (network, other)]
    np.testing.assert_array_equal(*kernels)
    warm_start.freeze(network, ["photo", "spectra"])
    left = [item.path.split("/")[1] for item in network.trainable_variables]
    assert not {"photo", "spectra"} & set(left) and {"meta", "photo_projection", "head"} <= set(left)


def test_parts_that_do_not_fit_are_refused(benches, spare, monkeypatch):
    bench = benches["astrom3_clip"]
    wide = _single(bench, "meta", hidden_dim=16)
    with pytest.raises(DataError, match="'meta' of .* has other sizes.*meta/hidden_0"):
        _start(monkeypatch, spare, wide, "meta=runs/other")
    with pytest.raises(DataError, match="no array of .* fits this network in part 'spectra'"):
        _start(monkeypatch, spare, wide, "spectra=runs/other")
    # The same number of columns, which stand for something else.
    other = _single(bench, "meta", columns=[name for name in reversed(COLUMNS) if name != "period"])
    (line,) = _start(monkeypatch, spare, other, "meta=runs/other")
    assert "not loaded (absent, of another shape, or of other classes, bands or columns): meta/hidden_0/" in line


def test_broken_weights_are_named(shared):
    case = load_case(shared("golden/astrom3/astrom3_clip_small.npz"))
    arrays, config = case.group("w"), case.config
    less = {name: item for name, item in arrays.items() if name != "logit_scale_sm"}
    with pytest.raises(DataError, match="'logit_scale_sm' is missing"):
        reference.import_weights(less, config)
    with pytest.raises(DataError, match="mode must be one of clip, all. Received: 'photo'"):
        reference.import_weights(arrays, {**config["config"], "mode": "photo"})
    with pytest.raises(DataError, match="n_wave: the weights take 8 features"):
        reference.import_weights(arrays, config | {"n_wave": 2575})


def test_similarities_are_those_of_the_outputs(benches):
    bench = benches["astrom3_clip"]
    outputs = bench.network(inputs_of(("light_curve", "spectrum", "static"), 6, info=bench.info), training=False)
    found = similarities(bench.network, outputs)
    rows, columns = found.logits(("photo", "meta")[::-1])
    scale = float(bench.network.scales()["meta_photo"])
    np.testing.assert_allclose(rows, scale * np.array(outputs["meta"]) @ np.array(outputs["photo"]).T, atol=1e-5)
    np.testing.assert_allclose(columns, np.array(rows).T, atol=1e-5)
    assert scale == pytest.approx(1 / 0.07, rel=1e-5)
