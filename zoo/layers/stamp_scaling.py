"""Stamps as networks take them: cut out, scaled, without gaps."""

from __future__ import annotations

import keras
from keras import ops

from tfrecords.errors import UsageError

NORMALIZE = ("per_image", "sky", "none")
_LARGEST = 1e12
SNR = "snr"
"""Channel that is computed: the difference over its robust standard deviation."""


def check_stamps(crop: int, channels, info) -> None:
    """Refuse a crop or channels that stamps of these data do not have.

    Parameters
    ----------
    crop : int
    channels : sequence of str
    info : ModelInfo
    """
    if crop > info.stamp_size or (info.stamp_size - crop) % 2:
        raise UsageError(
            "crop must be at most the size of the stamps and odd or even as that is, or there is no centre. "
            f"Stamps: {info.stamp_size} pixels. Received: {crop}"
        )
    there = [*info.channels, *([SNR] if "difference" in info.channels else [])]
    unknown = [name for name in channels if name not in there]
    if unknown:
        raise UsageError(f"channels must be among those of the stamps: {', '.join(there)}. Received: {unknown}")


def _sorted_middle(values, known):
    """Give the median (image, 1) of the known values of each image (image, pixel), 0 without any."""
    count = ops.sum(ops.cast(known, "int32"), axis=1, keepdims=True)
    ordered = ops.sort(ops.where(known, values, float("inf")), axis=1)
    last = ops.maximum(count - 1, 0)
    low = ops.take_along_axis(ordered, last // 2, axis=1)
    high = ops.take_along_axis(ordered, ops.minimum((last + 1) // 2, last), axis=1)
    return ops.where(count > 0, 0.5 * (ops.where(count > 0, low, 0.0) + ops.where(count > 0, high, 0.0)), 0.0)


def _flat(images, known):
    """Give images and what is known of them (image, height, width) as (image, pixel)."""
    shape = ops.shape(images)
    return tuple(ops.reshape(item, (shape[0], shape[1] * shape[2])) for item in (images, known))


def without_sky(images, known):
    """Give images less the median of their known pixels; arguments as in `robust_snr`."""
    return images - _sorted_middle(*_flat(images, known))[:, :, None]


def robust_snr(images, known):
    """Give images over 1.4826 times their median absolute deviation from the median, 0 where that is 0.

    Parameters
    ----------
    images : tensor (image, height, width), float32
        Finite.
    known : tensor (image, height, width), bool
        Pixels that count.
    """
    pixels, seen = _flat(images, known)
    spread = 1.4826 * _sorted_middle(ops.abs(pixels - _sorted_middle(pixels, seen)), seen)
    there = spread > 0
    found = ops.where(there, pixels / ops.where(there, spread, 1.0), 0.0)
    return ops.reshape(found, ops.shape(images))


@keras.saving.register_keras_serializable(package="zoo")
class StampScaling(keras.layers.Layer):
    """Choose channels, cut out the centre, and scale every image and channel to [0, 1]; float32 throughout.

    The smallest and largest value are those of the finite pixels after the cut, x' = (x − min) / (max − min). Where
    that has no meaning, in a constant image, the result is 0; so it is at pixels that are not finite.

    Parameters
    ----------
    crop : int
        Pixels of a side that remain: rows and columns ⌊P/2⌋ − ⌊crop/2⌋ and following, of P.
    normalize : {"per_image", "sky", "none"}
        As above; subtract the median of the whole image; or neither.
    channels : sequence of str
        Names of the channels that come out, in their order; ``snr`` is computed from the whole ``difference``.
    names : sequence of str
        Names of the channels that go in.
    """

    def __init__(self, crop: int, normalize: str, channels, names, **kwargs):
        super().__init__(autocast=False, **kwargs)
        if normalize not in NORMALIZE:
            raise ValueError(f"Unknown normalize. Valid: {', '.join(NORMALIZE)}. Received: {normalize!r}")
        self.settings = {"crop": crop, "normalize": normalize, "channels": list(channels), "names": list(names)}

    def call(self, stamps):
        """Prepare.

        Parameters
        ----------
        stamps : tensor (..., pixel, pixel, channel)

        Returns
        -------
        images : tensor (..., crop, crop, channel), float32
            Finite.
        valid : tensor of the same shape, bool
            Pixels that were finite and below 1e12.
        """
        crop, normalize, channels, names = self.settings.values()
        stamps = ops.cast(stamps, "float32")
        lead, size = ops.shape(stamps)[:-3], stamps.shape[-2]
        stamps = ops.reshape(stamps, (-1, size, size, len(names)))
        # What is so large is no measurement, and its differences and squares would overflow.
        known = ops.logical_and(ops.isfinite(stamps), ops.abs(stamps) < _LARGEST)
        stamps = ops.where(known, stamps, 0.0)
        planes, seen = [], []
        for name in channels:
            place = names.index("difference" if name == SNR else name)
            there = known[..., place]
            plane = robust_snr(stamps[..., place], there) if name == SNR else stamps[..., place]
            planes.append(without_sky(plane, there) if normalize == "sky" else plane)
            seen.append(there)
        start = size // 2 - crop // 2
        cut = (slice(None), slice(start, start + crop), slice(start, start + crop))
        images, valid = ops.stack(planes, axis=-1)[cut], ops.stack(seen, axis=-1)[cut]
        if normalize == "per_image":
            low = ops.min(ops.where(valid, images, float("inf")), axis=(1, 2), keepdims=True)
            high = ops.max(ops.where(valid, images, -float("inf")), axis=(1, 2), keepdims=True)
            width = ops.where(high > low, high - low, 1.0)
            images = ops.where(high > low, (images - ops.where(high > low, low, 0.0)) / width, 0.0)
        images = ops.where(valid, images, 0.0)
        shape = (*lead, crop, crop, len(channels))
        return ops.reshape(images, shape), ops.reshape(valid, shape)

    def compute_output_shape(self, shape):
        crop, _, channels, _ = self.settings.values()
        return ((*shape[:-3], crop, crop, len(channels)),) * 2

    def get_config(self):
        return super().get_config() | self.settings
