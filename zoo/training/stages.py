"""Training in stages: runs one after another, each from the weights of the one before."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from pathlib import Path

from zoo.training import bundle as bundles
from zoo.training import files
from zoo.training.resolve import Resolved, resolve
from zoo.training.run import METRICS, STATE, Run

FOLDER = "stages"


def plan(settled: Resolved) -> list[tuple[str, Resolved]]:
    """Give name and configuration of every stage.

    Raises
    ------
    UsageError
        If a stage has an unknown option, or a value that does not do.
    """
    flat = {key: value for section in settled.sections().values() for key, value in section.items()}
    found = []
    for place, stage in enumerate(settled.run.stages):
        own = {"init_from": None, "reset": None} if place else {}
        given = {key: value for key, value in stage.items() if key != "name"}
        fixed = {"stages": None, "name": str(stage["name"]), "evaluate": False, "export": False}
        found.append((str(stage["name"]), resolve(settled.model, **(flat | own | given | fixed))))
    return found


def run(settled: Resolved, path: Path | None, quiet: bool) -> Run:
    """Train the stages of a run, or go on with them; the run holds what the last one gives.

    The stages are runs of their own under ``stages/`` of the run, whose history and state are the last one's.
    """
    from zoo.training import loop, start

    todo = plan(settled)
    directory, spec, splits = loop.open_data(settled)
    if path is None:
        path = start.start(settled, directory, spec, splits)
    previous = None
    for number, (name, stage) in enumerate(todo, 1):
        if not quiet:
            print(f"stage {number} of {len(todo)}: {name}", file=sys.stderr, flush=True)
        changes = {"runs": str(path)}
        if previous is not None:
            changes["init_from"] = [str(previous.path), *(stage.run.init_from or ())]
        stage = dataclasses.replace(stage, run=dataclasses.replace(stage.run, **changes))
        place = path / FOLDER / name
        if (place / STATE).is_file():
            previous = loop.run(stage, place, quiet)
            continue
        if place.exists():
            shutil.rmtree(place)
        previous = loop.run(stage, None, quiet, parent=path / FOLDER)
    bundles.save(path / "bundle", previous.bundle, previous.network)
    for name in (METRICS, STATE):
        files.write_text(path / name, (previous.path / name).read_text("utf-8"))
    return loop.finish(Run(path), len(splits["test"]), quiet)
