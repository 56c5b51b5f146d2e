"""The configuration of a run: defaults < preset < earlier run < file < flags, every value with its origin."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hparams as preset_files
from tfrecords.errors import UsageError
from zoo import registry
from zoo.inputs.config import InputConfig, SelectionConfig
from zoo.training import copied
from zoo.training.config import RunConfig

SECTIONS = {"inputs": InputConfig, "selection": SelectionConfig, "run": RunConfig}
COMMAS = (
    "static_columns", "derived_static", "sentinels", "classes", "init_from", "reset", "freeze", "metrics",
    "truncate_days", "validation_days", "validation_fractions", "rest_fluxes", "rest_times", "dilations",
    "redshift_columns", "alert_columns", "dynamic", "channels", "convolutions", "photo_cols", "columns",
    "meta_columns", "spectra_channels",
)  # fmt: skip
"""Options that hold a list; on the command line commas do instead of YAML brackets."""

REPEATED = ("init_from", "reset", "freeze")
"""Those that may be given more than once, each time for another part."""

NUMBERS = ("truncate_days", "validation_days", "validation_fractions", "sentinels", "dilations", "convolutions")
"""Those that hold numbers."""


@dataclasses.dataclass(frozen=True)
class Resolved:
    """A run's configuration.

    Attributes
    ----------
    model, preset : str
    hparams : object
        The model's configuration dataclass.
    inputs : InputConfig
    selection : SelectionConfig
    run : RunConfig
    origin : dict of str to str
        Where each value comes from: ``default``, ``preset NAME``, ``run PATH``, ``file PATH`` or ``flag``.
    """

    model: str
    preset: str
    hparams: Any
    inputs: InputConfig
    selection: SelectionConfig
    run: RunConfig
    origin: dict[str, str]

    def sections(self) -> dict[str, Any]:
        """Give plain values by section."""
        return {key: dataclasses.asdict(getattr(self, key)) for key in ("hparams", "inputs", "selection", "run")}

    def to_yaml(self) -> str:
        """Give the configuration as YAML with the origin of each value beside it."""
        import yaml

        lines = yaml.safe_dump({"model": self.model, "preset": self.preset}).splitlines()
        for section, values in self.sections().items():
            lines.append(f"{section}:")
            for key, value in values.items():
                text = yaml.safe_dump({key: value}, default_flow_style=True, width=10**6, allow_unicode=True)
                lines.append(f"  {text.strip()[1:-1]}  # {self.origin[key]}")
        origin = yaml.safe_dump({"origin": self.origin}, sort_keys=False, allow_unicode=True, width=10**6)
        return "\n".join(lines) + "\n" + origin


def parser(model: str | None, prog: str = "python -m zoo.fit"):
    """Give the jsonargparse parser of all options of a model's run, in groups; of those of any run without a model."""
    import jsonargparse

    class Parser(jsonargparse.ArgumentParser):
        def format_help(self):
            # Flags are shown as users type them; the parser takes both forms.
            return re.sub(r"--\w+", lambda match: match[0].replace("_", "-"), super().format_help())

        def error(self, message, ex=None):
            raise UsageError(_readable(message, model))

    result = Parser(prog=prog, add_help=False, allow_abbrev=False)
    for theclass in (RunConfig, SelectionConfig, InputConfig, *_own(model)):
        result.add_class_arguments(theclass)
    return result


def _own(model: str | None) -> tuple[type, ...]:
    return () if model is None else (registry.get(model).config,)


def common(arguments) -> SimpleNamespace:
    """Settle what runs of all models have in common, from flags alone: ``inputs``, ``selection`` and ``run``.

    Raises
    ------
    UsageError
        For an unknown key, one of a model, a value of the wrong type, or one out of range.
    """
    reader = parser(None)
    parsed = reader.parse_object(_flags(reader, arguments)).as_dict()
    return SimpleNamespace(
        **{section: kind(**{field.name: parsed[field.name] for field in dataclasses.fields(kind)})
           for section, kind in SECTIONS.items()}
    )  # fmt: skip


def _readable(message: str, model: str | None) -> str:
    """Take the library's message apart: closest key for an unknown one, without its internal lines."""
    message = re.sub(r"\s+", " ", re.sub(r"\x1b\[[0-9;]*m", "", str(message))).strip()
    keys = [field.name for kind in (*SECTIONS.values(), *_own(model))
            for field in dataclasses.fields(kind)]  # fmt: skip
    unknown = re.search(r"[Uu]nrecognized arguments?: --?([\w-]+)", message)
    unknown = unknown or re.search(r"(?:Key|key|[Oo]ption) ['\"]([\w.]+)['\"] is not", message)
    if unknown:
        key = unknown[1].replace("-", "_")
        return registry.unknown("option", key, keys, f"python -m zoo.fit --model {model or 'NAME'} --help")
    wrong = re.search(r'Parser key "(\w+)": (.*?)\.? Got value: (.*)', message)
    if wrong:
        expected = re.sub(r"<class '(\w+)'>|typing\.", r"\1", wrong[2])
        return f"option {wrong[1]}: {expected}. Received: {wrong[3]}"
    return message


