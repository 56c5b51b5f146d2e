"""Transformer autoencoder of light curves on a regular grid."""

from __future__ import annotations

import keras
from keras import ops

from tfrecords.errors import UsageError
from zoo.layers.object_scale import observed_flux, offset_and_range, scaled
from zoo.layers.post_norm import SeriesDecoder, SeriesEncoder, sinusoids
from zoo.losses.sparsity import Sparsity
from zoo.models.network import Network
from zoo.models.transformer_autoencoder.config import AutoencoderConfig
from zoo.registry import ModelInfo


def with_start(values):
    """Put a row of zeros before the first step: (batch, step + 1, ...)."""
    return ops.concatenate([ops.zeros_like(values[:, :1]), values], axis=1)


def row_valid(policy: str, rows, seen):
    """Say which rows (batch, row) hold something.

    Parameters
    ----------
    policy : {"any", "band0"}
    rows : tensor (batch, row, band)
        The start row first.
    seen : tensor (batch, row, band), bool
        Where a value was observed; the start row does not matter.
    """
    if policy == "band0":
        return ops.not_equal(rows[:, :, 0], 0.0)
    return ops.logical_or(ops.any(seen, axis=2), ops.equal(ops.arange(ops.shape(rows)[1]), 0)[None])


def may_attend(policy: str, valid):
    """Say which row may attend to which, (batch, row, row): valid ones that are not later, and itself.

    Under "band0" not itself: where no row is left, all scores are equally blocked and the attention is uniform
    over all rows, the later ones among them, as in the original.
    """
    place = ops.arange(ops.shape(valid)[1])
    allowed = ops.logical_and(valid[:, None, :], (place[None, :] <= place[:, None])[None])
    if policy == "band0":
        return allowed
    return ops.logical_or(allowed, ops.equal(place[None, :], place[:, None])[None])


def mean_of_valid(tokens, valid):
    """Give the mean (batch, width), float32, over the valid (batch, row) of tokens (batch, row, width)."""
    weight = ops.cast(valid, "float32")[:, :, None]
    total = ops.sum(ops.cast(tokens, "float32") * weight, axis=1)
    # Under "band0" an object may have no valid row, not even the start: its mean is 0.
    return total / ops.maximum(ops.sum(weight, axis=1), 1.0)


def build_encoder(config, policy) -> SeriesEncoder:
    """Give the encoder of a configuration; a classifier on it has the same layer under the same name."""
    return SeriesEncoder(
        config.num_layers, config.d_model, config.num_heads, config.dff, config.embed, config.dropout,
        dtype=policy, name="encoder",
    )  # fmt: skip


def check_width(config, bands: int) -> None:
    """Refuse a width that the bands do not allow."""
    if not config.embed and config.d_model != bands:
        raise UsageError(
            "without embed the bands' fluxes are the token: d_model must be their number; or set embed to true. "
            f"Valid: {bands}. Received: {config.d_model}"
        )


