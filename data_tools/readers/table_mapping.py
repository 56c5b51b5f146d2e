"""What the columns of a survey's tables mean: a mapping, read from YAML and checked key by key.

Ready ones lie in ``mappings/*.yaml``; README.md describes every key.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from data_tools.formats.yaml_keys import Node, read_yaml
from tfrecords.errors import UsageError
from tfrecords.info import Band, NativeClass, StaticColumn

MAPPINGS = ("sesar2010", "ztf_bts", "ztf_irsa")
# Days to add to a time of each scale to have an MJD; heliocentric and barycentric times are not turned back.
TIME_SCALES = {"mjd": 0.0, "jd": -2400000.5, "hjd": -2400000.5, "bjd": -2400000.5}
SEPARATORS = {"comma": ",", "blank": " ", "tab": "\t", "semicolon": ";", "bar": "|"}
_FILE = "file"


@dataclass(frozen=True)
class Layout:
    """How a text file is laid out; it does not matter for parquet.

    Attributes
    ----------
    separator : str
        One character; a blank stands for any number of blanks and tabs.
    header : tuple of str or None
        Names of the columns of files without a line of names.
    comment : str
        Lines that start with it are passed over.
    """

    separator: str = ","
    header: tuple[str, ...] | None = None
    comment: str = ""


@dataclass(frozen=True)
class Rule:
    """A condition on one column: one of some values, at least, at most, or empty.

    Attributes
    ----------
    column : str
    values : tuple of str or None
    least, most : float or None
    empty : bool
    """

    column: str
    values: tuple[str, ...] | None = None
    least: float | None = None
    most: float | None = None
    empty: bool = False

    @property
    def is_text(self) -> bool:
        """Whether the column is read as text."""
        return self.values is not None or self.empty


@dataclass(frozen=True)
class Value:
    """Where a text such as id or band comes from: a column, the name of the file (a pattern), or one for all."""

    column: str = ""
    file: re.Pattern[str] | None = None
    constant: str | None = None


@dataclass(frozen=True)
class Limits:
    """Rows that are upper limits: which they are, and what becomes of them."""

    rule: Rule
    keep: bool = False
    column: str = ""
    sigma: float = 5.0


@dataclass(frozen=True)
class Attribute:
    """A static column or a target: the column it comes from, and texts that mean "not measured" there."""

    name: str
    column: str
    missing: tuple[str, ...]
    static: StaticColumn


@dataclass(frozen=True)
class Classes:
    """How classes are told: a column, or one class for all; values by class."""

    column: str
    constant: str | None
    unlabelled: tuple[str, ...]
    classes: tuple[NativeClass, ...]
    by_value: Mapping[str, int]


@dataclass(frozen=True)
class TableMapping:
    """A checked mapping; the README describes the keys.

    ``own_objects`` says that the object table is a file of its own; otherwise its columns stand in the light curves.
    """

    survey: str
    zero_point: float
    bands: tuple[Band, ...]
    band_of: Mapping[str, int]
    files: tuple[str, ...]
    layout: Layout
    rows: str
    id: Value
    time: str
    time_shift: float
    band: Value
    brightness: str
    error: str
    is_magnitude: bool
    file_zero_point: float
    valid: Mapping[str, tuple[float, float]]
    detected: Rule | float | None
    saturated: Rule | None
    limits: Limits | None
    own_objects: bool
    object_files: tuple[str, ...]
    object_layout: Layout
    object_id: str
    classes: Classes | None
    static: tuple[Attribute, ...]
    targets: tuple[Attribute, ...]


def key_of(text: Any) -> str:
    """Give what ids, bands and classes are compared by: text without blanks around it, whole numbers without '.0'."""
    text = str(text).strip()
    return text[:-2] if re.fullmatch(r"-?\d+\.0", text) else text


def mapping_files(paths: Sequence[Path], key: str) -> list[Path]:
    """Give the YAML files that have some key, among paths and directly in folders; never raises."""
    files = [each for path in paths for each in (sorted(path.glob("*.y*ml")) if path.is_dir() else [path])]
    found = []
    for path in files:
        if path.suffix in (".yaml", ".yml"):
            with contextlib.suppress(UsageError, OSError):
                content = read_yaml(path)
                found += [path] if isinstance(content, dict) and key in content else []
    return found


def load_mapping(name: str | Path) -> TableMapping:
    """Read a mapping.

    Parameters
    ----------
    name : str or path
        Name of a ready one, or a YAML file; one with ``light_curves: NAME`` alone stands for the ready one.

    Raises
    ------
    UsageError
        If there is no such mapping, or an entry is wrong; the message names its key.
    """
    if str(name) in MAPPINGS:
        content, where = read_yaml(resources.files("data_tools").joinpath("mappings", f"{name}.yaml")), f"{name}.yaml"
    elif Path(name).suffix in (".yaml", ".yml") and Path(name).is_file():
        content, where = read_yaml(Path(name)), Path(name).name
    else:
        raise UsageError(f"a mapping is a .yaml file or one of {', '.join(MAPPINGS)}. Received: {str(name)!r}")
    if isinstance(content, dict) and set(content) == {"light_curves"} and content["light_curves"] in MAPPINGS:
        return load_mapping(content["light_curves"])
    return _mapping(Node(content, "", where))


def _mapping(node: Node) -> TableMapping:
    survey, zero_point = node.text("survey"), node.number("zero_point")
    bands, band_of = _bands(node)
    curves = node.node("light_curves")
    attributes: dict[str, Any] = {"object_files": (), "object_layout": Layout(), "object_id": "", "own_objects": False}
    attributes |= {"classes": None, "static": (), "targets": ()}
    if "objects" in node:
        attributes |= _objects(node.node("objects"))
    node.end()
    column, shift = take_time(curves)
    if ("flux" in curves) == ("magnitude" in curves):
        curves.refuse("flux", "or 'magnitude' is given, one of them", sorted(n for n in ("flux", "magnitude")))
    kind = "flux" if "flux" in curves else "magnitude"
    brightness = curves.node(kind)
    value, error = brightness.text("column"), brightness.text("error")
    file_zero_point = brightness.number("zero_point", zero_point) if kind == "flux" else zero_point
    brightness.end()
    band = _value(curves, "band")
    if band.constant is not None and key_of(band.constant) not in band_of:
        curves.refuse("band.constant", f"is one of {', '.join(band_of)}", band.constant)
    mapping = TableMapping(
        survey=survey,
        zero_point=zero_point,
        bands=bands,
        band_of=band_of,
        files=curves.texts("files", ("*",)),
        rows=curves.choice("rows", ("observation", "object"), "observation"),
        layout=take_layout(curves),
        id=_value(curves, "id"),
        time=column,
        time_shift=shift,
        band=band,
        brightness=value,
        error=error,
        is_magnitude=kind == "magnitude",
        file_zero_point=file_zero_point,
        valid=_valid(curves),
        detected=_detected(curves),
        saturated=_rule(curves, "saturated") if "saturated" in curves else None,
        limits=_limits(curves) if "upper_limits" in curves else None,
        **attributes,
    )
    if mapping.id.constant is not None:
        curves.refuse("id", "is a column or taken from the name of the file", {"constant": mapping.id.constant})
    curves.end()
    return mapping


def _bands(node: Node) -> tuple[tuple[Band, ...], dict[str, int]]:
    bands, numbers = [], {}
    for number, each in enumerate(entries := node.nodes("bands")):
        name, aliases = each.text("name"), each.texts("aliases", ())
        wavelength = each.number("wavelength_angstrom")
        if wavelength <= 0:
            each.refuse("wavelength_angstrom", "is positive", wavelength)
        for text in (name, *aliases):
            if key_of(text) in numbers:
                each.refuse("aliases", "name every band once", text)
            numbers[key_of(text)] = number
        each.end()
        bands.append(Band(name, aliases, wavelength))
    if not 0 < len(entries) < 255:
        node.refuse("bands", "has 1 to 254 entries", len(entries))
    return tuple(bands), numbers


def take_layout(node: Node) -> Layout:
    """Take what says how a text file is laid out."""
    separator = node.take("separator", "comma")
    separator = SEPARATORS.get(separator, separator)
    if not isinstance(separator, str) or len(separator) != 1 or separator in '"\r\n':
        node.refuse("separator", f"is one of {', '.join(SEPARATORS)} or one character", separator)
    header = node.texts("header") if "header" in node else None
    if header is not None and len(set(header)) != len(header):
        node.refuse("header", "names every column once", list(header))
    return Layout(separator, header, node.text("comment", ""))


def take_time(parent: Node) -> tuple[str, float]:
    """Take the column of times, and the days to add to them to have an MJD."""
    node = parent.node("time")
    column, scale, offset = node.text("column"), node.choice("scale", tuple(TIME_SCALES)), node.number("offset", 0.0)
    node.end()
    return column, offset + TIME_SCALES[scale]


def _value(parent: Node, name: str) -> Value:
    node = parent.node(name)
    given = [each for each in ("column", _FILE, "constant") if each in node]
    if len(given) != 1:
        parent.refuse(name, "has one of 'column', 'file', 'constant'", given)
    text = node.text(given[0])
    node.end()
    if given[0] != _FILE:
        return Value(**{given[0]: text})
    try:
        pattern = re.compile(text)
    except re.error as error:
        node.refuse(_FILE, f"is a regular expression ({error})", text)
    if pattern.groups != 1:
        node.refuse(_FILE, "is a regular expression with one group, on the name of the file", text)
    return Value(file=pattern)


def _rule(parent: Node, name: str) -> Rule:
    node = parent.node(name)
    rule = _take_rule(node)
    node.end()
    return rule


def _take_rule(node: Node) -> Rule:
    column = node.text("column")
    values = tuple(map(key_of, node.texts("values"))) if "values" in node else None
    least, most = node.number("least", None), node.number("most", None)
    empty = node.choice("empty", (True, False), False)
    if values is None and least is None and most is None and not empty:
        node.refuse("column", "goes with 'values', 'least', 'most' or 'empty: true'", column)
    if (values is not None or empty) and (least is not None or most is not None):
        node.refuse("column", "goes with 'values' or 'empty', or with 'least' and 'most'", column)
    return Rule(column, values, least, most, empty)


def _valid(curves: Node) -> dict[str, tuple[float, float]]:
    if "valid" not in curves:
        return {}
    found, content = {}, curves.take("valid")
    for column, bounds in content.items() if isinstance(content, dict) else [("", content)]:
        numbers = isinstance(bounds, list) and all(type(each) in (int, float) for each in bounds)
        if not numbers or len(bounds) != 2 or not bounds[0] <= bounds[1]:
            curves.refuse(f"valid.{column}", "is [least, most] of a column", bounds)
        found[str(column)] = (float(bounds[0]), float(bounds[1]))
    return found


def _detected(curves: Node) -> Rule | float | None:
    if "detected" not in curves:
        return None
    node = curves.node("detected")
    if "snr" not in node:
        rule: Rule | float = _take_rule(node)
    else:
        rule = node.number("snr")
    node.end()
    return rule


def _limits(curves: Node) -> Limits:
    node = curves.node("upper_limits")
    keep = node.choice("become", ("dropped", "kept")) == "kept"
    column, sigma = node.text("limit", ""), node.number("sigma", 5.0)
    if keep and not column:
        node.refuse("limit", "is the column of the limits, if they are kept", column)
    if sigma <= 0:
        node.refuse("sigma", "is positive", sigma)
    rule = _take_rule(node)
    node.end()
    return Limits(rule, keep, column, sigma)


def _objects(node: Node) -> dict[str, Any]:
    own = "files" in node
    found: dict[str, Any] = {"own_objects": own}
    if own:
        found |= {"object_files": node.texts("files"), "object_id": node.text("id"), "object_layout": take_layout(node)}
    if "class" in node:
        found["classes"] = take_classes(node.node("class"))
    static = [take_attribute(each) for each in node.nodes("static", ())]
    targets = [take_attribute(each) for each in node.nodes("targets", ())]
    for key, listed in (("static", static), ("targets", targets)):
        if len({each.name for each in listed}) != len(listed):
            node.refuse(key, "names everything once", [each.name for each in listed])
    node.end()
    return found | {"static": tuple(static), "targets": tuple(targets)}


def take_attribute(node: Node) -> Attribute:
    """Take a static column, target or column of alerts."""
    column = node.text("column")
    name, missing = node.text("name", column), node.texts("missing", ())
    numbers = tuple(float(each) for each in missing if _is_number(each))
    static = StaticColumn(name, node.text("unit", ""), numbers, node.text("caution", ""))
    node.end()
    return Attribute(name, column, tuple(each.strip() for each in missing if not _is_number(each)), static)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*", text) is not None


def take_classes(node: Node) -> Classes:
    """Take how classes are told."""
    if ("column" in node) == ("constant" in node):
        node.refuse("column", "or 'constant' is given, one of them", [])
    column, constant = node.text("column", ""), node.text("constant", None)
    unlabelled = tuple(map(key_of, node.texts("unlabelled", ())))
    classes, by_value = [], {}
    for each in node.nodes("classes"):
        number, name = each.take("id"), each.text("name")
        if type(number) is not int or not 0 <= number < 1 << 31 or any(number == known.id for known in classes):
            each.refuse("id", "is a whole number, one of its own for every class", number)
        for value in each.texts("values", (name,)):
            if key_of(value) in by_value:
                each.refuse("values", "stand with one class only", value)
            by_value[key_of(value)] = number
        each.end()
        classes.append(NativeClass(number, name))
    if constant is not None and key_of(constant) not in by_value:
        node.refuse("constant", f"is one of {', '.join(by_value)}", constant)
    node.end()
    return Classes(column, constant, unlabelled, tuple(classes), by_value)
