"""Representations of the objects of a source by trained runs, and all that ``python -m zoo.embed`` writes of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from tfrecords import command
from tfrecords.errors import DataError, UsageError
from zoo.inputs.cuts import Cut
from zoo.training import asked, files, modalities, projection
from zoo.training.prediction import apply, collect, pieces, record_directory

SPLITS = ("all", "train", "validation", "test")
THUMBNAIL = 32
"""Longest side of the stamps in a sprite, in pixels."""


@dataclasses.dataclass(frozen=True)
class Embeddings:
    """Representations by one run.

    Attributes
    ----------
    run : zoo.training.run.Run
    table : pandas.DataFrame
        See `embed`.
    dimension : int
    parts : dict of str to array (row of the table, dimension), float32
        Every representation of a network of several modalities, where they were asked for; NaN where there is none.
    thumbnails : array (object, side, side), uint8, or None
        A stamp of each row of the table, 0 where it has none; None where no object has stamps.
    """

    run: object
    table: object
    dimension: int
    parts: dict = dataclasses.field(default_factory=dict)
    thumbnails: np.ndarray | None = None

    @property
    def columns(self) -> list[str]:
        """Names of the representation's columns."""
        return _columns(self.dimension)

    @property
    def good(self) -> np.ndarray:
        """Which rows (object,), bool, have a representation."""
        return self.table[self.columns[0]].notna().to_numpy()

    def values(self) -> np.ndarray:
        """Give the representations (good row, dimension), float32."""
        return self.table.loc[self.good, self.columns].to_numpy("float32")


def embed(run, data, *, source: str | None = None, split: str = "all", day: float = float("inf"),
          column: str | None = None, modality: str | None = None, quiet: bool = True):  # fmt: skip
    """Represent every object of a source by what a trained network knows of it before its heads.

    Parameters
    ----------
    run : path or Run
        A finished run.
    data : path or list of path
        What the source is made of: a record directory, or the files of a survey.
    source : str, optional
        Name of the source; recognised from the data when absent.
    split : {"all", "train", "validation", "test"}
        Which objects, of records: those of a split of the run's fold, or of the first where the data have no such.
    day : float
        Hide what came later than so many days after the reference time.
    column : str, optional
        A static column or a target of one value that the table shall hold too, NaN where it is missing.
    modality : str, optional
        Of a network of several: the embedding of one, instead of the representation of the whole object.
    quiet : bool
        No progress bar.

    Returns
    -------
    pandas.DataFrame
        One row an object in input order: ``object_id``, ``class`` (of the run's classes, null without a label or of
        none of them), ``split`` of records, ``observations`` (rows that the network saw), ``reason`` (empty, or what
        to know, or why there is no representation), the column asked for, and ``e_000`` ..., float32.

    Raises
    ------
    UsageError
        If a split of files that have none is asked for, a column that the data lack or a modality that the network
        has not.
    DataError
        If the data are of another survey than the run's, or broken.
    """
    return compute(run, data, source=source, split=split, day=day, column=column, modality=modality, quiet=quiet).table


def compute(run, data, *, source=None, split="all", day=float("inf"), column=None, modality=None, every=False,
            thumbnails=False, quiet=True):  # fmt: skip
    """Represent the objects of a source, see `embed`.

    With ``every`` all representations that the network has come along in ``parts``, with ``thumbnails`` the stamps.

    Returns
    -------
    Embeddings
    """
    import tensorflow as tf

    from zoo.training.run import load_run

    run = load_run(run)
    splits = _splits(run, data, source)
    if split not in SPLITS:
        raise UsageError(f"--split must be one of {', '.join(SPLITS)}. Received: {split!r}")
    if splits is None and "split" in (column, "" if split == "all" else "split"):
        raise UsageError("only a directory of records has splits: leave --split away. Received: files of a survey")
    chosen = None if split == "all" else splits == split
    shown, images = modalities.representation(run, modality, every), {}
    name, width = next(iter(shown.sizes)), sum(shown.sizes.values())
    represent = tf.function(shown.function, reduce_retracing=True)
    extra = None if column in (None, "class", "split", "observations") else column

    def table_of(piece):
        # Before the network: a column that is not there shall not be found missing after hours.
        more = _from_records(piece, extra, images if thumbnails else None) if extra or thumbnails else None
        values, observations = apply(
            represent, width, piece.examples, piece.stage, [Cut(day)], quiet=quiet or piece.streamed,
            label="embedding",
        )  # fmt: skip
        return _table(run, piece.ids, piece.examples.labels, values[0], observations[0], extra, more, shown.sizes)

    none = np.zeros((0, width), "float32")
    empty = _table(run, [], np.zeros(0, "int32"), none, np.zeros(0, "int64"), extra, np.zeros(0), shown.sizes)
    table = collect(pieces(run, data, source, quiet, "embedding", chosen, extra), table_of, empty)
    rows = table.pop("row").to_numpy("int64")
    if splits is not None:
        named = np.where(rows >= 0, splits[rows], None) if len(splits) else np.zeros(0, object)
        table.insert(2, "split", named)
    parts = {
        part: table[_columns(size, part)].to_numpy("float32") for part, size in shown.sizes.items() if part != name
    }
    table = table.drop(columns=[column for part in parts for column in _columns(shown.sizes[part], part)])
    parts[name] = table[_columns(shown.sizes[name])].to_numpy("float32")
    parts = {part: parts[part] for part in shown.known} if every else {}
    return Embeddings(run, table, shown.sizes[name], parts, _stacked(images, rows) if images else None)


