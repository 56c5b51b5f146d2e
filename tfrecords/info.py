"""``dataset_info.json``: what a directory of records holds, and the truth about its shards."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfrecords.errors import DataError
from tfrecords.schema import SCHEMA_VERSION, Record

INFO_FILE = "dataset_info.json"
INDEX_FILE = "index.npy"
LEDGER_FILE = "ledger.csv"
LEDGER_COLUMNS = ("object_id", "outcome", "partition", "reason")
OUTCOMES = ("written", "skipped", "quarantined")
_MAX_FOLDS = 253
# Left out where there are no stamps.
_STAMP_KEYS = ("stamp_channels", "alert_columns")


@dataclass(frozen=True)
class Band:
    """One row of the band table; its position is the index that records hold.

    Attributes
    ----------
    name : str
    aliases : tuple of str
        Other names that sources use for this band.
    wavelength_angstrom : float
        Effective wavelength.
    """

    name: str
    aliases: tuple[str, ...]
    wavelength_angstrom: float


@dataclass(frozen=True)
class StaticColumn:
    """One static column.

    Attributes
    ----------
    name, unit : str
    missing : tuple of float
        Values that mean "not measured". NaN always does.
    caution : str
        Why scores that used this column are marked; not empty means that a run uses it only when it is named.
    """

    name: str
    unit: str = ""
    missing: tuple[float, ...] = ()
    caution: str = ""


@dataclass(frozen=True)
class NativeClass:
    """A class of the source: its number there, and its name."""

    id: int
    name: str


@dataclass(frozen=True)
class Shard:
    """One file: name, partition, number of records, bytes, SHA-256 as hexadecimal digits."""

    name: str
    partition: str
    count: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Ledger:
    """Totals of the ledger: every input object ended in one of three ways."""

    input: int
    written: int
    skipped: int
    quarantined: int


def partition_names(folds: int) -> tuple[str, ...]:
    """Give the partitions of a directory: ``test`` and the folds, or train, validation and test without folds."""
    if folds:
        return ("test", *(f"fold{number}" for number in range(folds)))
    return ("train", "validation", "test")


@dataclass(frozen=True)
class DatasetInfo:
    """What a directory of records holds.

    Attributes
    ----------
    schema_version : int
    survey : str
    bands : tuple of Band
    zero_point : float
        AB magnitude of a flux of 1.
    flux_unit : str
    static_columns : tuple of StaticColumn
    classes : tuple of NativeClass
    folds : int
        0, or the number of folds (at least 2).
    shards : tuple of Shard
        In the order of the index.
    index_sha256 : str
        Of ``index.npy``, as hexadecimal digits.
    targets : tuple of str
    ledger : Ledger
    stamp_channels : tuple of str
        What the channels of the stamps are, in their order; empty without stamps.
    alert_columns : tuple of StaticColumn
        Columns of ``stamps/metadata``: one value an alert.
    fingerprint : str
        SHA-256 over what the records are and mean; runs and derived groups are tied to it.
    source : dict
        ``tool`` and ``options`` that made the directory.
    """

    schema_version: int
    survey: str
    bands: tuple[Band, ...]
    zero_point: float
    flux_unit: str
    static_columns: tuple[StaticColumn, ...]
    classes: tuple[NativeClass, ...]
    folds: int
    shards: tuple[Shard, ...]
    index_sha256: str
    targets: tuple[str, ...]
    ledger: Ledger
    fingerprint: str = ""
    source: dict[str, Any] = field(default_factory=dict)
    stamp_channels: tuple[str, ...] = ()
    alert_columns: tuple[StaticColumn, ...] = ()

    @functools.cached_property
    def _class_ids(self) -> frozenset[int]:
        return frozenset(native.id for native in self.classes)

    @functools.cached_property
    def partitions(self) -> tuple[str, ...]:
        """Names of the partitions, in the order of the index's ``partition`` numbers."""
        return partition_names(self.folds)

    @property
    def count(self) -> int:
        """Number of records."""
        return sum(shard.count for shard in self.shards)

    def problems_of(self, record: Record) -> list[str]:
        """List what keeps a record out of this data set: survey, class, bands, columns, stamps, targets."""
        problems = []
        if record.survey != self.survey:
            problems.append(f"the survey is {self.survey!r}. Received: {record.survey!r}")
        if record.class_id != -1 and record.class_id not in self._class_ids:
            ids = [native.id for native in self.classes]
            problems.append(f"key 'class_id' is -1 or one of {ids}. Received: {record.class_id}")
        if record.lc is not None and len(record.lc) and record.lc.band.max() >= len(self.bands):
            problems.append(f"key 'lc/band' is below {len(self.bands)}. Received: {record.lc.band.max()}")
        if record.static is not None and len(record.static) != len(self.static_columns):
            names = [column.name for column in self.static_columns]
            problems.append(f"key 'static' holds {names}. Received: {len(record.static)} values")
        if record.stamps is not None:
            channels, columns = record.stamps.images.shape[-1], record.stamps.metadata.shape[1]
            if channels != len(self.stamp_channels):
                problems.append(f"stamps have the channels {list(self.stamp_channels)}. Received: {channels} channels")
            if columns != len(self.alert_columns):
                names = [column.name for column in self.alert_columns]
                problems.append(f"key 'stamps/metadata' holds {names}. Received: {columns} columns")
        if not record.targets.keys() <= set(self.targets):
            unknown = sorted(set(record.targets) - set(self.targets))
            problems.append(f"targets are {list(self.targets)}. Received: {unknown}")
        return problems

    def compute_fingerprint(self) -> str:
        """Compute the SHA-256 over survey, bands, flux scale, static columns and the shards' own SHA-256."""
        content = {
            "survey": self.survey,
            "bands": [dataclasses.asdict(band) for band in self.bands],
            "flux": [self.zero_point, self.flux_unit],
            "static_columns": [dataclasses.asdict(column) for column in self.static_columns],
            "shards": [[shard.name, shard.sha256] for shard in self.shards],
        }
        if self.stamp_channels or self.alert_columns:
            columns = [dataclasses.asdict(column) for column in self.alert_columns]
            content["stamps"] = [list(self.stamp_channels), columns]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> str:
        """Write as JSON text: the same text for the same content."""
        content = dataclasses.asdict(self)
        for key in _STAMP_KEYS:
            if not content[key]:
                del content[key]
        return json.dumps(content, indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str = INFO_FILE) -> DatasetInfo:
        """Read and check JSON text.

        Parameters
        ----------
        text : str
        where : str
            The file, for the message of an error.

        Raises
        ------
        DataError
            If the text is no JSON, is of a newer schema version, or a key is missing, unknown or of a wrong type
            or value; the message names the key.
        """
        info = _build(cls, _parse(text, where), where, "")
        info._check(where)
        return info

    @classmethod
    def description(cls, text: str, where: str = INFO_FILE) -> DatasetInfo:
        """Read what the records are, from the info file of another directory or a damaged one.

        What is said of files (shards, index, ledger, fingerprint) is left out and not checked. Raises as `from_json`.
        """
        content = _parse(text, where)
        if isinstance(content, dict):
            ledger = dict.fromkeys(("input", *OUTCOMES), 0)
            content |= {"shards": [], "index_sha256": "", "ledger": ledger, "fingerprint": ""}
        info = _build(cls, content, where, "")
        info = dataclasses.replace(info, fingerprint=info.compute_fingerprint())
        info._check(where)
        return info

    @classmethod
    def load(cls, directory: Path) -> DatasetInfo:
        """Read and check the info file of a directory. Raises DataError naming the file."""
        path = Path(directory) / INFO_FILE
        try:
            text = path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError) as error:
            raise DataError(f"{directory}: not a directory of records; it holds no {INFO_FILE}") from error
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: not UTF-8 text: {error}") from error
        return cls.from_json(text, str(path))

    def _check(self, where: str) -> None:
        def refuse(key: str, rule: str, received: object) -> None:
            raise DataError(f"{where}: key {key!r} {rule}. Received: {received!r}")

        if self.schema_version < 1:
            refuse("schema_version", "is at least 1", self.schema_version)
        if not self.survey:
            refuse("survey", "is not empty", self.survey)
        # The index counts partitions in one byte.
        if not 0 <= self.folds <= _MAX_FOLDS or self.folds == 1:
            refuse("folds", f"is 0 or 2 to {_MAX_FOLDS}", self.folds)
        if not math.isfinite(self.zero_point):
            refuse("zero_point", "is finite", self.zero_point)
        for key, names in (
            ("bands", [band.name for band in self.bands]),
            ("static_columns", [column.name for column in self.static_columns]),
            ("classes", [native.id for native in self.classes]),
            ("classes", [native.name for native in self.classes]),
            ("targets", list(self.targets)),
            ("stamp_channels", list(self.stamp_channels)),
            ("alert_columns", [column.name for column in self.alert_columns]),
            ("shards", [shard.name for shard in self.shards]),
        ):
            if len(set(names)) != len(names):
                refuse(key, "names everything once", names)
        for shard in self.shards:
            if shard.partition not in self.partitions:
                refuse("shards.partition", f"is one of {', '.join(self.partitions)}", shard.partition)
            if Path(shard.name).name != shard.name or shard.name.startswith("."):
                refuse("shards.name", "is the name of a file in the directory", shard.name)
            if min(shard.count, shard.bytes) < 0:
                refuse("shards.count", "is not negative", shard.count)
        ledger = self.ledger
        if ledger.written + ledger.skipped + ledger.quarantined != ledger.input:
            refuse("ledger", "has an input that is the sum of its outcomes", dataclasses.asdict(ledger))
        if ledger.written != self.count:
            refuse("ledger.written", f"is the number of records in the shards ({self.count})", ledger.written)
        if self.fingerprint != self.compute_fingerprint():
            refuse("fingerprint", f"is {self.compute_fingerprint()} by the other keys", self.fingerprint)


