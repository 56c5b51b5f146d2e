"""Public data sets by name: ``python -m data_tools.fetch NAME --out DIR``, ``--list``.

Where they are stands in ``fetch.yaml``.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from data_tools.formats.yaml_keys import Node, read_yaml
from data_tools.remote.download import Progress, Remote, download
from data_tools.remote.unpack import SUFFIXES, is_archive, unpack
from tfrecords import command
from tfrecords.errors import DataError, UsageError

_HASHES = {"md5": 32, "sha256": 64}
_UNKNOWN = "not stated"


@dataclass(frozen=True)
class DataSet:
    """A public data set.

    Attributes
    ----------
    name, title, home, citation : str
    licence : str
        Empty if no document states one.
    source : str
        Module of data_tools that reads it.
    files : tuple of Remote
    about : dict of str to str
        Rounded sizes by file.
    instructions : str
        How to get it, where it is not fetched here.
    """

    name: str
    title: str
    home: str
    citation: str
    licence: str
    source: str
    files: tuple[Remote, ...]
    about: dict[str, str]
    instructions: str

    def size_of(self, file: Remote) -> str:
        """Say how large a file is."""
        return f"{file.bytes:,} bytes" if file.bytes is not None else self.about.get(file.name, _UNKNOWN)


def load_sets(path: Path | None = None) -> dict[str, DataSet]:
    """Read the list of data sets, or one of the user's own. Raises UsageError naming the wrong key."""
    place = resources.files("data_tools").joinpath("fetch.yaml") if path is None else path
    node = Node(read_yaml(place), "", place.name)
    found: dict[str, DataSet] = {}
    for each in node.nodes("sets"):
        entry = _data_set(each)
        if entry.name in found:
            each.refuse("name", "is given once", entry.name)
        found[entry.name] = entry
    node.end()
    return found


def _data_set(node: Node) -> DataSet:
    name = node.text("name")
    if not re.fullmatch(r"\w+", name):
        node.refuse("name", "is a word", name)
    files, about = [], {}
    for each in node.nodes("files", ()):
        file, url = each.text("name"), each.text("url")
        if not re.fullmatch(r"\w[\w.+-]*", file) or file.endswith((".part", ".part.json")):
            each.refuse("name", "is the name of a file without folders", file)
        if not re.match(r"https?://[\w.:\[\]-]+/", url):
            each.refuse("url", "is an address of https or http", url)
        size = each.take("bytes", None)
        if size is not None and (type(size) is not int or size < 0):
            each.refuse("bytes", "is a whole number", size)
        checksum = None
        for kind, digits in _HASHES.items():
            if kind in each:
                text = each.text(kind)
                if not re.fullmatch(rf"[0-9a-f]{{{digits}}}", text):
                    each.refuse(kind, f"has {digits} hexadecimal digits", text)
                checksum = (kind, text)
        if "about" in each:
            about[file] = each.text("about")
        each.end()
        files.append(Remote(file, url, size, checksum))
    instructions = node.text("instructions", "")
    if bool(files) == bool(instructions):
        node.refuse("files", "or 'instructions' is given, one of them", [file.name for file in files])
    if len({file.name for file in files}) != len(files):
        node.refuse("files", "have names of their own", [file.name for file in files])
    entry = DataSet(
        name=name,
        title=node.text("title"),
        home=node.text("home"),
        citation=node.text("citation"),
        licence=node.text("licence", ""),
        source=node.text("source", ""),
        files=tuple(files),
        about=about,
        instructions=instructions,
    )
    node.end()
    return entry


def describe(entry: DataSet, in_full: bool) -> str:
    """Describe a data set in one line, or with all that is known of it."""
    if not in_full:
        get = f"{len(entry.files)} file(s)" if entry.files else "instructions only"
        sizes = {entry.size_of(file) for file in entry.files}
        size = f", {sizes.pop()}" if len(sizes) == 1 else ""
        return f"{entry.name:20s} {entry.title} [{get}{size}; licence: {entry.licence or _UNKNOWN}]"
    lines = [
        f"{entry.name}: {entry.title}",
        f"  page      {entry.home}",
        f"  licence   {entry.licence or _UNKNOWN}",
        f"  cite      {entry.citation}",
    ]
    if entry.source:
        lines.append(f"  read by   python -m data_tools.{entry.source}")
    for file in entry.files:
        checksum = " ".join(file.checksum) if file.checksum else _UNKNOWN
        lines += [f"  file      {file.name}", f"            {file.url}"]
        lines.append(f"            size: {entry.size_of(file)}; checksum: {checksum}")
    return "\n".join([*lines, *(f"  {line}" for line in entry.instructions.splitlines())])


