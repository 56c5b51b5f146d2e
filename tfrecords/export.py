"""Write records as plain tables: ``python -m tfrecords.export DIR --to parquet --out DIR2``.

=================  ==========================================================================================
``light_curves``   a row an observation: ``object_id, mjd, band`` (name), ``flux, flux_err, detected, trigger,
                   saturated, unknown`` (the flags), ``target_<name>`` of targets with a value a row
``objects``        a row an object: ``object_id, survey, class_id, class_name, partition, rows`` (empty without a light
                   curve), the static columns, ``target_<name>`` of targets with one value
``targets``        targets of other lengths: ``object_id, target, position, value``
``spectra``        ``object_id, wavelength, flux, ivar``: lists in parquet, a row a pixel in CSV
``stamps``         a row an alert: ``object_id, mjd``, its alert columns, ``height, width, channels`` and ``image``
                   (a list, row by row, channels innermost) or ``file``, the .npy with all alerts of the object
=================  ==========================================================================================

Objects stand in the order of the index. ``export_info.json`` says what columns, bands and classes mean. A static column
that has the name of another column is called ``static_<name>``. Values are as they are: NaN stays NaN, what a record
lacks is empty (null).
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from tfrecords import command
from tfrecords.errors import DataError, UsageError
from tfrecords.export_tables import FORMATS, INFO_NAME, TABLES, Exporter
from tfrecords.reader import RecordDirectory
from tfrecords.sample import sample_path
from tfrecords.transfer import refuse_same


def export(
    directory: RecordDirectory | str | os.PathLike,
    out: Path,
    to: str = "parquet",
    *,
    table: str | None = None,
    partitions: Sequence[str] | None = None,
    stamps_as: str | None = None,
    overwrite: bool = False,
    quiet: bool = True,
) -> dict[str, int]:
    """Write records as plain tables, streamed.

    Parameters
    ----------
    directory : RecordDirectory or path
    out : pathlib.Path
        Directory to make; with `table` a file.
    to : {'parquet', 'csv'}
    table : str, optional
        One table only, of `TABLES`.
    partitions : sequence of str, optional
        Of these partitions only.
    stamps_as : {'list', 'npy'}, optional
        Images as a list column, or as a .npy file an object; by default lists in parquet, files beside CSV.
    overwrite, quiet : bool
        Replace what an export made at `out`; no progress bar.

    Returns
    -------
    dict of str to int
        Rows by table.

    Raises
    ------
    UsageError
        If an argument cannot be, or `out` exists and may not be replaced.
    DataError
        If a record is damaged or the disk fails. Nothing stays at `out`.
    """
    records = directory if isinstance(directory, RecordDirectory) else RecordDirectory(directory)
    out = Path(os.path.abspath(out))
    refuse_same(records.path, out)
    stamps_as = stamps_as or ("list" if to == "parquet" else "npy")
    _check(out, to, table, stamps_as, overwrite)
    names = partitions if partitions is not None else records.info.partitions
    chosen = sorted(row for name in names for row in records.partition_indices(name).tolist())
    if not chosen:
        raise UsageError(f"{records.path}: no record to export. Received: partitions {', '.join(names)}")
    temporary = out.with_name(f".{out.name}.partial-{os.getpid()}")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        with Exporter(temporary, records.info, to, stamps_as, [table] if table else TABLES) as exporter:
            for row in command.progress(chosen, "exporting", len(chosen), quiet):
                record = records.record(row)
                problems = records.info.problems_of(record)
                if problems:
                    raise DataError(f"{records.where(row)}, object {record.object_id!r}: {problems[0]}")
                exporter.add(record, records.info.partitions[int(records.index["partition"][row])])
        _move(temporary, out, f"{table}.{to}" if table else None)
    except OSError as error:
        raise DataError(f"cannot write {out}: {error.strerror or error}; nothing of it was kept") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return exporter.rows


def _check(out: Path, to: str, table: str | None, stamps_as: str, overwrite: bool) -> None:
    for what, value, valid in (
        ("--to", to, FORMATS),
        ("--table", table, (*TABLES, None)),
        ("--stamps", stamps_as, ("list", "npy")),
    ):
        if value not in valid:
            raise UsageError(f"{what} is one of {', '.join(filter(None, valid))}. Received: {value!r}")
    if to == "csv" and stamps_as == "list":
        raise UsageError("images beside CSV are .npy files. Received: --stamps list")
    if table and out.suffix.lower() != f".{to}":
        raise UsageError(f"one table is a file *.{to}. Received: {out}")
    if not table and out.suffix.lower() in (".csv", ".parquet"):
        raise UsageError(f"tables are files of a directory; --table NAME writes one file. Received: {out}")
    if table == "stamps" and stamps_as == "npy":
        raise UsageError("images in .npy files need a directory; leave out --table. Received: --table stamps")
    if out.exists():
        ours = out.is_file() if table else (out / INFO_NAME).is_file()
        if not (overwrite and ours):
            raise UsageError(f"the output exists; name another one, or --overwrite an export. Received: {out}")


def _move(temporary: Path, out: Path, name: str | None) -> None:
    if name:
        if not (temporary / name).exists():
            raise DataError(f"the records have nothing for this table. Received: {name}")
        os.replace(temporary / name, out)
        return
    old = temporary.with_name(temporary.name + "-old")
    if out.exists():
        os.rename(out, old)
    try:
        os.rename(temporary, out)
    except BaseException:
        if old.exists():
            os.rename(old, out)
        raise
    shutil.rmtree(old, ignore_errors=True)


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m tfrecords.export", description="Write records as plain tables: parquet or CSV."
    )
    parser.add_argument("directory", type=Path, nargs="?", default=sample_path(), help="default: embedded sample")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR|FILE", help="directory; a file with --table")
    parser.add_argument("--to", choices=FORMATS, default="parquet", help="%(default)s")
    parser.add_argument("--table", choices=TABLES, help="one table only, as a file")
    parser.add_argument("--partitions", metavar="NAMES", help="of these only, as in fold0,test")
    parser.add_argument("--stamps", choices=("list", "npy"), help="images as a list column (parquet) or .npy files")
    parser.add_argument("--overwrite", action="store_true", help="replace what an export made at --out")
    command.add_common_flags(parser)
    arguments = parser.parse_args(argv)
    partitions = arguments.partitions.split(",") if arguments.partitions else None
    rows = export(
        arguments.directory,
        arguments.out,
        arguments.to,
        table=arguments.table,
        partitions=partitions,
        stamps_as=arguments.stamps,
        overwrite=arguments.overwrite,
        quiet=arguments.quiet,
    )
    print(f"{arguments.out}: " + ", ".join(f"{name} {count} rows" for name, count in rows.items() if count))


if __name__ == "__main__":
    command.run(main)