def _parse(text: str, where: str) -> Any:
    """Parse JSON text of this schema version or an older one; keys that only stamps need are filled in."""
    try:
        content = json.loads(text)
    except ValueError as error:
        raise DataError(f"{where}: not JSON (cut short?): {error}. Received: {len(text)} characters") from error
    if not isinstance(content, dict):
        return content
    version = content.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise DataError(
            f"{where}: written by a newer version of this package; this one reads schema versions up to "
            f"{SCHEMA_VERSION}. Received: schema_version {version}"
        )
    return {key: [] for key in _STAMP_KEYS} | content


def _build(kind: Any, value: Any, where: str, key: str) -> Any:
    """Turn parsed JSON into a value of the annotated type, naming the key that does not fit."""
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(kind, value, where, key)
    origin = typing.get_origin(kind)
    if origin is tuple:
        if not isinstance(value, list):
            raise DataError(f"{where}: key {key!r} is a list. Received: {value!r}")
        item = typing.get_args(kind)[0]
        return tuple(_build(item, each, where, f"{key}[{number}]") for number, each in enumerate(value))
    if origin is dict:
        kind = dict
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise DataError(f"{where}: key {key!r} is {kind.__name__}. Received: {value!r}")
    return value


def _build_dataclass(kind: type, value: Any, where: str, key: str) -> Any:
    label = f"key {key!r}" if key else "the file"
    if not isinstance(value, dict):
        raise DataError(f"{where}: {label} is an object with named entries. Received: {type(value).__name__}")
    types_by_name = typing.get_type_hints(kind)
    names = [entry.name for entry in dataclasses.fields(kind)]
    missing, unknown = [n for n in names if n not in value], [n for n in value if n not in names]
    if missing or unknown:
        raise DataError(
            f"{where}: {label} has exactly the entries {', '.join(names)}. "
            f"Received: missing {missing}, unknown {unknown}"
        )
    prefix = f"{key}." if key else ""
    return kind(**{name: _build(types_by_name[name], value[name], where, prefix + name) for name in names})
