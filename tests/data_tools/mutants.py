"""Files with seeded damage, read by every source: ``python -m tests.data_tools.mutants KIND COUNT SEED``.

A mutant is one file of a good set with bytes flipped, cut out, doubled, zeroed or digits of its header changed, or the
end missing. Reading it must end within 2 seconds and 1 GiB in records that the schema takes or in the project's own
error, and must not lose an object in silence: where fewer come out than of the good set, something says why. The
command prints one JSON line: counts, and each failure with what repeats it.
"""

from __future__ import annotations

import gzip
import json
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from data_tools.sources import source_class
from tfrecords.errors import DataError, UsageError
from tfrecords.schema import decode, encode

SECONDS = 2.0
MEMORY = 1 << 30
ROOT = Path(__file__).resolve().parent.parent


class TooSlow(BaseException):
    """A mutant took longer than it may."""


def _snana(folder: Path, suffix: str) -> None:
    from tests.data_tools.snana_writer import SnanaPair

    SnanaPair(events=5).write(folder, suffix=suffix)


def _snana_text(folder: Path) -> None:
    for number in range(3):
        rows = "".join(f"OBS: {56000 + day}.5 {'griz'[day % 4]} {day - 3.5} 1.25 4096\n" for day in range(8))
        header = f"SURVEY: X\nSNID: {700 + number}\nFILTERS: griz\nREDSHIFT_FINAL: 0.45 +- 0.02\nNOBS: 8\n"
        text = f"{header}VARLIST: MJD FLT FLUXCAL FLUXCALERR PHOTFLAG\n{rows}END:\n"
        (folder / f"{number}.DAT").write_text(text)


def _plasticc(folder: Path, kind: str) -> None:
    import pandas as pd

    for path in sorted((ROOT / "fixtures" / "plasticc_tiny").glob("*.csv.gz")):
        if kind == "parquet":
            pd.read_csv(path).to_parquet(folder / path.name.replace(".csv.gz", ".parquet"))
        elif kind == "csv":
            (folder / path.name.removesuffix(".gz")).write_bytes(gzip.decompress(path.read_bytes()))
        else:
            shutil.copy(path, folder)


def _records(folder: Path) -> None:
    from data_tools import snana

    _snana(folder / "files", ".FITS")
    snana.main([str(folder / "files"), "--out", str(folder / "out"), "--quiet"])
    shutil.rmtree(folder / "files")
    for path in (folder / "out").iterdir():
        path.rename(folder / path.name)
    (folder / "out").rmdir()


def _asas(folder: Path) -> None:
    from tests.data_tools.survey_files import asas_rows, write_asas

    write_asas(folder, {f"star{number}": ("Mira", asas_rows(number)) for number in range(4)})


def _lamost(folder: Path) -> None:
    from tests.data_tools.survey_files import write_lamost

    for number, layout in enumerate(("image", "table", "image")):
        write_lamost(folder / f"spec-{number}.fits{'.gz' if number == 2 else ''}", number, layout, OBSID=101 + number)


def _spectra(folder: Path) -> None:
    from tests.data_tools.survey_files import lnw_text

    for number in range(3):
        (folder / f"sn199{number}a.lnw").write_text(lnw_text(f"sn199{number}a"))


def _psm(folder: Path) -> None:
    from tests.data_tools.survey_files import Psm

    Psm(folder).write()


def _ztf(folder: Path, kind: str) -> None:
    from tests.data_tools.survey_files import write_tar
    from tests.data_tools.ztf_alerts_made import avro_bytes, make_alert

    alerts = [make_alert(f"ZTF18aaaaaa{'abcd'[number]}", 1000 + number, 2459000.5 + number) for number in range(4)]
    if kind == "tar":
        members = {f"{number}.avro": avro_bytes(alert, codec="deflate") for number, alert in enumerate(alerts)}
        write_tar(folder / "night.tar.gz", members)
    else:
        (folder / "a.avro").write_bytes(avro_bytes(*alerts[:2], codec=kind))
        (folder / "b.avro").write_bytes(avro_bytes(*alerts[2:], codec=kind, interval=100))


def _elasticc_alerts(folder: Path) -> None:
    from tests.data_tools.test_elasticc_alerts import alert, write

    write(folder / "a.parquet", *(alert(60000.0 + number, object_id=number) for number in range(4)))


def _table(folder: Path, kind: str) -> None:
    import io

    import pandas as pd
    import yaml

    from tests.data_tools.test_table import CURVES, MAPPING, OBJECTS

    # Without the rows of objects that only one of the two tables knows.
    curves = "".join(line for line in CURVES.splitlines(keepends=True) if not line.startswith("8"))
    (folder / "objects.csv").write_text(OBJECTS.replace("9,Mira,0.1,2,300\n", ""))
    (folder / "mapping.yaml").write_text(yaml.safe_dump(MAPPING))
    if kind == "parquet":
        pd.read_csv(io.StringIO(curves), dtype={"band": str}).to_parquet(folder / "curves.parquet")
    else:
        content = curves.encode()
        (folder / f"curves.csv{kind}").write_bytes(gzip.compress(content) if kind else content)


def _stamps(folder: Path) -> None:
    import yaml
    from astropy.io import fits

    from tests.data_tools.test_stamps import IMAGES, MAPPING, TABLE

    (folder / "alerts.csv").write_text(TABLE)
    (folder / "m.yaml").write_text(yaml.safe_dump(MAPPING))
    for number, image in enumerate(IMAGES, 10):
        hdus = [fits.PrimaryHDU(), *(fits.ImageHDU(image[..., each]) for each in range(2))]
        fits.HDUList(hdus).writeto(folder / f"{number}.fits")


