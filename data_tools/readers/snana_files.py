"""SNANA's files: which belong together, and which rows of a PHOT table belong to which event.

Format: the SNANA manual (github.com/RickKessler/SNANA, doc/snana_manual.tex), section "FITS Format".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_tools.formats.fits_table import Table
from data_tools.formats.folders import files_below
from data_tools.formats.untrusted import read_start
from tfrecords.errors import DataError

SEPARATOR_MJD = -777.0
_HEAD = re.compile(r"^(?P<stem>.*)[_-]?HEAD(?P<suffix>\.FITS?)(?P<gz>\.GZ)?$", re.IGNORECASE)
_PHOT = re.compile(r"^(?P<stem>.*)[_-]?PHOT(?P<suffix>\.FITS?)(?P<gz>\.GZ)?$", re.IGNORECASE)
_TEXT = (".dat", ".txt", ".text", ".snana")
_TEXT_START = 64 << 10


@dataclass(frozen=True)
class Files:
    """A HEAD+PHOT pair, a text file, or a file that stands alone.

    Attributes
    ----------
    name : str
        Of the first file, with its folder below the path that was given.
    head, phot, text : pathlib.Path or None
    problem : str
        Why there is nothing to read.
    """

    name: str
    head: Path | None = None
    phot: Path | None = None
    text: Path | None = None
    problem: str = ""


def find_files(paths: Sequence[Path]) -> list[Files]:
    """Find the files of one or several versions.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        Folders (searched to any depth), ``.LIST`` files, HEAD files or text files.

    Returns
    -------
    list of Files
        Sorted by name. A HEAD without PHOT, a PHOT without HEAD and a listed file that is not there are among them,
        with the problem; what is no SNANA file is passed over.
    """
    found: dict[Path, Files] = {}
    for path in map(Path, paths):
        if path.is_dir():
            listed = files_below(path)
            base = path
        elif path.suffix.upper() == ".LIST":
            listed, base = _listed(path), path.parent
            for lost in [each for each in listed if not each.is_file()]:
                found[lost] = Files(lost.name, problem=f"{path.name} lists it, but there is no such file")
            listed = [each for each in listed if each.is_file()]
            listed += [partner for each in listed if (partner := _partner(each)) is not None]
        else:
            listed, base = [path], path.parent
            partner = _partner(path)
            listed += [partner] if partner is not None else []
        heads = {each for each in listed if _HEAD.match(each.name)}
        used = set()
        for head in heads:
            phot = _partner(head)
            name = _relative(head, base)
            used.add(phot)
            problem = "" if phot is not None else "there is no PHOT file beside it"
            found[head] = Files(name, head, phot, problem=problem)
        for each in listed:
            if _PHOT.match(each.name) and each not in used:
                found[each] = Files(_relative(each, base), problem="there is no HEAD file beside it")
            elif _suffix(each) in _TEXT and is_text(each):
                found[each] = Files(_relative(each, base), text=each)
        # A damaged text file is no longer one by its words, but by its neighbours.
        kinds = {(each.text.parent, _suffix(each.text)) for each in found.values() if each.text is not None}
        for each in listed:
            if each not in found and (each.parent, _suffix(each)) in kinds:
                problem = "no SNANA text, which has SNID and VARLIST, among such files"
                found[each] = Files(_relative(each, base), problem=problem)
    return sorted(found.values(), key=lambda files: files.name)


def _suffix(path: Path) -> str:
    """Give the suffix that a file has when it is not gzipped, in lower case."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _relative(path: Path, base: Path) -> str:
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.name


def _listed(path: Path) -> list[Path]:
    """Give the files that a LIST names, gzipped or not: it often names what they were before."""
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError as error:
        raise DataError(f"{path.name}: cannot be read: {error.strerror or error}") from error
    files = []
    for line in lines:
        # Names only: a list never leads out of its own folder.
        name = Path(line.split("#")[0].strip()).name
        if name:
            named = path.parent / name
            other = path.parent / (name[:-3] if name.lower().endswith(".gz") else f"{name}.gz")
            files.append(other if other.is_file() and not named.is_file() else named)
    return files


