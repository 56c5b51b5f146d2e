"""Models by name, and what is said about names that do not exist."""

from __future__ import annotations

import dataclasses
import json

import pytest

from tfrecords.errors import UsageError
from zoo import registry
from zoo.tasks.base import TASKS
from zoo.views import STAMPS, VIEWS

INFO = registry.ModelInfo(("a", "b"), tuple("ugrizY"), ("x",))


def test_names_match_shell_patterns():
    assert "atat" in registry.list_models() and registry.list_models("at*t") == ["atat"]
    assert registry.list_models("zz*") == []


def test_unknown_names_give_the_closest_and_the_command():
    with pytest.raises(UsageError, match="Closest: atat.*python -m zoo.list.*Received: 'atatt'"):
        registry.get("atatt")
    with pytest.raises(UsageError, match="hyperparameter of atat.*Closest: layers.*Received: 'layer'"):
        registry.create("atat", INFO, layer=2)


@pytest.mark.parametrize("name", registry.list_models())
def test_every_entry_is_whole(name):
    entry = registry.get(name)
    assert entry.task in TASKS and entry.view in VIEWS | STAMPS
    assert entry.summary and entry.paper
    assert dataclasses.is_dataclass(entry.config)
    assert issubclass(registry.load(entry.model), __import__("keras").Model)
    if entry.importer:
        assert callable(registry.load(entry.importer))
    documented = "".join(kind.__doc__ or "" for kind in entry.config.__mro__)
    for field in dataclasses.fields(entry.config):
        assert field.name in documented, f"{field.name} is not documented"


@pytest.mark.parametrize("name", registry.list_models())
def test_defaults_can_be_built(name):
    features = tuple(f"f_{band}" for band in "ugrizY")
    columns = {"static": ("hostgal_photoz", "hostgal_photoz_err"), "features": features, "feature_days": (1.0,)}
    columns |= {"channels": ("science", "template", "difference"), "stamp_size": 63, "alert_columns": ("fwhm", "ra")}
    columns |= {"spectrum_size": 300}
    network = registry.create(name, dataclasses.replace(INFO, **columns))
    assert network.built and network.count_params() > 0


def test_golden_handlers_exist():
    for handlers in registry.golden_handlers().values():
        assert all(callable(registry.load(handler)) for handler in handlers)


def test_info_from_lists():
    values = dataclasses.asdict(INFO)
    assert registry.ModelInfo.from_dict(json.loads(json.dumps(values))) == INFO
