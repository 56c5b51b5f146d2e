"""The tiny PLAsTiCC pair, as tables that a test may spoil before they are written."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import pytest

from data_tools import plasticc

TINY = Path(__file__).resolve().parent.parent / "fixtures" / "plasticc_tiny"


class Pair:
    """Metadata and light curves as lists of rows (text by column), and where they are written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.metadata = _read(TINY / "plasticc_tiny_metadata.csv.gz")
        self.rows = _read(TINY / "plasticc_tiny_lightcurves.csv.gz")
        self.out = folder / "records"

    @property
    def ids(self) -> list[str]:
        """Ids in the order of the metadata."""
        return [row["object_id"] for row in self.metadata]

    def rows_of(self, object_id: str) -> list[dict[str, str]]:
        """Rows of one object; changing them changes the table."""
        return [row for row in self.rows if row["object_id"] == object_id]

    def write(self) -> list[str]:
        """Write both tables and give their paths."""
        paths = []
        for name, table in (("meta.csv", self.metadata), ("curves.csv", self.rows)):
            with open(self.folder / name, "w", newline="") as file:
                writer = csv.DictWriter(file, list(table[0]), lineterminator="\n")
                writer.writeheader()
                writer.writerows(table)
            paths.append(str(self.folder / name))
        return paths

    def convert(self, *flags: str, paths: list[str] | None = None) -> Path:
        """Run the command and give the directory of records."""
        plasticc.main([*(paths or self.write()), "--out", str(self.out), "--quiet", *flags])
        return self.out


def _read(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def pair(tmp_path):
    """The tiny pair, to be spoiled and converted."""
    return Pair(tmp_path)


@pytest.fixture
def tiny():
    """The folder of the tiny pair."""
    return TINY