def _partner(path: Path) -> Path | None:
    """Find the PHOT file of a HEAD file (or the other way round), gzipped or not."""
    kind, other = (_HEAD, "PHOT") if _HEAD.match(path.name) else (_PHOT, "HEAD")
    match = kind.match(path.name)
    if match is None:
        return None
    word = "HEAD" if other == "PHOT" else "PHOT"
    start = path.name.upper().rindex(word)
    partner = other.lower() if path.name[start : start + 4].islower() else other
    name = path.name[:start] + partner + path.name[start + 4 :]
    plain = name[:-3] if name.lower().endswith(".gz") else name
    for each in (name, plain, f"{plain}.gz", f"{plain}.GZ"):
        if (path.parent / each).is_file():
            return path.parent / each
    return None


def is_text(path: Path) -> bool:
    """Say whether a file looks like an SNANA text file, gzipped or not; never raises."""
    try:
        start, _ = read_start(path, _TEXT_START)
    except OSError:
        return False
    return b"SNID:" in start and (b"VARLIST:" in start or b"NOBS:" in start)


def row_ranges(head: Table, phot_mjd: np.ndarray, ids: Sequence[str], where: str) -> tuple[np.ndarray, np.ndarray]:
    """Find the rows of each event: by its pointers, or by the separators where pointers are stale.

    Parameters
    ----------
    head : Table
        With NOBS, PTROBS_MIN and PTROBS_MAX (1-based, inclusive).
    phot_mjd : numpy.ndarray
        f8, of the PHOT table; separator rows hold -777.
    ids : sequence of str
    where : str
        The PHOT file, for messages.

    Returns
    -------
    (numpy.ndarray, numpy.ndarray)
        First row and one past the last row, 0-based, one an event.

    Raises
    ------
    DataError
        If neither pointers nor separators fit; the message names file and first event.
    """
    count = head.numbers("NOBS", "i8")
    first = head.numbers("PTROBS_MIN", "i8") - 1
    last = head.numbers("PTROBS_MAX", "i8")
    total = len(phot_mjd)
    separators = np.flatnonzero(phot_mjd == SEPARATOR_MJD)
    inside = (first >= 0) & (last <= total) & (last >= first) & (last - first == count)
    start, stop = np.where(inside, first, 0), np.where(inside, last, 0)
    clean = np.searchsorted(separators, start) == np.searchsorted(separators, stop)
    closed = (stop == total) | (np.append(phot_mjd, SEPARATOR_MJD)[stop] == SEPARATOR_MJD)
    order = np.argsort(start, kind="stable")
    apart = np.ones(len(start), bool)
    apart[order[1:]] = start[order[1:]] > stop[order[:-1]]
    good = inside & clean & closed & apart
    if good.all():
        return start, stop
    ends = separators if len(separators) and separators[-1] == total - 1 else np.append(separators, total)
    starts = np.append(0, ends[:-1] + 1)
    if len(ends) == len(count) and (ends - starts == count).all():
        return starts, ends
    event = int(np.argmin(good))
    raise DataError(
        f"{where}: rows {first[event] + 1} to {last[event]} of {total} are those of event {ids[event]!r} "
        f"({count[event]} observations), between separators. Received: pointers that do not fit "
        f"({int((~good).sum())} of {len(count)} events), and {len(ends)} segments between separators"
    )


def unclaimed_rows(start: np.ndarray, stop: np.ndarray, phot_mjd: np.ndarray) -> int:
    """Count the rows of a PHOT table that are neither an event's nor separators."""
    return len(phot_mjd) - int((stop - start).sum()) - int((phot_mjd == SEPARATOR_MJD).sum())
