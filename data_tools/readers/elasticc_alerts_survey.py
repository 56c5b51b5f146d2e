"""What ELAsTiCC's alerts are: bands, flux scale, columns of an object, classes.

Names and classes are those of the survey's SNANA files (github.com/LSSTDESC/elasticc, survey_config), so that a model
that was trained on the ones can be applied to the others.
"""

from __future__ import annotations

from collections.abc import Sequence

from tfrecords.errors import UsageError
from tfrecords.info import Band, StaticColumn

SURVEY = "elasticc"
ZERO_POINT = 27.5
FLUX_UNIT = "FLUXCAL (27.5 mag at 1)"
ALERT_ZERO_POINT = 31.4
"""Of psFlux, which is in nJy."""
EARLY_COLUMN = "hostgal_z"
"""A column of diaObject that only alerts of the early schema (before 0.9.1) have, whose psFlux is FLUXCAL."""

BANDS = (
    Band("u", (), 3670.69),
    Band("g", (), 4826.85),
    Band("r", (), 6223.24),
    Band("i", (), 7545.98),
    Band("z", (), 8590.90),
    Band("Y", ("y",), 9710.28),
)
MODELS = {
    10: "SNIa-SALT2",
    11: "SNIa-91bg",
    12: "SNIax",
    20: "SNIb-Templates",
    21: "SNIb+HostXT_V19",
    25: "SNIc-Templates",
    26: "SNIc+HostXT_V19",
    27: "SNIcBL+HostXT_V19",
    30: "SNII-NMF",
    31: "SNII-Templates",
    32: "SNII+HostXT_V19",
    35: "SNIIn-MOSFIT",
    36: "SNIIn+HostXT_V19",
    37: "SNIIb+HostXT_V19",
    40: "SLSN-I+host",
    42: "TDE",
    45: "ILOT",
    46: "CART",
    50: "KN_K17",
    51: "KN_B19",
    59: "PISN",
    60: "AGN",
    80: "RRL",
    82: "Mdwarf-flare",
    83: "EB",
    84: "dwarf-nova",
    87: "uLens-Single_PyLIMA",
    88: "uLens-Single-GenLens",
    89: "uLens-Binary",
    90: "Cepheid",
    91: "d-Sct",
    140: "SLSN-I_no_host",
}
"""Names of the simulation models by GENTYPE; 140 is a number of ours, as both SLSN models have 40."""

TARGETS = {"redshift": "ZCMB", "t0": "PEAKMJD"}
"""Truth that may stand beside an alert, by the name of the target."""

_Z_GAPS = (-9.0, -999.0, -9999.0)
_MAG_GAPS = (-9.0, -999.0, 99.0, 999.0, -9999.0)
_SHAPE_GAPS = (-9999.0, -999.0, -9.0)
_CADENCE = "the position on the sky stands for the simulated survey's cadence"


def _columns() -> dict[str, tuple[StaticColumn, tuple[str, ...]]]:
    """Describe the columns by name: each with the fields of diaObject that may hold it."""
    found: dict[str, tuple[StaticColumn, tuple[str, ...]]] = {}

    def add(name: str, fields: tuple[str, ...], missing: tuple[float, ...], unit: str = "", caution: str = "") -> None:
        found[name] = StaticColumn(name, unit, missing, caution), fields

    for host in ("HOSTGAL2", "HOSTGAL"):
        low = host.lower()
        add(f"{host}_ELLIPTICITY", (f"{low}_ellipticity",), _SHAPE_GAPS)
        for kind in ("MAG", "MAGERR"):
            for band in "Ygiruz":
                add(f"{host}_{kind}_{band}", (f"{low}_{kind.lower()}_{band}",), _MAG_GAPS, "mag")
        add(f"{host}_SNSEP", (f"{low}_snsep",), _Z_GAPS, "arcsec")
        add(f"{host}_SQRADIUS", (f"{low}_sqradius",), _Z_GAPS)
        add(f"{host}_PHOTOZ", (f"{low}_zphot",), _Z_GAPS)
        add(f"{host}_PHOTOZ_ERR", (f"{low}_zphot_err",), _Z_GAPS)
        for percent in range(0, 101, 10):
            fields = (f"{low}_zphot_q{percent:03d}", f"{low}_zphot_q{percent}")
            add(f"{host}_ZPHOT_Q{percent:03d}", fields, _Z_GAPS)
        add(f"{host}_SPECZ", (f"{low}_zspec",), _Z_GAPS)
        add(f"{host}_SPECZ_ERR", (f"{low}_zspec_err",), _Z_GAPS)
    add("MWEBV", ("mwebv",), (-9.0,), "mag")
    add("MWEBV_ERR", ("mwebv_err",), (-9.0,), "mag")
    add("REDSHIFT_HELIO", ("z_final",), (-9.0, -999.0))
    add("REDSHIFT_HELIO_ERR", ("z_final_err",), (-9.0, -999.0))
    for name, field in (("RA", "ra"), ("DEC", "decl")):
        add(name, (field,), (), "deg", _CADENCE)
    for name, field in (("HOSTGAL_RA", "hostgal_ra"), ("HOSTGAL_DEC", "hostgal_dec")):
        add(name, (field,), (-999.0, -9999.0), "deg", _CADENCE)
    return found


COLUMNS = _columns()


def check_static_columns(names: Sequence[str]) -> None:
    """Refuse unknown columns and columns named twice with UsageError."""
    unknown = [name for name in names if name not in COLUMNS]
    if unknown:
        raise UsageError(f"static columns are {', '.join(COLUMNS)}. Received: {', '.join(unknown)}")
    if len(set(names)) != len(names):
        raise UsageError(f"a static column is named once. Received: {','.join(names)}")
