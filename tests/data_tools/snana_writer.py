"""Small SNANA pairs with known contents, written by astropy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits


class SnanaPair:
    """Events as lists of rows ``(mjd, band, flux, error, photflag)``, and how they are laid out in the files.

    Change the attributes before `write`.
    """

    def __init__(self, events: int = 4, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.snid = [str(1000 + number) for number in range(events)]
        self.types = [11] * events
        self.events = []
        for number in range(events):
            times = np.sort(rng.uniform(59000, 59100, 5 + number))
            rows = [(t, "ugrizY"[k % 6], rng.normal(10, 30), 1 + rng.random(), 0) for k, t in enumerate(times)]
            rows[2] = (*rows[2][:4], 6144)
            rows[3] = (*rows[3][:4], 4096)
            self.events.append(rows)
        self.keywords = {"SURVEY": "LSST", "FILTERS": "ugrizY", "DATATYPE": "SIM_SNANA"}
        self.head = {"MWEBV": [0.1 + 0.01 * k for k in range(events)], "DECL": [-9.0] * events}
        self.band_column, self.band_format, self.pad = "BAND", "2A", ""
        self.last_separator = True
        self.shift = 0
        self.integer_ids = False

    def write(self, folder: Path, name: str = "X-0001", suffix: str = ".FITS.gz") -> Path:
        """Write HEAD and PHOT and give the HEAD file."""
        folder.mkdir(parents=True, exist_ok=True)
        rows, first = [], []
        for number, event in enumerate(self.events):
            first.append(len(rows) + 1)
            rows += event
            if self.last_separator or number < len(self.events) - 1:
                rows.append((-777.0, "-", -777.0, -777.0, -777))
        count = [len(event) for event in self.events]
        low = np.array(first) + self.shift
        columns = [
            fits.Column("SNID", "K" if self.integer_ids else "16A", array=self._ids()),
            fits.Column("NOBS", "J", array=np.array(count)),
            fits.Column("PTROBS_MIN", "J", array=low),
            fits.Column("PTROBS_MAX", "J", array=low + np.array(count) - 1),
            fits.Column("SIM_TYPE_INDEX", "I", array=np.array(self.types)),
            fits.Column("SIM_PEAKMJD", "E", array=np.full(len(count), 59050.5)),
            *(fits.Column(key, "D", array=np.array(values)) for key, values in self.head.items()),
        ]
        times, bands, flux, error, flags = (list(column) for column in zip(*rows, strict=True))
        phot = [
            fits.Column("MJD", "D", array=np.array(times)),
            fits.Column(self.band_column, self.band_format, array=np.array([band + self.pad for band in bands])),
            fits.Column("PHOTFLAG", "J", array=np.array(flags)),
            fits.Column("FLUXCAL", "E", array=np.array(flux)),
            fits.Column("FLUXCALERR", "E", array=np.array(error)),
        ]
        for kind, table in (("HEAD", columns), ("PHOT", phot)):
            primary = fits.PrimaryHDU()
            primary.header.update(self.keywords)
            hdus = fits.HDUList([primary, fits.BinTableHDU.from_columns(table)])
            hdus.writeto(folder / f"{name}_{kind}{suffix}", overwrite=True)
        return folder / f"{name}_HEAD{suffix}"

    def _ids(self) -> np.ndarray:
        return np.array([int(each) for each in self.snid]) if self.integer_ids else np.array(self.snid)
