"""Gzipped SNANA FITS pairs to records: against astropy's reading alone, and against a loop over objects with pandas.

    python benchmarks/conversion.py [--classes 8] [--objects 1500] [--files 1] [--rounds 3]

A synthetic set is made once in a temporary folder; in the public one a pair holds some thousand events. The sides take
turns, every measurement in a process of its own, so that imports are counted on all sides:

- floor: ``astropy.io.fits`` opens HEAD and PHOT of each pair and copies the columns that the converter uses.
- zoo: ``python -m data_tools.snana`` with 1 and 2 processes, from files to records with splits, index and ledger.
- loop: HEAD and PHOT as pandas tables, a row range, sort and dictionary of lists for each object, written as parquet.
- loop by band: the same, but each object's rows are divided by band and padded to the arrays [65, 6] of the sets that
  ATAT was published with (arXiv:2405.03078), written as HDF5.

Then the peak memory of the conversion for once and four times as many files of the same size.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FLOOR = """
import sys
from pathlib import Path
import numpy as np
from astropy.io import fits
for head in sorted(Path(sys.argv[1]).rglob("*_HEAD.FITS.gz")):
    with fits.open(head, memmap=False) as hdus:
        columns = [np.array(hdus[1].data[name]) for name in hdus[1].columns.names if not name.startswith("SIM_")]
    with fits.open(str(head).replace("HEAD", "PHOT"), memmap=False) as hdus:
        table = hdus[1].data
        columns = [np.array(table[name]) for name in ("MJD", "BAND", "PHOTFLAG", "FLUXCAL", "FLUXCALERR")]
"""

LOOP = """
import sys
from pathlib import Path
import pandas as pd
from astropy.table import Table
out = Path(sys.argv[2])
out.mkdir()
for number, head in enumerate(sorted(Path(sys.argv[1]).rglob("*_HEAD.FITS.gz"))):
    objects = Table.read(head, hdu=1).to_pandas()
    rows = Table.read(str(head).replace("HEAD", "PHOT"), hdu=1).to_pandas()
    found = []
    for _, one in objects.iterrows():
        part = rows.iloc[one["PTROBS_MIN"] - 1 : one["PTROBS_MAX"]].copy()
        part["BAND"] = part["BAND"].map(lambda band: band.decode().strip() if isinstance(band, bytes) else band.strip())
        part = part[part["PHOTFLAG"] != 1024].sort_values("MJD", kind="stable")
        columns = ("MJD", "BAND", "PHOTFLAG", "FLUXCAL", "FLUXCALERR")
        found.append(one.to_dict() | {name: part[name].to_list() for name in columns})
    pd.DataFrame(found).to_parquet(out / f"{number:05d}.parquet")
"""


BY_BAND = """
import sys
from pathlib import Path
import h5py
import numpy as np
from astropy.table import Table
out = Path(sys.argv[2])
out.mkdir()
names = ("MJD", "FLUXCAL", "FLUXCALERR", "PHOTFLAG")
for number, head in enumerate(sorted(Path(sys.argv[1]).rglob("*_HEAD.FITS.gz"))):
    objects = Table.read(head, hdu=1).to_pandas()
    rows = Table.read(str(head).replace("HEAD", "PHOT"), hdu=1).to_pandas()
    rows["BAND"] = rows["BAND"].map(lambda band: band.decode().strip() if isinstance(band, bytes) else band.strip())
    arrays = {name: np.zeros((len(objects), 65, 6), "float32") for name in names}
    for place, (_, one) in enumerate(objects.iterrows()):
        part = rows.iloc[one["PTROBS_MIN"] - 1 : one["PTROBS_MAX"]]
        for column, band in enumerate("ugrizY"):
            values = part[part["BAND"] == band]
            if len(values) > 65:
                values = values.iloc[np.floor(np.linspace(0, len(values) - 1, 65)).astype(int)]
            for name in names:
                arrays[name][place, : len(values), column] = values[name]
    with h5py.File(out / f"{number:05d}.h5", "w") as file:
        for name, array in arrays.items():
            file[name] = array
"""


def _run(arguments: list[str]) -> tuple[float, int]:
    """Run a command; seconds, and the peak memory of its largest process in bytes."""
    started = time.perf_counter()
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed with status {status}: {' '.join(arguments[:4])}")
    return time.perf_counter() - started, usage.ru_maxrss * 1024


def _sides(data: Path, place: Path, number: int) -> dict[str, list[str]]:
    def zoo(workers: int) -> list[str]:
        out = place / f"records-{number}-{workers}"
        command = [sys.executable, "-m", "data_tools.snana", str(data), "--out", str(out), "--folds", "5"]
        return [*command, "--workers", str(workers), "--quiet"]

    return {
        "floor: astropy reads": [sys.executable, "-c", FLOOR, str(data)],
        "zoo, 1 process": zoo(1),
        "zoo, 2 processes": zoo(2),
        "loop over objects with pandas": [sys.executable, "-c", LOOP, str(data), str(place / f"loop-{number}")],
        "loop over objects and bands": [sys.executable, "-c", BY_BAND, str(data), str(place / f"bands-{number}")],
    }


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classes", type=int, default=8, help="of 32, evenly chosen (%(default)s)")
    parser.add_argument("--objects", type=int, default=1500, help="of each class (%(default)s)")
    parser.add_argument("--files", type=int, default=1, help="pairs of each class (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    from data_tools.synthetic.snana_synth import synthesise
    from data_tools.synthetic.snana_synth_models import MODELS

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        data = place / "data"
        names = [model.name for model in MODELS]
        models = names[:: max(1, len(names) // options.classes)][: options.classes]
        made = synthesise(data, options.objects, options.files, models=models, workers=2)
        seconds: dict[str, list[float]] = {}
        for number in range(options.rounds):
            for name, command in _sides(data, place, number).items():
                seconds.setdefault(name, []).append(_run(command)[0])
        floor = statistics.median(seconds["floor: astropy reads"])
        print(
            f"{made.objects} objects, {made.rows} observations, {made.pairs} pairs, {made.size / 1e6:.0f} MB gzipped\n"
        )
        print("| | seconds | objects/s | MB/s (gzipped) | time over the floor's |\n|---|---:|---:|---:|---:|")
        for name, times in seconds.items():
            middle = statistics.median(times)
            rates = f"{made.objects / middle:,.0f} | {made.size / 1e6 / middle:.1f}"
            print(f"| {name} | {middle:.2f} | {rates} | {middle / floor:.2f} |")
        for loop in ("loop over objects with pandas", "loop over objects and bands"):
            for name in ("zoo, 1 process", "zoo, 2 processes"):
                ratio = statistics.median(seconds[loop]) / statistics.median(seconds[name])
                print(f"\n{loop}, over {name}: {ratio:.1f}", end="")
        print("\n\n| files | peak memory, MB |\n|---:|---:|")
        for factor in (1, 4):
            many = place / f"many-{factor}"
            synthesise(many, options.objects // 4 * factor, factor, models=("SNIa-SALT2", "EB", "AGN"), workers=2)
            out = str(place / f"out-{factor}")
            _, peak = _run([sys.executable, "-m", "data_tools.snana", str(many), "--out", out, "--quiet"])
            print(f"| {3 * factor} | {peak / 1e6:.0f} |")


if __name__ == "__main__":
    main()
