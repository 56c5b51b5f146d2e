"""Terms of the evidence lower bound of variational autoencoders: one value an object, in nats.

q(z|x) = N(μ, σ²) with a diagonal covariance; the prior is N(0, I) or a mixture of K Gaussians (Jiang et al. 2017,
arXiv:1611.05148; Astorga et al. 2018).
"""

from __future__ import annotations

import math

from keras import ops

LOG_2PI = math.log(2.0 * math.pi)


def log_likelihood(target, prediction, log_variance, observed):
    """Give Σ −(x − x̂)² / 2s² − ln(2π s²) / 2 over an object's observed points, (batch,).

    Parameters
    ----------
    target, prediction : tensor (batch, ...)
    log_variance : tensor (batch,)
        ln s², one for all points of an object.
    observed : tensor (batch, ...), bool
    """
    axes = tuple(range(1, len(target.shape)))
    error = ops.sum(ops.where(observed, ops.square(target - prediction), 0.0), axis=axes)
    count = ops.sum(ops.cast(observed, "float32"), axis=axes)
    return -0.5 * error * ops.exp(-log_variance) - 0.5 * count * (LOG_2PI + log_variance)


def normal_divergence(mean, log_variance):
    """Give KL(q ‖ N(0, I)) = −½ Σ_j (1 + ln σ² − μ² − σ²), (batch,), of codes (batch, latent)."""
    return -0.5 * ops.sum(1.0 + log_variance - ops.square(mean) - ops.exp(log_variance), axis=-1)


def log_responsibilities(codes, log_weights, means, log_variances, normalised: bool = True):
    """Give ln γ_c = log-softmax_c(ln π_c + Σ_j ln N(z_j | μ_cj, σ²_cj)), (batch, component).

    Parameters
    ----------
    codes : tensor (batch, latent)
    log_weights : tensor (component,)
        ln π.
    means, log_variances : tensor (component, latent)
    normalised : bool
        Whether N has its normaliser; without it γ is that of the paper's formula.
    """
    distance = ops.square(codes[:, None] - means) * ops.exp(-log_variances)
    spread = log_variances + LOG_2PI if normalised else 0.0
    return ops.log_softmax(log_weights - 0.5 * ops.sum(distance + spread, axis=-1), axis=-1)


def mixture_terms(mean, log_variance, log_gamma, log_weights, means, log_variances):
    """Give the three terms of the bound that the mixture makes, each (batch,).

    Parameters
    ----------
    mean, log_variance : tensor (batch, latent)
        μ and ln σ² of q.
    log_gamma : tensor (batch, component)
        See `log_responsibilities`.
    log_weights, means, log_variances
        As there.

    Returns
    -------
    mixture : tensor
        −½ Σ_c γ_c Σ_j [ln σ²_cj + σ²_j / σ²_cj + (μ_j − μ_cj)² / σ²_cj].
    category : tensor
        Σ_c γ_c ln(π_c / γ_c).
    entropy : tensor
        ½ Σ_j (1 + ln σ²_j).
    """
    gamma = ops.exp(log_gamma)
    spread = ops.exp(log_variance)[:, None] + ops.square(mean[:, None] - means)
    inner = ops.sum(log_variances + spread * ops.exp(-log_variances), axis=-1)
    mixture = -0.5 * ops.sum(gamma * inner, axis=-1)
    category = ops.sum(gamma * (log_weights - log_gamma), axis=-1)
    return mixture, category, 0.5 * ops.sum(1.0 + log_variance, axis=-1)
