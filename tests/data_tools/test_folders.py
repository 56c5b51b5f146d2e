"""Folders as people have them: links, lists of old names, paths that are not there, two commands at once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data_tools import snana, ztf
from data_tools.engine import piecewise, processes
from data_tools.formats.folders import files_below
from data_tools.snana import SnanaSource
from tests.data_tools.snana_writer import SnanaPair
from tfrecords.errors import DataError, UsageError
from tfrecords.reader import read_ledger


def test_links_to_folders_are_followed_once(tmp_path):
    SnanaPair().write(tmp_path / "store" / "class_a", "a")
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "class_a").symlink_to(tmp_path / "store" / "class_a")
    (folder / "again").symlink_to(folder)
    assert [path.relative_to(folder).as_posix() for path in files_below(folder)] == [
        "class_a/a_HEAD.FITS.gz",
        "class_a/a_PHOT.FITS.gz",
    ]
    assert len(SnanaSource([folder])) == 4


def test_a_link_that_leads_nowhere_is_in_the_ledger(tmp_path):
    SnanaPair().write(tmp_path / "set", "a")
    (tmp_path / "set" / "b_HEAD.FITS").symlink_to(tmp_path / "lost")
    snana.main([str(tmp_path / "set"), "--out", str(tmp_path / "out"), "--quiet"])
    ledger = {row["object_id"]: row["reason"] for row in read_ledger(tmp_path / "out")}
    assert len(ledger) == 5 and "no PHOT file" in ledger["b_HEAD.FITS"]


def test_a_list_may_name_what_was_unzipped(tmp_path):
    SnanaPair().write(tmp_path, "a", ".FITS")
    (tmp_path / "v.LIST").write_text("a_HEAD.FITS.gz\n")
    assert len(SnanaSource([tmp_path / "v.LIST"])) == 4


@pytest.mark.parametrize("main", [snana.main, ztf.main])
def test_a_path_that_is_not_there(tmp_path, main):
    SnanaPair().write(tmp_path / "set")
    with pytest.raises(DataError, match="typo: cannot be read: No such file or folder. Received: .*typo'"):
        main([str(tmp_path / "set"), str(tmp_path / "typo"), "--out", str(tmp_path / "out")])


def test_a_static_column_that_no_file_has(tmp_path):
    SnanaPair().write(tmp_path / "set")
    flags = [str(tmp_path / "set"), "--out", str(tmp_path / "out"), "--quiet", "--static-columns"]
    with pytest.raises(UsageError, match="no HEAD has this static column.*MWEBV.*Received: 'MWEBVE'"):
        snana.main([*flags, "MWEBV,MWEBVE"])
    # The older name DECL is DEC.
    snana.main([*flags, "MWEBV,DEC"])


def test_two_conversions_to_one_output(tmp_path):
    SnanaPair().write(tmp_path / "set")
    flags = [str(tmp_path / "set"), "--out", str(tmp_path / "out"), "--quiet"]
    folder = piecewise.parts_folder(tmp_path / "out")
    with piecewise.alone_in(folder), pytest.raises(UsageError, match="another conversion is making this output"):
        snana.main(flags)
    snana.main(flags)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "set"]


def test_an_output_in_the_input_goes_on(tmp_path, monkeypatch):
    SnanaPair().write(tmp_path, "a")
    SnanaPair(seed=1).write(tmp_path, "b")
    call = piecewise.Converter.__call__

    def killed(self, work):
        if work.part == "000001":
            raise KeyboardInterrupt
        return call(self, work)

    monkeypatch.setattr(piecewise.Converter, "__call__", killed)
    flags = [str(tmp_path), "--out", str(tmp_path / "out"), "--quiet"]
    with pytest.raises(KeyboardInterrupt):
        snana.main(flags)
    made, writer = [], piecewise.PartWriter
    monkeypatch.setattr(piecewise, "PartWriter", lambda *args: made.append(args) or writer(*args))
    monkeypatch.setattr(piecewise.Converter, "__call__", call)
    snana.main(flags)
    assert len(made) == 1


class _Pool:
    """Notes which signals are held back while it starts a process."""

    def submit(self, *_):
        return signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_process_starts_deaf_to_interrupts():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert signal.SIGINT in processes._submit(_Pool(), None)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


_WAITING = """
import sys, time
from data_tools.engine import processes
def say(): return nap
def nap(seconds):
    import os
    open(os.path.join(sys.argv[1], str(os.getpid())), "w").close()
    time.sleep(seconds)
if __name__ == "__main__":
    list(processes.in_order(say, (), [60, 60], 2, "a nap"))
"""


def test_processes_end_with_a_command_that_is_killed(tmp_path):
    script, notes = tmp_path / "waiting.py", tmp_path / "notes"
    script.write_text(_WAITING)
    notes.mkdir()
    waiting = subprocess.Popen([sys.executable, str(script), str(notes)])
    assert _within(20, lambda: len(list(notes.iterdir())) == 2)
    waiting.kill()
    waiting.wait()
    assert _within(10, lambda: not any(Path(f"/proc/{each.name}/fd/0").exists() for each in notes.iterdir()))


def _within(seconds, condition):
    end = time.monotonic() + seconds
    while not (done := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return done
