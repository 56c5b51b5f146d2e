"""Synthetic alert stamps of five classes, as a directory of records: ``python -m data_tools.stamps_synth``.

No large labelled set of stamps is public: this one stands in for it in tests, benchmarks and examples.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

import numpy as np

from data_tools.engine.conversion import add_output_flags, run_conversion
from data_tools.readers.ztf_survey import (
    ALERT_COLUMNS,
    BANDS,
    CHANNELS,
    CLASSES,
    DEFAULT_STATIC_COLUMNS,
    FLUX_UNIT,
    SURVEY,
    ZERO_POINT,
    column,
)
from data_tools.sources import Outcome, Piece, PiecewiseSource
from data_tools.synthetic.stamps_synth import Settings, class_of, make, name_of
from tfrecords import command
from tfrecords.errors import UsageError
from tfrecords.info import NativeClass

_PIECE = 50
_MOST_OBJECTS = 10**7


class StampsSynthSource(PiecewiseSource):
    """The generator as a data source; what it makes looks like ``data_tools.ztf``'s records of real alerts.

    Parameters
    ----------
    objects : int
        How many, classes in equal parts.
    seed : int
    settings : Settings
    """

    survey = SURVEY
    bands = BANDS
    zero_point = ZERO_POINT
    flux_unit = FLUX_UNIT
    static_columns = tuple(map(column, DEFAULT_STATIC_COLUMNS))
    classes = tuple(NativeClass(number, name) for number, name in enumerate(CLASSES))
    targets: tuple[str, ...] = ()
    stamp_channels = CHANNELS
    alert_columns = ALERT_COLUMNS

    def __init__(self, objects: int, seed: int, settings: Settings) -> None:
        if not 1 <= objects <= _MOST_OBJECTS:
            raise UsageError(f"--objects is 1 to {_MOST_OBJECTS:,}. Received: {objects}")
        if seed < 0:
            raise UsageError(f"--seed is not negative. Received: {seed}")
        self._objects, self._seed, self._settings = objects, seed, settings
        low, high = settings.epochs
        self.options = {
            "objects": objects, "epochs": f"{low}:{high}", "size": settings.size, "edge_share": settings.edge_share,
        }  # fmt: skip

    def __len__(self) -> int:
        return self._objects

    def labels(self) -> tuple[list[str], np.ndarray]:
        """List the objects: ids and classes."""
        numbers = range(self._objects)
        return list(map(name_of, numbers)), np.array([class_of(each, self._seed) for each in numbers], np.int64)

    def pieces(self) -> Sequence[Piece]:
        """List the pieces, of 50 objects."""
        starts = range(0, self._objects, _PIECE)
        rows = [range(start, min(start + _PIECE, self._objects)) for start in starts]
        return [Piece(f"objects {each.start} to {each.stop - 1}", each) for each in rows]

    def read(self, piece: Piece, chosen: np.ndarray | None = None) -> Iterator[Outcome]:
        """Make the objects of one piece."""
        for position, number in enumerate(piece.rows):
            if chosen is not None and not chosen[position]:
                yield Outcome(name_of(number), None, "not selected", number)
            else:
                yield Outcome(name_of(number), make(number, self._seed, self._settings), "", number)


def _epochs(text: str) -> tuple[int, int]:
    low, mark, high = text.partition(":")
    try:
        return int(low), int(high if mark else low)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"alerts are N or LOW:HIGH, as in 1:5. Received: {text!r}") from error


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m data_tools.stamps_synth",
        description="Make synthetic alerts like ZTF's as records: stamps, columns and light curves of AGN, SN, VS, "
        "asteroid and bogus.",
    )
    add_output_flags(parser)
    parser.add_argument("--objects", type=int, default=1000, metavar="N", help="classes in equal parts (%(default)s)")
    parser.add_argument(
        "--epochs", type=_epochs, default=(1, 5), metavar="N|LOW:HIGH", help="alerts of an object (1:5)"
    )
    parser.add_argument("--size", type=int, default=63, metavar="N", help="pixels of a side, odd (%(default)s)")
    parser.add_argument(
        "--edge-share", type=float, default=0.02, metavar="F", help="of objects at the chip's edge (%(default)s)"
    )
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes (%(default)s)")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    arguments = parse_arguments(argv)
    settings = Settings(arguments.epochs, arguments.size, arguments.edge_share)
    source = StampsSynthSource(arguments.objects, arguments.seed, settings)
    run_conversion(source, arguments, "data_tools.stamps_synth")


if __name__ == "__main__":
    command.run(main)
