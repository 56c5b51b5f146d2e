"""Class-activation maps of a run's network for some objects, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

PREFIX = "a_"


def class_activations(run, examples, stage, ids) -> pd.DataFrame | None:
    """Give how much every step of the objects' grids speaks for every class, from the whole light curve.

    Parameters
    ----------
    run : zoo.training.run.Run
        Its network states the map by ``class_activation(inputs)``, (batch, length, output), and the grid that it
        reads by ``grid(inputs)``, (batch, step, band); steps behind the grid's are other inputs.
    examples : zoo.inputs.data.Examples
    stage : zoo.inputs.stage.Stage
    ids : sequence of str
        Objects, all among the examples.

    Returns
    -------
    DataFrame or None
        One row a step: ``object_id``, ``step``, ``flux_<band>`` (NaN behind the grid, and without one) and
        ``a_<class>``. None if the network has no such map, or its outputs are not the classes.
    """
    import pandas as pd

    from zoo.inputs import pipeline

    network, spec = run.network, run.bundle.spec
    if not hasattr(network, "class_activation") or tuple(network.info.outputs) != tuple(spec.classes) or not len(ids):
        return None
    place = {object_id: number for number, object_id in enumerate(examples.ids())}
    wanted = np.zeros(len(examples), bool)
    wanted[[place[object_id] for object_id in ids]] = True
    chosen = examples.keep(wanted)
    dataset, _ = pipeline.evaluation(chosen, stage, len(chosen))
    inputs, targets, _ = next(iter(dataset))
    maps, grids = np.array(network.class_activation(inputs)), np.array(network.grid(inputs))
    names, tables = chosen.ids(), {}
    for row, number in enumerate(targets["position"].numpy()):
        flux = np.full((maps.shape[1], grids.shape[2]), np.nan)
        flux[: grids.shape[1]] = grids[row]
        table = pd.DataFrame({"object_id": names[number], "step": np.arange(maps.shape[1])})
        parts = [table, pd.DataFrame(flux, columns=[f"flux_{band}" for band in spec.bands])]
        parts.append(pd.DataFrame(maps[row], columns=[PREFIX + name for name in spec.classes]))
        tables[names[number]] = pd.concat(parts, axis=1)
    return pd.concat([tables[object_id] for object_id in ids], ignore_index=True)
