"""What the networks on stamps have in common."""

from __future__ import annotations

import keras
from keras import ops

from zoo.layers.stamps import StampPreprocess, check_stamps
from zoo.losses.sparsity import Sparsity
from zoo.models.network import Network
from zoo.registry import ModelInfo


class StampNetwork(Network):
    """Base of the networks that take stamps as they are and prepare them inside.

    Parameters
    ----------
    config : StampConfig
    info : ModelInfo
        Channels and size of the stamps, classes.
    """

    def __init__(self, config, info: ModelInfo, **kwargs):
        # Keras would cast pixels to bfloat16 on the way in.
        super().__init__(autocast=False, **kwargs)
        channels = info.channels if config.channels is None else config.channels
        check_stamps(config.cut, channels, info)
        self.config, self.info = config, info
        self.preprocess = StampPreprocess(
            config.cut, config.normalize, channels, info.channels, config.nan_to, name="preprocess"
        )

    def computed(self, values):
        """Cast to the dtype that the network computes in."""
        return ops.cast(values, self.compute_dtype)

    def fitted(self):
        """Give the layers that are fitted on the training split: none."""
        return {}

    def tied_to(self):
        """Give the paths of the layers whose rows stand for classes, by `ModelInfo` field."""
        head = getattr(self, "head", None)
        return {} if head is None else {"classes": [head.path]}


class StampAutoencoder(StampNetwork):
    """Base of the networks with ``encoder`` and ``decoder``, on whose first kernels is the sparsity penalty.

    Parameters
    ----------
    config, info
        As in `StampNetwork`.

    Attributes
    ----------
    penalised : bool
        Whether the kernels `penalty_kernels` have the sparsity penalty as their regularizer, so that it is among
        the network's ``losses``.
    """

    heads, primary = ("reconstruction",), "reconstruction"

    def __init__(self, config, info: ModelInfo, penalised: bool = False, **kwargs):
        super().__init__(config, info, **kwargs)
        self.penalised = penalised
        self.penalty = Sparsity(config.kld_alpha, config.kld_rho, config.kld_mode)

    def penalty_kernels(self) -> dict:
        """Give the kernels that the sparsity penalty is on, by name; the live variables."""
        return {
            "encoder.first_kernel": self.encoder.first_kernel,
            "decoder.first_kernel": self.decoder.first_kernel,
        }

    def sparsity(self):
        """Give the divergence of the penalty's kernels, added up and not weighted, a scalar."""
        plain = Sparsity(1.0, self.penalty.rho, self.penalty.mode)
        return sum(plain(_matrix(kernel)) for kernel in self.penalty_kernels().values())

    def penalise(self) -> None:
        """Put the penalty on its kernels, or take it away; called with every forward pass."""
        for kernel in self.penalty_kernels().values():
            # Keras evaluates a regularizer outside the call, where bfloat16 does not reach the weights.
            kernel.regularizer = _OfMatrix(self.penalty) if self.penalised else None

    def get_config(self):
        return {**super().get_config(), "penalised": self.penalised}


def _matrix(kernel):
    """Give a kernel (..., input, unit) as (inputs, unit): every place of a convolution is an input."""
    return ops.reshape(ops.convert_to_tensor(kernel), (-1, kernel.shape[-1]))


class _OfMatrix(keras.regularizers.Regularizer):
    """A penalty on matrices, of kernels of any number of axes."""

    def __init__(self, penalty):
        self.penalty = penalty

    def __call__(self, kernel):
        return self.penalty(_matrix(kernel))
