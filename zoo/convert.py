"""Turn an original's weights into a run: ``python -m zoo.convert WEIGHTS --config JSON --model NAME --out RUN``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfrecords import command
from tfrecords.errors import DataError, UsageError
from zoo import registry

FORMATS = (".npz", ".safetensors", ".h5", ".hdf5", ".index")
SIZE_LIMIT = 4 * 2**30
"""Largest number of bytes that a weights file may unpack to."""

EPILOG = """WEIGHTS holds the arrays under the original's own names, as .npz, .safetensors, old Keras .h5, the .index
file of a TensorFlow checkpoint, or the directory of a SavedModel. Nothing is unpickled. In your own PyTorch,
a .pth becomes a file to read here by:
  state = torch.load("model.pth", map_location="cpu", weights_only=True)
  state = state.get("state_dict", state)
  safetensors.torch.save_file({k: v.contiguous() for k, v in state.items()}, "model.safetensors")
JSON holds the original's configuration keys, as in a golden case; for ORACLE and the hierarchical LSTM
{"taxonomy": "elasticc", "static": [...]}, or {} with --preset reference; for stamp_classifier {"feature_order": [...],
"feature_mean": [...], "feature_std": [...]} (columns of an alert, their statistics in training), with --survey ztf.
exit code 0: written; 1: the weights do not fit; 2: wrong usage
"""


def read_weights(path) -> dict[str, Any]:
    """Read named arrays without unpickling anything.

    Parameters
    ----------
    path : path
        ``.npz``, ``.safetensors``, ``.h5``/``.hdf5``, the ``.index`` of a TensorFlow checkpoint, or a SavedModel.

    Returns
    -------
    dict of str to numpy array
        Names with ``/`` or ``.`` as the file has them; a golden case's prefix ``w/`` is dropped. Of a checkpoint the
        names of the attributes, see `zoo.training.checkpoint_names`.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "variables" / "variables.index"
    if path.suffix not in FORMATS:
        raise UsageError(f"WEIGHTS must be one of {', '.join(FORMATS)}. Received: {path}")
    if not path.is_file():
        raise UsageError(f"no such weights file. Received: {path}")
    try:
        arrays = _READERS[path.suffix](path)
    except (DataError, UsageError):
        raise
    except Exception as error:
        raise DataError(f"{path}: cannot be read as {path.suffix} weights ({error})") from None
    total = sum(array.nbytes for array in arrays.values())
    if total > SIZE_LIMIT:
        raise DataError(f"{path}: unpacks to more than {SIZE_LIMIT} bytes. Received: {total}")
    if not arrays:
        raise DataError(f"{path}: holds no arrays. Received: an empty file")
    return arrays


def _npz(path: Path):
    import zipfile

    import numpy as np

    with zipfile.ZipFile(path) as archive:
        total = sum(item.file_size for item in archive.infolist())
    if total > SIZE_LIMIT:
        raise DataError(f"{path}: unpacks to more than {SIZE_LIMIT} bytes. Received: {total}")
    with np.load(path, allow_pickle=False) as data:
        names = data.files
        prefix = "w/" if any(name.startswith("w/") for name in names) else ""
        return {name.removeprefix(prefix): data[name] for name in names if name.startswith(prefix)}


def _safetensors(path: Path):
    from safetensors.numpy import load_file

    return load_file(path)


def _hdf5(path: Path):
    import h5py
    import numpy as np

    arrays: dict[str, Any] = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "fiu":
            arrays[name] = np.asarray(item)

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return arrays


def _checkpoint(path: Path):
    from zoo.training import checkpoint_names

    return checkpoint_names.read(str(path.with_suffix("")))


_READERS = {
    ".npz": _npz,
    ".safetensors": _safetensors,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".index": _checkpoint,
}


