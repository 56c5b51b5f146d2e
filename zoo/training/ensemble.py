"""Small ensembles: networks of one kind, trained one after another, that answer together."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from pathlib import Path

import keras
from keras import ops

from tfrecords.errors import DataError, UsageError
from zoo import registry
from zoo.losses.hierarchical import log_conditional
from zoo.tasks import base
from zoo.tasks.classify import weighted_logits
from zoo.training import bundle as bundles
from zoo.training.prediction import calibrate
from zoo.training.run import STATE, Run


@keras.saving.register_keras_serializable(package="zoo")
class Ensemble(keras.Model):
    """The mean of the members' calibrated log-probabilities, as the logits of one head ``ensemble``.

    Parameters
    ----------
    members : sequence of keras.Model
        Built networks of one configuration.
    calibrations : sequence of dict
        Weights of each member's heads; empty for its primary head.
    tree : Taxonomy, optional
        Of members with one logit a node: their mean is then of log-probabilities among siblings.
    """

    heads, primary = ("ensemble",), "ensemble"

    def __init__(self, members, calibrations, tree=None):
        super().__init__(autocast=False, name="ensemble")
        self.members, self.info, self.tree = list(members), members[0].info, tree
        self.calibrations = [dict(item) or {members[0].primary: 1.0} for item in calibrations]
        self.built = True

    def call(self, inputs, training=None):
        """Give the dict of logits (batch, class), or (batch, node) under a tree."""
        found = [
            self._log_probabilities(weighted_logits(weights, member(inputs, training=training)))
            for member, weights in zip(self.members, self.calibrations, strict=True)
        ]
        return {self.primary: sum(found[1:], found[0]) / len(found)}

    def represent(self, inputs):
        """Give the representations of the members side by side, (batch, members · dimension), float32."""
        return ops.concatenate([member.represent(inputs) for member in self.members], axis=-1)

    def _log_probabilities(self, logits):
        return ops.log_softmax(logits, axis=-1) if self.tree is None else log_conditional(logits, self.tree)


def run(settled, path: Path | None, quiet: bool) -> Run:
    """Train the members of an ensemble, or go on with them, and write the run that holds them all.

    The members are runs of their own under ``members/`` of the run.
    """
    from zoo.training import loop, start

    options = settled.run
    if not base.find(registry.get(settled.model).task, options.loss).labelled:
        raise UsageError(
            f"--members averages probabilities, and {settled.model} gives none. Received: {options.members}"
        )
    directory, spec, splits = loop.open_data(settled)
    if options.member_folds and not directory.info.folds:
        raise UsageError("--member-folds: the data set has no folds; convert it with --folds K. Received: none")
    if path is None:
        path = start.start(settled, directory, spec, splits)
    members = [_member(settled, path, number, directory.info.folds, quiet) for number in range(options.members)]
    return loop.finish(_combine(settled, path, members, splits, quiet), len(splits["test"]), quiet)


def _member(settled, path: Path, number: int, folds: int, quiet: bool) -> Run:
    from zoo.training import loop

    options = settled.run
    place = path / "members" / str(number)
    if not quiet:
        print(f"member {number + 1} of {options.members}", file=sys.stderr, flush=True)
    changes = {"members": 1, "seed": options.seed + number, "name": str(number), "runs": str(path),
               "evaluate": False, "export": False}  # fmt: skip
    if options.member_folds:
        changes["fold"] = ((options.fold or 0) + number) % folds
    member = dataclasses.replace(settled, run=dataclasses.replace(options, **changes))
    if (place / STATE).is_file():
        return loop.run(member, place, quiet)
    if place.exists():
        shutil.rmtree(place)
    return loop.run(member, None, quiet, parent=path / "members")


def _combine(settled, path: Path, members: list[Run], splits, quiet: bool) -> Run:
    first = members[0].bundle
    for member in members[1:]:
        if (member.bundle.spec, member.bundle.hparams) != (first.spec, first.hparams):
            raise DataError(
                f"{member.path}: the folds of the members differ in their classes or in the number of objects that "
                "quantiles rest on; raise --min-per-class or lower --quantiles. "
                f"Received: {', '.join(member.bundle.spec.classes)}; {member.bundle.hparams.get('quantiles')} quantiles"
            )
    bundle = dataclasses.replace(first, calibration={}, members=tuple(member.bundle.calibration for member in members))
    network = Ensemble([member.network for member in members], bundle.members, bundle.spec.tree)
    task = base.create(bundle.entry.task, bundle.spec, settled.run)
    # With folds of their own some members have trained on what the first validates on.
    if not settled.run.member_folds:
        stage = members[0].stage(bundle.spec.record_static)
        fitted = calibrate(settled.run.calibrate, network, task, splits["validation"], stage, quiet)
        bundle = dataclasses.replace(bundle, calibration=fitted)
    bundles.save(path / "bundle", bundle, network)
    return Run(path)
