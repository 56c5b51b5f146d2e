"""A tree of classes: its nodes in level order, and the files that hold trees."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from importlib import resources
from pathlib import Path

import numpy as np

from tfrecords.errors import DataError, UsageError
from zoo.registry import unknown


@dataclasses.dataclass(frozen=True)
class Taxonomy:
    """A rooted tree of classes.

    Nodes stand in level order: the root, its children in their declared order, their children, and so on. The
    children of a node are therefore neighbours.

    Attributes
    ----------
    name : str
        Name of the taxonomy, or path of its file.
    nodes : tuple of str
    parents : tuple of int
        Index of the parent of each node; −1 for the root, which is node 0.
    aliases : dict of str to str
        Node by another name of it.
    """

    name: str
    nodes: tuple[str, ...]
    parents: tuple[int, ...]
    aliases: dict[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        want = from_edges(self._edges(), self.nodes[:1], self.name) if self.nodes else None
        if want is None or want != (self.nodes, self.parents):
            raise DataError(
                f"taxonomy {self.name}: nodes must stand in level order, the root first with parent -1. "
                f"Received: {list(zip(self.nodes, self.parents, strict=False))[:8]} ..."
            )
        for alias, node in self.aliases.items():
            if node not in self.nodes or alias in self.nodes:
                raise DataError(
                    f"taxonomy {self.name}: an alias is another name of a node and no node itself. "
                    f"Valid: a name for one of {', '.join(self.nodes)}. Received: {alias!r} for {node!r}"
                )

    def _edges(self) -> list[tuple[str, str]]:
        if len(self.nodes) != len(self.parents) or not all(-1 <= place < len(self.nodes) for place in self.parents):
            raise DataError(
                f"taxonomy {self.name}: every node needs the index of its parent. Valid: {len(self.nodes)} "
                f"numbers from -1 to {len(self.nodes) - 1}. Received: {list(self.parents)}"
            )
        return [(self.nodes[parent], node) for node, parent in zip(self.nodes, self.parents, strict=True)
                if parent >= 0]  # fmt: skip

    def __len__(self) -> int:
        return len(self.nodes)

    def children(self, node: int) -> list[int]:
        """Give the indices of a node's children."""
        return [place for place, parent in enumerate(self.parents) if parent == node]

    @cached_property
    def depths(self) -> np.ndarray:
        """Edges between the root and each node, int64 (node,)."""
        found = np.zeros(len(self.nodes), "int64")
        for place, parent in enumerate(self.parents[1:], 1):
            found[place] = found[parent] + 1
        return found

    @cached_property
    def heights(self) -> np.ndarray:
        """Edges between each node and the deepest leaf below it, int64 (node,); 0 for leaves."""
        found = np.zeros(len(self.nodes), "int64")
        for place in range(len(self.nodes) - 1, 0, -1):
            parent = self.parents[place]
            found[parent] = max(found[parent], found[place] + 1)
        return found

    @cached_property
    def paths(self) -> np.ndarray:
        """Which nodes lie on the way from the root to each node, itself included, bool (node, node)."""
        found = np.eye(len(self.nodes), dtype=bool)
        for place, parent in enumerate(self.parents[1:], 1):
            found[place] |= found[parent]
        return found

    @cached_property
    def leaves(self) -> tuple[int, ...]:
        """Indices of the nodes without children."""
        return tuple(sorted(set(range(len(self.nodes))) - set(self.parents)))

    @cached_property
    def groups(self) -> tuple[tuple[int, int], ...]:
        """First node and end of every group of siblings, in order; the root is a group of its own."""
        cuts = [place for place in range(1, len(self.nodes)) if self.parents[place] != self.parents[place - 1]]
        starts = [0, *cuts]
        return tuple(zip(starts, [*cuts, len(self.nodes)], strict=True))

    def cut(self, depth: int) -> tuple[int, ...]:
        """Give the nodes at a depth, and the leaves above it: they part all leaves among them."""
        return tuple(
            place for place, own in enumerate(self.depths) if own == depth or (own < depth and place in self.leaves)
        )

    def levels(self) -> dict[str, tuple[int, ...]]:
        """Give the nodes of every level by its name: ``level 1``, ``level 2`` ... and ``leaves``."""
        inner = {f"level {depth}": self.cut(depth) for depth in range(1, int(self.depths.max()))}
        return inner | {"leaves": self.leaves}

    def index(self, name: str) -> int:
        """Give the index of a node by its name or an alias.

        Raises
        ------
        UsageError
            If there is none; the message gives the closest names.
        """
        node = self.aliases.get(str(name), str(name))
        if node not in self.nodes:
            raise UsageError(f"taxonomy {self.name}: " + unknown("node", name, self.nodes))
        return self.nodes.index(node)

    def shares(self, places) -> np.ndarray:
        """Give which class each leaf belongs to: the deepest on its path.

        Parameters
        ----------
        places : sequence of int
            Node of every class.

        Returns
        -------
        array of bool (node, class)
            True at leaves; all False in the rows of inner nodes and of leaves under no class.
        """
        found = np.zeros((len(self.nodes), len(places)), bool)
        for leaf in self.leaves:
            above = [number for number, place in enumerate(places) if self.paths[leaf, place]]
            if above:
                found[leaf, max(above, key=lambda number: self.depths[places[number]])] = True
        return found


