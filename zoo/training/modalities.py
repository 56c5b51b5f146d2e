"""Which representations a network has: one of an object, or one for each of its modalities too.

A network of several modalities has, beside ``represent(inputs)``, ``embeddings(inputs)``, a dict of tensors (batch,
dimension) by modality, and ``present(inputs)``, a dict of (batch,) bool by modality: which objects have it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tfrecords.errors import UsageError

COMBINED = "all"
"""Name of the representation of a whole object."""


class Representation(NamedTuple):
    """A function of a batch's inputs that gives representations side by side.

    Attributes
    ----------
    function : callable
        Gives a tensor (batch, sum of sizes), float32: NaN where an object lacks the modality (for `COMBINED`: every
        one), infinite where the network's value is not finite.
    sizes : dict of str to int
        Dimensions by name, in the order of the tensor; the first is the one to show.
    known : tuple of str
        All names that the network has, `COMBINED` first.
    """

    function: Callable
    sizes: dict[str, int]
    known: tuple[str, ...]


def names(run) -> tuple[str, ...]:
    """Name the modalities of a run's network, none if it has but one representation."""
    # Networks of one may call a layer ``embeddings``.
    several = hasattr(run.network, "embeddings") and hasattr(run.network, "present")
    return tuple(run.network.embeddings(_example(run))) if several else ()


def _example(run) -> dict:
    from zoo import registry

    bundle = run.bundle
    return registry.example_inputs(bundle.model, bundle.config, bundle.spec.model_info())


def check(run, name: str, flag: str) -> str:
    """Refuse a representation that the network of a run has not; gives its name."""
    known = (COMBINED, *names(run))
    if name not in known:
        raise UsageError(f"{flag}: {run.bundle.model} has the representations {', '.join(known)}. Received: {name!r}")
    return name


def representation(run, modality: str | None = None, every: bool = False) -> Representation:
    """Give the representation of a run's network to show, and with ``every`` all others behind it.

    Parameters
    ----------
    run : zoo.training.run.Run
    modality : str, optional
        By default `COMBINED`, what ``represent`` gives.
    every : bool

    Raises
    ------
    UsageError
        If the network has no such modality.
    """
    import tensorflow as tf

    first = check(run, modality or COMBINED, "--modality")
    network, known = run.network, names(run)
    blocks = [first, *(name for name in (COMBINED, *known) if every and name != first)]

    def values(inputs):
        present = network.present(inputs) if known else {}
        if known:
            present = present | {COMBINED: tf.reduce_any(tf.stack([present[name] for name in known]), axis=0)}
        embeddings = network.embeddings(inputs) if set(blocks) - {COMBINED} else {}
        for name in blocks:
            found = network.represent(inputs) if name == COMBINED else embeddings[name]
            found = tf.where(tf.math.is_finite(found), tf.cast(found, "float32"), float("inf"))
            yield tf.where(present[name][:, None], found, float("nan")) if known else found

    sizes = {name: int(found.shape[-1]) for name, found in zip(blocks, values(_example(run)), strict=True)}
    return Representation(lambda inputs: tf.concat(list(values(inputs)), axis=1), sizes, (COMBINED, *known))


def anything(network, inputs):
    """Say of which objects (batch,), bool, a network sees anything: by its modalities, or by its spectra alone.

    True where neither says so.
    """
    import tensorflow as tf

    if hasattr(network, "present"):
        return tf.reduce_any(tf.stack(list(network.present(inputs).values())), axis=0)
    if all(name.startswith("spectrum") for name in inputs):
        return tf.reduce_any(inputs["spectrum_mask"], axis=1)
    return tf.ones(tf.shape(next(iter(inputs.values())))[:1], bool)
