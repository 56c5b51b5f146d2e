"""Golden cases of the simple RNN."""

from __future__ import annotations

from keras import ops

from zoo.golden import Case, compare
from zoo.models.simple_rnn import reference

TOLERANCE = 2e-5


def check_rnn(case: Case):
    """Compare a case of the simple RNN; None for another model."""
    if case.config.get("model") != "simple_rnn":
        return None
    model = reference.import_weights(case.group("w"), case.config)
    state = model.state(ops.convert_to_tensor(case.arrays["x/source"]), mask=None)
    ours = {"lstm": state, "probabilities": ops.softmax(model.classify(state), axis=-1)}
    expected = case.group("y")
    return [
        compare(name, ops.convert_to_numpy(value), expected[name], TOLERANCE)
        for name, value in ours.items()
        if name in expected
    ]