def _splits(run, data, source) -> np.ndarray | None:
    """Give the split (record,) of every record under the run's fold, or None where the data are no records.

    Other data may have fewer folds than the run's: then the first one validates.
    """
    directory = record_directory(data, source)
    if directory is None:
        return None
    fold = run.run_config.fold or 0
    fold = None if not directory.info.folds else fold if fold < directory.info.folds else 0
    names = np.full(len(directory), None, object)
    for name in SPLITS[1:]:
        names[directory.split_indices(name, fold)] = name
    return names


def _columns(dimension: int, name: str = "e") -> list[str]:
    digits = max(3, len(str(dimension - 1)))
    return [f"{name}_{place:0{digits}d}" for place in range(dimension)]


def _table(run, ids, labels, values, observations, extra, more, sizes):
    import pandas as pd

    values = np.array(values)
    (name, dimension), *others = sizes.items()
    missing = np.isnan(values[:, :dimension]).all(axis=1)
    finite = np.isfinite(values[:, :dimension]).all(axis=1)
    values[~finite, :dimension] = np.nan
    names = np.array([*run.bundle.spec.classes, None], object)
    table = pd.DataFrame({"object_id": list(ids), "class": names[labels], "observations": observations})
    parts = run.bundle.config.parts()
    seen = {"light_curve", "stamps"} & set(parts) if "spectrum" not in parts else set()
    empty = np.asarray(observations) == 0 if seen else np.zeros(len(values), bool)
    nothing = "stamp" if "stamps" in seen else "light curve"
    reasons = np.where(finite, "", "the network's representation is not finite")
    reasons = np.where(
        missing, f"the object lacks {'every modality' if name == modalities.COMBINED else name}", reasons
    )
    table["reason"] = np.where(finite & empty, f"no observation left: as of an empty {nothing}", reasons)
    if extra is not None:
        table[extra] = more
    columns = [*_columns(dimension), *(column for part, size in others for column in _columns(size, part))]
    return pd.concat([table, pd.DataFrame(values, columns=columns, index=table.index)], axis=1)


def _from_records(piece, column: str | None, images: dict | None):
    """Give the values (object,), float64, of a static column or target, and put thumbnails into ``images`` by row."""
    from tfrecords.schema import decode

    static = {item.name: (place, item.missing) for place, item in enumerate(piece.info.static_columns)}
    if column is not None and column not in static and column not in piece.info.targets:
        valid = ", ".join(["class", "split", "observations", *static, *piece.info.targets])
        raise UsageError(f"the data have no such column or target. Valid: {valid}. Received: {column!r}")
    channels = getattr(piece.info, "stamp_channels", ())
    channel = channels.index("science") if "science" in channels else 0
    values = np.full(len(piece.ids), np.nan)
    for place, row in enumerate(piece.rows):
        [data] = piece.examples.serialized(np.array([place]))
        record = decode(data)
        if images is not None and record.stamps is not None and len(record.stamps.images):
            images[int(row)] = thumbnail(record.stamps.images[-1, :, :, channel])
        if column in static and record.static is not None:
            at, missing = static[column]
            value = record.static[at]
            values[place] = np.nan if np.isin(value, np.array(missing, "float32")) else value
        elif column not in static and column in record.targets:
            if len(record.targets[column]) != 1:
                raise UsageError(
                    f"target {column!r} has not one value an object, so nothing can be coloured by it. "
                    f"Received: {len(record.targets[column])} values of object {record.object_id!r}"
                )
            values[place] = record.targets[column][0]
    return values