@keras.saving.register_keras_serializable(package="zoo")
class TransformerAutoencoder(Network):
    """Encoder over all steps of a light curve, decoder that predicts every step from those before it.

    A row of zeros stands before the first step. The decoder sees rows 0 … t − 1 of the target and the whole
    encoder output, and gives row t. The inputs are those of the view ``grid``; the output is a dict, in units of
    the scaled flux x = (flux − offset) / range:

    - ``reconstruction`` (batch, step, band): x̂ under teacher forcing, 0 at steps under a False mask;
    - ``target``, ``error`` (batch, step, band): x and its error, 0 where not ``observed``;
    - ``observed`` (batch, step, band), bool; ``time`` (batch, step), days; ``mask`` (batch, step);
    - ``offset``, ``range`` (batch,); ``memory`` (batch, step + 1, width), ``memory_valid`` (batch, step + 1).

    Parameters
    ----------
    config : AutoencoderConfig
    info : ModelInfo
        Its bands.

    Attributes
    ----------
    penalised : bool
        Whether the kernels `penalty_kernels` have the sparsity penalty as their regularizer, so that it is among
        the network's ``losses``.
    """

    heads, primary = ("reconstruction",), "reconstruction"

    def __init__(self, config: AutoencoderConfig, info: ModelInfo, penalised: bool = False, **kwargs):
        # Keras would cast times and fluxes to bfloat16 on the way in.
        super().__init__(autocast=False, **kwargs)
        check_width(config, len(info.bands))
        self.config, self.info, self.penalised = config, info, penalised
        self.penalty = Sparsity(config.kld_alpha, config.kld_rho, config.kld_mode)
        policy = self.dtype_policy
        self.encoder = build_encoder(config, policy)
        self.decoder = SeriesDecoder(
            config.num_layers, config.d_model, config.num_heads, config.dff, config.embed, config.dropout,
            dtype=policy, name="decoder",
        )  # fmt: skip
        self.final = keras.layers.Dense(len(info.bands), dtype=policy, name="final")

    def penalty_kernels(self) -> dict:
        """Give the kernels that the sparsity penalty is on, by name; the live variables."""
        return {
            "encoder.first_kernel": self.encoder.first_kernel,
            "decoder.first_kernel": self.decoder.first_kernel,
        }

    def sparsity(self):
        """Give the divergence of the penalty's kernels, added up and not weighted, a scalar."""
        plain = Sparsity(1.0, self.penalty.rho, self.penalty.mode)
        return sum(plain(kernel) for kernel in self.penalty_kernels().values())

    def encode(self, rows, seen, training=None):
        """Give the memory (batch, row, width) of rows (batch, row, band), and which of it is valid."""
        valid = row_valid(self.config.mask_policy, rows, seen)
        return self.encoder(rows, valid, training=training), valid

    def decode(self, rows, seen, memory, memory_valid, training=None):
        """Give the decoder's output (batch, row, width) for the target's rows, the start row first."""
        policy = self.config.mask_policy
        allowed = may_attend(policy, row_valid(policy, rows, seen))
        return self.decoder(rows, memory, allowed, memory_valid, training=training)

    def values(self, hidden):
        """Give the next row's values (batch, row, band), float32, of the decoder's output."""
        return ops.cast(self.final(hidden), "float32")

    def call(self, inputs, training=None):
        flux, error, seen = observed_flux(inputs)
        offset, width = offset_and_range(flux, self.config.normalise)
        source = target = scaled(flux, seen, offset, width)
        if self.config.mapping == "denoise":
            target = scaled(ops.cast(inputs["target_flux"], "float32"), seen, offset, width)
        rows = with_start(seen)
        memory, memory_valid = self.encode(with_start(source), rows, training)
        hidden = self.decode(with_start(target)[:, :-1], rows[:, :-1], memory, memory_valid, training)
        for kernel in self.penalty_kernels().values():
            # Keras evaluates a regularizer outside the call, where bfloat16 does not reach the weights.
            kernel.regularizer = self.penalty if self.penalised else None
        mask = inputs["mask"]
        return {
            "reconstruction": ops.where(mask[:, :, None], self.values(hidden), 0.0),
            "target": target,
            "error": error / width[:, None, None],
            "observed": seen,
            "time": ops.cast(inputs["time"], "float32"),
            "mask": mask,
            "offset": offset,
            "range": width,
            "memory": memory,
            "memory_valid": memory_valid,
        }

    def represent(self, inputs):
        """Give the mean of the encoder's memory over its valid rows, (batch, width), float32."""
        flux, _, seen = observed_flux(inputs)
        source = scaled(flux, seen, *offset_and_range(flux, self.config.normalise))
        return mean_of_valid(*self.encode(with_start(source), with_start(seen), training=False))

    def roll_out(self, outputs):
        """Reconstruct row after row from the predicted rows alone, (batch, step, band), float32.

        What is fed back is the prediction at the points that were observed, as the decoder knows it from
        training.

        Parameters
        ----------
        outputs : dict
            Of the call; ``memory``, ``memory_valid``, ``observed`` and ``mask`` are used.
        """
        memory, seen = outputs["memory"], outputs["observed"]
        steps = ops.shape(seen)[1]
        walk = self._walk_again if self.config.mask_policy == "band0" else self._walk_cached
        rows = walk(memory, outputs["memory_valid"], seen, steps)
        return ops.where(outputs["mask"][:, :, None], rows, 0.0)

    def _walk_cached(self, memory, memory_valid, seen, steps):
        """Decode each row once, with cached keys and values."""
        positions = sinusoids(steps, self.config.d_model)
        valid = row_valid("any", seen, with_start(seen)[:, :-1])
        caches, known = self.decoder.start(memory, steps)
        number = ops.arange(steps)

        def step(place, state):
            found, row, caches = state
            here = ops.equal(number, place)
            allowed = ops.logical_or(ops.logical_and(valid, (number < place)[None]), here[None])
            position = ops.take(positions, ops.reshape(place, (1,)), axis=0)
            token, caches = self.decoder.step(row, place, position, caches, known, allowed, memory_valid)
            predicted = self.values(token)
            found = ops.where(here[None, :, None], predicted, found)
            counts = ops.take(seen, ops.reshape(place, (1,)), axis=1)
            return found, ops.where(counts, predicted, 0.0), caches

        found = ops.zeros_like(seen, dtype="float32")
        return ops.fori_loop(0, steps, step, (found, found[:, :1], caches))[0]

    def _walk_again(self, memory, memory_valid, seen, steps):
        """Decode all rows so far for each new one: under "band0" early rows change as later ones come."""
        number = ops.arange(steps)

        def step(place, found):
            rows = with_start(ops.where(seen, found, 0.0))[:, :-1]
            # Rows that are not there yet are left out, and not blocked: blocked ones may still count.
            hidden = self.decoder.prefix(
                rows, memory, may_attend("band0", row_valid("band0", rows, None)), memory_valid, number <= place
            )
            return ops.where(ops.equal(number, place)[None, :, None], self.values(hidden), found)

        return ops.fori_loop(0, steps, step, ops.zeros_like(seen, dtype="float32"))

    def fitted(self):
        """Give the layers that are fitted on the training split: none."""
        return {}

    def parts_of_model(self):
        """Give the named parts that can be loaded, frozen or reset on their own."""
        return {"encoder": self.encoder, "decoder": self.decoder, "final": self.final}

    def tied_to(self):
        """Give the paths of the layers whose rows stand for bands."""
        stacks = (self.encoder, self.decoder)
        first = [stack.embed.path if self.config.embed else stack.path for stack in stacks]
        return {"bands": [*first, self.final.path]}

    def get_config(self):
        return {**super().get_config(), "penalised": self.penalised}
