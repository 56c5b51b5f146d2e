"""Stage 1 as one object: from serialized records, or padded arrays, to the tensors of a view."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrecords import batch as record_batch
from zoo.inputs import augment, build, photometry, sky, spectra, stamps, transforms
from zoo.inputs.config import InputConfig


class Prepared(NamedTuple):
    """A batch after all transforms and before the view.

    Attributes
    ----------
    curves : LightCurves
        Times in days from the model's origin.
    static : tensor (object, static), float32
        Selected columns, missing values NaN.
    features : tensor (object, feature), float32
        Computed features at the day of each object.
    feature_set : tensor (object,), int32
        Which of the feature days that is.
    reference : tensor (object,), float64
        Reference time in days from the model's origin, of the observer.
    stretch : tensor (object,), float64
        Days of the observer in one of the model's: 1, or 1 + z.
    fraction : tensor (object,), float32
        Share of an object's rows that truncation left, 0 where no row is left.
    twin : LightCurves or None
        The same rows with the noiseless flux, where a model asks for it and the records were at hand.
    alerts : Alerts or None
        Stamps, where a model reads them and the records were at hand.
    pixels : Spectra or None
        Spectra, where a model reads them.
    curve_scale : tensor (object, 2), float32, or None
        Of the view ``photometry``, see `zoo.inputs.photometry.scaled`.
    """

    curves: transforms.LightCurves
    static: tf.Tensor
    features: tf.Tensor
    feature_set: tf.Tensor
    reference: tf.Tensor
    stretch: tf.Tensor
    fraction: tf.Tensor
    twin: transforms.LightCurves | None = None
    alerts: stamps.Alerts | None = None
    pixels: spectra.Spectra | None = None
    curve_scale: tf.Tensor | None = None


@dataclasses.dataclass(frozen=True)
class Stage:
    """Stage 1 of a run.

    Attributes
    ----------
    view : str
        Name of the view.
    parts : tuple of str
        Parts that the model reads.
    config : InputConfig
    bands : int
        Number of bands of the model.
    static_size : int
        Static columns of a record.
    static_columns : tuple of int
        Which of them the model takes, in order.
    missing : tuple of tuple of float
        Sentinels of each column taken.
    derived_static : tuple of str
        Columns computed from the position, which come after these.
    position : tuple of int
        Which static columns of a record are right ascension and declination; empty where none is derived.
    feature_days : tuple of float
        Days of the computed features.
    feature_size : int
        Columns of the computed features.
    redshift : int, optional
        Which of the columns taken holds the redshift by which times are shortened.
    dust : int, optional
        Which static column of a record holds the E(B−V) by which fluxes are corrected.
    dust_missing : tuple of float
        Sentinels of that column.
    extinction : tuple of float (band,)
        Extinction in magnitudes for E(B−V) = 1.
    stamp_shape : tuple of int
        Height, width and channels of stamps.
    alert_size : int
        Columns of an alert in a record.
    alert_columns : tuple of int
        Which of them the model takes, in order.
    period : int, optional
        Which static column of a record holds the period on which light curves are folded.
    period_missing : tuple of float
        Sentinels of that column.
    hidden : tuple of {"light_curve", "static", "spectrum"}
        Parts that are withheld from the model: no rows or alerts and no computed features, all static columns
        missing, no spectrum.
    """

    view: str
    parts: tuple[str, ...]
    config: InputConfig
    bands: int
    static_size: int = 0
    static_columns: tuple[int, ...] = ()
    missing: tuple[tuple[float, ...], ...] = ()
    derived_static: tuple[str, ...] = ()
    position: tuple[int, ...] = ()
    feature_days: tuple[float, ...] = ()
    feature_size: int = 0
    redshift: int | None = None
    dust: int | None = None
    dust_missing: tuple[float, ...] = ()
    extinction: tuple[float, ...] = ()
    stamp_shape: tuple[int, ...] = ()
    alert_size: int = 0
    alert_columns: tuple[int, ...] = ()
    period: int | None = None
    period_missing: tuple[float, ...] = ()
    hidden: tuple[str, ...] = ()

    def parse(self, serialized):
        """Decode records (object,) into light curves and their static columns (object, static_size)."""
        columns = record_batch.parse(serialized, self.static_size)
        return transforms.from_columns(columns), columns["static"]

    def parse_twin(self, serialized):
        """Decode the light curves of records with their noiseless flux ``target/flux``, if the model asks for it.

        Rows are those of `parse`; one without a noiseless flux keeps its own.
        """
        if "target" not in self.parts:
            return None
        columns = record_batch.parse(serialized, 0, row_targets=["flux"])
        twin = tf.cast(columns["target/flux"], tf.float32)
        kept = tf.math.is_finite(twin) & tf.math.is_finite(columns["flux"])
        return transforms.from_columns(columns | {"flux": tf.where(kept, twin, columns["flux"])})

    def parse_stamps(self, serialized):
        """Decode the alerts of records with their stamps, if the model reads them."""
        if "stamps" not in self.parts:
            return None
        return stamps.parse(serialized, self.stamp_shape, self.alert_size)

    def parse_parts(self, serialized) -> dict:
        """Decode what a model reads of records beside light curves and tables, as `prepare` takes it."""
        pixels = spectra.parse(serialized) if "spectrum" in self.parts else None
        return {"alerts": self.parse_stamps(serialized), "pixels": pixels}

    def lengths(self, prepared: Prepared):
        """Give how many observations (object,), int64, the model sees: rows of light curves, or alerts."""
        if "stamps" in self.parts and prepared.alerts is not None:
            return stamps.lengths(prepared.alerts)
        return transforms.lengths(prepared.curves)

    def prepare(self, curves, static, features, days=None, key=None, twin=None, fraction=None,
                alerts=None, pixels=None) -> Prepared:  # fmt: skip
        """Transform a batch.

        Parameters
        ----------
        curves : LightCurves
            Times in MJD.
        static : tensor (object, static_size), float32
        features : tensor (object, day, feature), float32
            Empty where the model takes none.
        days : tensor (object,), float64, optional
            Hide what came later than so many days after the reference time; nothing when absent.
        key : tensor (2,), int64, optional
            Key of the training-only augmentation; none when absent.
        twin : LightCurves, optional
            What `parse_twin` gave.
        fraction : tensor (object,), float64, optional
            Keep the first max(1, ⌊fraction · n⌋) of an object's n rows; all at 1, and then ``days`` count.
        alerts : Alerts, optional
            What `parse_stamps` gave. Their days count from the object's first alert.
        pixels : Spectra, optional
            They are the same on every day.
        """
        config = self.config
        if "light_curve" in self.hidden:
            curves = transforms.keep(curves, tf.zeros_like(curves.row, tf.bool))
            features, twin = tf.fill(tf.shape(features), float("nan")), None
        share = None
        if alerts is not None:
            alerts, share = stamps.select(alerts, self.view, config, days, fraction, key)
            alerts = stamps.hide(alerts) if "light_curve" in self.hidden else alerts
        if pixels is not None and "spectrum" in self.hidden:
            pixels = spectra.hide(pixels)
        position = [static[:, place] for place in self.position]
        period = self._known(static, self.period, self.period_missing)
        if self.dust is not None:
            dust = self._known(static, self.dust, self.dust_missing)
            curves = transforms.deredden(curves, dust, self.extinction)
            twin = None if twin is None else transforms.deredden(twin, dust, self.extinction)
        # No transform looks at the flux: both keep the same rows.
        twin = None if twin is None else self._transformed(twin, days, key, fraction)[0]
        curves, reference, origin, days, seen = self._transformed(curves, days, key, fraction)
        static = tf.gather(static, tf.constant(self.static_columns, tf.int32), axis=1)
        if config.missing_rules:
            rules = {place: list(values) for place, values in enumerate(self.missing) if values}
            static = build.static_values(static, rules)
        if self.derived_static:
            derived = sky.derive(self.derived_static, *position)
            static = tf.concat([static, tf.cast(derived, tf.float32)], axis=1)
        if "static" in self.hidden:
            static = tf.fill(tf.shape(static), float("nan"))
        stretch = tf.ones_like(origin)
        if self.redshift is not None:
            stretch = transforms.stretch(static[:, self.redshift])
            curves = curves._replace(time=curves.time / tf.gather(stretch, curves.row))
            twin = None if twin is None else twin._replace(time=curves.time)
        features, feature_set = self._features_at(features, days, curves.count)
        seen = seen if share is None else share
        scale = None
        if self.view == "photometry":
            # Of the observer's time: a period is observed.
            curves = curves._replace(time=curves.time * tf.gather(stretch, curves.row) + tf.gather(origin, curves.row))
            curves, scale = photometry.prepare(curves, config, period, key)
        return Prepared(
            curves, static, features, feature_set, reference - origin, stretch, seen, twin, alerts, pixels, scale
        )

    @staticmethod
    def _known(static, column, missing):
        """Give a static column (object,) with its sentinels as NaN, if there is one."""
        return None if column is None else build.static_values(static, {column: list(missing)})[:, column]

    def _transformed(self, curves, days, key, fraction):
        config = self.config
        curves, reference, origin = transforms.select(curves, config, self.bands)
        whole = transforms.lengths(curves)
        if fraction is not None:
            curves = transforms.share_of_rows(curves, fraction)
            # As under truncation in training; whole light curves have the features of whole light curves.
            days = tf.fill([curves.count], tf.constant(np.inf, tf.float64)) if days is None else days
            days = tf.where(fraction < 1, transforms.last_day(curves, reference), days)
        if key is not None and config.truncate == "fraction":
            curves = augment.keep_fraction(curves, key)
            # Computed features must not know more than the rows that are left.
            days = transforms.last_day(curves, reference)
        elif key is not None and config.truncate != "none":
            days = augment.truncation_days(config, curves.count, key)
        if days is not None:
            curves = transforms.until_day(curves, reference, days)
        seen = tf.math.divide_no_nan(tf.cast(transforms.lengths(curves), tf.float32), tf.cast(whole, tf.float32))
        if key is not None and config.crop_share > 0:
            curves = augment.crop(curves, reference, config.crop_share, key + 3)
        if key is not None and config.drop_fraction > 0:
            curves = augment.drop_observations(curves, config.drop_fraction, key + 1)
        return transforms.relative_time(curves, origin), reference, origin, days, seen

    def _features_at(self, features, days, count):
        table = tf.constant(self.feature_days or (0.0,), tf.float64)
        if days is None:
            days = tf.fill([count], tf.constant(np.inf, tf.float64))
        place = tf.reduce_sum(tf.cast(table[None, :] <= days[:, None], tf.int32), axis=1) - 1
        known, place = place >= 0, tf.maximum(place, 0)
        if "features" in self.parts:
            features = tf.gather(features, place, axis=1, batch_dims=1)
            # Before the first day of the group nothing is known yet.
            features = tf.where(known[:, None], features, float("nan"))
        else:
            features = tf.zeros([count, 0])
        return features, place

    def tensors(self, prepared: Prepared, objects=None) -> dict:
        """Give the tensors of the view for some objects (int64, in their order) or for all."""
        if objects is not None:
            prepared = _of(prepared, objects)
        inputs = {}
        if "light_curve" in self.parts:
            inputs |= build.build(self.view, prepared.curves, self.bands, self.config, prepared.curve_scale)
        if prepared.alerts is not None:
            inputs |= stamps.build(self.view, prepared.alerts, self.stamp_shape, self.alert_columns)
        if prepared.pixels is not None:
            inputs |= spectra.build(prepared.pixels, self.config)
        if "target" in self.parts:
            # Where there is none, as in an exported model, the light curve stands for itself.
            twin = prepared.curves if prepared.twin is None else prepared.twin
            inputs["target_flux"] = build.build(self.view, twin, self.bands, self.config)["flux"]
        if "static" in self.parts:
            width = len(self.static_columns) + len(self.derived_static)
            inputs["static"] = tf.ensure_shape(prepared.static, [None, width])
        if "features" in self.parts:
            features = tf.ensure_shape(prepared.features, [None, self.feature_size])
            inputs |= {"features": features, "feature_set": prepared.feature_set}
        return inputs

    def targets(self, prepared: Prepared, inputs: dict, objects) -> dict:
        """Give what a task may ask of the tensors of some objects (int64) beside their labels.

        Returns
        -------
        dict of str to tensor
            ``fraction`` (object,), float32, see `Prepared`. Where the view has steps, ``days`` (object, step),
            float32: the observer's days of every step from the reference time, NaN under a False mask.
        """
        found = {"fraction": tf.gather(prepared.fraction, objects)}
        if self.view != "grid":
            return found
        stretch, reference = (tf.cast(tf.gather(values, objects), tf.float32)[:, None]
                              for values in (prepared.stretch, prepared.reference))  # fmt: skip
        return found | {"days": tf.where(inputs["mask"], inputs["time"] * stretch - reference, float("nan"))}


def _of(prepared: Prepared, objects) -> Prepared:
    rows = transforms.gather
    gathers = {"curves": rows, "twin": rows, "alerts": stamps.gather, "pixels": spectra.gather}
    return Prepared(
        **{
            name: None if values is None else gathers.get(name, tf.gather)(values, objects)
            for name, values in prepared._asdict().items()
        }
    )
