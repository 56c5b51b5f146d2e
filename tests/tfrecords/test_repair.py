"""Repair: what is intact comes back, what is lost is named; against damage of every kind."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from tfrecords import repair
from tfrecords.check import check
from tfrecords.derived import DerivedGroup, DerivedWriter
from tfrecords.errors import DataError, UsageError
from tfrecords.framing import HEADER, OVERHEAD, frame, read_frames
from tfrecords.reader import RecordDirectory, read_ledger
from tfrecords.salvage import salvage, scan
from tfrecords.schema import Spectrum, Stamps
from tfrecords.writer import DatasetWriter


@pytest.fixture
def hundred(tmp_path, settings, make_record):
    """A hundred records in one shard, with a derived group that holds each object's number."""
    path = tmp_path / "hundred"
    with DatasetWriter(path, **settings) as writer:
        for number in range(100):
            writer.write(make_record(number), "train")
        writer.skip("none", "no observations")
    records = RecordDirectory(path)
    with DerivedWriter(records, "g", ["a"], [1.0], "1") as writer:
        for number, object_id in enumerate(records.ids(np.arange(100))):
            writer.append(object_id, np.full((1, 1), number))
    return path


def _shard(path):
    return next(path.glob("*.tfrecord"))


def _flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 0x10
    path.write_bytes(content)


def _offsets(path):
    return [offset for offset, _ in read_frames(path.read_bytes(), "x")]


def _repair(path, out, **options):
    report = repair.repair(path, out, **options)
    assert check(out, deep=True).violations == []
    ledger = {row["object_id"]: row for row in read_ledger(out)}
    for loss in report.lost:
        assert ledger[loss.object_id]["outcome"] == "quarantined"
        assert ledger[loss.object_id]["reason"] == loss.reason
        assert loss.reason.startswith(f"lost: {loss.shard}, byte")
    return report


def _read_until_damaged(path):
    """Count records as a reader does that stops at the first wrong checksum."""
    count = 0
    try:
        for _ in read_frames(path.read_bytes(), "x"):
            count += 1
    except DataError:
        pass
    return count


@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("where", [0, 5, 9, HEADER + 20, -2])
def test_one_flipped_byte_costs_one_record_at_most(hundred, tmp_path, where, index):
    shard = _shard(hundred)
    offsets = _offsets(shard)
    place = offsets[50] + where
    _flip(shard, place)
    number = 49 if where < 0 else 50
    if not index:
        (hundred / "index.npy").unlink()
    assert _read_until_damaged(shard) == number
    out = tmp_path / "out"
    report = _repair(hundred, out)
    in_header = 0 <= where < HEADER
    assert report.records == (100 if in_header else 99)
    if not in_header:
        [loss] = report.lost
        assert (loss.object_id, loss.offset) == (f"obj{number}", offsets[number])
    old = {int(v): f"obj{int(v)}" for v in range(100)}
    values = DerivedGroup(out, "g").values(np.arange(report.records)).ravel()
    assert [old[int(value)] for value in values] == RecordDirectory(out).ids(np.arange(report.records))


def test_an_undamaged_directory_comes_back_byte_for_byte(directory, tmp_path):
    report = _repair(directory, tmp_path / "out")
    assert (report.records, report.lost, report.damaged, report.notes) == (60, [], {}, [])
    for shard in directory.glob("*.tfrecord"):
        assert shard.read_bytes() == (tmp_path / "out" / shard.name).read_bytes()
    ledger = {row["object_id"]: row["reason"] for row in read_ledger(tmp_path / "out")}
    assert (ledger["lost"], ledger["bad"]) == ("no observations", 'flux is "nan", sadly')