def _grid(folder: Path) -> None:
    from tests.data_tools.test_grid import _arrays

    np.savez_compressed(folder / "toy.npz", **_arrays())


KINDS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "snana": ("snana", lambda folder: _snana(folder, ".FITS")),
    "snana_gz": ("snana", lambda folder: _snana(folder, ".FITS.gz")),
    "snana_text": ("snana", _snana_text),
    "plasticc_csv": ("plasticc", lambda folder: _plasticc(folder, "csv")),
    "plasticc_gz": ("plasticc", lambda folder: _plasticc(folder, "gz")),
    "plasticc_parquet": ("plasticc", lambda folder: _plasticc(folder, "parquet")),
    "records": ("records", _records),
    "asas": ("asas", _asas),
    "lamost": ("lamost", _lamost),
    "spectra": ("spectra", _spectra),
    "psm": ("psm", _psm),
    "ztf": ("ztf", lambda folder: _ztf(folder, "null")),
    "ztf_deflate": ("ztf", lambda folder: _ztf(folder, "deflate")),
    "ztf_tar": ("ztf", lambda folder: _ztf(folder, "tar")),
    "elasticc_alerts": ("elasticc_alerts", _elasticc_alerts),
    "table": ("table", lambda folder: _table(folder, "")),
    "table_gz": ("table", lambda folder: _table(folder, ".gz")),
    "table_parquet": ("table", lambda folder: _table(folder, "parquet")),
    "stamps": ("stamps", _stamps),
    "grid": ("grid", _grid),
}


def mutate(content: bytes, rng: np.random.Generator) -> bytes:
    """Damage a file's bytes."""
    data = bytearray(content)
    place = int(rng.integers(len(data))) if data else 0
    # Most of what a reader trusts stands in front.
    if rng.random() < 0.5:
        place = min(place, int(rng.integers(1, 3000)))
    length = int(rng.integers(1, 64))
    match rng.integers(9):
        case 0:
            for _ in range(int(rng.integers(1, 4))):
                data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        case 1:
            data[place] = int(rng.integers(256))
        case 2:
            del data[place:]
        case 3:
            del data[place : place + length]
        case 4:
            data[place:place] = data[place : place + length]
        case 5:
            data[place : place + length] = bytes(len(data[place : place + length]))
        case 6:
            data[place : place + length] = rng.bytes(len(data[place : place + length]))
        case 7:
            digits = [number for number, byte in enumerate(data[:20000]) if 0x30 <= byte <= 0x39]
            for number in rng.choice(digits, min(len(digits), 3)) if digits else ():
                data[number] = int(rng.integers(0x30, 0x3A))
        case _:
            digits = [number for number, byte in enumerate(data[:20000]) if 0x30 <= byte <= 0x39]
            if digits:
                number = int(rng.choice(digits))
                data[max(0, number - 8) : number + 1] = b"999999999"
    return bytes(data)


def _read(kind: str, folder: Path) -> tuple[set[str], int]:
    """Read a set: ids that came out with a record, and how many outcomes there were without one."""
    found: set[str] = set()
    without = 0
    # Arrays on a grid are named as files, everything else is found in its folder.
    paths = sorted(folder.iterdir()) if kind == "grid" else [folder]
    source = source_class(KINDS[kind][0])(paths)
    if len(source.labels()[0]) != len(source):
        raise AssertionError("the source's list of objects has another length than the source")
    for outcome in source.objects():
        if outcome.record is None:
            if not outcome.reason:
                raise AssertionError(f"object {outcome.object_id!r} has neither record nor reason")
            without += 1
        else:
            try:
                decode(encode(outcome.record))
                found.add(outcome.object_id)
            except DataError:
                # The conversion refuses it with this reason.
                without += 1
    return found, without


def run(kind: str, count: int, seed: int) -> dict:
    """Read mutants of a kind and count how they end."""
    with tempfile.TemporaryDirectory() as place:
        good = Path(place) / "good"
        good.mkdir()
        KINDS[kind][1](good)
        files = sorted(path for path in good.rglob("*") if path.is_file())
        whole, without = _read(kind, good)
        if not whole or without:
            raise AssertionError(f"the good set of {kind} gives {len(whole)} records and {without} refusals")
        _limit_memory()
        signal.signal(signal.SIGALRM, _too_slow)
        ends: Counter[str] = Counter()
        failures, slowest = [], 0.0
        for number in range(count):
            rng = np.random.default_rng([seed, number])
            path = files[int(rng.integers(len(files)))]
            content = path.read_bytes()
            changed = mutate(content, rng)
            path.write_bytes(changed)
            started = time.perf_counter()
            try:
                signal.setitimer(signal.ITIMER_REAL, SECONDS)
                found, refused = _read(kind, good)
                lost = len(found) < len(whole) and not refused
                ends["lost" if lost else "refused in part" if refused else "valid"] += 1
                if lost:
                    failures.append(f"{path.name}, seed {seed}, number {number}: lost {sorted(whole - found)}")
            except (DataError, UsageError):
                ends["error"] += 1
            except (Exception, TooSlow):
                ends["failed"] += 1
                failures.append(f"{path.name}, seed {seed}, number {number}: {traceback.format_exc(limit=-4)}")
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
                slowest = max(slowest, time.perf_counter() - started)
                path.write_bytes(content)
    return {"kind": kind, "mutants": count, "ends": dict(ends), "slowest_s": round(slowest, 2), "failures": failures}


def _limit_memory() -> None:
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))


def _too_slow(*_: object) -> None:
    raise TooSlow(f"longer than {SECONDS} s")


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
