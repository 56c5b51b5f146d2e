"""Reconstruction of stamps: all pixels at once, or the evidence lower bound of a variational autoencoder."""

from __future__ import annotations

from keras import ops

from tfrecords.errors import UsageError
from zoo.tasks.reconstruct import Reconstruct, object_rmse

ELBO = "ELBO"


def stamp_scores(outputs) -> dict:
    """Give the error ``rmse`` and the number ``pixels`` of the observed pixels of every object, (batch,), float32."""
    seen = outputs["observed"]
    axes = tuple(range(1, len(seen.shape)))
    return {
        "rmse": object_rmse(outputs["target"], outputs["reconstruction"], seen),
        "pixels": ops.sum(ops.cast(seen, "float32"), axis=axes),
    }


class ReconstructStamps(Reconstruct):
    """The pixels of a stamp as the network sees them; no labels are needed.

    A network gives ``reconstruction``, ``target`` and ``observed`` (batch, ...), see `zoo.models.stamp_ae.model`, and
    ``latent``. Under the loss ``ELBO`` it gives ``elbo`` (batch,), whose negative is the loss.
    """

    further = (ELBO,)
    extra = ("latent", "gamma", "log_variance")

    def __init__(self, spec, run):
        super().__init__(spec, run)
        if run.wgt_map:
            raise UsageError("wgt_map weighs with the errors of fluxes; pixels have none. Received: true")
        if run.loss == ELBO and run.monitor is None:
            self.monitor = "val_loss"

    def loss(self, network, outputs, targets):
        if self.run.loss != ELBO:
            return super().loss(network, outputs, targets)
        if "elbo" not in outputs:
            raise UsageError(f"the loss ELBO is of variational autoencoders. Received: {type(network).__name__}")
        return -outputs["elbo"]

    def columns(self):
        return ["rmse", "pixels"]

    def predictions(self, network, outputs):
        return ops.stack(list(stamp_scores(outputs).values()), axis=1)

    def answer(self, network, outputs):
        """Give the reconstruction, what it is of, where that has a value, the code, and the error of each object."""
        names = ("reconstruction", "target", "observed", *(name for name in self.extra if name in outputs))
        return {name: outputs[name] for name in names} | stamp_scores(outputs)
