"""Decoding of a whole batch of serialized records in TensorFlow: a few operations a batch, not a record."""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tfrecords.errors import DataError

if TYPE_CHECKING:
    import tensorflow as tf

_COLUMNS = {"time": 8, "band": 1, "flux": 4, "flux_err": 4, "flags": 1}


@contextlib.contextmanager
def named_objects() -> Iterator[None]:
    """Turn what the functions below say of records, inside a pipeline of TensorFlow's or not, into a `DataError`."""
    import tensorflow as tf

    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        said = re.search(r"assertion failed: \[([^]]*)\] \[([^]]*)\]", error.message)
        if said is not None:
            raise DataError(f"{said[1]} {said[2]}") from None
        # Outside a graph the parts are shown as byte strings, one a line.
        said = re.search(r"Summarized data: b(['\"])(.*)\1\n(.*)$", error.message)
        if said is None:
            raise
        names = re.sub(r"b(['\"])(.*?)\1(, |$)", r"\2 ", said[3])
        raise DataError(f"{said[2]} {names.strip()}") from None


def parse(
    serialized: tf.Tensor, static_size: int, targets: Sequence[str] = (), row_targets: Sequence[str] = ()
) -> dict[str, tf.Tensor]:
    """Decode a batch of records; works eagerly, in a ``tf.data`` pipeline and in an exported function.

    Parameters
    ----------
    serialized : tf.Tensor
        string [N], one record each; N may be 0.
    static_size : int
        Number S of static columns of the data set; 0 ignores the column.
    targets : sequence of str
        Names of scalar targets to decode as well.
    row_targets : sequence of str
        Names of targets with one value a row of the light curve.

    Returns
    -------
    dict of str to tf.Tensor
        ``object_id`` string [N]; ``class_id``, ``length`` int64 [N]; ``static`` f4 [N, S], NaN where a record has
        none; the rows of all light curves one after another, R = sum of ``length``: ``time`` f8 [R] (MJD), ``band``
        int32 [R], ``flux``, ``flux_err`` f4 [R], ``flags`` int32 [R]; ``target/<name>`` f8 [N], NaN where a record
        has none, [R] for a row target. A record without light curve has length 0.

    Raises
    ------
    tf.errors.InvalidArgumentError
        If a record lacks its id or class, or an array has another size than its record or data set says.
    """
    import tensorflow as tf

    features = {
        "object_id": tf.io.FixedLenFeature([], tf.string),
        "class_id": tf.io.FixedLenFeature([], tf.int64),
        "lc/length": tf.io.FixedLenFeature([], tf.int64, default_value=0),
    }
    features |= {f"lc/{name}": tf.io.FixedLenFeature([], tf.string, default_value=b"") for name in _COLUMNS}
    if static_size:
        missing = struct.pack("<f", float("nan")) * static_size
        features["static"] = tf.io.FixedLenFeature([], tf.string, default_value=missing)
    missing = struct.pack("<d", float("nan"))
    features |= {f"target/{name}": tf.io.FixedLenFeature([], tf.string, default_value=missing) for name in targets}
    features |= {f"target/{name}": tf.io.FixedLenFeature([], tf.string, default_value=b"") for name in row_targets}
    parsed = tf.io.parse_example(serialized, features)

    def join(key: str, size: int | tf.Tensor, dtype: tf.DType) -> tf.Tensor:
        # Joined columns of wrong sizes could cancel out and shift rows from one object to the next.
        with tf.control_dependencies(
            [
                tf.debugging.assert_equal(
                    tf.strings.length(parsed[key]),
                    tf.cast(size, tf.int32),
                    message=f"key {key!r} of a record has another size than its record or data set says",
                )
            ]
        ):
            return tf.io.decode_raw(tf.strings.reduce_join(parsed[key]), dtype)

    length = parsed["lc/length"]

    def join_rows(key: str) -> tf.Tensor:
        present = tf.strings.length(parsed[key]) > 0
        values = join(key, tf.where(present, 8 * length, 0), tf.float64)
        places = tf.where(tf.repeat(present, length))
        rows = tf.fill([tf.reduce_sum(length)], tf.constant(float("nan"), tf.float64))
        return tf.tensor_scatter_nd_update(rows, places, values)

    static = join("static", 4 * static_size, tf.float32) if static_size else tf.zeros([0], tf.float32)
    found = {
        "object_id": parsed["object_id"],
        "class_id": parsed["class_id"],
        "length": length,
        "time": join("lc/time", 8 * length, tf.float64),
        "band": tf.cast(join("lc/band", length, tf.uint8), tf.int32),
        "flux": join("lc/flux", 4 * length, tf.float32),
        "flux_err": join("lc/flux_err", 4 * length, tf.float32),
        "flags": tf.cast(join("lc/flags", length, tf.uint8), tf.int32),
        "static": tf.reshape(static, [tf.size(length), static_size]),
    }
    found |= {f"target/{name}": join(f"target/{name}", 8, tf.float64) for name in targets}
    return found | {f"target/{name}": join_rows(f"target/{name}") for name in row_targets}