def fetch(entry: DataSet, folder: Path, extract: bool, retries: int, timeout: float, quiet: bool) -> list[str]:
    """Fetch the files of a data set, one after another; one that fails does not keep the others from coming.

    Returns
    -------
    list of str
        What failed.

    Raises
    ------
    DataError
        If the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"--out {folder}: no folder can be made there: {error.strerror or error}") from error
    failed = []
    for file in entry.files:
        try:
            with _bar(file.name, quiet) as progress:
                path, new = download(file, folder, retries=retries, timeout=timeout, progress=progress)
            checked = f"{file.checksum[0]} agrees" if file.checksum else "no checksum is published"
            print(f"{path}: {path.stat().st_size:,} bytes{'' if new else ', already there'}; {checked}")
            if extract and is_archive(file.name):
                _extract(path)
        except (DataError, OSError) as error:
            failed.append(str(error))
            print(f"error: {error}", file=sys.stderr)
    return failed


def _extract(path: Path) -> None:
    suffix = max((each for each in SUFFIXES if path.name.endswith(each)), key=len)
    place = path.with_name(path.name.removesuffix(suffix))
    if place.is_dir():
        print(f"{place}: already unpacked")
        return
    files, size = unpack(path, place)
    print(f"{place}: {files:,} files, {size:,} bytes unpacked")


@contextlib.contextmanager
def _bar(name: str, quiet: bool) -> Iterator[Progress | None]:
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Bar(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m data_tools.fetch",
        description="Fetch public data sets: what was cut goes on where it ended, sizes and published checksums are "
        "checked. Of sets that need a login or a client of their own it prints how to get them, and ends with code 1.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="data sets; with --list those to describe in full")
    parser.add_argument("--list", action="store_true", help="say what there is, and fetch nothing")
    parser.add_argument("--out", type=Path, default=Path("."), metavar="DIR", help="where the files go (%(default)s)")
    parser.add_argument("--extract", action="store_true", help="unpack archives, each into a folder of its name")
    parser.add_argument("--retries", type=int, default=5, metavar="N", help="attempts that bring nothing (%(default)s)")
    parser.add_argument("--timeout", type=float, default=60.0, metavar="S", help="seconds of silence (%(default)s)")
    parser.add_argument("--catalogue", type=Path, metavar="YAML", help="another list of data sets, such as of mirrors")
    command.add_common_flags(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    arguments = parse_arguments(argv)
    sets = load_sets(arguments.catalogue)
    for name in arguments.names:
        if name not in sets:
            close = ", ".join(difflib.get_close_matches(name, sets, 3, 0.4)) or ", ".join(sets)
            raise UsageError(f"no such data set; --list names all. Closest: {close}. Received: {name!r}")
    if arguments.list:
        chosen = arguments.names or list(sets)
        print("\n".join(describe(sets[name], bool(arguments.names)) for name in chosen))
        return 0
    if not arguments.names:
        raise UsageError(f"name a data set: {', '.join(sets)}. Received: none")
    if arguments.retries < 0 or not 0 < arguments.timeout < 1e6:
        received = f"--retries {arguments.retries} --timeout {arguments.timeout}"
        raise UsageError(f"--retries is at least 0 and --timeout positive. Received: {received}")
    failed: list[str] = []
    for name in arguments.names:
        entry = sets[name]
        if not entry.files:
            print(describe(entry, True))
            failed.append(f"{name} is not fetched here")
            continue
        failed += fetch(entry, arguments.out, arguments.extract, arguments.retries, arguments.timeout, arguments.quiet)
        print(f"licence: {entry.licence or _UNKNOWN}; cite: {entry.citation}")
    return 1 if failed else 0


if __name__ == "__main__":
    command.run(main)
