"""Cutouts (FITS or .npy files, or one array) and a table of ids, times and features: ``python -m data_tools.stamps``.

Rows of the table with one id become the sequence of stamps of one object, sorted by time.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from data_tools.engine.conversion import names_in, parser_of, run_conversion
from data_tools.formats.arrays import Place, load_rows, read_array_header, shape_of
from data_tools.formats.compressed import read_file
from data_tools.formats.fits_image import read_images
from data_tools.formats.streams import Opener, Unit, list_units
from data_tools.readers.stamps_mapping import StampMapping, load_stamp_mapping
from data_tools.readers.table_blocks import Columns, read_blocks
from data_tools.readers.table_listing import class_of, matching, parse_attribute
from data_tools.readers.table_mapping import key_of, mapping_files
from data_tools.sources import Outcome, Piece, PiecewiseSource
from tfrecords import command
from tfrecords.errors import DataError, UsageError
from tfrecords.info import Band
from tfrecords.schema import Record, Stamps

_MAX_OBJECTS, _MAX_ALERTS = 500, 1000
_MAX_FILE = 256 << 20


@dataclass
class Group:
    """The rows of one object.

    Attributes
    ----------
    id : str
    class_id : int
    times : list of float
        MJD.
    rows : list of int
        Of the table.
    files : list of list of str
        Names of the cutouts, a list for every row.
    values : list of tuple of float
        Columns of every alert.
    static : tuple of float
        Static columns, then targets.
    problem : str
    unnamed : bool
        A cutout that no row names, not an object.
    """

    id: str
    class_id: int = -1
    times: list[float] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    files: list[list[str]] = field(default_factory=list)
    values: list[tuple[float, ...]] = field(default_factory=list)
    static: tuple[float, ...] = ()
    problem: str = ""
    unnamed: bool = False


class StampSource(PiecewiseSource):
    """Cutouts with a table; a piece is up to 1,000 alerts.

    Parameters
    ----------
    paths : sequence of path
        A folder with the table, the cutouts and the mapping, or these files.
    static_columns : sequence of str, optional
        Of those that the mapping names; by default all.
    mapping : path, optional
        YAML file; by default the one among the paths.

    Raises
    ------
    UsageError
        If there is no mapping, an entry of it is wrong, or no file fits it.
    DataError
        If the table or the array cannot be read, or their rows do not belong together.
    """

    bands: tuple[Band, ...] = ()
    # Stamps have no flux scale of their own.
    zero_point = 0.0
    flux_unit = "none"

    def __init__(
        self,
        paths: Sequence[Path],
        static_columns: Sequence[str] | None = None,
        mapping: str | Path | None = None,
    ) -> None:
        paths = [Path(path) for path in paths]
        found = mapping_files(paths, "stamps")
        if mapping is None and len(found) != 1:
            names = ", ".join(path.name for path in found)
            raise UsageError(
                "a mapping says what the columns mean: one .yaml file among the files, or --mapping. "
                f"Received: {names or 'none'}"
            )
        self._mapping: StampMapping = load_stamp_mapping(Path(mapping) if mapping is not None else found[0])
        folders = [path.resolve() if path.is_dir() else path.resolve().parent for path in paths]
        self._roots = list(dict.fromkeys(folders))
        self._array = self._find_array()
        names = [each.name for each in self._mapping.static]
        chosen = names if static_columns is None else list(static_columns)
        if unknown := [each for each in chosen if each not in names]:
            raise UsageError(f"static columns of the mapping are {', '.join(names) or 'none'}. Received: {unknown}")
        self._static = [names.index(each) for each in chosen]
        self._groups = list(self._read_table(list_units(paths)).values())
        self._groups += self._unnamed_files({name for group in self._groups for row in group.files for name in row})
        self.survey = self._mapping.survey
        self.static_columns = tuple(self._mapping.static[each].static for each in self._static)
        self.targets = tuple(each.name for each in self._mapping.targets)
        self.stamp_channels = self._mapping.channels
        self.alert_columns = tuple(each.static for each in self._mapping.columns)
        present = {group.class_id for group in self._groups}
        classes = self._mapping.classes
        self.classes = tuple(each for each in (classes.classes if classes else ()) if each.id in present)
        self.options = {
            "mapping": hashlib.sha256(repr(self._mapping).encode()).hexdigest()[:12],
            "static_columns": chosen,
        }

    @classmethod
    def recognises(cls, paths: Sequence[Path]) -> bool:
        """Say whether there is one mapping of stamps among the files."""
        return len(mapping_files([Path(path) for path in paths], "stamps")) == 1

    def __len__(self) -> int:
        return len(self._groups)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_groups": []}

    def labels(self) -> tuple[list[str], np.ndarray]:
        """List the objects by their first row: ids and native classes."""
        return [each.id for each in self._groups], np.array([each.class_id for each in self._groups], np.int64)

    def pieces(self) -> Sequence[Piece]:
        """List the pieces: objects one after another."""
        pieces, start = [], 0
        while start < len(self._groups):
            stop, alerts = start, 0
            while stop < len(self._groups) and stop - start < _MAX_OBJECTS and (alerts < _MAX_ALERTS or stop == start):
                alerts += len(self._groups[stop].rows)
                stop += 1
            name = f"objects {start + 1} to {stop}"
            pieces.append(Piece(name, range(start, stop), self._groups[start:stop]))
            start = stop
        return pieces

    def read(self, piece: Piece, chosen: np.ndarray | None = None) -> Iterator[Outcome]:
        """Read the stamps of a piece, one outcome an object."""
        for number, group in enumerate(piece.details):
            row = piece.rows.start + number
            if chosen is not None and not chosen[number]:
                yield Outcome(group.id, None, "not selected", row)
                continue
            try:
                if group.problem:
                    raise DataError(group.problem)
                yield Outcome(group.id, self._record(group), "", row)
            except DataError as error:
                yield Outcome(group.id, None, str(error), row, quarantined=not group.unnamed)

    def _record(self, group: Group) -> Record:
        order = np.argsort(group.times, kind="stable").tolist()
        images = np.stack([self._image(group, each) for each in order])
        values = [group.values[each] for each in order]
        metadata = np.array(values, np.float64).reshape(len(order), len(self._mapping.columns))
        with np.errstate(over="ignore"):
            static = np.array([group.static[each] for each in self._static], np.float64).astype("<f4")
            stamps = Stamps(images, np.array(group.times)[order], metadata.astype("<f4"))
        first = len(self._mapping.static)
        targets = {name: group.static[first + number] for number, name in enumerate(self.targets)}
        return Record(group.id, self.survey, group.class_id, None, static, targets, stamps=stamps)

    def _image(self, group: Group, number: int) -> np.ndarray:
        """Give one alert's stamp, [height, width, channels]."""
        height, width = self._mapping.size
        if self._array is not None:
            row = group.rows[number]
            image = np.asarray(load_rows(self._array, row, row + 1)[0], np.float32)
            return self._fit(image if image.ndim == 3 else image[..., None], f"{self._array.path.name}, row {row}")
        channels = []
        for name in group.files[number]:
            path = self._path(name)
            if path is None:
                if not self._mapping.keep_missing:
                    raise DataError(f"{name}: no such file")
                count = 1 if len(group.files[number]) > 1 else len(self._mapping.channels)
                channels += [np.full((height, width), np.nan, np.float32)] * count
            else:
                channels += _read_channels(path, name)
        if len(channels) != len(self._mapping.channels):
            raise DataError(
                f"{group.files[number][0]}: the channels are {', '.join(self._mapping.channels)}. "
                f"Received: {len(channels)} images"
            )
        return np.concatenate([self._fit(each[..., None], group.files[number][0]) for each in channels], axis=2)

    def _fit(self, image: np.ndarray, where: str) -> np.ndarray:
        height, width = self._mapping.size
        if image.shape[:2] == (height, width):
            return image
        if not self._mapping.pad or image.shape[0] > height or image.shape[1] > width:
            raise DataError(f"{where}: a stamp has {height} x {width} pixels. Received: {list(image.shape[:2])}")
        padded = np.full((height, width, image.shape[2]), np.nan, np.float32)
        top, left = (height - image.shape[0]) // 2, (width - image.shape[1]) // 2
        padded[top : top + image.shape[0], left : left + image.shape[1]] = image
        return padded

    def _path(self, name: str) -> Path | None:
        """Find a cutout below the folders that were given; a name from the table leads nowhere else."""
        if "\0" in name or len(name) > 1000:
            raise DataError(f"{name[:60]!r} is no name of a file")
        for root in self._roots:
            path = root / name
            if path.is_file():
                if not path.resolve().is_relative_to(root):
                    raise DataError(f"{name}: a cutout lies in the folder that was given")
                return path
        return None

    def _unnamed_files(self, named: set[str]) -> list[Group]:
        """Give the cutouts that no row of the table names: a table that was cut short is seen by them."""
        patterns = [re.sub(r"\{[^}]*\}", "*", file) for file in self._mapping.files]
        found: dict[str, Group] = {}
        for root in self._roots:
            for path in sorted({path for pattern in patterns for path in root.glob(pattern)}):
                name = path.relative_to(root).as_posix()
                if name not in named and path.is_file():
                    found[name] = Group(name, problem=f"{name}: no row of the table names it", unnamed=True)
        return list(found.values())

    def _find_array(self) -> Place | None:
        mapping = self._mapping
        if not mapping.array:
            return None
        path = self._path(mapping.array)
        if path is None or path.suffix != ".npy":
            raise UsageError(f"key 'stamps.array' is an .npy file among the files. Received: {mapping.array!r}")
        shape = shape_of(Place(path))
        channels = len(mapping.channels)
        if len(shape) not in (3, 4) or (shape[3] if len(shape) == 4 else 1) != channels:
            raise DataError(f"{path.name}: the array is [alerts, height, width, {channels}]. Received: {list(shape)}")
        return Place(path)

    def _read_table(self, units: Sequence[Unit]) -> dict[str, Group]:
        mapping = self._mapping
        tables = matching([unit for unit in units if not unit.problem], mapping.tables)
        if not tables:
            names = ", ".join(unit.name for unit in units[:5])
            raise UsageError(f"key 'table.files': no file fits {' '.join(mapping.tables)}. Received: {names}")
        groups: dict[str, Group] = {}
        row = 0
        with Opener() as opener:
            for unit in tables:
                for block in read_blocks(opener, unit, mapping.layout, Columns((), mapping.texts, mapping.id)):
                    if block.cut and (self._array is not None or not block.cut[0][0]):
                        raise DataError(f"{unit.name}: {block.cut[0][1]}; rows cannot be told")
                    for text, problem in block.cut:
                        _group(groups, text).problem = f"{unit.name}: {problem}"
                    columns = {name: block.text(name) for name in mapping.texts}
                    for number in range(block.rows):
                        self._add(groups, row, {name: each[number] for name, each in columns.items()}, unit.name)
                        row += 1
        if not groups:
            raise DataError(f"{', '.join(unit.name for unit in tables)}: the table holds no row")
        if self._array is not None and (found := shape_of(self._array)[0]) != row:
            raise DataError(f"{self._array.path.name}: one stamp a row of the table, {row}. Received: {found}")
        return groups

    def _add(self, groups: dict[str, Group], row: int, texts: dict[str, str], where: str) -> None:
        mapping = self._mapping
        label = f"{where}, row {row + 1}"
        group = _group(groups, texts[mapping.id] or label)
        if not texts[mapping.id]:
            group.problem = f"{label}: column {mapping.id!r} has no gaps. Received: an empty id"
        try:
            class_id = class_of(mapping.classes, texts)
            static = tuple(parse_attribute(each, texts[each.column]) for each in (*mapping.static, *mapping.targets))
            if not group.rows:
                group.class_id, group.static = class_id, static
            elif class_id != group.class_id:
                raise ValueError(f"an object has one class. Received: {class_id} after {group.class_id}")
            group.times.append(_time(texts[mapping.time], mapping))
            group.rows.append(row)
            group.values.append(tuple(parse_attribute(each, texts[each.column]) for each in mapping.columns))
            group.files.append(mapping.names(texts))
        except ValueError as error:
            group.problem = group.problem or f"{label}: {error}"


