"""Makes one pair of files of the synthetic set: candidates, their light, what is detected, HEAD and PHOT."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_tools.synthetic.resimulation import luminosity_distance
from data_tools.synthetic.snana_synth_columns import SEPARATOR, head_table, phot_table
from data_tools.synthetic.snana_synth_hosts import hosts
from data_tools.synthetic.snana_synth_models import MODELS, Model
from data_tools.synthetic.snana_synth_survey import (
    DETECTED,
    EXTINCTION,
    FILTERS,
    FIRST_MJD,
    LAST_MJD,
    TRIGGER,
    Events,
    observe,
    positions,
    set_trigger,
    visits,
)
from data_tools.synthetic.snana_synth_traps import MOST_OBJECTS, Traps, mix
from data_tools.synthetic.snana_synth_variables import ActiveGalaxy

# Candidates made at once: part of what a seed means.
_BLOCK = 64
# The published ids of these two are also those of objects of other models.
_SAME_IDS = {"Cepheid": "AGN", "d-Sct": "CART"}
_SOFTWARE = "v11_05g"
_CODE = 20
_LEVEL = 6
# A FITS file is made of blocks of this length.
_FITS_BYTES = 2880


class MakePair:
    """Makes pairs of files; `processes.in_order` calls it with a pair's number.

    Parameters
    ----------
    folder : str
        Where the folders of the models stand.
    objects, files : int
        Of each model.
    seed : int
    traps : Traps or "mixed"
    """

    def __init__(self, folder: str, objects: int, files: int, seed: int, traps: Traps | str) -> None:
        self._folder, self._objects, self._files = Path(folder), objects, files
        self._seed, self._traps = seed, traps

    def __call__(self, start: int) -> tuple[int, int, int]:
        """Write pair ``start % files`` of model ``start // files``; give objects, observations and bytes."""
        place, number = divmod(start, self._files)
        model = MODELS[place]
        traps = self._traps if isinstance(self._traps, Traps) else mix(self._seed, place, number)
        first, last = (self._objects * each // self._files for each in (number, number + 1))
        head, curves = _events(place, number, self._seed, last - first)
        same = next((p for p, each in enumerate(MODELS) if each.name == _SAME_IDS.get(model.name)), place)
        head["SNID"] = np.char.encode(((same + 1) * MOST_OBJECTS + first + np.arange(len(head))).astype(str))
        phot = _with_separators(curves, traps)
        # The file is in memory once.
        del curves
        random = np.random.default_rng([self._seed, place, number, 2])
        _set_pointers(head, traps.stale_pointers, random)
        size = _write(self._folder / model.version, model, number, head, phot, traps)
        return len(head), int(head["NOBS"].sum()), size


def write_texts(folder: Path, places: Sequence[int], objects: int, files: int, seed: int) -> None:
    """Make the folders of models, with NAME.LIST (names of the HEAD files, without .gz) and NAME.README."""
    for model in (MODELS[place] for place in places):
        inside = folder / model.version
        inside.mkdir()
        names = [f"{_name(model, number, 'HEAD')}\n" for number in range(files)]
        (inside / f"{model.version}.LIST").write_text("".join(names), "ascii")
        text = (
            "DOCUMENTATION:\n"
            f"  GENVERSION: {model.version}\n"
            "  PURPOSE:    synthetic stand-in for a simulation, made by data_tools.synthetic.snana_synth\n"
            f"  GENTYPE:    {model.gentype}\n"
            f"  SEED:       {seed}\n"
            "  STAT_SUMMARY:\n"
            f"  - TOTAL     NLC_WRITE: {objects}\n"
            "DOCUMENTATION_END:\n"
        )
        (inside / f"{model.version}.README").write_text(text, "ascii")


def _events(place: int, number: int, seed: int, wanted: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Make blocks of candidates until enough of them were detected; give HEAD and light curves."""
    heads, curves, blocks = [], [], 0
    while len(curves) < wanted:
        head, more = make_block(place, np.random.default_rng([seed, place, number, 0, blocks]))
        heads.append(head)
        curves += more
        blocks += 1
    return _joined(heads)[:wanted], curves[:wanted]


def make_block(place: int, random: np.random.Generator) -> tuple[np.ndarray, list[np.ndarray]]:
    """Make candidates of a model and keep those that were detected twice.

    Parameters
    ----------
    place : int
        Of the model in `MODELS`.
    random : numpy.random.Generator

    Returns
    -------
    head : structured ndarray [N]
        Rows of HEAD without ids and pointers.
    curves : list of structured ndarray
        Rows of PHOT of each.
    """
    model = MODELS[place]
    ra, dec, mwebv = positions(random, _BLOCK, model.galactic)
    redshift = model.law.draw_redshifts(random, _BLOCK)
    events = Events(ra, dec, mwebv, redshift, random.uniform(FIRST_MJD, LAST_MJD, _BLOCK))
    seen = visits(random, events, model.law.window)
    # Where something is random but not used, what follows it does not change.
    known = (random.random(_BLOCK) < model.host) & (not model.galactic)
    first, second, surface = hosts(random, events, known)
    truth: dict[str, np.ndarray] = {}
    flux, star = model.law(random, events, seen, truth)
    if not model.galactic and not isinstance(model.law, ActiveGalaxy):
        flux = flux * 10 ** (-0.4 * mwebv[seen.owner] * EXTINCTION[seen.band])
    columns = observe(random, seen, flux, surface[seen.owner, seen.band], star)
    accepted = set_trigger(columns["PHOTFLAG"], seen.owner, _BLOCK)
    columns["BAND"] = np.array([band.encode() for band in FILTERS])[seen.band]
    phot = phot_table(columns, len(seen.owner))
    ends = np.cumsum(np.bincount(seen.owner, minlength=_BLOCK))
    curves = [phot[end - count : end] for end, count in zip(ends, np.diff(ends, prepend=0), strict=True)]
    head = _head(model, place, random, events, (first, second, surface), truth)
    _summarise(head, phot, seen, accepted)
    # Copies, so that what was not detected does not stay in memory.
    return head[accepted], [curve.copy() for curve, kept in zip(curves, accepted, strict=True) if kept]


def _head(model: Model, place: int, random: np.random.Generator, events: Events, galaxies, truth) -> np.ndarray:
    """Give HEAD of all candidates, but for what follows from their observations."""
    number, (first, second, surface) = len(events), galaxies
    known, spectrum = first["known"], first["_SPECZ"] > 0
    best = np.where(spectrum, first["_SPECZ"], first["_PHOTOZ"])
    error = np.where(spectrum, first["_SPECZ_ERR"], first["_PHOTOZ_ERR"])
    # The Sun moves at 370 km/s towards (167.9, -6.9).
    ra, dec = np.radians(events.ra - 167.94), np.radians(events.dec)
    towards = np.sin(dec) * np.sin(np.radians(-6.94)) + np.cos(dec) * np.cos(np.radians(-6.94)) * np.cos(ra)
    boost = 1 + 370 / 299792.458 * towards
    outside = events.redshift > 0
    distance = 25 + 5 * np.log10(luminosity_distance(np.where(outside, events.redshift, 1e-5)))
    cmb = (1 + events.redshift) * boost - 1
    columns = {
        "RA": events.ra,
        "DEC": events.dec,
        "SNTYPE": model.gentype + 100,
        "MWEBV": events.mwebv,
        "MWEBV_ERR": 0.05 * events.mwebv,
        "REDSHIFT_HELIO": np.where(known, best, -9),
        "REDSHIFT_HELIO_ERR": np.where(known, error, -9),
        "REDSHIFT_FINAL": np.where(known, (1 + best) * boost - 1, -9),
        "REDSHIFT_FINAL_ERR": np.where(known, error, -9),
        # Good to half a day, as the fit that the simulation imitates.
        "PEAKMJD": events.peak + np.clip(0.25 * random.standard_normal(number), -0.5, 0.5),
        "SIM_MODEL_NAME": model.label.encode(),
        "SIM_MODEL_INDEX": place + 1,
        "SIM_TYPE_INDEX": model.gentype,
        "SIM_TEMPLATE_INDEX": random.integers(1, 1000, number),
        "SIM_LIBID": random.integers(1, 50000, number),
        "SIM_REDSHIFT_HELIO": events.redshift,
        "SIM_REDSHIFT_CMB": np.where(outside, cmb, 0),
        "SIM_REDSHIFT_HOST": np.where(known, events.redshift, -9),
        "SIM_REDSHIFT_FLAG": np.where(known, np.where(spectrum, 1, 3), 0),
        "SIM_VPEC": np.where(outside, 300 * random.standard_normal(number), 0),
        "SIM_HOSTLIB_GALID": np.where(known, first["_OBJID"], -9),
        "SIM_HOSTLIB(LOGMASS_TRUE)": np.where(known, first["_LOGMASS"], -9),
        "SIM_HOSTLIB(LOG_SFR)": np.where(known, first["SFR"], -9),
        "SIM_DLMU": np.where(outside, distance, 0),
        "SIM_RA": events.ra,
        "SIM_DEC": events.dec,
        "SIM_MWEBV": events.mwebv * np.clip(1 + 0.05 * random.standard_normal(number), 0.5, 1.5),
        "SIM_PEAKMJD": events.peak,
        "SIM_MJD_EXPLODE": -9.0,
        "SIM_AV": -9.0,
        "SIM_RV": -9.0,
    } | truth
    for each, band in enumerate(FILTERS):
        columns[f"HOSTGAL_SB_FLUXCAL_{band}"] = np.where(known, surface[:, each], -999)
        columns[f"SIM_GALFRAC_{band}"] = np.where(known, surface[:, each], -9)
    return head_table(columns, (first, second))


def _summarise(head: np.ndarray, phot: np.ndarray, seen, accepted: np.ndarray) -> None:
    """Fill in what follows from an event's observations."""
    owner, mjd = seen.owner, phot["MJD"]
    head["NOBS"] = np.bincount(owner, minlength=len(head))
    detected = np.flatnonzero(phot["PHOTFLAG"] & DETECTED)
    trigger = np.flatnonzero(phot["PHOTFLAG"] & TRIGGER)
    head["MJD_TRIGGER"][owner[trigger]] = mjd[trigger]
    # Rows are in the order of time: of several values the last one stays.
    head["MJD_DETECT_LAST"][owner[detected]] = mjd[detected]
    head["MJD_DETECT_FIRST"][owner[detected[::-1]]] = mjd[detected[::-1]]
    for each, band in enumerate(FILTERS):
        rows = np.flatnonzero(seen.band == each)
        brightest = np.full(len(head), 99.0)
        np.minimum.at(brightest, owner[rows], phot["SIM_MAGOBS"][rows].astype("f8"))
        head[f"SIM_PEAKMAG_{band}"] = brightest


def _set_pointers(head: np.ndarray, stale: bool, random: np.random.Generator) -> None:
    """Set PTROBS_MIN and PTROBS_MAX, 1-based and inclusive; stale: with the rows of events that were cut out."""
    counts = head["NOBS"].astype("i8")
    before = np.cumsum(counts + 1) - counts - 1
    if stale:
        gone = random.integers(0, 3, len(head)) // 2 + (random.random(len(head)) < 0.1)
        # One event at least is pointed to where it is not.
        gone[0] += not gone.any()
        before += np.cumsum(gone * random.integers(61, 300, len(head)))
    head["PTROBS_MIN"] = before + 1
    head["PTROBS_MAX"] = before + counts


def _with_separators(curves: list[np.ndarray], traps: Traps) -> np.ndarray:
    separator = phot_table(SEPARATOR, 1)
    parts = [part for curve in curves for part in (curve, separator)]
    phot = _joined(parts if traps.last_separator else parts[:-1])
    if traps.band_pad == "blank":
        phot["BAND"] = np.char.ljust(phot["BAND"], 2, b" ")
    return phot


def _joined(tables: Sequence[np.ndarray]) -> np.ndarray:
    # NumPy's concatenate would give them this machine's byte order.
    joined = np.empty(sum(map(len, tables)), tables[0].dtype)
    start = 0
    for table in tables:
        joined[start : start + len(table)] = table
        start += len(table)
    return joined


def _name(model: Model, number: int, kind: str) -> str:
    return f"{model.file_prefix}_NONIaMODEL0-{number + 1:04d}_{kind}.FITS"


def _write(folder: Path, model: Model, number: int, head: np.ndarray, phot: np.ndarray, traps: Traps) -> int:
    """Write a pair and give its bytes on disk."""
    if traps.integer_snid:
        kinds = [(name, ">i8" if name == "SNID" else kind) for name, kind in head.dtype.descr]
        head = head.astype(np.dtype(kinds))
    new = {"DEC": traps.declination, "BAND": traps.band_column}
    size = 0
    for kind, title, table in (("HEAD", "Header", head), ("PHOT", "Photometry", phot)):
        table = table.view(np.dtype([(new.get(name, name), form) for name, form in table.dtype.descr]))
        headers = _headers(model, _name(model, number, "PHOT"), title, table, traps.empty_primary)
        path = folder / (_name(model, number, kind) + (".gz" if traps.compressed else ""))
        with open(path, "wb") as file:
            # Neither name nor time: equal content gives equal bytes.
            packed = gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) if traps.compressed else file
            with packed:
                packed.write(headers)
                packed.write(table.view("u1"))
                packed.write(bytes(-table.nbytes % _FITS_BYTES))
        size += path.stat().st_size
    return size


def _headers(model: Model, partner: str, title: str, table: np.ndarray, empty: bool) -> bytes:
    """Give the first HDU and the header of the second one."""
    from astropy.io import fits

    primary = fits.PrimaryHDU()
    if not empty:
        primary.header.extend(
            [
                ("HIERARCH CODE_IVERSION", _CODE, "Internal SNFTSIO code version"),
                ("HIERARCH SNANA_VERSION", _SOFTWARE, "SNANA version"),
                ("SURVEY", "LSST", "Survey"),
                ("HIERARCH SUBSURVEY_FLAG", 0, "SUBSURVEY_FLAG"),
                ("FILTERS", FILTERS, "List of Filters"),
                ("VERSION", model.version, "Photometry Version"),
                ("PHOTFILE", partner, "Photometry FITS file"),
                ("DATATYPE", "SIM_SNANA", "SNANA Simulation"),
            ]
        )
    # Astropy would cut off the blanks behind the bands: only the headers are its work.
    header = fits.BinTableHDU(table[:0], name=title).header
    header["NAXIS2"] = len(table)
    return "".join(each.tostring() for each in (primary.header, header)).encode("ascii")
