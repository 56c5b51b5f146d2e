"""Readers of Avro records, made for one schema: the wanted fields are given, everything else is skipped.

Fields of a record that follow one another and are no nested type are matched by one regular expression, in which the
length of each is decided by its first byte, so that alerts of thousands of numbers are skipped at the speed of `re`.
The format: Apache Avro specification 1.11, "Binary Encoding".
"""

from __future__ import annotations

import functools
import json
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tfrecords.errors import DataError

RECORD_BYTES = 4 << 20
"""The most that a record may have; alerts have about 70 kB."""

_MAX_ITEMS = 20_000
_MAX_NODES = 2_000
_MAX_DEPTH = 16
_MAX_READERS = 64
# Parts of an item of an array that take no bytes: they cost time that the size of the file does not bound.
_MAX_FREE = 8
# Alternatives of a string's length cost time to compile; records with more strings are read step by step.
_FAST_STRINGS = 16
_FAST_LENGTH = 128
_SIZES = {"float": (4, "<f"), "double": (8, "<d")}
_VARINT = rb"[\x80-\xff]{0,9}+[\x00-\x7f]"
_PRIMITIVES = ("null", "boolean", "int", "long", "float", "double", "bytes", "string")

Wants = Mapping[str, Any]
"""Names of the fields to give: to True, or (of a record, or an array of records) to the names inside."""
Reader = Callable[[bytes, int], tuple[Any, int]]


def decode(reader: Reader, block: bytes, place: int) -> tuple[dict[str, Any], int]:
    """Read one record of a block.

    Parameters
    ----------
    reader : callable
        Of `compile_reader`.
    block : bytes
    place : int
        Where the record starts.

    Returns
    -------
    (dict, int)
        The wanted fields, and where the next record starts. Strings are bytes, missing fields are not there.

    Raises
    ------
    DataError
        If the bytes do not follow the schema.
    """
    shift = 0
    if len(block) - place > RECORD_BYTES:
        block, shift, place = block[place : place + RECORD_BYTES], place, 0
    try:
        value, end = reader(block, place)
    except (IndexError, struct.error):
        raise DataError("a record is cut short, too long, or does not follow the schema of its file") from None
    return value, end + shift


def varint(data: bytes, place: int) -> tuple[int, int]:
    """Read a zigzag integer: value and where it ends. Raises IndexError at the end of the data."""
    value, place = unsigned(data, place)
    return (value >> 1) ^ -(value & 1), place


def unsigned(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
        if shift > 63:
            raise IndexError


def read_bytes(data: bytes, place: int) -> tuple[bytes, int]:
    size, place = varint(data, place)
    if not 0 <= size <= len(data) - place:
        raise IndexError
    return data[place : place + size], place + size


def _integer(data: bytes) -> int:
    if len(data) > 1:
        return varint(data, 0)[0]
    value = data[0]
    return (value >> 1) ^ -(value & 1)


class Readers:
    """Readers of records for the schemas that come along, each made once.

    Parameters
    ----------
    wants : mapping
        Fields to give; a field that a schema lacks is not given.
    """

    def __init__(self, wants: Wants) -> None:
        self._wants = wants
        self._made: dict[bytes, Reader] = {}

    def of(self, schema: bytes) -> Reader:
        """Give the reader for a writer's schema (JSON).

        Raises
        ------
        DataError
            If the schema is none, is recursive or too large, or has items that take no bytes.
        """
        found = self._made.get(schema)
        if found is None:
            if len(self._made) >= _MAX_READERS:
                self._made.clear()
            found = self._made[schema] = compile_reader(schema, self._wants)
        return found


def compile_reader(schema: bytes, wants: Wants) -> Reader:
    """Make a reader of records for a schema, for `decode`. Raises DataError as `Readers.of`."""
    try:
        tree = json.loads(schema)
        if not isinstance(tree, dict) or tree.get("type") != "record":
            raise DataError(f"the schema of alerts is a record. Received: {schema[:80]!r}")
        return _Compiler().compile(tree, wants, "", 0).read
    except DataError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError, re.error) as error:
        raise DataError(f"the schema of the file is not one of Avro: {error!r}. Received: {schema[:80]!r}") from error


