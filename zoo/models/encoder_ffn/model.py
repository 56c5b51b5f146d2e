"""Encoder and classifier trained end to end, with a sparsity penalty."""

from __future__ import annotations

import keras

from zoo.losses.sparsity import Sparsity
from zoo.models.ae_classifier import reference
from zoo.models.ae_classifier.model import AeClassifier


@keras.saving.register_keras_serializable(package="zoo")
class EncoderFfn(AeClassifier):
    """The graph of `AeClassifier`, with the sparsity penalty as regularizer of the encoder's first kernel."""

    def __init__(self, config, info, **kwargs):
        super().__init__(config, info, **kwargs)
        self.penalty = Sparsity(config.kld_alpha, config.kld_rho, config.kld_mode)

    def call(self, inputs, training=None):
        outputs = super().call(inputs, training=training)
        if self.config.kld_alpha:
            # Keras evaluates a regularizer outside the call, where bfloat16 does not reach the weights.
            self.encoder.first_kernel.regularizer = self.penalty
        return outputs


def import_weights(arrays, config):
    """Build the model of an original's configuration and fill it, see ``zoo.models.ae_classifier.reference``."""
    return reference.import_weights(arrays, config, "encoder_ffn")
