"""Columns of a table in a file: CSV, gzipped CSV or parquet, told apart by content, read in pieces."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from tfrecords.errors import DataError

_BLOCK_BYTES = 1 << 20
_BATCH_ROWS = 1 << 16
_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"


def read_header(path: Path) -> list[str]:
    """Give the names of the columns of a table.

    Raises
    ------
    DataError
        If the file is missing, empty, damaged or no table.
    """
    kind = _kind(path)
    try:
        if kind == _PARQUET:
            import pyarrow.parquet

            return list(pyarrow.parquet.read_schema(path).names)
        with gzip.open(path, "rb") if kind == _GZIP else open(path, "rb") as file:
            line = file.readline(1 << 20).decode("utf-8-sig")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read (cut short or damaged?): {error}") from error
    names = next(csv.reader(io.StringIO(line)), [])
    if not names:
        raise DataError(f"{path}: a table starts with the names of its columns. Received: an empty file or line")
    return [name.strip() for name in names]


def require_columns(path: Path, header: Sequence[str], required: Sequence[str]) -> None:
    """Raise DataError listing what is missing and what was found, if a column is not there or there twice."""
    missing = [name for name in required if name not in header]
    if missing:
        raise DataError(f"{path}: columns missing: {', '.join(missing)}. Received: {', '.join(header)}")
    twice = sorted({name for name in required if list(header).count(name) > 1})
    if twice:
        raise DataError(f"{path}: columns that stand there twice: {', '.join(twice)}. Received: {', '.join(header)}")


def read_pieces(path: Path, columns: Mapping[str, type]) -> Iterator[dict[str, np.ndarray]]:
    """Go through a table in pieces of bounded size.

    Parameters
    ----------
    path : pathlib.Path
    columns : mapping of str to {int, float, str}
        Columns to read. An integer or text column has no gaps; a gap in a float column is NaN.

    Yields
    ------
    dict of str to numpy.ndarray
        int64, f8 or objects (text), one array a column, all of one length.

    Raises
    ------
    DataError
        If the file is cut short or damaged, or a value is no number; the message names file, row and column.
    """
    import pyarrow as pa

    header = read_header(path)
    require_columns(path, header, list(columns))
    types = {int: pa.int64(), float: pa.float64(), str: pa.string()}
    kinds = {name: types[kind] for name, kind in columns.items()}
    first = 0
    try:
        for batch in _batches(path, header, kinds):
            piece = {}
            for name, kind in kinds.items():
                column = batch.column(name)
                if column.type != kind:
                    column = column.cast(kind)
                if not pa.types.is_floating(kind) and column.null_count:
                    row = first + int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
                    raise DataError(f"{path}: column {name!r} has no gaps. Received: nothing in data row {row + 1}")
                piece[name] = column.to_numpy(zero_copy_only=False)
            first += batch.num_rows
            yield piece
    except (pa.ArrowException, OSError, EOFError) as error:
        raise DataError(f"{path}: {_explain(str(error), header)}") from error


def _batches(path: Path, header: Sequence[str], kinds: Mapping) -> Iterator:
    import pyarrow as pa

    if _kind(path) == _PARQUET:
        import pyarrow.parquet

        with pa.parquet.ParquetFile(path, pre_buffer=False) as file:
            yield from file.iter_batches(batch_size=_BATCH_ROWS, columns=list(kinds), use_threads=False)
        return
    import pyarrow.csv

    with open(path, "rb") as raw:
        stream = pa.PythonFile(raw, "r")
        if _kind(path) == _GZIP:
            stream = pa.CompressedInputStream(stream, "gzip")
        # With threads, Arrow cannot say in which row a bad value stands.
        yield from pa.csv.open_csv(
            stream,
            read_options=pa.csv.ReadOptions(
                use_threads=False, block_size=_BLOCK_BYTES, column_names=list(header), skip_rows=1
            ),
            convert_options=pa.csv.ConvertOptions(column_types=dict(kinds), include_columns=list(kinds)),
        )


def _kind(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            start = file.read(4)
    except IsADirectoryError as error:
        raise DataError(f"{path}: a file is needed. Received: a folder") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    return _PARQUET if start == _PARQUET else _GZIP if start[:2] == _GZIP else b""


def _explain(message: str, header: Sequence[str]) -> str:
    """Put the name of the column where Arrow gives its number, and say what a broken stream means."""
    message = message.replace("\n", " ")
    match = re.search(r"column #(\d+)", message)
    if match and int(match[1]) < len(header):
        message = message.replace(match[0], f"column {header[int(match[1])]!r}")
    if re.search(r"[Tt]runcated|inflate|Parquet|magic|EOF|Expected \d+ columns", message):
        message = f"cut short or damaged: {message}"
    return message
