"""Projections, neighbours and scores of representations, on points whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from tfrecords.errors import DataError, UsageError
from zoo.training import projection
from zoo.training.projection import ProjectionConfig, clustering, linear_probe, neighbours, normalised, project

CONFIG = ProjectionConfig()


@pytest.fixture
def clouds():
    """Three clouds far apart in eight dimensions, and the number of each point's cloud."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 30)
    return (10 * rng.normal(size=(3, 8)))[labels] + rng.normal(size=(90, 8)), labels


def test_normalisation():
    values = np.array([[3.0, 4.0, 5.0], [6.0, 8.0, 5.0], [0.0, 0.0, 5.0]])
    scaled = normalised(values, "standard")
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(scaled.std(axis=0), [1, 1, 0])
    np.testing.assert_allclose(np.linalg.norm(normalised(values - [0, 0, 5], "l2"), axis=1), [1, 1, 0])
    np.testing.assert_array_equal(normalised(values, "none"), values)


@pytest.mark.parametrize("method", ["pca", "tsne", pytest.param("umap", marks=pytest.mark.slow)])
def test_clouds_stay_apart_and_the_seed_decides(method, clouds):
    if method == "umap":
        pytest.importorskip("umap", reason="the extra umap is not installed")
    values, labels = clouds
    points, names = project(values, method, CONFIG)
    np.testing.assert_array_equal(project(values, method, CONFIG)[0], points)
    assert points.dtype == "float32" and points.shape == (90, 2) and len(names) == 2
    centres = np.stack([points[labels == number].mean(axis=0) for number in range(3)])
    nearest = np.linalg.norm(points[:, None] - centres, axis=2).argmin(axis=1)
    assert (nearest == labels).mean() > 0.97


def test_pca_is_that_of_the_covariance(clouds):
    values = clouds[0]
    points, (first, _) = project(values, "pca", ProjectionConfig(normalise="none"))
    variances = np.linalg.eigvalsh(np.cov(values.T))[::-1]
    np.testing.assert_allclose(points.var(axis=0, ddof=1), variances[:2], rtol=1e-5)
    assert first == f"component 1 ({variances[0] / variances.sum():.0%})"


@pytest.mark.parametrize("method", ["pca", "tsne"])
@pytest.mark.parametrize("values", [np.ones((6, 3)), np.arange(5.0)[:, None]], ids=["equal", "one dimension"])
def test_degenerate_points_are_finite(method, values):
    points, _ = project(values, method, CONFIG)
    assert points.shape == (len(values), 2) and np.isfinite(points).all()


def test_what_cannot_be_projected():
    with pytest.raises(DataError, match="at least 5.*Received: 4"):
        project(np.zeros((4, 2)), "pca", CONFIG)
    with pytest.raises(UsageError, match="pca, umap, tsne.*'lda'"):
        projection.check_methods(["pca", "lda"])
    for wrong in ({"metric": "far"}, {"normalise": "l1"}, {"n_neighbors": 1}, {"min_dist": 2}, {"perplexity": 0}):
        with pytest.raises(UsageError, match="Received"):
            ProjectionConfig(**wrong)


def test_umap_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(projection.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"timedomain-zoo\[umap\]"):
        projection.check_methods(["umap"])


@pytest.mark.parametrize("metric", projection.METRICS)
def test_neighbours_are_nearest_first(metric):
    values = np.array([[1.0, 0.0, 0.2], [1.0, 0.1, 0.3], [0.0, 1.0, 5.0], [2.0, 0.1, 0.5], [0.0, 0.0, 0.0]])
    places, distances = neighbours(values, 0, 3, ProjectionConfig(metric=metric, normalise="none"))
    assert len(places) == 3 and 0 not in places and (np.diff(distances) >= 0).all()
    assert places[0] in (1, 3) and (metric != "euclidean" or places.tolist() == [1, 4, 3])
    assert len(neighbours(values, 0, 99, CONFIG)[0]) == 4


def test_clusters_are_matched_to_classes(clouds):
    values, labels = clouds
    wrong = labels.copy()
    wrong[:9] = 2
    found = clustering(values, np.array(["b", "c", "a"])[wrong], CONFIG)
    assert found["accuracy"] == pytest.approx(81 / 90) and found["classes"] == 3
    assert clustering(values, labels, CONFIG)["adjusted_rand"] == 1.0
    assert "two classes" in clustering(values, np.zeros(90), CONFIG)["reason"]


def test_the_probe_learns_on_one_part_and_answers_on_the_other(clouds):
    values, labels = clouds
    names = np.array(["b", "c", "a"])[labels]
    train = np.arange(90) % 3 > 0
    found = linear_probe(values[train], names[train], values[~train], names[~train], CONFIG)
    assert (found["macro_f1"], found["test_objects"], found["converged"]) == (1.0, 30, True)
    mixed = np.random.default_rng(1).permutation(names)
    assert linear_probe(values[train], mixed[train], values[~train], mixed[~train], CONFIG)["macro_f1"] < 0.7
    assert "reason" in linear_probe(values[train], names[train], values[:0], names[:0], CONFIG)
