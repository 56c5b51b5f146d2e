"""The 32 simulation models of ELAsTiCC, as the synthetic set makes them: name, type number, light curves.

Type numbers are the simulation's GENTYPE (column SIM_TYPE_INDEX; SNTYPE is 100 more without a spectrum).
"""

from __future__ import annotations

import dataclasses

from data_tools.synthetic.snana_synth_transients import Transient
from data_tools.synthetic.snana_synth_variables import ActiveGalaxy, Binary, DwarfNova, Flare, Lens, Pulsator

PREFIX = "ELASTICC_TRAIN"


@dataclasses.dataclass(frozen=True)
class Model:
    """A model of the simulation.

    Attributes
    ----------
    name : str
    gentype : int
    law : Transient or one of `snana_synth_variables`
        Draws redshifts and computes light.
    label : str
        Column SIM_MODEL_NAME.
    host : float
        Share of objects with a catalogued host galaxy.
    file_prefix : str
    """

    name: str
    gentype: int
    law: Transient | Pulsator | Binary | ActiveGalaxy | DwarfNova | Flare | Lens
    label: str = "NON1ASED"
    host: float = 0.95
    file_prefix: str = PREFIX

    @property
    def version(self) -> str:
        """Name of the folder, its list and its readme."""
        return f"{PREFIX}_{self.name}"

    @property
    def galactic(self) -> bool:
        """Whether its objects are stars of the Milky Way."""
        return not isinstance(self.law, (Transient, ActiveGalaxy))


def _plateau(magnitude: float, spread: float, length: float, fall: float) -> Transient:
    return Transient(
        magnitude, spread, 2.2, fall, 13000, 5600, 18, 0.4, 1.2, "plateau", length, tail=0.12, scatter=0.25
    )


def _stripped(magnitude: float, spread: float, fall: float, hot: float, redshift: float, **more) -> Transient:
    return Transient(magnitude, spread, 4.5, fall, hot, 4400, 14, redshift, 1.5, scatter=0.22, dust=0.35, **more)


def _interacting(magnitude: float, spread: float, fall: float) -> Transient:
    return Transient(
        magnitude, spread, 9, fall, 12500, 6800, 55, 0.8, 0.4, scatter=0.35, tail=0.1, window=(-50.0, 250.0)
    )


def _superluminous() -> Transient:
    return Transient(-21.4, 0.6, 16, 48, 14000, 6500, 45, 2.2, 0.7, scatter=0.3, dust=0.1, window=(-80.0, 300.0))


_DWARF = (4.05, 1.45, 0.0, -1.1, -1.65, -1.9)
_GIANT = (2.6, 0.75, 0.0, -0.28, -0.42, -0.5)
_BLUE = (0.35, 0.15, 0.0, -0.1, -0.15, -0.18)
_LENSED = "LCLIB"

