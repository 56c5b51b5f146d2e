"""Variational deep embedding: an autoencoder of stamps with a mixture of Gaussians as the prior of its codes."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from zoo.layers.stamp_conv import StampDecoder, StampEncoder
from zoo.losses.elbo import log_likelihood, log_responsibilities, mixture_terms, normal_divergence
from zoo.models.stamp_network import StampAutoencoder
from zoo.registry import ModelInfo

LEAST_LOG_VARIANCE = -5.0


@keras.saving.register_keras_serializable(package="zoo")
class MixturePrior(keras.layers.Layer):
    """A mixture of Gaussians with diagonal covariances, in float32.

    Parameters
    ----------
    components, latent : int
    full_density : bool
        Whether responsibilities have the Gaussians' normalisers.
    """

    def __init__(self, components, latent, full_density=True, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.settings = {"components": components, "latent": latent, "full_density": full_density}

    def build(self, *_shapes):
        shape = (self.settings["components"], self.settings["latent"])
        self.weight_logits = self.add_weight(shape=shape[:1], initializer="zeros", name="weight_logits")
        self.means = self.add_weight(shape=shape, initializer=keras.initializers.RandomNormal(stddev=1.0), name="means")
        self.log_variances = self.add_weight(shape=shape, initializer="zeros", name="log_variances")

    def call(self, codes, mean, log_variance):
        """Give ln γ (batch, component) of drawn codes, and the terms of the bound, see `mixture_terms`."""
        weights = ops.log_softmax(ops.convert_to_tensor(self.weight_logits))
        means, variances = ops.convert_to_tensor(self.means), ops.convert_to_tensor(self.log_variances)
        log_gamma = log_responsibilities(codes, weights, means, variances, self.settings["full_density"])
        return log_gamma, *mixture_terms(mean, log_variance, log_gamma, weights, means, variances)

    def compute_output_shape(self, codes_shape, *_shapes):
        return ((codes_shape[0], self.settings["components"]), *[(codes_shape[0],)] * 3)

    def assign(self, means, variances) -> None:
        """Set the Gaussians from arrays (component, latent), with equal weights."""
        self.weight_logits.assign(np.zeros(len(means), "float32"))
        self.means.assign(np.asarray(means, "float32"))
        self.log_variances.assign(np.log(np.asarray(variances, "float64")).astype("float32"))

    def get_config(self):
        return super().get_config() | self.settings


@keras.saving.register_keras_serializable(package="zoo")
class Vade(StampAutoencoder):
    """Encoder to mean and variance of a code, decoder, variance of the pixels, mixture of Gaussians as the prior.

    Inputs are those of the view ``stamp``; the output is the dict of `zoo.models.stamp_ae.model.StampAe`, whose
    ``latent`` is the mean of the code's distribution and whose ``reconstruction`` is of a drawn code in training, of
    the mean otherwise, and

    - ``elbo`` (batch,): the evidence lower bound, of one drawn code in training, else the mean over ``draws``, the
      same random numbers for every object;
    - ``gamma`` (batch, component): probabilities of the clusters given the drawn, or the mean, code;
    - ``log_variance`` (batch,): ln of the pixels' variance, between −5 and 0.

    Parameters
    ----------
    config : VadeConfig
    info : ModelInfo
        Channels and size of the stamps.
    """

    def __init__(self, config, info: ModelInfo, **kwargs):
        super().__init__(config, info, **kwargs)
        policy = self.dtype_policy
        self.encoder = StampEncoder(config.latent, 2, config.filters, dtype=policy, name="encoder")
        self.decoder = StampDecoder(
            config.crop, len(config.channels), "linear", config.filters, dtype=policy, name="decoder"
        )
        self.variance = None
        if config.variance_head:
            # Its exponential is a factor of the loss: in float32, as all that follows the code's distribution.
            self.variance = keras.Sequential(
                [keras.layers.Dense(config.width, activation="relu", dtype="float32", name="hidden"),
                 keras.layers.Dense(1, activation="sigmoid", dtype="float32", name="share")], name="variance"
            )  # fmt: skip
        self.prior = MixturePrior(config.components, config.latent, config.full_density, dtype="float32", name="prior")
        self.seeds = keras.random.SeedGenerator(name="draws")

    def encode(self, images, training=None):
        """Give mean and ln variance (batch, latent), float32, of the codes of prepared images."""
        found = self.encoder(self.computed(images), training=training)
        return tuple(ops.cast(item, "float32") for item in found)

    def decode(self, codes, training=None):
        """Give images (batch, crop, crop, channel) and the ln of their pixels' variance (batch,), float32, of codes."""
        images = ops.cast(self.decoder(self.computed(codes), training=training), "float32")
        if self.variance is None:
            return images, ops.zeros_like(codes[:, 0])
        return images, LEAST_LOG_VARIANCE * self.variance(codes)[:, 0]

    def bound(self, images, valid, mean, log_variance, noise, training=None):
        """Give the bound of one drawn code an image, with its terms.

        Parameters
        ----------
        images, valid : tensor (batch, crop, crop, channel)
            As `StampPreprocess` gives them.
        mean, log_variance : tensor (batch, latent)
        noise : tensor (batch, latent) or (latent,)
            Standard normal numbers.

        Returns
        -------
        dict of tensor
            ``elbo``, ``log_px``, ``mixture_term``, ``category_term``, ``entropy_term``, ``vae_kl`` (batch,),
            ``gamma`` (batch, component), ``z``, ``recon``, ``log_var_x``.
        """
        codes = mean + noise * ops.exp(0.5 * log_variance)
        found, log_pixel = self.decode(codes, training)
        log_gamma, mixture, category, entropy = self.prior(codes, mean, log_variance)
        likelihood = log_likelihood(images, found, log_pixel, valid)
        divergence = normal_divergence(mean, log_variance)
        rest = mixture + category + entropy if self.config.objective == "vade" else -divergence
        return {
            "elbo": likelihood + rest,
            "log_px": likelihood,
            "mixture_term": mixture,
            "category_term": category,
            "entropy_term": entropy,
            "vae_kl": divergence,
            "gamma": ops.exp(log_gamma),
            "z": codes,
            "recon": found,
            "log_var_x": log_pixel,
        }

    def represent(self, inputs):
        """Give the mean of the code, (batch, latent), float32."""
        return self.encode(self.preprocess(inputs["stamp"])[0], training=False)[0]

    def call(self, inputs, training=None):
        images, valid = self.preprocess(inputs["stamp"])
        mean, log_variance = self.encode(images, training)
        if training:
            noise = keras.random.normal(ops.shape(mean), seed=self.seeds)
            found = self.bound(images, valid, mean, log_variance, noise, training)
            bound = found["elbo"]
        else:
            found = self.bound(images, valid, mean, log_variance, ops.zeros_like(mean))
            # The same numbers for every object: its value must not depend on its neighbours.
            noise = np.random.default_rng(0).normal(size=(self.config.draws, self.config.latent)).astype("float32")
            rows = [ops.convert_to_tensor(row) for row in noise]
            draws = [self.bound(images, valid, mean, log_variance, row)["elbo"] for row in rows]
            bound = sum(draws[1:], draws[0]) / len(draws)
        self.penalise()
        return {
            "reconstruction": found["recon"],
            "target": images,
            "observed": valid,
            "latent": mean,
            "elbo": bound,
            "gamma": found["gamma"],
            "log_variance": found["log_var_x"],
        }

    def prototypes(self):
        """Give what the components of the mixture stand for; None under ``objective: vae``, which has no mixture.

        Returns
        -------
        dict of tensor, float32
            ``weight`` (component,); ``mean``, ``below`` and ``above`` (component, crop, crop, channel), the images
            that μ_c, μ_c − σ_cj e_j and μ_c + σ_cj e_j are decoded to, j being the axis of the largest σ_cj, which is
            ``spread`` (component,); ``pixel_spread`` (component,), the standard deviation of the pixels at μ_c.
        """
        if self.config.objective != "vade":
            return None
        means, log_variances = (ops.convert_to_tensor(item) for item in (self.prior.means, self.prior.log_variances))
        widest = ops.one_hot(ops.argmax(log_variances, axis=1), self.config.latent, dtype="float32")
        step = widest * ops.exp(0.5 * log_variances)
        images, log_pixel = self.decode(means, training=False)
        return {
            "weight": ops.softmax(ops.convert_to_tensor(self.prior.weight_logits)),
            "mean": images,
            "below": self.decode(means - step, training=False)[0],
            "above": self.decode(means + step, training=False)[0],
            "spread": ops.sum(step, axis=1),
            "pixel_spread": ops.exp(0.5 * log_pixel),
        }

    def parts_of_model(self):
        """Give the named parts that can be loaded, frozen or reset on their own."""
        variance = {} if self.variance is None else {"variance": self.variance}
        return {"encoder": self.encoder, "decoder": self.decoder, **variance, "prior": self.prior}
