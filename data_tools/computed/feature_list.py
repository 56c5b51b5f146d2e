"""The list of computed light-curve features, version 1: names, order and definitions.

The columns are a contract: all features of the first band of the table, then of the second ... (`BAND`, as
``g_amplitude``), then of every pair of neighbours in the band table (`PAIR`, as ``g_r_peak_color``), then of the whole
object (`OBJECT`, as ``all_rise_time``). Another name, order or definition is another `VERSION`; the version of the
`light-curve` package stands beside it in the derived group.

Fluxes are in the data set's unit, times in days after the reference time (`tfrecords.times`), colours and ratios
without unit. NaN is a missing value: too few rows, or a division by zero. Counts are 0 where nothing was counted. An
object without a row has NaN everywhere, and what needs detections is NaN where no row says whether it is one.

Bands: `PACKAGE` is what the package computes, from fluxes, under its own names; for it, rows of one band at the same
time are one row, their mean weighted by 1 / error². The rest is computed here:

==================================  ================================================================================
``count``, ``detected_count``       rows; those flagged as detection or trigger
``minimum``, ``maximum``            of the flux
``minimum_snr``, ``maximum_snr``    of flux over error
``peak_flux``, ``peak_time``        of the row with the largest flux minus error, so that one bad row is no peak
``snr_flux``                        mean of the flux weighted by (flux / error)²
``snr_time``, ``snr_time_spread``   mean and standard deviation of the time, weighted alike
``negative_share``                  share of rows more than 3 errors below zero
``before_80_40`` ... ``after_...``  mean flux, weighted by 1 / error², in a window of days around the peak of the
                                    object (`WINDOWS`, the later end belongs to it), over the band's ``peak_flux``
==================================  ================================================================================

Pairs: a colour is asinh(f1 / 2s) - asinh(f2 / 2s) with s² the mean square error in both bands. It follows the
magnitudes where both fluxes are large and stays finite where one is negative. ``peak_color`` compares the peak fluxes,
``mean_color`` the weighted means, ``snr_color`` the ``snr_flux``, ``near_color`` and ``late_color`` the weighted
means in two windows around the object's peak (`NEAR`, `LATE`). ``peak_lag`` is the second peak time minus the first.

Objects: the peak is the row with the largest (flux - error) / error. ``longest_gap`` lies between two detections
in succession; ``detected_share`` is of the rows from first to last detection; ``rise_time`` runs from the first
detection to the peak, ``decline_time`` from there to the last detection; ``reduced_chi2`` is that of a constant in
each band; ``snr_norm`` the root of the sum of squares of flux over error; ``peak_band`` a number in the band table.

Not in the list, because gradient-boosted trees on PLAsTiCC did not gain from them: fits of Bazin's function in each
band (a third of them run away) and the best periods of a multi-band periodogram (half of the computing time).
"""

from __future__ import annotations

from collections.abc import Sequence

VERSION = "1"

PACKAGE = (
    "amplitude",
    "anderson_darling_normal",
    "beyond_1_std",
    "cusum",
    "eta",
    "eta_e",
    "excess_variance",
    "inter_percentile_range_25",
    "inter_percentile_range_10",
    "kurtosis",
    "linear_fit_slope",
    "linear_fit_slope_sigma",
    "linear_fit_reduced_chi2",
    "magnitude_percentage_ratio_40_5",
    "maximum_slope",
    "mean",
    "median",
    "median_absolute_deviation",
    "median_buffer_range_percentage_10",
    "otsu_mean_diff",
    "otsu_std_lower",
    "otsu_std_upper",
    "otsu_lower_to_all_ratio",
    "percent_amplitude",
    "chi2",
    "roms",
    "skew",
    "standard_deviation",
    "stetson_K",
    "weighted_mean",
)
OWN = (
    "count",
    "detected_count",
    "minimum",
    "maximum",
    "minimum_snr",
    "maximum_snr",
    "peak_flux",
    "peak_time",
    "snr_flux",
    "snr_time",
    "snr_time_spread",
    "negative_share",
)
# Days after the peak of the object, negative before it.
WINDOWS = ((-80, -40), (-40, -20), (-20, -10), (-10, -3), (3, 10), (10, 20), (20, 40), (40, 80), (80, 160))
NEAR, LATE = (-10, 10), (20, 60)
BAND = (
    *PACKAGE,
    *OWN,
    *(f"before_{-early}_{-late}" if early < 0 else f"after_{early}_{late}" for early, late in WINDOWS),
)
PAIR = ("peak_color", "mean_color", "snr_color", "near_color", "late_color", "peak_lag")
OBJECT = (
    "count",
    "detected_count",
    "detected_bands",
    "first_detection",
    "last_detection",
    "detected_duration",
    "longest_gap",
    "detected_share",
    "rise_time",
    "decline_time",
    "first_time",
    "last_time",
    "peak_time",
    "peak_flux",
    "peak_snr",
    "peak_band",
    "reduced_chi2",
    "snr_norm",
    "negative_share",
)
# What needs to know which rows are detections.
OF_DETECTIONS = frozenset(("detected_count", *OBJECT[1:10]))


def columns(bands: Sequence[str]) -> list[str]:
    """Give the names of the columns, in order, for a band table."""
    return [
        *(f"{band}_{name}" for band in bands for name in BAND),
        *(f"{one}_{two}_{name}" for one, two in zip(bands[:-1], bands[1:], strict=True) for name in PAIR),
        *(f"all_{name}" for name in OBJECT),
    ]
