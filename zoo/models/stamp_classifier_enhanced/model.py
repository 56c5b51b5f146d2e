"""The enhanced stamp classifier (Neira et al. 2024)."""

from __future__ import annotations

import keras

from zoo.layers.random_turns import RandomTurns
from zoo.models.stamp_classifier.model import RotationInvariant


@keras.saving.register_keras_serializable(package="zoo")
class EnhancedStampClassifier(RotationInvariant):
    """Rotations by evenly spaced angles with jitter of a wider stamp; see `RotationInvariant`."""

    def _turn(self):
        config = self.config
        return RandomTurns(config.turns, config.theta, config.crop, dtype="float32", name="turn")
