"""The examples of the README run as they stand there, and its commands and paths exist."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT

TEXT = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python( no-test| continued|)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def _scripts() -> list[str]:
    """Give the blocks of Python; one that is marked ``continued`` goes on after all that stand before it."""
    found: list[str] = []
    for mark, code in BLOCKS:
        if mark == "":
            found.append(code)
        elif mark == " continued":
            found.append("\n".join([*found, code]))
            del found[-2]
    return found


SCRIPTS = _scripts()


@pytest.mark.parametrize(
    "script", [pytest.param(code, marks=[pytest.mark.slow] if "zoo.fit(" in code else []) for code in SCRIPTS]
)
def test_an_example_runs(script, tmp_path):
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout
    if "zoo.fit(" in script:
        [run] = (tmp_path / "runs" / "atat").iterdir()
        assert (run / "report" / "index.md").is_file()
        assert (run / "saved_model" / "saved_model.pb").is_file()


def test_every_block_of_python_is_known():
    assert TEXT.count("```python") == len(BLOCKS) == 6
    assert len(SCRIPTS) == 3


def test_every_command_exists():
    named = set(re.findall(r"python -m ([\w.]+)", TEXT))
    assert {name for name in named if importlib.util.find_spec(name) is None} == set()
    assert {"zoo.fit", "zoo.evaluate", "zoo.predict", "zoo.export", "zoo.parity", "zoo.convert"} <= named


def test_no_path_of_this_machine():
    assert not re.search(r"(?<![\w./])/(home|root|tmp|work|opt|usr)\b", TEXT)
