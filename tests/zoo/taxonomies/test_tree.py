"""Trees of classes: those that ship, what is derived from them, and files that hold none."""

from __future__ import annotations

import numpy as np
import pytest

import zoo
from tfrecords.errors import DataError, UsageError
from tfrecords.reader import RecordDirectory
from zoo.inputs import spec as specs
from zoo.inputs.config import InputConfig, SelectionConfig
from zoo.taxonomies import tree as trees


@pytest.fixture
def write(tmp_path):
    """Write a YAML file and give its path."""

    def write(text):
        path = tmp_path / "some.yaml"
        path.write_text(text)
        return str(path)

    return write


def test_the_tree_of_the_paper():
    tree = trees.load("elasticc")
    assert tree.parents == (-1, 0, 0, 1, 1, 1, 2, 2, *[3] * 5, *[4] * 4, *[5] * 5, *[6] * 4)
    assert np.bincount(tree.depths).tolist() == [1, 2, 5, 18]
    assert tree.leaves == tuple(range(7, 26))
    assert [end - first for first, end in tree.groups[1:]] == [2, 3, 2, 5, 4, 5, 4]
    assert tree.nodes[20] == "CART" and tree.index("Mdwarf-flare") == 16
    assert zoo.taxonomy("elasticc") == tree


@pytest.mark.parametrize("name", trees.available())
def test_what_is_derived_agrees_with_walks_through_the_tree(name):
    tree = trees.load(name)
    for node, parent in enumerate(tree.parents):
        way = [node]
        while tree.parents[way[-1]] >= 0:
            way.append(tree.parents[way[-1]])
        assert way[-1] == 0 and tree.depths[node] == len(way) - 1
        assert sorted(way) == np.flatnonzero(tree.paths[node]).tolist()
        below = [other for other in range(len(tree)) if tree.paths[other, node]]
        assert tree.heights[node] == max(tree.depths[other] for other in below) - tree.depths[node]
        assert (node in tree.leaves) == (below == [node]) == (not tree.children(node))
        first, end = next(group for group in tree.groups if group[0] <= node < group[1])
        assert [*range(first, end)] == (tree.children(parent) if node else [0])
    for cut in tree.levels().values():
        # Every leaf hangs below exactly one node of a cut.
        assert (tree.paths[np.ix_(tree.leaves, cut)].sum(axis=1) == 1).all()
    assert trees.of_nodes(tree.nodes) == tree


def test_plasticc_holds_the_native_classes_of_the_records(records):
    directory = RecordDirectory(records)
    spec = specs.describe(directory, (), InputConfig(), SelectionConfig(), "plasticc")
    assert set(spec.places) == set(trees.load("plasticc").leaves)
    assert [spec.nodes[place] for place in spec.places] == list(spec.classes)
    assert specs.DataSpec.from_dict(spec.to_dict()) == spec
    assert spec.model_info().outputs == trees.load("plasticc").nodes
    assert spec.model_info().classes == spec.classes


def test_a_class_outside_the_tree_is_named_with_the_closest(records):
    directory = RecordDirectory(records)
    with pytest.raises(UsageError, match="elasticc: .*Received: 'Mira'"):
        specs.describe(directory, (), InputConfig(), SelectionConfig(), "elasticc")
    some = SelectionConfig(classes=["SNIbc", "RRL", "AGN"])
    spec = specs.describe(directory, (), InputConfig(), some, "elasticc")
    assert [spec.nodes[place] for place in spec.places] == ["SNIb/c", "RR Lyrae", "AGN"]
    with pytest.raises(UsageError, match="Closest: SNIa"):
        trees.load("elasticc").index("SN Ia")


def test_two_classes_cannot_be_one_node(records, write):
    path = write("tree: {All: [A, B]}\naliases: {A: [AGN, TDE], B: [KN]}")
    some = SelectionConfig(classes=["AGN", "TDE"])
    with pytest.raises(UsageError, match="one node, 'A'.*'AGN' and 'TDE'"):
        specs.describe(RecordDirectory(records), (), InputConfig(), some, path)


def test_classes_share_the_leaves(write):
    tree = trees.load(write("tree: {R: [A, B], A: [a1, a2, a3], B: [b1, b2]}"))
    places = [tree.index(name) for name in ("A", "a2", "b1")]
    table = tree.shares(places)
    owner = {tree.nodes[leaf]: np.flatnonzero(table[leaf]).tolist() for leaf in tree.leaves}
    assert owner == {"a1": [0], "a2": [1], "a3": [0], "b1": [2], "b2": []}
    assert not table[: tree.leaves[0]].any()


def test_ones_own_file(write):
    tree = trees.load(write("tree:\n  R: [x, 90]\n  90: [y, 1e3]\naliases: {y: [why]}"))
    assert tree.nodes == ("R", "x", "90", "y", "1e3") and tree.index("why") == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tree: {A: [B], B: [C], C: [A]}", ["one root", "C -> A -> B -> C"]),
        ("tree: {R: [S], A: [B], B: [A]}", ["circle", "A"]),
        ("tree: {A: [A]}", ["A -> A"]),
        ("tree: {A: [B], C: [D]}", ["one root", "'A', 'C'"]),
        ("tree: {A: [B, C], B: [D], C: [D]}", ["one parent", "'D'", "'B'", "'C'"]),
        ("tree: {A: [B, B]}", ["once", "'B'"]),
        ("tree: {A: [B]}\naliases: {C: [x]}", ["aliases", "'x' for 'C'"]),
        ("tree: {A: [B, C]}\naliases: {B: [C]}", ["aliases", "'C' for 'B'"]),
        ("tree: {A: [B, C]}\naliases: {B: [x], C: [x]}", ["aliases", "'x' for 'C'"]),
        ("tree: {A: B}", ["must read"]),
        ("tree: {}", ["must read"]),
        ("nodes: [A]", ["must read"]),
        ("- A", ["must read"]),
        ("tree: {A: [B, {C: [D]}]}", ["must read"]),
        ("tree: [", ["must read"]),
        ("", ["must read"]),
    ],
)
def test_a_file_that_holds_no_tree_is_refused_by_name(write, text, words):
    with pytest.raises(DataError) as caught:
        trees.load(write(text))
    for word in ["some.yaml", "Received", *words]:
        assert word in str(caught.value)


def test_there_is_no_such_taxonomy():
    with pytest.raises(UsageError, match=r"--taxonomy: .*elasticc, plasticc, ztf_stamps.*Received: 'elastic'"):
        trees.load("elastic")
    with pytest.raises(UsageError, match="no taxonomy of the zoo"):
        trees.of_nodes(["A", "B"])


@pytest.mark.parametrize(
    ("nodes", "parents"),
    [
        (("R", "A", "B"), (-1, 0)),
        (("R", "A", "B"), (-1, 0, 7)),
        (("R", "A", "B", "C"), (-1, 0, 1, 0)),
        (("A", "R"), (1, -1)),
        (("R", "A", "A"), (-1, 0, 0)),
        ((), ()),
    ],
)
def test_nodes_must_stand_in_level_order(nodes, parents):
    with pytest.raises(DataError, match="Received"):
        trees.Taxonomy("some", nodes, parents)
