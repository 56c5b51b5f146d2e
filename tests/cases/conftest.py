"""Every shared case runs over every model of the registry and its variants."""

from __future__ import annotations

import pytest

from tests.cases import variants
from tests.cases.workbench import Workbench


@pytest.fixture(scope="session")
def _benches():
    return {}


@pytest.fixture(params=variants.examples(), ids=str)
def bench(request, records, _benches) -> Workbench:
    """The workbench of one model and variant; built once a session."""
    if request.param not in _benches:
        _benches[request.param] = Workbench(request.param, records)
    return _benches[request.param]
