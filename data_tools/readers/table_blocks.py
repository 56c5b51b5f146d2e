"""Tables read block by block in bounded memory: text with separators, and parquet, one row an observation or an object.

A block of text ends at the end of a line, one of parquet is a row group; both have places that reading can start from.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from data_tools.formats.streams import Opener, Stream, Unit
from data_tools.formats.tables import require_columns
from data_tools.readers.table_mapping import Layout, key_of
from tfrecords.errors import DataError

_READ = 4 << 20
_MAX_LINE = 16 << 20
_BATCH_ROWS = 1 << 16
_MAX_ROW_GROUP = 4 << 30
# A light curve has several bytes a row, whatever compresses it.
_FEW_ROWS = 1_000_000
_PARQUET = b"PAR1"
_NULLS = ["", "nan", "NaN", "NAN", "-nan", "null", "NULL", "none", "None", "NA", "N/A", "n/a", "#N/A", "--", "<NA>"]


@dataclass
class Block:
    """Some rows of a table.

    Attributes
    ----------
    start, end : int
        Its place in the file: bytes (decompressed) or row groups.
    rows : int
    numbers : dict of str to numpy.ndarray
        f8, NaN where the field is empty.
    texts : dict of str to (numpy.ndarray, list of str)
        Position of every row's text in the list, and the list; an empty field is an empty text.
    bad : dict of int to str
        Rows whose values cannot be read, and why.
    empty : list of int
        Rows that stand for an object without observations.
    cut : list of (str or None, str)
        Lines with too few or too many fields: the text in the id column, and what is wrong.
    """

    start: int
    end: int
    rows: int
    numbers: dict[str, np.ndarray] = field(default_factory=dict)
    texts: dict[str, tuple[np.ndarray, list[str]]] = field(default_factory=dict)
    bad: dict[int, str] = field(default_factory=dict)
    empty: list[int] = field(default_factory=list)
    cut: list[tuple[str | None, str]] = field(default_factory=list)

    def text(self, name: str) -> list[str]:
        """Give a text column row by row."""
        codes, values = self.texts[name]
        return [values[each] for each in codes.tolist()]


@dataclass(frozen=True)
class Columns:
    """What is read of a table.

    Attributes
    ----------
    numbers, texts : tuple of str
        A column that stands in both is read as text and parsed.
    id : str
        The id column; empty if the ids come from elsewhere.
    lists : tuple of str
        Columns that hold a list in every row (parquet, one row an object).
    """

    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    id: str = ""
    lists: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """Every column once."""
        return tuple(dict.fromkeys((*self.texts, *self.numbers)))


def read_blocks(
    opener: Opener, unit: Unit, layout: Layout, columns: Columns, start: int = 0, end: int | None = None
) -> Iterator[Block]:
    """Go through a table.

    Parameters
    ----------
    opener : Opener
    unit : Unit
    layout : Layout
    columns : Columns
    start, end : int
        Places that blocks of this file start and end at.

    Raises
    ------
    DataError
        If the file is cut short, damaged or lacks a column.
    """
    stream = opener.open(unit)
    try:
        head = stream.read(len(_PARQUET))
        if head == _PARQUET:
            stream.close()
            yield from _parquet_blocks(opener, unit, columns, start, end)
        elif columns.lists:
            raise DataError(f"{unit.name}: one row an object needs parquet with lists (key 'light_curves.rows')")
        else:
            yield from _text_blocks(stream, head, layout, columns, start, end)
    finally:
        stream.close()


def _text_blocks(
    stream: Stream, head: bytes, layout: Layout, columns: Columns, start: int, end: int | None
) -> Iterator[Block]:
    buffer, place = head.removeprefix(b"\xef\xbb\xbf"), 0
    place = len(head) - len(buffer)
    header, size = layout.header, 0
    if header is None:
        header, buffer, size = _read_header(stream, buffer, layout)
        place += size
    require_columns(stream.name, header, columns.all)
    if start > place:
        if start > place + len(buffer):
            stream.seek(start)
            buffer = b""
        else:
            buffer = buffer[start - place :]
        place = start
    while end is None or place < end:
        more = stream.read(_READ)
        buffer += more
        cut = buffer.rfind(b"\n") + 1 if more else len(buffer)
        if not cut:
            if not more:
                return
            if len(buffer) > _MAX_LINE:
                raise DataError(f"{stream.name}: a line has at most {_MAX_LINE} bytes (no table of text?)")
            continue
        content, buffer = buffer[:cut], buffer[cut:]
        if end is None or place + cut <= end or not more:
            yield _parse(content, stream.name, header, layout, columns, place, place + cut)
        else:
            yield _parse(content[: end - place], stream.name, header, layout, columns, place, end)
        place += cut


def _read_header(stream: Stream, buffer: bytes, layout: Layout) -> tuple[tuple[str, ...], bytes, int]:
    size = 0
    while True:
        line, found, rest = buffer.partition(b"\n")
        if not found:
            more = stream.read(1 << 16)
            if more:
                if len(buffer) > _MAX_LINE:
                    raise DataError(f"{stream.name}: a line has at most {_MAX_LINE} bytes (no table of text?)")
                buffer += more
                continue
        size += len(line) + len(found)
        text = line.strip()
        if text and not (layout.comment and text.startswith(layout.comment.encode())):
            break
        if not found:
            raise DataError(f"{stream.name}: a table starts with the names of its columns. Received: no such line")
        buffer = rest
    try:
        names = text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{stream.name}: the names of the columns are no text (UTF-8). Received: {text[:40]!r}"
        ) from error
    parts = names.split() if layout.separator == " " else names.split(layout.separator)
    return tuple(part.strip().strip('"').strip() for part in parts), rest, size


def _parse(
    content: bytes, name: str, header: Sequence[str], layout: Layout, columns: Columns, start: int, end: int
) -> Block:
    import pyarrow as pa
    import pyarrow.csv

    block = Block(start, end, 0)
    if not content.isascii():
        content = content.decode("utf-8", "replace").encode()
    if layout.comment:
        mark = re.escape(layout.comment.encode())
        content = re.sub(rb"(?m)^[ \t]*" + mark + rb"[^\n]*\n?", b"", content)
    if layout.separator == " ":
        content = re.sub(rb"(?m)^ | $", b"", re.sub(rb"[ \t\r]+", b" ", content))
    if not content.strip():
        return _finish(block, {}, columns, name)
    position = list(header).index(columns.id) if columns.id else -1

    def invalid(row: Any) -> str:
        parts = row.text.split(layout.separator) if row.text is not None else []
        found = parts[position] if 0 <= position < len(parts) else None
        block.cut.append((found, f"a line has {row.actual_columns} instead of {row.expected_columns} fields"))
        return "skip"

    kinds = {each: pa.float64() for each in columns.numbers} | {each: pa.string() for each in columns.texts}
    read = pa.csv.ReadOptions(use_threads=False, block_size=len(content) + 1, column_names=list(header))
    parse = pa.csv.ParseOptions(delimiter=layout.separator, invalid_row_handler=invalid)

    def table(kinds: dict[str, Any]) -> pa.Table:
        block.cut.clear()
        convert = pa.csv.ConvertOptions(column_types=kinds, include_columns=list(kinds), null_values=_NULLS)
        return pa.csv.read_csv(pa.py_buffer(content), read, parse, convert)

    try:
        try:
            found = table(kinds)
        except pa.ArrowInvalid:
            # Some number is none: as text, the row can be told.
            found = table(dict.fromkeys(kinds, pa.string()))
        arrays = {each: found.column(each).combine_chunks() for each in kinds}
    except (pa.ArrowException, ValueError, OSError, KeyError) as error:
        raise DataError(f"{name}: damaged: {' '.join(str(error).split())}") from error
    block.rows = found.num_rows
    return _finish(block, arrays, columns, name)


def _finish(block: Block, arrays: dict[str, Any], columns: Columns, name: str) -> Block:
    """Turn Arrow's arrays into the columns of a block."""
    import pyarrow as pa

    for each in columns.all:
        array = arrays.get(each)
        if array is None:
            block.numbers |= {each: np.zeros(0)} if each in columns.numbers else {}
            block.texts |= {each: (np.zeros(0, np.int32), [])} if each in columns.texts else {}
            continue
        try:
            if each in columns.numbers:
                block.numbers[each] = _numbers(array, each, block)
            if each in columns.texts:
                block.texts[each] = _texts(array)
        except (pa.ArrowException, ValueError, OverflowError) as error:
            raise DataError(f"{name}: column {each!r}: {' '.join(str(error).split())}") from error
    return block


