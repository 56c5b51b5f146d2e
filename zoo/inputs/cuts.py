"""How much of a light curve a model is shown: until a day, or a share of the rows."""

from __future__ import annotations

import math
from typing import NamedTuple


class Cut(NamedTuple):
    """What of every light curve is kept, beside the window of an `InputConfig`.

    Attributes
    ----------
    day : float
        Rows until so many days after the reference time; infinity for all. A negative day keeps rows from before it.
    fraction : float, optional
        In its place: the first max(1, ⌊fraction · n⌋) of an object's n rows; all at 1.
    """

    day: float = math.inf
    fraction: float | None = None

    @property
    def name(self) -> str:
        """Part of the name of a score: ``day_8``, ``all``, ``fraction_0.4``."""
        if self.fraction is not None:
            return f"fraction_{self.fraction:g}"
        return "all" if math.isinf(self.day) else f"day_{self.day:g}"


WHOLE = Cut()
