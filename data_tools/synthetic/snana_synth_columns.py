"""Columns of a synthetic ELAsTiCC set: HEAD, one row an event, and PHOT, one row an observation.

Names, order and types are those of the published set: 170 columns of HEAD, 21 of PHOT. What is missing has the value
that the simulation writes in that column: -9 for most, -99, -999 and -9999 for some of the host's, 999 for magnitudes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from data_tools.synthetic.snana_synth_survey import FILTERS

_QUANTILES = tuple(f"_ZPHOT_Q{percent:03d}" for percent in range(0, 101, 10))
_MAGNITUDES = tuple(f"_{kind}_{band}" for kind in ("MAG", "MAGERR") for band in FILTERS)
_HOST = {
    # Suffix: type, value without a host, value of what the simulation never knows of a host (None: it is known).
    "_OBJID": ("i8", 0, None),
    "_FLAG": ("i2", 0, 0),
    "_PHOTOZ": ("f4", -9, None),
    "_PHOTOZ_ERR": ("f4", -9, None),
    "_SPECZ": ("f4", -9, None),
    "_SPECZ_ERR": ("f4", -9, None),
    "_RA": ("f8", -999, None),
    "_DEC": ("f8", -999, None),
    "_SNSEP": ("f4", -9, None),
    "_DDLR": ("f4", -9, None),
    "_CONFUSION": ("f4", -99, -99),
    "_LOGMASS": ("f4", -9999, None),
    **{
        f"_{name}{error}": ("f4", -9999, -9999)
        for name in ("LOGMASS", "LOGSFR", "LOGsSFR", "COLOR")
        for error in ("", "_ERR")
        if name + error != "LOGMASS"
    },
    "_ELLIPTICITY": ("f4", -9999, None),
    "_OBJID2": ("i8", 0, -9),
    "_SQRADIUS": ("f4", -9999, None),
    "_OBJID_UNIQUE": ("i8", 0, -9),
    **dict.fromkeys(_QUANTILES, ("f4", -9, None)),
    **dict.fromkeys(_MAGNITUDES, ("f4", 999, None)),
}
_BRIGHTNESS = "HOSTGAL_SB_FLUXCAL_"


def _head() -> Iterator[tuple[str, str]]:
    """Give name and NumPy type of every column of HEAD, in order."""
    kinds = {"S": "S16", "i": "i2", "j": "i4", "k": "i8", "e": "f4", "d": "f8"}

    def named(text: str) -> Iterator[tuple[str, str]]:
        for each in text.split():
            name, kind = each.rsplit(":", 1)
            yield name, kinds[kind]

    yield from named(
        "SNID:S IAUC:S FAKE:i RA:d DEC:d PIXSIZE:e NXPIX:i NYPIX:i SNTYPE:j NOBS:j PTROBS_MIN:j PTROBS_MAX:j MWEBV:e "
        "MWEBV_ERR:e REDSHIFT_HELIO:e REDSHIFT_HELIO_ERR:e REDSHIFT_FINAL:e REDSHIFT_FINAL_ERR:e VPEC:e VPEC_ERR:e "
        "HOSTGAL_NMATCH:i HOSTGAL_NMATCH2:i"
    )
    for suffix, (kind, *_) in _HOST.items():
        yield f"HOSTGAL{suffix}", kind
    # The second host has its quantiles behind its magnitudes.
    others = [name for name in _HOST if name != "_CONFUSION" and name not in _QUANTILES]
    for suffix in (*others, *_QUANTILES):
        yield f"HOSTGAL2{suffix}", _HOST[suffix][0]
    for band in FILTERS:
        yield _BRIGHTNESS + band, "f4"
    yield from named("PEAKMJD:e MJD_TRIGGER:e MJD_DETECT_FIRST:e MJD_DETECT_LAST:e SEARCH_TYPE:j")
    yield "SIM_MODEL_NAME", "S32"
    yield from named("SIM_MODEL_INDEX:i SIM_TYPE_INDEX:i")
    yield "SIM_TYPE_NAME", "S8"
    yield from named(
        "SIM_TEMPLATE_INDEX:j SIM_LIBID:j SIM_NGEN_LIBID:j SIM_NOBS_UNDEFINED:j SIM_SEARCHEFF_MASK:j "
        "SIM_REDSHIFT_HELIO:e SIM_REDSHIFT_CMB:e SIM_REDSHIFT_HOST:e SIM_REDSHIFT_FLAG:i SIM_VPEC:e "
        "SIM_HOSTLIB_GALID:k SIM_HOSTLIB(LOGMASS_TRUE):e SIM_HOSTLIB(LOG_SFR):e SIM_DLMU:e SIM_LENSDMU:e SIM_RA:d "
        "SIM_DEC:d SIM_MWEBV:e SIM_PEAKMJD:e SIM_MJD_EXPLODE:e SIM_MAGSMEAR_COH:e SIM_AV:e SIM_RV:e"
    )
    for name in ("PEAKMAG", "EXPOSURE", "GALFRAC"):
        for band in FILTERS:
            yield f"SIM_{name}_{band}", "f4"
    yield "SIM_SUBSAMPLE_INDEX", "i2"


HEAD_COLUMNS: tuple[tuple[str, str], ...] = tuple(_head())
"""Name and NumPy type of the 170 columns of HEAD."""

PHOT_COLUMNS: tuple[tuple[str, str], ...] = (
    ("MJD", "f8"),
    ("BAND", "S2"),
    ("CCDNUM", "i2"),
    ("FIELD", "S12"),
    ("PHOTFLAG", "i4"),
    ("PHOTPROB", "f4"),
    ("FLUXCAL", "f4"),
    ("FLUXCALERR", "f4"),
    ("PSF_SIG1", "f4"),
    ("PSF_SIG2", "f4"),
    ("PSF_RATIO", "f4"),
    ("SKY_SIG", "f4"),
    ("SKY_SIG_T", "f4"),
    ("RDNOISE", "f4"),
    ("ZEROPT", "f4"),
    ("ZEROPT_ERR", "f4"),
    ("GAIN", "f4"),
    ("XPIX", "f4"),
    ("YPIX", "f4"),
    ("SIM_FLUXCAL_HOSTERR", "f4"),
    ("SIM_MAGOBS", "f4"),
)
"""Name and NumPy type of the 21 columns of PHOT."""

SEPARATOR = {
    "MJD": -777.0,
    "BAND": b"-",
    "CCDNUM": -9,
    "FIELD": b"XXXX",
    "FLUXCAL": -777.0,
    "FLUXCALERR": -777.0,
    "PSF_SIG1": -9.0,
    "SKY_SIG": -9.0,
    "RDNOISE": -9.0,
    "ZEROPT": -9.0,
    "GAIN": -9.0,
    "XPIX": -9.0,
    "YPIX": -9.0,
    "SIM_MAGOBS": 99.0,
}
"""What the row behind an event holds; 0 where nothing is said."""

# What all objects share.
_CONSTANT = {
    "IAUC": b"NULL",
    "FAKE": 2,
    "PIXSIZE": 0.2,
    "NXPIX": -9,
    "NYPIX": -9,
    "VPEC": 0.0,
    "VPEC_ERR": 300.0,
    "SEARCH_TYPE": -9,
    "SIM_TYPE_NAME": b"UNKNOWN",
    "SIM_NGEN_LIBID": 1,
    "SIM_SEARCHEFF_MASK": 1,
    "SIM_LENSDMU": 0.0,
    "SIM_SUBSAMPLE_INDEX": -9,
    **{f"SIM_EXPOSURE_{band}": 1.0 for band in FILTERS},
}


def head_table(columns: dict[str, np.ndarray], hosts: Sequence[dict[str, np.ndarray]]) -> np.ndarray:
    """Put together the rows of HEAD.

    Parameters
    ----------
    columns : dict of str to ndarray
        Values [N] by column; what neither this nor `hosts` names has the simulation's constant, or 0.
    hosts : sequence of dict
        Of the first and second host: values [N] by suffix (``_PHOTOZ``), and ``known``, bool [N]. Where a host is
        not known its columns hold what stands for missing.

    Returns
    -------
    structured ndarray [N]
        Fields as `HEAD_COLUMNS`, big-endian.
    """
    table = _table(HEAD_COLUMNS, len(hosts[0]["known"]))
    for name, value in (_CONSTANT | columns).items():
        table[name] = value
    for prefix, host in zip(("HOSTGAL", "HOSTGAL2"), hosts, strict=True):
        for suffix, (_, missing, unknown) in _HOST.items():
            if prefix + suffix in table.dtype.names:
                value = host[suffix] if unknown is None else unknown
                table[prefix + suffix] = np.where(host["known"], value, missing)
    table["HOSTGAL_NMATCH"] = table["HOSTGAL_NMATCH2"] = sum(host["known"].astype(int) for host in hosts)
    return table


def phot_table(columns: dict[str, np.ndarray], rows: int) -> np.ndarray:
    """Put together rows of PHOT: fields as `PHOT_COLUMNS`, big-endian, 0 where `columns` names nothing."""
    table = _table(PHOT_COLUMNS, rows)
    for name, value in columns.items():
        table[name] = value
    return table


def _table(columns: Sequence[tuple[str, str]], rows: int) -> np.ndarray:
    # Big-endian as in the file, so that writing copies nothing.
    return np.zeros(rows, [(name, kind if kind[0] == "S" else f">{kind}") for name, kind in columns])
