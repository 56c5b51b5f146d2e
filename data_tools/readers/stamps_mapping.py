"""Which cutouts belong to which rows of a table, and what its columns mean: a YAML file, checked key by key."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from data_tools.formats.yaml_keys import Node, read_yaml
from data_tools.readers.table_mapping import (
    Attribute,
    Classes,
    Layout,
    take_attribute,
    take_classes,
    take_layout,
    take_time,
)
from tfrecords.errors import UsageError

_MAX_SIDE = 4096


@dataclass(frozen=True)
class StampMapping:
    """A checked mapping; the README describes the keys.

    Attributes
    ----------
    survey : str
    channels : tuple of str
    size : (int, int)
        Height and width.
    array : str
        Name of an .npy file whose rows are those of the table; empty if there are files.
    files : tuple of str
        Names of files with the table's columns in braces: one for all channels, or one a channel.
    pad, keep_missing : bool
        What becomes of cutouts of another shape (put into the middle of NaN, or quarantined) and of missing ones.
    tables : tuple of str
    layout : Layout
    id, time : str
        Columns.
    time_shift : float
        Days to add to have an MJD.
    classes : Classes or None
    columns, static, targets : tuple of Attribute
        Of every alert, and of an object (its first row).
    """

    survey: str
    channels: tuple[str, ...]
    size: tuple[int, int]
    array: str
    files: tuple[str, ...]
    pad: bool
    keep_missing: bool
    tables: tuple[str, ...]
    layout: Layout
    id: str
    time: str
    time_shift: float
    classes: Classes | None
    columns: tuple[Attribute, ...]
    static: tuple[Attribute, ...]
    targets: tuple[Attribute, ...]

    @property
    def placeholders(self) -> tuple[str, ...]:
        """Columns that the names of files are made of."""
        return tuple(dict.fromkeys(name for file in self.files for name in _fields(file) if name))

    @property
    def texts(self) -> tuple[str, ...]:
        """Every column of the table that is read."""
        attributes = [each.column for each in (*self.columns, *self.static, *self.targets)]
        label = [self.classes.column] if self.classes is not None and self.classes.column else []
        return tuple(dict.fromkeys((self.id, self.time, *label, *self.placeholders, *attributes)))

    def names(self, values: Mapping[str, str]) -> list[str]:
        """Give the names of a row's files."""
        return [file.format_map(values) for file in self.files]


def load_stamp_mapping(path: Path) -> StampMapping:
    """Read a mapping. Raises UsageError naming the wrong key."""
    if path.suffix not in (".yaml", ".yml") or not path.is_file():
        raise UsageError(f"a mapping is a .yaml file. Received: {str(path)!r}")
    node = Node(read_yaml(path), "", path.name)
    survey, stamps, table = node.text("survey"), node.node("stamps"), node.node("table")
    node.end()
    channels = stamps.texts("channels")
    if not channels or len(set(channels)) != len(channels):
        stamps.refuse("channels", "names every channel once", list(channels))
    size = stamps.take("size")
    if not isinstance(size, list) or len(size) != 2 or not all(type(n) is int and 0 < n <= _MAX_SIDE for n in size):
        stamps.refuse("size", f"is [height, width] in pixels, up to {_MAX_SIDE}", size)
    if ("array" in stamps) == ("files" in stamps):
        stamps.refuse("files", "or 'array' is given, one of them", [])
    files = stamps.texts("files", ())
    if files and len(files) not in (1, len(channels)):
        stamps.refuse("files", f"has one name, or one for each of the {len(channels)} channels", list(files))
    for file in files:
        if not all(name is None or name.isidentifier() for name in _fields(file)):
            stamps.refuse("files", "are names of files with columns in braces, such as '{candid}.fits'", file)
    array = stamps.text("array", "")
    pad = stamps.choice("odd_shapes", ("quarantined", "padded"), "quarantined") == "padded"
    keep_missing = stamps.choice("missing_files", ("quarantined", "nan"), "quarantined") == "nan"
    stamps.end()
    time, shift = take_time(table)
    attributes = {
        key: tuple(take_attribute(each) for each in table.nodes(key, ())) for key in ("columns", "static", "targets")
    }
    for key, listed in attributes.items():
        if len({each.name for each in listed}) != len(listed):
            table.refuse(key, "names everything once", [each.name for each in listed])
    mapping = StampMapping(
        survey=survey,
        channels=channels,
        size=(size[0], size[1]),
        array=array,
        files=files,
        pad=pad,
        keep_missing=keep_missing,
        tables=table.texts("files"),
        layout=take_layout(table),
        id=table.text("id"),
        time=time,
        time_shift=shift,
        classes=take_classes(table.node("class")) if "class" in table else None,
        **attributes,
    )
    table.end()
    return mapping


def _fields(file: str) -> list[str | None]:
    """Give the names in braces; anything but a plain name is given as text that is none."""
    try:
        parts = list(string.Formatter().parse(file))
    except ValueError:
        return ["not a name"]
    return [name if name is None or not (form or conversion) else "not a name" for _, name, form, conversion in parts]
