"""Bad input: each ends in one message that names file, object or key, and nothing half-written is left."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys

import pytest

from data_tools import plasticc
from data_tools.formats import tables
from tfrecords.errors import DataError, UsageError
from tfrecords.reader import RecordDirectory, read_ledger


def _outcomes(out):
    return {row["object_id"]: (row["outcome"], row["reason"]) for row in read_ledger(out)}


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("passband", "7", "passband is one of 0-5; row 4 of the object has 7"),
        ("passband", "-1", "passband is one of 0-5; row 4 of the object has -1"),
        ("passband", "1.5", "passband is one of 0-5; row 4 of the object has 1.5"),
        ("flux", "nan", "flux is finite; row 4 of the object has nan"),
        ("flux", "", "flux is finite; row 4 of the object has nan"),
        ("flux", "-inf", "flux is finite; row 4 of the object has -inf"),
        ("flux", "1e39", "flux is finite; row 4 of the object has 1e+39"),
        ("flux_err", "-0.5", "flux_err is finite and positive; row 4 of the object has -0.5"),
        ("flux_err", "0", "flux_err is finite and positive; row 4 of the object has 0"),
        ("flux_err", "inf", "flux_err is finite and positive; row 4 of the object has inf"),
        ("mjd", "NaN", "mjd is a finite time; row 4 of the object has nan"),
        ("detected_bool", "", "detected is 0 or 1; row 4 of the object has nan"),
        ("detected_bool", "2", "detected is 0 or 1; row 4 of the object has 2"),
    ],
)
def test_bad_values_quarantine_the_object(pair, capsys, column, value, reason):
    object_id = pair.ids[5]
    pair.rows_of(object_id)[3][column] = value
    out = pair.convert()
    outcomes = _outcomes(out)
    assert outcomes[object_id][0] == "quarantined"
    assert reason in outcomes[object_id][1]
    assert "curves.csv, data row" in outcomes[object_id][1]
    ledger = RecordDirectory(out).info.ledger
    assert (ledger.input, ledger.written, ledger.skipped, ledger.quarantined) == (42, 41, 0, 1)
    error = capsys.readouterr().err
    assert f"object {object_id}" in error
    assert reason in error


def test_the_data_row_is_right_beyond_the_first_piece(pair, monkeypatch):
    monkeypatch.setattr(tables, "_BLOCK_BYTES", 400)
    pair.rows_of(pair.ids[30])[0]["flux"] = "nan"
    row = pair.rows.index(pair.rows_of(pair.ids[30])[0])
    assert f"data row {row + 1}:" in _outcomes(pair.convert())[pair.ids[30]][1]


def test_infinite_metadata_quarantines_the_object(pair):
    pair.metadata[2]["mwebv"] = "inf"
    assert "'mwebv' is infinite" in _outcomes(pair.convert())[pair.ids[2]][1]


def test_strict_fails_on_the_first_and_leaves_nothing(pair):
    pair.rows_of(pair.ids[5])[3]["flux"] = "nan"
    with pytest.raises(DataError, match=rf"'{pair.ids[5]}' is refused.*flux is finite"):
        pair.convert("--strict")
    assert not pair.out.exists()
    assert sorted(path.name for path in pair.folder.iterdir()) == ["curves.csv", "meta.csv"]


def test_only_the_first_few_quarantined_are_named(pair, capsys):
    for object_id in pair.ids[:9]:
        pair.rows_of(object_id)[0]["flux_err"] = "-1"
    pair.convert()
    error = capsys.readouterr().err
    assert error.count("quarantined: object") == 5
    assert "4 more, see ledger.csv" in error


def test_nothing_left_to_write(pair):
    for row in pair.rows:
        row["flux"] = "nan"
    with pytest.raises(DataError, match="no object is left to write.*flux is finite"):
        pair.convert()
    assert not pair.out.exists()


def test_objects_on_one_side_only_are_skipped(pair, capsys):
    lonely, unlisted = pair.ids[4], pair.ids[7]
    pair.rows[:] = [row for row in pair.rows if row["object_id"] != lonely]
    pair.metadata[:] = [row for row in pair.metadata if row["object_id"] != unlisted]
    out = pair.convert()
    outcomes = _outcomes(out)
    assert outcomes[lonely] == ("skipped", "no observations")
    assert outcomes[unlisted] == ("skipped", "not in the metadata")
    ledger = RecordDirectory(out).info.ledger
    assert (ledger.input, ledger.written, ledger.skipped) == (42, 40, 2)
    assert "skipped: 1 no observations" in capsys.readouterr().out


@pytest.mark.parametrize("listed", [True, False])
def test_rows_of_an_object_that_are_not_together(pair, listed):
    object_id = pair.ids[1]
    last = pair.rows_of(object_id)[-1]
    pair.rows.remove(last)
    pair.rows.append(last)
    if not listed:
        del pair.metadata[1]
    with pytest.raises(DataError, match=rf"curves\.csv, data row 1008.*object {object_id}"):
        pair.convert()
    assert not pair.out.exists()


def test_duplicate_ids_in_the_metadata(pair):
    pair.metadata.append(dict(pair.metadata[3]))
    with pytest.raises(DataError, match=rf"meta\.csv.*{pair.ids[3]} in data rows \[4, 43\]"):
        pair.convert()


def test_gaps_in_ids(pair):
    pair.metadata[3]["object_id"] = ""
    with pytest.raises(DataError, match=r"meta\.csv: column 'object_id' has no gaps.*data row 4"):
        pair.convert()


@pytest.mark.parametrize("value", ["90.5", "-7", "inf"])
def test_a_class_that_is_none(pair, value):
    pair.metadata[3]["target"] = value
    with pytest.raises(DataError, match=rf"object {pair.ids[3]}: column 'target'"):
        pair.convert()


def test_text_where_a_number_belongs(pair):
    pair.rows[9]["flux"] = "bright"
    with pytest.raises(DataError, match=r"curves\.csv: In CSV column 'flux': Row #11.*'bright'"):
        pair.convert()
    assert not pair.out.exists()


def test_a_gzip_file_cut_short(pair, tmp_path):
    paths = pair.write()
    content = gzip.compress((tmp_path / "curves.csv").read_bytes())
    for cut in (len(content) // 2, len(content) - 4, 15):
        short = tmp_path / "short.csv.gz"
        short.write_bytes(content[:cut])
        with pytest.raises(DataError, match=r"short\.csv\.gz: .*cut short"):
            pair.convert(paths=[paths[0], str(short)])
        assert not pair.out.exists()


def test_damaged_gzip(pair, tmp_path):
    paths = pair.write()
    content = bytearray(gzip.compress((tmp_path / "curves.csv").read_bytes()))
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "bad.csv.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.csv\.gz"):
        pair.convert(paths=[paths[0], str(tmp_path / "bad.csv.gz")])
    assert not pair.out.exists()


@pytest.mark.parametrize("which", [0, 1])
def test_a_row_cut_short(pair, which):
    paths = pair.write()
    path = pair.folder / ("meta.csv", "curves.csv")[which]
    path.write_text(path.read_text()[: -30 if which else -60])
    with pytest.raises(DataError, match=rf"{path.name}: cut short or damaged: .*Expected \d+ columns"):
        pair.convert(paths=paths)
    assert not pair.out.exists()


def test_damaged_parquet(pair, tmp_path):
    import pandas as pd

    paths = pair.write()
    pd.read_csv(paths[1]).to_parquet(tmp_path / "curves.parquet")
    content = (tmp_path / "curves.parquet").read_bytes()
    (tmp_path / "curves.parquet").write_bytes(content[:-100])
    with pytest.raises(DataError, match=r"curves\.parquet"):
        pair.convert(paths=[paths[0], str(tmp_path / "curves.parquet")])


@pytest.mark.parametrize(
    ("table", "column"),
    [("rows", "flux_err"), ("rows", "mjd"), ("rows", "detected_bool"), ("metadata", "mwebv")],
)
def test_missing_columns_are_listed_with_those_found(pair, table, column):
    for row in getattr(pair, table):
        del row[column]
    name = "curves.csv" if table == "rows" else "meta.csv"
    with pytest.raises(DataError, match=rf"{name}: columns missing: {column}\. Received: object_id, "):
        pair.convert()


def test_no_id_column(pair):
    for row in pair.rows:
        row["id"] = row.pop("object_id")
    with pytest.raises(DataError, match=r"curves\.csv: columns missing: object_id\. Received: mjd"):
        pair.convert()


def test_an_empty_file(pair):
    paths = pair.write()
    (pair.folder / "curves.csv").write_text("")
    with pytest.raises(DataError, match=r"curves\.csv.*empty"):
        pair.convert(paths=paths)


def test_a_header_only(pair):
    paths = pair.write()
    for name, message in (("curves.csv", "no record"), ("meta.csv", r"meta\.csv: holds no object")):
        path = pair.folder / name
        path.write_text(path.read_text().splitlines()[0] + "\n")
        with pytest.raises(DataError, match=message):
            pair.convert(paths=paths)
        assert not pair.out.exists()


def test_missing_files(pair, tmp_path):
    with pytest.raises(DataError, match=r"none\.csv: cannot be read: No such file"):
        pair.convert(paths=[pair.write()[0], str(tmp_path / "none.csv")])
    with pytest.raises(UsageError, match="one table of metadata"):
        pair.convert(paths=[pair.write()[0]])


def test_folders_without_the_pair(pair, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="Received: no table"):
        pair.convert(paths=[str(tmp_path / "empty")])


def test_existing_output_needs_overwrite(pair):
    pair.convert()
    with pytest.raises(UsageError, match=rf"exists.*{re.escape(str(pair.out))}"):
        pair.convert()


def test_one_class_only(pair, capsys):
    for row in pair.metadata:
        row["target"] = "90"
    pair.convert()
    assert "one class, SNIa (90)" in capsys.readouterr().err


def test_empty_splits_and_lacking_classes_are_named(pair, capsys):
    pair.convert("--test-fraction", "0", "--validation-fraction", "0")
    error = capsys.readouterr().err
    assert "split 'validation' is empty" in error
    assert "split 'test' is empty" in error
    pair.convert("--folds", "3", "--overwrite", "--limit-per-class", "3")
    error = capsys.readouterr().err
    assert "split 'fold" in error
    assert "KN (64)" in error


@pytest.mark.parametrize(
    "flags",
    [
        ["--folds", "1"],
        ["--folds", "-2"],
        ["--test-fraction", "1"],
        ["--test-fraction", "-0.1"],
        ["--test-fraction", "nan"],
        ["--test-fraction", "0.6", "--validation-fraction", "0.5"],
        ["--folds", "3", "--validation-fraction", "0.1"],
        ["--max-objects", "0"],
        ["--shards", "0"],
    ],
)
def test_wrong_flags(pair, flags):
    with pytest.raises(UsageError, match="Received|leave out"):
        pair.convert(*flags)
    assert not pair.out.exists()


@pytest.mark.parametrize(
    ("spoil", "code"),
    [(lambda pair: pair.rows[9].update(flux="bright"), 1), (lambda pair: pair.out.mkdir(), 0)],
)
def test_exit_codes_and_one_line_without_traceback(pair, spoil, code):
    spoil(pair)
    command = [sys.executable, "-m", "data_tools.plasticc", *pair.write(), "--out", str(pair.out)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == code
    if code:
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("\n") == 1


def test_usage_is_exit_code_2(pair):
    pair.convert()
    command = [sys.executable, "-m", "data_tools.plasticc", *pair.write(), "--out", str(pair.out)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    debug = subprocess.run([*command, "--debug"], capture_output=True, text=True, check=False)
    assert "Traceback" in debug.stderr


def test_help_is_light():
    code = (
        "import sys\nfrom data_tools import plasticc, records, sources\n"
        "try: plasticc.main(['--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'tensorflow', 'keras', 'sklearn', 'pandas', 'pyarrow', 'matplotlib'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip().endswith("[]")


def test_unknown_flags_are_usage(pair):
    with pytest.raises(SystemExit) as error:
        plasticc.parse_arguments(["a", "b"])
    assert error.value.code == 2