def parse_stamps(serialized: tf.Tensor, shape: Sequence[int], columns: int) -> dict[str, tf.Tensor]:
    """Decode times and columns of the stamps of a batch of records; their pixels stay bytes.

    Parameters
    ----------
    serialized : tf.Tensor
        string [N], one record each.
    shape : sequence of int
        Height, width and channels (H, W, C) of every stamp of the data set.
    columns : int
        Number M of columns of an alert.

    Returns
    -------
    dict of str to tf.Tensor
        ``count`` int64 [N], alerts of each record, 0 without stamps; ``images`` string [N], the little-endian f4
        [count, H, W, C] of each; of all alerts one after another, R = sum of ``count``: ``time`` f8 [R] (MJD),
        ``metadata`` f4 [R, M].

    Raises
    ------
    tf.errors.InvalidArgumentError
        If stamps are of another shape or number of columns; the message names the objects.
    """
    import tensorflow as tf

    kinds = {"stamps": "", "stamps/time": "", "stamps/metadata": ""}
    features = {name: tf.io.FixedLenFeature([], tf.string, default_value=value) for name, value in kinds.items()}
    features["object_id"] = tf.io.FixedLenFeature([], tf.string)
    features["stamps/shape"] = tf.io.FixedLenFeature([4], tf.int64, default_value=[0, *shape])
    parsed = tf.io.parse_example(serialized, features)
    count, height, width, channels = tf.unstack(parsed["stamps/shape"], axis=1)
    good = (height == shape[0]) & (width == shape[1]) & (channels == shape[2]) & (count >= 0)
    pixels = shape[0] * shape[1] * shape[2]
    for key, size in (("stamps", 4 * pixels), ("stamps/time", 8), ("stamps/metadata", 4 * columns)):
        good &= tf.cast(tf.strings.length(parsed[key]), tf.int64) == count * size
    bad = tf.unique(tf.boolean_mask(parsed["object_id"], ~good)).y
    said = [
        f"stamps of {height_width_channels(shape)} with {columns} columns an alert are expected. Received others of"
    ]
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(good), [*said, bad], summarize=3)]):
        time = tf.io.decode_raw(tf.strings.reduce_join(parsed["stamps/time"]), tf.float64)
        metadata = tf.io.decode_raw(tf.strings.reduce_join(parsed["stamps/metadata"]), tf.float32)
    return {
        "count": count,
        "images": parsed["stamps"],
        "time": time,
        "metadata": tf.reshape(metadata, [tf.size(time), columns]),
    }


def parse_spectra(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
    """Decode the spectra of a batch of records, one after another.

    Parameters
    ----------
    serialized : tf.Tensor
        string [N], one record each.

    Returns
    -------
    dict of str to tf.Tensor
        ``length`` int64 [N], pixels of each, 0 without a spectrum; ``wavelength`` (angstrom), ``flux``, ``ivar``
        f4 [P], P = sum of ``length``.

    Raises
    ------
    tf.errors.InvalidArgumentError
        If the arrays of a record differ in size; the message names the first such objects.
    """
    import tensorflow as tf

    keys = ("wavelength", "flux", "ivar")
    features = {f"spectrum/{key}": tf.io.FixedLenFeature([], tf.string, default_value=b"") for key in keys}
    features["object_id"] = tf.io.FixedLenFeature([], tf.string)
    parsed = tf.io.parse_example(serialized, features)
    sizes = [tf.strings.length(parsed[f"spectrum/{key}"]) for key in keys]
    good = (sizes[0] == sizes[1]) & (sizes[0] == sizes[2]) & (sizes[0] % 4 == 0)
    said = "wavelength, flux and ivar of a spectrum have one size. Received others of"
    bad = tf.unique(tf.boolean_mask(parsed["object_id"], ~good)).y
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(good), [said, bad], summarize=3)]):
        found = {key: tf.io.decode_raw(tf.strings.reduce_join(parsed[f"spectrum/{key}"]), tf.float32) for key in keys}
    return found | {"length": tf.cast(sizes[0], tf.int64) // 4}


def height_width_channels(shape: Sequence[int]) -> str:
    """Word a shape of stamps, for instance ``63x63x3``."""
    return "x".join(map(str, shape))
