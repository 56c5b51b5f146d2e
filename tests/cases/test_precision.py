"""Under bfloat16 the network stays near its float32 numbers, and times keep their days."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tests.cases import variants
from tests.cases.test_padding import BLIND
from tests.cases.workbench import assert_equal


@pytest.fixture(params=variants.costly(variants.one_a_kind()), ids=str)
def bench(request, make_bench):
    """The workbench of one model in one variant."""
    return make_bench(request.param)


@pytest.fixture
def half(bench):
    """The workbench's network with the same weights under mixed bfloat16."""
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        network = bench.build()
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert network.compute_dtype == "bfloat16" and network.variable_dtype == "float32"
    network.set_weights(bench.network.get_weights())
    return network


def test_bfloat16_is_near_float32_and_keeps_the_days(bench, half):
    inputs, _, _ = bench.batch()
    ours, theirs = bench.outputs(inputs, half), bench.outputs(inputs)
    assert all(value.dtype == "float32" for value in ours.values())
    spread = max(np.ptp(value) for value in theirs.values())
    assert_equal(ours, theirs, 0.1 * spread)
    if str(bench.example) not in variants.IN_FLOAT32:
        assert any((value != theirs[name]).any() for name, value in ours.items()), "nothing ran in bfloat16"
    _days_count(bench, inputs, half)


def _days_count(bench, inputs, network):
    name = next((name for name in inputs if name.endswith("time")), None)
    if name is None:
        return
    # bfloat16 knows 1224, 1232 and 1240 here, nothing between: both days would be 1232.
    moved = [inputs | {name: np.where(inputs[name] != 0, day, 0).astype("float32")} for day in (1228.5, 1235.5)]
    before, after = (bench.outputs(item, network) for item in moved)
    same = [bench.outputs(item) for item in moved]
    if all(np.allclose(value, same[1][key], rtol=0, atol=1e-5) for key, value in same[0].items()):
        # Only differences of times enter, or steps stand for them: in float32 the days do not count either.
        return
    different = {key: (value[3:] != after[key][3:]).any() for key, value in before.items() if key not in BLIND}
    assert all(different.values()), different
