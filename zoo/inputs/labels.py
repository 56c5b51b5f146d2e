"""From native classes to a run's classes: label maps and class selection."""

from __future__ import annotations

import dataclasses
from importlib import resources
from pathlib import Path

import numpy as np

from tfrecords.errors import DataError, UsageError


@dataclasses.dataclass(frozen=True)
class Labels:
    """A run's classes and which native classes they hold.

    Attributes
    ----------
    classes : tuple of str
        In the order of the logits.
    native : dict of int to int
        Index of the run's class by native class number; natives that are not here are dropped.
    """

    classes: tuple[str, ...]
    native: dict[int, int]

    def index(self, class_ids) -> np.ndarray:
        """Give the class index (object,), int32, of native class numbers; −1 where dropped or unlabelled."""
        found, inverse = np.unique(np.asarray(class_ids), return_inverse=True)
        table = np.array([self.native.get(int(number), -1) for number in found], "int32")
        return table[inverse] if len(found) else np.zeros(0, "int32")

    def restrict(self, names) -> Labels:
        """Keep the classes of the given names, in their order."""
        for name in names:
            if name not in self.classes:
                raise UsageError(f"--classes: no such class. Valid: {', '.join(self.classes)}. Received: {name!r}")
        if len(set(names)) != len(names):
            raise UsageError(f"--classes: a class is named twice. Received: {','.join(names)}")
        place = {self.classes.index(name): new for new, name in enumerate(names)}
        native = {number: place[old] for number, old in self.native.items() if old in place}
        return Labels(tuple(names), native)


def available() -> list[str]:
    """Give the names of the label maps that come with the zoo."""
    folder = resources.files("zoo.label_maps")
    return sorted(Path(item.name).stem for item in folder.iterdir() if item.name.endswith(".yaml"))


def load(native_classes, label_map: str | None) -> Labels:
    """Give the labels of a data set under a label map.

    Parameters
    ----------
    native_classes : sequence
        Objects with ``id`` and ``name``, from the data set's info.
    label_map : str, optional
        Name of a map of the zoo, or path of a YAML file ``classes: {NAME: [native names]}``; every native
        class by itself when absent. Native classes that are in none are dropped; where the file also has
        ``dropped: [native names]``, each must be in a class or there.

    Raises
    ------
    DataError
        If the map is no such file, names a native class that the data set lacks or one twice, or has
        ``dropped`` and lacks one.
    """
    if label_map is None:
        names = tuple(item.name for item in native_classes)
        return Labels(names, {item.id: place for place, item in enumerate(native_classes)})
    where, groups, dropped = _read(label_map)
    by_name = {item.name: item.id for item in native_classes}
    native: dict[int, int] = {}
    for place, (name, members) in enumerate(groups.items()):
        for member in members:
            if member not in by_name:
                raise DataError(
                    f"{where}: class {name!r} holds a native class that the data set lacks. "
                    f"Valid: {', '.join(by_name)}. Received: {member!r}"
                )
            if by_name[member] in native:
                raise DataError(f"{where}: a native class is in two classes. Received: {member!r}")
            native[by_name[member]] = place
    if dropped is not None:
        unknown = [name for name, number in by_name.items() if number not in native and name not in dropped]
        if unknown:
            valid = [member for members in groups.values() for member in members]
            raise DataError(
                f"{where}: knows nothing of a native class of the data set. "
                f"Valid: {', '.join([*valid, *dropped])}. Received: {', '.join(map(repr, unknown))}"
            )
    return Labels(tuple(groups), native)


def _read(label_map: str) -> tuple[str, dict[str, list[str]], list[str] | None]:
    import yaml

    if label_map in available():
        where = f"label map {label_map}"
        text = (resources.files("zoo.label_maps") / f"{label_map}.yaml").read_text("utf-8")
    elif Path(label_map).is_file():
        where, text = str(label_map), Path(label_map).read_text("utf-8", errors="replace")
    else:
        names = ", ".join(available()) or "none ship with the zoo yet"
        raise UsageError(f"--label-map: neither a label map of the zoo ({names}) nor a file. Received: {label_map!r}")
    try:
        values = yaml.safe_load(text)
        groups, dropped = values["classes"], values.get("dropped")
        good = all(isinstance(key, str) and isinstance(value, list) for key, value in groups.items())
        good &= dropped is None or isinstance(dropped, list)
    except (yaml.YAMLError, TypeError, KeyError, AttributeError):
        good = False
    if not good or not groups:
        raise DataError(
            f"{where}: must read 'classes: {{NAME: [native names]}}', perhaps with 'dropped: [native names]'. "
            f"Received: {text[:80]!r}"
        )
    return where, groups, dropped
