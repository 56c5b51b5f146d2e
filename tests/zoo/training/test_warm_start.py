"""Weights of an earlier run, in whole or by part; frozen parts."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from tfrecords.errors import DataError, UsageError
from zoo import registry
from zoo.inputs.config import InputConfig
from zoo.training import warm_start
from zoo.training.bundle import Bundle
from zoo.training.loop import fit


@pytest.fixture
def fresh(run):
    """A network like the run's with other weights, and its weights by path."""
    network = run.bundle.build()
    return network, _weights(network)


def _weights(network) -> dict[str, np.ndarray]:
    """Give all weights but the fitted tables, which are never taken from another run."""
    return {item.path.split("/", 1)[1]: np.array(item) for item in network.weights if not item.path.endswith("/table")}


def _from(network, run, before, path) -> str:
    value, source = _weights(network)[path], _weights(run.network)[path]
    if np.array_equal(value, source):
        return "loaded"
    return "kept" if np.array_equal(value, before[path]) else "neither"


def test_everything(run, fresh):
    network, before = fresh
    (line,) = warm_start.initialise(network, [str(run.path)], None)
    assert line == f"{run.path}: {len(before)} of {len(before)} arrays loaded"
    for path, value in _weights(network).items():
        np.testing.assert_array_equal(value, _weights(run.network)[path])


def test_one_part(run, fresh):
    network, before = fresh
    (line,) = warm_start.initialise(network, [f"encoder={run.path}"], None)
    inside = [path for path in before if path.startswith("encoder/")]
    assert f": {len(inside)} of {len(inside)} arrays loaded" in line
    for path in before:
        # Freshly made ones and zeros are the same everywhere until they are trained.
        if not np.array_equal(before[path], _weights(run.network)[path]):
            assert _from(network, run, before, path) == ("loaded" if path in inside else "kept"), path


def test_other_inputs_are_warned_of(run, fresh):
    network, _ = fresh
    changed = dataclasses.replace(run.bundle.inputs, rest_frame_time="hostgal_photoz", max_rows=7, spectrum_step=9.0)
    lines = warm_start.initialise(network, [f"encoder={run.path}", str(run.path)], None,
                                  dataclasses.replace(run.bundle, inputs=changed))  # fmt: skip
    for line, source in zip(lines[1::2], (f"encoder={run.path}", run.path), strict=True):
        assert line.startswith(f"warning: {source}: what was loaded")
        assert "inputs than this run's: rest_frame_time None there, hostgal_photoz here. " in line
    assert len(warm_start.initialise(network, [str(run.path)], None, run.bundle)) == 1


def _bundle(model, hparams=(), **inputs):
    config = registry.get(model).config(**dict(hparams))
    return Bundle(model, dataclasses.asdict(config), InputConfig(**inputs), None)


def test_inputs_are_compared_of_the_parts_that_were_loaded():
    ours = _bundle("astrom3", {"meta_transform": False}, fold_period="org_period", spectrum_step=4.0)
    clip, stars = _bundle("astrom3_clip", fold_zero="epoch"), _bundle("informer", fold_period="org_period", grid_step=1)
    fold, zero = "fold_period None there, org_period here", "fold_zero epoch there, maximum here"
    step, columns = "spectrum_step 2.0 there, 4.0 here", "meta_transform True there, False here"
    assert warm_start.other_inputs(ours, clip, {"photo", "photo_projection"}) == [fold, zero]
    assert warm_start.other_inputs(ours, clip, {"photo", "spectra", "head"}) == [fold, zero, step]
    assert warm_start.other_inputs(ours, clip, {"spectra_projection"}) == [step]
    assert warm_start.other_inputs(ours, _bundle("metamodel"), {"meta"}) == [columns]
    assert warm_start.other_inputs(ours, stars, {"photo"}) == []
    plain = _bundle("astrom3", fold_zero="first")
    assert warm_start.other_inputs(plain, clip, {"photo"}) == [], "without folding it has no phase 0"
    grid, packed = _bundle("simple_rnn", grid_step=1.0, time_origin="first"), _bundle("atat", time_origin="reference")
    assert warm_start.other_inputs(grid, packed, {"encoder"}) == ["time_origin reference there, first here"]


def test_reset_leaves_parts_as_they_are(run, fresh):
    network, before = fresh
    warm_start.initialise(network, [str(run.path)], ["modulation", "tokenizer"])
    for path in before:
        if np.array_equal(before[path], _weights(run.network)[path]):
            continue
        kept = path.startswith(("tokens/modulation/", "tokenizer/"))
        assert _from(network, run, before, path) == ("kept" if kept else "loaded"), path


def test_tables_are_the_new_runs_own(run, fresh):
    network, _ = fresh
    tables = network.fitted()["static"].get_weights()
    warm_start.initialise(network, [str(run.path)], None)
    np.testing.assert_array_equal(network.fitted()["static"].get_weights()[0], tables[0])
    assert (run.network.fitted()["static"].get_weights()[0] != tables[0]).any()


@pytest.mark.parametrize(
    ("aspect", "kept"),
    [("classes", "mix_head/logits/kernel"), ("bands", "tokens/modulation/kernel"), ("static", "tokenizer/kernel")],
)
def test_rows_that_mean_something_else_stay(run, aspect, kept):
    """Same shape, other order of names."""
    spec = run.bundle.spec
    spec = dataclasses.replace(spec, **{aspect: getattr(spec, aspect)[::-1]})
    network = dataclasses.replace(run.bundle, spec=spec).build()
    before = _weights(network)
    (line,) = warm_start.initialise(network, [str(run.path)], None)
    assert kept in line and _from(network, run, before, kept) == "kept"
    other = "encoder/block_0/ffn_in/kernel"
    assert other not in line and _from(network, run, before, other) == "loaded"


