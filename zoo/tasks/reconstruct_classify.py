"""Reconstruction and classification at once: a weighted sum of both losses."""

from __future__ import annotations

from tfrecords.errors import UsageError
from zoo.losses.classification import crossentropy
from zoo.losses.reconstruction import LOSSES, reconstruction_loss
from zoo.registry import unknown
from zoo.tasks.classify import Classify
from zoo.tasks.reconstruct import Kld, Rmse, object_rmse


class ReconstructClassify(Classify):
    """One of the run's classes an object, and the pixels of its stamps.

    The loss is α L + (1 − α) C with the loss L of the reconstruction that ``loss`` names, the cross-entropy C times
    the weight of the class, and α the network's ``reconstruction_share``. A network gives logits ``classifier``
    beside ``reconstruction``, ``target`` and ``observed``.
    """

    monitor, mode = "val_loss", "min"

    def check(self):
        if self.run.loss not in LOSSES:
            raise UsageError(unknown("loss for reconstruction", self.run.loss, LOSSES))
        if self.run.wgt_map:
            raise UsageError("wgt_map weighs with the errors of fluxes; pixels have none. Received: true")

    def prepare_network(self, network):
        network.penalised = self.run.loss == "KLD_RMSE"

    def head_loss(self, targets, logits):
        return crossentropy(targets["label"], logits, smoothing=self.run.label_smoothing)

    def loss(self, network, outputs, targets):
        share, parts = network.config.reconstruction_share, []
        if share > 0:
            found = reconstruction_loss(
                self.run.loss, outputs["target"], outputs["reconstruction"], outputs["observed"],
                reduction=self.run.reduction, sample_weight=targets.get("sample_weight"),
            )  # fmt: skip
            parts.append(share * found)
        if share < 1:
            parts.append((1.0 - share) * super().loss(network, outputs, targets))
        return sum(parts[1:], parts[0])

    def object_outputs(self, outputs):
        # Images of a whole split would fill the memory.
        return {"classifier": outputs["classifier"]}

    def metrics(self, network):
        found = [*super().metrics(network), Rmse()]
        return [*found, Kld(network.sparsity)] if self.run.loss == "KLD_RMSE" else found

    @classmethod
    def monitors(cls, run):
        return super().monitors(run) | {"macro_f1": "max", "rmse": "min"}

    def answer(self, network, outputs):
        error = object_rmse(outputs["target"], outputs["reconstruction"], outputs["observed"])
        names = ("reconstruction", "target", "observed", "latent")
        return super().answer(network, outputs) | {name: outputs[name] for name in names} | {"rmse": error}