MODELS: tuple[Model, ...] = (
    Model("AGN", 60, ActiveGalaxy((17.5, 23.0), (0.45, 0.2, 0.0, -0.12, -0.2, -0.22)), "AGN"),
    Model("CART", 46, Transient(-15.8, 0.7, 2.8, 12, 7500, 3800, 11, 0.18, 1.5), "SIMSED.CART"),
    Model(
        "Cepheid",
        90,
        Pulsator((14.5, 21.0), (2.0, 0.6, 0.0, -0.2, -0.28, -0.3), ((1.5, 45.0),), ((0.25, 1.3),), ((0.2, 0.4),)),
        "LCLIB",
        file_prefix=PREFIX + "FIX",
    ),
    Model(
        "d-Sct",
        91,
        Pulsator((14.8, 21.0), (1.3, 0.15, 0.0, -0.03, 0.0, 0.01), ((0.04, 0.25),), ((0.06, 0.6),), ((0.3, 0.5),)),
        "LCLIB",
        file_prefix=PREFIX + "FIX",
    ),
    Model("dwarf-nova", 84, DwarfNova((19.0, 24.5), _BLUE), "LCLIB"),
    Model("EB", 83, Binary((15.0, 21.5), _GIANT, (2.0, 1.1)), "LCLIB"),
    Model(
        "ILOT",
        45,
        Transient(-12.8, 1.0, 3.5, 90, 6500, 3600, 25, 0.03, 1.2, "plateau", 60, tail=0.05, scatter=0.3),
        "SIMSED.ILOT",
    ),
    Model("KN_B19", 51, Transient(-15.9, 0.6, 0.35, 2.8, 8500, 2500, 1.6, 0.07, 1.0, scatter=0.3, tail=0.0)),
    Model("KN_K17", 50, Transient(-15.4, 0.8, 0.4, 2.2, 6000, 2300, 1.3, 0.055, 1.5, scatter=0.35, tail=0.0)),
    Model("Mdwarf-flare", 82, Flare((16.0, 22.5), _DWARF), "LCLIB"),
    Model(
        "PISN",
        59,
        Transient(-20.8, 0.7, 22, 100, 11000, 5500, 110, 1.7, 1.2, scatter=0.25, dust=0.1, window=(-150.0, 350.0)),
        "SIMSED.PISN-MOSFIT",
    ),
    Model(
        "RRL",
        80,
        Pulsator(
            (14.8, 22.5),
            (1.35, 0.2, 0.0, -0.05, -0.06, -0.05),
            ((0.43, 0.8), (0.24, 0.43)),
            ((0.45, 1.3), (0.25, 0.6)),
            ((0.12, 0.2), (0.35, 0.5)),
        ),
        "LCLIB",
    ),
    Model("SLSN-I+host", 40, _superluminous(), "SIMSED.SLSN-I-MOSFIT"),
    Model("SLSN-I_no_host", 40, _superluminous(), "SIMSED.SLSN-I-MOSFIT", host=0.0),
    Model("SNIa-91bg", 11, Transient(-17.3, 0.45, 4.0, 15, 7600, 4200, 15, 0.4, 1.8, bump=0.05), "SIMSED.SNIa-91bg"),
    Model(
        "SNIa-SALT2",
        10,
        Transient(-19.25, 0.25, 4.5, 20, 11500, 5200, 16, 0.85, 1.2, bump=0.3, scatter=0.12),
        "SALT2.WFIRST-H17",
    ),
    Model("SNIax", 12, Transient(-16.6, 1.0, 4.0, 17, 9000, 4600, 14, 0.4, 1.4, bump=0.03), "SIMSED.SNIax"),
    Model("SNIb+HostXT_V19", 21, _stripped(-17.2, 0.8, 22, 8000, 0.45)),
    Model("SNIb-Templates", 20, _stripped(-17.4, 0.9, 20, 8000, 0.45)),
    Model("SNIc+HostXT_V19", 26, _stripped(-17.3, 0.8, 19, 7300, 0.45)),
    Model("SNIc-Templates", 25, _stripped(-17.5, 0.9, 18, 7300, 0.45)),
    Model("SNIcBL+HostXT_V19", 27, _stripped(-18.5, 0.7, 16, 8500, 0.7)),
    Model("SNII+HostXT_V19", 32, _plateau(-16.8, 0.9, 95, 170)),
    Model("SNII-NMF", 30, _plateau(-16.9, 1.0, 88, 140)),
    Model("SNII-Templates", 31, _plateau(-16.7, 1.0, 92, 110)),
    Model("SNIIb+HostXT_V19", 37, _stripped(-17.2, 0.7, 21, 8500, 0.45, bump=-0.5)),
    Model("SNIIn+HostXT_V19", 36, _interacting(-18.3, 0.9, 55)),
    Model("SNIIn-MOSFIT", 35, _interacting(-18.6, 1.1, 65), "SIMSED.SNIIn-MOSFIT"),
    Model(
        "TDE",
        42,
        Transient(-19.7, 0.8, 11, 35, 27000, 24000, 60, 0.8, 0.1, "disruption", scatter=0.3, window=(-50.0, 300.0)),
        "SIMSED.TDE-MOSFIT",
    ),
    Model("uLens-Binary", 89, Lens((16.5, 23.0), _GIANT, (35.0, 0.6), 0.7, 2), _LENSED),
    Model("uLens-Single-GenLens", 88, Lens((16.5, 23.0), _GIANT, (22.0, 0.7)), _LENSED),
    Model("uLens-Single_PyLIMA", 87, Lens((16.5, 23.0), _GIANT, (32.0, 0.6)), _LENSED),
)
"""By name, small and capital letters alike; a model's place is part of its random numbers and of its ids."""
