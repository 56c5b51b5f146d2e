"""Photometry, spectra and metadata of variable stars to trimodal records: ``python -m data_tools.psm``.

The layout of AstroM3 (Rizhko & Bloom 2025, AJ, doi 10.3847/1538-3881/adcbad): below one folder a CSV a split, a zip
archive of ASAS-SN light curves in V and a folder of LAMOST spectra. Times (HJD) become HJD - 2400000.5, fluxes stay in
mJy. A star may lack its light curve or its spectrum; the published splits are kept.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data_tools.engine.conversion import names_in, parser_of, run_conversion
from data_tools.formats.tables import read_header
from data_tools.formats.untrusted import infinite_in_f4, number_rows
from data_tools.formats.zip_members import ZipPlace, read_member, zip_places
from data_tools.readers.lamost_files import SUFFIXES, read_spectrum
from data_tools.readers.psm_tables import (
    CLASS_COLUMN,
    NAME_COLUMN,
    STATIC_COLUMNS,
    SUFFIX,
    Star,
    find_tables,
    limited_subset,
    read_stars,
    static_column,
)
from data_tools.sources import Outcome, Piece, PiecewiseSource
from tfrecords import command
from tfrecords.errors import DataError, UsageError
from tfrecords.info import Band
from tfrecords.schema import FLAG_DETECTED, LightCurve, Record, Spectrum, sort_rows
from tfrecords.subsets import SUBSETS

SURVEY = "asassn"
BANDS = (Band("V", ("v",), 5448.0),)
FLUX_UNIT = "mJy"
# AB magnitude of one millijansky: -2.5 log10(1e-3 Jy / 3631 Jy).
ZERO_POINT = 16.40
V_PREFIX = "vardb_files"
LAMOST_SPEC_DIR = "Spectra/v2"
_MJD = 2400000.5
_HEADER_LINES = 2
# Columns of a light curve: HJD, MAG_ERR, FLUX, FLUX_ERR. MAG, which may hold an upper limit, is not read.
_COLUMNS = (0, 2, 3, 4)
_NOT_DETECTED = 99.0
_LARGEST_MEMBER = 16 << 20
_STARS_A_PIECE = 500


class _Entry(NamedTuple):
    """A star, where its light curve lies in the archive, and the path of its spectrum."""

    star: Star
    place: ZipPlace | None
    spectrum: str
    chosen: bool


class PsmSource(PiecewiseSource):
    """The trimodal set.

    Parameters
    ----------
    paths : sequence of path
        One folder, ``data_root`` in the published configuration.
    static_columns : sequence of str, optional
        Columns of the tables; by default the published ones that all tables have.
    file, v_zip, v_prefix, lamost_spec_dir : str, optional
        As in the published configuration, relative to the folder: common start of the tables (default: the only one),
        archive of the light curves (default: the only zip), folder in it (``vardb_files``), folder of the spectra
        (``Spectra/v2``). An empty `v_zip` or `lamost_spec_dir` leaves this part out.
    suffix : str
        Of the tables; ``_norm`` holds scaled values.
    subset : str, optional
        sub50, sub25 or sub10: fewer stars to train and validate on, see `tfrecords.subsets`.
    subset_seed : int

    Raises
    ------
    UsageError
        If the folder has several sets of tables or archives and none is named, or a static column is unknown.
    DataError
        If there are no tables, archive or folder of spectra, a table is damaged, or something stands in two splits.
    """

    survey, bands, zero_point, flux_unit = SURVEY, BANDS, ZERO_POINT, FLUX_UNIT
    targets = ()

    def __init__(
        self,
        paths: Sequence[Path],
        static_columns: Sequence[str] | None = None,
        file: str | None = None,
        v_zip: str | None = None,
        v_prefix: str = V_PREFIX,
        lamost_spec_dir: str = LAMOST_SPEC_DIR,
        suffix: str = SUFFIX,
        subset: str | None = None,
        subset_seed: int = 0,
    ) -> None:
        if len(paths) != 1 or not Path(paths[0]).is_dir():
            raise UsageError(f"the trimodal set is one folder. Received: {', '.join(Path(p).name for p in paths)}")
        root = Path(paths[0])
        file, tables = find_tables(root, file, suffix)
        self._archive = _find_archive(root, v_zip)
        stars, self.classes, names = read_stars(tables, static_columns)
        self.static_columns = tuple(static_column(name, suffix) for name in names)
        places = {} if self._archive is None else zip_places(self._archive)
        spectra = _find_spectra(root, lamost_spec_dir)
        chosen = np.ones(len(stars), bool) if subset is None else limited_subset(stars, subset, subset_seed)
        self._not_chosen = "" if subset is None else f"not in {subset}"
        self._entries = [
            _Entry(star, places.get(f"{v_prefix}/{star.name}.dat"), spectra.get(star.spectrum, ""), bool(each))
            for star, each in zip(stars, chosen, strict=True)
        ]
        self.options = {
            "files": [path.name for path in tables.values()],
            "static_columns": list(names),
            "file": Path(file).name if Path(file).is_absolute() else file,
            "v_zip": "" if self._archive is None else self._archive.name,
            "v_prefix": v_prefix,
            "lamost_spec_dir": Path(lamost_spec_dir).name if Path(lamost_spec_dir).is_absolute() else lamost_spec_dir,
            "subset": subset,
            "subset_seed": subset_seed,
        }

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_entries": []}

    @classmethod
    def recognises(cls, paths: Sequence[Path]) -> bool:
        """Say whether a folder holds tables of splits with a name and a class."""
        try:
            if len(paths) != 1 or not Path(paths[0]).is_dir():
                return False
            _, tables = find_tables(Path(paths[0]), None, SUFFIX)
            return all({CLASS_COLUMN, NAME_COLUMN} <= set(read_header(path)) for path in tables.values())
        except (DataError, UsageError, OSError):
            return False

    def __len__(self) -> int:
        return len(self._entries)

    def labels(self) -> tuple[list[str], np.ndarray]:
        """List the stars, split after split: ids and native classes (int64, -1 unlabelled)."""
        classes = np.array([entry.star.class_id for entry in self._entries], np.int64)
        return [entry.star.object_id for entry in self._entries], classes

    def partitions(self) -> np.ndarray:
        """Give the published partition of each object of `labels`: array of str, train, validation or test."""
        return np.array([entry.star.partition for entry in self._entries], dtype=object)

    def missing(self) -> dict[str, int]:
        """Count the stars (of the subset) for whose part there is no file: ``light curve``, ``spectrum``, ``both``."""
        used = [entry for entry in self._entries if entry.chosen and not entry.star.problem]
        return {
            "light curve": sum(entry.place is None and bool(entry.spectrum) for entry in used),
            "spectrum": sum(entry.place is not None and not entry.spectrum for entry in used),
            "both": sum(entry.place is None and not entry.spectrum for entry in used),
        }

    def pieces(self) -> Sequence[Piece]:
        """Give pieces of 500 stars."""
        found = []
        for start in range(0, len(self), _STARS_A_PIECE):
            part = tuple(self._entries[start : start + _STARS_A_PIECE])
            found.append(Piece(f"stars {start}", range(start, start + len(part)), part))
        return found

    def read(self, piece: Piece, chosen: np.ndarray | None = None) -> Iterator[Outcome]:
        """Read the stars of a piece, one outcome a star."""
        for number, entry in enumerate(piece.details):
            row, object_id = piece.rows.start + number, entry.star.object_id
            if chosen is not None and not chosen[number]:
                yield Outcome(object_id, None, "not selected", row)
            elif entry.star.problem:
                yield Outcome(object_id, None, entry.star.problem, row, quarantined=True)
            elif not entry.chosen:
                yield Outcome(object_id, None, self._not_chosen, row)
            else:
                yield self._outcome(entry, row)

    def _outcome(self, entry: _Entry, row: int) -> Outcome:
        star = entry.star
        try:
            if infinite_in_f4(star.static):
                raise DataError("a static column is infinite")
            lc = self._light_curve(entry)
            spectrum: Spectrum | None = read_spectrum(Path(entry.spectrum))[1] if entry.spectrum else None
        except DataError as error:
            return Outcome(star.object_id, None, str(error), row, quarantined=True)
        record = Record(star.object_id, SURVEY, star.class_id, lc, star.static, spectrum=spectrum)
        return Outcome(star.object_id, record, "", row)

    def _light_curve(self, entry: _Entry) -> LightCurve | None:
        """Read the light curve; None if there is none, or none with rows."""
        if entry.place is None:
            return None
        try:
            lc = light_curve(read_member(self._archive, entry.place, _LARGEST_MEMBER))
        except DataError as error:
            raise DataError(f"{self._archive.name}, {entry.star.name}: {error}") from error
        return lc if len(lc) else None


def light_curve(data: bytes) -> LightCurve:
    """Read the text of one star: two lines of header, then HJD, MAG, MAG_ERR, FLUX, FLUX_ERR.

    Rows with a magnitude error of 99 or more are upper limits: not flagged as detected.

    Raises
    ------
    DataError
        If a row is wrong, a time is no full heliocentric Julian date, or a flux or its error has no place in a record.
    """
    time, magnitude_error, flux, flux_err = number_rows(data, _COLUMNS, header_lines=_HEADER_LINES).T
    if not ((time > 2.4e6) & (time < 2.5e6)).all():
        raise DataError(f"HJD is a full Julian date, 2400000 to 2500000. Received: {time.min():g} to {time.max():g}")
    if infinite_in_f4(flux) or infinite_in_f4(flux_err):
        raise DataError("FLUX and FLUX_ERR are finite or NaN. Received: an infinite value")
    with np.errstate(under="ignore"):
        bad = flux_err.astype("f4") <= 0
    if bad.any():
        raise DataError(f"FLUX_ERR is positive. Received: {flux_err[bad][0]:g} in row {int(np.argmax(bad)) + 1}")
    flags = np.where(magnitude_error < _NOT_DETECTED, FLAG_DETECTED, 0).astype("u1")
    return sort_rows(LightCurve(time - _MJD, np.zeros(len(time), "u1"), flux, flux_err, flags))


def _find_archive(root: Path, v_zip: str | None) -> Path | None:
    """Find the archive of the light curves; None if an empty name leaves it out."""
    if v_zip == "":
        return None
    found = sorted(root.glob("*.zip")) if v_zip is None else [root / v_zip]
    if len(found) != 1 or not found[0].is_file():
        names = ", ".join(path.name for path in found)
        raise DataError(f"{root.name}: holds one zip archive of light curves (v_zip). Received: {names or 'none'}")
    return found[0]


def _find_spectra(root: Path, folder: str) -> dict[str, str]:
    """List the spectra by name, a gzipped one by the name without .gz, too: names of tables are only looked up here."""
    if not folder:
        return {}
    path = root / folder
    if not path.is_dir():
        raise DataError(f"{root.name}: holds the folder of spectra {folder} (lamost_spec_dir). Received: none")
    found: dict[str, str] = {}
    for each in sorted(path.iterdir()):
        if each.name.lower().endswith(SUFFIXES):
            found[each.name] = str(each)
            found.setdefault(each.name.removesuffix(".gz"), str(each))
            found.setdefault(f"{each.name}.gz", str(each))
    return found


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments of the command."""
    parser = parser_of(
        "psm",
        "Convert the trimodal set (tables of the splits, zip of light curves, folder of spectra) to records. "
        "'python -m data_tools.psm synth --help': make such a set.",
        "FOLDER",
        "its root",
    )
    parser.add_argument("--file", metavar="START", help="start of the tables START_train_norm.csv (default: the only)")
    parser.add_argument("--v-zip", metavar="FILE", help="archive of the light curves, '' for none (default: the only)")
    parser.add_argument("--v-prefix", default=V_PREFIX, metavar="FOLDER", help="folder in it (%(default)s)")
    parser.add_argument(
        "--lamost-spec-dir", default=LAMOST_SPEC_DIR, metavar="DIR", help="spectra, '' for none (%(default)s)"
    )
    parser.add_argument("--suffix", default=SUFFIX, help="of the tables; '' for raw values (%(default)s)")
    parser.add_argument("--subset", choices=tuple(SUBSETS), help="fewer stars to train and validate on, by --seed")
    parser.add_argument(
        "--static-columns",
        metavar="A,B",
        help=f"columns of the tables to keep (default: of {', '.join(STATIC_COLUMNS)} those that all tables have)",
    )
    return parser.parse_args(argv)


def _synthesise(argv: Sequence[str]) -> None:
    from data_tools.synthetic import psm_synth

    parser = argparse.ArgumentParser(
        prog="python -m data_tools.psm synth",
        description="Make a synthetic trimodal set of variable stars of ten classes in AstroM3's layout, of any size.",
    )
    psm_synth.add_arguments(parser)
    psm_synth.run(parser.parse_args(argv))


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    if argv and argv[0] == "synth":
        return _synthesise(argv[1:])
    arguments = parse_arguments(argv)
    source = PsmSource(
        arguments.files,
        None if arguments.static_columns is None else names_in(arguments.static_columns),
        file=arguments.file,
        v_zip=arguments.v_zip,
        v_prefix=arguments.v_prefix,
        lamost_spec_dir=arguments.lamost_spec_dir,
        suffix=arguments.suffix,
        subset=arguments.subset,
        subset_seed=arguments.seed,
    )
    run_conversion(source, arguments, "data_tools.psm")
    for part, count in source.missing().items():
        if count:
            print(f"without {part}: {count}")


if __name__ == "__main__":
    command.run(main)
