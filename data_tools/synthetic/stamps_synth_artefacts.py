"""What makes alerts of nothing: bad subtractions, cosmic rays, hot columns, bleeding stars, masked corners.

- subtraction: the template lies 0.3 to 1 pixel beside the exposure of a bright star or galaxy, and is up to 15 % too
  wide or narrow: a dipole or a ring.
- cosmic ray: a track of 1 to 8 pixels, sharper than any point source, in one exposure.
- hot column: one or two columns from some row to the edge of the stamp.
- bleed: a star of 7 to 10 mag, saturated in exposure and template.
- mask: a corner without values that ends near the centre, with a ramp along its edge.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from data_tools.synthetic.stamps_synth_images import GAIN

KINDS = ("subtraction", "cosmic ray", "hot column", "bleed", "mask")


class Corner(NamedTuple):
    """A corner of a stamp, beyond a straight line: distance of the line from the centre, direction of the corner."""

    distance: float
    angle: float


class Artefact(NamedTuple):
    """One artefact.

    Attributes
    ----------
    kind : str
        Of `KINDS`.
    magnitude : float
        Of a star (in r) that it needs, infinite without one.
    place : (float, float)
        Of that star, x and y in pixels from the centre.
    galaxy : bool
        Whether it is a galaxy instead.
    corner : Corner, optional
        What is masked.
    """

    kind: str
    magnitude: float = math.inf
    place: tuple[float, float] = (0.0, 0.0)
    galaxy: bool = False
    corner: Corner | None = None

    @property
    def repeats(self) -> bool:
        """Whether it may come again in another exposure."""
        return self.kind != "cosmic ray"


def draw_artefact(rng: np.random.Generator, size: int) -> Artefact:
    """Draw an artefact of a stamp of some size, each kind as likely."""
    kind = KINDS[rng.integers(len(KINDS))]
    if kind == "subtraction":
        angle, galaxy = rng.uniform(0, 2 * math.pi), bool(rng.random() < 0.3)
        magnitude = rng.uniform(13.5, 15.5) if galaxy else rng.uniform(13.5, 16.5)
        # The alert is on one of the two lobes.
        return Artefact(kind, magnitude, (0.8 * math.cos(angle), 0.8 * math.sin(angle)), galaxy)
    if kind == "bleed":
        return Artefact(kind, rng.uniform(7.0, 10.0), tuple(rng.uniform(-4, 4, 2)))
    if kind == "mask":
        angle = math.pi / 4 + math.pi / 2 * rng.integers(4) + rng.uniform(-0.5, 0.5)
        return Artefact(kind, corner=Corner(rng.uniform(2, min(6, size / 4)), angle))
    return Artefact(kind)


def misregistration(rng: np.random.Generator, artefact: Artefact | None) -> tuple[tuple[float, float], float]:
    """Draw how far a template lies beside an exposure, (x, y) in pixels, and the ratio of their widths."""
    if artefact is None or artefact.kind != "subtraction":
        return tuple(rng.normal(0, 0.04, 2)), 1 + rng.normal(0, 0.01)
    length = rng.uniform(0.3, 1.0) * rng.choice([-1.0, 1.0]) / math.hypot(*artefact.place)
    return (length * artefact.place[0], length * artefact.place[1]), 1 + rng.uniform(-0.15, 0.15)


def added(rng: np.random.Generator, artefact: Artefact, size: int, noise: float) -> np.ndarray:
    """Draw what the artefact adds to an exposure: an image [size, size], f8, in ADU.

    Parameters
    ----------
    rng : numpy.random.Generator
    artefact : Artefact
    size : int
        Pixels of a side.
    noise : float
        Standard deviation of the sky in ADU.
    """
    image, middle = np.zeros((size, size)), size // 2
    if artefact.kind == "cosmic ray":
        length, angle = rng.uniform(0, 8), rng.uniform(0, math.pi)
        along = np.arange(-length / 2, length / 2 + 0.25, 0.25)
        rows, columns = (np.rint(middle + along * way(angle)).astype(int) for way in (math.sin, math.cos))
        # Charge a pixel varies along the track.
        charge = rng.lognormal(math.log(4000), 0.7) / GAIN * rng.uniform(0.5, 1.5, (size, size))
        image[rows, columns] = np.maximum(charge, 15 * noise)[rows, columns]
    elif artefact.kind == "hot column":
        first = middle + rng.integers(-1, 2)
        start = middle - rng.integers(0, 4)
        rows = slice(start, size) if rng.random() < 0.5 else slice(0, size - start)
        image[rows, first : first + rng.integers(1, 3)] = rng.uniform(5, 40) * noise
    elif artefact.kind == "mask":
        image += 30 * noise * np.exp(-np.maximum(_before(artefact.corner, size), 0) / 1.5)
    return image


def _before(corner: Corner, size: int) -> np.ndarray:
    """Give how many pixels (size, size) lie before the line, negative beyond it."""
    along = np.arange(size) - size // 2
    return corner.distance - along * math.cos(corner.angle) - along[:, None] * math.sin(corner.angle)


def masked(corner: Corner, size: int) -> np.ndarray:
    """Give which pixels [size, size], bool, lie beyond the line."""
    return _before(corner, size) < 0
