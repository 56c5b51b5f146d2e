"""Every shared case runs over every model of the registry and its variants."""

from __future__ import annotations

import pytest

from tests.cases import variants
from tests.cases.workbench import Workbench


@pytest.fixture(scope="session")
def make_bench(records):
    """Give the workbench of an example; built once a session."""
    made: dict[variants.Example, Workbench] = {}

    def make(example: variants.Example) -> Workbench:
        if example not in made:
            made[example] = Workbench(example, records)
        return made[example]

    return make


@pytest.fixture(params=variants.costly(variants.richest()), ids=str)
def bench(request, make_bench) -> Workbench:
    """The workbench of one model and variant."""
    return make_bench(request.param)
