"""Search between modalities: ranks, the table, scores and the page."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from tfrecords.errors import DataError, UsageError
from zoo.losses.clip import MODALITIES, PAIRS, Similarities, name_of
from zoo.metrics.contrast import ClipScores
from zoo.reports.retrieval import score_table, write_report
from zoo.reports.several_retrievals import write_comparison
from zoo.training import retrieval
from zoo.training.evaluation import _kind
from zoo.training.retrieval import SCORES, TABLE, contrast_scores, ranks, retrieval_table


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
    with pytest.raises(DataError, match=r"retrieval\.parquet and contrast\.json must be readable.*zoo\.evaluate.*Rec"):
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


SCALES = {name_of(pair): scale for pair, scale in zip(PAIRS, (3.0, 20.0, 1.0), strict=True)}


@pytest.mark.parametrize("lacking", [(), ("spectra",)], ids=["all three", "two"])
def test_the_contrast_among_all_is_that_of_one_batch(monkeypatch, lacking):
    monkeypatch.setattr(retrieval, "ROWS", 64)
    found, present = _objects(150, 0.5)
    present["photo"][:7] = False
    for name in lacking:
        present[name][:] = False
    for name in MODALITIES:
        found[name] = found[name] * present[name][:, None]
    metric = ClipScores()
    metric.update_state(Similarities(found, present, SCALES))
    ours, theirs = contrast_scores(found, present, SCALES), metric.result()
    assert ours["clip_accuracy"] == pytest.approx(float(theirs["clip_accuracy"]), abs=1e-6)
    for pair in PAIRS:
        name = f"loss_{name_of(pair)}"
        there = (present[pair[0]] & present[pair[1]]).any()
        # Without anything to compare the loss is 0 in training, and unknown in a report.
        assert ours[name] == pytest.approx(float(theirs[name]), rel=1e-5) if there else np.isnan(ours[name])
    assert ours["loss"] == pytest.approx(sum(float(theirs[f"loss_{name_of(pair)}"]) for pair in PAIRS), rel=1e-5)
    assert ours["objects"] == (143 if lacking else 150 - 7)
    nothing = contrast_scores(found, {name: item & False for name, item in present.items()}, SCALES)
    assert nothing.pop("objects") == 0 and np.isnan(list(nothing.values())).all()


def _run(path, name, preset, size, noise):
    out = path / name / "report"
    out.mkdir(parents=True)
    about = {"model": "astrom3_clip", "preset": preset, "survey": "asassn", "run": name, "split": "test", "seed": 1}
    (out / "report_config.json").write_text(json.dumps(about | {"fold": None}))
    found, present = _objects(size, noise)
    present["spectra"][:] = True
    retrieval_table([f"id{number}" for number in range(size)], ["x"] * size, found, present).to_parquet(out / TABLE)
    (out / SCORES).write_text(json.dumps(contrast_scores(found, present, SCALES)))
    write_report(path / name)
    return path / name


def test_several_runs_are_compared_in_one_table(tmp_path):
    runs = [_run(tmp_path, "a", "clip", 60, 0.01), _run(tmp_path, "b", "clip", 60, 0.5),
            _run(tmp_path, "c", "folded", 60, 0.1)]  # fmt: skip
    assert "## Contrast" in (runs[0] / "report" / "index.md").read_text()
    text = write_comparison(runs, tmp_path / "out").read_text()
    table = pd.read_csv(tmp_path / "out" / "runs.csv").set_index("run")
    own = json.loads((runs[1] / "report" / "metrics.json").read_text())
    for key, value in own["contrast"].items():
        assert table.loc["b", key] == pytest.approx(value)
    assert table.loc["b", "recall@5"] == pytest.approx(np.mean([row["recall@5"] for row in own["scores"][::2]]))
    groups = pd.read_csv(tmp_path / "out" / "scores.csv").set_index("group")
    both = table.loc[["a", "b"], "loss_photo_spectra"]
    assert groups.loc["astrom3_clip clip", "runs"] == 2
    assert groups.loc["astrom3_clip clip", "loss_photo_spectra"] == pytest.approx(both.mean())
    assert groups.loc["astrom3_clip clip", "loss_photo_spectra_std"] == pytest.approx(both.std(ddof=0))
    assert len(pd.read_csv(tmp_path / "out" / "scores_by_pair.csv")) == 12
    assert "CAUTION" not in text and "| astrom3_clip folded | 1 |" in text and "| astrom3_clip clip | b | 60 |" in text
    assert (tmp_path / "out" / "recall.png").stat().st_size > 5000
    text = write_comparison([*runs, _run(tmp_path, "d", "clip", 50, 0.1)], tmp_path / "out").read_text()
    assert "CAUTION †: the runs searched among different numbers of objects" in text
    with pytest.raises(UsageError, match="given once"):
        write_comparison([runs[0], runs[0]], tmp_path / "twice")
    (runs[0] / "report" / "metrics.json").write_text("{}")
    with pytest.raises(DataError, match=r"metrics\.json: cannot be read.*zoo\.evaluate.*Received"):
        write_comparison(runs, tmp_path / "out")


def test_runs_of_the_task_go_together_and_with_no_other():
    assert _kind(["contrast", "contrast"]) == "contrast"
    with pytest.raises(UsageError, match="no score in common. Received: runs of classify, contrast"):
        _kind(["contrast", "classify"])
