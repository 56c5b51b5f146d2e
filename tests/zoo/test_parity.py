"""Golden cases: every one at hand passes, and a broken or a wrong one does not."""

from __future__ import annotations

import importlib
import json
import shutil

import numpy as np
import pytest

from tfrecords.errors import UsageError
from zoo.golden import Comparison, compare
from zoo.parity import find_cases, parity


@pytest.fixture
def golden(shared):
    """The folder of ATAT's golden cases."""
    return shared("golden/atat")


@pytest.fixture
def copy(golden, tmp_path):
    """A copy of one case: folder, and functions to change its arrays or its configuration."""
    folder = tmp_path / "atat"
    folder.mkdir()
    for suffix in (".npz", ".config.json"):
        shutil.copy(golden / f"lc_a{suffix}", folder)

    def arrays(**changes):
        with np.load(folder / "lc_a.npz") as data:
            values = dict(data)
        for key, change in changes.items():
            key = key.replace("__", "/")
            if change is None:
                del values[key]
            else:
                values[key] = change(values[key])
        np.savez(folder / "lc_a.npz", **values)

    def config(**changes):
        path = folder / "lc_a.config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return folder, arrays, config


def test_every_case_passes(golden):
    rows = parity(golden)
    assert len(rows) == len(find_cases(golden)) >= 12
    bad = [(row["case"], row["problem"], row["outputs"]) for row in rows if not row["passed"]]
    assert not bad
    for row in rows:
        assert all(item["tolerance"] <= 1e-4 for item in row["outputs"])
    names = {item["output"] for row in rows for item in row["outputs"]}
    assert {"gradients", "adam_losses", "logprob_MLP", "logprob_MLPTab", "logprob_MLPMix", "mask_alert"} <= names


def _row(folder):
    (row,) = parity(folder)
    return row


def test_the_copy_passes_as_it_is(copy):
    assert _row(copy[0])["passed"]


def test_a_perturbed_weight_fails(copy):
    folder, arrays, _ = copy
    arrays(**{"w__transformer.layers.0.0.fn.mha_lc.v_proj.weight": lambda value: value + 0.01})
    row = _row(folder)
    assert not row["passed"] and not row["problem"]
    assert max(item["difference"] for item in row["outputs"]) > 1e-4


def test_a_perturbed_input_fails(copy):
    folder, arrays, _ = copy
    arrays(x__time=lambda value: value + 1.0)
    assert not _row(folder)["passed"]


def test_a_missing_weight_is_a_problem_and_no_crash(copy):
    folder, arrays, _ = copy
    arrays(**{"w__lc_classifier.norm.weight": None})
    row = _row(folder)
    assert not row["passed"] and "lc_classifier.norm.weight" in row["problem"]


def test_a_wrong_shape_is_a_problem(copy):
    folder, arrays, _ = copy
    arrays(**{"w__lc_classifier.output_layer.weight": lambda value: value[:, :-1]})
    assert "lc_classifier.output_layer.weight" in _row(folder)["problem"]


def test_a_missing_key_is_a_problem(copy):
    folder, _, _ = copy
    path = folder / "lc_a.config.json"
    values = json.loads(path.read_text())
    del values["num_heads"]
    path.write_text(json.dumps(values))
    assert "num_heads" in _row(folder)["problem"]
    path.write_text("{")
    assert "not valid JSON" in _row(folder)["problem"]


def test_damaged_and_pickled_files_are_problems(tmp_path):
    (tmp_path / "atat").mkdir()
    (tmp_path / "atat" / "broken.npz").write_bytes(b"PK\x03\x04 nothing")
    np.savez(tmp_path / "atat" / "pickled.npz", a=np.array([{}], object))
    rows = parity(tmp_path)
    assert [row["passed"] for row in rows] == [False, False]
    assert all("cannot be read as a golden case" in row["problem"] for row in rows)


def test_no_handler_is_a_failure(tmp_path):
    (tmp_path / "unknown").mkdir()
    np.savez(tmp_path / "unknown" / "case.npz", a=np.zeros(2))
    (row,) = parity(tmp_path)
    assert not row["passed"] and "no handler" in row["problem"] and row["case"] == "unknown/case"


