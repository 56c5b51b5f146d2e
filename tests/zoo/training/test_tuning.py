"""Searches: resumed, written as a preset, and shared by workers of which one dies."""

from __future__ import annotations

import csv
import dataclasses
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

import hparams as preset_files
from tfrecords.errors import DataError, UsageError
from zoo import registry
from zoo.training import resolve, tuning

# KerasTuner 1.4.8 asks for the current thread by names that Python has deprecated.
pytestmark = [
    pytest.mark.filterwarnings("ignore:currentThread:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:getName:DeprecationWarning"),
]

SMALL = {"max_per_class": 4, "quantiles": 8, "epochs": 1}


def rows(path):
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_every_searched_parameter_is_an_option_of_a_run():
    searched = set(tuning.space("atat").values)
    options = {key for section in resolve.resolve("atat").sections().values() for key in section}
    assert {"head_dim", "layers", "learning_rate"} <= searched <= options


FAMILIES = sorted({entry.family for entry in registry.entries().values()})


def _all_values(family):
    """Give every value of a search space, each width with each number of heads, beside the first of all others."""
    table = preset_files.family(family)["search"]
    ends = {name: rule["values"] if rule["type"] == "choice" else [rule["min"], rule["max"]]
            for name, rule in table.items()}  # fmt: skip
    plain = {name: values[0] for name, values in ends.items()}
    for name, values in ends.items():
        others = ends.get("num_heads", ()) if name == "d_model" else ()
        for value in values:
            yield plain | {name: value}
            yield from (plain | {name: value, "num_heads": other} for other in others)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_value_of_every_search_space_is_a_configuration(family):
    for entry in registry.entries().values():
        if entry.family != family:
            continue
        settled, table = resolve.resolve(entry.name), preset_files.family(family)["search"]
        sections = settled.sections()
        assert set(table) <= {key for section in sections.values() for key in section}
        for values in _all_values(family):
            for section, fields in sections.items():
                own = {key: value for key, value in values.items() if key in fields}
                found = dataclasses.asdict(dataclasses.replace(getattr(settled, section), **own))
                assert {key: found[key] for key in own} == own


@pytest.mark.parametrize("tuner", ["random", "hyperband", pytest.param("bayesian", marks=pytest.mark.slow)])
def test_no_width_is_drawn_that_the_heads_do_not_divide(tmp_path, tuner):
    import keras_tuner

    settled = resolve.resolve("t2")
    flat = {key: value for section in settled.sections().values() for key, value in section.items()}
    hyperparameters = keras_tuner.HyperParameters()
    hyperparameters.Choice("d_model", [6, 8, 12])
    hyperparameters.Choice("num_heads", [3, 4])
    hyperparameters.Float("learning_rate", 1e-3, 1e-2)
    oracle = tuning._oracle(
        tuner, 60, 9, 0, hyperparameters, "max", lambda values: tuning.fits("t2", flat, values)
    )  # fmt: skip
    oracle._set_project_dir(str(tmp_path), "search")
    drawn = set()
    for _ in range(12):
        # From the tenth on the Bayesian search asks its model, which likes what is forbidden.
        trial = oracle.create_trial("tuner")
        values = trial.hyperparameters.values
        drawn.add((values["d_model"], values["num_heads"]))
        oracle.update_trial(trial.trial_id, {"objective": -abs(values["d_model"] - 8) - abs(values["num_heads"] - 3)})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    assert drawn <= {(6, 3), (8, 4), (12, 3), (12, 4)} and len(drawn) > 2


def test_unknown_tuner_names_the_valid_ones(tmp_path):
    with pytest.raises(UsageError, match="bayesian"):
        tuning.tune("atat", tuner="random_search", directory=tmp_path, **SMALL)


def test_failed_trials_end_in_one_message(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        tuning.tune("atat", trials=1, directory=tmp_path, quiet=True, data=str(tmp_path / "nowhere"), **SMALL)


@pytest.mark.slow
def test_search_goes_on_where_it_stopped_and_its_best_is_a_preset(tmp_path):
    common = {"directory": tmp_path, "name": "search", "quiet": True, **SMALL}
    tuning.tune("atat", trials=1, **common)
    best = tuning.tune("atat", trials=2, **common)
    table = rows(tmp_path / "search" / "trials.csv")
    assert [row["trial"] for row in table] == ["0", "1"]
    winner = max(table, key=lambda row: float(row["score"]))
    settled = resolve.resolve("atat", str(best))
    assert dataclasses.asdict(settled.hparams)["head_dim"] == int(winner["head_dim"])
    assert settled.run.batch_size == int(winner["batch_size"])


@pytest.mark.slow
def test_hyperband_goes_on_with_the_trials_it_promotes(tmp_path):
    common = {"directory": tmp_path, "name": "bands", "quiet": True, "tuner": "hyperband"}
    best = tuning.tune("atat", **common, **(SMALL | {"epochs": 3}))
    table = rows(tmp_path / "bands" / "trials.csv")
    runs = tmp_path / "bands" / "runs" / "atat"
    epochs = {row["trial"]: [line["epoch"] for line in rows(runs / f"trial-{row['trial']}" / "metrics.csv")]
              for row in table}  # fmt: skip
    assert {len(done) for done in epochs.values()} == {1, 3}
    begins = {name: (runs / f"trial-{name}" / "metrics.csv").read_text().splitlines()[1] for name in epochs}
    short = {begins[name] for name, done in epochs.items() if len(done) == 1}
    went_on = [name for name, done in epochs.items() if len(done) == 3 and begins[name] in short]
    assert went_on, "no promoted trial begins with the epoch of the one it comes from"
    assert resolve.resolve("atat", str(best)).run.epochs == 3


@pytest.mark.slow
def test_bayesian_search_ends_with_a_best(tmp_path):
    best = tuning.tune("atat", tuner="bayesian", trials=4, directory=tmp_path, name="bayes", quiet=True, **SMALL)
    table = rows(tmp_path / "bayes" / "trials.csv")
    assert [row["status"] for row in table] == ["COMPLETED"] * 4
    assert len({row["learning_rate"] for row in table}) == 4
    winner = max(table, key=lambda row: float(row["score"]))
    assert resolve.resolve("atat", str(best)).run.learning_rate == pytest.approx(float(winner["learning_rate"]))


@pytest.mark.slow
def test_a_dead_worker_stops_neither_the_other_nor_the_chief(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "zoo.tune", "--model", "atat", "--directory", str(tmp_path)]
    command += ["--search-name", "shared", "--trials", "3", "--chief-limit", "120"]
    command += ["--max-per-class", "4", "--quantiles", "8", "--epochs", "1"]

    def start(role):
        place = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(port)}
        environment = os.environ | place | {"KERASTUNER_TUNER_ID": role}
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    chief = start("chief")
    time.sleep(5)
    workers = [start("tuner0"), start("tuner1")]
    runs = tmp_path / "shared" / "runs" / "atat"
    deadline = time.monotonic() + 90
    # Both have begun a trial once two run directories are there.
    while len(list(runs.glob("trial-*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.2)
    workers[1].send_signal(signal.SIGKILL)
    try:
        assert workers[0].wait(200) == 0
        # The dead worker's trial never ends, so it is the limit that ends the chief.
        assert chief.wait(200) == 1
    finally:
        for process in (chief, *workers):
            process.kill()
    finished = [row["trial"] for row in rows(tmp_path / "shared" / "trials.csv") if row["status"] == "COMPLETED"]
    assert len(finished) == 2
    assert (tmp_path / "shared" / "best.yaml").is_file()
