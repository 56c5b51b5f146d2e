"""Ensembles: their answer, what is in their run, going on with one, folds of their own."""

from __future__ import annotations

import numpy as np
import pytest

from tfrecords.errors import UsageError
from tfrecords.reader import RecordDirectory
from zoo.training import loop
from zoo.training.loop import fit
from zoo.training.run import load_run

MEMBERS = 2


@pytest.fixture(scope="module")
def small(options):
    """Options of members that train one epoch."""
    return options | {"epochs": 1, "members": MEMBERS, "calibrate": "none", "warmup_epochs": 0.0}


@pytest.fixture(scope="module")
def ensemble(small):
    """A finished ensemble."""
    return fit("atat", name="ensemble", quiet=True, **small)


def _numbers(table):
    return table.filter(like="p_").to_numpy("float64")


def test_it_answers_with_the_mean_log_probability(ensemble, records):
    members = [load_run(ensemble.path / "members" / str(number)) for number in range(MEMBERS)]
    each = [np.log(_numbers(member.predict(records))) for member in members]
    assert np.abs(each[0] - each[1]).max() > 1e-3
    expected = np.exp(np.mean(each, axis=0))
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(_numbers(load_run(ensemble.path).predict(records)), expected, atol=1e-6)


@pytest.mark.slow
def test_it_represents_as_its_members_side_by_side(ensemble, records):
    def vectors(run):
        return run.embed(records).filter(regex=r"^e_\d+$").to_numpy()

    each = [vectors(load_run(ensemble.path / "members" / str(number))) for number in range(MEMBERS)]
    np.testing.assert_allclose(vectors(load_run(ensemble.path)), np.concatenate(each, axis=1), rtol=0, atol=1e-6)


@pytest.mark.slow
def test_a_member_is_the_run_of_its_seed(ensemble, small):
    alone = fit("atat", name="alone", quiet=True, **(small | {"members": 1, "seed": small["seed"] + 1}))
    member = load_run(ensemble.path / "members" / "1")
    for mine, other in zip(member.network.get_weights(), alone.network.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.slow
def test_it_goes_on_where_it_was_killed(small, ensemble, monkeypatch):
    run = loop.run

    def die(settled, path=None, quiet=False, parent=None):
        if settled.run.name == "1":
            raise KeyboardInterrupt
        return run(settled, path, quiet, parent)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "run", die)
        with pytest.raises(KeyboardInterrupt):
            fit("atat", name="killed", quiet=True, **small)
    path = ensemble.path.parent / "killed"
    first = (path / "members" / "0" / "metrics.csv").read_bytes()
    again = fit("atat", resume=path, quiet=True)
    assert (path / "members" / "0" / "metrics.csv").read_bytes() == first
    for mine, other in zip(again.network.get_weights(), ensemble.network.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.slow
def test_members_with_folds_of_their_own_and_all_that_a_run_has(small, records):
    run = fit("atat", name="folds", quiet=True,
              **(small | {"member_folds": True, "evaluate": True, "export": True, "quantiles": 4}))  # fmt: skip
    held = []
    for number in range(MEMBERS):
        member = load_run(run.path / "members" / str(number))
        assert member.run_config.fold == number
        held.append(set(RecordDirectory(records).split_indices("validation", number)))
    assert not held[0] & held[1]
    assert (run.path / "report" / "index.md").is_file() and (run.path / "saved_model" / "saved_model.pb").is_file()


def test_a_warm_start_needs_one_network(ensemble, small):
    with pytest.raises(UsageError, match="members"):
        fit("atat", quiet=True, **(small | {"members": 1, "init_from": [str(ensemble.path)]}))