def test_the_command_tells_by_line_and_exit_code(copy, capsys):
    folder, arrays, _ = copy
    # The package's attribute of this name is the function.
    main = importlib.import_module("zoo.parity").main
    assert main([str(folder)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("pass  atat/lc_a") and out.endswith("1 of 1 cases passed\n")
    arrays(**{"w__token": lambda value: value + 1})
    assert main([str(folder), "--json"]) == 1
    (row,) = json.loads(capsys.readouterr().out)
    assert row["case"] == "atat/lc_a" and row["passed"] is False


def test_an_empty_folder_is_wrong_usage(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(UsageError, match="Received"):
            parity(folder)


def test_comparisons():
    assert compare("x", [1, 2], [1, 2.5], 0.5).passed and not compare("x", [1, 2], [1, 2.6], 0.5).passed
    assert compare("x", [10.0], [11.0], 0.2, relative_to=10).passed
    assert not Comparison("x", float("nan"), 1.0).passed
    assert not compare("x", [np.nan], [1.0], 1.0).passed
    with pytest.raises(ValueError, match="shape"):
        compare("x", [1], [1, 2], 1)


def test_building_blocks_pass_and_name_what_is_not_carried(shared):
    rows = {row["case"]: row for row in parity(shared("golden/addons"))}
    assert {row["outcome"] for row in rows.values()} == {"passed"}, rows
    names = {item["output"] for row in rows.values() for item in row["outputs"]}
    wanted = ("rectified_adam/quadratic/trajectory", "ranger/logistic/loss", "lamb/quadratic/trajectory", "matthews_sw",
              "cyclical_triangular2", "triplet_hard_soft_m1.0_L2", "rotate_bilinear_reflect")  # fmt: skip
    assert set(wanted) <= names
    assert all(item["tolerance"] <= 1e-5 for row in rows.values() for item in row["outputs"])
    missing = {item["output"] for row in rows.values() for item in row["not_carried"]}
    assert "yogi/quadratic/loss" in missing and "lifted_struct" in missing and not missing & names
    for case, row in rows.items():
        with np.load(shared(f"golden/{case}.npz")) as data:
            outputs = {key[2:] for key in data.files if key.startswith("y/")}
        told = {item["output"] for item in (*row["outputs"], *row["not_carried"])}
        assert told == outputs, case


@pytest.fixture
def optimizers(shared, tmp_path):
    """A copy of the case of optimizers, and a function that changes its settings and arrays."""
    source, folder = shared("golden/addons"), tmp_path / "addons"
    folder.mkdir()
    config = json.loads((source / "optimizers.json").read_text())
    with np.load(source / "optimizers.npz") as data:
        arrays = dict(data)

    def write(configs=None, keep="", **more):
        kept = {key: value for key, value in arrays.items() if key[0] == "x" or keep in key}
        np.savez(folder / "optimizers.npz", **(kept | more))
        settings = config | {"configs": {**config["configs"], **(configs or {})}}
        (folder / "optimizers.json").write_text(json.dumps(settings))
        return _row(folder)

    return write, config["configs"], arrays


def test_settings_of_optimizers_are_read_from_the_case(optimizers):
    write, configs, _ = optimizers
    assert write(keep="lamb/")["outcome"] == "passed"
    for name, change in (("lamb", {"weight_decay": 0.02}), ("ranger", {"sync_period": 5}), ("adamw", {"lr": 0.11}),
                         ("lookahead_sgd", {"inner": "SGD(0.1,momentum=0.8)"}),
                         ("cyclical_triangular", {"step_size": 6})):  # fmt: skip
        assert write({name: configs[name] | change}, keep=f"y/{name}")["outcome"] == "failed", name
    row = write({"ranger": configs["ranger"] | {"inner": "Adan(0.1)"}}, keep="y/ranger")
    assert "Received: 'Adan(0.1)'" in row["problem"]


def test_where_nothing_is_carried_nothing_has_passed_or_failed(optimizers, capsys):
    write, _, arrays = optimizers
    row = write(keep="y/yogi")
    assert (row["outcome"], row["passed"], row["outputs"]) == ("not carried", False, [])
    main, folder = importlib.import_module("zoo.parity")._line, {**row}
    assert main(folder).startswith("none  addons/optimizers  not carried: yogi/")
    row = write(keep="y/yogi", **{"y/adanip/quadratic/loss": arrays["y/yogi/quadratic/loss"]})
    assert row["outcome"] == "failed" and "(unknown)" in row["outputs"][0]["output"]
