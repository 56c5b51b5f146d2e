"""What is computed from representations: projections onto a plane, neighbours, scores of how well they tell classes.

Everything here takes arrays and a seed, runs on one thread, and so gives the same numbers each time.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import warnings
from collections.abc import Sequence

import numpy as np

from tfrecords.errors import DataError, UsageError

METHODS = ("pca", "umap", "tsne")
METRICS = ("euclidean", "cosine", "manhattan", "chebyshev", "correlation")
NORMALISATIONS = ("standard", "l2", "none")

LEAST = 5
"""Fewest objects that are projected."""

ITERATIONS = 1000
"""Most steps of the linear probe's optimiser."""


@dataclasses.dataclass(frozen=True)
class ProjectionConfig:
    """How representations are normalised, compared and projected.

    Attributes
    ----------
    normalise : {"standard", "l2", "none"}
        Each dimension to mean 0 and standard deviation 1 over the objects; each object to length 1; or as they are.
    metric : str
        One of `METRICS`, of neighbours, UMAP and t-SNE.
    n_neighbors : int
        Neighbours that UMAP looks at.
    min_dist : float
        Smallest distance between points in UMAP's plane, in [0, 1].
    perplexity : float
        Of t-SNE, about its number of neighbours; at most a third of the objects is used.
    seed : int
    """

    normalise: str = "standard"
    metric: str = "euclidean"
    n_neighbors: int = 15
    min_dist: float = 0.1
    perplexity: float = 30.0
    seed: int = 0

    def __post_init__(self):
        for key, valid in (("normalise", NORMALISATIONS), ("metric", METRICS)):
            if getattr(self, key) not in valid:
                raise UsageError(f"--{key} must be one of {', '.join(valid)}. Received: {getattr(self, key)!r}")
        if self.n_neighbors < 2:
            raise UsageError(f"--n-neighbors must be at least 2. Received: {self.n_neighbors}")
        if not 0 <= self.min_dist <= 1:
            raise UsageError(f"--min-dist must lie in [0, 1]. Received: {self.min_dist:g}")
        if not 1 <= self.perplexity < float("inf"):
            raise UsageError(f"--perplexity must be a number of at least 1. Received: {self.perplexity:g}")
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"--seed must lie in [0, 2^32). Received: {self.seed}")


def check_methods(methods: Sequence[str]) -> None:
    """Refuse an unknown projection, and UMAP where its package is not installed."""
    for name in methods:
        if name not in METHODS:
            raise UsageError(f"--plot: projections are {', '.join(METHODS)}. Received: {name!r}")
    if "umap" in methods and importlib.util.find_spec("umap") is None:
        raise UsageError(
            "--plot umap needs the package umap-learn: pip install 'timedomain-zoo[umap]'; pca and tsne need nothing "
            "more. Received: no such package"
        )


def normalised(values: np.ndarray, kind: str) -> np.ndarray:
    """Normalise representations (object, dimension), see `ProjectionConfig`; float64."""
    values = np.asarray(values, "float64")
    if kind == "none" or not len(values):
        return values
    if kind == "l2":
        length = np.linalg.norm(values, axis=1, keepdims=True)
        return values / np.where(length > 0, length, 1.0)
    spread = values.std(axis=0)
    # A dimension that is the same for all objects, but for rounding, says nothing.
    still = spread <= 1e-9 * np.abs(values).max(axis=0)
    return np.where(still, 0.0, (values - values.mean(axis=0)) / np.where(still, 1.0, spread))


def project(values: np.ndarray, method: str, config: ProjectionConfig) -> tuple[np.ndarray, tuple[str, str]]:
    """Project representations onto a plane.

    Parameters
    ----------
    values : array (object, dimension)
    method : {"pca", "umap", "tsne"}
    config : ProjectionConfig

    Returns
    -------
    coordinates : array (object, 2), float32
    labels : (str, str)
        Of the axes.

    Raises
    ------
    DataError
        If there are fewer than 5 objects.
    """
    from threadpoolctl import threadpool_limits

    if len(values) < LEAST:
        raise DataError(f"a projection takes at least {LEAST} objects with an embedding. Received: {len(values)}")
    values = normalised(values, config.normalise)
    # Sums of several threads come in any order.
    with threadpool_limits(1):
        found, labels = {"pca": _pca, "umap": _umap, "tsne": _tsne}[method](values, config)
    return np.asarray(found, "float32"), labels


def _pca(values, config):
    from sklearn.decomposition import PCA

    size = min(2, values.shape[1])
    if not np.ptp(values, axis=0).any():
        return np.zeros((len(values), 2)), ("component 1", "component 2")
    pca = PCA(size, svd_solver="full", random_state=config.seed)
    found = pca.fit_transform(values)
    labels = [f"component {place} ({share:.0%})" for place, share in enumerate(pca.explained_variance_ratio_, 1)]
    if size == 1:
        found, labels = np.pad(found, [(0, 0), (0, 1)]), [*labels, ""]
    return found, tuple(labels)


