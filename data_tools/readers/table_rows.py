"""Rows of a table to rows of light curves, as a mapping says: times to MJD, bands to numbers, magnitudes to fluxes.

flux = 10^((ZP - mag) / 2.5), flux_err = flux ln(10) / 2.5 mag_err, ZP the zero point of the records.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from data_tools.readers.table_blocks import Block, Columns
from data_tools.readers.table_mapping import Limits, Rule, TableMapping, key_of
from tfrecords.errors import DataError
from tfrecords.schema import FLAG_DETECTED, FLAG_SATURATED, FLAG_UNKNOWN, LightCurve, sort_rows

_MAGNITUDE = np.log(10.0) / 2.5
_MAX_ROWS = 50_000_000


def row_columns(mapping: TableMapping) -> Columns:
    """Give the columns that light curves are read from."""
    numbers = [mapping.time, mapping.brightness, mapping.error, *mapping.valid]
    texts = [each for each in (mapping.id.column, mapping.band.column) if each]
    limits = mapping.limits
    rules = [each for each in (mapping.detected, mapping.saturated, limits and limits.rule) if isinstance(each, Rule)]
    for rule in rules:
        (texts if rule.is_text else numbers).append(rule.column)
    if limits is not None and limits.keep:
        numbers.append(limits.column)
    lists: tuple[str, ...] = ()
    if mapping.rows == "object":
        lists = tuple(dict.fromkeys(each for each in (*numbers, *texts) if each != mapping.id.column))
    return Columns(tuple(dict.fromkeys(numbers)), tuple(dict.fromkeys(texts)), mapping.id.column, lists)


@dataclass
class Rows:
    """Rows of several objects, gathered from blocks.

    Attributes
    ----------
    mapping : TableMapping
    place : mapping of str to int
        Position of an object by its id; rows of others are passed over.
    problems : dict of int to str
        What is wrong with an object, the first thing found.
    """

    mapping: TableMapping
    place: Mapping[str, int]
    problems: dict[int, str] = field(default_factory=dict)
    _found: list[tuple[np.ndarray, ...]] = field(default_factory=list)
    _count: int = 0

    def add(self, block: Block, where: str, object_id: str | None = None, band: str | None = None) -> None:
        """Take the rows of a block.

        Parameters
        ----------
        block : Block
        where : str
            The file, for messages.
        object_id, band : str, optional
            If they come from the name of the file.

        Raises
        ------
        DataError
            If there are more than 50 million rows.
        """
        mapping = self.mapping
        if object_id is not None:
            owner = np.full(block.rows, self.place[object_id])
        else:
            codes, values = block.texts[mapping.id.column]
            owner = np.array([self.place.get(each, -1) for each in values], np.int64)[codes]
        for text, problem in block.cut:
            self._blame(self.place.get(object_id or key_of(text or ""), -1), f"{where}: {problem}")
        limits = self._select(block, mapping.limits.rule) if mapping.limits else np.zeros(block.rows, bool)
        kept = (owner >= 0) & self._valid(block, limits)
        kept[block.empty] = False
        for row, problem in block.bad.items():
            self._blame(int(owner[row]), f"{where}: {problem}")
            kept[row] = False
        if mapping.limits and not mapping.limits.keep:
            kept &= ~limits
        time = block.numbers[mapping.time] + mapping.time_shift
        number, unknown = self._bands(block, band)
        flux, error = self._brightness(block)
        if mapping.limits and mapping.limits.keep:
            flux, error = np.where(limits, 0.0, flux), np.where(limits, self._limit(block, mapping.limits), error)
        with np.errstate(over="ignore"):
            flux, error = flux.astype(np.float32), error.astype(np.float32)
        rules = (
            (~np.isfinite(time), mapping.time, "is a time"),
            (number < 0, mapping.band.column or "(name of the file)", "is a band of the mapping"),
            (np.isinf(flux), mapping.brightness, "gives a finite flux"),
            (np.isinf(error) | (error <= 0), mapping.error, "gives a positive and finite error of the flux"),
        )
        for wrong, column, rule in rules:
            for row in np.flatnonzero(wrong & kept).tolist():
                received = unknown(row) if column not in block.numbers else block.numbers[column][row]
                self._blame(int(owner[row]), f"{where}: column {column!r} {rule}. Received: {received!r}")
        kept &= number >= 0
        self._count += int(kept.sum())
        if self._count > _MAX_ROWS:
            raise DataError(f"{where}: the objects of a piece have at most {_MAX_ROWS} rows (one id for all?)")
        flags = self._flags(block, limits, flux, error)
        self._found.append(tuple(each[kept] for each in (owner, time, number, flux, error, flags)))

    def light_curves(self, count: int) -> Iterator[LightCurve]:
        """Give the light curves of objects 0 to `count`, sorted; those with a problem as far as they were read."""
        kinds = (np.int64, np.float64, np.uint8, np.float32, np.float32, np.uint8)
        columns = [np.concatenate(each) for each in zip(*self._found, strict=True)] or [np.zeros(0, k) for k in kinds]
        order = np.argsort(columns[0], kind="stable")
        owner, *columns = (each[order] for each in columns)
        edges = np.searchsorted(owner, np.arange(count + 1))
        for start, stop in zip(edges[:-1], edges[1:], strict=True):
            lc = LightCurve(*(each[start:stop] for each in columns))
            yield sort_rows(lc) if np.isfinite(lc.time).all() else lc

    def _blame(self, owner: int, problem: str) -> None:
        if owner >= 0:
            self.problems.setdefault(owner, problem)

    def _valid(self, block: Block, limits: np.ndarray) -> np.ndarray:
        mapping, valid = self.mapping, np.ones(block.rows, bool)
        for column, (least, most) in mapping.valid.items():
            inside = (block.numbers[column] >= least) & (block.numbers[column] <= most)
            # Upper limits have no brightness and no error of it.
            valid &= inside | limits if column in (mapping.brightness, mapping.error) else inside
        return valid

    def _select(self, block: Block, rule: Rule) -> np.ndarray:
        if rule.is_text:
            codes, values = block.texts[rule.column]
            wanted = set(rule.values or ()) | ({""} if rule.empty else set())
            # A column of numbers writes its gaps as NaN.
            nulls = {"", "nan"} if rule.empty else set()
            return np.array([each in wanted or each.lower() in nulls for each in values], bool)[codes]
        numbers = block.numbers[rule.column]
        least, most = -np.inf if rule.least is None else rule.least, np.inf if rule.most is None else rule.most
        return (numbers >= least) & (numbers <= most)

    def _bands(self, block: Block, band: str | None) -> tuple[np.ndarray, object]:
        mapping = self.mapping
        constant = band if band is not None else mapping.band.constant
        if constant is not None:
            number = mapping.band_of.get(key_of(constant), -1)
            return np.full(block.rows, number), lambda row: constant
        codes, values = block.texts[mapping.band.column]
        numbers = np.array([mapping.band_of.get(each, -1) for each in values], np.int64)
        return numbers[codes], lambda row: values[codes[row]]

    def _brightness(self, block: Block) -> tuple[np.ndarray, np.ndarray]:
        mapping = self.mapping
        value, error = block.numbers[mapping.brightness], block.numbers[mapping.error]
        if mapping.is_magnitude:
            flux = _flux(value, mapping.zero_point)
            return flux, flux * _MAGNITUDE * error
        scale = 10.0 ** (0.4 * (mapping.zero_point - mapping.file_zero_point))
        return value * scale, error * scale

    def _limit(self, block: Block, limits: Limits) -> np.ndarray:
        value = block.numbers[limits.column]
        if self.mapping.is_magnitude:
            return _flux(value, self.mapping.zero_point) / limits.sigma
        return value * 10.0 ** (0.4 * (self.mapping.zero_point - self.mapping.file_zero_point)) / limits.sigma

    def _flags(self, block: Block, limits: np.ndarray, flux: np.ndarray, error: np.ndarray) -> np.ndarray:
        detected = self.mapping.detected
        flags = np.zeros(block.rows, np.uint8)
        if detected is None:
            flags |= np.uint8(FLAG_UNKNOWN)
        else:
            with np.errstate(divide="ignore", invalid="ignore"):
                is_rule = isinstance(detected, Rule)
                seen = self._select(block, detected) if is_rule else flux / error >= detected
            flags |= (seen & ~limits).astype(np.uint8) * np.uint8(FLAG_DETECTED)
        if self.mapping.saturated is not None:
            flags |= self._select(block, self.mapping.saturated).astype(np.uint8) * np.uint8(FLAG_SATURATED)
        return flags


def _flux(magnitude: np.ndarray, zero_point: float) -> np.ndarray:
    with np.errstate(over="ignore"):
        return 10.0 ** (0.4 * (zero_point - magnitude))


def parse_value(text: str, missing: Sequence[str]) -> float:
    """Parse a static value or a target: empty texts and those of `missing` are NaN. Raises ValueError."""
    if not text or text in missing or text.lower() in ("nan", "null", "none", "na", "--"):
        return np.nan
    value = float(text)
    if np.isinf(value):
        raise ValueError(f"infinite: {text}")
    return value
