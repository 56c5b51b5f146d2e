"""The temporal stamp classifier: what can be set, and its entry in the registry."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from tfrecords.errors import UsageError
from zoo.models.stamp_config import StampConfig, check_turns
from zoo.registry import Entry

DYNAMIC = (
    *("fwhm", "ndethist", "ncovhist", "non_detections", "isdiffpos", "magpsf", "sigmapsf", "diffmaglim", "classtar"),
)
"""Columns of an alert that the published network takes of every alert; the others it takes once."""


@dataclasses.dataclass(frozen=True)
class TemporalStampClassifierConfig(StampConfig):
    """Hyperparameters of the temporal stamp classifier; the defaults are the published ones (Neira et al. 2024).

    Attributes
    ----------
    frames : int
        Alerts of a sequence at most; for ``conv`` the number that sequences are filled up to.
    window : int
        Height and width of the middle of a stamp that is scaled and turned, before ``crop``, pixels.
    crop : int
        Height and width that the convolutions read.
    channels : list of str, optional
        Channels of a stamp that are read, in order; all when absent.
    normalize : {"per_image", "per_sample", "per_image_-1_1", "l2", "sky", "none"}
        Scale of the pixels: see the stamp classifier.
    nan_to : float
        Value of unknown pixels, and of a constant image, after scaling.
    turns : int
        Copies of a stamp at evenly spaced angles.
    theta : float
        In training every angle is off by a random number of radians up to this, all frames of an object alike.
    images : bool
        Whether stamps enter; False leaves columns and times.
    features : bool
        Whether the columns of an alert that ``alert_columns`` names enter.
    dynamic : list of str, optional
        Those of them that are read for every alert, the others for the last one alone; when absent fwhm, ndethist,
        ncovhist, non_detections, isdiffpos, magpsf, sigmapsf, diffmaglim and classtar, as far as they are there.
    static : bool
        Whether static columns of the object enter too, for instance AllWISE colours, through their quantiles, each
        with a column that says whether it is missing.
    quantiles : int
        Stored quantiles of a static column; at most the number of training rows.
    time_scale : float
        Days between alerts that count as 1.
    kernel : int
        Size of the convolutions after the first.
    filters : int
        Width of the first two convolutions, half that of the later ones.
    units : int
        Width of every dense layer.
    dropout : float
        Rate after the dense layers but the last.
    core : {"lstm", "gru", "rnn", "conv", "tdnn", "gamma"}
        What makes a vector of the sequence: recurrent layers, a convolution over time, a time-delay network with
        windows of two, or a gamma memory.
    core_units : int
        Width of the core.
    layers : int
        Recurrent layers.
    conv_kernel : int
        Alerts that a filter of ``conv`` sees.
    taps : int
        Taps of ``gamma``.
    """

    frames: int = 5
    window: int = 45
    crop: int = 33
    channels: list[str] | None = None
    turns: int = 6
    theta: float = 0.08
    images: bool = True
    features: bool = True
    dynamic: list[str] | None = None
    static: bool = False
    quantiles: int = 1000
    time_scale: float = 1.0
    kernel: int = 5
    filters: int = 32
    units: int = 64
    dropout: float = 0.5
    core: Literal["lstm", "gru", "rnn", "conv", "tdnn", "gamma"] = "lstm"
    core_units: int = 128
    layers: int = 1
    conv_kernel: int = 2
    taps: int = 4

    def __post_init__(self):
        super().__post_init__()
        check_turns(self)
        if self.static and self.quantiles < 2:
            raise UsageError(f"quantiles must be at least 2. Received: {self.quantiles}")
        if not 0 < self.time_scale < math.inf:
            raise UsageError(f"time_scale must be a positive number of days. Received: {self.time_scale}")
        if self.core == "conv" and self.conv_kernel > self.frames:
            raise UsageError(f"conv_kernel must be at most frames, {self.frames}. Received: {self.conv_kernel}")
        if self.core == "tdnn" and self.frames < 2:
            raise UsageError(f"core tdnn needs frames of at least 2. Received: {self.frames}")
        if not (self.images or self.features):
            raise UsageError("images or features must be true. Received: neither")

    @property
    def cut(self) -> int:
        """Pixels of a side that are cut out of a stamp and scaled."""
        return self.window

    @property
    def reads(self) -> tuple[str, ...]:
        """What of an alert is read: ``images``, ``columns`` or both."""
        return tuple(name for name, there in (("images", self.images), ("columns", self.features)) if there)

    def for_rows(self, rows: int) -> TemporalStampClassifierConfig:
        """Adapt to the number of training rows: there are no more quantiles than rows."""
        return dataclasses.replace(self, quantiles=max(2, min(self.quantiles, rows)))

    def parts(self) -> tuple[str, ...]:
        """Give the input parts that are read."""
        return ("stamps", "static") if self.static else ("stamps",)


ENTRIES = [
    Entry(
        name="temporal_stamp_classifier",
        family="temporal_stamp_classifier",
        summary="Convolutions over turned stamps of some alerts, a recurrent core, columns of the alerts beside them",
        config=TemporalStampClassifierConfig,
        model="zoo.models.temporal_stamp_classifier.model:TemporalStampClassifier",
        task="classify",
        view="stamp_sequence",
        paper="Neira et al. 2024",
    )
]
