"""The objects of a split."""

from __future__ import annotations

import dataclasses

import numpy as np

from tfrecords import subsets
from tfrecords.derived import DerivedGroup
from tfrecords.errors import DataError
from tfrecords.reader import RecordDirectory
from zoo.inputs import alert_columns, plan
from zoo.inputs.config import InputConfig, SelectionConfig
from zoo.inputs.spec import DataSpec

ALERT_OBJECTS = 20_000
"""Most training objects whose alerts tables are fitted on, drawn by the run's seed: their pixels are read too."""


def sample_rows(count: int, limit: int, seed: int) -> np.ndarray:
    """Draw at most ``limit`` of ``count`` places, ascending."""
    if count <= limit:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, limit, replace=False))


class Examples:
    """Objects of a record directory with their labels.

    Parameters
    ----------
    directory : RecordDirectory
    indices : array of int64
        Records of the objects.
    spec : DataSpec

    Attributes
    ----------
    targets : str, optional
        Derived group whose columns, as they are for the last of its days, are targets beside the labels.

    Attributes
    ----------
    labels : array (object,), int32
        Class of each object, -1 unlabelled.
    target_columns : tuple of str
        Columns of that group.
    """

    def __init__(self, directory: RecordDirectory, indices, spec: DataSpec, targets: str | None = None):
        self.directory, self.spec, self.targets = directory, spec, targets
        self._targets = DerivedGroup(directory, targets) if targets else None
        self.target_columns = self._targets.columns if targets else ()
        self.indices = np.asarray(indices, "int64")
        self.labels = spec.labels.index(directory.index["class_id"][self.indices])
        # A converted model states no version of its features.
        version = spec.feature_version or None
        self._group = DerivedGroup(directory, spec.feature_group, version) if spec.feature_group else None
        if self._group is not None and version and tuple(self._group.days) != spec.feature_days:
            raise DataError(
                f"{directory.path}: derived group {spec.feature_group!r} is of other days than the model was trained "
                f"on. Valid: {', '.join(f'{day:g}' for day in spec.feature_days)}. "
                f"Received: {', '.join(f'{day:g}' for day in self._group.days)}"
            )
        if self._group is not None and tuple(self._group.columns) != spec.features:
            raise DataError(
                f"{directory.path}: derived group {spec.feature_group!r} has other columns than the model was "
                f"trained on. Valid: {', '.join(spec.features[:5])} ... ({len(spec.features)}). "
                f"Received: {', '.join(self._group.columns[:5])} ... ({len(self._group.columns)})"
            )

    def __len__(self) -> int:
        return len(self.indices)

    def serialized(self, places) -> np.ndarray:
        """Give the serialized records at some places, an object array of bytes."""
        records = np.empty(len(places), object)
        records[:] = self.directory.serialized(self.indices[places])
        return records

    def feature_values(self, places) -> np.ndarray:
        """Give the computed features (object, day, feature), float32; empty where none are used."""
        if self._group is None:
            return np.zeros((len(places), 0, 0), "float32")
        return self._group.values(self.indices[places])

    def target_values(self, places) -> np.ndarray:
        """Give the computed targets (object, column), float32, NaN where one is missing."""
        if self._targets is None:
            return np.zeros((len(places), 0), "float32")
        return self._targets.values(self.indices[places])[:, -1]

    def ids(self) -> list[str]:
        """Give the object ids."""
        return self.directory.ids(self.indices)

    def static_values(self, limit: int, seed: int, rules: bool = True) -> np.ndarray:
        """Give the model's static columns (row, column) of at most ``limit`` objects.

        With ``rules``, declared sentinels are NaN.
        """
        values = self.static_at(sample_rows(len(self), limit, seed))
        for place, column in enumerate(self.spec.static if rules else ()):
            values[np.isin(values[:, place], column.missing), place] = np.nan
        return values

    def static_at(self, places) -> np.ndarray:
        """Give the model's static columns (object, column) as the records hold them, float32."""
        from tfrecords.schema import decode

        columns = [column.name for column in self.directory.info.static_columns]
        wanted = [columns.index(column.name) for column in self.spec.static if not column.derived]
        rows = [decode(record).static for record in self.serialized(places)]
        if not rows:
            return np.zeros((0, len(self.spec.static)), "float32")
        values, position = np.stack(rows), [columns.index(name) for name in self.spec.position]
        if not position:
            return values[:, wanted]
        from zoo.inputs import sky

        derived = sky.derive(self.spec.derived_static, *values[:, position].T).numpy()
        return np.concatenate([values[:, wanted], derived], axis=1, dtype="float32")

    def alert_values(self, seed: int, inputs: InputConfig) -> np.ndarray:
        """Give the model's columns of alerts (row, column), float32, as they are, of at most `ALERT_OBJECTS` objects.

        A row is an alert that the model may see under ``inputs``.
        """
        spec, columns = self.spec, self.directory.info.alert_columns
        names = [column.name for column in columns]
        taken = [names.index(column.name) for column in spec.alert_columns]
        shape = (spec.stamp_size, spec.stamp_size, len(spec.channels))
        places, rows = sample_rows(len(self), ALERT_OBJECTS, seed), []
        for start in range(0, len(places), 256):
            rows.append(alert_columns.values(self.serialized(places[start : start + 256]), shape, len(names), inputs))
        return np.concatenate(rows)[:, taken]

    def feature_rows(self, limit: int, seed: int, day: int) -> np.ndarray:
        """Give the computed features (row, feature) of at most ``limit`` objects at the day of a number."""
        places = sample_rows(len(self), limit, seed)
        # In pieces: all days of all objects together need not fit into memory.
        pieces = np.array_split(places, max(1, len(places) // 4096))
        return np.concatenate([self.feature_values(piece)[:, day] for piece in pieces])

    def keep(self, mask) -> Examples:
        """Give the objects where ``mask`` is True."""
        return Examples(self.directory, self.indices[np.asarray(mask)], self.spec, self.targets)


def wanted(spec: DataSpec, selection: SelectionConfig, native, labelled: bool) -> np.ndarray:
    """Say which objects (object,), bool, of native classes a run takes: those of its classes, or all."""
    if labelled or selection.classes or selection.label_map:
        return spec.labels.index(native) >= 0
    return np.ones(len(native), bool)


SAMPLE = 64
"""Training records that are looked at for what a model cannot do without."""


def _sample(examples: Examples):
    """Give some training records, from the first to the last."""
    from tfrecords.schema import decode

    places = np.unique(np.linspace(0, len(examples) - 1, SAMPLE).astype("int64"))
    return map(decode, examples.serialized(places))


def check_spectra(examples: Examples, inputs: InputConfig, required: bool = True) -> None:
    """Refuse training objects without spectra that the model can read; some of them may lack theirs.

    Raises
    ------
    DataError
        If none of some training records has a spectrum that is ``required``, or if of those that have one none reaches
        the grid of ``inputs`` or has a flux that varies.
    """
    sample = [record.spectrum for record in _sample(examples)]
    found = [spectrum for spectrum in sample if spectrum is not None and len(spectrum.wavelength)]
    if not found and required:
        raise DataError(
            f"{examples.directory.path}: the model reads spectra alone, and none of {len(sample)} "
            "training objects has one. Valid: records of data_tools.spectra, lamost or psm. Received: no spectra"
        )
    first = inputs.spectrum_start
    last = first + inputs.spectrum_step * (inputs.spectrum_points - 1)
    ends = [(spectrum.wavelength.min(), spectrum.wavelength.max()) for spectrum in found]
    if found and not any(low <= last and high >= first for low, high in ends):
        raise DataError(
            f"{examples.directory.path}: none of {len(found)} training spectra reaches the grid of the model; set "
            f"--spectrum-start, --spectrum-step and --spectrum-points. Valid: {first:g} to {last:g} angstrom. "
            f"Received: {min(low for low, _ in ends):g} to {max(high for _, high in ends):g} angstrom"
        )
    fluxes = [spectrum.flux[np.isfinite(spectrum.flux)] for spectrum in found]
    if found and not any(len(flux) and flux.min() < flux.max() for flux in fluxes):
        raise DataError(
            f"{examples.directory.path}: none of {len(found)} training spectra has a flux that varies. "
            "Received: the same flux, or none, at all wavelengths"
        )


def check_columns(examples: Examples) -> None:
    """Refuse training objects without any static column; some of them may lack theirs.

    Raises
    ------
    DataError
        If all columns of all of some training records are missing.
    """
    places = np.unique(np.linspace(0, len(examples) - 1, SAMPLE).astype("int64"))
    values = examples.static_at(places)
    missing = [np.isin(values[:, place], column.missing) for place, column in enumerate(examples.spec.static)]
    if not (np.isfinite(values) & ~np.stack(missing, axis=1)).any():
        raise DataError(
            f"{examples.directory.path}: the model reads static columns alone, and none of {len(values)} training "
            f"objects has a value in one of them. Received: {', '.join(item.name for item in examples.spec.static)}"
        )


def check_periods(examples: Examples) -> None:
    """Refuse training objects of which none has a period to fold on; some of them may lack theirs.

    Raises
    ------
    DataError
        If the period of all of some training records is missing or not positive.
    """
    column = examples.spec.period
    place = [item.name for item in examples.directory.info.static_columns].index(column.name)
    values = [np.nan if record.static is None else record.static[place] for record in _sample(examples)]
    if not any(value > 0 and value not in column.missing for value in values):
        raise DataError(
            f"{examples.directory.path}: --fold-period: none of {len(values)} training objects has a period in the "
            f"static column {column.name!r}. Valid: days, positive. "
            f"Received: {', '.join(f'{value:g}' for value in values[:3])} ..."
        )


def check_twins(examples: Examples) -> None:
    """Refuse training objects without the noiseless light curve ``target/flux`` that a model is to learn.

    Raises
    ------
    DataError
        If one of some training records lacks it, or has another number of rows than its light curve.
    """
    for record in _sample(examples):
        rows = 0 if record.lc is None else len(record.lc)
        found = len(record.targets.get("flux", ()))
        if found != rows:
            raise DataError(
                f"{examples.directory.path}: mapping denoise needs the noiseless flux of every row of a light curve "
                f"as target/flux, which object {record.object_id!r} lacks; use mapping true. Valid: {rows} values. "
                f"Received: {found}"
            )


def splits(directory: RecordDirectory, spec: DataSpec, selection: SelectionConfig, fold: int | None,
           seed: int, inputs: InputConfig | None = None, targets: str | None = None,
           labelled: bool = True) -> tuple[DataSpec, dict[str, Examples]]:  # fmt: skip
    """Give the objects of train, validation and test under a selection.

    ``min_per_class`` counts training objects and drops classes from every split; ``subset`` thins training and
    validation, each by itself, ``max_per_class`` and ``label_fraction`` the training split only. Under
    ``inputs.require_detection`` objects without a detection leave all splits first. ``targets`` is the derived group of
    computed targets, see `Examples`. Where no labels are needed, all objects are taken, unless ``classes`` or a label
    map names those to take.

    Returns
    -------
    spec : DataSpec
        With the classes that are left.
    splits : dict of str to Examples

    Raises
    ------
    DataError
        If training or validation is empty, or fewer than two classes are left to train on where labels are needed.
    """
    if not labelled:
        selection = dataclasses.replace(selection, min_per_class=0)
    if directory.info.folds and fold is None:
        fold = 0
    places = {name: directory.split_indices(name, fold) for name in ("train", "validation", "test")}
    if inputs is not None and inputs.require_detection:
        from zoo.inputs.detections import detected

        places = {name: indices[detected(directory, indices, inputs)] for name, indices in places.items()}
    native = directory.index["class_id"]
    counts = np.bincount(
        np.maximum(spec.labels.index(native[places["train"]]) + 1, 0), minlength=len(spec.classes) + 1
    )[1:]
    least = max(selection.min_per_class, 1)
    left = [name for name, count in zip(spec.classes, counts, strict=True) if count >= least]
    if not labelled:
        left = list(spec.classes)
    elif len(left) < 2:
        table = ", ".join(f"{name} {count}" for name, count in zip(spec.classes, counts, strict=True))
        raise DataError(
            f"{directory.path}: training needs at least two classes with {least} objects or more. "
            f"Received: {table or 'no classes'}"
        )
    labels = spec.labels.restrict(left)
    spec = dataclasses.replace(
        spec, classes=labels.classes, native={str(key): value for key, value in labels.native.items()}
    )
    result = {}
    for name, indices in places.items():
        known = wanted(spec, selection, native[indices], labelled)
        result[name] = Examples(directory, indices[known], spec, targets)
    for name in ("train", "validation") if selection.subset is not None else ():
        examples = result[name]
        result[name] = examples.keep(subsets.subset_mask(examples.labels, examples.ids(), selection.subset, seed))
    train = result["train"]
    chosen = plan.select(train.labels, selection, seed)
    result["train"] = Examples(directory, train.indices[chosen], spec, targets)
    for name in ("train", "validation"):
        if not len(result[name]):
            raise DataError(f"{directory.path}: the split {name!r} is empty. Received: fold {fold}")
    return spec, result