def _group(groups: dict[str, Group], object_id: str | None) -> Group:
    return groups.setdefault(key_of(object_id), Group(key_of(object_id)))


def _time(text: str, mapping: StampMapping) -> float:
    try:
        time = float(text) + mapping.time_shift
    except ValueError:
        time = np.nan
    if not np.isfinite(time):
        raise ValueError(f"column {mapping.time!r} is a time. Received: {text[:40]!r}")
    return time


def _read_channels(path: Path, name: str) -> list[np.ndarray]:
    """Read the images of one file: HDUs, planes [C, H, W] of a FITS cube, or an array [H, W] or [H, W, C]."""
    content = read_file(path, _MAX_FILE)
    if content[:6] == b"\x93NUMPY":
        image = _load_array(content, name)
        if image.ndim not in (2, 3):
            raise DataError(f"{name}: a stamp is [height, width] or [height, width, channels]. Received: {image.shape}")
        return [image] if image.ndim == 2 else [image[..., each] for each in range(image.shape[2])]
    channels = []
    for image in read_images(content, name):
        if image.ndim not in (2, 3):
            raise DataError(f"{name}: an image has two or three axes. Received: {image.ndim}")
        channels += [image] if image.ndim == 2 else list(image)
    return channels


def _load_array(content: bytes, where: str) -> np.ndarray:
    """Parse an .npy file as f4. Raises DataError if it is damaged or holds no real numbers."""
    file = io.BytesIO(content)
    shape, dtype, fortran = read_array_header(file, len(content), where)
    if dtype.kind not in "fiub":
        raise DataError(f"{where}: a stamp holds numbers. Received: {dtype}")
    count = int(np.prod(shape, dtype=np.int64))
    if len(content) - file.tell() < count * dtype.itemsize:
        raise DataError(f"{where}: cut short: the array needs {count * dtype.itemsize} bytes")
    values = np.frombuffer(content, dtype, count, file.tell()).reshape(shape, order="F" if fortran else "C")
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments of the command."""
    parser = parser_of(
        "stamps",
        "Convert cutouts (FITS or .npy files, or one array) and a table of ids, times, labels and features to records.",
        "PATH",
        "a folder with table, cutouts and mapping, or these files",
    )
    parser.add_argument("--mapping", metavar="YAML", help="what the columns mean (the .yaml file among PATHs)")
    parser.add_argument("--static-columns", metavar="A,B", help="of those that the mapping names (all)")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    arguments = parse_arguments(argv)
    names = None if arguments.static_columns is None else names_in(arguments.static_columns)
    source = StampSource(arguments.files, names, arguments.mapping)
    run_conversion(source, arguments, "data_tools.stamps")


if __name__ == "__main__":
    command.run(main)