def normalise(arguments) -> list[str]:
    """Turn ``--batch-size`` into ``--batch_size``, and commas into lists where an option takes one."""
    result: list[str] = []
    for token in arguments:
        if re.fullmatch(r"--[\w-]+(=.*)?", token, re.DOTALL):
            name, mark, value = token.partition("=")
            name = "--" + name[2:].replace("-", "_")
            if mark:
                result += [name, value]
            else:
                result.append(name)
        else:
            result.append(token)
    for place, token in enumerate(result[:-1]):
        if token[2:] in COMMAS and not result[place + 1].startswith("["):
            items = [item.strip() for item in result[place + 1].split(",")]
            if token[2:] not in NUMBERS:
                # A class may be called 90, which YAML would take for a number.
                items = [json.dumps(item) for item in items]
            else:
                # As YAML writes infinity.
                items = [".inf" if item == "inf" else item for item in items]
            result[place + 1] = "[" + ", ".join(items) + "]"
    return _together(result)


def _together(tokens: list[str]) -> list[str]:
    """Put what is given by an option of `REPEATED` more than once into its first place."""
    result: list[str] = []
    for token in tokens:
        flag = result[-1] if result else ""
        if flag[2:] in REPEATED and flag.startswith("--") and token.startswith("[") and flag in result[:-1]:
            result.pop()
            place = result.index(flag) + 1
            items = [text[1:-1].strip() for text in (result[place], token)]
            result[place] = "[" + ", ".join(filter(None, items)) + "]"
        else:
            result.append(token)
    return result


def resolve(model: str, preset: str | None = None, config: str | None = None, arguments=None, *,
            config_from=None, **options):  # fmt: skip
    """Settle the configuration of a run.

    Parameters
    ----------
    model : str
        Name in the registry.
    preset : str, optional
        Name or file, see ``hparams.preset``; the family's default when absent.
    config : str, optional
        YAML file of options that win over the preset.
    arguments : sequence of str, optional
        Flags of the command line, which win over all.
    config_from : path, optional
        Earlier run whose values of the options in `copied.KEYS` win over the preset.
    **options
        The same as keyword arguments, from Python.

    Returns
    -------
    Resolved

    Raises
    ------
    UsageError
        For an unknown model, preset or key, a value of the wrong type, or one out of range.
    """
    entry = registry.get(model)
    reader = parser(model)
    name, from_preset = preset_files.preset(entry.family, preset, model)
    meant = preset_files.models(entry.family, name)
    if meant and model not in meant:
        raise UsageError(
            f"--preset {name} is for other models of the family. Valid: {', '.join(meant)}. Received: {model}"
        )
    layers = [(f"preset {name}", from_preset)]
    if config_from is not None:
        layers.append((copied.origin(config_from), copied.options(config_from, _keys(entry))))
    if config is not None:
        layers.append((f"file {config}", preset_files.from_file(Path(config))))
    layers.append(("flag", _flags(reader, arguments or []) | options))
    origin: dict[str, str] = {}
    values: dict[str, Any] = {}
    for where, layer in layers:
        for key in layer:
            if key not in _keys(entry):
                raise UsageError(
                    f"{where}: "
                    + registry.unknown("option", key, _keys(entry), f"python -m zoo.fit --model {model} --help")
                )
            origin[key] = where
        values |= layer
    parsed = reader.parse_object(values).as_dict()
    built = {}
    for section, kind in (*SECTIONS.items(), ("hparams", entry.config)):
        names = [field.name for field in dataclasses.fields(kind)]
        built[section] = kind(**{key: parsed[key] for key in names})
        for key in names:
            origin.setdefault(key, "default")
    return Resolved(model=model, preset=name, origin=origin, **built)


def _keys(entry) -> list[str]:
    kinds = (*SECTIONS.values(), entry.config)
    return [field.name for kind in kinds for field in dataclasses.fields(kind)]


def _flags(reader, arguments) -> dict[str, Any]:
    if not arguments:
        return {}
    return reader.parse_args(normalise(arguments), defaults=False).as_dict()
