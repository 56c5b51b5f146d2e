"""Show one object: ``python -m tfrecords.show DIR --object ID [--plot FILE.png]``."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfrecords import command
from tfrecords.errors import UsageError
from tfrecords.info import DatasetInfo
from tfrecords.reader import RecordDirectory
from tfrecords.sample import sample_path
from tfrecords.schema import FLAG_DETECTED, FLAG_SATURATED, FLAG_TRIGGER, FLAG_UNKNOWN, Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FLAGS = {
    "detected": FLAG_DETECTED,
    "trigger": FLAG_TRIGGER,
    "saturated": FLAG_SATURATED,
    "unknown": FLAG_UNKNOWN,
}
_COLORS = ("#56b4e9", "#009e73", "#d55e00", "#cc79a7", "#e69f00", "#000000")


def describe(record: Record, info: DatasetInfo) -> list[tuple[str, str]]:
    """Describe a record without its rows: pairs of what and its value."""
    names = {native.id: native.name for native in info.classes}
    class_name = "unlabelled" if record.class_id == -1 else names.get(record.class_id, "?")
    lines = [
        ("object", record.object_id),
        ("survey", record.survey),
        ("class", f"{class_name} ({record.class_id})"),
    ]
    for column, value in zip(info.static_columns, [] if record.static is None else record.static, strict=False):
        missing = np.isnan(value) or any(np.float32(each) == value for each in column.missing)
        lines.append((column.name, f"{value:.6g} {column.unit}".strip() + (" (missing)" if missing else "")))
    for name, value in sorted(record.targets.items()):
        text = f"{value[0]:.10g}" if len(value) == 1 else f"{len(value)} values"
        lines.append((f"target {name}", text))
    if record.spectrum is not None:
        low, high = record.spectrum.wavelength[[0, -1]]
        lines.append(("spectrum", f"{len(record.spectrum.flux)} values, {low:g} to {high:g} angstrom"))
    if record.stamps is not None:
        lines.append(("stamps", " x ".join(map(str, record.stamps.images.shape)) + " (alert, y, x, channel)"))
    if record.lc is None:
        lines.append(("light curve", "none"))
    elif len(record.lc):
        first, last = record.lc.time[[0, -1]]
        lines.append(("light curve", f"{len(record.lc)} rows, MJD {first:.4f} to {last:.4f}"))
    else:
        lines.append(("light curve", "no rows"))
    return lines


def band_rows(record: Record, info: DatasetInfo) -> list[tuple[str, ...]]:
    """Count the rows of a light curve by band: name, wavelength, rows, rows by flag, lowest and highest flux."""
    rows = []
    for number, band in enumerate(info.bands):
        mine = record.lc.band == number
        flux, flags = record.lc.flux[mine], record.lc.flags[mine]
        counts = [str(int(((flags & bit) > 0).sum())) for bit in _FLAGS.values()]
        span = (f"{flux.min():.4g}", f"{flux.max():.4g}") if len(flux) else ("", "")
        rows.append((band.name, f"{band.wavelength_angstrom:.0f}", str(len(flux)), *counts, *span))
    return rows


def plot(record: Record, info: DatasetInfo) -> Figure:
    """Plot the light curve, one panel a band.

    Detections are filled, other points hollow; the trigger is a star, a saturated point a cross.

    Raises
    ------
    UsageError
        If the object has no light curve.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if record.lc is None or not len(record.lc):
        raise UsageError(f"object {record.object_id!r} has no light curve to plot")
    numbers = np.unique(record.lc.band)
    figure = Figure(figsize=(9, 1.2 + 1.5 * len(numbers)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(numbers), 1, sharex=True, squeeze=False)[:, 0]
    for axis, number in zip(axes, numbers, strict=True):
        _plot_band(axis, record, int(number), _COLORS[number % len(_COLORS)])
        axis.set_ylabel(info.bands[number].name)
    handles, labels = {}, []
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    labels = list(handles)
    figure.legend([handles[label] for label in labels], labels, loc="outside upper right", ncols=4, fontsize=8)
    axes[-1].set_xlabel("MJD (days)")
    figure.supylabel(f"flux ({info.flux_unit})", fontsize=9)
    figure.suptitle(" ".join(value for _, value in describe(record, info)[1:3]) + f"  {record.object_id}", x=0.3)
    return figure


def _plot_band(axis, record: Record, number: int, color: str) -> None:
    lc = record.lc
    mine = lc.band == number
    time, flux, error, flags = lc.time[mine], lc.flux[mine], lc.flux_err[mine], lc.flags[mine]
    detected = (flags & FLAG_DETECTED) > 0
    for chosen, fill, label in ((detected, color, "detected"), (~detected, "white", "not detected")):
        if chosen.any():
            axis.errorbar(
                time[chosen], flux[chosen], error[chosen], fmt="o", ms=3.5, lw=0.7,
                color=color, mfc=fill, mew=0.7, label=label,
            )  # fmt: skip
    for bit, marker, size, label in (
        (FLAG_TRIGGER, "*", 130, "trigger"),
        (FLAG_SATURATED, "x", 45, "saturated"),
    ):
        chosen = (flags & bit) > 0
        if chosen.any():
            axis.scatter(time[chosen], flux[chosen], size, "red", marker=marker, zorder=3, label=label)
    axis.axhline(0, color="0.8", lw=0.7, zorder=0)


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m tfrecords.show", description="Print one object of a directory of records and plot it."
    )
    parser.add_argument("directory", type=Path, nargs="?", default=sample_path(), help="default: embedded sample")
    parser.add_argument("--object", required=True, metavar="ID", help="object id")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="where the plot goes (default: <id>.png)")
    command.add_common_flags(parser)
    arguments = parser.parse_args(argv)
    if arguments.plot is not None and arguments.plot.suffix.lower() != ".png":
        raise UsageError(f"--plot takes the name of a PNG file. Received: {arguments.plot}")
    directory = RecordDirectory(arguments.directory)
    index = directory.find(arguments.object)
    record = directory.record(index)
    _print(record, directory, index)
    if record.lc is not None and len(record.lc):
        path = arguments.plot or Path(re.sub(r"[^\w.+-]", "_", record.object_id) + ".png")
        plot(record, directory.info).savefig(path, dpi=120)
        print(f"plot: {path}")
    elif arguments.plot is not None:
        raise UsageError(f"object {record.object_id!r} has no light curve to plot. Received: --plot {arguments.plot}")


def _print(record: Record, directory: RecordDirectory, index: int) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("stored in", directory.where(index))
    for what, value in describe(record, directory.info):
        table.add_row(what, value)
    console.print(table)
    if record.lc is not None:
        table = Table("band", "angstrom", "rows", *_FLAGS, "lowest", "highest", box=None, pad_edge=False)
        for row in band_rows(record, directory.info):
            table.add_row(*row)
        console.print()
        console.print(table)


if __name__ == "__main__":
    command.run(main)
