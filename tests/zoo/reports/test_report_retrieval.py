"""Search between modalities: ranks, the table, scores and the page."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tfrecords.errors import DataError
from zoo.losses.clip import MODALITIES
from zoo.reports.retrieval import score_table, write_report
from zoo.training.retrieval import TABLE, ranks, retrieval_table


def _unit(values):
    return (values / np.linalg.norm(values, axis=1)[:, None]).astype("float32")


def _objects(size=1100, noise=0.02):
    """Give embeddings that are nearly alike but for the metadata, which are those of another object."""
    rng = np.random.default_rng(0)
    base = _unit(rng.normal(size=(size, 8)))
    found = {"photo": base, "spectra": _unit(base + noise * rng.normal(size=base.shape)), "meta": np.roll(base, 1, 0)}
    present = {name: np.ones(size, bool) for name in MODALITIES}
    present["spectra"][:100] = False
    return found, present


def test_ranks_are_places_in_the_order_of_similarity():
    rng = np.random.default_rng(1)
    queries, candidates = _unit(rng.normal(size=(50, 3))), _unit(rng.normal(size=(50, 3)))
    rank, nearest = ranks(queries, candidates)
    alike = queries @ candidates.T
    for row in range(50):
        order = np.argsort(-alike[row])
        assert rank[row] == 1 + int(np.flatnonzero(order == row)[0]) and nearest[row] == order[0]
    # Embeddings that are all the same find nothing.
    rank, _ = ranks(queries[:1].repeat(9, axis=0), candidates[:1].repeat(9, axis=0))
    np.testing.assert_array_equal(rank, 9)


def test_scores_are_shares_of_the_objects_that_have_both():
    found, present = _objects()
    names = np.array(["a", "b"], object)[np.arange(1100) % 2]
    names[500] = ""
    table = retrieval_table([f"id{number}" for number in range(1100)], names, found, present)
    assert len(table) == 4 * 1000 + 2 * 1100
    scores = score_table(table).set_index(["query", "searched", "class"])
    good, bad = scores.loc[("photo", "spectra", "all")], scores.loc[("photo", "meta", "all")]
    assert good["candidates"] == 1000 and good["chance@10"] == 0.01 and good["recall@1"] > 0.9
    assert good["median_rank"] == 1 and good["same_class"] > 0.9
    assert bad["recall@5"] < 0.05 and bad["candidates"] == 1100 and bad["median_rank"] > 100
    # The nearest is the next object, of the other class, but for those beside the one without a class.
    assert bad["same_class"] == 0
    assert scores.loc[("photo", "meta", "a"), "objects"] == 549
    nearest = table[(table["query"] == "photo") & (table["searched"] == "meta")].iloc[7]
    assert nearest["nearest"] == "id8" and nearest["object_id"] == "id7"


def test_the_page_shows_them_and_what_is_missing_is_named(tmp_path):
    out = tmp_path / "report"
    out.mkdir()
    config = {"model": "astrom3_clip", "preset": "clip", "survey": "asassn", "run": "one", "split": "test"}
    (out / "report_config.json").write_text(json.dumps(config))
    with pytest.raises(DataError, match=r"retrieval\.parquet must be readable.*zoo\.evaluate.*Received"):
        write_report(tmp_path)
    found, present = _objects(60)
    retrieval_table(range(60), [""] * 60, found, {name: item & False for name, item in present.items()}).to_parquet(
        out / TABLE
    )
    with pytest.raises(DataError, match="needs objects that have two. Received: none in the split test"):
        write_report(tmp_path)
    present["spectra"][:] = True
    retrieval_table([f"id{number}" for number in range(60)], [""] * 60, found, present).to_parquet(out / TABLE)
    text = write_report(tmp_path).read_text()
    assert "| photo" in text and "recall@10" in text and (out / "recall.png").stat().st_size > 5000
    metrics = json.loads((out / "metrics.json").read_text())["scores"]
    assert len(metrics) == 6 and metrics[0]["objects"] == 60