def thumbnail(stamp: np.ndarray) -> np.ndarray:
    """Reduce a stamp (height, width) to a square of bytes of at most `THUMBNAIL` pixels a side.

    Between the 1st and the 99.5th percentile of its finite pixels, linearly; what is not finite is 0.
    """
    side = max(stamp.shape)
    size = min(side, THUMBNAIL)
    pick = [np.minimum(np.arange(size) * side // size, length - 1) for length in stamp.shape]
    finite = np.isfinite(stamp)
    low, high = np.percentile(stamp[finite], [1, 99.5]) if finite.any() else (0.0, 0.0)
    scaled = (np.where(finite, stamp, low) - low) / (high - low if high > low else 1.0)
    return (255 * np.clip(scaled, 0, 1)).astype("uint8")[np.ix_(*pick)]


def _stacked(images: dict, rows: np.ndarray) -> np.ndarray:
    side = max(len(image) for image in images.values())
    found = np.zeros((len(rows), side, side), "uint8")
    for place, row in enumerate(rows.tolist()):
        if row in images:
            image = images[row]
            found[place, : len(image), : len(image)] = image
    return found


def embed_runs(runs, data, out, *, source=None, split="all", day=float("inf"), plot=("pca",),
               config: projection.ProjectionConfig | None = None, colour="class", max_points=20_000, projector=False,
               neighbours=(), k=10, modality=None, similarity=None, quiet=True) -> list[str]:  # fmt: skip
    """Embed the objects of a source with runs, and write tables, plots, scores and projector files.

    Parameters
    ----------
    runs : list of path or Run
    data, source, split, day, quiet
        As `embed` takes them.
    out : path
        Directory, made if absent: ``scores.json``, a figure a projection, ``neighbours.csv``, ``projector/``, and the
        tables of the run, or a directory of tables a run where there are several.
    plot : sequence of {"pca", "umap", "tsne"}
    config : ProjectionConfig, optional
    colour : str
        What figures are coloured by: ``class``, ``split``, ``observations``, a static column or a target.
    max_points : int
        Most objects that are projected and shown, drawn at random.
    projector : bool
        Write files for TensorBoard's projector.
    neighbours : sequence of str
        Ids of objects whose ``k`` nearest neighbours are listed.
    modality : str, optional
        Of networks of several: the embeddings of one, instead of the representation of whole objects.
    similarity : zoo.training.similarity.SimilarityConfig, optional
        Search between modalities, classification by cosine, outliers.

    Returns
    -------
    list of str
        Tables of the scores, of what was found by cosine and of the neighbours, in Markdown.
    """
    from zoo.reports import representations as report
    from zoo.training.run import load_run
    from zoo.training.similarity import report_similarity

    config = config or projection.ProjectionConfig()
    projection.check_methods(plot)
    if max_points < projection.LEAST or k < 1:
        raise UsageError(
            f"--max-points must be at least {projection.LEAST} and --k at least 1. Received: {max_points}, {k}"
        )
    out, found, runs = Path(out), [], [load_run(run) for run in runs]
    names = report.run_names([run.path for run in runs])
    for run in runs:
        asked.check(run, data, source, _splits(run, data, source), split, neighbours, similarity)
    for run in runs:
        found.append(compute(run, data, source=source, split=split, day=day, column=colour, modality=modality,
                             every=similarity is not None, thumbnails=projector, quiet=quiet))  # fmt: skip
    places = [out / name if len(found) > 1 else out for name in names]
    shown = [_shown(item.good, max_points, config.seed) for item in found]
    for place, item in zip(places, found, strict=True):
        _write(place, item)
    tables = [_neighbour_table(name, item, neighbours, k, config) for name, item in zip(names, found, strict=True)]
    _plot(out, places, names, found, shown, plot, colour, config, quiet)
    if projector:
        shown_parts = [
            (name, item.table.loc[rows, item.columns].to_numpy(), item.table.loc[rows].drop(columns=item.columns),
             None if item.thumbnails is None else item.thumbnails[rows])
            for name, item, rows in zip(names, found, shown, strict=True)
        ]  # fmt: skip
        report.write_projector(out / "projector", shown_parts)
    pairs = command.progress(list(zip(names, found, strict=True)), "scoring", quiet=quiet)
    text = [report.write_scores(out / "scores.json", [scores(name, item, config) for name, item in pairs])]
    if similarity is not None:
        text += report_similarity(out, places, names, found, similarity)
    if neighbours:
        text.append(report.write_neighbours(out / "neighbours.csv", tables))
    return text


def _shown(good: np.ndarray, most: int, seed: int) -> np.ndarray:
    from zoo.inputs.data import sample_rows

    rows = np.flatnonzero(good)
    return rows[sample_rows(len(rows), most, seed)]


def _write(place: Path, item: Embeddings) -> None:
    table = item.table
    files.atomic(place / "embeddings.parquet", lambda path: table.to_parquet(path, index=False))
    files.atomic(place / "embeddings.npy", lambda path: np.save(path, item.values()))
    ids = table.loc[item.good, "object_id"].to_numpy().astype(str)
    files.atomic(place / "ids.npy", lambda path: np.save(path, ids, allow_pickle=False))


def _plot(out, places, names, found, shown, plot, colour, config, quiet) -> None:
    import pandas as pd

    from zoo.reports import representations as report

    coordinates = [pd.DataFrame({"object_id": item.table["object_id"].to_numpy()[rows]})
                   for item, rows in zip(found, shown, strict=True)]  # fmt: skip
    jobs = [(method, number) for method in plot for number in range(len(found))]
    panels: dict[str, list] = {method: [] for method in plot}
    for method, number in command.progress(jobs, "projecting", quiet=quiet):
        item, rows = found[number], shown[number]
        points, labels = projection.project(item.table.loc[rows, item.columns].to_numpy(), method, config)
        for axis in (0, 1):
            coordinates[number][f"{method}_{axis + 1}"] = points[:, axis]
        panels[method].append((names[number], points, labels, item.table[colour].to_numpy()[rows]))
    for method, parts in panels.items():
        report.write_figure(out / f"{method}.png", report.projection_figure(parts, colour))
    if plot:
        for place, table in zip(places, coordinates, strict=True):
            files.atomic(place / "projections.parquet", lambda path, table=table: table.to_parquet(path, index=False))


def scores(name: str, item: Embeddings, config: projection.ProjectionConfig) -> dict:
    """Score a run's representations: clusters on the test objects where there are splits, a linear probe on them."""
    table, values = item.table[item.good], item.values()
    labelled = table["class"].notna().to_numpy()
    labels = table["class"].to_numpy(object)
    result = {
        "run": name, "path": str(item.run.path), "dimension": len(item.columns), "objects": len(table),
        "refused": int((~item.good).sum()), "normalise": config.normalise, "seed": config.seed,
    }  # fmt: skip
    split = table["split"].to_numpy(object) if "split" in table else np.full(len(table), None, object)
    train, test = labelled & (split == "train"), labelled & (split == "test")
    on, where = (test, "test") if test.any() else (labelled, "all")
    result["clustering"] = {"split": where, **projection.clustering(values[on], labels[on].astype(str), config)}
    result["linear_probe"] = projection.linear_probe(
        values[train], labels[train].astype(str), values[test], labels[test].astype(str), config
    )
    return result


def _neighbour_table(name: str, item: Embeddings, queries, k: int, config):
    """Give the nearest neighbours of objects: run, query, rank, object_id, class, split of records, distance."""
    import difflib

    import pandas as pd

    table = item.table[item.good].reset_index(drop=True)
    ids, rows = table["object_id"].to_numpy(), []
    for query in queries:
        place = np.flatnonzero(ids == query)
        if not len(place):
            refused = item.table.loc[item.table["object_id"] == query, "reason"]
            near = ", ".join(difflib.get_close_matches(query, list(ids[:200_000]), 3, 0.4) or ids[:3].tolist())
            why = f"has no representation ({refused.iloc[0]})" if len(refused) else f"is not there; like it are {near}"
            raise DataError(f"--neighbours: the object {why}. Received: {query!r}")
        at, distances = projection.neighbours(item.values(), int(place[0]), k, config)
        part = table.loc[at, [column for column in ("object_id", "class", "split") if column in table]].copy()
        part.insert(0, "run", name)
        part.insert(1, "query", query)
        part.insert(2, "rank", np.arange(1, len(at) + 1))
        rows.append(part.assign(distance=distances))
    return pd.concat(rows, ignore_index=True) if rows else None
