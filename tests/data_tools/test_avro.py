"""Reading Avro: what fastavro reads, and nothing that is damaged, lies or takes for ever."""

from __future__ import annotations

import io
import json
import time

import pytest

from data_tools.formats import avro
from data_tools.formats.avro_schema import RECORD_BYTES, Readers, compile_reader, decode
from data_tools.readers.ztf_alert import WANTS
from tests.data_tools.ztf_alerts_made import SCHEMA, avro_bytes, fastavro, make_alert, previous, zigzag
from tfrecords.errors import DataError

READERS = Readers(WANTS)


def read(content, readers=READERS):
    stream = io.BytesIO(content)
    header = avro.read_header(content)
    stream.seek(header.size)
    found = []
    for _, count, block in avro.blocks(stream, header):
        place = 0
        for _ in range(count):
            fields, place = decode(readers.of(header.schema), block, place)
            found.append(fields)
        assert place == len(block)
    return found


def assert_same(mine, judge, wants=WANTS):
    """Assert that the wanted fields are those that fastavro reads; text is bytes, and what is null is not there."""
    for name, inside in wants.items():
        want, have = judge.get(name), mine.get(name)
        if isinstance(want, dict):
            assert_same(have, want, inside)
        elif isinstance(want, list):
            assert len(have) == len(want)
            for one, other in zip(have, want, strict=True):
                assert_same(one, other, inside)
        else:
            assert have == (want.encode() if isinstance(want, str) else want), name


ALERTS = [make_alert(f"ZTF{n}", n + 1, prv_candidates=[previous(2458999.5), previous(2458990.5, None)])
          for n in range(12)] + [make_alert("ZTFx" * 100, 99, pdiffimfilename="y" * 300)]  # fmt: skip


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy"])
@pytest.mark.parametrize("interval", [100, 100_000])
def test_reads_what_fastavro_reads(codec, interval):
    content = avro_bytes(*ALERTS, codec=codec, interval=interval)
    found = read(content)
    assert len(found) == len(ALERTS)
    for mine, alert in zip(found, fastavro.reader(io.BytesIO(avro_bytes(*ALERTS))), strict=True):
        assert_same(mine, alert)


@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_real_alerts_are_read_as_fastavro_reads_them(shared, step):
    paths = sorted(shared("data/ztf_alerts/alerts").glob("*.avro"))[::step]
    assert len(paths) * step >= 818
    codecs = set()
    for path in paths:
        content = path.read_bytes()
        [mine] = read(content)
        codec = avro.read_header(content).codec
        codecs.add(codec)
        assert {"objectId", "candidate", "cutoutScience"} <= set(mine)
        # For snappy, fastavro needs a library that the project does not.
        if codec != "snappy":
            assert_same(mine, next(fastavro.reader(io.BytesIO(content))))
    assert codecs == {"null", "snappy"}


def test_types_that_alerts_do_not_have_are_read_and_passed_over():
    inner = {"type": "record", "name": "inner", "fields": [{"name": "v", "type": {"type": "array", "items": "long"}}]}
    schema = {
        "type": "record",
        "name": "a.top",
        "fields": [
            {"name": "flag", "type": "boolean"},
            {"name": "kind", "type": {"type": "enum", "name": "e", "symbols": ["x", "y"]}},
            {"name": "sum", "type": {"type": "fixed", "name": "f", "size": 3}},
            {"name": "when", "type": {"type": "long", "logicalType": "timestamp-micros"}},
            {"name": "rows", "type": {"type": "array", "items": inner}},
            {"name": "again", "type": ["null", "inner"]},
            {"name": "last", "type": ["null", "long", "string"]},
        ],
    }
    row = {"flag": True, "kind": "y", "sum": b"abc", "when": -5, "rows": [{"v": [1, 2]}, {"v": []}]}
    row |= {"again": {"v": [3]}, "last": "end"}
    content = avro_bytes(row, row, schema=schema)
    assert read(content, Readers({"last": True})) == [{"last": b"end"}] * 2
    wants = {"flag": True, "kind": True, "sum": True, "when": True, "rows": {"v": True}, "again": {"v": True}}
    expected = {**row, "kind": 1}
    del expected["last"]
    assert read(content, Readers(wants)) == [expected] * 2


