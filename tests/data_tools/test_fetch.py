"""Fetching from a server on this machine: what was cut goes on, what is wrong is refused, nothing goes astray."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from data_tools import fetch
from data_tools.remote import download as download_module
from data_tools.remote import unpack
from data_tools.remote.download import Remote, download
from tfrecords.errors import DataError, UsageError

CONTENT = bytes(range(256)) * 4000
MD5 = ("md5", hashlib.md5(CONTENT).hexdigest())


class _Handler(BaseHTTPRequestHandler):
    """Serves CONTENT; the path says what is wrong with the answer, the server counts and remembers the requests."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        server = self.server
        server.requests.append((self.path, self.headers.get("Range")))
        number = sum(path == self.path for path, _ in server.requests)
        kind = self.path.split("/")[1]
        content, start, tag = server.content, 0, '"one"'
        if kind == "changed" and number > 1:
            content, tag = content[::-1], '"two"'
        if kind in ("file", "ftp", "plain", "loop"):
            place = {"file": "file:///etc/passwd", "ftp": "ftp://localhost/x", "plain": "/whole/x", "loop": self.path}
            self.send_response(302)
            self.send_header("Location", place[kind])
            self.end_headers()
            return
        if kind == "busy" and number < 3 or kind in ("down", "missing", "login"):
            self.send_error({"missing": 404, "login": 403}.get(kind, 503))
            return
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if match and kind != "norange" and self.headers.get("If-Range", tag) == tag:
            start = int(match[1])
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            wrong = 7 if kind == "shifted" else start
            self.send_header("Content-Range", f"bytes {wrong}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("Content-Type", "text/html" if kind == "page" else "application/gzip")
        if kind != "untagged":
            self.send_header("ETag", tag)
        self.end_headers()
        cut = kind in ("cut", "changed", "shifted", "untagged", "norange") and number == 1
        self.wfile.write(content[start : len(content) // 3] if cut else content[start:])


@pytest.fixture(name="server")
def server_fixture():
    """A server on a free port of this machine; `requests` holds what it was asked."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.requests, server.content = [], CONTENT
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def _get(server, kind, folder, **options):
    waits: list[float] = []
    remote = Remote("x.bin", f"{server.url}/{kind}/x.bin", **options)
    path, new = download(remote, folder, retries=2, timeout=5, sleep=waits.append)
    assert path.read_bytes() == (CONTENT[::-1] if kind == "changed" else CONTENT) and new
    assert [each.name for each in folder.iterdir()] == ["x.bin"]
    return waits, [asked for _, asked in server.requests]


@pytest.mark.parametrize(
    ("kind", "ranges"),
    [
        ("whole", [None]),
        ("plain", [None, None]),
        ("cut", [None, "bytes=341333-"]),
        ("norange", [None, "bytes=341333-"]),
        ("changed", [None, "bytes=341333-"]),
        ("untagged", [None, None]),
        ("shifted", [None, "bytes=341333-", None]),
        ("busy", [None, None, None]),
    ],
)
def test_a_file_arrives_whole(server, tmp_path, kind, ranges):
    _, asked = _get(server, kind, tmp_path)
    assert asked == ranges


def test_a_checksum_makes_parts_without_a_version_usable(server, tmp_path):
    assert _get(server, "untagged", tmp_path, checksum=MD5)[1] == [None, "bytes=341333-"]


def test_a_part_of_an_earlier_call_is_kept(server, tmp_path):
    with pytest.raises(DataError, match="503; given up after 1 attempts.*Received: 0 bytes"):
        download(Remote("x.bin", f"{server.url}/down/x.bin"), tmp_path, retries=0, sleep=lambda _: None)
    broken = Remote("x.bin", f"{server.url}/cut/x.bin")
    with pytest.raises(DataError, match="341333 bytes, which the next call goes on from"):
        download(broken, tmp_path, retries=-1, sleep=lambda _: None)
    assert (tmp_path / "x.bin.part").stat().st_size == 341333
    download(broken, tmp_path)
    assert server.requests[-1][1] == "bytes=341333-" and (tmp_path / "x.bin").read_bytes() == CONTENT
    assert download(broken, tmp_path) == (tmp_path / "x.bin", False)
    with pytest.raises(DataError, match="already there, but its size is 5 bytes. Received: 1024000"):
        download(Remote("x.bin", broken.url, 5), tmp_path)


def test_everything_had_arrived_before_the_last_call_ended(server, tmp_path):
    (tmp_path / "x.bin.part").write_bytes(CONTENT)
    url = f"{server.url}/whole/x.bin"
    (tmp_path / "x.bin.part.json").write_text(f'{{"url": "{url}", "validator": "\\"one\\"", "total": {len(CONTENT)}}}')
    assert download(Remote("x.bin", url), tmp_path)[1]
    assert server.requests == [("/whole/x.bin", f"bytes={len(CONTENT)}-")]


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("whole", {"checksum": ("md5", "0" * 32)}, "its md5 is 0000.*Received: " + MD5[1]),
        ("whole", {"bytes": 5}, "the file has 5 bytes. Received: 1024000 by the server"),
        ("file", {}, "http addresses only. Received: file:///etc/passwd"),
        ("ftp", {}, "http addresses only. Received: ftp://localhost/x"),
        ("loop", {}, "the server refuses. Received: 302"),
        ("missing", {}, "the server refuses. Received: 404"),
        ("login", {}, "a login is needed.*403"),
        ("page", {}, "a web page instead of the file"),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_stays(server, tmp_path, kind, options, message):
    with pytest.raises(DataError, match=message):
        download(Remote("x.bin", f"{server.url}/{kind}/x.bin", **options), tmp_path, sleep=lambda _: None)
    assert list(tmp_path.iterdir()) == []


def test_an_address_of_https_is_not_followed_to_a_plain_one(tmp_path):
    import urllib.request

    request = urllib.request.Request("https://localhost/x")
    with pytest.raises(DataError, match="https addresses only"):
        download_module._Redirects().redirect_request(request, None, 302, "", {}, "http://localhost/x")
    for url in ("file:///etc/passwd", "ftp://localhost/x", "data:,x"):
        with pytest.raises(UsageError, match="by https or http"):
            download(Remote("x", url), tmp_path)


def test_a_full_disk_is_noticed_before(server, tmp_path, monkeypatch):
    class Usage:
        free = 1 << 20

    monkeypatch.setattr(download_module.shutil, "disk_usage", lambda _: Usage)
    with pytest.raises(DataError, match="no room for x.bin: 1024000 bytes more.*1048576 bytes free"):
        download(Remote("x.bin", f"{server.url}/whole/x.bin"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_command(server, tmp_path, capsys):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:bz2") as file:
        for name, size in (("./a/b.txt", 3), ("c", 0)):
            info = tarfile.TarInfo(name)
            info.size = size
            file.addfile(info, io.BytesIO(b"abc"))
    server.content = archive.getvalue()
    entry = {"name": "toy", "title": "A toy", "home": "nowhere", "citation": "nobody"}
    files = [{"name": "toy.tar.bz2", "url": f"{server.url}/cut/x"}, {"name": "y", "url": f"{server.url}/missing/y"}]
    login = {**entry, "name": "closed", "instructions": "Ask for it."}
    catalogue = tmp_path / "list.yaml"
    catalogue.write_text(yaml.safe_dump({"sets": [{**entry, "files": files}, login]}))
    common = ["--catalogue", str(catalogue), "--quiet"]
    out = tmp_path / "out"
    assert fetch.main(["toy", "--out", str(out), "--extract", *common]) == 1
    assert (out / "toy" / "a" / "b.txt").read_text() == "abc" and (out / "toy" / "c").exists()
    captured = capsys.readouterr()
    assert "2 files, 3 bytes unpacked" in captured.out and "licence: not stated; cite: nobody" in captured.out
    assert "404" in captured.err and sorted(each.name for each in out.iterdir()) == ["toy", "toy.tar.bz2"]
    with pytest.raises(DataError, match="no folder can be made there: Not a directory"):
        fetch.main(["toy", "--out", str(catalogue / "out"), *common])
    assert fetch.main(["closed", *common]) == 1
    assert "Ask for it." in capsys.readouterr().out
    assert fetch.main(["--list", "toy", *common]) == 0
    assert "size: not stated; checksum: not stated" in capsys.readouterr().out
    with pytest.raises(UsageError, match="Closest: toy.*'toi'"):
        fetch.main(["toi", *common])


def _member(name, kind=tarfile.REGTYPE, link="", size=3):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size if kind == tarfile.REGTYPE else 0
    return info


EVIL = {
    "above": _member("../evil"),
    "above, later": _member("a/../../evil"),
    "absolute": _member("/evil"),
    "symbolic link": _member("evil", tarfile.SYMTYPE, "/etc/passwd"),
    "hard link": _member("evil", tarfile.LNKTYPE, "good"),
    "device": _member("evil", tarfile.CHRTYPE),
    "pipe": _member("evil", tarfile.FIFOTYPE),
    "twice": _member("good"),
    "below a file": _member("good/evil"),
    "control characters": _member("e\x1bvil"),
    "drive": _member("C:evil"),
    "backslash": _member("..\\evil"),
}


@pytest.mark.parametrize("case", EVIL)
def test_members_that_would_go_astray_are_refused(tmp_path, case):
    path = tmp_path / "x.tar.gz"
    with tarfile.open(path, "w:gz") as file:
        file.addfile(_member("good"), io.BytesIO(b"abc"))
        file.addfile(EVIL[case], io.BytesIO(b"abc"))
    with pytest.raises(DataError):
        unpack.unpack(path, tmp_path / "x")
    assert [each.name for each in tmp_path.iterdir()] == ["x.tar.gz"]


def test_bombs_cut_archives_and_zips(tmp_path, monkeypatch):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/b", b"\0" * 3_000_000)
    assert unpack.unpack(path, tmp_path / "whole") == (1, 3_000_000)
    monkeypatch.setattr(unpack, "_SMALL", 1 << 20)
    with pytest.raises(DataError, match="grows beyond"):
        unpack.unpack(path, tmp_path / "bomb")
    monkeypatch.setattr(unpack, "MAX_MEMBERS", 0)
    with pytest.raises(DataError, match="at most 0 members"):
        unpack.unpack(path, tmp_path / "many")
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("../evil", b"x")
    monkeypatch.undo()
    with pytest.raises(DataError, match="stay in the folder"):
        unpack.unpack(path, tmp_path / "evil")
    path.write_bytes(b"PK\3\4" + b"\0" * 100)
    with pytest.raises(DataError, match="damaged"):
        unpack.unpack(path, tmp_path / "none")
    with tarfile.open(path := tmp_path / "x.tar.gz", "w:gz") as file:
        file.addfile(_member("a", size=100_000), io.BytesIO(CONTENT))
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DataError, match="damaged or cut short"):
        unpack.unpack(path, tmp_path / "cut")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["whole", "x.tar.gz", "x.zip"]


def test_the_list_is_whole():
    sets = fetch.load_sets()
    assert {"elasticc", "elasticc2", "plasticc_train", "asas", "astrom3", "atat_partitions"} <= set(sets)
    assert all(file.url.startswith("https://") for entry in sets.values() for file in entry.files)
    assert len(sets["plasticc_test"].files) == 12
    assert "kaggle competitions download" in sets["plasticc_kaggle"].instructions


def test_a_wrong_list_is_named_by_its_key(tmp_path):
    path = tmp_path / "list.yaml"
    path.write_text("sets: [{name: a, files: [{name: ../a, url: https://x/y}]}]")
    with pytest.raises(UsageError, match=r"'sets\[0\].files\[0\].name' is the name of a file without folders"):
        fetch.load_sets(path)
