"""The enhanced stamp classifier (Neira et al. 2024)."""

from __future__ import annotations

import keras

from zoo.layers.stamp_turns import RandomTurns
from zoo.models.stamp_classifier.model import RotationInvariant


@keras.saving.register_keras_serializable(package="zoo")
class EnhancedStampClassifier(RotationInvariant):
    """Rotations by evenly spaced angles with jitter of a wider stamp; see `RotationInvariant`."""

    def __init__(self, config, info, **kwargs):
        super().__init__(config, info, **kwargs)
        self.turn = RandomTurns(config.turns, config.theta, config.crop, dtype="float32", name="turn")
