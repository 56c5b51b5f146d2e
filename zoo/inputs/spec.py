"""What a run knows of its data: bands, columns, classes, features, and stage 1 for them."""

from __future__ import annotations

import dataclasses
from typing import Any

from tfrecords.derived import DerivedGroup, derived_names
from tfrecords.errors import DataError, UsageError
from tfrecords.reader import RecordDirectory
from zoo.inputs import alert_columns
from zoo.inputs import labels as label_maps
from zoo.inputs.config import InputConfig, SelectionConfig
from zoo.registry import ModelInfo
from zoo.taxonomies import tree as trees

MAKERS = {"features": "data_tools.features", "gp_grid": "data_tools.gp_grid"}
"""The command that makes a derived group, by the group's usual name."""


@dataclasses.dataclass(frozen=True)
class Column:
    """A static column that a model takes: its name, its sentinels, and why scores with it are marked.

    One that is ``derived`` is computed from the position, see ``zoo.inputs.sky``, and not in the records.
    """

    name: str
    missing: tuple[float, ...] = ()
    caution: str = ""
    derived: bool = False


@dataclasses.dataclass(frozen=True)
class DataSpec:
    """The data that a model was built for; part of its bundle and checked wherever data meet the model.

    Attributes
    ----------
    survey : str
    bands : tuple of str
    zero_point : float
        AB magnitude of flux 1.
    static : tuple of Column
        Static columns that the model takes, in order.
    record_static : tuple of str
        All static columns of the training records, in order.
    classes : tuple of str
        In the order of the logits.
    native : dict of str to int
        Class index by native class number, written as text.
    features : tuple of str
        Columns of the derived group.
    feature_days : tuple of float
    feature_group, feature_version : str
        Name and code version of the derived group; empty when none is used.
    fingerprint : str
        Of the training data set.
    taxonomy : str
        Name or file of the tree of classes; empty where there is none, and then the next three are empty too.
    nodes : tuple of str
        Nodes of the tree in level order.
    parents : tuple of int
        Index of each node's parent, −1 for the root.
    class_nodes : dict of str to int
        Index of the node of every class; classes that a selection dropped may be among them.
    position : tuple of str
        Static columns with right ascension and declination, where a static column is derived from them.
    dust : Column, optional
        Static column with the E(B−V) by which fluxes are corrected.
    extinction : tuple of float
        Of every band, in magnitudes for E(B−V) = 1; empty where fluxes are not corrected.
    channels : tuple of str
        Of the stamps; this and the next three are empty for a model that reads none.
    stamp_size : int
        Height and width in pixels.
    alert_columns : tuple of Column
        Columns of an alert that the model takes, in order.
    record_alert_columns : tuple of str
        All columns of an alert in the training records, in order.
    period : Column, optional
        Static column with the period on which light curves are folded.
    spectrum_size : int
        Points of the grid of spectra; 0 for a model that reads none.
    """

    survey: str
    bands: tuple[str, ...]
    zero_point: float
    static: tuple[Column, ...]
    record_static: tuple[str, ...]
    classes: tuple[str, ...]
    native: dict[str, int]
    features: tuple[str, ...] = ()
    feature_days: tuple[float, ...] = ()
    feature_group: str = ""
    feature_version: str = ""
    fingerprint: str = ""
    taxonomy: str = ""
    nodes: tuple[str, ...] = ()
    parents: tuple[int, ...] = ()
    class_nodes: dict[str, int] = dataclasses.field(default_factory=dict)
    position: tuple[str, ...] = ()
    dust: Column | None = None
    extinction: tuple[float, ...] = ()
    channels: tuple[str, ...] = ()
    stamp_size: int = 0
    alert_columns: tuple[Column, ...] = ()
    record_alert_columns: tuple[str, ...] = ()
    period: Column | None = None
    spectrum_size: int = 0

    @property
    def tree(self) -> trees.Taxonomy | None:
        """The tree of classes, if there is one."""
        return trees.Taxonomy(self.taxonomy, self.nodes, self.parents) if self.nodes else None

    @property
    def places(self) -> tuple[int, ...]:
        """Index of the node of each class, in the order of the classes."""
        return tuple(self.class_nodes[name] for name in self.classes)

    def under(self, tree: trees.Taxonomy) -> DataSpec:
        """Give the same with a tree of classes.

        Raises
        ------
        UsageError
            If a class is not in the tree, or two classes are one node of it.
        """
        found: dict[int, str] = {}
        for name in self.classes:
            place = tree.index(name)
            if place in found:
                raise UsageError(
                    f"taxonomy {tree.name}: two classes of the run are one node, {tree.nodes[place]!r}; merge them "
                    f"with --label-map, or keep one with --classes. Received: {found[place]!r} and {name!r}"
                )
            found[place] = name
        class_nodes = {name: place for place, name in found.items()}
        return dataclasses.replace(
            self, taxonomy=tree.name, nodes=tree.nodes, parents=tree.parents, class_nodes=class_nodes
        )

    @property
    def raw_static(self) -> tuple[str, ...]:
        """Static columns that data must have: what the model takes as they are, then position, dust and period."""
        taken = [column.name for column in self.static if not column.derived]
        others = [column.name for column in (self.dust, self.period) if column]
        return tuple(dict.fromkeys([*taken, *self.position, *others]))

    @property
    def derived_static(self) -> tuple[str, ...]:
        """Static columns that are computed from the position."""
        return tuple(column.name for column in self.static if column.derived)

    @property
    def labels(self) -> label_maps.Labels:
        """The classes and which native classes they hold."""
        return label_maps.Labels(self.classes, {int(key): value for key, value in self.native.items()})

    def model_info(self) -> ModelInfo:
        """Give what a model must know."""
        static = tuple(column.name for column in self.static)
        alert = tuple(column.name for column in self.alert_columns)
        return ModelInfo(self.classes, self.bands, static, self.features, self.feature_days, self.nodes,
                         self.channels, self.stamp_size, alert, self.spectrum_size)  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Give plain values for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> DataSpec:
        """Build from what `to_dict` gave."""
        values = dict(values)

        def column(item):
            return Column(item["name"], tuple(item["missing"]), item["caution"], item.get("derived", False))

        for key in ("static", "alert_columns"):
            values[key] = tuple(map(column, values.get(key, ())))
        for key in ("dust", "period"):
            values[key] = column(values[key]) if values.get(key) else None
        for key in ("bands", "record_static", "classes", "features", "feature_days", "nodes", "parents", "position",
                    "extinction", "channels", "record_alert_columns"):  # fmt: skip
            values[key] = tuple(values.get(key, ()))
        return cls(**values)


