"""The four turns of a stamp by right angles, as parts of a batch."""

from __future__ import annotations

from keras import ops


def quarter_turns(images):
    """Give square images turned by 0, 90, 180 and 270 degrees counter-clockwise, one turn of all after another.

    Parameters
    ----------
    images : tensor (batch, side, side, channel)

    Returns
    -------
    tensor (4 · batch, side, side, channel)
        Rows r · batch to (r + 1) · batch are turned r times.
    """
    across = ops.transpose(images, (0, 2, 1, 3))
    return ops.concatenate(
        [images, ops.flip(across, axis=1), ops.flip(images, axis=(1, 2)), ops.flip(across, axis=2)], axis=0
    )
