"""Write the SavedModel of a run: ``python -m zoo.export RUN``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from tfrecords import command

EPILOG = """signatures:
  serve            raw padded arrays of any length: time (MJD), flux, flux_err, band, flags, mask, static; of stamps raw
                   cutouts and columns of alerts: stamp, alert, or of sequences stamps, alerts, time (days), mask; of
                   spectra wavelength (angstrom), spectrum_flux, spectrum_ivar
  serve_examples   serialized records, as data_tools writes them
  classes          no input: names of classes, bands, static columns, channels and columns of alerts
exit code 0: written, reloaded and equal to the model; 1: failed; 2: wrong usage
"""


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m zoo.export",
        description="Write a SavedModel, reload it and check that it gives the model's numbers.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="RUN", help="run directory")
    parser.add_argument("--out", metavar="DIR", help="new directory; RUN/saved_model when absent")
    parser.add_argument("--onnx", metavar="FILE", help="write the network as ONNX too (extra 'onnx')")
    parser.add_argument("--overwrite", action="store_true", help="replace --out if it exists")
    command.add_common_flags(parser)
    options = parser.parse_args(argv)
    from zoo.training.saved_model import export

    print(export(options.run, options.out, onnx=options.onnx, overwrite=options.overwrite))
    return 0


if __name__ == "__main__":
    from zoo import quiet

    quiet.silence()
    command.run(main)
