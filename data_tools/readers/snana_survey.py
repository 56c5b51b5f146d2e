"""What a survey's SNANA files are: bands, bits, classes and columns, read from ``surveys/*.yaml``."""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from tfrecords.errors import UsageError
from tfrecords.info import Band, NativeClass, StaticColumn

# In the order in which they are tried.
SURVEYS = ("elasticc2", "elasticc", "des", "pantheonplus", "plasticc_snana", "generic")
ZERO_POINT = 27.5
FLUX_UNIT = "FLUXCAL (27.5 mag at 1)"


@dataclass(frozen=True)
class Survey:
    """A survey's description.

    Attributes
    ----------
    name : str
        As in the records.
    bands : tuple of Band
    bits : dict of str to int
        Bits of PHOTFLAG: detected, trigger, saturated.
    classes : mapping
        How classes are told; see `native_classes`.
    static : dict of str to StaticColumn
    truth : tuple of str
        Patterns of columns that are never inputs.
    targets : dict of str to tuple of str
        Columns that a target is taken from, the first that is there.
    recognise : mapping
    id_by_class : bool
        Ids are unique within a class only.
    id_prefixes : dict of str to str
        By name of the class.
    """

    name: str
    bands: tuple[Band, ...]
    bits: dict[str, int]
    classes: Mapping[str, Any]
    static: dict[str, StaticColumn]
    truth: tuple[str, ...]
    targets: dict[str, tuple[str, ...]]
    recognise: Mapping[str, Any]
    id_by_class: bool = False
    id_prefixes: dict[str, str] = field(default_factory=dict)

    def static_columns(self, names: Sequence[str] | None) -> tuple[StaticColumn, ...]:
        """Give the described columns, or the named ones; a name that is not described becomes a plain column.

        Raises
        ------
        UsageError
            If a column is truth, or named twice.
        """
        if names is None:
            return tuple(self.static.values())
        for name in names:
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in self.truth) and name not in self.static:
                raise UsageError(
                    f"column {name!r} is truth about the simulation or known too late, and can never be an input; "
                    f"columns that are described: {', '.join(self.static)}. Received: {name!r}"
                )
        if len(set(names)) != len(names):
            raise UsageError(f"a static column is named once. Received: {','.join(names)}")
        return tuple(self.static.get(name, StaticColumn(name)) for name in names)

    def class_of_folder(self, folder: str) -> NativeClass | None:
        """Give the class that a folder is named after, if it is."""
        for prefix in self.classes.get("folder_prefixes", ()):
            if folder.startswith(prefix):
                return self._models.get(folder.removeprefix(prefix))
        return None

    def native_classes(self, types: np.ndarray, column: str) -> np.ndarray:
        """Turn a column of type numbers into native classes (int64, -1 unlabelled).

        Parameters
        ----------
        types : numpy.ndarray
        column : str
            Of `type_columns`.
        """
        types = types.astype(np.int64)
        if column == self.classes.get("simulated_column"):
            types = np.where(types >= 100, types - 100, types)
        unlabelled = (types < 0) | np.isin(types, self.classes.get("unlabelled", ()))
        if column == self.classes["column"] and self._models_by_type:
            known = np.array([self._models_by_type.get(each, each) for each in types.tolist()], np.int64)
            return np.where(unlabelled, -1, known)
        return np.where(unlabelled, -1, types)

    def type_columns(self, simulated: bool) -> tuple[str, ...]:
        """Give the columns that may hold the type, best first, of simulated or real objects."""
        classes = self.classes
        names = (classes["column"], classes.get("simulated_column") if simulated else None)
        return tuple(name for name in (*names, classes.get("survey_column")) if name)

    def describe(self, native: int) -> NativeClass:
        """Give a class with its name; one that has none is called by its number."""
        return NativeClass(native, self._names.get(native, f"type {native}"))

    @functools.cached_property
    def _models(self) -> dict[str, NativeClass]:
        models = {}
        for name, entry in self.classes.get("models", {}).items():
            for each in (name, *entry.get("aliases", ())):
                models[each] = NativeClass(entry["id"], name)
        return models

    @functools.cached_property
    def _models_by_type(self) -> dict[int, int]:
        found: dict[int, int] = {}
        for entry in self.classes.get("models", {}).values():
            found.setdefault(entry["type"], entry["id"])
        return found

    @functools.cached_property
    def _names(self) -> dict[int, str]:
        names = {entry["id"]: name for name, entry in self.classes.get("models", {}).items()}
        names |= {number: name for name, number in self.classes.get("type_names", {}).items()}
        return names | dict(self.classes.get("survey_codes", {}))

    def class_of_name(self, name: str) -> int:
        """Give the class that a text file names in words, -1 if there is none of this name."""
        return self.classes.get("type_names", {}).get(name, -1)

    def object_id(self, snid: str, native: int) -> str:
        """Make an id unique in the survey of one that is so in its class."""
        name = self._names.get(native, str(native))
        return f"{name}:{snid}" if self.id_by_class else self.id_prefixes.get(name, "") + snid

    def is_of(self, path: Path, keywords: Mapping[str, Any], columns: Sequence[str]) -> bool:
        """Say whether a HEAD file looks like one of this survey."""
        rule = self.recognise
        if any(fnmatch.fnmatchcase(path.resolve().parent.name, pattern) for pattern in rule.get("folders", ())):
            return True
        if any(fnmatch.fnmatchcase(path.name, pattern) for pattern in rule.get("files", ())):
            return True
        if not rule.get("keywords") and not rule.get("columns"):
            return not rule
        for key, values in rule.get("keywords", {}).items():
            if str(keywords.get(key, "")).strip() not in ([values] if isinstance(values, str) else values):
                return False
        return all(name in columns for name in rule.get("columns", ()))


@functools.cache
def load_survey(name: str) -> Survey:
    """Read the description of a survey. Raises UsageError listing the surveys."""
    import yaml

    if name not in SURVEYS:
        raise UsageError(f"surveys with SNANA files are {', '.join(sorted(SURVEYS))}. Received: {name!r}")
    text = resources.files("data_tools").joinpath("surveys", f"{name}.yaml").read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    static = {}
    for group in content["static"]:
        missing = tuple(float(each) for each in group.get("missing", ()))
        for column in group["names"]:
            static[column] = StaticColumn(column, group.get("unit", ""), missing, group.get("caution", ""))
    return Survey(
        name=content["survey"],
        bands=tuple(
            Band(each["name"], tuple(each["aliases"]), float(each["wavelength_angstrom"])) for each in content["bands"]
        ),
        bits=content["photflag"],
        classes=content["classes"],
        static=static,
        truth=tuple(content["truth"]),
        targets={target: tuple(columns) for target, columns in content["targets"].items()},
        recognise=content.get("recognise", {}),
        id_by_class=content.get("id_by_class", False),
        id_prefixes=content.get("id_prefixes", {}),
    )


def recognise(path: Path, keywords: Mapping[str, Any], columns: Sequence[str]) -> Survey:
    """Find the survey of a HEAD file; the generic description if no other one fits."""
    return next(
        survey for survey in map(load_survey, SURVEYS) if survey.is_of(path, keywords, columns) or not survey.recognise
    )
