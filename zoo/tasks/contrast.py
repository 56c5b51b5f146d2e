"""Contrast: an object's embeddings in several modalities are to be alike, and unlike those of others."""

from __future__ import annotations

from keras import ops

from tfrecords.errors import UsageError
from zoo.losses.clip import MODALITIES, PAIRS, Similarities, clip_losses, name_of
from zoo.metrics.contrast import ClipScores
from zoo.registry import unknown
from zoo.tasks.base import Task

LOSSES = ("clip",)


def similarities(network, outputs, counted=None) -> Similarities:
    """Give the similarities of a network's outputs, of objects that count where ``counted`` (batch,) is positive."""
    present = {name: outputs[f"has_{name}"] for name in MODALITIES}
    return Similarities(outputs, present, network.scales(), counted)


class Contrast(Task):
    """The contrastive loss over three pairs of modalities; no labels are needed.

    A network gives the embeddings ``photo``, ``spectra`` and ``meta`` (batch, width), of length 1 or 0 where the
    object lacks the modality, and ``has_photo``, ``has_spectra`` and ``has_meta`` (batch,), bool; and it has
    ``scales()`` by pair.
    """

    monitor, mode, labelled = "val_clip_accuracy", "max", False
    records_gradient = True

    def __init__(self, spec, run):
        super().__init__(spec, run)
        if run.loss not in LOSSES:
            raise UsageError(unknown("loss for the task contrast", run.loss, LOSSES))
        if run.class_weights != "none":
            raise UsageError(f"the contrastive loss has no classes to weigh. Received: {run.class_weights}")
        if run.calibrate != "none":
            raise UsageError(f"the contrastive loss has no probabilities to calibrate. Received: {run.calibrate}")
        if run.batch_size < 2:
            raise UsageError(f"batch_size must be at least 2: one object has no other. Received: {run.batch_size}")

    def loss(self, network, outputs, targets):
        return sum(clip_losses(similarities(network, outputs, targets.get("sample_weight"))).values())

    def metrics(self, network):
        return [_Scores(network)]

    def columns(self):
        return [f"cos_{name_of(pair)}" for pair in PAIRS] + [f"has_{name}" for name in MODALITIES]

    def _numbers(self, outputs) -> dict:
        """Give the cosines of the pairs, 0 where one is missing, and what is there, (batch,) each."""
        found = {f"cos_{name_of((one, other))}": ops.sum(outputs[one] * outputs[other], axis=1) for one, other in PAIRS}
        return found | {f"has_{name}": ops.cast(outputs[f"has_{name}"], "float32") for name in MODALITIES}

    def predictions(self, network, outputs):
        return ops.stack(list(self._numbers(outputs).values()), axis=1)

    def answer(self, network, outputs):
        """Give the embedding (batch, width) of every modality, the cosines of the pairs, and what was there."""
        return {name: outputs[name] for name in MODALITIES} | self._numbers(outputs)


class _Scores(ClipScores):
    """The scores, updated with a task's targets and outputs."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def update_state(self, targets, outputs, sample_weight=None):
        super().update_state(similarities(self.network, outputs, sample_weight))
