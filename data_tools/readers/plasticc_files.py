"""The files of PLAsTiCC: which is which, and the rows of a light-curve file cut into objects."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_tools.formats import tables
from data_tools.readers.plasticc_survey import BANDS
from tfrecords.errors import UsageError

DETECTED = ("detected_bool", "detected")
ROW_COLUMNS = ("mjd", "passband", "flux", "flux_err")


def find_files(paths: Sequence[Path]) -> tuple[Path, list[Path]]:
    """Tell metadata from light curves by their columns.

    Raises
    ------
    UsageError
        If they are not one table of metadata and at least one of light curves.
    DataError
        If a file is missing or cannot be read.
    """
    paths = [Path(path) for path in paths]
    folder = len(paths) == 1 and paths[0].is_dir()
    if folder:
        names = (".csv", ".csv.gz", ".parquet", ".pq")
        paths = sorted(path for path in paths[0].iterdir() if path.name.lower().endswith(names))
    headers = {path: tables.read_header(path) for path in paths}
    light_curves = [path for path in paths if "mjd" in headers[path]]
    metadata = [path for path in paths if path not in light_curves and (not folder or "object_id" in headers[path])]
    if len(metadata) == 1 and light_curves:
        return metadata[0], light_curves
    if len(paths) > 1 and not folder:
        # Two named files with wrong columns: taken in their order, so that the missing columns can be named.
        return paths[0], paths[1:]
    received = "; ".join(f"{path.name}: {','.join(header[:6])} ..." for path, header in headers.items())
    raise UsageError(
        "PLAsTiCC is one table of metadata (with columns such as object_id, hostgal_photoz, mwebv) and one of "
        f"light curves (object_id, {', '.join(ROW_COLUMNS)}, {DETECTED[0]}). Received: {received or 'no table'}"
    )


def require_row_columns(path: Path) -> None:
    """Refuse a light-curve file that lacks a column with DataError."""
    header = tables.read_header(path)
    detected = next((name for name in DETECTED if name in header), DETECTED[0])
    tables.require_columns(path, header, ("object_id", *ROW_COLUMNS, detected))


def objects_of(paths: Sequence[Path]) -> Iterator[tuple[int, dict[str, np.ndarray], str]]:
    """Cut light-curve files into objects: id, columns, and file with the first data row."""
    for path in paths:
        header = tables.read_header(path)
        detected = next((name for name in DETECTED if name in header), DETECTED[0])
        columns: Mapping[str, Any] = {"object_id": int} | {name: float for name in (*ROW_COLUMNS, detected)}
        first, held, held_id, held_first = 0, [], None, 0
        for piece in tables.read_pieces(path, columns):
            piece["detected"] = piece.pop(detected)
            ids = piece.pop("object_id")
            cuts = [0, *(np.flatnonzero(np.diff(ids)) + 1).tolist(), len(ids)]
            for start, end in itertools.pairwise(cuts):
                if start == end:
                    continue
                if ids[start] != held_id:
                    if held:
                        yield held_id, _join(held), f"{path.name}, data row {held_first + 1}"
                    held, held_id, held_first = [], int(ids[start]), first + start
                held.append({name: values[start:end] for name, values in piece.items()})
            first += len(ids)
        if held:
            yield held_id, _join(held), f"{path.name}, data row {held_first + 1}"


def _join(pieces: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    if len(pieces) == 1:
        return pieces[0]
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def row_problem(rows: dict[str, np.ndarray]) -> str:
    """Say what is wrong with the first bad row of an object, or nothing."""
    with np.errstate(over="ignore"):
        flux, error = rows["flux"].astype("f4"), rows["flux_err"].astype("f4")
    band, detected = rows["passband"], rows["detected"]
    for name, good, rule in (
        ("mjd", np.isfinite(rows["mjd"]), "is a finite time"),
        (
            "passband",
            (band >= 0) & (band < len(BANDS)) & (band == np.floor(band)),
            f"is one of 0-{len(BANDS) - 1}",
        ),
        ("flux", np.isfinite(flux), "is finite"),
        ("flux_err", np.isfinite(error) & (error > 0), "is finite and positive"),
        ("detected", (detected == 0) | (detected == 1), "is 0 or 1"),
    ):
        if not good.all():
            row = int(np.argmin(good))
            return f"{name} {rule}; row {row + 1} of the object has {rows[name][row]:g}"
    return ""
