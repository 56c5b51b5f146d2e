"""Presets and search spaces: one YAML file a family, read by name."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from tfrecords.errors import DataError, UsageError

RESERVED = ("summary", "paper", "base", "models")
"""Keys of a preset that describe it; all others are options of a run."""


def family(name: str) -> dict[str, Any]:
    """Give the contents of a family's file: ``default``, ``presets`` and ``search``."""
    return _read(resources.files("hparams") / f"{name}.yaml", f"hparams/{name}.yaml")


def _read(file, where: str) -> dict[str, Any]:
    import yaml

    try:
        values = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"{where}: cannot be read as YAML ({error})") from None
    if not isinstance(values, dict):
        raise DataError(f"{where}: must hold keys and values. Received: {type(values).__name__}")
    return values


def presets(name: str) -> dict[str, dict[str, Any]]:
    """Give a family's presets by name."""
    return family(name)["presets"]


def preset(family_name: str, name: str | None, model: str = "") -> tuple[str, dict[str, Any]]:
    """Give the options of a preset, those of its bases included.

    Parameters
    ----------
    family_name : str
    name : str, optional
        Name of a preset, its name in the paper, or path of a YAML file of options; the default of the family, or
        of the model in it, when absent.
    model : str
        Name of the model, where the family's models have defaults of their own.

    Returns
    -------
    name : str
    options : dict
    """
    contents = family(family_name)
    table = contents["presets"]
    default = contents["default"]
    name = name or (default[model] if isinstance(default, dict) else default)
    by_paper = {values["paper"]: key for key, values in table.items() if values and "paper" in values}
    key = by_paper.get(name, name)
    if key not in table:
        if Path(name).is_file():
            return Path(name).stem, from_file(Path(name))
        raise UsageError(
            f"--preset: {family_name} has no preset of this name, and there is no such file. "
            f"Valid: {', '.join(table)}, or a YAML file. Received: {name!r}"
        )
    options: dict[str, Any] = {}
    for step in reversed(_chain(family_name, table, key)):
        options |= {k: v for k, v in (table[step] or {}).items() if k not in RESERVED}
    return key, options


def _chain(family_name: str, table: dict[str, Any], key: str) -> list[str]:
    """Give a preset, its base, the base of that and so on."""
    chain = [key]
    while (base := (table[chain[-1]] or {}).get("base")) is not None:
        if base not in table or base in chain:
            raise DataError(f"hparams/{family_name}.yaml: preset {chain[-1]!r}: bad base {base!r}")
        chain.append(base)
    return chain


def models(family_name: str, name: str) -> list[str]:
    """Give the models of a family that a preset is for, by itself or by its base; empty for all of them."""
    table = presets(family_name)
    if name not in table:
        return []
    stated = [(table[step] or {}).get("models") for step in _chain(family_name, table, name)]
    return next((list(item) for item in stated if item), [])


def from_file(path: Path) -> dict[str, Any]:
    """Read options from a YAML file: flat keys, or the sections of a run's resolved configuration."""
    if not path.is_file():
        raise UsageError(f"no such configuration file. Received: {path}")
    values = _read(path, str(path))
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if key in ("hparams", "inputs", "selection", "run") and isinstance(value, dict):
            flat |= value
        elif key not in (*RESERVED, "model", "preset", "versions", "data_fingerprint", "origin"):
            flat[key] = value
    return flat
