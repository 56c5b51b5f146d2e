"""Files of a report: written beside their place and renamed when whole."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def write_bytes(path: Path, data: bytes) -> Path:
    """Write a file so that it is there whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(temporary, "wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def write_text(path: Path, text: str) -> Path:
    """Write text as UTF-8."""
    return write_bytes(path, text.encode("utf-8"))


def write_csv(path: Path, table: pd.DataFrame) -> Path:
    """Write a table without its index; NaN is an empty cell, day inf is ``inf``."""
    return write_text(path, table.to_csv(index=False, lineterminator="\n"))


def write_json(path: Path, content: Any) -> Path:
    """Write JSON that every reader takes: NaN becomes null, infinity the text ``inf``."""
    return write_text(path, json.dumps(_plain(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_figure(path: Path, figure: Figure) -> Path:
    """Write a figure as PNG; the bytes carry neither time nor program version."""
    import io

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return write_bytes(path, buffer.getvalue())


def write_animation(path: Path, figures: Sequence[Figure], milliseconds: int = 500) -> Path:
    """Write figures of one size as the frames of a GIF that goes round."""
    from matplotlib.animation import PillowWriter

    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part.gif")
    writer = PillowWriter(fps=1000 / milliseconds)
    try:
        writer.setup(figures[0], temporary, dpi=80)
        for figure in figures:
            writer.fig = figure
            writer.grab_frame()
        writer.finish()
        return write_bytes(path, temporary.read_bytes())
    finally:
        temporary.unlink(missing_ok=True)


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Give a table as a list of rows with Python's own numbers."""
    return [_plain(row) for row in table.astype(object).to_dict("records")]


def markdown_table(rows: Sequence[Sequence[str]], header: Sequence[str], text: Sequence[int] = (0,)) -> str:
    """Lay out cells as a Markdown table; the columns `text` stand to the left, the others to the right."""
    lines = [header, [":--" if i in text else "--:" for i in range(len(header))], *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def number(value: float, error: float | None = None, digits: int = 3) -> str:
    """Write a score, with its error where there is one; a dash where it is not defined."""
    if value is None or math.isnan(value):
        return "–"
    text = f"{value:.{digits}f}"
    return text if error is None or math.isnan(error) else f"{text} ± {error:.{digits}f}"


def slug(text: str, taken: set[str]) -> str:
    """Turn a name into a part of a file name that is not taken yet, and take it."""
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-.") else "_" for c in text).strip("._") or "x"
    name, n = safe[:60], 1
    while name.lower() in taken:
        n += 1
        name = f"{safe[:60]}_{n}"
    taken.add(name.lower())
    return name


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if type(value).__name__ == "NAType":
        return None
    return value