@pytest.mark.parametrize("index", [True, False])
def test_bytes_taken_out_and_put_in(hundred, tmp_path, index):
    shard = _shard(hundred)
    content, offsets = shard.read_bytes(), _offsets(shard)
    cut, grow = offsets[30] + 25, offsets[70] + 3
    shard.write_bytes(content[:cut] + content[cut + 7 : grow] + b"noise" + content[grow:])
    if not index:
        (hundred / "index.npy").unlink()
    report = _repair(hundred, tmp_path / "out")
    # Everything between the two stands seven bytes earlier than the index says.
    assert report.records == 98
    assert {loss.object_id for loss in report.lost} == {"obj30", "obj70"}


def test_a_cut_and_a_missing_shard(directory, tmp_path):
    one, two = sorted(directory.glob("fold*.tfrecord"))[:2]
    rows = RecordDirectory(directory).info.shards
    missing = next(shard.count for shard in rows if shard.name == two.name)
    one.write_bytes(one.read_bytes()[: _offsets(one)[-1] + 30])
    two.unlink()
    report = _repair(directory, tmp_path / "out")
    assert report.records == 60 - 1 - missing
    assert len(report.lost) == 1 + missing
    assert all(loss.object_id.startswith("obj") and loss.offset >= 0 for loss in report.lost)
    assert "cannot be read" in report.damaged[two.name]


def test_without_ledger_lost_records_have_a_place_only(hundred, tmp_path):
    shard = _shard(hundred)
    offset = _offsets(shard)[50]
    _flip(shard, offset + 40)
    (hundred / "ledger.csv").unlink()
    report = _repair(hundred, tmp_path / "out")
    assert [loss.object_id for loss in report.lost] == [f"{shard.name}, byte {offset}"]
    assert any("ledger.csv" in note for note in report.notes)
    assert report.derived == ["g"]


def test_without_index_and_ledger(hundred, tmp_path):
    shard = _shard(hundred)
    _flip(shard, _offsets(shard)[50] + 40)
    for name in ("ledger.csv", "index.npy"):
        (hundred / name).unlink()
    report = _repair(hundred, tmp_path / "out")
    assert report.records == 99
    assert report.derived == []
    assert any("'g' is dropped" in note for note in report.notes)


def test_without_info_file(directory, hundred, tmp_path):
    (directory / "dataset_info.json").unlink()
    with pytest.raises(DataError, match="--info FILE"):
        repair.repair(directory, tmp_path / "out")
    report = _repair(directory, tmp_path / "out", template=hundred / "dataset_info.json")
    assert (report.records, report.lost) == (60, [])
    records = RecordDirectory(tmp_path / "out")
    assert records.info.folds == 2
    assert [shard.count for shard in records.info.shards] == [
        len(_offsets(directory / shard.name)) for shard in records.info.shards
    ]


def test_a_damaged_info_file_still_describes(hundred, tmp_path):
    path = hundred / "dataset_info.json"
    path.write_text(path.read_text().replace('"fingerprint": "', '"fingerprint": "0'))
    report = _repair(hundred, tmp_path / "out")
    assert report.records == 100
    assert "look at it" in report.notes[0]
    assert report.derived == ["g"]


def test_damaged_index_ledger_and_derived_groups(hundred, tmp_path):
    for name in ("index.npy", "ledger.csv", "derived/g/values.npy"):
        _flip(hundred / name, (hundred / name).stat().st_size - 30)
    report = _repair(hundred, tmp_path / "out")
    assert report.records >= 99
    assert report.derived == []
    assert sum("index.npy" in note for note in report.notes) >= 1


def test_a_well_framed_record_that_breaks_the_rules(hundred, tmp_path, make_record):
    shard = _shard(hundred)
    payloads = [payload for _, payload in read_frames(shard.read_bytes(), "x")]
    payloads[7] = payloads[7].replace(b"toy", b"top")
    payloads[9] = payloads[8]
    shard.write_bytes(b"".join(map(frame, payloads)))
    (hundred / "index.npy").unlink()
    report = _repair(hundred, tmp_path / "out")
    assert {loss.object_id for loss in report.lost} == {"obj7", "obj9"}