GOOD = avro_bytes(make_alert())
START = avro.read_header(GOOD).size


@pytest.mark.parametrize("cut", [0, 3, 10, START - 1, START + 1, START + 500, len(GOOD) - 1])
def test_a_cut_file_is_an_error(cut):
    with pytest.raises(DataError, match="Received"):
        read(GOOD[:cut])


def test_lies_about_sizes_are_errors():
    head, body = GOOD[:START], GOOD[START:]
    place = avro.varint(body, avro.varint(body, 0)[1])[1]
    rest = body[place:]
    for count, size in ((1, -1), (-1, 10), (0, 10), (1 << 40, len(rest) - 16), (1, 1 << 40), (1, len(rest))):
        with pytest.raises(DataError, match="block at byte"):
            read(head + zigzag(count) + zigzag(size) + rest)
    with pytest.raises(DataError, match="cut short"):
        read(head + zigzag(2) + zigzag(len(rest) - 16) + rest)


def test_bombs_and_damage_of_packed_blocks_are_errors():
    import zlib

    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = deflate.compress(bytes(avro.BLOCK_BYTES + 1000)) + deflate.flush()
    content = avro_bytes(make_alert(), codec="deflate")
    head = content[: avro.read_header(content).size]
    with pytest.raises(DataError, match="above"):
        read(head + zigzag(1) + zigzag(len(bomb)) + bomb + head[-16:])
    content = bytearray(avro_bytes(make_alert(), codec="snappy"))
    content[-2000] ^= 4
    with pytest.raises(DataError, match="snappy.* is damaged"):
        read(bytes(content))


def _schema(kind) -> bytes:
    return json.dumps({"type": "record", "name": "r", "fields": [{"name": "a", "type": kind}]}).encode()


EMPTY = {"type": "record", "name": "e", "fields": []}


@pytest.mark.parametrize(
    "schema",
    [
        b"",
        b"[]",
        b'{"type": "record"}',
        b"[" * 200_000,
        _schema("r"),
        _schema("nothing"),
        _schema({"type": "map", "values": "int"}),
        _schema({"type": "array", "items": "null"}),
        _schema({"type": "array", "items": EMPTY}),
        _schema({"type": "array", "items": {"type": "fixed", "name": "f", "size": 0}}),
        _schema({"type": "fixed", "name": "f", "size": 1 << 40}),
        _schema([]),
        _schema(["int"] * 5000),
        _schema({"type": 5}),
    ],
)
def test_schemas_that_are_none_or_could_take_for_ever_are_errors(schema):
    start = time.perf_counter()
    with pytest.raises(DataError, match="Received"):
        compile_reader(schema, WANTS)
    assert time.perf_counter() - start < 1


def test_deep_schemas_are_errors():
    text: str = '"int"'
    for _ in range(100):
        text = f'{{"type": "array", "items": {text}}}'
    with pytest.raises(DataError, match="deep"):
        compile_reader(
            b'{"type": "record", "name": "r", "fields": [{"name": "a", "type": ' + text.encode() + b"}]}", {}
        )


def test_items_and_size_of_a_record_are_bounded():
    reader = compile_reader(_schema({"type": "array", "items": "boolean"}), {"a": True})
    assert decode(reader, zigzag(3) + b"\x01\x00\x01" + zigzag(0), 0)[0] == {"a": [True, False, True]}
    for count in (1 << 60, 30_000):
        with pytest.raises(DataError, match="too long"):
            decode(reader, zigzag(count) + bytes(40_000), 0)
    reader = compile_reader(_schema("bytes"), {"a": True})
    with pytest.raises(DataError, match="too long"):
        decode(reader, zigzag(RECORD_BYTES) + bytes(2 * RECORD_BYTES), 0)


def test_the_schema_of_the_tests_is_cached():
    content = avro_bytes(make_alert())
    schema = avro.read_header(content).schema
    assert READERS.of(schema) is READERS.of(bytes(bytearray(schema)))
    assert json.loads(schema)["fields"][1]["name"] == SCHEMA["fields"][1]["name"]
