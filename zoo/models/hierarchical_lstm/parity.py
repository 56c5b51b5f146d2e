"""Golden cases of the hierarchical LSTM: logits from the last valid row."""

from __future__ import annotations

from zoo.golden import Case
from zoo.models.hierarchical_lstm import reference
from zoo.models.oracle.parity import relative, states


def check_model(case: Case):
    """Compare a model case; None when the case is none of the LSTM.

    The public code read the last column of the batch, so that its answers depend on the other objects; those
    outputs of a case are not compared.
    """
    weights, expected = case.group("w"), case.group("y")
    if "lstm.weight_ih_l0" not in weights:
        return None
    model = reference.import_weights(weights)
    return [relative("logits", model.decide(*states(model, case)), expected["logits"])]
