"""The mixture that a variational autoencoder's codes start from."""

from __future__ import annotations

import numpy as np

from tfrecords.errors import DataError

MOST = 20_000
"""Most training objects that the mixture is fitted on."""


def codes(network, batches) -> np.ndarray:
    """Give the representations (object, latent), float32, of the objects in batches ``(inputs, targets, weight)``."""
    import tensorflow as tf

    represent = tf.function(network.represent, reduce_retracing=True)
    found = [represent(inputs).numpy()[weight.numpy() > 0] for inputs, _, weight in batches]
    return np.concatenate(found)


def mixture(values, components: int, seed: int):
    """Fit Gaussians with diagonal covariances to codes (object, latent).

    Returns
    -------
    means, variances : array (component, latent)

    Raises
    ------
    DataError
        If there are fewer objects than components, or codes that are not finite.
    """
    from sklearn.mixture import GaussianMixture

    if len(values) < components or not np.isfinite(values).all():
        raise DataError(
            f"the prior's mixture needs as many training objects as components ({components}), with finite codes. "
            f"Received: {len(values)} objects, {np.isfinite(values).all(axis=1).sum()} of them finite"
        )
    found = GaussianMixture(components, covariance_type="diag", random_state=seed).fit(values.astype("float64"))
    return found.means_, found.covariances_


def fit_prior(network, train, stage, options) -> str:
    """Set a network's prior to the mixture of the codes of training objects; gives a line that says so.

    Parameters
    ----------
    network : zoo.models.vade.model.Vade
    train : zoo.inputs.data.Examples
    stage : zoo.inputs.stage.Stage
    options : RunConfig
    """
    from zoo.inputs import pipeline

    chosen = np.zeros(len(train), bool)
    chosen[np.random.default_rng(options.seed).permutation(len(train))[:MOST]] = True
    batches, _ = pipeline.evaluation(train.keep(chosen), stage, min(options.batch_size, int(chosen.sum())))
    values = codes(network, batches)
    network.prior.assign(*mixture(values, network.config.components, options.seed))
    return f"prior: {network.config.components} components fitted to the codes of {len(values)} objects"