def test_nothing_to_save(hundred, tmp_path):
    shard = _shard(hundred)
    shard.write_bytes(bytes(len(shard.read_bytes())))
    with pytest.raises(DataError, match="no record"):
        repair.main([str(hundred), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
    with pytest.raises(UsageError, match="not the input"):
        repair.repair(hundred, hundred)


def test_the_command_reports(hundred, tmp_path, capsys):
    shard = _shard(hundred)
    _flip(shard, _offsets(shard)[50] + 40)
    repair.main([str(hundred), "--out", str(tmp_path / "one"), "--quiet"])
    assert "99 records saved, 1 lost" in capsys.readouterr().out
    repair.main([str(hundred), "--out", str(tmp_path / "two"), "--json"])
    assert json.loads(capsys.readouterr().out)["damaged"] == {shard.name: "99 saved, 1 lost"}


def test_stamps_and_spectra_are_saved(tmp_path, settings, make_record):
    path = tmp_path / "images"
    with DatasetWriter(path, **settings, stamp_channels=["science"]) as writer:
        for number in range(6):
            record = make_record(number)
            record.stamps = Stamps(np.zeros((2, 40, 40, 1)), [1.0, 2.0], np.zeros((2, 0)))
            record.spectrum = Spectrum([4000, 5000], [1, np.nan], [0, 1])
            writer.write(record, "train")
    _flip(_shard(path), _offsets(_shard(path))[2] + 9000)
    (path / "index.npy").unlink()
    report = _repair(path, tmp_path / "out")
    assert (report.records, [loss.object_id for loss in report.lost]) == (5, ["obj2"])


def test_frames_are_found_at_any_place():
    rng = np.random.default_rng(0)
    payloads = [rng.bytes(int(size)) for size in rng.integers(1, 3000, 50)]
    junk = [bytes(int(n)) if n % 2 else rng.bytes(int(n)) for n in rng.integers(1, 40, 50)]
    buffer = b"".join(a + frame(b) for a, b in zip(junk, payloads, strict=True))
    found = [piece.payload for piece in scan(buffer, 0, len(buffer)) if piece.payload is not None]
    assert found == payloads


def test_a_search_crosses_blocks(monkeypatch):
    monkeypatch.setattr("tfrecords.salvage._BLOCK_BYTES", 64)
    for shift in range(50, 80):
        buffer = b"\xff" * shift + frame(b"payload") + b"\xff" * 9
        pieces = list(scan(buffer, 0, len(buffer)))
        assert [(piece.offset, piece.payload) for piece in pieces] == [
            (0, None), (shift, b"payload"), (shift + 7 + OVERHEAD, None),
        ]  # fmt: skip


def test_random_damage_never_loses_an_intact_record(hundred):
    shard = _shard(hundred)
    content = shard.read_bytes()
    frames = [(offset, offset + len(payload) + OVERHEAD) for offset, payload in read_frames(content, "x")]
    index = RecordDirectory(hundred).index
    rng = np.random.default_rng(5)
    for _ in range(40):
        damaged = bytearray(content)
        places = rng.integers(0, len(content), 12).tolist()
        for place in places:
            damaged[place] ^= int(rng.integers(1, 256))
        intact = [start for start, stop in frames if not any(start <= place < stop for place in places)]
        for rows in (None, index):
            found = {piece.offset for piece in salvage(bytes(damaged), rows) if piece.payload is not None}
            assert found >= set(intact)


def test_the_input_stays(hundred, tmp_path):
    copy = shutil.copytree(hundred, tmp_path / "copy")
    _repair(hundred, tmp_path / "out")
    for path in copy.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (hundred / path.relative_to(copy)).read_bytes()


def _spoil(path, rng):
    """Damage a file in one of six ways."""
    content = bytearray(path.read_bytes())
    place, size = int(rng.integers(len(content))), int(rng.integers(1, 200))
    how = rng.integers(6)
    if how == 0:
        content[place] ^= 1 << int(rng.integers(8))
    elif how == 1:
        del content[place:]
    elif how == 2:
        del content[place : place + size]
    elif how == 3:
        content[place:place] = rng.bytes(size)
    elif how == 4:
        content[place : place + size] = bytes(len(content[place : place + size]))
    else:
        path.unlink()
        return
    path.write_bytes(content)


@pytest.mark.slow
def test_whatever_is_damaged_the_result_is_whole_and_nobody_is_forgotten(directory, tmp_path):
    records = RecordDirectory(directory)
    with DerivedWriter(records, "g", ["a"], [1.0], "1") as writer:
        for object_id in records.ids(np.arange(60)):
            writer.append(object_id, np.full((1, 1), int(object_id[3:])))
    rng = np.random.default_rng(11)
    saved = carried = 0
    for _ in range(150):
        damaged, out = tmp_path / "damaged", tmp_path / "out"
        for path in (damaged, out):
            shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(directory, damaged)
        files = sorted(path for path in damaged.rglob("*") if path.is_file())
        chosen = [files[number] for number in rng.choice(len(files), rng.integers(1, 4), replace=False)]
        for path in chosen:
            _spoil(path, rng)
        report = repair.repair(damaged, out, template=directory / "dataset_info.json")
        assert check(out, deep=True).violations == [], chosen
        saved += report.records
        if damaged / "ledger.csv" not in chosen:
            ledger = {row["object_id"] for row in read_ledger(out)}
            assert ledger >= {"lost", "bad", *(f"obj{number}" for number in range(60))}, chosen
        if report.derived:
            carried += 1
            values = DerivedGroup(out, "g").values(np.arange(report.records)).ravel()
            assert [f"obj{int(value)}" for value in values] == RecordDirectory(out).ids(np.arange(report.records))
    assert saved > 120 * 50
    assert carried > 60


@pytest.mark.parametrize("name", ["index.npy", "derived/g/values.npy"])
def test_a_damaged_header_of_an_array_is_a_note(hundred, tmp_path, name):
    content = (hundred / name).read_bytes()
    for place in range(6, 128, 11):
        (hundred / name).write_bytes(content[:place] + b"(" + content[place + 1 :])
        report = repair.repair(hundred, tmp_path / "out", overwrite=True)
        assert report.records == 100
    assert check(tmp_path / "out", deep=True).violations == []


def test_a_ledger_with_other_ids_or_another_order(hundred, tmp_path):
    ledger = hundred / "ledger.csv"
    text = ledger.read_text()
    shard = _shard(hundred)
    offset = _offsets(shard)[50]
    _flip(shard, offset + 40)
    ledger.write_text(text.replace("\nobj20,", "\nobX20,"))
    report = _repair(hundred, tmp_path / "one")
    assert [loss.object_id for loss in report.lost] == ["obj50"]
    assert any("'obX20'" in note and "'obj20'" in note for note in report.notes)
    head, *rows = text.splitlines(keepends=True)
    ledger.write_text(head + "".join(sorted(rows, key=lambda row: row[::-1])))
    report = _repair(hundred, tmp_path / "two")
    assert [(loss.object_id, loss.reason) for loss in report.lost] == [("obj50", f"lost: {shard.name}, byte {offset}")]
    assert report.derived == ["g"]
    (hundred / "index.npy").unlink()
    report = _repair(hundred, tmp_path / "three")
    assert [loss.object_id for loss in report.lost] == ["obj50"]
    assert report.derived == []


def test_a_cut_between_records_is_noticed_without_index_and_ledger(directory, tmp_path):
    one, two = sorted(directory.glob("fold*.tfrecord"))[:2]
    one.write_bytes(one.read_bytes()[: _offsets(one)[-1]])
    two.unlink()
    for name in ("ledger.csv", "index.npy"):
        (directory / name).unlink()
    report = _repair(directory, tmp_path / "out")
    assert set(report.damaged) == {one.name, two.name}
    assert [loss.shard for loss in report.lost] == [one.name, two.name]
    assert "1 lost" in report.damaged[one.name]