def describe(directory: RecordDirectory, parts, inputs: InputConfig, selection: SelectionConfig,
             taxonomy: str | None = None) -> DataSpec:  # fmt: skip
    """Settle bands, columns, classes and tree of a run on a record directory, before any selection by counts."""
    info = directory.info
    labels = label_maps.load(info.classes, selection.label_map)
    if selection.classes:
        labels = labels.restrict(selection.classes)
    static: tuple[Column, ...] = ()
    if "static" in parts:
        static = _static_columns(directory, inputs)
    spec = DataSpec(
        survey=info.survey,
        bands=tuple(band.name for band in info.bands),
        zero_point=info.zero_point,
        static=static,
        record_static=tuple(column.name for column in info.static_columns),
        classes=labels.classes,
        native={str(key): value for key, value in labels.native.items()},
        fingerprint=info.fingerprint,
        position=(inputs.ra_column, inputs.dec_column) if any(column.derived for column in static) else (),
    )
    if "stamps" in parts:
        spec = dataclasses.replace(spec, **alert_columns.describe(directory, inputs.alert_columns))
    if inputs.deredden is not None:
        spec = dataclasses.replace(spec, **_dust(directory, parts, inputs.deredden))
    if inputs.fold_period is not None:
        spec = dataclasses.replace(spec, period=_column(directory, parts, "--fold-period", inputs.fold_period))
    if "spectrum" in parts:
        spec = dataclasses.replace(spec, spectrum_size=inputs.spectrum_points)
    if taxonomy:
        spec = spec.under(trees.load(taxonomy))
    if "features" not in parts:
        return spec
    if inputs.feature_group in MAKERS and inputs.feature_group not in derived_names(directory.path):
        known = ", ".join(derived_names(directory.path)) or "none"
        raise DataError(
            f"{directory.path}: the model reads a derived group that these records do not have; python -m "
            f"{MAKERS[inputs.feature_group]} DIR makes it. Valid: {known}. "
            f"Received: {inputs.feature_group!r}"
        )
    group = DerivedGroup(directory, inputs.feature_group)
    if list(group.days) != sorted(set(group.days)):
        raise DataError(
            f"{directory.path}: derived group {inputs.feature_group!r}: days must ascend. Received: {list(group.days)}"
        )
    return dataclasses.replace(
        spec,
        features=tuple(group.columns),
        feature_days=tuple(float(day) for day in group.days),
        feature_group=inputs.feature_group,
        feature_version=group.code_version,
    )


def _static_columns(directory: RecordDirectory, inputs: InputConfig) -> tuple[Column, ...]:
    table, names = {column.name: column for column in directory.info.static_columns}, inputs.static_columns
    if names is None:
        names = [name for name, column in table.items() if not column.caution]
    for name in names:
        if name not in table:
            raise UsageError(
                f"--static-columns: {directory.path} has no such column. "
                f"Valid: {', '.join(table) or 'none'}. Received: {name!r}"
            )
    if not names and not inputs.derived_static:
        raise DataError(
            f"{directory.path}: the model takes static columns and the data set has none to offer without "
            "being named. Name some with --static-columns, or use a preset of light curves only. "
            f"Received: {', '.join(table) or 'no columns'}"
        )
    taken = tuple(Column(name, tuple(table[name].missing), table[name].caution) for name in names)
    return taken + _derived_columns(directory, table, inputs)


