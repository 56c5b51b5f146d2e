"""The contrastive loss of AstroM3 over three modalities (Rizhko & Bloom 2025, arXiv:2411.08842).

Of every pair of modalities, each object's embedding in one is to be most like its own in the other, among the objects
of all replicas (Radford et al. 2021, arXiv:2103.00020). An object that lacks one of the two is no row and no column of
that pair.
"""

from __future__ import annotations

from keras import ops

from zoo import collective

MODALITIES = ("photo", "spectra", "meta")
PAIRS = (("photo", "spectra"), ("spectra", "meta"), ("meta", "photo"))
"""Pairs of modalities, in the order in which the original adds them up."""

NOTHING = -1e30
"""Logit of what is no candidate."""


def name_of(pair) -> str:
    """Give the name of a pair: ``photo_spectra`` and so on."""
    return "_".join(pair)


class Similarities:
    """The logits of this replica's objects against those of all replicas, by pair of modalities.

    Parameters
    ----------
    embeddings : dict of str to tensor (batch, width)
        By modality, of length 1.
    present : dict of str to tensor (batch,), bool
        Which objects have it.
    scales : dict of str to tensor ()
        What the cosines of a pair are multiplied with, by its name.
    counted : tensor (batch,), optional
        Objects that count where it is positive; all when absent.

    Attributes
    ----------
    counted : tensor (batch,), float32
        1 where an object counts, else 0.
    """

    def __init__(self, embeddings, present, scales, counted=None):
        ours = {name: ops.cast(embeddings[name], "float32") for name in MODALITIES}
        there = {name: ops.cast(present[name], "float32") for name in MODALITIES}
        count = ops.ones_like(there["photo"]) if counted is None else ops.cast(counted > 0, "float32")
        self.ours, self.there, self.counted, self.scales = ours, there, count, scales
        # One message for all of it. What is present is no matter of gradients.
        marks = ops.stop_gradient(ops.stack([*there.values(), count], axis=1))
        width = ours["photo"].shape[-1]
        whole = collective.all_gather(ops.concatenate([*ours.values(), marks], axis=1))
        self.all = {name: whole[:, place * width : (place + 1) * width] for place, name in enumerate(MODALITIES)}
        marks = ops.stop_gradient(whole[:, len(MODALITIES) * width :])
        self.all_counted = marks[:, -1]
        self.all_there = {name: marks[:, place] for place, name in enumerate(MODALITIES)}
        first = ops.cast(collective.first_row(ops.shape(count)[0]), "int32")
        self.places = ops.arange(ops.shape(count)[0], dtype="int32") + first

    def valid(self, pair):
        """Give which objects (batch,) have both modalities of a pair and count, float32, and which of all."""
        one, other = pair
        ours = self.there[one] * self.there[other] * self.counted
        return ours, self.all_there[one] * self.all_there[other] * self.all_counted

    def logits(self, pair):
        """Give the logits of a pair: (batch, all) of this replica's rows, and (batch, all) of its columns."""
        one, other = pair
        scale = self.scales[name_of(pair)]
        rows = scale * ops.matmul(self.ours[one], ops.transpose(self.all[other]))
        return rows, scale * ops.matmul(self.ours[other], ops.transpose(self.all[one]))


def cross_entropy(logits, places, valid):
    """Give ln Σ_j exp x_j − x_i of each row, (row,), over the valid columns j, i its place among them.

    Parameters
    ----------
    logits : tensor (row, column)
    places : tensor (row,), int32
    valid : tensor (column,)
        Not 0 where a column is a candidate.
    """
    own = ops.take_along_axis(logits, places[:, None], axis=1)[:, 0]
    return ops.logsumexp(ops.where(valid[None, :] > 0, logits, NOTHING), axis=1) - own


def pair_loss(rows, columns, places, ours, everyone, counted):
    """Give the loss of a pair by object, (batch,): both directions, one added to the other.

    Its mean over the objects that count, of all replicas, is the mean over those that have both modalities; 0 where
    fewer than two of these are there.

    Parameters
    ----------
    rows, columns : tensor (batch, all)
        As `Similarities.logits` gives them.
    places : tensor (batch,), int32
        Where this replica's objects stand among all.
    ours, everyone : tensor (batch,) and (all,), float32
        As `Similarities.valid` gives them.
    counted : tensor (), float32
        Number of objects that count, of all replicas.
    """
    both = cross_entropy(rows, places, everyone) + cross_entropy(columns, places, everyone)
    number = ops.sum(everyone)
    factor = ops.where(number > 1, counted / ops.maximum(number, 1.0), 0.0)
    return ops.where(ours > 0, both, 0.0) * factor


def clip_losses(found: Similarities) -> dict:
    """Give the loss of every pair by object, (batch,) each, by its name; their sum is the loss."""
    counted = ops.sum(found.all_counted)
    return {name_of(pair): pair_loss(*found.logits(pair), found.places, *found.valid(pair), counted) for pair in PAIRS}


def pair_probabilities(rows, columns, everyone):
    """Give the mean of both directions' softmax over the valid columns, (batch, all)."""
    kept = [ops.where(everyone[None, :] > 0, item, NOTHING) for item in (rows, columns)]
    return 0.5 * sum(ops.softmax(item, axis=1) for item in kept)


def hits(found: Similarities):
    """Give where the most probable object is the object itself.

    The probability is the mean over the pairs of which an object has both modalities, 0 for a candidate that is none
    of a pair.

    Returns
    -------
    hit : tensor (batch,), float32
        1 or 0.
    asked : tensor (batch,), float32
        1 where an object counts and takes part in a pair with at least two objects, else 0.
    """
    total, weight = 0.0, 0.0
    for pair in PAIRS:
        ours, everyone = found.valid(pair)
        taking = ours * ops.cast(ops.sum(everyone) > 1, "float32")
        total = total + taking[:, None] * pair_probabilities(*found.logits(pair), everyone)
        weight = weight + taking
    asked = ops.cast(weight > 0, "float32")
    best = ops.cast(ops.argmax(total, axis=1), "int32")
    return asked * ops.cast(ops.equal(best, found.places), "float32"), asked
