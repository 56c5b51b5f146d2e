"""Stamps as networks take them: channels chosen, the middle cut out, pixels on one scale, without gaps."""

from __future__ import annotations

import keras
from keras import ops

from tfrecords.errors import UsageError

NORMALISATIONS = ("per_image", "per_sample", "per_image_-1_1", "l2", "sky", "none")
LARGEST = 1e12
"""What is as large is no measurement, and its differences and squares would overflow."""
SNR = "snr"
"""Channel that is computed: the difference over its robust standard deviation."""


def check_stamps(size: int, channels, info) -> None:
    """Refuse a size or channels that stamps of these data do not have.

    Parameters
    ----------
    size : int
        Pixels of a side that are cut out.
    channels : sequence of str
    info : ModelInfo
    """
    if size > info.stamp_size or (info.stamp_size - size) % 2:
        raise UsageError(
            "crop, or window where there is one, must be at most the size of the stamps and odd or even as that is, or "
            f"there is no centre. Stamps: {info.stamp_size} pixels. Received: {size}"
        )
    there = [*info.channels, *([SNR] if "difference" in info.channels else [])]
    unknown = [name for name in channels if name not in there]
    if unknown:
        raise UsageError(f"channels must be among those of the stamps: {', '.join(there)}. Received: {unknown}")


def centre_crop(images, size: int):
    """Cut the middle out of images (..., height, width, channel): from height // 2 − size // 2 on."""
    starts = [side // 2 - size // 2 for side in images.shape[-3:-1]]
    return images[..., starts[0] : starts[0] + size, starts[1] : starts[1] + size, :]


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
class StampPreprocess(keras.layers.Layer):
    """Choose channels, cut the middle out and bring pixels to one scale; statistics are those of the cut.

    ``per_image``: x − min, then divided by its maximum, of every image and channel; ``per_sample``: the same over all
    channels of an image together; ``per_image_-1_1``: 2x − 1 of the first; ``l2``: divided by the root of the sum of
    squares of every image and channel; ``sky``: x − median of the whole image, before the cut; ``none``. Pixels that
    are not finite, or 1e12 and more, do not count in any of them; they, and all pixels of an image that has no scale
    because it is constant, become ``nan_to`` at the end. float32 throughout.

    Parameters
    ----------
    size : int
        Height and width that are left: rows and columns ⌊P/2⌋ − ⌊size/2⌋ and following, of P.
    normalize : str
        One of `NORMALISATIONS`.
    channels : sequence of str
        Names of the channels that come out, in their order; ``snr`` is computed from the whole ``difference``.
    names : sequence of str
        Names of the channels that go in.
    nan_to : float
        Value of unknown pixels.
    """

    def __init__(self, size, normalize, channels, names, nan_to=0.0, **kwargs):
        kwargs["dtype"] = "float32"
        super().__init__(autocast=False, **kwargs)
        if normalize not in NORMALISATIONS:
            raise ValueError(f"Unknown normalize. Valid: {', '.join(NORMALISATIONS)}. Received: {normalize!r}")
        self.settings = {"size": size, "normalize": normalize, "channels": list(channels), "names": list(names),
                         "nan_to": nan_to}  # fmt: skip
        self.built = True  # it has no weights, and is not called by networks that read no images

    def call(self, stamps):
        """Prepare.

        Parameters
        ----------
        stamps : tensor (..., pixel, pixel, channel)

        Returns
        -------
        images : tensor (..., size, size, chosen channel), float32
            Finite.
        valid : tensor of the same shape, bool
            Pixels that were finite and below 1e12.
        """
        size, normalize, channels, names, nan_to = self.settings.values()
        stamps = ops.cast(stamps, "float32")
        # Only these two look at pixels outside the cut.
        if normalize == "sky" or SNR in channels:
            images, known = self._whole(stamps)
            images, known = centre_crop(images, size), centre_crop(known, size)
        else:
            images, known = _known(self._chosen(centre_crop(stamps, size), [names.index(name) for name in channels]))
        scaled = self._scaled(images, known)
        return ops.where(ops.logical_and(known, ops.isfinite(scaled)), scaled, nan_to), known

    @staticmethod
    def _chosen(stamps, places):
        """Give the channels at some places."""
        if places == list(range(stamps.shape[-1])):
            return stamps
        return ops.stack([stamps[..., place] for place in places], axis=-1)

    def _whole(self, stamps):
        """Give the channels and what is known of them before the cut, less the sky if so."""
        _, normalize, channels, names, _ = self.settings.values()
        lead, side = ops.shape(stamps)[:-3], stamps.shape[-2]
        stamps, known = _known(ops.reshape(stamps, (-1, side, side, len(names))))
        planes, seen = [], []
        for name in channels:
            place = names.index("difference" if name == SNR else name)
            there = known[..., place]
            plane = robust_snr(stamps[..., place], there) if name == SNR else stamps[..., place]
            planes.append(without_sky(plane, there) if normalize == "sky" else plane)
            seen.append(there)
        shape = (*lead, side, side, len(channels))
        return tuple(ops.reshape(ops.stack(items, axis=-1), shape) for items in (planes, seen))

    def _scaled(self, images, known):
        """Scale images that are 0 where not known; NaN or infinite without a scale."""
        kind = self.settings["normalize"]
        if kind in ("none", "sky"):
            return images
        if kind == "l2":
            return images / _positive(ops.sqrt(ops.sum(ops.square(images), axis=(-3, -2), keepdims=True)))
        axes = (-3, -2, -1) if kind == "per_sample" else (-3, -2)
        least = ops.min(ops.where(known, images, LARGEST), axis=axes, keepdims=True)
        most = ops.max(ops.where(known, images, -LARGEST), axis=axes, keepdims=True)
        scaled = (images - least) / _positive(most - least)
        return 2.0 * scaled - 1.0 if kind == "per_image_-1_1" else scaled

    def compute_output_shape(self, stamps_shape):
        size = self.settings["size"]
        return ((*stamps_shape[:-3], size, size, len(self.settings["channels"])),) * 2

    def get_config(self):
        return super().get_config() | self.settings


def _known(stamps):
    """Give stamps with 0 where a pixel is unknown, and which are known."""
    known = ops.abs(stamps) < LARGEST  # False for NaN too
    return ops.where(known, stamps, 0.0), known


def _positive(values):
    """Give NaN in the place of 0 and less: such an image has no scale."""
    return ops.where(values > 0, values, float("nan"))
