"""Parquet tables of nested alerts, one a row: batches of chosen rows in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tfrecords.errors import DataError

MAGIC = b"PAR1"
ROW_GROUP_BYTES = 1 << 30
"""The most that a row group says to have, unpacked."""


def read_names(path: Path) -> list[str]:
    """Give the names of the columns. Raises DataError if the file is no parquet table."""
    import pyarrow as pa
    import pyarrow.parquet

    try:
        return list(pa.parquet.read_schema(path).names)
    except (pa.ArrowException, OSError, EOFError, ValueError) as error:
        raise DataError(f"cannot be read as a parquet table (damaged?): {error!s:.200}") from error


def read_batches(
    path: Path, columns: Sequence[str], batch_rows: int, chosen: Sequence[int] | None = None
) -> Iterator[tuple[range, Any]]:
    """Go through a table in batches.

    Parameters
    ----------
    path : pathlib.Path
    columns : sequence of str
        Top-level columns; those that the table lacks are left out.
    batch_rows : int
    chosen : sequence of int, optional
        Row groups without any of these rows are passed over.

    Yields
    ------
    (range, pyarrow.RecordBatch)
        Rows of the table, and their columns.

    Raises
    ------
    DataError
        If the file is no parquet table, damaged, or a row group is too large.
    """
    import pyarrow as pa
    import pyarrow.parquet

    first, wanted = 0, None if chosen is None else set(chosen)
    try:
        with pa.parquet.ParquetFile(path, pre_buffer=False) as table:
            names = [name for name in columns if name in table.schema_arrow.names]
            for group in range(table.num_row_groups):
                about = table.metadata.row_group(group)
                rows = range(first, first + about.num_rows)
                first += about.num_rows
                if wanted is not None and wanted.isdisjoint(rows):
                    continue
                size = about.total_byte_size
                if size > ROW_GROUP_BYTES:
                    raise DataError(f"a row group has at most {ROW_GROUP_BYTES} bytes. Received: {size}")
                row = rows.start
                for batch in table.iter_batches(batch_rows, [group], names, use_threads=False):
                    yield range(row, row + batch.num_rows), batch
                    row += batch.num_rows
    except (pa.ArrowException, OSError, EOFError, OverflowError) as error:
        raise DataError(f"cannot be read as a parquet table (damaged?): {error!s:.200}") from error
