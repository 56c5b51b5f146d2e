"""A synthetic trimodal set in AstroM3's layout: light curves, spectra and metadata of variable stars of ten classes.

The real set cannot be passed on: this one stands in for it in tests, benchmarks and examples. The three parts of a star
follow from one star (`psm_synth_stars`): its light curve from period, amplitude and magnitude (`psm_synth_curves`), its
spectrum from temperature, kind and velocity (`psm_synth_spectra`), its metadata from luminosity, distance and dust.

Classes have their published shares or are balanced. The splits have 80, 10 and 10 % of each class (the published ones
are not stratified). Every star's random numbers are those of the seed and its number.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
from pathlib import Path

import numpy as np

from data_tools.engine.processes import cores, in_order
from data_tools.synthetic.psm_synth_files import (
    ARCHIVE,
    BLOCK,
    SPECTRA,
    MakeStars,
    Shares,
    write_archive,
    write_tables,
)
from data_tools.synthetic.psm_synth_stars import KINDS
from tfrecords import command
from tfrecords.errors import DataError, UsageError

MOST_OBJECTS = 100_000
POINTS = 220


@dataclasses.dataclass(frozen=True)
class Summary:
    """What was made: how many stars, light curves and spectra."""

    stars: int
    light_curves: int
    spectra: int


def class_counts(objects: int, balanced: bool = False) -> dict[str, int]:
    """Share stars out to the classes.

    Parameters
    ----------
    objects : int
        At least 10: every class has a star.
    balanced : bool
        The same number each, instead of the published shares.
    """
    weights = np.ones(len(KINDS)) if balanced else np.array([kind.count for kind in KINDS.values()], float)
    exact = weights / weights.sum() * objects
    counts = np.maximum(np.floor(exact).astype(int), 1)
    # Largest remainders; where small classes were raised to one star, the largest gives.
    for place in np.argsort(counts - exact, kind="stable"):
        counts[place] += counts.sum() < objects
    while counts.sum() > objects:
        counts[np.argmax(counts)] -= 1
    return dict(zip(KINDS, counts.tolist(), strict=True))


def synthesise(
    out: str | os.PathLike,
    objects: int,
    seed: int = 0,
    *,
    balanced: bool = False,
    points: float = POINTS,
    shares: Shares | None = None,
    workers: int = 1,
    quiet: bool = True,
) -> Summary:
    """Make a set.

    Parameters
    ----------
    out : path
        Directory to make. It may exist if it is empty.
    objects : int
        Stars, from 20.
    seed : int
        From 0. The same seed gives the same bytes.
    balanced : bool
        As many stars of each class, instead of the published shares.
    points : float
        Median number of observations of a star.
    shares : Shares, optional
        Of missing parts and partial spectra.
    workers : int
        Processes; 1 makes everything in this one.
    quiet : bool
        No progress bar.

    Returns
    -------
    Summary

    Raises
    ------
    UsageError
        If an argument cannot be, or `out` holds something.
    DataError
        If a process dies or the disk fails. Nothing stays at `out`.
    """
    out, shares = Path(out), shares or Shares()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: there is something already; name a directory to make. Received: {out}")
    for flag, value, least, most in (
        ("--objects", objects, 2 * len(KINDS), MOST_OBJECTS),
        ("--points", points, 5, 2000),
        ("--seed", seed, 0, 2**63 - 1),
        ("--workers", workers, 1, 1024),
        *((f"--{name.replace('_', '-')}", value, 0, 1) for name, value in dataclasses.asdict(shares).items()),
    ):
        if not least <= value <= most:
            raise UsageError(f"{flag} is between {least:,} and {most:,}. Received: {value}")
    random = np.random.default_rng([seed, 0, 99])
    kinds = np.repeat(list(KINDS), list(class_counts(objects, balanced).values()))
    splits = _splits(kinds, random)
    order = random.permutation(objects)
    kinds, splits = kinds[order].tolist(), splits[order]
    making = out.resolve().with_name(f".{out.resolve().name}.making-{os.getpid()}")
    arguments = (os.fspath(making / SPECTRA), kinds, seed, points, shares)
    try:
        (making / SPECTRA).mkdir(parents=True)
        starts = range(0, objects, BLOCK)
        blocks = in_order(MakeStars, arguments, starts, workers, f"{out}: a process that makes stars")
        blocks = command.progress(blocks, "making stars", len(starts), quiet)
        rows, curves = write_archive(making / ARCHIVE, blocks)
        write_tables(making, rows, splits)
        os.replace(making, out)
    except OSError as error:
        raise DataError(f"cannot write {out}: {error.strerror or error}; nothing of it was kept") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return Summary(objects, curves, sum(bool(row["spec_filename"]) for row in rows))


def _splits(kinds: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Give the splits of stars sorted by class: the first of a class trains, of each ten others one validates."""
    first = np.append(True, kinds[1:] != kinds[:-1])
    pattern = np.array(["train"] * 4 + ["val"] + ["train"] * 4 + ["test"], object)
    splits = np.full(len(kinds), "train", object)
    splits[~first] = pattern[(np.arange(np.sum(~first)) + random.integers(10)) % 10]
    return splits


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the command, ``--quiet`` and ``--debug`` among them."""
    parser.add_argument("out", type=Path, metavar="OUT", help="directory to make")
    parser.add_argument("--objects", type=int, default=1500, metavar="N", help="stars (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (0)")
    parser.add_argument("--balanced", action="store_true", help="as many stars of each class (default: as published)")
    parser.add_argument("--points", type=float, default=POINTS, metavar="N",
                        help="median number of observations (%(default)s)")  # fmt: skip
    for name, what in (("light-curve", "light curve"), ("spectrum", "spectrum"), ("metadata", "metadata")):
        parser.add_argument(f"--no-{name}", type=float, default=0.0, metavar="SHARE",
                            help=f"share of stars without {what} (0)")  # fmt: skip
    parser.add_argument("--partial-spectra", type=float, default=Shares.partial_spectra, metavar="SHARE",
                        help="share of spectra that end early or begin late (%(default)s)")  # fmt: skip
    parser.add_argument("--workers", type=int, default=cores(), metavar="N", help="processes (one a core: %(default)s)")
    command.add_common_flags(parser)


def run(arguments: argparse.Namespace) -> None:
    """Make the set that flags of `add_arguments` ask for, and print what was made. Raises as `synthesise`."""
    shares = Shares(arguments.no_light_curve, arguments.no_spectrum, arguments.no_metadata, arguments.partial_spectra)
    made = synthesise(
        arguments.out,
        arguments.objects,
        arguments.seed,
        balanced=arguments.balanced,
        points=arguments.points,
        shares=shares,
        workers=arguments.workers,
        quiet=arguments.quiet,
    )
    print(f"{arguments.out}: {made.stars} stars, {made.light_curves} light curves, {made.spectra} spectra")