def _umap(values, config):
    with warnings.catch_warnings():
        # It says that with a seed it uses one thread, and that disconnected objects stay where they are.
        warnings.simplefilter("ignore")
        import umap

        reducer = umap.UMAP(
            n_neighbors=min(config.n_neighbors, len(values) - 1), min_dist=config.min_dist, metric=config.metric,
            random_state=config.seed, n_jobs=1,
        )  # fmt: skip
        return reducer.fit_transform(values.astype("float32")), ("UMAP 1", "UMAP 2")


def _tsne(values, config):
    from sklearn.manifold import TSNE

    start = _pca(values, config)[0]
    # As scikit-learn starts from principal components: the first with a standard deviation of 1e-4.
    start = (start / (start[:, 0].std() or 1.0) * 1e-4).astype("float32")
    tsne = TSNE(
        2, perplexity=min(config.perplexity, max(1.0, (len(values) - 1) / 3)), metric=config.metric, init=start,
        random_state=config.seed, n_jobs=1,
    )  # fmt: skip
    return tsne.fit_transform(values.astype("float32")), ("t-SNE 1", "t-SNE 2")


def neighbours(values: np.ndarray, place: int, k: int, config: ProjectionConfig) -> tuple[np.ndarray, np.ndarray]:
    """Find the objects nearest to one of them.

    Returns
    -------
    places : array (neighbour,), int64
        At most ``k``, nearest first, the object itself left out; of equal ones the first.
    distances : array (neighbour,), float64
        By the metric, of normalised representations.
    """
    from sklearn.metrics import pairwise_distances

    values = normalised(values, config.normalise)
    distances = pairwise_distances(values[place : place + 1], values, metric=config.metric)[0]
    # Between vectors without length or spread some metrics are not defined: such objects are far from all others.
    distances = np.where(np.isfinite(distances), distances, np.inf)
    order = np.argsort(distances, kind="stable")
    order = order[order != place][:k]
    return order, distances[order]


def clustering(values: np.ndarray, labels: np.ndarray, config: ProjectionConfig) -> dict:
    """Score k-means with as many clusters as there are classes.

    Each cluster stands for one class, the assignment being the one under which most objects are right, see
    `zoo.reports.clusters.cluster_scores`.

    Parameters
    ----------
    values : array (object, dimension)
    labels : array (object,) of int or str
    config : ProjectionConfig

    Returns
    -------
    dict
        As that gives it.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    from zoo.reports.clusters import cluster_scores

    classes = len(np.unique(labels))
    if classes < 2:
        return cluster_scores(np.zeros(len(labels), "int64"), labels)
    values = normalised(values, config.normalise)
    with threadpool_limits(1), warnings.catch_warnings():
        # It warns where fewer different points than clusters are left.
        warnings.simplefilter("ignore")
        found = KMeans(classes, n_init=10, random_state=config.seed).fit_predict(values)
    return cluster_scores(found, labels)


def fit_probe(values, labels, config: ProjectionConfig):
    """Fit a logistic regression to representations (object, dimension), normalised over these; classes weigh alike.

    Returns
    -------
    sklearn.pipeline.Pipeline
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    model = make_pipeline(
        StandardScaler(),
        LogisticRegression(max_iter=ITERATIONS, class_weight="balanced", random_state=config.seed),
    )
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(np.asarray(values, "float64"), labels)


def linear_probe(train, train_labels, test, test_labels, config: ProjectionConfig) -> dict:
    """Score a logistic regression that reads representations.

    They are normalised to mean 0 and standard deviation 1 over the training objects whatever the configuration says,
    and classes weigh alike.

    Parameters
    ----------
    train, test : array (object, dimension)
    train_labels, test_labels : array (object,) of str
    config : ProjectionConfig
        Its seed.

    Returns
    -------
    dict
        ``macro_f1`` and ``accuracy`` on the test objects, as reports define them, ``train_objects``,
        ``test_objects``, ``converged``; or ``reason`` where there is nothing to score.
    """
    from threadpoolctl import threadpool_limits

    from zoo.reports.scores import matrix_scores

    if len(np.unique(train_labels)) < 2 or not len(test):
        return {"reason": "needs labelled objects of at least two classes in the training split, and of the test split"}
    model = fit_probe(train, train_labels, config)
    with threadpool_limits(1):
        found = model.predict(np.asarray(test, "float64"))
    classes = np.unique(np.concatenate([train_labels, test_labels]))
    matrix = np.zeros((len(classes), len(classes)), "int64")
    np.add.at(matrix, (np.searchsorted(classes, test_labels), np.searchsorted(classes, found)), 1)
    scores = matrix_scores(matrix)
    return {
        "macro_f1": float(scores["macro_f1"]),
        "accuracy": float(scores["accuracy"]),
        "train_objects": len(train),
        "test_objects": len(test),
        "converged": bool(np.max(model[-1].n_iter_) < ITERATIONS),
    }
