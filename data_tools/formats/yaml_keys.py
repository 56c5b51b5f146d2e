"""YAML files that people write, read so that a wrong entry is named by its key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfrecords.errors import UsageError

_MAX_BYTES = 1 << 20


def read_yaml(path: Any) -> Any:
    """Parse a YAML file.

    Parameters
    ----------
    path : pathlib.Path or importlib.resources.abc.Traversable

    Raises
    ------
    UsageError
        If it cannot be read, is no YAML, has aliases, or more than 1 MiB.
    """
    import yaml

    try:
        text = path.read_bytes()
        if len(text) > _MAX_BYTES:
            raise UsageError(f"{path.name}: at most {_MAX_BYTES} bytes are read. Received: {len(text)}")
        # Aliases can make a small file a huge one, and none of these files needs them.
        if any(isinstance(each, yaml.AliasToken) for each in yaml.scan(text)):
            raise UsageError(f"{path.name}: the file has no aliases (*name). Received: one")
        return yaml.safe_load(text)
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(f"{path.name}: no readable YAML: {' '.join(str(error).split())}") from error


class Node:
    """A part of a file with its key; every wrong entry raises UsageError.

    Parameters
    ----------
    content : object
        A mapping, or it is refused.
    key : str
        Of this part; empty for the whole file.
    where : str
        The file.
    """

    def __init__(self, content: Any, key: str, where: str) -> None:
        self._where, self._key = where, key
        if not isinstance(content, dict):
            self._refuse(key or "the file", "has named entries", content)
        self._left = dict(content)

    def _refuse(self, key: str, rule: str, received: Any) -> None:
        raise UsageError(f"{self._where}: key {key!r} {rule}. Received: {received!r}")

    def path(self, name: str) -> str:
        """Give the full key of an entry."""
        return f"{self._key}.{name}" if self._key else name

    def refuse(self, name: str, rule: str, received: Any) -> None:
        """Raise UsageError: the entry, the rule it breaks and what was received."""
        self._refuse(self.path(name), rule, received)

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def take(self, name: str, default: Any = ...) -> Any:
        """Take an entry out; what is left at the end is unknown."""
        if name not in self._left:
            if default is ...:
                self.refuse(name, "is needed", sorted(map(str, self._left)))
            return default
        return self._left.pop(name)

    def text(self, name: str, default: Any = ...) -> Any:
        """Take a text."""
        value = self.take(name, default)
        if value is not default and not (type(value) in (str, int, float) and str(value)):
            self.refuse(name, "is a name", value)
        return value if value is default else str(value)

    def number(self, name: str, default: Any = ...) -> Any:
        """Take a finite number as float."""
        value = self.take(name, default)
        if value is not default and (type(value) not in (int, float) or not abs(value) < 1e300):
            self.refuse(name, "is a number", value)
        return value if value is default else float(value)

    def choice(self, name: str, choices: Sequence[Any], default: Any = ...) -> Any:
        """Take one of some values."""
        value = self.take(name, default)
        if not any(type(value) is type(each) and value == each for each in choices):
            self.refuse(name, f"is one of {', '.join(map(str, choices))}", value)
        return value

    def texts(self, name: str, default: Any = ...) -> tuple[str, ...]:
        """Take a list of texts or numbers, or a single one."""
        value = self.take(name, default)
        value = [value] if isinstance(value, str | int | float) else value
        if not isinstance(value, list | tuple) or not all(isinstance(each, str | int | float) for each in value):
            self.refuse(name, "is a list of names or numbers", value)
        return tuple(map(str, value))

    def node(self, name: str) -> Node:
        """Take an entry that has entries."""
        return Node(self.take(name), self.path(name), self._where)

    def nodes(self, name: str, default: Any = ...) -> list[Node]:
        """Take a list of entries that have entries."""
        value = self.take(name, default)
        if not isinstance(value, list | tuple):
            self.refuse(name, "is a list", value)
        return [Node(each, f"{self.path(name)}[{number}]", self._where) for number, each in enumerate(value)]

    def end(self) -> None:
        """Refuse what nobody took."""
        if self._left:
            self._refuse(self._key or "the file", "has no such entries", sorted(map(str, self._left)))
