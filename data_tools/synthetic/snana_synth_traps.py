"""In which ways the files of the synthetic set are written: what a reader of SNANA FITS pairs has to bear."""

from __future__ import annotations

import dataclasses

import numpy as np

from tfrecords.errors import UsageError

MOST_OBJECTS = 2_000_000
"""Of a model: its ids are a range of this length."""


@dataclasses.dataclass(frozen=True)
class Traps:
    """In which ways a file is written.

    Attributes
    ----------
    band_column : {"BAND", "FLT"}
    band_pad : {"nul", "blank"}
        What follows the band's letter in its two bytes.
    last_separator : bool
        Whether a row of -777 follows the last event, too.
    stale_pointers : bool
        PTROBS_MIN and PTROBS_MAX are those of a larger file that this one was cut out of; NOBS is right.
    empty_primary : bool
        The first HDU has no keywords: neither survey nor filters nor name of the partner.
    declination : {"DEC", "DECL"}
    integer_snid : bool
        SNID as int64 instead of text.
    compressed : bool
        ``.FITS.gz`` instead of ``.FITS``.
    """

    band_column: str = "BAND"
    band_pad: str = "nul"
    last_separator: bool = True
    stale_pointers: bool = False
    empty_primary: bool = False
    declination: str = "DEC"
    integer_snid: bool = False
    compressed: bool = True

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            choices, value = CHOICES[field.name], getattr(self, field.name)
            if value not in choices:
                known = ", ".join(map(repr, choices))
                raise UsageError(f"Traps.{field.name} is one of {known}. Received: {value!r}")


CHOICES = {
    "band_column": ("BAND", "FLT"),
    "band_pad": ("nul", "blank"),
    "last_separator": (True, False),
    "stale_pointers": (False, True),
    "empty_primary": (False, True),
    "declination": ("DEC", "DECL"),
    "integer_snid": (False, True),
    "compressed": (True, False),
}
"""Values of the fields of `Traps`; the first one is that of the published set."""

MIXED = "mixed"


def mix(seed: int, place: int, number: int) -> Traps:
    """Give the combination of pair `number` of the model at `place`, which differs from the published set's."""
    random = np.random.default_rng([seed, place, number, 1])
    drawn = random.integers(0, 2, len(CHOICES))
    drawn[random.integers(len(CHOICES))] = 1
    return Traps(**{name: choices[each] for (name, choices), each in zip(CHOICES.items(), drawn, strict=True)})
