"""How well clusters that no label made tell classes apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

DEFINITIONS = {
    "accuracy": "objects whose cluster is matched to their class, one cluster to a class (Hungarian algorithm)",
    "purity": "objects of the most frequent class of their cluster; several clusters may stand for one class",
    "adjusted_rand": "agreement of pairs of objects, 0 by chance and 1 at best",
}
"""Scores of clusters, as reports explain them."""


def cluster_scores(clusters: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Score clusters of labelled objects.

    accuracy = max over one-to-one assignments m of clusters to classes of mean(label = m(cluster)): clusters that are
    left over are wrong (Kuhn 1955). purity = mean over objects of whether theirs is the most frequent class of their
    cluster, the clustering accuracy of Astorga et al. 2018.

    Parameters
    ----------
    clusters : array (object,) of int
        Number of the cluster, from 0.
    labels : array (object,) of int or str

    Returns
    -------
    dict
        ``accuracy``, ``purity``, ``adjusted_rand``, ``objects``, ``classes`` and ``clusters`` (those with an object);
        or ``reason`` where there is nothing to score.
    """
    from scipy.optimize import linear_sum_assignment
    from sklearn.metrics import adjusted_rand_score

    classes, truth = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        return {"reason": f"needs objects of at least two classes, there are {len(classes)}"}
    used, found = np.unique(clusters, return_inverse=True)
    table = np.zeros((len(used), len(classes)), "int64")
    np.add.at(table, (found, truth), 1)
    hit = table[linear_sum_assignment(table, maximize=True)].sum()
    return {
        "accuracy": float(hit / len(truth)),
        "purity": float(table.max(axis=1).sum() / len(truth)),
        "adjusted_rand": float(adjusted_rand_score(truth, found)),
        "objects": len(truth),
        "classes": len(classes),
        "clusters": len(used),
    }


def cluster_table(table: pd.DataFrame, weights: np.ndarray) -> pd.DataFrame:
    """Describe every component of a mixture by the objects assigned to it.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns ``class`` (empty without one), ``cluster`` and ``cluster_probability`` of every object.
    weights : array (component,)
        Of the mixture.

    Returns
    -------
    pandas.DataFrame
        ``component``, ``weight``, ``objects``, ``mean_probability`` (of the assigned objects), ``labelled``,
        ``majority_class`` (empty without labels; of equal ones the first) and ``share`` (of it in the labelled).
    """
    import pandas as pd

    rows = []
    for component, weight in enumerate(np.asarray(weights, "float64").tolist()):
        part = table[table["cluster"] == component]
        counts = part.loc[part["class"] != "", "class"].value_counts(sort=False).sort_index()
        rows.append(
            {
                "component": component,
                "weight": weight,
                "objects": len(part),
                "mean_probability": float(part["cluster_probability"].mean()) if len(part) else float("nan"),
                "labelled": int(counts.sum()),
                "majority_class": str(counts.idxmax()) if len(counts) else "",
                "share": float(counts.max() / counts.sum()) if len(counts) else float("nan"),
            }
        )
    return pd.DataFrame(rows)