def _numbers(array: Any, name: str, block: Block) -> np.ndarray:
    import pyarrow as pa

    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type)):
        return np.asarray(array.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    values = np.full(len(array), np.nan)
    for row, text in enumerate(array.to_pylist()):
        if text is None or text.strip() in _NULLS:
            continue
        try:
            values[row] = float(text)
        except ValueError:
            block.bad.setdefault(row, f"column {name!r} holds numbers. Received: {text[:40]!r}")
    return values


def _texts(array: Any) -> tuple[np.ndarray, list[str]]:
    import pyarrow as pa

    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    if pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type):
        array = array.cast(pa.string())
    encoded = array.dictionary_encode()
    codes = encoded.indices.fill_null(len(encoded.dictionary)).to_numpy(zero_copy_only=False)
    return codes.astype(np.int32), [*(key_of(each) for each in encoded.dictionary.to_pylist()), ""]


def _parquet_blocks(opener: Opener, unit: Unit, columns: Columns, start: int, end: int | None) -> Iterator[Block]:
    import pyarrow as pa
    import pyarrow.parquet

    with contextlib.ExitStack() as stack:
        try:
            source = str(unit.path) if unit.offset < 0 else io.BytesIO(opener.whole(unit))
            file = stack.enter_context(pa.parquet.ParquetFile(source, pre_buffer=False))
            require_columns(unit.name, file.schema_arrow.names, columns.all)
            _check_size(file, unit)
            for group in range(start, file.num_row_groups if end is None else min(end, file.num_row_groups)):
                for batch in file.iter_batches(_BATCH_ROWS, [group], list(columns.all), use_threads=False):
                    arrays = {each: batch.column(each) for each in columns.all}
                    block = Block(group, group + 1, batch.num_rows)
                    if columns.lists:
                        arrays = _flatten(block, arrays, columns, unit.name)
                    yield _finish(block, arrays, columns, unit.name)
        except (pa.ArrowException, OSError, ValueError, EOFError, KeyError, OverflowError, TypeError) as error:
            raise DataError(f"{unit.name}: cut short or damaged: {' '.join(str(error).split())}") from error