def convert(weights, config, model: str, out, *, preset: str | None = None, deredden: str | None = None,
            survey: str = "unknown", zero_point: float = 27.5) -> Path:  # fmt: skip
    """Build a model from an original's weights and write it as a run.

    Parameters
    ----------
    weights : path
        See `read_weights`.
    config : path or dict
        The original's configuration keys, or a JSON file of them.
    model : str
        Name in the registry; its family's importer reads the weights.
    out : path
        New run directory; ``zoo.predict`` and ``zoo.export`` take it.
    preset : str, optional
        Preset of the family with the options of stage 1, and with the names of static columns and the taxonomy if the
        configuration lacks them; ``published`` where there is one, for the options alone, when absent.
    deredden : str, optional
        Static column with E(B-V), see `zoo.inputs.config.InputConfig`; at the wavelengths that RAPID's original takes.
    survey : str
        Survey of the data that the run shall accept.
    zero_point : float
        AB magnitude of flux 1 in those data.

    Returns
    -------
    Path
        The run directory.
    """
    import dataclasses

    from zoo.inputs.config import InputConfig
    from zoo.inputs.spec import Column, DataSpec
    from zoo.taxonomies.tree import of_nodes
    from zoo.training import bundle as bundles
    from zoo.training import files

    entry = registry.get(model)
    if not entry.importer:
        raise UsageError(f"{model} has no importer of published weights. Received: {weights}")
    out = Path(out)
    if out.exists():
        raise UsageError(f"--out must be a new directory. Received: {out}")
    if not isinstance(config, dict):
        try:
            config = json.loads(Path(config).read_text("utf-8"))
        except FileNotFoundError:
            raise UsageError(f"--config: no such file. Received: {config}") from None
        except ValueError as error:
            raise DataError(f"{config}: not valid JSON ({error})") from None
    options = _inputs_of(entry, preset) | ({} if deredden is None else {"deredden": deredden})
    inputs = InputConfig(**options)
    if preset is not None:
        config = _named_by(entry, preset) | config
    network = registry.load(entry.importer)(read_weights(weights), config)
    if network.entry_name != model:
        raise UsageError(f"--model: the weights and configuration are of {network.entry_name}. Received: {model}")
    info = network.info
    if info.channels:
        inputs = dataclasses.replace(inputs, alert_columns=list(info.alert_columns))
    raw = tuple(name for name in info.static if name not in inputs.derived_static)
    position = (inputs.ra_column, inputs.dec_column) if len(raw) < len(info.static) else ()
    spec = DataSpec(
        survey=survey,
        bands=info.bands,
        zero_point=zero_point,
        static=tuple(Column(name, derived=name not in raw) for name in info.static),
        record_static=tuple(dict.fromkeys([*raw, *position, *([deredden] if deredden else [])])),
        position=position,
        dust=Column(deredden) if deredden else None,
        extinction=_extinction(info.bands) if deredden else (),
        classes=info.classes,
        native={str(place): place for place in range(len(info.classes))},
        features=info.features,
        feature_days=info.feature_days,
        feature_group=inputs.feature_group if info.features else "",
        channels=info.channels,
        stamp_size=info.stamp_size,
        alert_columns=tuple(map(Column, info.alert_columns)),
        record_alert_columns=info.alert_columns,
    )
    if info.spectrum_size:
        spec = dataclasses.replace(spec, spectrum_size=info.spectrum_size)
        inputs = dataclasses.replace(inputs, spectrum_points=info.spectrum_size)
    import hparams

    _, options = hparams.preset(entry.family, None, model)
    loss = options.get("loss", bundles.Bundle.loss)
    if info.nodes:
        spec, loss = spec.under(of_nodes(info.nodes)), "hierarchical"
    elif loss == "hierarchical":
        loss = bundles.Bundle.loss
    bundle = bundles.Bundle(model, dataclasses.asdict(network.config), inputs, spec, loss)
    bundles.save(out / "bundle", bundle, network)
    sections = {"hparams": dataclasses.asdict(network.config), "inputs": dataclasses.asdict(inputs)}
    import yaml

    text = yaml.safe_dump(
        {"model": model, "preset": "converted", **sections, "selection": {}, "run": {}}, sort_keys=False
    )
    files.write_text(out / "config.resolved.yaml", text)
    return out


def _extinction(bands) -> tuple[float, ...]:
    from zoo.inputs.extinction import WAVELENGTHS, coefficients

    lost = [band for band in bands if band not in WAVELENGTHS]
    if lost:
        raise UsageError(
            f"--deredden: no wavelength is known of these bands. Valid: {', '.join(WAVELENGTHS)}. "
            f"Received: {', '.join(lost)}"
        )
    return coefficients([WAVELENGTHS[band] for band in bands])


def _named_by(entry, preset: str) -> dict[str, Any]:
    """Give the names of static columns and the taxonomy that a preset states."""
    import hparams

    _, options = hparams.preset(entry.family, preset)
    static = [*(options.get("static_columns") or ()), *(options.get("derived_static") or ())]
    return ({"static": static} if static else {}) | {key: options[key] for key in ("taxonomy",) if options.get(key)}


def _inputs_of(entry, preset: str | None) -> dict[str, Any]:
    """Give the input options of a preset, or those under which the family's published models were trained."""
    import dataclasses

    import hparams
    from zoo.inputs.config import InputConfig

    table = hparams.presets(entry.family)
    if preset is None and "published" not in table:
        return {}
    _, options = hparams.preset(entry.family, preset or "published")
    names = {field.name for field in dataclasses.fields(InputConfig)}
    return {key: value for key, value in options.items() if key in names}


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m zoo.convert",
        description="Build a model from the weights of its published original and write it as a run.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("weights", metavar="WEIGHTS", help="arrays under the original's names")
    parser.add_argument("--config", required=True, metavar="JSON", help="the original's configuration keys")
    parser.add_argument("--model", required=True, help="name of the model in the zoo")
    parser.add_argument("--out", required=True, metavar="RUN", help="new run directory")
    parser.add_argument("--preset", help="preset with the options of the inputs (published where there is one)")
    parser.add_argument("--deredden", metavar="COLUMN", help="static column with E(B-V) by which fluxes are corrected")
    parser.add_argument("--survey", default="unknown", help="survey of the data that the run shall accept")
    parser.add_argument("--zero-point", type=float, default=27.5, help="AB magnitude of flux 1 in those data")
    command.add_common_flags(parser)
    options = parser.parse_args(argv)
    print(
        convert(
            options.weights,
            options.config,
            options.model,
            options.out,
            preset=options.preset,
            deredden=options.deredden,
            survey=options.survey,
            zero_point=options.zero_point,
        )  # fmt: skip
    )
    return 0


if __name__ == "__main__":
    from zoo import quiet

    quiet.silence()
    command.run(main)
