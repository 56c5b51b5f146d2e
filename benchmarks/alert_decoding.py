"""Alerts a second from the bytes of an Avro file to stamps and columns, against fastavro and astropy used plainly.

The plain way is what the survey's own examples do: ``fastavro.reader``, then ``gzip`` and ``astropy.io.fits`` for each
of the three cutouts. Both ways start from the same bytes in memory and are checked to give the same pixels. The
project's way does more: columns of the alert in float32, detections for the light curve, checks of sizes and values.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import io
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from data_tools.formats import avro
from data_tools.formats.avro_schema import Readers, decode
from data_tools.readers.ztf_alert import WANTS, decode_alert
from data_tools.readers.ztf_survey import CUTOUTS
from tfrecords.errors import DataError


def plain(content: bytes) -> list[np.ndarray]:
    """Decode the alerts of a file with fastavro and astropy."""
    import fastavro
    from astropy.io import fits

    alerts = []
    for alert in fastavro.reader(io.BytesIO(content)):
        images = []
        for name in CUTOUTS:
            with gzip.open(io.BytesIO(alert[name]["stampData"])) as file, fits.open(io.BytesIO(file.read())) as hdus:
                images.append(np.array(hdus[0].data, np.float32))
        if len({image.shape for image in images}) == 1:
            alerts.append(np.stack(images, axis=-1))
    return alerts


_readers = Readers(WANTS)


def ours(content: bytes) -> list[np.ndarray]:
    """Decode the alerts of a file as `data_tools.ztf` does."""
    alerts = []
    stream = io.BytesIO(content)
    header = avro.read_header(stream.read(avro.HEADER_BYTES))
    stream.seek(header.size)
    reader = _readers.of(header.schema)
    for _, count, block in avro.blocks(stream, header):
        place = 0
        for _ in range(count):
            fields, place = decode(reader, block, place)
            alert = decode_alert(fields)
            if alert.images is not None:
                alerts.append(alert.images)
    return alerts


def check(contents: Sequence[bytes]) -> int:
    """Compare the pixels of both ways, bit for bit. Returns the number of alerts of 63x63 pixels."""
    count = 0
    for content in contents:
        want = [image.tobytes() for image in plain(content) if image.shape == (63, 63, 3)]
        if [image.tobytes() for image in ours(content)] != want:
            raise DataError("both ways give the same pixels. Received: others")
        count += len(want)
    return count


def measure(way: Callable[[bytes], list], contents: Sequence[bytes]) -> float:
    """Give the processor time of one round in seconds."""
    start = time.process_time()
    for content in contents:
        way(content)
    return time.process_time() - start


def main() -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="folder of one-record Avro files, uncompressed (codec null)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--files", type=int, default=300, help="at most so many, evenly spread")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message="Found a SIMPLE card")
    contents = []
    for path in sorted(arguments.folder.rglob("*.avro")):
        content = path.read_bytes()
        with contextlib.suppress(DataError):
            # fastavro reads snappy only with another library.
            if avro.read_header(content).codec == "null":
                contents.append(content)
    contents = contents[:: max(1, len(contents) // arguments.files)][: arguments.files]
    good = check(contents)
    ways = {"fastavro + astropy": plain, "data_tools.ztf": ours}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(arguments.rounds):
        for name, way in ways.items():
            times[name].append(measure(way, contents))
    print(f"{len(contents)} files, {good} of 63x63 pixels, equal pixels; {arguments.rounds} interleaved rounds\n")
    print("| | alerts/s | ms an alert | ratio | lowest | highest |\n|---|---:|---:|---:|---:|---:|")
    first = times["fastavro + astropy"]
    for name, each in times.items():
        ratios = [one / other for one, other in zip(first, each, strict=True)]
        seconds = statistics.median(each)
        print(
            f"| {name} | {len(contents) / seconds:.0f} | {1000 * seconds / len(contents):.3f} "
            f"| {statistics.median(ratios):.1f} | {min(ratios):.1f} | {max(ratios):.1f} |"
        )


if __name__ == "__main__":
    main()
