"""List the models of the zoo: ``python -m zoo.list``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from tfrecords import command
from zoo import registry


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m zoo.list",
        description="List models by name with task, view and paper, and the presets of their families.",
    )
    parser.add_argument("pattern", nargs="?", default="*", help="shell pattern, for instance 'atat*'")
    parser.add_argument("--presets", action="store_true", help="list the presets of each model as well")
    parser.add_argument("--json", action="store_true", help="machine-readable")
    command.add_common_flags(parser)
    options = parser.parse_args(argv)
    import hparams

    rows = []
    for name in registry.list_models(options.pattern):
        entry = registry.get(name)
        presets = {
            key: {item: values[item] for item in ("summary", "paper") if item in values}
            for key, values in hparams.presets(entry.family).items()
            if name in (hparams.models(entry.family, key) or [name])
        }
        row = {"name": name, "task": entry.task, "view": entry.view, "summary": entry.summary}
        rows.append(row | {"paper": entry.paper, "presets": presets})
    if options.json:
        print(json.dumps(rows, indent=1))
        return 0
    for row in rows:
        print(f"{row['name']:20s} {row['task']:12s} {row['view']:16s} {row['summary']} [{row['paper']}]")
        for key, values in row["presets"].items() if options.presets else ():
            paper = f" ({values['paper']})" if "paper" in values else ""
            print(f"    {key:32s} {values.get('summary', '')}{paper}")
    if not rows:
        print(f"no model matches {options.pattern!r}; python -m zoo.list shows all")
        return 1
    return 0


if __name__ == "__main__":
    command.run(main)
