"""The info file: written and read back, and refused by key."""

from __future__ import annotations

import json

import pytest

from tfrecords.errors import DataError
from tfrecords.info import DatasetInfo


@pytest.fixture
def content(directory):
    return json.loads((directory / "dataset_info.json").read_text())


def test_roundtrip(directory):
    text = (directory / "dataset_info.json").read_text()
    assert DatasetInfo.from_json(text).to_json() == text


def test_newer_schema_is_refused(content):
    content["schema_version"] = 2
    content["a_key_of_the_future"] = 1
    with pytest.raises(DataError, match=r"newer version.*up to 1\. Received: schema_version 2"):
        DatasetInfo.from_json(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(extra=1), r"unknown \['extra'\]"),
        (lambda c: c.pop("folds"), r"missing \['folds'\]"),
        (lambda c: c.update(folds="5"), "'folds' is int"),
        (lambda c: c.update(folds=1), "'folds' is 0 or 2 to 253"),
        (lambda c: c.update(schema_version=0), "schema_version"),
        (lambda c: c["bands"][1].update(wavelength_angstrom="x"), r"bands\[1\].wavelength_angstrom"),
        (lambda c: c["bands"][1].update(name="g"), "'bands' names everything once"),
        (lambda c: c["shards"][0].update(partition="fold7"), "shards.partition"),
        (lambda c: c["shards"][0].update(name="../x.tfrecord"), "shards.name"),
        (lambda c: c["ledger"].update(skipped=7), "ledger"),
        (lambda c: c["shards"][0].update(count=1), "ledger.written"),
        (lambda c: c.update(survey="other"), "fingerprint"),
        (lambda c: c["static_columns"][1].update(missing=[]), "fingerprint"),
        (lambda c: c["shards"][0].update(sha256="0" * 64), "fingerprint"),
    ],
)
def test_refused_by_key(content, change, message):
    change(content)
    with pytest.raises(DataError, match=message):
        DatasetInfo.from_json(json.dumps(content))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"schema_version": 1}', "null"])
def test_other_text_is_refused(text):
    with pytest.raises(DataError, match=r"info\.json"):
        DatasetInfo.from_json(text, "info.json")
