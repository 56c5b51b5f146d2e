"""Conversion in pieces: the same bytes whoever makes them, going on after a kill, and limits on what is refused."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data_tools import snana
from data_tools.engine import distributed, piecewise
from tests.data_tools.snana_writer import SnanaPair
from tfrecords.errors import DataError, UsageError
from tfrecords.reader import RecordDirectory, read_ledger


@pytest.fixture(name="files")
def files_fixture(tmp_path):
    """Six pairs of four events; one event of each is bad, and the last pair repeats the ids of the first."""
    for number in range(6):
        pair = SnanaPair(events=4, seed=number)
        pair.snid = [f"{number % 5}{each}" for each in pair.snid]
        pair.types = [11, 11, 12, 12]
        pair.events[1][0] = (*pair.events[1][0][:3], -1.0, 0)
        pair.write(tmp_path / "files", f"set{number}")
    return tmp_path / "files"


def _convert(files: Path, out: Path, *flags: str) -> Path:
    snana.main([str(files), "--out", str(out), "--quiet", *flags])
    return out


def content(folder: Path) -> dict[str, bytes]:
    """Give the bytes of every file of a directory of records."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_every_object_is_in_the_ledger(files, tmp_path):
    ledger = list(read_ledger(_convert(files, tmp_path / "out")))
    assert len(ledger) == 24
    again = [row for row in ledger if "again: set5_HEAD.FITS.gz" in row["object_id"]]
    assert len(again) == 4 and all("stands in the input before" in row["reason"] for row in again)
    assert RecordDirectory(tmp_path / "out").info.ledger.written == 15


def test_processes_give_the_same_bytes(files, tmp_path):
    one = _convert(files, tmp_path / "one", "--shards", "3")
    two = _convert(files, tmp_path / "two", "--shards", "3", "--workers", "2")
    assert content(one) == content(two)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files", "one", "two"]


_KILLED = """
import os, signal, sys
from data_tools import snana
from data_tools.engine import distributed, piecewise
call = piecewise.Converter.__call__
def killed(self, work):
    if work.part == "{part}":
        os.kill(os.getpid(), signal.SIGKILL)
    return call(self, work)
piecewise.Converter.__call__ = killed
snana.main(sys.argv[1:])
"""


def test_a_killed_conversion_goes_on(files, tmp_path, monkeypatch, capsys):
    whole = _convert(files, tmp_path / "whole")
    out = tmp_path / "out"
    script = _KILLED.format(part="000003")
    done = subprocess.run([sys.executable, "-c", script, str(files), "--out", str(out), "--quiet"], check=False)
    assert done.returncode == -signal.SIGKILL and not out.exists()
    made = []
    read = piecewise.read_piece
    monkeypatch.setattr(piecewise, "read_piece", lambda *args: made.append(args[1].name) or read(*args))
    _convert(files, out)
    assert made == [f"set{number}_HEAD.FITS.gz" for number in (3, 4, 5)]
    assert "went on with 3 pieces" in capsys.readouterr().err
    assert content(out) == content(whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files", "out", "whole"]


def test_parts_of_another_input_are_not_taken(files, tmp_path):
    out = tmp_path / "out"
    script = _KILLED.format(part="000005")
    subprocess.run([sys.executable, "-c", script, str(files), "--out", str(out), "--quiet"], check=False)
    other = SnanaPair(events=4, seed=9)
    other.write(files, "set0")
    assert content(_convert(files, out)) == content(_convert(files, tmp_path / "fresh"))


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        (["--strict"], r"object '01001' is refused \(--strict\)"),
        (["--max-bad", "5"], r"at most 5 of 24 objects .* \(--max-bad\)"),
        (["--max-bad", "20%"], "at most 4.8 of 24 objects"),
    ],
)
def test_refused_objects_are_bounded(files, tmp_path, flag, message):
    with pytest.raises(DataError, match=message):
        _convert(files, tmp_path / "out", *flag)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files"]
    _convert(files, tmp_path / "out", "--max-bad", "40%")


def test_no_scheduler(files, tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(distributed, "_TIMEOUT", "1s")
    with pytest.raises(UsageError, match="no Dask scheduler answers at --scheduler tcp://127.0.0.1:9"):
        _convert(files, tmp_path / "out", "--scheduler", "tcp://127.0.0.1:9")


_SLOW = """
import os, time
from data_tools.engine import piecewise
call = piecewise.Converter.__call__
def slowly(self, work):
    time.sleep(0.5)
    return call(self, work)
piecewise.Converter.__call__ = slowly
"""


def test_dask_with_a_worker_that_dies(files, tmp_path):
    pytest.importorskip("distributed")
    whole = _convert(files, tmp_path / "whole")
    (tmp_path / "slow.py").write_text(_SLOW)
    places = [str(Path(piecewise.__file__).parent.parent), str(tmp_path)]
    quiet = {"DASK_LOGGING__DISTRIBUTED": "critical", "DASK_TEMPORARY_DIRECTORY": str(tmp_path / "scratch")}
    environment = os.environ | quiet | {"PYTHONPATH": os.pathsep.join(places)}
    place = tmp_path / "scheduler.json"
    start = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    processes = [
        subprocess.Popen(
            [*start, "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(place)],
            env=environment,
        )
    ]
    try:
        while not place.exists():
            time.sleep(0.1)
        for _ in range(2):
            flags = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--preload", "slow"]
            worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(place), *flags]
            processes.append(subprocess.Popen(worker, env=environment, start_new_session=True))
        address = json.loads(place.read_text())["address"]
        command = [sys.executable, "-m", "data_tools.snana", str(files), "--out", str(tmp_path / "out"), "--quiet"]
        conversion = subprocess.Popen([*command, "--scheduler", address], env=environment)
        while not list(tmp_path.glob(".out.parts/*.npz")):
            assert conversion.poll() is None
            time.sleep(0.05)
        os.killpg(processes[1].pid, signal.SIGKILL)
        assert conversion.wait(timeout=60) == 0
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert content(tmp_path / "out") == content(whole)


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path):
    """Twenty kills of all processes at random moments, each followed by the same command; then the same bytes."""
    files = tmp_path / "files"
    for number in range(40):
        pair = SnanaPair(events=60, seed=number)
        pair.snid = [f"{number:02d}{each}" for each in pair.snid]
        pair.types = [11, 12] * 30
        pair.write(files, f"set{number:02d}")
    started = time.perf_counter()
    command = [sys.executable, "-m", "data_tools.snana", str(files), "--workers", "2", "--quiet", "--out"]
    subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True)
    duration = time.perf_counter() - started
    out, moments = tmp_path / "out", random.Random(3)
    ended = 0
    for _ in range(20):
        process = subprocess.Popen(
            [*command, str(out), "--overwrite"],
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(timeout=moments.uniform(0.3, 1.0) * duration)
            ended += 1
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    print(f"{20 - ended} of 20 were killed before their end; a whole conversion takes {duration:.1f} s")
    assert ended < 15
    subprocess.run([*command, str(out), "--overwrite"], check=True, capture_output=True)
    assert content(out) == content(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files", "out", "whole"]
