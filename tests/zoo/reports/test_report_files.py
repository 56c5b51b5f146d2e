"""Missing and broken run files are named with the command that makes them; files are written whole."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from tfrecords.errors import DataError
from zoo.reports import write
from zoo.reports.files import read_config, read_run


def test_a_whole_run_is_read(tmp_path, make):
    run = read_run(make.run(tmp_path / "atat" / "a", fold=2, class_weights={"KN": 2}, extra="let pass"))
    assert run.config.classes == make.classes and run.config.fold == 2
    assert run.config.group == "atat lc_md" and run.config.mark == ""
    assert len(run.predictions) == 240 and len(run.history) == 6 and len(run.light_curves) == 180
    lean = read_run(run.path, only_scores=True)
    assert lean.history is None and lean.composition is None and lean.light_curves is None


@pytest.mark.parametrize("name", ["report/report_config.json", "report/predictions_by_day.parquet"])
def test_a_missing_file_names_the_command_that_makes_it(tmp_path, make, name):
    run = make.run(tmp_path / "a")
    (run / name).unlink()
    with pytest.raises(DataError) as error:
        read_run(run)
    assert str(run / name) in str(error.value)
    assert f"python -m zoo.evaluate {run}" in str(error.value) and "Received: " in str(error.value)
    with pytest.raises(DataError, match="no such run directory"):
        read_run(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "name",
    [
        "report/report_config.json",
        "report/predictions_by_day.parquet",
        "report/light_curves.parquet",
        "metrics.csv",
        "class_composition.csv",
    ],
)
@pytest.mark.parametrize("cut", [0, 0.6])
def test_a_cut_file_is_refused_by_name(tmp_path, make, name, cut):
    run = make.run(tmp_path / "a")
    whole = (run / name).read_bytes()
    rest = whole[: int(len(whole) * cut)]
    (run / name).write_bytes(rest if cut == 0 or not name.endswith("csv") else rest + b'"open')
    with pytest.raises(DataError) as error:
        read_run(run)
    assert str(run / name) in str(error.value) and "python -m zoo." in str(error.value)


@pytest.mark.parametrize("name", ["metrics.csv", "class_composition.csv", "report/light_curves.parquet"])
def test_what_a_run_may_lack_is_none(tmp_path, make, name):
    run = make.run(tmp_path / "a")
    (run / name).unlink()
    files = read_run(run)
    assert [x is None for x in (files.history, files.composition, files.light_curves)].count(True) == 1


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("classes", []),
        ("classes", ["A", "A"]),
        ("classes", "A"),
        ("classes", [1, 2]),
        ("model", None),
        ("seed", "one"),
        ("fold", True),
        ("cautions", "one"),
        ("class_weights", {"Mira": 2.0}),
        ("class_weights", {"KN": 0}),
        ("class_weights", {"KN": math.nan}),
        ("flux_unit", 3),
    ],
)
def test_a_broken_key_of_the_configuration_is_named(tmp_path, make, key, value):
    run = make.run(tmp_path / "a")
    file = run / "report" / "report_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))
    with pytest.raises(DataError, match=f"'{key}' .*Received: "):
        read_config(run)


def test_a_missing_key_of_the_configuration_is_named(tmp_path, make):
    run = make.run(tmp_path / "a")
    file = run / "report" / "report_config.json"
    content = json.loads(file.read_text())
    del content["survey"]
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match="'survey' must be text.*Received: no such key"):
        read_config(run)
    file.write_text("[1]")
    with pytest.raises(DataError, match="one JSON object"):
        read_config(run)


def test_columns_of_tables_are_checked(tmp_path, make):
    run = make.run(tmp_path / "a")
    (run / "class_composition.csv").write_text("split,class,count\ntrain,NA,3\ntest,90,x\n")
    with pytest.raises(DataError, match="class_composition.csv.*'count' must hold numbers.*Received: 'x'"):
        read_run(run)
    (run / "class_composition.csv").write_text("split,class,count\ntrain,NA,3\ntest,90,4\n")
    assert read_run(run).composition["class"].tolist() == ["NA", "90"]
    (run / "metrics.csv").write_text("step,loss\n1,2\n")
    with pytest.raises(DataError, match=r"metrics.csv: misses the columns \['epoch'\].*zoo.fit"):
        read_run(run)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    target = write.write_text(tmp_path / "a.txt", "old")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write.write_text(target, "new")
    assert target.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_json_is_strict_and_tables_survive(tmp_path):
    content = {"a": math.nan, "b": math.inf, "c": np.float32(0.5), "d": [np.int64(3), pd.NA, None], "é": True}
    text = write.write_json(tmp_path / "a.json", content).read_text(encoding="utf-8")
    plain = json.loads(text, parse_constant=pytest.fail)
    assert plain == {"a": None, "b": "inf", "c": 0.5, "d": [3, None, None], "é": True}
    frame = pd.DataFrame({"day": [1.0, math.inf], "x": [0.1 + 0.2, math.nan]})
    pd.testing.assert_frame_equal(pd.read_csv(write.write_csv(tmp_path / "a.csv", frame)), frame)


def test_small_writers():
    assert write.number(0.12345, 0.0016) == "0.123 ± 0.002"
    assert write.number(math.nan) == write.number(None) == "–"
    assert write.markdown_table([("a|b", "1")], ("n", "v")).splitlines() == [
        "| n | v |", "| :-- | --: |", "| a\\|b | 1 |"]  # fmt: skip
    taken: set[str] = set()
    assert [write.slug(t, taken) for t in ("a/b", "a b", "../..", "A_B")] == ["a_b", "a_b_2", "x", "A_B_3"]


def test_importing_reports_loads_nothing_heavy_and_writing_them_no_tensorflow(tmp_path, make):
    run = make.run(tmp_path / "a", make.predictions(days=(math.inf,)))
    (run / "report" / "light_curves.parquet").unlink()
    code = (
        "import sys\n"
        "import zoo.reports.classify, zoo.reports.several, zoo.reports.scores, zoo.reports.plots.matrices\n"
        "heavy = {'pandas', 'sklearn', 'scipy', 'matplotlib', 'pyarrow'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        f"zoo.reports.classify.write_report({str(run)!r}, bootstrap=2)\n"
        "never = {'tensorflow', 'keras', 'matplotlib.pyplot'} & set(sys.modules)\n"
        "assert not never, never\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