def _check_size(file: Any, unit: Unit) -> None:
    """Refuse a file that would unfold to far more rows than any light curves have. Raises DataError.

    Metadata of columns are left alone: Arrow ends the process where those are damaged.
    """
    most = max(_FEW_ROWS, unit.size if unit.offset >= 0 else unit.path.stat().st_size)
    groups = [file.metadata.row_group(group) for group in range(file.num_row_groups)]
    rows, largest = sum(each.num_rows for each in groups), max((each.total_byte_size for each in groups), default=0)
    if rows > most:
        raise DataError(f"{unit.name}: unfolds to {rows} rows, more than it has bytes; refused")
    if largest > _MAX_ROW_GROUP:
        raise DataError(f"{unit.name}: a row group has at most {_MAX_ROW_GROUP} bytes. Received: {largest}")


def _flatten(block: Block, arrays: dict[str, Any], columns: Columns, name: str) -> dict[str, Any]:
    """Turn one row an object into one row an observation; objects whose lists differ in length have a bad row."""
    import pyarrow as pa

    lists = {each: arrays[each] for each in columns.lists}
    for each, array in lists.items():
        if not (pa.types.is_list(array.type) or pa.types.is_large_list(array.type)):
            raise DataError(f"{name}: column {each!r} holds a list in every row. Received: {array.type}")
    lengths = np.stack([_lengths(array) for array in lists.values()])
    same = (lengths == lengths[0]).all(axis=0)
    counts = np.where(same, lengths[0], 0)
    rows = np.repeat(np.arange(block.rows), counts)
    # An object without observations, or with lists that do not fit, keeps one row to stand for it.
    single = np.flatnonzero(counts == 0)
    order = np.argsort(np.concatenate([rows, single]), kind="stable")
    parents = np.concatenate([rows, single])[order]
    flat = {}
    for each, array in lists.items():
        kept = array.filter(pa.array(counts > 0)).flatten()
        flat[each] = pa.concat_arrays([kept, pa.nulls(len(single), kept.type)]).take(pa.array(order))
    flat |= {each: arrays[each].take(pa.array(parents)) for each in columns.all if each not in lists}
    places = np.searchsorted(parents, single)
    for row, place in zip(single.tolist(), places.tolist(), strict=True):
        block.empty.append(place)
        if not same[row]:
            block.bad[place] = f"the lists of an object have one length. Received: {lengths[:, row].tolist()}"
    block.rows = len(parents)
    return flat


def _lengths(array: Any) -> np.ndarray:
    import pyarrow.compute

    return pyarrow.compute.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
