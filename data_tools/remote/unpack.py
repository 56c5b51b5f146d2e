"""Tar and zip archives unpacked into a new folder, which is there when all of it is: nothing of them is trusted."""

from __future__ import annotations

import lzma
import os
import re
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from tfrecords.errors import DataError, UsageError

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip")
MAX_MEMBERS = 2_000_000
MAX_BYTES = 1 << 40
_MAX_RATIO = 200
_SMALL = 64 << 20
_MARGIN = 64 << 20
_CHUNK = 1 << 20


def is_archive(name: str) -> bool:
    """Say whether a name is that of an archive."""
    return name.endswith(SUFFIXES)


def unpack(path: Path, folder: Path) -> tuple[int, int]:
    """Unpack an archive.

    Only regular files and folders are allowed, with relative names that stay inside, each once.

    Parameters
    ----------
    path : pathlib.Path
    folder : pathlib.Path
        Must not exist.

    Returns
    -------
    (int, int)
        Number of files, and of bytes.

    Raises
    ------
    UsageError
        If the folder exists.
    DataError
        If the archive is damaged, holds something else than files, would write outside the folder, or has more than
        2 million members, 1 TiB or 200 times its size. Nothing stays of it.
    """
    if folder.exists():
        raise UsageError(f"an archive is unpacked into a new folder. Received: {folder}, which exists")
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        budget = _Budget(path, folder.parent)
        for name, size, file in _members(path, temporary):
            place = _place(temporary, name, path.name)
            budget.member(name)
            if file is None:
                place.mkdir(parents=True, exist_ok=True)
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            with file, open(place, "xb") as out:
                budget.copy(file, out, size, name)
        temporary.chmod(0o755)
        os.replace(temporary, folder)
        return budget.files, budget.bytes
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError) as error:
        raise DataError(f"{path}: the archive is damaged or cut short: {error}") from error
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise DataError(f"{path}: two members have one name. Received: {Path(error.filename or '').name!r}") from error
    except (OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{path}: cannot be unpacked: {error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class _Budget:
    """What an archive may still write."""

    def __init__(self, path: Path, folder: Path) -> None:
        self._path = path
        self._most = min(MAX_BYTES, max(_SMALL, _MAX_RATIO * path.stat().st_size))
        self._room = shutil.disk_usage(folder).free - _MARGIN
        self._members = self.files = self.bytes = 0

    def member(self, name: str) -> None:
        """Count a member."""
        self._members += 1
        if self._members > MAX_MEMBERS:
            raise DataError(f"{self._path}: an archive has at most {MAX_MEMBERS} members. Received: more, {name!r}")

    def copy(self, file: BinaryIO, out: BinaryIO, size: int, name: str) -> None:
        """Write a file of a stated size."""
        self._require(size, name)
        done = 0
        while chunk := file.read(min(_CHUNK, size - done + 1)):
            done += len(chunk)
            if done > size:
                break
            out.write(chunk)
        if done != size:
            raise DataError(f"{self._path}: {name!r} has {size} bytes. Received: {'more' if done > size else done}")
        self.files += 1
        self.bytes += size

    def _require(self, size: int, name: str) -> None:
        total = self.bytes + size
        if total > self._most:
            raise DataError(f"{self._path}: grows beyond {self._most} bytes at {name!r}; refused")
        if total > self._room:
            raise DataError(f"{self._path}: no room to unpack {name!r}. Received: {self._room} bytes to spare")


def _members(path: Path, folder: Path) -> Iterator[tuple[str, int, BinaryIO | None]]:
    if path.name.endswith(".zip"):
        yield from _zip_members(path)
    else:
        yield from _tar_members(path, folder)


def _tar_members(path: Path, folder: Path) -> Iterator[tuple[str, int, BinaryIO | None]]:
    with tarfile.open(path, "r|*") as archive:
        for member in archive:
            if not (member.isreg() or member.isdir()) or member.issparse():
                kind = "a link" if member.issym() or member.islnk() else "a special file"
                raise DataError(f"{path}: only files and folders are unpacked. Received: {kind}, {member.name!r}")
            if hasattr(tarfile, "data_filter") and not member.name.startswith("/"):
                try:
                    tarfile.data_filter(member, str(folder))
                except tarfile.FilterError as error:
                    raise DataError(f"{path}: refused: {error}") from error
            yield member.name, member.size, archive.extractfile(member) if member.isreg() else None
            archive.members = []


def _zip_members(path: Path) -> Iterator[tuple[str, int, BinaryIO | None]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            mode = member.external_attr >> 16
            if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise DataError(f"{path}: only files and folders are unpacked. Received: a link, {member.filename!r}")
            if member.flag_bits & 1:
                raise DataError(f"{path}: nothing encrypted is unpacked. Received: {member.filename!r}")
            yield member.filename, member.file_size, None if member.is_dir() else archive.open(member)


def _place(folder: Path, name: str, archive: str) -> Path:
    """Give where a member goes. Raises DataError if that is not below the folder."""
    parts = PurePosixPath(name).parts
    bad = not parts or name.startswith("/") or ".." in parts or "\\" in name or re.match(r"[A-Za-z]:", name)
    if bad and name not in (".", "./") or not name.isprintable() or len(name) > 1000:
        raise DataError(f"{archive}: members stay in the folder that they are unpacked to. Received: {name!r}")
    return folder.joinpath(*parts)
