"""The tables of the trimodal set (photometry, spectra, metadata): one CSV a split, checked against one another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_tools.formats.label_table import number_in, read_text_table
from data_tools.formats.tables import require_columns
from tfrecords.errors import DataError, UsageError
from tfrecords.info import NativeClass, StaticColumn
from tfrecords.subsets import subset_mask

# Names in the files, and those of the partitions.
SPLITS = {"train": "train", "val": "validation", "test": "test"}
SUFFIX = "_norm"
CLASSES = ("DSCT", "EA", "EB", "EW", "HADS", "M", "ROT", "RRAB", "RRC", "SR")
CLASS_COLUMN, NAME_COLUMN, SPECTRUM_COLUMN, PERIOD_COLUMN = "target", "name", "spec_filename", "org_period"
ID_COLUMNS = ("edr3_source_id", "id")
_PARALLAX_COLUMNS = ("pm", "pmra", "pmra_error", "pmdec", "pmdec_error")
META_COLUMNS = (
    "mean_vmag", "phot_g_mean_mag", "e_phot_g_mean_mag", "phot_bp_mean_mag", "e_phot_bp_mean_mag", "phot_rp_mean_mag",
    "e_phot_rp_mean_mag", "bp_rp", "parallax", "parallax_error", "parallax_over_error", "pmra", "pmra_error", "pmdec",
    "pmdec_error", "j_mag", "e_j_mag", "h_mag", "e_h_mag", "k_mag", "e_k_mag", "w1_mag", "e_w1_mag", "w2_mag",
    "e_w2_mag", "w3_mag", "w4_mag", "j_k", "w1_w2", "w3_w4", "pm", "ruwe", "l", "b",
)  # fmt: skip
PHOTO_COLUMNS = ("amplitude", "period", "lksl_statistic", "rfr_score")
STATIC_COLUMNS = (*META_COLUMNS, *PHOTO_COLUMNS, PERIOD_COLUMN)


@dataclass(frozen=True)
class Star:
    """One row of the tables.

    Attributes
    ----------
    object_id : str
    name : str
        Of the light curve, without blanks; empty if the table names none.
    spectrum : str
        Name of the spectrum's file; empty if the table names none.
    class_id : int
    partition : str
    static : tuple of float
    problem : str
        Why the row is refused, or nothing.
    """

    object_id: str
    name: str
    spectrum: str
    class_id: int
    partition: str
    static: tuple[float, ...]
    problem: str = ""


def find_tables(root: Path, file: str | None, suffix: str) -> tuple[str, dict[str, Path]]:
    """Find the tables ``<file>_<split><suffix>.csv`` of the splits.

    Parameters
    ----------
    root : pathlib.Path
    file : str, optional
        Their common start, below `root`; by default the only one there is.
    suffix : str

    Returns
    -------
    file : str
    tables : dict of str to pathlib.Path
        By the split's name in the files; those that exist.

    Raises
    ------
    DataError
        If there is none.
    UsageError
        If there are several and none is named.
    """
    if file is None:
        found = {
            str(path.relative_to(root))[: -len(f"_{split}{suffix}.csv")]
            for split in SPLITS
            for pattern in (f"*_{split}{suffix}.csv", f"*/*_{split}{suffix}.csv", f"*/*/*_{split}{suffix}.csv")
            for path in root.glob(pattern)
        }
        if len(found) > 1:
            raise UsageError(f"{root.name} has several sets of tables; name one. Received: {', '.join(sorted(found))}")
        file = next(iter(found), "")
    tables = {split: root / f"{file}_{split}{suffix}.csv" for split in SPLITS}
    tables = {split: path for split, path in tables.items() if path.is_file()}
    if not tables or not file:
        names = ", ".join(f"{file or '<file>'}_{split}{suffix}.csv" for split in SPLITS)
        raise DataError(f"{root.name}: holds the tables {names}, at least one of them. Received: none")
    return file, tables


def static_column(name: str, suffix: str) -> StaticColumn:
    """Give the column with its unit; in tables of scaled values (``_norm``) only the raw period has one."""
    if name == PERIOD_COLUMN:
        return StaticColumn(name, "d")
    if suffix == SUFFIX:
        return StaticColumn(name, "standardised")
    if name.endswith(("_mag", "vmag")) or name in ("bp_rp", "j_k", "w1_w2", "w3_w4", "amplitude"):
        return StaticColumn(name, "mag")
    if name in _PARALLAX_COLUMNS:
        return StaticColumn(name, "mas/yr")
    units = {"parallax": "mas", "parallax_error": "mas", "l": "deg", "b": "deg", "period": "d"}
    return StaticColumn(name, units.get(name, ""))


def read_stars(
    tables: dict[str, Path], static_columns: Sequence[str] | None
) -> tuple[list[Star], tuple[NativeClass, ...], tuple[str, ...]]:
    """Read the tables of all splits.

    Parameters
    ----------
    tables : dict of str to pathlib.Path
        By split.
    static_columns : sequence of str, optional
        By default those of `STATIC_COLUMNS` that every table has.

    Returns
    -------
    stars : list of Star
        Split after split, in the order of the tables.
    classes : tuple of NativeClass
        The ten published ones by alphabet, 0 to 9, then others by alphabet.
    static_columns : tuple of str

    Raises
    ------
    UsageError
        If a static column is not in a table.
    DataError
        If a table is damaged or lacks a column, or a star, light curve or spectrum stands in two splits.
    """
    contents = {split: read_text_table(path) for split, path in tables.items()}
    for split, (header, rows) in contents.items():
        if not rows:
            raise DataError(
                f"{tables[split].name}: a table of a split holds stars (cut short?). Received: a header only"
            )
        require_columns(tables[split], header, (CLASS_COLUMN, NAME_COLUMN))
        if static_columns is not None and (lacking := [name for name in static_columns if name not in header]):
            raise UsageError(f"static columns are columns of {tables[split].name}. Received: {', '.join(lacking)}")
    if static_columns is None:
        static_columns = [name for name in STATIC_COLUMNS if all(name in header for header, _ in contents.values())]
    if len(set(static_columns)) != len(static_columns):
        raise UsageError(f"a static column is named once. Received: {','.join(static_columns)}")
    present = {row[header.index(CLASS_COLUMN)].strip() for header, rows in contents.values() for row in rows}
    names = (*CLASSES, *sorted(present - set(CLASSES) - {""}))
    numbers = {name: number for number, name in enumerate(names)} | {"": -1}
    stars: list[Star] = []
    owners: dict[tuple[str, str], str] = {}
    seen: Counter[str] = Counter()
    for split, (header, rows) in contents.items():
        for number, row in enumerate(rows, 1):
            fields = dict(zip(header, row, strict=True))
            star = _star(fields, static_columns, numbers, SPLITS[split], (tables[split], number))
            for kind, value in (("id", star.object_id), ("light curve", star.name), ("spectrum", star.spectrum)):
                if value and owners.setdefault((kind, value), split) != split:
                    raise DataError(
                        f"{tables[split].name}: data row {number}: what is in one split is in no other. Received: "
                        f"{kind} {value!r}, which is in {tables[owners[kind, value]].name}, too"
                    )
            seen[star.object_id] += 1
            if seen[star.object_id] > 1:
                problem = f"{tables[split].name}: data row {number}: the id {star.object_id!r} stands there before"
                again = f"{star.object_id}#{seen[star.object_id]}"
                star = Star(again, "", "", star.class_id, star.partition, (), problem)
            stars.append(star)
    if not stars:
        raise DataError(f"{', '.join(path.name for path in tables.values())}: hold no object. Received: headers only")
    used = {star.class_id for star in stars}
    classes = tuple(NativeClass(number, name) for number, name in enumerate(names) if number < 10 or number in used)
    return stars, classes, tuple(static_columns)


def _star(
    fields: dict[str, str], columns: Sequence[str], numbers: dict[str, int], partition: str, place: tuple[Path, int]
) -> Star:
    path, row = place
    name, spectrum = fields[NAME_COLUMN].replace(" ", ""), fields.get(SPECTRUM_COLUMN, "").strip()
    found = [fields[column].strip() for column in ID_COLUMNS if fields.get(column, "").strip()]
    object_id = found[0] if found else name
    class_id = numbers[fields[CLASS_COLUMN].strip()]
    if not object_id or not object_id.isprintable():
        object_id, problem = f"{path.name} row {row}", f"{path.name}: data row {row}: has neither id nor name"
        return Star(object_id, "", "", class_id, partition, (), problem)
    try:
        static = tuple(number_in(fields[column], path, row, column) for column in columns)
    except DataError as error:
        return Star(object_id, name, spectrum, class_id, partition, (), str(error))
    return Star(object_id, name, spectrum, class_id, partition, static)


def limited_subset(stars: Sequence[Star], subset: str, seed: int) -> np.ndarray:
    """Choose the stars of a limited-label subset, of training and validation each by itself; test stays whole.

    Returns
    -------
    numpy.ndarray
        bool, one a star.
    """
    ids, chosen = [star.object_id for star in stars], np.ones(len(stars), bool)
    for partition in ("train", "validation"):
        labels = [star.class_id if star.partition == partition else -1 for star in stars]
        chosen &= subset_mask(labels, ids, subset, seed)
    return chosen
