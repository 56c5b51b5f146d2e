"""What PLAsTiCC is: bands, flux scale, classes, and which columns of the metadata may become inputs.

The data: the PLAsTiCC team and collaborators, Zenodo record 2539456 (CC BY 4.0). Fluxes are SNANA's FLUXCAL: 27.5 mag
for a flux of 1.
"""

from __future__ import annotations

from collections.abc import Sequence

from tfrecords.errors import UsageError
from tfrecords.info import Band, NativeClass, StaticColumn

SURVEY = "plasticc"
ZERO_POINT = 27.5
FLUX_UNIT = "FLUXCAL (27.5 mag at 1)"
# Effective wavelengths of the LSST throughputs as the published PLAsTiCC classifiers use them.
_WAVELENGTHS = {"u": 3670.69, "g": 4826.85, "r": 6223.24, "i": 7545.98, "z": 8590.90, "y": 9710.28}
BANDS = tuple(
    Band(name, (str(number), f"lsst{name}", name.upper()), wavelength)
    for number, (name, wavelength) in enumerate(_WAVELENGTHS.items())
)
CLASS_NAMES = {
    6: "muLens-Single",
    15: "TDE",
    16: "EB",
    42: "SNII",
    52: "SNIax",
    53: "Mira",
    62: "SNIbc",
    64: "KN",
    65: "M-dwarf",
    67: "SNIa-91bg",
    88: "AGN",
    90: "SNIa",
    92: "RRL",
    95: "SLSN-I",
}
_CADENCE = "the position on the sky stands for the simulated survey's cadence"
_SPECTRUM = "a spectrum of the host is not at hand when an object is classified"
STATIC_COLUMNS = {
    # A photometric redshift of 0 means "in our Galaxy": a measurement, not a gap.
    "hostgal_photoz": StaticColumn("hostgal_photoz"),
    "hostgal_photoz_err": StaticColumn("hostgal_photoz_err"),
    "mwebv": StaticColumn("mwebv", "mag"),
    "ddf_bool": StaticColumn("ddf_bool"),
    "ra": StaticColumn("ra", "deg", caution=_CADENCE),
    "decl": StaticColumn("decl", "deg", caution=_CADENCE),
    "hostgal_specz": StaticColumn("hostgal_specz", missing=(-9.0,), caution=_SPECTRUM),
    "distmod": StaticColumn(
        "distmod", "mag", (-9.0,), "computed from the redshift; missing exactly for the objects in our Galaxy"
    ),
}
DEFAULT_STATIC_COLUMNS = ("hostgal_photoz", "hostgal_photoz_err", "mwebv", "ddf_bool")
TARGETS = {"true_z": "redshift", "true_peakmjd": "t0"}


def check_static_columns(names: Sequence[str]) -> None:
    """Refuse truth about the simulation, unknown columns and columns named twice with UsageError."""
    for name in names:
        plain = name.lower()
        if plain.startswith(("true_", "tflux_")) or plain in ("libid_cadence", "target"):
            raise UsageError(
                f"column {name!r} is truth about the simulation and can never be an input; "
                f"static columns are {', '.join(STATIC_COLUMNS)}. Received: {','.join(names)}"
            )
        if name not in STATIC_COLUMNS:
            raise UsageError(f"static columns are {', '.join(STATIC_COLUMNS)}. Received: {name!r}")
    if len(set(names)) != len(names):
        raise UsageError(f"a static column is named once. Received: {','.join(names)}")


def native_class(number: int) -> NativeClass:
    """Give a class of the survey; one that is not in the published list is named by its number."""
    return NativeClass(number, CLASS_NAMES.get(number, str(number)))
