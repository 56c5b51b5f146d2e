"""SNANA text files: one event each, ``KEY: value`` lines, a VARLIST that names the columns, and OBS rows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_tools.formats.compressed import read_file
from tfrecords.errors import DataError

_MAX_BYTES = 64 << 20
_KEY = re.compile(r"^([A-Za-z][^\s:]*):\s*(.*)$")
_TYPE = re.compile(r"SN Type\s*=\s*([A-Za-z0-9/+_-]+)")
_NAMES = {"HOST_GALAXY_PHOTO-Z": "HOSTGAL_PHOTOZ", "HOST_GALAXY_SPEC-Z": "HOSTGAL_SPECZ", "DECL": "DEC"}


@dataclass(frozen=True)
class TextEvent:
    """An event.

    Attributes
    ----------
    snid : str
    values : dict of str to float
        Numbers of the header by the names that HEAD tables have.
    keywords : dict of str to str
        All of the header.
    type_name : str
        Type in words, from the comment of a simulation; empty without one.
    columns : dict of str to list of str
        By the names of VARLIST.
    """

    snid: str
    values: dict[str, float]
    keywords: dict[str, str]
    type_name: str
    columns: dict[str, list[str]]

    def numbers(self, name: str, where: str) -> np.ndarray:
        """Give a column as float64. Raises DataError naming file, column and row."""
        try:
            return np.array([float(each) for each in self.columns[name]])
        except ValueError:
            for row, each in enumerate(self.columns[name]):
                try:
                    float(each)
                except ValueError as error:
                    raise DataError(f"{where}: OBS row {row + 1}: {name} is a number. Received: {each!r}") from error
            raise


def read_text(path: Path) -> TextEvent:
    """Read a text file, gzipped or not.

    Raises
    ------
    DataError
        If it is cut short, has no SNID or VARLIST, or a row has another number of values.
    """
    lines = read_file(path, _MAX_BYTES).decode("ascii", "replace").splitlines()
    keywords: dict[str, str] = {}
    values: dict[str, float] = {}
    names: list[str] = []
    rows: list[list[str]] = []
    type_name = ""
    for line in lines:
        match = _KEY.match(line.strip())
        if match is None:
            continue
        key, text = match[1], match[2].split("#")[0].strip()
        if key == "OBS":
            rows.append(text.split())
            if len(rows[-1]) != len(names):
                raise DataError(
                    f"{path.name}: OBS row {len(rows)} has a value for each of the {len(names)} names of VARLIST. "
                    f"Received: {len(rows[-1])} values"
                )
        elif key == "VARLIST":
            # Some writers name a column that has no values; the number of variables tells.
            names = text.split()[: int(values.get("NVAR", 0)) or None]
        elif key in ("END", "END_PHOTOMETRY"):
            break
        elif key == "SIM_COMMENT":
            found = _TYPE.search(text)
            type_name = found[1] if found else type_name
        else:
            keywords.setdefault(key, text)
            values |= _numbers(_NAMES.get(key, key), text, keywords.get("FILTERS", ""))
    snid = keywords.get("SNID", "").split()
    if not snid or not names:
        raise DataError(f"{path.name}: an SNANA text file has SNID and VARLIST. Received: keys {list(keywords)[:8]}")
    count = values.get("NOBS")
    if count is not None and count != len(rows):
        raise DataError(f"{path.name}: cut short: NOBS is {count:g}. Received: {len(rows)} OBS rows")
    columns = {name: [row[number] for row in rows] for number, name in enumerate(names)}
    if len(columns) != len(names):
        raise DataError(f"{path.name}: VARLIST names a column once. Received: {' '.join(names)}")
    return TextEvent(snid[0], values, keywords, type_name, columns)


def _numbers(name: str, text: str, filters: str) -> dict[str, float]:
    """Read ``z``, ``z +- err`` and one value a filter."""
    words = text.replace("+-", " +- ").split()
    numbers = []
    for word in words:
        try:
            numbers.append(float(word))
        except ValueError:
            if word != "+-":
                break
    if not numbers:
        return {}
    if len(words) > 2 and words[1] == "+-" and len(numbers) > 1:
        return {name: numbers[0], f"{name}_ERR": numbers[1]}
    if len(numbers) > 1 and len(numbers) == len(filters):
        return {f"{name}_{band}": value for band, value in zip(filters, numbers, strict=True)}
    return {name: numbers[0]}
