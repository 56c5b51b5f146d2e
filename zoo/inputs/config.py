"""How records become the tensors of a view: every option of stage 1."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from tfrecords.errors import UsageError


@dataclasses.dataclass(frozen=True)
class InputConfig:
    """Options of stage 1, the same in training, evaluation, prediction and the exported model.

    Attributes
    ----------
    window_before : float, optional
        Keep observations from so many days before the reference time on; all when absent. The reference
        time is the trigger if flagged, else the first detection, else the first observation.
    until_last_detection : bool
        Drop observations after the last detection or trigger, if there is one.
    drop_saturated : bool
        Drop saturated observations.
    reference : {"trigger", "detection"}
        Reference time: as above, or the first detection whatever the trigger flag, without saturated
        observations if these are dropped. Evaluation days count from it.
    detection_window : bool
        Keep observations from the one before the first detection to the last detection; none where there is
        no detection.
    require_detection : bool
        Hide all observations of an object without any detection; such objects leave training, validation and test.
    max_rows : int, optional
        Keep so many observations of an object, the first ones; all when absent.
    max_per_band : int, optional
        Thin bands with more rows evenly to so many, keeping the trigger; no limit when absent.
    time_origin : {"first", "reference"}
        Zero of the model's time: the first kept observation, or the reference time.
    rest_frame_time : str, optional
        Static column with the redshift z, one of those that the model takes: the model's time is divided by 1 + z
        where z is known and positive. Days of truncation and evaluation stay the observer's.
    truncate : {"none", "choice", "uniform", "fraction"}
        In training only, keep an object's observations until a random day after the reference time:
        one of ``truncate_days``, or log-uniform between their smallest and largest. Or keep the first
        max(1, ⌊f · n⌋) of its n observations, f uniform in [0, 1) (``fraction``).
    truncate_days : list of float
        Days of the truncation. Computed features follow: an object gets those of the last day not after
        its own.
    crop_share : float
        In training only, the share of objects that lose all observations before the reference time; 0.5 stands for
        RAPID's doubling of the training objects by such copies.
    drop_fraction : float
        In training only, the largest random share of an object's observations that is dropped.
    grid_start : float
        View ``grid``: the first step is the first kept observation, or so many days from the model's zero of time
        if that is later.
    grid_step : float
        View ``grid``: days between steps.
    grid_steps : int
        View ``grid``: most steps; what comes later is dropped.
    grid_fill : {"linear", "none"}
        View ``grid``: interpolate each band linearly between its observations (0 outside of them, and in bands
        with one observation), or put each observation into the nearest step.
    grid_clip : bool
        View ``grid``: raise negative interpolated fluxes to 0.
    missing_rules : bool
        Turn the sentinels that the data set's info declares into missing values.
    static_columns : list of str, optional
        Static columns to use, in order; by default all that carry no caution.
    derived_static : list of str
        Columns computed from the position, after the static columns: ``galactic_longitude``, ``galactic_latitude``,
        ``ecliptic_longitude``, ``ecliptic_latitude`` (degrees), ``mw_plane_flag`` (within 15 degrees of the galactic
        plane), and ``elais_s1_flag``, ``xmm_lss_flag``, ``ecdfs_flag``, ``cosmos_flag`` (within 1.75 degrees of the
        centre of that deep field).
    ra_column, dec_column : str
        Static columns with the position, ICRS degrees; the model takes them only if ``static_columns`` names them.
    deredden : str, optional
        Static column with the Milky Way's E(B-V), which the model itself need not take: fluxes and their errors are
        corrected for its extinction (Fitzpatrick 1999, R_V = 3.1, at the wavelengths of the band table), but where it
        is missing. Computed features and other derived groups are not.
    feature_group : str
        Name of the derived group of computed features.
    alert_columns : list of str, optional
        Stamps: columns of an alert to use, in order; by default all that carry no caution.
    alert : {"last", "first", "random"}
        View ``stamp``: which of an object's alerts is shown. ``random`` draws one a time in training and is the last
        one elsewhere. Evaluation days and truncation count from the object's first alert.
    max_alerts : int, optional
        View ``stamp_sequence``: keep so many alerts of an object, the first ones; all when absent.
    alert_gap : float
        Stamps: drop an alert less than so many hours after the one before it.
    stamp_augment : {"none", "rotations", "sixfold", "dihedral"}
        In training only, turn all stamps of an object the same random way: by 0, 90, 180 or 270 degrees
        (``rotations``), by one of these or a horizontal or vertical flip (``sixfold``), by one of the eight rotations
        and mirror images (``dihedral``).
    fold_period : str, optional
        View ``photometry``: static column with the period in days, which the model itself need not take; its time is
        the phase, and rows are sorted by it. Times stay where the period is missing or not positive.
    fold_zero : {"maximum", "first", "epoch"}
        Phase 0: the maximum of the sine wave of that period that the fluxes follow, the first observation, or Julian
        date 0.
    window_rows : int
        View ``photometry``: of an object with more rows show so many in succession, drawn in training and the middle
        ones elsewhere.
    spectrum_start, spectrum_step : float
        Spectra: first wavelength of the grid and its step, in angstrom.
    spectrum_points : int
        Wavelengths of the grid.
    spectrum_spread : {"mad", "std"}
        What the flux is divided by: the median absolute deviation of the points that are not 0, or the standard
        deviation.
    spectrum_error : {"ivar", "sigma"}
        The errors beside it: the inverse variance as it is, as AstroM3 takes it, or the standard deviation.
    spectrum_error_scaled : bool
        Divide these by the same number.
    """

    window_before: float | None = None
    until_last_detection: bool = False
    drop_saturated: bool = False
    reference: Literal["trigger", "detection"] = "trigger"
    detection_window: bool = False
    require_detection: bool = False
    max_rows: int | None = None
    max_per_band: int | None = None
    time_origin: Literal["first", "reference"] = "first"
    rest_frame_time: str | None = None
    truncate: Literal["none", "choice", "uniform", "fraction"] = "none"
    truncate_days: list[float] = dataclasses.field(default_factory=lambda: [8.0, 128.0, 2048.0])
    crop_share: float = 0.0
    drop_fraction: float = 0.0
    grid_start: float = -70.0
    grid_step: float = 3.0
    grid_steps: int = 50
    grid_fill: Literal["linear", "none"] = "linear"
    grid_clip: bool = False
    missing_rules: bool = True
    static_columns: list[str] | None = None
    derived_static: list[str] = dataclasses.field(default_factory=list)
    ra_column: str = "ra"
    dec_column: str = "decl"
    deredden: str | None = None
    feature_group: str = "features"
    alert_columns: list[str] | None = None
    alert: Literal["last", "first", "random"] = "last"
    max_alerts: int | None = None
    alert_gap: float = 0.0
    stamp_augment: Literal["none", "rotations", "sixfold", "dihedral"] = "none"
    fold_period: str | None = None
    fold_zero: Literal["maximum", "first", "epoch"] = "maximum"
    window_rows: int = 200
    spectrum_start: float = 3850.0
    spectrum_step: float = 2.0
    spectrum_points: int = 2575
    spectrum_spread: Literal["mad", "std"] = "mad"
    spectrum_error: Literal["ivar", "sigma"] = "ivar"
    spectrum_error_scaled: bool = True

    def __post_init__(self):
        if self.window_before is not None and not self.window_before >= 0:
            raise UsageError(f"window_before must be >= 0 days. Received: {self.window_before}")
        if self.max_per_band is not None and self.max_per_band < 2:
            raise UsageError(f"max_per_band must be at least 2. Received: {self.max_per_band}")
        for key in ("max_rows", "max_alerts", "window_rows", "spectrum_points"):
            if getattr(self, key) is not None and getattr(self, key) < 1:
                raise UsageError(f"{key} must be at least 1. Received: {getattr(self, key)}")
        if not 0 <= self.alert_gap < math.inf:
            raise UsageError(f"alert_gap must be >= 0 hours. Received: {self.alert_gap}")
        if not (self.spectrum_start > 0 and self.spectrum_step > 0):
            raise UsageError(
                "spectrum_start and spectrum_step must be positive. "
                f"Received: {self.spectrum_start}, {self.spectrum_step}"
            )
        if not self.grid_step > 0:
            raise UsageError(f"grid_step must be positive. Received: {self.grid_step}")
        if self.grid_steps < 1:
            raise UsageError(f"grid_steps must be at least 1. Received: {self.grid_steps}")
        if not 0 <= self.drop_fraction < 1:
            raise UsageError(f"drop_fraction must lie in [0, 1). Received: {self.drop_fraction}")
        if not 0 <= self.crop_share <= 1:
            raise UsageError(f"crop_share must lie in [0, 1]. Received: {self.crop_share}")
        if self.truncate != "none" and not self.truncate_days:
            raise UsageError("truncate needs at least one of truncate_days. Received: []")
        if any(not day > 0 for day in self.truncate_days):
            raise UsageError(f"truncate_days must be positive. Received: {self.truncate_days}")


_TIMES = ("time_origin", "rest_frame_time", "deredden")
_SCALES = {
    "packed": _TIMES,
    "packed_by_band": _TIMES,
    "grid": (*_TIMES, "grid_start", "grid_step", "grid_steps", "grid_fill", "grid_clip"),
    "photometry": ("deredden", "fold_period", "fold_zero", "window_rows"),
}


def scales(view: str, part: str) -> tuple[str, ...]:
    """Give the options by which the same observations become other numbers in a part of a view.

    Networks that are to share weights should agree in them; options that only choose observations are not among them.

    Parameters
    ----------
    view : str
        Name in `zoo.views`.
    part : str
        ``light_curve``, ``spectrum``, ``static`` ...
    """
    if part == "spectrum":
        names = dataclasses.fields(InputConfig)
        return tuple(field.name for field in names if field.name.startswith("spectrum_"))
    return {"light_curve": _SCALES.get(view, ()), "static": ("missing_rules",)}.get(part, ())


@dataclasses.dataclass(frozen=True)
class SelectionConfig:
    """Which objects of a data set, under which labels.

    Attributes
    ----------
    label_map : str, optional
        Name of a label map of the zoo, or path of a YAML file; every native class by itself when absent.
    classes : list of str, optional
        Keep these classes only, in this order.
    min_per_class : int
        Drop classes with fewer training objects.
    max_per_class : int, optional
        Draw at most so many training objects of a class.
    max_objects : int, optional
        Draw at most so many training objects in all, each class by its share.
    label_fraction : float
        Share of the training objects to use, drawn class by class.
    subset : {"sub50", "sub25", "sub10"}, optional
        Limited labels: of the largest classes only so many objects, by the run's seed, that about a half, a quarter
        or a tenth of all are left; small classes stay whole as long as they are below that number. sub10 is part of
        sub25, and that of sub50. Training and validation are thinned, each by itself; the test split stays whole, so
        that scores compare. ``max_per_class`` and ``label_fraction`` thin the training objects that are left.
    """

    label_map: str | None = None
    classes: list[str] | None = None
    min_per_class: int = 0
    max_per_class: int | None = None
    max_objects: int | None = None
    label_fraction: float = 1.0
    subset: Literal["sub50", "sub25", "sub10"] | None = None

    def __post_init__(self):
        if not 0 < self.label_fraction <= 1:
            raise UsageError(f"label_fraction must lie in (0, 1]. Received: {self.label_fraction}")
        for key in ("max_per_class", "max_objects"):
            if getattr(self, key) is not None and getattr(self, key) < 1:
                raise UsageError(f"{key} must be at least 1. Received: {getattr(self, key)}")
