"""A synthetic set of gzipped SNANA FITS pairs of many classes, like the training set of ELAsTiCC, of any size.

No public set of several classes is small: this one stands in for it in tests, benchmarks and examples. It has the 32
simulation models, their folders and files, the 170 columns of HEAD and 21 of PHOT with what stands there for missing
values, and light curves that are of each model's kind (`snana_synth_models`) as the survey would see them
(`snana_synth_survey`). As in the simulation an event is written if it was detected twice.

Versions of SNANA and those who cut files down differ in ways that a reader has to bear: see `Traps`.

A file's random numbers are those of the seed, its model and its number, whatever other files are made and when.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from data_tools.engine.processes import cores, in_order
from data_tools.synthetic.snana_synth_files import MakePair, write_texts
from data_tools.synthetic.snana_synth_models import MODELS
from data_tools.synthetic.snana_synth_traps import CHOICES, MIXED, MOST_OBJECTS, Traps
from tfrecords import command
from tfrecords.errors import DataError, UsageError


@dataclasses.dataclass(frozen=True)
class Summary:
    """What was made.

    Attributes
    ----------
    models, pairs, objects, rows, size : int
        How many; `rows` are observations, `size` is in bytes on disk.
    """

    models: int
    pairs: int
    objects: int
    rows: int
    size: int


def synthesise(
    out: str | os.PathLike,
    objects_per_class: int,
    files_per_class: int = 1,
    seed: int = 0,
    *,
    models: Sequence[str] | None = None,
    traps: Traps | str | None = None,
    workers: int = 1,
    quiet: bool = True,
) -> Summary:
    """Make a set: a folder a model, in it pairs of HEAD and PHOT, a list and a readme.

    Parameters
    ----------
    out : path
        Directory to make. It may exist if it is empty.
    objects_per_class : int
        Written objects of each model.
    files_per_class : int
        Pairs of each model; the objects are shared out evenly.
    seed : int
        From 0. The same seed gives the same bytes.
    models : sequence of str, optional
        Names of simulation models; all 32 by default.
    traps : Traps or "mixed", optional
        How files are written; "mixed" gives each pair another combination. As the published set by default.
    workers : int
        Processes; 1 makes everything in this one. Each holds one pair in memory.
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
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: there is something already; name a directory to make. Received: --out {out}")
    for flag, value, most in (
        ("--files", files_per_class, 9999),
        ("--objects", objects_per_class, MOST_OBJECTS),
    ):
        if not 1 <= value <= most:
            raise UsageError(f"{flag} is between 1 and {most:,}. Received: {value}")
    if files_per_class > objects_per_class:
        raise UsageError(
            f"every file holds an object: --files is at most {objects_per_class}, as --objects. "
            f"Received: {files_per_class}"
        )
    for flag, value, least in (("--seed", seed, 0), ("--workers", workers, 1)):
        if value < least:
            raise UsageError(f"{flag} is at least {least}. Received: {value}")
    if isinstance(traps, str) and traps != MIXED:
        raise UsageError(f"traps are a Traps or {MIXED!r}. Received: {traps!r}")
    chosen = _places(models)
    making = out.resolve().with_name(f".{out.resolve().name}.making-{os.getpid()}")
    starts = [place * files_per_class + number for place in chosen for number in range(files_per_class)]
    arguments = (os.fspath(making), objects_per_class, files_per_class, seed, traps or Traps())
    try:
        making.mkdir(parents=True)
        write_texts(making, chosen, objects_per_class, files_per_class, seed)
        pairs = in_order(MakePair, arguments, starts, workers, f"{out}: a process that makes a pair of files")
        sizes = list(command.progress(pairs, "making files", len(starts), quiet))
        os.replace(making, out)
    except OSError as error:
        raise DataError(f"cannot write {out}: {error.strerror or error}; nothing of it was kept") from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return Summary(len(chosen), len(starts), *map(sum, zip(*sizes, strict=True)))


def _places(names: Sequence[str] | None) -> list[int]:
    """Give the places of models in `MODELS`, in order."""
    known = [model.name for model in MODELS]
    if names is None:
        return list(range(len(known)))
    for name in names:
        if name not in known:
            raise UsageError(f"--models: names are {', '.join(known)}. Received: {name!r}")
    if not names:
        raise UsageError(f"--models names one at least of {', '.join(known)}. Received: none")
    return sorted({known.index(name) for name in names})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the command, ``--quiet`` and ``--debug`` among them."""
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="directory to make")
    parser.add_argument("--objects", type=int, default=100, metavar="N", help="of each model (%(default)s)")
    parser.add_argument("--files", type=int, default=1, metavar="K", help="pairs of files a model (%(default)s)")
    parser.add_argument("--models", metavar="A,B,...", help="names of simulation models (default: all 32)")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (0)")
    parser.add_argument("--workers", type=int, default=cores(), metavar="N", help="processes (one a core: %(default)s)")
    traps = parser.add_argument_group("how the files are written")
    traps.add_argument("--flt", action="store_true", help="name the band column FLT")
    traps.add_argument("--blank-pad", action="store_true", help="pad bands with a blank instead of a NUL")
    traps.add_argument("--no-last-separator", action="store_true", help="no row of -777 behind the last event")
    traps.add_argument("--stale-pointers", action="store_true", help="pointers of a larger file")
    traps.add_argument("--empty-primary", action="store_true", help="no keywords in the first HDU")
    traps.add_argument("--decl", action="store_true", help="name the declination DECL")
    traps.add_argument("--integer-snid", action="store_true", help="SNID as a number")
    traps.add_argument("--plain", action="store_true", help="no compression")
    traps.add_argument("--mixed-traps", action="store_true", help="another combination of these in every pair")
    command.add_common_flags(parser)


_FLAGS = {
    "flt": "band_column",
    "blank_pad": "band_pad",
    "no_last_separator": "last_separator",
    "stale_pointers": "stale_pointers",
    "empty_primary": "empty_primary",
    "decl": "declination",
    "integer_snid": "integer_snid",
    "plain": "compressed",
}


def run(arguments: argparse.Namespace) -> None:
    """Make the set that flags of `add_arguments` ask for, and print what was made.

    Raises
    ------
    UsageError, DataError
        As `synthesise`, or if ``--mixed-traps`` is given with one of the combination's own flags.
    """
    given = [flag for flag in _FLAGS if getattr(arguments, flag)]
    if arguments.mixed_traps and given:
        flag = "--" + given[0].replace("_", "-")
        raise UsageError(f"--mixed-traps draws every combination itself; leave out one of both. Received: {flag}")
    traps = MIXED if arguments.mixed_traps else Traps(**{_FLAGS[flag]: CHOICES[_FLAGS[flag]][1] for flag in given})
    names = None if arguments.models is None else [name for name in arguments.models.split(",") if name]
    made = synthesise(
        arguments.out,
        arguments.objects,
        arguments.files,
        arguments.seed,
        models=names,
        traps=traps,
        workers=arguments.workers,
        quiet=arguments.quiet,
    )
    print(
        f"{arguments.out}: {made.objects} objects of {made.models} models with {made.rows} observations, "
        f"{made.pairs} pairs of files, {made.size / 1e6:.1f} MB"
    )