def test_what_does_not_fit_is_reported(run):
    spec = dataclasses.replace(run.bundle.spec, classes=run.bundle.spec.classes[:5])
    network = dataclasses.replace(run.bundle, spec=spec).build()
    (line,) = warm_start.initialise(network, [str(run.path)], None)
    assert "not loaded (absent, of another shape" in line and "mix_head/logits/kernel" in line


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"num_heads": 3}, "another number of heads .*Valid: 3. Received: 4"), ({"head_dim": 5}, "other sizes than this")],
)
def test_a_named_part_of_other_sizes_is_an_error(run, changes, message):
    network = dataclasses.replace(run.bundle, hparams=run.bundle.hparams | changes).build()
    with pytest.raises(DataError, match=message):
        warm_start.initialise(network, [f"encoder={run.path}"], None)


def test_a_network_of_another_kind_gives_nothing(run):
    """Dropout states are no weights: they must not count as loaded."""
    hparams = run.bundle.hparams | {
        "objective": "lc", "num_heads": 3, "harmonics": 9, "time_encoding": "sinusoid", "layers": 1
    }  # fmt: skip
    network = dataclasses.replace(run.bundle, hparams=hparams).build()
    assert len(network.variables) > len(network.weights), "a network with dropout"
    with pytest.raises(DataError, match="no array of .* fits this network"):
        warm_start.initialise(network, [str(run.path)], None)


def test_biases_that_happen_to_fit_are_no_start(run, monkeypatch):
    """A network of another kind on the same classes has a head with as many biases."""
    network = registry.create("galspecnet", dataclasses.replace(run.bundle.spec.model_info(), spectrum_size=300))
    assert tuple(network.head.bias.shape) == (14,)
    monkeypatch.setattr(warm_start.bundles, "load_network", lambda path: network)
    with pytest.raises(DataError, match="fits this network, but for vectors: head/bias. Received"):
        warm_start.initialise(registry.create("informer", network.info), [str(run.path)], None)
    narrower = registry.create("galspecnet", network.info, channels=[64, 64, 32, 31])
    assert "head/kernel" in warm_start.initialise(narrower, [str(run.path)], None)[0]


def test_unknown_parts_are_named(run, fresh):
    network, _ = fresh
    for flag, use in (
        ("--init-from", lambda: warm_start.initialise(network, [f"encodr={run.path}"], None)),
        ("--reset", lambda: warm_start.initialise(network, [str(run.path)], ["encodr"])),
        ("--freeze", lambda: warm_start.freeze(network, ["encodr"])),
    ):
        with pytest.raises(UsageError, match=f"{flag}: .*Closest: encoder.*Received: 'encodr'"):
            use()
    with pytest.raises(DataError, match="/nowhere/at-all/bundle: no finished model here"):
        warm_start.initialise(network, ["/nowhere/at-all"], None)


def test_frozen_parts_do_not_move(run, fresh):
    network, _ = fresh
    warm_start.freeze(network, ["encoder"])
    paths = {item.path.split("/", 1)[1] for item in network.trainable_variables}
    assert paths and not any(path.startswith("encoder/") for path in paths)
    with pytest.raises(UsageError, match="nothing is left to train"):
        warm_start.freeze(network, list(network.parts_of_model()))


@pytest.mark.slow
def test_fine_tuning_from_a_run(run, options):
    tuned = fit("atat", name="tuned", quiet=True, **(
        options | {"epochs": 1, "init_from": [str(run.path)], "freeze": ["encoder"], "seed": 11}))  # fmt: skip
    ours, theirs = _weights(tuned.network), _weights(run.network)
    for path, value in ours.items():
        if path.startswith("encoder/"):
            np.testing.assert_array_equal(value, theirs[path], err_msg=path)
    assert (ours["mix_head/logits/kernel"] != theirs["mix_head/logits/kernel"]).any()


def test_reset_needs_a_source(options):
    with pytest.raises(UsageError, match="--reset goes with --init-from"):
        fit("atat", name="never", quiet=True, **(options | {"reset": ["tokenizer"]}))


@pytest.mark.parametrize(
    ("model", "change"),
    [("informer", {"num_heads": 4}), ("informer", {"use_scale": True, "photo_cols": []}),
     ("galspecnet", {"pool": 2}), ("galspecnet", {"use_scale": True, "use_err": False})],
)  # fmt: skip
def test_arrays_of_the_same_sizes_and_another_meaning_are_refused(model, change, monkeypatch, tmp_path):
    info = registry.ModelInfo(classes=("x", "y"), bands=("V",), static=("a", "b"), spectrum_size=40)
    small = {
        "informer": {"length": 8, "d_model": 8, "num_heads": 2, "dff": 8, "layers": 1, "use_scale": False,
                     "photo_cols": ["a", "b"], "photo_transform": False},
        "galspecnet": {"channels": [4, 4], "pool": 3, "use_err": True, "use_scale": False},
    }[model]  # fmt: skip
    source = registry.create(model, info, **small)
    monkeypatch.setattr(warm_start.bundles, "load", lambda path: SimpleNamespace(members=None))
    monkeypatch.setattr(warm_start.bundles, "load_network", lambda path: source)
    part, other = {"informer": "photo", "galspecnet": "spectra"}[model], registry.create(model, info, **small | change)
    before = _weights(other)
    for run in (f"{part}={tmp_path}", str(tmp_path)):
        with pytest.raises(DataError, match=rf"the part '{part}' of .* has another .*{next(iter(change))[4:]}"):
            warm_start.initialise(other, [run], None)
    for path, value in _weights(other).items():
        np.testing.assert_array_equal(value, before[path])
    (line,) = warm_start.initialise(source, [f"{part}={tmp_path}"], None)
    assert "not loaded" not in line
