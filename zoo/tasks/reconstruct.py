"""Reconstruction of light curves, from all of them at once or step after step."""

from __future__ import annotations

import keras
from keras import ops

from tfrecords.errors import UsageError
from zoo.losses.reconstruction import LOSSES, reconstruction_loss, root, squared, weight_map, weighted_mean
from zoo.metrics.reconstruction import ObservedRmse
from zoo.registry import unknown
from zoo.tasks.base import Task


def object_rmse(target, prediction, observed):
    """Give the root mean squared error (batch,) over each object's observed points, 0 without any."""
    return root(weighted_mean(squared(target, prediction), ops.cast(observed, "float32")))


class Reconstruct(Task):
    """The flux of every step and band, scaled as the network states; no labels are needed.

    A network gives ``reconstruction``, ``target``, ``error``, ``observed``, ``mask``, ``time``, ``offset`` and
    ``range``, and has ``roll_out(outputs)``, see `zoo.models.transformer_autoencoder.model`.
    """

    monitor, mode, labelled = "val_rmse", "min", False
    further: tuple[str, ...] = ()
    """Losses that are not among those by name of all reconstructions."""

    def __init__(self, spec, run):
        super().__init__(spec, run)
        if run.loss not in (*LOSSES, *self.further):
            raise UsageError(unknown("loss for reconstruction", run.loss, (*LOSSES, *self.further)))
        if run.class_weights != "none":
            raise UsageError(f"a reconstruction has no classes to weigh. Received: {run.class_weights}")
        if run.calibrate != "none":
            raise UsageError(f"a reconstruction has no probabilities to calibrate. Received: {run.calibrate}")

    def prepare_network(self, network):
        network.penalised = self.run.loss == "KLD_RMSE"

    def loss(self, network, outputs, targets):
        weight = weight_map(outputs["observed"], outputs["error"]) if self.run.wgt_map else None
        return reconstruction_loss(
            self.run.loss,
            outputs["target"],
            outputs["reconstruction"],
            outputs["observed"],
            weight=weight,
            reduction=self.run.reduction,
            sample_weight=targets.get("sample_weight"),
        )

    def metrics(self, network):
        found: list = [Rmse()]
        return [*found, Kld(network.sparsity)] if self.run.loss == "KLD_RMSE" else found

    def columns(self):
        return ["rmse", "rmse_rollout", "points"]

    def _scores(self, network, outputs):
        target, seen = outputs["target"], outputs["observed"]
        rolled = network.roll_out(outputs)
        return rolled, {
            "rmse": object_rmse(target, outputs["reconstruction"], seen),
            "rmse_rollout": object_rmse(target, rolled, seen),
            "points": ops.cast(ops.sum(ops.cast(seen, "int32"), axis=(1, 2)), "float32"),
        }

    def predictions(self, network, outputs):
        return ops.stack(list(self._scores(network, outputs)[1].values()), axis=1)

    def answer(self, network, outputs):
        """Give both reconstructions (batch, step, band) in flux units at the steps' ``time``, and their errors."""
        rolled, scores = self._scores(network, outputs)
        return {
            "reconstruction": in_flux_units(outputs, outputs["reconstruction"]),
            "rollout": in_flux_units(outputs, rolled),
            "time": outputs["time"],
            "mask": outputs["mask"],
            "observed": outputs["observed"],
            **scores,
        }


def in_flux_units(outputs, values):
    """Give range · x + offset of scaled values (batch, step, band); 0 at steps under a False mask."""
    flux = values * outputs["range"][:, None, None] + outputs["offset"][:, None, None]
    return ops.where(outputs["mask"][:, :, None], flux, 0.0)


class Rmse(ObservedRmse):
    """The error under teacher forcing, updated with a task's targets and outputs."""

    def update_state(self, targets, outputs, sample_weight=None):
        super().update_state(outputs["target"], outputs["reconstruction"], outputs["observed"], sample_weight)


class Kld(keras.metrics.Mean):
    """The divergence of the penalised kernels, not weighted with alpha."""

    def __init__(self, divergence):
        super().__init__("kld")
        self.divergence = divergence

    def update_state(self, targets, outputs, sample_weight=None):
        super().update_state(self.divergence())

    def result(self):
        """Give ``kld``."""
        return {"kld": super().result()}
