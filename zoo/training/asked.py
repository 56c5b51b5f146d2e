"""What is asked of representations, checked before any is computed: objects that are there, splits, modalities."""

from __future__ import annotations

import difflib
from pathlib import Path

from tfrecords.errors import DataError, UsageError
from zoo.training.prediction import record_directory


def check(run, data, source: str | None, splits, split: str, neighbours, similarity) -> None:
    """Refuse what a run cannot give of a source.

    Parameters
    ----------
    run : zoo.training.run.Run
    data, source, split
        As `zoo.training.embedding.embed` takes them.
    splits : array (record,), object, or None
        The split of every record under the run's fold; None where the data are no records.
    neighbours : sequence of str
        Ids of objects whose neighbours are asked for.
    similarity : zoo.training.similarity.SimilarityConfig or None

    Raises
    ------
    UsageError
        For a modality that the network has not, or where training objects are needed and none are embedded.
    DataError
        For an object that is not in the source, or not in the split.
    """
    ids = {"--neighbours": neighbours}
    if similarity is not None:
        similarity.check(run)
        ids["--query"] = similarity.queries
        if similarity.zero_shot:
            _check_splits(splits, split, ("all",), "--zero-shot")
        if similarity.outliers:
            _check_splits(splits, split, ("all", "train"), "--outliers")
    for flag, asked in ids.items():
        if asked and splits is None:
            _check_listed(data, source, asked, flag)
        elif asked:
            _check_records(record_directory(data, source), splits, split, asked, flag)


def _check_splits(splits, split: str, valid, flag: str) -> None:
    if splits is None:
        raise UsageError(f"{flag} needs a directory of records with splits. Received: files of a survey")
    if split not in valid:
        raise UsageError(f"{flag} needs training objects. Valid: --split {' or '.join(valid)}. Received: {split}")


def _check_records(directory, splits, split: str, ids, flag: str) -> None:
    for object_id in ids:
        try:
            place = directory.find(object_id)
        except DataError as error:
            raise DataError(f"{flag}: {error}") from None
        if split not in ("all", splits[place]):
            raise DataError(
                f"{flag}: the object is in the split {splits[place]}. Valid: --split all. "
                f"Received: {object_id!r} with --split {split}"
            )


def _check_listed(data, source: str | None, ids, flag: str) -> None:
    from data_tools.sources import open_source

    paths = [Path(item) for item in ([data] if isinstance(data, (str, Path)) else data)]
    listed = open_source(paths, source).labels()[0]
    known = set(listed)
    for object_id in ids:
        if object_id not in known:
            near = ", ".join(difflib.get_close_matches(object_id, listed[:200_000], 3, 0.4) or listed[:3])
            raise DataError(f"{flag}: the object is not there; like it are {near}. Received: {object_id!r}")
