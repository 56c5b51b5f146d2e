"""The command that prints and draws trees, with an object's probabilities from any table of predictions."""

from __future__ import annotations

import importlib

import numpy as np
import pandas as pd
import pytest

from tfrecords.errors import DataError, UsageError
from zoo.taxonomies.tree import load

# The package's attribute of this name is the function.
command = importlib.import_module("zoo.taxonomy")
TREE = load("plasticc")


@pytest.fixture
def table(tmp_path):
    """A table of two objects at two days with probabilities of all classes."""
    leaves = [TREE.nodes[leaf] for leaf in TREE.leaves]
    shares = np.random.default_rng(0).dirichlet(np.ones(len(leaves)), 4)
    frame = pd.DataFrame(shares, columns=[f"p_{name}" for name in leaves])
    frame.insert(0, "object_id", ["615", "713", "615", "713"])
    frame.insert(1, "day", [8.0, 8.0, np.inf, np.inf])
    frame.to_csv(tmp_path / "table.csv", index=False)
    frame.to_parquet(tmp_path / "table.parquet", index=False)
    return frame, tmp_path


def test_names_and_trees_are_printed(capsys):
    assert command.main([]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["elasticc", "plasticc", "ztf_stamps"]
    assert command.main(["elasticc"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 26 and lines[0] == "Alert" and lines[3].endswith("── SNIa")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_probabilities_of_nodes_are_sums(table, suffix, capsys):
    frame, folder = table
    file = folder / f"table{suffix}"
    for day, row in ((8.0, 1), (None, 3)):
        found = command.probabilities(TREE, file, "713", day)
        leaf = frame.iloc[row, 2:].to_numpy("float64")
        np.testing.assert_allclose(found[list(TREE.leaves)], leaf)
        assert found[0] == pytest.approx(1) and found[3] == pytest.approx(leaf[1:6].sum())
    out = folder / "tree.png"
    assert command.main(["plasticc", "--table", str(file), "--probabilities", "713", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert f"SN  q {found[3] / found[1]:.3f}  P {found[3]:.3f}" in printed and printed.endswith(f"{out}\n")
    assert out.read_bytes().startswith(b"\x89PNG")


def test_own_columns_of_nodes_win(table):
    frame, folder = table
    path = np.linspace(1, 0.1, len(TREE))
    nodes = pd.DataFrame([path] * 4, columns=[f"node_{name}" for name in TREE.nodes])
    pd.concat([frame, nodes], axis=1).to_parquet(folder / "own.parquet", index=False)
    np.testing.assert_allclose(command.probabilities(TREE, folder / "own.parquet", "615"), path)


def test_what_is_not_there_is_named(table):
    frame, folder = table
    file = folder / "table.csv"
    with pytest.raises(UsageError, match="Received: '9'"):
        command.probabilities(TREE, file, "9")
    with pytest.raises(UsageError, match="8, inf.*Received: 2"):
        command.probabilities(TREE, file, "615", 2.0)
    with pytest.raises(UsageError, match="Received: 'Mira'"):
        command.probabilities(load("elasticc"), file, "615")
    with pytest.raises(UsageError, match="--table"):
        command.probabilities(TREE, folder / "none.csv", "615")
    frame.drop(columns="day").iloc[:1].assign(p_KN=np.nan).to_csv(file, index=False)
    with pytest.raises(DataError, match="no prediction"):
        command.probabilities(TREE, file, "615")
    with pytest.raises(UsageError, match="no days"):
        command.probabilities(TREE, file, "615", 8.0)
    (folder / "broken.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"broken.parquet"):
        command.probabilities(TREE, folder / "broken.parquet", "615")