def from_edges(edges, roots, where: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Give nodes and parents in level order from edges ``(parent, child)``.

    Parameters
    ----------
    edges : sequence of (str, str)
    roots : sequence of str
        Nodes without a parent that stand in no edge, if any.
    where : str
        Names the tree in messages.

    Raises
    ------
    DataError
        If a node has two parents, there is not one root, or nodes hang together in a circle.
    """
    parent: dict[str, str] = {}
    children: dict[str, list[str]] = {name: [] for name in roots}
    for upper, lower in edges:
        if lower in parent:
            raise DataError(
                f"{where}: a node stands once in the tree, under one parent. "
                f"Received: {lower!r} under {parent[lower]!r} and under {upper!r}"
            )
        parent[lower] = upper
        children.setdefault(upper, []).append(lower)
        children.setdefault(lower, [])
    top = [name for name in children if name not in parent]
    if not top:
        raise DataError(f"{where}: a tree has one root; here every node has a parent. Received: {_circle(parent)}")
    if len(top) > 1:
        raise DataError(f"{where}: a tree has one root. Received: {', '.join(map(repr, top))}")
    nodes = [top[0]]
    for name in nodes:
        nodes += children[name]
    lost = [name for name in children if name not in nodes]
    if lost:
        raise DataError(
            f"{where}: every node must hang below the root {top[0]!r}; these go round in a circle. "
            f"Received: {_circle({name: parent[name] for name in lost})}"
        )
    place = {name: number for number, name in enumerate(nodes)}
    return tuple(nodes), tuple(place[parent[name]] if name in parent else -1 for name in nodes)


def _circle(parent: dict[str, str]) -> str:
    way = [next(iter(parent))]
    while parent[way[-1]] not in way:
        way.append(parent[way[-1]])
    way = way[way.index(parent[way[-1]]) :]
    return " -> ".join([*reversed(way), way[-1]])


def available() -> list[str]:
    """Give the names of the taxonomies that come with the zoo."""
    return sorted(Path(item.name).stem for item in resources.files("zoo.taxonomies").iterdir()
                  if item.name.endswith(".yaml"))  # fmt: skip


def located(taxonomy: str) -> str:
    """Give what finds a taxonomy again from anywhere: the name of one of the zoo, the absolute path of a file."""
    return taxonomy if taxonomy in available() or not Path(taxonomy).is_file() else str(Path(taxonomy).resolve())


def load(taxonomy: str) -> Taxonomy:
    """Read and check a taxonomy.

    Parameters
    ----------
    taxonomy : str
        Name of one of the zoo, or path of a YAML file ``tree: {PARENT: [CHILD, ...]}``, optionally with
        ``aliases: {NODE: [OTHER NAME, ...]}``.

    Raises
    ------
    UsageError
        If there is no such taxonomy.
    DataError
        If the file does not hold a tree.
    """
    if taxonomy in available():
        where, text = (
            f"taxonomy {taxonomy}",
            (resources.files("zoo.taxonomies") / f"{taxonomy}.yaml").read_text("utf-8"),
        )
    elif Path(taxonomy).is_file():
        where, text = str(taxonomy), Path(taxonomy).read_text("utf-8", errors="replace")
    else:
        raise UsageError(
            f"--taxonomy: neither a taxonomy of the zoo ({', '.join(available())}) nor a file. Received: {taxonomy!r}"
        )
    content = _read(text, where)
    nodes, parents = from_edges([(upper, item) for upper, lower in content["tree"] for item in lower], (), where)
    aliases: dict[str, str] = {}
    for node, names in content["aliases"]:
        for alias in names:
            if node not in nodes or alias in nodes or alias in aliases:
                raise DataError(
                    f"{where}: aliases are new names of nodes, each of one. Valid nodes: {', '.join(nodes)}. "
                    f"Received: {alias!r} for {node!r}"
                )
            aliases[alias] = node
    return Taxonomy(str(taxonomy), nodes, parents, aliases)


def of_nodes(nodes) -> Taxonomy:
    """Give the taxonomy of the zoo that has exactly these nodes in this order."""
    for name in available():
        if (tree := load(name)).nodes == tuple(nodes):
            return tree
    raise UsageError(f"no taxonomy of the zoo ({', '.join(available())}) has these nodes. Received: {list(nodes)}")


def _read(text: str, where: str) -> dict[str, list[tuple[str, list[str]]]]:
    """Give the pairs of every section as they stand: YAML itself lets a later key replace an earlier one."""
    import yaml

    try:
        root = yaml.compose(text, yaml.SafeLoader)
        sections = {key.value: value for key, value in root.value}
        found = {name: [(key.value, [item.value for item in value.value]) for key, value in sections[name].value]
                 for name in ("tree", "aliases") if name in sections}  # fmt: skip
        good = bool(found["tree"]) and all(
            isinstance(item, str) and item for pairs in found.values() for key, names in pairs for item in (key, *names)
        )
    except (yaml.YAMLError, TypeError, KeyError, AttributeError, ValueError):
        good = False
    if not good:
        raise DataError(f"{where}: must read 'tree: {{PARENT: [CHILD, ...]}}'. Received: {text[:80]!r}")
    return {"aliases": [], **found}
