"""Writers of small files in the layouts of ASAS, LAMOST, SNID and the trimodal set."""

from __future__ import annotations

import functools
import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np

LAMOST_HEADER = {
    "OBSID": 101,
    "RA": 150.25,
    "DEC": -1.5,
    "CLASS": "STAR",
    "SUBCLASS": "G2",
    "Z": 0.0001,
    "Z_ERR": 1e-5,
    "SNRU": 5.0,
    "SNRG": 20.5,
    "SNRR": 30.0,
    "SNRI": 31.0,
    "SNRZ": -9999.0,
}


def asas_rows(number: int, rows: int = 8) -> str:
    """Give the text of one star: HJD - 2450000, magnitude, error."""
    rng = np.random.default_rng(number)
    times = 1900 + np.sort(rng.uniform(0, 3000, rows))
    return "".join(f"{time:.5f},{11 + rng.normal():.3f},{0.03:.3f}\n" for time in times)


def write_asas(folder: Path, stars: dict[str, tuple[str, str]], columns: str = "") -> Path:
    """Write an archive and a table of stars: name -> (class, text). `columns` is more text of the table's header."""
    folder.mkdir(exist_ok=True)
    write_tar(folder / "stars.tar.gz", {f"stars/{name}.dat": text.encode() for name, (_, text) in stars.items()})
    lines = [f"filename,class{columns}", *(f"{name},{label}" for name, (label, _) in stars.items())]
    (folder / "classes.dat").write_text("\n".join(lines) + "\n")
    return folder


def write_tar(path: Path, members: dict[str, bytes], mode: str = "w:gz") -> Path:
    """Write an archive."""
    with tarfile.open(path, mode) as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def lamost_values(number: int, count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Give flux and inverse variance, float32."""
    rng = np.random.default_rng(number)
    return rng.normal(100, 5, count).astype("f4"), rng.uniform(0, 2, count).astype("f4")


def write_lamost(path: Path, number: int = 0, layout: str = "image", **header) -> Path:
    """Write one spectrum in the layout ``image`` or ``table``; a name that ends in .gz is gzipped."""
    data = _lamost_bytes(number, layout, tuple((LAMOST_HEADER | header).items()))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data, mtime=0) if path.name.endswith(".gz") else data)
    return path


@functools.cache
def _lamost_bytes(number: int, layout: str, header: tuple[tuple[str, object], ...]) -> bytes:
    from astropy.io import fits

    flux, ivar = lamost_values(number)
    primary = fits.PrimaryHDU()
    units = [primary]
    if layout == "image":
        primary = fits.PrimaryHDU(np.stack([flux, ivar, flux, 0 * flux, 0 * flux]))
        primary.header["COEFF0"], primary.header["COEFF1"] = 3.568, 1e-4
        units = [primary]
    else:
        wavelength = (10 ** (3.568 + 1e-4 * np.arange(len(flux)))).astype("f4")
        columns = [
            fits.Column(name, f"{len(flux)}E", array=values[None])
            for name, values in (("FLUX", flux), ("IVAR", ivar), ("WAVELENGTH", wavelength))
        ]
        units.append(fits.BinTableHDU.from_columns(columns))
    for key, value in header:
        primary.header[key] = value
    buffer = io.BytesIO()
    fits.HDUList(units).writeto(buffer)
    return buffer.getvalue()


def lnw_text(name: str = "sn1999xx", kind: str = "Ia-norm", numbers: str = "1  2", ages=(-3.0, 10.5), bins=16) -> str:
    """Give the text of a SNID template; the first and last two bins of every epoch are not observed."""
    rng = np.random.default_rng(len(name))
    edges = 2500 * (10000 / 2500) ** ((np.arange(bins) + 0.5) / bins)
    lines = [f"{len(ages):5d} {bins:4d}   2500.00  10000.00      2  {name:>10s}       -9.99  {kind:10s} {numbers}"]
    lines.append("      2  " + "  ".join(f"2 {rng.normal():12.5f}" for _ in ages))
    lines += [f"{knot:7d}  " + "  ".join("2.5453  0.1000" for _ in ages) for knot in (1, 2)]
    lines.append("       0" + "".join(f"{age:9.3f}" for age in ages))
    for number, edge in enumerate(edges):
        values = rng.normal(size=len(ages)) * (2 <= number < bins - 2)
        lines.append(f"{edge:8.2f}" + "".join(f"{value:9.3f}" for value in values))
    return "\n".join(lines) + "\n"


def psm_light_curve(number: int, rows: int = 6) -> str:
    """Give the text of one ASAS-SN light curve; its last row is an upper limit."""
    rng = np.random.default_rng(number)
    lines = ["# star", "HJD MAG MAG_ERR FLUX FLUX_ERR"]
    for row in range(rows):
        limit = row == rows - 1
        lines.append(
            f"{2457000 + rows - row + rng.uniform():.5f}  {'>' if limit else ''}14.{row}  {99.99 if limit else 0.03}  "
            f"{5 + rng.normal():.4f}  {0.05:.4f}"
        )
    return "\n".join(lines) + "\n"


class Psm:
    """A small trimodal set: its rows by split, spoiled by a test before it is written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.columns = ("edr3_source_id", "name", "target", "spec_filename", "org_period", "mean_vmag", "parallax", "l")
        self.rows: dict[str, list[dict[str, str]]] = {"train": [], "val": [], "test": []}
        self.light_curves: dict[str, bytes] = {}
        self.spectra: dict[str, str] = {}
        number = 0
        for split, count in (("train", 12), ("val", 3), ("test", 3)):
            for _ in range(count):
                self.add(split, number)
                number += 1

    def add(self, split: str, number: int) -> None:
        """Add a star with all three parts."""
        name = f"ASASSN-V J{number:06d}.0+10"
        label, layout = ("EW", "RRAB", "SR")[number % 3], ("image", "table")[number % 2]
        spectrum = f"spec-55859-F5902_sp01-{number:03d}.fits"
        values = (str(10**18 + number), name, label, spectrum, f"{0.1 + number}", "0.5", f"{-number / 7}", "")
        self.rows[split].append(dict(zip(self.columns, values, strict=True)))
        self.light_curves[name.replace(" ", "")] = psm_light_curve(number).encode()
        self.spectra[spectrum] = layout

    def write(self) -> Path:
        """Write tables, archive and spectra."""
        tables = self.root / "preprocessed_data" / "full"
        tables.mkdir(parents=True, exist_ok=True)
        for split, rows in self.rows.items():
            lines = [",".join(self.columns), *(",".join(row[name] for name in self.columns) for row in rows)]
            (tables / f"spectra_and_v_{split}_norm.csv").write_text("\n".join(lines) + "\n")
        with zipfile.ZipFile(self.root / "vband.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in self.light_curves.items():
                archive.writestr(f"vardb_files/{name}.dat", data)
        (self.root / "Spectra" / "v2").mkdir(parents=True, exist_ok=True)
        for name, layout in self.spectra.items():
            number = int(name.split("-")[-1][:3])
            write_lamost(self.root / "Spectra" / "v2" / (name + ".gz" * (number % 5 == 0)), number, layout)
        return self.root
