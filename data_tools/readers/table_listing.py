"""Which objects are in a set of tables, where their rows stand, and what the object table says of them."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from data_tools.formats.streams import Opener, Unit
from data_tools.readers.table_blocks import Block, Columns, read_blocks
from data_tools.readers.table_mapping import Attribute, Classes, TableMapping, key_of
from data_tools.readers.table_rows import parse_value
from tfrecords.errors import DataError, UsageError

NO_ROWS, NOT_LISTED = "no observations", "not in the object table"


@dataclass
class Entry:
    """One object.

    Attributes
    ----------
    id : str
    class_id : int
    files : list of int
        Whose names give the id, if names do.
    first, last : (int, int)
        File and place in it, where its first row's block starts and its last one's ends, if a column gives the id.
    rows : int
        Roughly how many there are.
    values : tuple of float
        Static columns, then targets.
    problem, skipped : str
        Why it is refused, or has nothing to give.
    listed : bool
        Whether the object table has it.
    """

    id: str
    class_id: int = -1
    files: list[int] = field(default_factory=list)
    first: tuple[int, int] | None = None
    last: tuple[int, int] | None = None
    rows: int = 0
    values: tuple[float, ...] = ()
    problem: str = ""
    skipped: str = ""
    listed: bool = False


def matching(units: Sequence[Unit], patterns: Sequence[str]) -> list[Unit]:
    """Give the units whose name, or last part of it, fits one of some patterns."""
    return [
        unit
        for unit in units
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns for name in (unit.name, unit.base))
    ]


class Listing:
    """The objects of a set of tables, by first appearance; then files that cannot be read; then objects without rows.

    Parameters
    ----------
    mapping : TableMapping
    units : sequence of Unit
        Every file that was given.

    Raises
    ------
    UsageError
        If no file fits the mapping's patterns.
    DataError
        If the object table cannot be read, or no file but damaged archives.
    """

    def __init__(self, mapping: TableMapping, units: Sequence[Unit]) -> None:
        self.mapping = mapping
        broken = [unit for unit in units if unit.problem and unit.offset < 0]
        readable = [unit for unit in units if unit not in broken]
        tables = matching(readable, mapping.object_files)
        self.units = [unit for unit in matching(readable, mapping.files) if unit not in set(tables)]
        for key, files, needed in (
            ("light_curves.files", self.units, mapping.files),
            ("objects.files", tables, mapping.object_files),
        ):
            if needed and not files:
                if broken:
                    raise DataError(f"{broken[0].name}: {broken[0].problem}; no other file fits {' '.join(needed)}")
                names = ", ".join(unit.name for unit in units[:5])
                raise UsageError(f"key {key!r}: no file fits {' '.join(needed)}. Received: {names or 'no file'}")
        self.entries: dict[str, Entry] = {}
        self._attributes = (*mapping.static, *mapping.targets)
        listed = self._read_objects(tables) if mapping.own_objects else {}
        with Opener() as opener:
            for number in range(len(self.units)):
                self._scan(opener, number)
        if mapping.own_objects:
            self._join(listed)
        for unit in broken:
            self.entries[unit.name] = Entry(unit.name, problem=f"{unit.name}: {unit.problem}")

    def _scan(self, opener: Opener, number: int) -> None:
        unit, mapping = self.units[number], self.mapping
        if mapping.id.file is not None:
            match = mapping.id.file.fullmatch(unit.base)
            if match is None or not match[1]:
                problem = f"the name gives no id by key 'light_curves.id.file' ({mapping.id.file.pattern})"
                self._entry(unit.name, problem=f"{unit.name}: {problem}")
                return
            entry = self._entry(key_of(match[1]))
            entry.files.append(number)
            entry.rows += max(unit.size, 0) // 30 if unit.offset >= 0 else unit.path.stat().st_size // 30
            if self._attributes or mapping.classes is not None:
                self._scan_blocks(opener, number, entry)
            return
        self._scan_blocks(opener, number, None)

    def _scan_blocks(self, opener: Opener, number: int, owner: Entry | None) -> None:
        """Read the ids and what else is known of the objects from a table of light curves."""
        unit, mapping = self.units[number], self.mapping
        inline = not mapping.own_objects and (bool(self._attributes) or mapping.classes is not None)
        if owner is not None and not inline:
            return
        if owner is not None and not _object_columns(mapping):
            owner.class_id = class_of(mapping.classes, {})
            return
        columns = [mapping.id.column] if owner is None else []
        if inline:
            columns += _object_columns(mapping)
        seen: dict[str, Entry] = {} if owner is None else {owner.id: owner}
        problem = ""
        try:
            for block in read_blocks(opener, unit, mapping.layout, Columns((), tuple(columns), mapping.id.column)):
                if owner is None:
                    problem = problem or self._scan_block(block, number, seen, inline)
                elif block.rows and not owner.listed:
                    self._describe(owner, block, 0, unit.name)
        except DataError as error:
            problem = str(error)
        if problem:
            for entry in seen.values():
                entry.problem = entry.problem or problem
            if owner is None:
                self._entry(unit.name, problem=problem)

    def _scan_block(self, block: Block, number: int, seen: dict[str, Entry], inline: bool) -> str:
        codes, values = block.texts[self.mapping.id.column]
        for text, problem in block.cut:
            if not text:
                return f"{self.units[number].name}: {problem}"
            seen.setdefault(key_of(text), self._entry(key_of(text)))
            seen[key_of(text)].problem = seen[key_of(text)].problem or f"{self.units[number].name}: {problem}"
        present, first = np.unique(codes, return_index=True)
        counts = np.bincount(codes, minlength=len(values))
        order = np.argsort(first)
        for code, row in zip(present[order].tolist(), first[order].tolist(), strict=True):
            text = values[code]
            if not text:
                return (
                    f"{self.units[number].name}: column {self.mapping.id.column!r} has no gaps. Received: an empty id"
                )
            entry = self._entry(text)
            seen[text] = entry
            entry.rows += int(counts[code])
            entry.first = entry.first or (number, block.start)
            entry.last = (number, block.end)
            if inline and not entry.listed:
                self._describe(entry, block, row, self.units[number].name)
        return ""

    def _entry(self, object_id: str, **values: str) -> Entry:
        if object_id not in self.entries:
            self.entries[object_id] = Entry(object_id, **values)
        return self.entries[object_id]

    def _describe(self, entry: Entry, block: Block, row: int, where: str) -> None:
        texts = {name: values[codes[row]] for name, (codes, values) in block.texts.items()}
        entry.listed = True
        try:
            entry.class_id = class_of(self.mapping.classes, texts)
            entry.values = tuple(parse_attribute(each, texts[each.column]) for each in self._attributes)
        except ValueError as error:
            entry.problem = entry.problem or f"{where}: {error}"

    def _read_objects(self, tables: Sequence[Unit]) -> dict[str, Entry]:
        mapping = self.mapping
        columns = tuple(dict.fromkeys((mapping.object_id, *_object_columns(mapping))))
        found: dict[str, Entry] = {}
        with Opener() as opener:
            for unit in tables:
                for block in read_blocks(opener, unit, mapping.object_layout, Columns((), columns, mapping.object_id)):
                    for text, problem in block.cut:
                        if not text:
                            raise DataError(f"{unit.name}: {problem}")
                        found.setdefault(key_of(text), Entry(key_of(text))).problem = f"{unit.name}: {problem}"
                    self._list_objects(block, unit.name, found)
        if not found:
            raise DataError(f"{', '.join(unit.name for unit in tables)}: the object table holds no object")
        return found

    def _list_objects(self, block: Block, where: str, found: dict[str, Entry]) -> None:
        for row, object_id in enumerate(block.text(self.mapping.object_id)):
            if not object_id:
                raise DataError(f"{where}: column {self.mapping.object_id!r} has no gaps. Received: an empty id")
            entry = Entry(object_id)
            self._describe(entry, block, row, where)
            known = found.setdefault(object_id, entry)
            same = (known.class_id, repr(known.values)) == (entry.class_id, repr(entry.values))
            if not same and not known.problem:
                known.problem = f"{where}: the object stands there twice, with different values"

    def _join(self, listed: dict[str, Entry]) -> None:
        for object_id, entry in self.entries.items():
            known = listed.pop(object_id, None)
            if known is None:
                entry.skipped = NOT_LISTED
            else:
                entry.class_id, entry.values = known.class_id, known.values
                entry.problem = entry.problem or known.problem
        for object_id, entry in listed.items():
            entry.skipped = NO_ROWS
            self.entries[object_id] = entry


def _object_columns(mapping: TableMapping) -> list[str]:
    columns = [each.column for each in (*mapping.static, *mapping.targets)]
    if mapping.classes is not None and mapping.classes.column:
        columns.append(mapping.classes.column)
    return list(dict.fromkeys(columns))


def class_of(classes: Classes | None, texts: Mapping[str, str]) -> int:
    """Give the native class of a row, -1 unlabelled. Raises ValueError if the mapping does not know the value."""
    if classes is None:
        return -1
    value = key_of(classes.constant if classes.constant is not None else texts[classes.column])
    if not value or value in classes.unlabelled:
        return -1
    if value not in classes.by_value:
        known = ", ".join([*classes.by_value, *classes.unlabelled])
        raise ValueError(f"column {classes.column!r} is one of {known}. Received: {value!r}")
    return classes.by_value[value]


def parse_attribute(attribute: Attribute, text: str) -> float:
    """Parse a static value or a target: NaN if it is missing. Raises ValueError naming the column."""
    try:
        return parse_value(text, attribute.missing)
    except ValueError:
        raise ValueError(f"column {attribute.column!r} is a finite number. Received: {text[:40]!r}") from None