@dataclass(frozen=True)
class _Type:
    """How one type is read: a function, the fewest bytes it takes, its parts without bytes, and if possible a pattern.

    A pattern matches exactly the bytes of a value and never tries a second way: its alternatives start with
    different bytes. `groups` are the converters of its groups and `strings` the number of strings in it.
    """

    read: Reader
    size: int
    free: int
    pattern: bytes | None = None
    groups: tuple[Callable[[bytes], Any], ...] = ()
    strings: int = 0


def _skip_text(data: bytes, place: int) -> tuple[None, int]:
    size, place = varint(data, place)
    if not 0 <= size <= len(data) - place:
        raise IndexError
    return None, place + size


def _strip_length(text: bytes) -> bytes:
    return text[1 if len(text) < 65 else 2 :]


def _length_bytes(size: int) -> bytes:
    value = size << 1
    return bytes([value]) if value < 0x80 else bytes([value & 0x7F | 0x80, value >> 7])


_TEXT = b"(?:" + b"|".join(re.escape(_length_bytes(n)) + b".{%d}" % n for n in range(_FAST_LENGTH)) + b")"


def _matched(pattern: bytes, size: int, convert: Callable[[bytes], Any] | None) -> _Type:
    """Give a type without alternatives that is read by a pattern."""
    match = re.compile(pattern, re.DOTALL).match

    def read(data: bytes, place: int) -> tuple[Any, int]:
        found = match(data, place)
        if found is None:
            raise IndexError
        return (None if convert is None else convert(found[0])), found.end()

    free = 0 if size else 1
    if convert is None:
        return _Type(read, size, free, pattern)
    return _Type(read, size, free, b"(" + pattern + b")", (convert,))


class _Compiler:
    """Turns a schema into readers; names are those of the Avro specification."""

    def __init__(self) -> None:
        self._named: dict[str, dict] = {}
        self._open: set[str] = set()
        self._nodes = 0

    def compile(self, schema: Any, wants: Any, space: str, depth: int) -> _Type:
        self._nodes += 1
        if depth > _MAX_DEPTH or self._nodes > _MAX_NODES:
            raise DataError(f"a schema has at most {_MAX_NODES} types, {_MAX_DEPTH} deep. Received: more")
        if isinstance(schema, list):
            return self._union([self.compile(each, wants, space, depth + 1) for each in schema], wants)
        if isinstance(schema, str):
            if schema in _PRIMITIVES:
                return _primitive(schema, bool(wants))
            full = schema if "." in schema or f"{space}.{schema}" not in self._named else f"{space}.{schema}"
            if full not in self._named or full in self._open:
                raise DataError(f"a type is defined before it is used, and not recursive. Received: {schema[:80]!r}")
            schema = self._named[full]
        kind = schema["type"]
        if isinstance(kind, dict | list) or kind in _PRIMITIVES:
            return self.compile(kind, wants, space, depth + 1)
        if kind == "array":
            return _array(self.compile(schema["items"], wants, space, depth + 1), bool(wants))
        if kind not in ("record", "enum", "fixed"):
            if kind in self._named or f"{space}.{kind}" in self._named:
                return self.compile(kind, wants, space, depth + 1)
            raise DataError(f"types of alerts are records, arrays, enums, fixed, primitive. Received: {str(kind)[:80]}")
        name = schema["name"]
        space = name.rpartition(".")[0] or schema.get("namespace", space)
        name = name if "." in name or not space else f"{space}.{name}"
        self._named[name] = schema | {"name": name}
        if kind == "enum":
            return _matched(_VARINT, 1, _integer if wants else None)
        if kind == "fixed":
            size = int(schema["size"])
            if not 0 <= size <= RECORD_BYTES:
                raise DataError(f"a fixed type has up to {RECORD_BYTES} bytes. Received: {size}")
            return _matched(b".{%d}" % size, size, bytes if wants else None)
        self._open.add(name)
        inside = wants if isinstance(wants, dict) else {}
        fields = [
            (each["name"], self.compile(each["type"], inside.get(each["name"]), space, depth + 1))
            for each in schema["fields"]
        ]
        self._open.discard(name)
        return _record([(name, bool(inside.get(name)), each) for name, each in fields])

    def _union(self, branches: list[_Type], wants: Any) -> _Type:
        if not 0 < len(branches) < 64:
            raise DataError(f"a union has 1 to 63 types. Received: {len(branches)}")
        readers = [branch.read for branch in branches]

        def read(data: bytes, place: int) -> tuple[Any, int]:
            number = data[place]
            if number & 0x81:
                raise IndexError
            return readers[number >> 1](data, place + 1)

        size = 1 + min(branch.size for branch in branches)
        free = max(0, max(branch.free for branch in branches) - 1)
        if any(branch.pattern is None for branch in branches):
            return _Type(read, size, free)
        parts = [re.escape(bytes([2 * number])) + branch.pattern for number, branch in enumerate(branches)]
        groups = tuple(group for branch in branches for group in branch.groups)
        strings = sum(branch.strings for branch in branches)
        return _Type(read, size, free, b"(?:" + b"|".join(parts) + b")", groups, strings)


