"""The wire format of ``tf.train.Example``, written and read without TensorFlow.

Only what a record needs is spoken: a feature is one byte string (``BytesList`` with one value) or a list of
64-bit integers (packed ``Int64List``). Keys are written in sorted order, so that equal features give equal
bytes; TensorFlow itself promises no order.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

from tfrecords.errors import DataError

Feature = bytes | list[int]

_LENGTH_DELIMITED = 2
_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3


def _long_varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


# Lengths and most integers are small, and a data set has dozens of them in every record.
_VARINTS = tuple(_long_varint(number) for number in range(1 << 14))


def _varint(number: int) -> bytes:
    return _VARINTS[number] if number < 1 << 14 else _long_varint(number)


def _block(tag: bytes, content: bytes) -> bytes:
    return tag + _varint(len(content)) + content


def encode_entry(key: str, value: Feature) -> bytes:
    """Encode one entry of the feature map, tag included: the bytes as they stand inside an example."""
    head = _key(key)
    if isinstance(value, bytes):
        tag = b"\x0a"
    else:
        tag, value = b"\x1a", b"".join([_varint(number & 0xFFFFFFFFFFFFFFFF) for number in value])
    # Four messages inside one another, each with its length in front: map entry, feature, list, value.
    size = _varint(len(value))
    inner = 1 + len(size) + len(value)
    inner_size = _varint(inner)
    feature = 1 + len(inner_size) + inner
    feature_size = _varint(feature)
    entry_size = _varint(len(head) + 1 + len(feature_size) + feature)
    return b"".join((b"\x0a", entry_size, head, b"\x12", feature_size, tag, inner_size, b"\x0a", size, value))


@functools.lru_cache(maxsize=256)
def _key(key: str) -> bytes:
    return _block(b"\x0a", key.encode())


def encode_example(features: Mapping[str, Feature]) -> bytes:
    """Encode features as a serialized ``tf.train.Example``.

    Parameters
    ----------
    features : mapping of str to bytes or list of int
        Integers must fit into 64 signed bits.

    Returns
    -------
    bytes
        The same bytes for the same features, whatever their order in the mapping.
    """
    return _block(b"\x0a", b"".join(encode_entry(key, features[key]) for key in sorted(features)))


def decode_example(data: bytes) -> dict[str, Feature]:
    """Decode a serialized ``tf.train.Example``.

    Raises
    ------
    DataError
        If the bytes are cut short, are no example, hold a key twice or a feature that no record has
        (float lists, several byte strings).
    """
    features: dict[str, Feature] = {}
    for number, block in _fields(data):
        if number != 1:
            raise DataError(f"not a tf.train.Example: fields have number 1. Received: field {number}")
        for entry_number, entry in _fields(block):
            if entry_number != 1:
                raise DataError(f"not a feature map: entries have number 1. Received: field {entry_number}")
            key, value = _decode_entry(entry)
            if key in features:
                raise DataError(f"a feature key stands once in a record. Received: {key!r} twice")
            features[key] = value
    return features


def _decode_entry(entry: bytes) -> tuple[str, Feature]:
    key, feature = None, b""
    for number, content in _fields(entry):
        if number == 1:
            try:
                key = content.decode()
            except UnicodeDecodeError as error:
                raise DataError(f"a feature key is UTF-8 text. Received: {content[:40]!r}") from error
        elif number == 2:
            feature = content
    if not key:
        raise DataError("a feature has a key. Received: a feature without one")
    return key, _decode_feature(key, feature)


def _decode_feature(key: str, feature: bytes) -> Feature:
    kinds = list(_fields(feature))
    if len(kinds) != 1:
        raise DataError(f"feature {key!r} holds one list. Received: {len(kinds)}")
    kind, content = kinds[0]
    if kind == _BYTES_LIST:
        values = [value for number, value in _fields(content) if number == 1]
        if len(values) != 1:
            raise DataError(f"feature {key!r} holds one byte string. Received: {len(values)}")
        return values[0]
    if kind == _INT64_LIST:
        return _decode_integers(key, content)
    name = "a float list" if kind == _FLOAT_LIST else f"field {kind}"
    raise DataError(f"feature {key!r} is bytes or int64; arrays are little-endian bytes. Received: {name}")


def _decode_integers(key: str, content: bytes) -> list[int]:
    numbers: list[int] = []
    position = 0
    while position < len(content):
        tag, position = _read_varint(content, position)
        if tag == 0x0A:
            size, position = _read_varint(content, position)
            end = position + size
            if end > len(content):
                raise DataError(f"feature {key!r} is cut short. Received: {len(content)} bytes, need {end}")
            while position < end:
                number, position = _read_varint(content, position)
                numbers.append(number)
        elif tag == 0x08:
            number, position = _read_varint(content, position)
            numbers.append(number)
        else:
            raise DataError(f"feature {key!r} is no int64 list. Received: tag {tag}")
    return [number - (1 << 64) if number >= 1 << 63 else number for number in numbers]


def _fields(data: bytes):
    """Go through the length-delimited fields of one message: pairs of field number and content."""
    position, end = 0, len(data)
    while position < end:
        # Most integers have one byte, and a call for each would take most of the time of decoding.
        tag = data[position]
        if tag < 0x80:
            position += 1
        else:
            tag, position = _read_varint(data, position)
        if tag & 7 != _LENGTH_DELIMITED:
            raise DataError(f"not a tf.train.Example: its fields are length-delimited. Received: wire type {tag & 7}")
        if position < end and data[position] < 0x80:
            size = data[position]
            position += 1
        else:
            size, position = _read_varint(data, position)
        stop = position + size
        if stop > end:
            raise DataError(f"the record is cut short. Received: {end} bytes, need {stop}")
        yield tag >> 3, data[position:stop]
        position = stop


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    try:
        while True:
            byte = data[position]
            position += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number & 0xFFFFFFFFFFFFFFFF, position
            shift += 7
            if shift > 63:
                raise DataError("an integer has at most 10 bytes. Received: more")
    except IndexError as error:
        raise DataError(f"the record is cut short inside an integer. Received: {len(data)} bytes") from error
