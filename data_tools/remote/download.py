"""One file by HTTP: resumed where it was cut, checked, and named as it shall be only when it is whole.

What has arrived lies in ``NAME.part``; ``NAME.part.json`` tells of which version of the file it is a part.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import re
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfrecords.errors import DataError, UsageError

_CHUNK = 1 << 20
_MARGIN = 64 << 20
_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
_MAX_PAUSE = 120.0
_RETRIED = (408, 425, 429, 500, 502, 503, 504)
_AGENT = "timedomain-zoo (python -m data_tools.fetch)"

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Remote:
    """A file to fetch.

    Attributes
    ----------
    name : str
    url : str
    bytes : int or None
        Its exact size, if known.
    checksum : (str, str) or None
        Name of the hash (md5, sha256) and hexadecimal digits, if published.
    """

    name: str
    url: str
    bytes: int | None = None
    checksum: tuple[str, str] | None = None


class _Again(Exception):
    """The transfer broke off in a way that may pass."""

    def __init__(self, reason: str, pause: float | None = None) -> None:
        super().__init__(reason)
        self.pause = pause


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirections by HTTP only, and never from an encrypted address to a plain one."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        old, new = urllib.parse.urlsplit(req.full_url).scheme, urllib.parse.urlsplit(newurl).scheme
        if new not in ("http", "https") or (old == "https" and new != "https"):
            raise DataError(f"{req.full_url}: redirects are followed to {old} addresses only. Received: {newurl}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)

    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Mapping[str, str]) -> Any:
        # The library's own check comes before redirect_request and would say less.
        place = headers.get("location") or headers.get("uri") or ""
        if urllib.parse.urlsplit(place).scheme not in ("", "http", "https"):
            raise DataError(f"{req.full_url}: redirects are followed to http addresses only. Received: {place}")
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _opener() -> urllib.request.OpenerDirector:
    # Built by hand: without handlers of file, ftp and data addresses there is nothing that could open them.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def download(
    remote: Remote,
    folder: Path,
    *,
    retries: int = 5,
    timeout: float = 60.0,
    progress: Progress | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[Path, bool]:
    """Fetch a file into a folder, unless it is there already.

    Parameters
    ----------
    remote : Remote
    folder : pathlib.Path
    retries : int
        Times to go on after a transfer broke off without having brought anything new.
    timeout : float
        Seconds without an answer or data after which a transfer counts as broken off.
    progress : callable, optional
        Is told how many bytes there are, and how many there will be (None: unknown).
    sleep : callable
        Waits between attempts.

    Returns
    -------
    (pathlib.Path, bool)
        The file, and whether it was fetched now.

    Raises
    ------
    UsageError
        If the address is none of HTTP.
    DataError
        If the server refuses, the file has another size or checksum, or there is no room for it. What has arrived of
        a file that was cut stays for the next time.
    """
    if urllib.parse.urlsplit(remote.url).scheme not in ("http", "https"):
        raise UsageError(f"{remote.name}: files are fetched by https or http. Received: {remote.url}")
    target = folder / remote.name
    if target.exists():
        _check(remote, target, "already there, but ")
        return target, False
    transfer = _Transfer(remote, folder, timeout, progress)
    attempt, before = 0, transfer.size
    while True:
        try:
            transfer.run()
            break
        except _Again as error:
            attempt = 0 if transfer.size > before else attempt + 1
            before = transfer.size
            if attempt > retries:
                raise DataError(
                    f"{remote.url}: {error}; given up after {retries + 1} attempts. "
                    f"Received: {transfer.size} bytes, which the next call goes on from"
                ) from error
            sleep(min(error.pause if error.pause is not None else _PAUSES[min(attempt, 5)], _MAX_PAUSE))
    try:
        _check(remote, transfer.part, "")
    except DataError:
        transfer.discard()
        raise
    os.replace(transfer.part, target)
    transfer.meta.unlink(missing_ok=True)
    return target, True


def _check(remote: Remote, path: Path, state: str) -> None:
    size = path.stat().st_size
    if remote.bytes is not None and size != remote.bytes:
        raise DataError(f"{path}: {state}its size is {remote.bytes} bytes. Received: {size}")
    if remote.checksum is not None:
        kind, expected = remote.checksum
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, kind).hexdigest()
        if found != expected:
            raise DataError(f"{path}: {state}its {kind} is {expected}. Received: {found}")


class _Transfer:
    """A file that arrives in one or several attempts."""

    def __init__(self, remote: Remote, folder: Path, timeout: float, progress: Progress | None) -> None:
        self.part, self.meta = folder / f"{remote.name}.part", folder / f"{remote.name}.part.json"
        self._remote, self._timeout = remote, timeout
        self._progress = progress or (lambda done, total: None)
        self._opener = _opener()

    @property
    def size(self) -> int:
        """How much has arrived."""
        return self.part.stat().st_size if self.part.exists() else 0

    def discard(self) -> None:
        """Forget what has arrived."""
        self.part.unlink(missing_ok=True)
        self.meta.unlink(missing_ok=True)

    def run(self) -> None:
        """Fetch what is missing. Raises _Again if the transfer breaks off, DataError if it is no use to go on."""
        start, known = self._resumable()
        headers = {"User-Agent": _AGENT, "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
            if known.get("validator"):
                headers["If-Range"] = known["validator"]
        request = urllib.request.Request(self._remote.url, headers=headers)
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                self._take(response, start, known)
        except urllib.error.HTTPError as error:
            with error:
                self._refused(error, start, known)
        except urllib.error.URLError as error:
            raise _Again(f"no connection: {error.reason}") from error
        except (TimeoutError, ConnectionError, http.client.HTTPException) as error:
            raise _Again(f"the transfer broke off: {error or type(error).__name__}") from error

    def _resumable(self) -> tuple[int, dict[str, Any]]:
        """Give how many bytes can be kept, and what is known of the file they belong to."""
        known: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            known = json.loads(self.meta.read_text())
        fits = isinstance(known, dict) and known.get("url") == self._remote.url
        # Without a validator only a checksum can tell that both halves are of one version.
        if not fits or not isinstance(known.get("validator"), str) and not self._remote.checksum:
            return 0, {}
        return self.size, known

    def _take(self, response: Any, start: int, known: dict[str, Any]) -> None:
        headers = response.headers
        length = headers.get("Content-Length", "")
        remaining = int(length) if re.fullmatch(r"\d{1,18}", length) else None
        if response.status == 206:
            match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", headers.get("Content-Range", ""))
            if match is None or int(match[1]) != start:
                self.discard()
                raise _Again(f"the server sent another part than asked for: {headers.get('Content-Range')!r}")
            total = None if match[3] == "*" else int(match[3])
            if known.get("total") not in (None, total):
                self.discard()
                raise _Again("the file has changed on the server")
        else:
            start, total = 0, remaining
        if headers.get("Content-Type", "").startswith("text/html") and not self._remote.name.endswith(("html", "htm")):
            raise DataError(f"{self._remote.url}: the server sent a web page instead of the file (a login, or moved?)")
        if headers.get("Content-Encoding", "identity") != "identity":
            encoding = headers["Content-Encoding"]
            raise DataError(f"{self._remote.url}: the server sends the file as it is. Received: encoded as {encoding}")
        expected = self._remote.bytes
        if expected is not None and total is not None and total != expected:
            raise DataError(f"{self._remote.url}: the file has {expected} bytes. Received: {total} by the server")
        total = total if total is not None else expected
        self._require_room((total - start) if total is not None else 0)
        self.meta.write_text(json.dumps({"url": self._remote.url, "validator": _validator(headers), "total": total}))
        with open(self.part, "r+b" if start else "wb") as file:
            file.seek(start)
            file.truncate()
            done = start
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                if total is not None and done > total:
                    raise DataError(f"{self._remote.url}: the file has {total} bytes. Received: more")
                self._progress(done, total)
        if total is not None and done < total:
            raise _Again(f"the transfer broke off after {done} of {total} bytes")

    def _refused(self, error: urllib.error.HTTPError, start: int, known: dict[str, Any]) -> None:
        if error.code == 416 and start:
            # Everything had arrived before, or the file has become shorter.
            if known.get("total") == start:
                return
            self.discard()
            raise _Again("the file has changed on the server")
        if error.code in _RETRIED:
            pause = error.headers.get("Retry-After", "")
            raise _Again(f"the server answers {error.code}", float(pause) if pause.isdigit() else None)
        hint = " (a login is needed)" if error.code in (401, 403) else ""
        raise DataError(f"{self._remote.url}: the server refuses{hint}. Received: {error.code} {error.reason}")

    def _require_room(self, needed: int) -> None:
        free = shutil.disk_usage(self.part.parent).free
        if needed + _MARGIN > free:
            raise DataError(
                f"{self.part.parent}: no room for {self._remote.name}: {needed} bytes more and {_MARGIN} to spare. "
                f"Received: {free} bytes free"
            )


def _validator(headers: Mapping[str, str]) -> str | None:
    """Give what names a version of the file: a strong ETag, or the time of its last change."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified")