@functools.cache
def _primitive(name: str, wanted: bool) -> _Type:
    if name == "null":
        return _Type(lambda data, place: (None, place), 0, 1, b"")
    if name in ("string", "bytes"):
        pattern, groups = (b"(" + _TEXT + b")", (_strip_length,)) if wanted else (_TEXT, ())
        return _Type(read_bytes if wanted else _skip_text, 1, 0, pattern if name == "string" else None, groups, 1)
    if name in _SIZES:
        size, code = _SIZES[name]
        unpack = struct.Struct(code).unpack
        return _matched(b".{%d}" % size, size, (lambda data: unpack(data)[0]) if wanted else None)
    if name == "boolean":
        return _matched(b"[\x00\x01]", 1, (lambda data: data == b"\x01") if wanted else None)
    return _matched(_VARINT, 1, _integer if wanted else None)


def _array(item: _Type, wanted: bool) -> _Type:
    if item.size < 1 or item.free > _MAX_FREE:
        raise DataError(
            f"an item of an array takes bytes. Received: one of {item.size} bytes, {item.free} of its parts without"
        )
    read_item = item.read

    def read(data: bytes, place: int) -> tuple[list | None, int]:
        values, total = [], 0
        count, place = varint(data, place)
        while count:
            if count < 0:
                count, (_, place) = -count, varint(data, place)
            total += count
            if total > _MAX_ITEMS or count * item.size > len(data) - place:
                raise IndexError
            for _ in range(count):
                value, place = read_item(data, place)
                if wanted:
                    values.append(value)
            count, place = varint(data, place)
        return values, place

    return _Type(read, 1, 0)


def _record(fields: list[tuple[str, bool, _Type]]) -> _Type:
    """Read field after field; neighbours with patterns are matched at once, and field by field should that fail."""
    steps: list[tuple[str, bool, Reader]] = [(name, wanted, each.read) for name, wanted, each in fields]
    runs: list[tuple[Any, tuple[tuple[str, Callable], ...], list[tuple[str, bool, Reader]]]] = []
    start = 0
    while start < len(fields):
        end, strings = start, 0
        while end < len(fields) and fields[end][2].pattern is not None:
            strings += fields[end][2].strings
            if strings > _FAST_STRINGS:
                break
            end += 1
        run = fields[start : max(end, start + 1)]
        match = None
        if end > start:
            match = re.compile(b"".join(each.pattern or b"" for _, _, each in run), re.DOTALL).match
        groups = tuple((name, convert) for name, _, each in run for convert in each.groups)
        runs.append((match, groups, steps[start : start + len(run)]))
        start += len(run)

    def read(data: bytes, place: int) -> tuple[dict[str, Any], int]:
        values: dict[str, Any] = {}
        for match, groups, single in runs:
            found = match(data, place) if match is not None else None
            if found is not None:
                place = found.end()
                if groups:
                    for (name, convert), text in zip(groups, found.groups(), strict=False):
                        if text is not None:
                            values[name] = convert(text)
                continue
            for name, wanted, read_field in single:
                value, place = read_field(data, place)
                if wanted and value is not None:
                    values[name] = value
        return values, place

    size = sum(each.size for _, _, each in fields)
    return _Type(read, size, sum(each.free for _, _, each in fields) + (0 if size else 1))