def _dust(directory: RecordDirectory, parts, name: str) -> dict[str, Any]:
    """Give `DataSpec.dust` and `DataSpec.extinction`."""
    from zoo.inputs import extinction

    wavelengths = [band.wavelength_angstrom for band in directory.info.bands]
    return {
        "dust": _column(directory, parts, "--deredden", name),
        "extinction": extinction.coefficients(wavelengths),
    }


def _column(directory: RecordDirectory, parts, flag: str, name: str) -> Column:
    """Give the static column that an option of light curves names."""
    table = {column.name: column for column in directory.info.static_columns}
    if name not in table:
        raise UsageError(
            f"{flag}: {directory.path} has no such static column. "
            f"Valid: {', '.join(table) or 'none'}. Received: {name!r}"
        )
    if "light_curve" not in parts:
        raise UsageError(f"{flag} goes with a model that reads light curves. Received: {', '.join(parts)}")
    return Column(name, tuple(table[name].missing), table[name].caution)


def _derived_columns(directory: RecordDirectory, table, inputs: InputConfig) -> tuple[Column, ...]:
    if not inputs.derived_static:
        return ()
    from zoo.inputs import sky

    sky.check(inputs.derived_static)
    for option in ("ra_column", "dec_column"):
        name = getattr(inputs, option)
        if name not in table:
            raise UsageError(
                f"--derived-static needs the position, and {directory.path} has no static column of the name that "
                f"--{option.replace('_', '-')} gives. Valid: {', '.join(table) or 'none'}. Received: {name!r}"
            )
    # Whatever is to be said of the position is to be said of what follows from it.
    caution = "; ".join(dict.fromkeys(filter(None, (table[name].caution for name in
                                                    (inputs.ra_column, inputs.dec_column)))))  # fmt: skip
    return tuple(Column(name, caution=caution, derived=True) for name in inputs.derived_static)


def check_compatible(spec: DataSpec, info, where: str) -> None:
    """Refuse data of another survey, band table, zero point or without the columns of the model.

    Parameters
    ----------
    info : object with ``survey``, ``bands``, ``zero_point``, ``static_columns``
        Of the data at hand: a data set's info, or a source.
    where : str
        Names the data in the message.
    """
    bands = tuple(band.name for band in info.bands)
    facts = [("survey", spec.survey, info.survey)]
    # A model converted from an original that reads no light curve knows of no bands.
    if spec.bands:
        facts.append(("band table", ",".join(spec.bands), ",".join(bands)))
        facts.append(("zero point", spec.zero_point, info.zero_point))
    for what, want, have in facts:
        if want != have:
            raise DataError(
                f"{where}: the {what} is not the one the model was trained on. Valid: {want}. Received: {have}"
            )
    have = [column.name for column in info.static_columns]
    for name in spec.raw_static:
        if name not in have:
            raise DataError(
                f"{where}: lacks the static column {name!r} that the model takes. If data_tools.periods computed it "
                "for the training objects: convert these data, run it on the records, and name what it writes. "
                f"Received: {', '.join(have) or 'no static columns'}"
            )
    if spec.channels:
        alert_columns.check(spec, info, where)


def build_stage(spec: DataSpec, view: str, parts, config: InputConfig, static_names, alert_names=None):
    """Give stage 1 for records whose static columns have the names ``static_names``.

    ``alert_names`` are those of the columns of an alert, the training records' when None.
    """
    from zoo.inputs.stage import Stage

    have, taken = list(static_names), [column.name for column in spec.static]
    redshift = config.rest_frame_time
    if redshift is not None and redshift not in taken:
        raise UsageError(
            "--rest-frame-time must be a static column that the model takes. "
            f"Valid: {', '.join(taken) or 'none, the model takes no static columns'}. Received: {redshift!r}"
        )
    return Stage(
        view=view,
        parts=tuple(parts),
        config=config,
        bands=len(spec.bands),
        static_size=len(have),
        static_columns=tuple(have.index(column.name) for column in spec.static if not column.derived),
        missing=tuple(column.missing for column in spec.static if not column.derived),
        derived_static=spec.derived_static,
        position=tuple(have.index(name) for name in spec.position),
        feature_days=spec.feature_days,
        feature_size=len(spec.features),
        redshift=None if redshift is None else taken.index(redshift),
        dust=have.index(spec.dust.name) if spec.dust else None,
        dust_missing=spec.dust.missing if spec.dust else (),
        extinction=spec.extinction,
        period=have.index(spec.period.name) if spec.period else None,
        period_missing=spec.period.missing if spec.period else (),
        **_stamps(spec, list(spec.record_alert_columns if alert_names is None else alert_names)),
    )


def _stamps(spec: DataSpec, names: list[str]) -> dict[str, Any]:
    """Give what `Stage` must know of stamps."""
    return {
        "stamp_shape": (spec.stamp_size, spec.stamp_size, len(spec.channels)) if spec.channels else (),
        "alert_size": len(names),
        "alert_columns": tuple(names.index(column.name) for column in spec.alert_columns),
    }
