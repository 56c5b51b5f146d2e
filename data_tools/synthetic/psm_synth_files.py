"""Writes the synthetic trimodal set: blocks of stars with their spectra, the archive of light curves, the tables."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import io
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from data_tools.readers.psm_tables import META_COLUMNS, PERIOD_COLUMN, PHOTO_COLUMNS, SPLITS, SUFFIX
from data_tools.synthetic.psm_synth_curves import light_curve, string_length
from data_tools.synthetic.psm_synth_spectra import COUNT, FIRST_LOG, STEP, partial, spectrum, wavelengths
from data_tools.synthetic.psm_synth_stars import Star, catalogue, make_star

ARCHIVE, MEMBERS = "asassnvarlc_vband_complete.zip", "vardb_files"
TABLES, SPECTRA = "preprocessed_data/full/spectra_and_v", "Spectra/v2"
BLOCK = 200
"""Stars made by one process at once."""

NAMES = ("edr3_source_id", "name", "raj2000", "dej2000", "target", "spec_filename")
_HEADER = "# synthetic star\n# HJD MAG MAG_ERR FLUX FLUX_ERR\n"
# zip has no earlier time; equal content gives equal bytes.
_TIME = (1980, 1, 1, 0, 0, 0)
_LEVEL = 4
_ABSOLUTE = ("mean_vmag", *(name for name in META_COLUMNS if name.endswith("_mag") and not name.startswith("e_")))


@dataclasses.dataclass(frozen=True)
class Made:
    """A star as files hold it.

    Attributes
    ----------
    row : dict of str to str or float
        Of the raw tables.
    curve : bytes or None
        Its text in the archive.
    """

    row: dict[str, object]
    curve: bytes | None


@dataclasses.dataclass(frozen=True)
class Shares:
    """Shares of stars, each in [0, 1], drawn for every star on its own.

    Attributes
    ----------
    no_light_curve, no_spectrum, no_metadata : float
        Of stars that lack a part.
    partial_spectra : float
        Of spectra that an arm of the instrument did not see.
    """

    no_light_curve: float = 0.0
    no_spectrum: float = 0.0
    no_metadata: float = 0.0
    partial_spectra: float = 0.02


class MakeStars:
    """Makes blocks of stars and writes their spectra; `processes.in_order` calls it with the first star of a block.

    Parameters
    ----------
    folder : str
        Where the spectra go.
    kinds : sequence of str
        Of all stars.
    seed : int
    points : float
        Median number of observations.
    shares : Shares
    """

    def __init__(self, folder: str, kinds: Sequence[str], seed: int, points: float, shares: Shares) -> None:
        self._folder, self._kinds, self._seed = Path(folder), kinds, seed
        self._points, self._shares = points, shares

    def __call__(self, start: int) -> list[Made]:
        """Make the stars of a block."""
        return [self._make(number) for number in range(start, min(start + BLOCK, len(self._kinds)))]

    def _make(self, number: int) -> Made:
        # Each part has its own generator: what one draws does not change the others.
        random = [np.random.default_rng([self._seed, number, part]) for part in range(5)]
        star = make_star(self._kinds[number], random[0])
        metadata = catalogue(star, random[1])
        curve = light_curve(star, random[2], self._points)
        shares, drawn = self._shares, random[4].random(4)
        row: dict[str, object] = dict(zip(NAMES, _names(star, number, random[4]), strict=True))
        row |= metadata | _variability(star, curve, random[4])
        if drawn[0] < shares.no_metadata:
            row |= dict.fromkeys((*META_COLUMNS, *PHOTO_COLUMNS, PERIOD_COLUMN), float("nan"))
        if drawn[1] < shares.no_spectrum:
            row["spec_filename"] = ""
        else:
            self._write_spectrum(star, str(row["spec_filename"]), random[3], drawn[3] < shares.partial_spectra)
        return Made(row, None if drawn[2] < shares.no_light_curve else curve_text(curve))

    def _write_spectrum(self, star: Star, name: str, random: np.random.Generator, cut: bool) -> None:
        flux, ivar = spectrum(star, random)
        data = fits_bytes(flux, ivar, partial(random) if cut else slice(0, COUNT), star, image=random.random() < 0.5)
        with open(self._folder / name, "wb") as file, gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as packed:
            packed.write(data)


def _names(star: Star, number: int, random: np.random.Generator) -> tuple[object, ...]:
    hours, degrees = star.ra / 15, abs(star.dec)
    places = [f"{int(value):02d}{int(value * 60 % 60):02d}{value * 3600 % 60:05.2f}" for value in (hours, degrees)]
    sign = "-" if star.dec < 0 else "+"
    # The number makes them unique.
    source = int(random.integers(10**12, 6 * 10**13)) * 10**5 + number
    name = f"ASASSN-V J{places[0]}{sign}{places[1][:-1]}"
    file = f"spec-{56000 + number // 4000}-SYN{number // 250:03d}_sp{number // 25 % 16 + 1:02d}-{number:06d}.fits.gz"
    return source, name, round(star.ra, 5), round(star.dec, 5), star.kind, file


def _variability(star: Star, curve: np.ndarray, random: np.random.Generator) -> dict[str, float]:
    """Give the columns of the catalogue of variable stars, measured on the light curve."""
    # The phase must hold over the survey.
    period = star.period * (1 + 0.02 * star.period / 1900 * random.standard_normal())
    seen = curve[curve[:, 2] < 99, 1]
    low, high = np.percentile(seen, (2.5, 97.5)) if len(seen) else (np.nan, np.nan)
    score = random.beta(4, 3) if star.kind in ("SR", "ROT", "EB") else random.beta(6, 2)
    values = (high - low, period, string_length(curve, period), score)
    return dict(zip(PHOTO_COLUMNS, map(float, values), strict=True)) | {PERIOD_COLUMN: period}


def curve_text(curve: np.ndarray) -> bytes:
    """Write a light curve [rows, 5] as ASAS-SN does: limits have a > and the error 99.99."""
    lines = [
        f"{time:.5f} {'>' if error > 99 else ''}{mag:.3f} {error:.3f} {flux:.4f} {max(flux_err, 1e-4):.4f}\n"
        for time, mag, error, flux, flux_err in curve.tolist()
    ]
    return (_HEADER + "".join(lines)).encode("ascii")


def fits_bytes(flux: np.ndarray, ivar: np.ndarray, part: slice, star: Star, image: bool) -> bytes:
    """Give the file of a spectrum in the layout of the old releases (image of five rows) or the new ones (table)."""
    from astropy.io import fits

    flux, ivar, place = flux[part], ivar[part], part.indices(COUNT)[0]
    nothing = np.zeros(len(flux), "f4")
    if image:
        units = [fits.PrimaryHDU(np.stack([flux, ivar, wavelengths()[part].astype("f4"), nothing, nothing]))]
        units[0].header["COEFF0"], units[0].header["COEFF1"] = round(FIRST_LOG + STEP * place, 6), STEP
    else:
        values = {"FLUX": flux, "IVAR": ivar, "WAVELENGTH": wavelengths()[part].astype("f4"), "ANDMASK": nothing,
                  "ORMASK": nothing}  # fmt: skip
        columns = [fits.Column(name, f"{len(each)}E", array=each[None]) for name, each in values.items()]
        units = [fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)]
    header = units[0].header
    header["TELESCOP"], header["ORIGIN"] = "LAMOST", "synthetic"
    header["RA"], header["DEC"] = round(star.ra, 5), round(star.dec, 5)
    header["CLASS"], header["Z"] = "STAR", round(star.radial_velocity / 299792.458, 7)
    buffer = io.BytesIO()
    fits.HDUList(units).writeto(buffer)
    return buffer.getvalue()


def write_archive(path: Path, blocks: Iterable[list[Made]]) -> tuple[list[dict[str, object]], int]:
    """Write the light curves of blocks to the archive as they come; gives the rows of all stars and how many curves."""
    rows, count, taken = [], 0, set()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for made in (each for block in blocks for each in block):
            name = str(made.row["name"])
            # Two stars at one place to 0.1 arcsec: one name stands for one light curve.
            while name in taken:
                name += "a"
            taken.add(name)
            rows.append(made.row | {"name": name})
            if made.curve is not None:
                info = zipfile.ZipInfo(f"{MEMBERS}/{name.replace(' ', '')}.dat", _TIME)
                info.external_attr, info.create_system = 0o644 << 16, 3
                archive.writestr(info, made.curve, zipfile.ZIP_DEFLATED, 6)
                count += 1
    return rows, count


def write_tables(root: Path, rows: Sequence[dict[str, object]], splits: np.ndarray) -> None:
    """Write the tables of the splits, raw and (``_norm``) scaled by the training split."""
    numbers = (*META_COLUMNS, *PHOTO_COLUMNS)
    raw = {name: np.array([row[name] for row in rows], "f8") for name in (*numbers, PERIOD_COLUMN)}
    scaled = standardised(raw, splits == "train") | {PERIOD_COLUMN: raw[PERIOD_COLUMN]}
    (root / TABLES).parent.mkdir(parents=True, exist_ok=True)
    for suffix, values in (("", raw), (SUFFIX, scaled)):
        for split in SPLITS:
            with open(root / f"{TABLES}_{split}{suffix}.csv", "w", newline="", encoding="ascii") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow([*NAMES, *values])
                for place in np.flatnonzero(splits == split).tolist():
                    texts = ("" if np.isnan(each[place]) else f"{each[place]:.9g}" for each in values.values())
                    writer.writerow([*(rows[place][name] for name in NAMES), *texts])


def standardised(raw: dict[str, np.ndarray], train: np.ndarray) -> dict[str, np.ndarray]:
    """Scale the 38 columns as published.

    Magnitudes become m - 10 + 5 log10(parallax in mas, 1 where it is not positive), l its cosine, b its sine, the
    period its logarithm; then each column gets mean 0 and standard deviation 1 over the training split.

    Parameters
    ----------
    raw : dict of str to ndarray [stars]
    train : ndarray [stars], bool
    """
    found = {name: raw[name] for name in (*META_COLUMNS, *PHOTO_COLUMNS)}
    with np.errstate(invalid="ignore"):
        modulus = 5 * np.log10(np.where(raw["parallax"] <= 0, 1.0, raw["parallax"])) - 10
    found |= {name: raw[name] + modulus for name in _ABSOLUTE}
    found |= {"l": np.cos(np.radians(raw["l"])), "b": np.sin(np.radians(raw["b"])), "period": np.log10(raw["period"])}
    for name, values in found.items():
        known = values[train & np.isfinite(values)]
        mean, spread = (known.mean(), known.std()) if len(known) else (0.0, 1.0)
        found[name] = (values - mean) / (spread if spread > 0 else 1.0)
    return found
