"""The arrows between the rooms: who may import whom, read from the sources of the installed packages."""

from __future__ import annotations

import ast
import configparser
import importlib.util
import sys
from pathlib import Path
from typing import NamedTuple

PACKAGES = ("tfrecords", "data_tools", "hparams", "zoo")
BACKENDS = ("keras", "tensorflow", "torch", "jax")
# What a model may import besides Keras and NumPy: modules that stay free of any backend themselves.
BASE = ("zoo.registry", "zoo.views", "zoo.golden", "zoo.collective", "zoo.taxonomies", "tfrecords.errors")
ARCHITECTURE = ("zoo.layers", "zoo.losses", "zoo.metrics", "zoo.optimizers", "zoo.models")
MAX_LINES = 400


class Import(NamedTuple):
    """One imported name: the module that imports, what, where, and whether on import of the module."""

    module: str
    target: str
    line: int
    at_once: bool

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.target}"


def _files() -> dict[str, Path]:
    """Give the source file of every module by its dotted name."""
    found = {}
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        root = Path(next(iter(spec.submodule_search_locations)))
        for path in sorted(root.rglob("*.py")):
            parts = [package, *path.relative_to(root).with_suffix("").parts]
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


FILES = _files()


def _under(name: str, *rooms: str) -> bool:
    return any(name == room or name.startswith(room + ".") for room in rooms)


