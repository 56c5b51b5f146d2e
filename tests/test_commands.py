"""Every command answers quickly, and tells in one line what was wrong with its arguments."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "keras",
    "tensorflow",
    "torch",
    "jax",
    "sklearn",
    "pandas",
    "scipy",
    "matplotlib",
    "astropy",
    "pyarrow",
)

# Runs a command as `python -m` does and tells on its last line which heavy packages that imported.
PROBE = """
import runpy, sys
name = sys.argv[1]
del sys.argv[0]
try:
    runpy.run_module(name, run_name="__main__", alter_sys=True)
except SystemExit as end:
    code = end.code or 0
print("\\n" + " ".join([str(code), *sorted({each.split(".")[0] for each in sys.modules} & set(HEAVY))]))
""".replace("HEAVY", repr(HEAVY))


def _commands() -> list[str]:
    """Give every module that can be started with ``python -m``."""
    found = []
    for package in ("tfrecords", "data_tools", "hparams", "zoo"):
        root = Path(next(iter(importlib.util.find_spec(package).submodule_search_locations)))
        for path in sorted(root.rglob("*.py")):
            if '\nif __name__ == "__main__":' in path.read_text("utf-8"):
                found.append(".".join([package, *path.relative_to(root).with_suffix("").parts]))
    return found


COMMANDS = _commands()


def _run(arguments, folder: Path) -> subprocess.CompletedProcess:
    environment = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    # From another folder than the checkout, so that only what is installed can be found.
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def _probe(folder, command, *arguments):
    """Run a command; give its output, exit code and the heavy packages it imported."""
    done = _run(["-c", PROBE, command, *arguments], folder)
    assert done.returncode == 0, done.stderr
    output, _, verdict = done.stdout.rstrip("\n").rpartition("\n")
    code, *heavy = verdict.split()
    return output, int(code), heavy, done.stderr


def test_the_commands_are_found():
    assert set(COMMANDS) >= {
        "data_tools.asas",
        "data_tools.lamost",
        "data_tools.partition",
        "data_tools.periods",
        "data_tools.plasticc",
        "data_tools.psm",
        "data_tools.spectra",
        "data_tools.stamps_synth",
        "data_tools.elasticc_alerts",
        "data_tools.ztf",
        "tfrecords.check",
        "tfrecords.export",
        "tfrecords.merge",
        "tfrecords.repair",
        "tfrecords.show",
        "zoo.convert",
        "zoo.evaluate",
        "zoo.export",
        "zoo.fit",
        "zoo.list",
        "zoo.parity",
        "zoo.predict",
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_how_to_use_it_and_imports_nothing_heavy(command, tmp_path):
    output, code, heavy, errors = _probe(tmp_path, command, "--help")
    assert (code, heavy, errors) == (0, [], "")
    assert output.startswith(f"usage: python -m {command}")
    assert "--debug" in output
    assert "--quiet" in output


def test_help_of_a_model_lists_its_options_with_defaults(tmp_path):
    output, code, heavy, errors = _probe(tmp_path, "zoo.fit", "--model", "atat", "--help")
    assert (code, heavy, errors) == (0, [], "")
    for flag in ("--batch-size", "--harmonics", "--truncate-days", "--label-map"):
        assert flag in output
    assert "default: 64" in output


def test_list_imports_nothing_heavy(tmp_path):
    output, code, heavy, errors = _probe(tmp_path, "zoo.list", "--json", "atat*")
    assert (code, heavy, errors) == (0, [], "")
    [row] = [row for row in json.loads(output) if row["name"] == "atat"]
    assert row["task"] == "classify"
    assert {"lc_mtime", "plasticc_sample"} <= set(row["presets"])


def test_printing_the_configuration_imports_nothing_heavy(tmp_path):
    import yaml

    arguments = ("--model", "atat", "--preset", "LC + MTA", "--epochs", "3", "--print-config")
    output, code, heavy, errors = _probe(tmp_path, "zoo.fit", *arguments)
    assert (code, heavy, errors) == (0, [], "")
    settled = yaml.safe_load(output)
    assert (settled["preset"], settled["run"]["epochs"]) == ("lc_mtime", 3)
    assert settled["inputs"]["truncate"] == "choice"


def test_importing_the_zoo_imports_nothing_heavy(tmp_path):
    loaded = "{each.split('.')[0] for each in sys.modules}"
    code = f"import sys, zoo; zoo.list_models(); print({loaded} & set({HEAVY}))"
    done = _run(["-c", code], tmp_path)
    assert (done.stdout, done.stderr) == ("set()\n", "")


ATAT = ["--model", "atat"]
USAGE = {
    "no model": ("zoo.fit", [], ["--model", "zoo.list"]),
    "unknown model": ("zoo.fit", ["--model", "atta"], ["Closest: atat", "zoo.list", "'atta'"]),
    "unknown preset": ("zoo.fit", [*ATAT, "--preset", "lc_mtimes"], ["lc_mtime", "'lc_mtimes'"]),
    "unknown key": ("zoo.fit", [*ATAT, "--harmonic", "3"], ["harmonics", "--help", "'harmonic'"]),
    "wrong type": ("zoo.fit", [*ATAT, "--epochs", "many"], ["epochs", "many"]),
    "wrong choice": ("zoo.fit", [*ATAT, "--schedule", "cosinus"], ["schedule", "cosine", "cosinus"]),
    "out of range": ("zoo.fit", [*ATAT, "--dropout", "1.5"], ["dropout", "[0, 1)", "1.5"]),
    "unknown optimizer": ("zoo.fit", [*ATAT, "--optimizer", "adamm"], ["adam", "adamm"]),
    "no such config": ("zoo.fit", [*ATAT, "--config", "none.yaml"], ["none.yaml"]),
    "no such data": ("zoo.fit", [*ATAT, "--data", "nowhere"], ["--data", "nowhere"]),
    "bad folds": ("zoo.fit", [*ATAT, "--folds", "7"], ["--folds", "'7'"]),
    "predict: table": ("zoo.predict", ["RUN", "--data", "x", "--out", "x.txt"], [".parquet", "x.txt"]),
    "predict: day": ("zoo.predict", ["RUN", "--data", "x", "--out", "x.csv", "--day", "-1"], ["--day", "-1"]),
    "embed: day": ("zoo.embed", ["RUN", "--data", "x", "--out", "o", "--day", "0"], ["--day", "0.0"]),
    "embed: plot": ("zoo.embed", ["RUN", "--data", "x", "--out", "o", "--plot", "lda"], ["pca, umap, tsne", "'lda'"]),
    "embed: umap": ("zoo.embed", ["RUN", "--data", "x", "--out", "o", "--min-dist", "2"], ["--min-dist", "2"]),
    "no taxonomy": ("zoo.fit", [*ATAT, "--loss", "hierarchical"], ["go together", "zoo.taxonomy"]),
    "taxonomy: name": ("zoo.taxonomy", ["elastic"], ["elasticc", "'elastic'"]),
    "taxonomy: table": ("zoo.taxonomy", ["elasticc", "--table", "x.csv"], ["go together", "'x.csv'"]),
    "taxonomy: no name": ("zoo.taxonomy", ["--out", "x.png"], ["NAME", "elasticc"]),
    "taxonomy: drawing": ("zoo.taxonomy", ["elasticc", "--out", "x.pdf"], [".png", "x.pdf"]),
    "evaluate: days": ("zoo.evaluate", ["RUN", "--days", "1,soon"], ["--days", "'1,soon'"]),
    "evaluate: shares": ("zoo.evaluate", ["RUN", "--fractions", "0.5,2"], ["--fractions", "2.0"]),
    "merge: one": ("tfrecords.merge", ["x", "--out", "o"], ["at least two", "1"]),
    "repair: info": ("tfrecords.repair", ["x", "--out", "o", "--info", "none.json"], ["--info", "none.json"]),
    "periods: range": ("data_tools.periods", ["x", "--out", "o", "--min-period", "0"], ["--min-period", "Received: 0"]),
    "partition: nothing": ("data_tools.partition", ["x"], ["--out", "--report"]),
    "parity: folder": ("zoo.parity", ["nowhere"], ["nowhere"]),
    "convert: config": (
        "zoo.convert",
        ["w.npz", "--config", "none.json", *ATAT, "--out", "r"],
        ["none.json"],
    ),
    "ztf: group": ("data_tools.ztf", ["a.avro", "--out", "o", "--group", "night"], ["--group", "object", "'night'"]),
    "elasticc alerts: column": (
        "data_tools.elasticc_alerts",
        ["a.parquet", "--out", "o", "--static-columns", "SIM_PEAKMJD"],
        ["MWEBV", "SIM_PEAKMJD"],
    ),
    "table: mapping": ("data_tools.table", ["x.csv", "--out", "o"], ["--mapping", "sesar2010", "none"]),
    "table: grid": ("data_tools.table", ["x.csv", "--out", "o", "--step", "3"], ["--grid", "step"]),
    "stamps: mapping": ("data_tools.stamps", ["x", "--out", "o"], [".yaml", "none"]),
    "stamps_synth: size": ("data_tools.stamps_synth", ["--out", "o", "--size", "64"], ["--size", "odd", "64"]),
    "fetch: name": ("data_tools.fetch", ["elastic"], ["--list", "elasticc", "'elastic'"]),
    "records: truth": (
        "data_tools.plasticc",
        ["m.csv", "l.csv", "--out", "o", "--static-columns", "true_z"],
        ["true_z", "truth"],
    ),
}


@pytest.mark.parametrize("case", USAGE)
def test_wrong_usage_ends_with_one_line_and_code_2(case, tmp_path):
    command, arguments, words = USAGE[case]
    done = _run(["-m", command, *arguments], tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert "Traceback" not in line
    for word in words:
        assert word in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_flag_ends_without_a_traceback_and_code_2(command, tmp_path):
    done = _run(["-m", command, "--no-such-flag", "1"], tmp_path)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "error: " in done.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_traceback(tmp_path):
    done = _run(["-m", "zoo.fit", "--model", "atta", "--debug"], tmp_path)
    assert done.returncode != 0
    assert "Traceback" in done.stderr
    assert "UsageError" in done.stderr
