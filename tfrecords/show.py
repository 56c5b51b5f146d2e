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
from tfrecords.schema import FLAG_DETECTED, FLAG_SATURATED, FLAG_TRIGGER, FLAG_UNKNOWN, Record, Spectrum

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
        lines.append(("spectrum", _describe_spectrum(record.spectrum)))
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


def _describe_spectrum(spectrum: Spectrum) -> str:
    if not len(spectrum.flux):
        return "no values"
    low, high = spectrum.wavelength[[0, -1]]
    text = f"{len(spectrum.flux)} values, {low:g} to {high:g} angstrom"
    missing, unobserved = int(np.isnan(spectrum.flux).sum()), int((spectrum.ivar == 0).sum())
    text += f", {missing} missing" if missing else ""
    text += f", {unobserved} with no weight (ivar 0)" if unobserved else ""
    return text + (", errors unknown" if np.isnan(spectrum.ivar).any() else "")


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
    """Plot the light curve, one panel a band, and the spectrum in a panel below.

    Detections are filled, other points hollow; the trigger is a star, a saturated point a cross. The spectrum's grey
    area is one standard deviation, where it is known.

    Raises
    ------
    UsageError
        If the object has neither.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not has_plot(record):
        raise UsageError(f"object {record.object_id!r} has no light curve or spectrum to plot")
    numbers = np.unique(record.lc.band) if record.lc is not None else np.zeros(0, int)
    has_spectrum = record.spectrum is not None and len(record.spectrum.flux) > 0
    panels = len(numbers) + 2 * has_spectrum
    figure = Figure(figsize=(9, 1.2 + 1.5 * panels), layout="constrained")
    FigureCanvasAgg(figure)
    title = " ".join(value for _, value in describe(record, info)[1:3]) + f"  {record.object_id}"
    if not len(numbers):
        _plot_spectrum(figure.subplots(), record.spectrum)
        figure.suptitle(title, x=0.3)
        return figure
    part = figure
    if has_spectrum:
        part, below = figure.subfigures(2, 1, height_ratios=(1.2 + 1.5 * len(numbers), 3))
        _plot_spectrum(below.subplots(), record.spectrum)
    axes = part.subplots(len(numbers), 1, sharex=True, squeeze=False)[:, 0]
    for axis, number in zip(axes, numbers, strict=True):
        _plot_band(axis, record, int(number), _COLORS[number % len(_COLORS)])
        axis.set_ylabel(info.bands[number].name)
    handles, labels = {}, []
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    labels = list(handles)
    part.legend([handles[label] for label in labels], labels, loc="outside upper right", ncols=4, fontsize=8)
    axes[-1].set_xlabel("MJD (days)")
    part.supylabel(f"flux ({info.flux_unit})", fontsize=9)
    part.suptitle(title, x=0.3)
    return figure


def has_plot(record: Record) -> bool:
    """Say whether a record has a light curve or a spectrum with values."""
    rows = 0 if record.lc is None else len(record.lc)
    return rows > 0 or (record.spectrum is not None and len(record.spectrum.flux) > 0)


def _plot_spectrum(axis, spectrum: Spectrum) -> None:
    wavelength, flux = spectrum.wavelength.astype("f8"), spectrum.flux.astype("f8")
    with np.errstate(divide="ignore", over="ignore"):
        error = 1 / np.sqrt(spectrum.ivar.astype("f8"))
    known = np.isfinite(error) & np.isfinite(flux)
    if known.any():
        error = np.where(known, error, np.nan)
        axis.fill_between(wavelength, flux - error, flux + error, color="0.85", lw=0, label="one standard deviation")
        # A single pixel of small weight would set the range.
        low, high = np.nanpercentile(flux[known], [0.5, 99.5])
        margin = 0.3 * (high - low) or 1.0
        axis.set_ylim(low - margin, high + margin)
    axis.plot(wavelength, flux, color="black", lw=0.7)
    axis.set_xlabel("wavelength (angstrom)")
    axis.set_ylabel("flux of the spectrum")


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
    if has_plot(record):
        path = arguments.plot or Path(re.sub(r"[^\w.+-]", "_", record.object_id) + ".png")
        plot(record, directory.info).savefig(path, dpi=120)
        print(f"plot: {path}")
    elif arguments.plot is not None:
        raise UsageError(
            f"object {record.object_id!r} has no light curve or spectrum to plot. Received: --plot {arguments.plot}"
        )


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