def _targets(node: ast.AST, package: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        parents = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join([*parents, *([node.module] if node.module else [])])
    # `from zoo import registry` names a module, `from zoo.registry import get` something in one.
    return [name if (name := f"{base}.{alias.name}") in FILES else base for alias in node.names]


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _is_main(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)


def imports_of(module: str, source: str, is_package: bool) -> list[Import]:
    """Give all imports of a module, those inside functions included, those for type checkers left out."""
    package = module if is_package else module.rpartition(".")[0]
    found = []

    def visit(node: ast.AST, at_once: bool) -> None:
        if _is_type_checking(node):
            return
        found.extend(Import(module, name, node.lineno, at_once) for name in _targets(node, package))
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or _is_main(node)
        for child in ast.iter_child_nodes(node):
            visit(child, at_once and not inside)

    visit(ast.parse(source), True)
    return found


IMPORTS = [
    each
    for module, path in FILES.items()
    for each in imports_of(module, path.read_text("utf-8"), path.name == "__init__.py")
]


def _wrong(room: str | tuple[str, ...], allowed) -> list[str]:
    """Give the imports of a room outside the standard library that ``allowed(name)`` refuses."""
    rooms = (room,) if isinstance(room, str) else room
    return [
        str(each)
        for each in IMPORTS
        if _under(each.module, *rooms)
        and each.target.split(".")[0] not in sys.stdlib_module_names
        and not allowed(each.target)
    ]


def test_every_room_is_there():
    rooms = ("zoo.inputs", "zoo.tasks", "zoo.training", "zoo.reports", *PACKAGES)
    for room in (*rooms, *ARCHITECTURE):
        assert sum(_under(name, room) for name in FILES) >= 1, room
    assert len(IMPORTS) > 5 * len(FILES)


def test_records_know_no_other_room():
    assert _wrong("tfrecords", lambda name: not _under(name, "data_tools", "hparams", "zoo", "keras")) == []


def test_only_the_batch_reader_of_the_records_imports_tensorflow():
    found = {each.module for each in IMPORTS if _under(each.module, "tfrecords") and _under(each.target, *BACKENDS)}
    assert found == {"tfrecords.batch"}


def test_sources_know_the_records_only():
    assert _wrong("data_tools", lambda name: not _under(name, "hparams", "zoo", *BACKENDS)) == []


def test_presets_know_errors_and_yaml_only():
    assert _wrong("hparams", lambda name: _under(name, "tfrecords.errors", "yaml")) == []


def test_architectures_know_keras_only():
    def allowed(name):
        return _under(name, "keras", "numpy", *ARCHITECTURE, *BASE)

    assert _wrong(ARCHITECTURE, allowed) == []


def test_the_base_that_architectures_know_is_free_of_backends():
    # The registry reads the families' config.py, and nothing else of them, before a model is asked for.
    base = [name for name in FILES if _under(name, *BASE)]
    wrong = [
        str(each)
        for each in IMPORTS
        if each.at_once
        and (each.module in base or each.module.endswith(".config"))
        and _under(each.target, *BACKENDS, "sklearn", "pandas", "matplotlib", "scipy")
    ]
    assert wrong == []


def test_collective_imports_tensorflow_inside_functions():
    assert "zoo.collective" in FILES
    assert not [each for each in IMPORTS if each.module == "zoo.collective" and each.at_once
                and _under(each.target, "tensorflow")]  # fmt: skip


def test_inputs_never_know_keras():
    def allowed(name):
        known = ("tfrecords", "tensorflow", "numpy", "yaml", "zoo.inputs", "zoo.registry", "zoo.views")
        return _under(name, *known, "zoo.golden", "zoo.taxonomies")

    assert _wrong("zoo.inputs", allowed) == []


def test_reports_know_neither_keras_nor_tensorflow():
    def allowed(name):
        libraries = ("numpy", "pandas", "pyarrow", "sklearn", "scipy", "matplotlib")
        return _under(name, *libraries, "tfrecords.errors", "tfrecords.command", "zoo.reports", "zoo.taxonomies")

    assert _wrong("zoo.reports", allowed) == []


def test_tasks_do_not_know_the_training():
    above = ("zoo.training", "zoo.reports", "data_tools")
    assert _wrong("zoo.tasks", lambda name: not _under(name, *above)) == []


def test_tensorflow_addons_stay_in_an_environment_of_their_own():
    assert [str(each) for each in IMPORTS if _under(each.target, "tensorflow_addons")] == []
    settings = configparser.ConfigParser()
    settings.read(Path(__file__).resolve().parent.parent / "setup.cfg")
    extras = {name: lines.split("\n") for name, lines in settings["options.extras_require"].items()}
    extras["project"] = settings["options"]["install_requires"].split("\n")
    for name, lines in extras.items():
        for line in filter(lambda line: "addons" in line, lines):
            assert name == "addons" and line.endswith('python_version < "3.12"'), line
    # Beside the project's own TensorFlow pip has to refuse the extra.
    assert any(line.startswith("tensorflow==2.15.") for line in extras["addons"])


def test_packages_import_nothing():
    # The loader of the presets and the public names of the zoo are the two packages with code of their own.
    quiet = [name for name, path in FILES.items() if path.name == "__init__.py"]
    assert [
        str(each)
        for each in IMPORTS
        if each.module in quiet and each.module != "hparams" and each.at_once
        and each.target.split(".")[0] not in sys.stdlib_module_names
    ] == []  # fmt: skip


def _circle(edges: dict[str, set[str]]) -> list[str]:
    done: set[str] = set()

    def search(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for target in sorted(edges.get(name, ())):
            if found := search(target, [*path, name]):
                return found
        done.add(name)
        return []

    for start in sorted(edges):
        if found := search(start, []):
            return found
    return []


def test_no_module_imports_itself_in_a_circle():
    edges: dict[str, set[str]] = {}
    for each in IMPORTS:
        if each.at_once and each.target in FILES and each.target != each.module:
            edges.setdefault(each.module, set()).add(each.target)
    assert _circle(edges) == []


def test_no_file_is_long():
    long = {name: len(path.read_text("utf-8").splitlines()) for name, path in FILES.items()}
    root = Path(__file__).resolve().parent
    long |= {str(path.relative_to(root)): len(path.read_text("utf-8").splitlines())
             for path in root.rglob("*.py")}  # fmt: skip
    assert {name: count for name, count in long.items() if count > MAX_LINES} == {}


# The reader of imports must itself be able to find something wrong.


def test_imports_are_read_wherever_they_stand():
    source = """
import keras
from zoo import registry
from ..layers import attention
if TYPE_CHECKING:
    import pandas
def late():
    from tensorflow.python import ops
class Now:
    import numpy
if __name__ == "__main__":
    import torch
"""
    found = {(each.target, each.at_once) for each in imports_of("zoo.models.atat.model", source, is_package=False)}
    assert found == {
        ("keras", True),
        ("zoo.registry", True),
        ("zoo.models.layers", True),
        ("tensorflow.python", False),
        ("numpy", True),
        ("torch", False),
    }


def test_a_circle_is_found():
    assert _circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert _circle({"a": {"b", "c"}, "b": {"c"}}) == []
