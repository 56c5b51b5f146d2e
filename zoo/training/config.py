"""Everything of a run that is neither model nor input: data, optimisation, devices, output."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any, Literal

from tfrecords.errors import UsageError
from zoo.inputs.cuts import WHOLE, Cut
from zoo.training import optimisation

BY_MONITOR = {
    "macro_f1_over_days": tuple(map(Cut, (1.0, 8.0, 64.0, math.inf))),
    "macro_f1_over_fractions": tuple(Cut(fraction=share) for share in (0.1, 0.4, 0.6, 1.0)),
}
"""Cuts of the validation split that a monitor asks for where none are named."""


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Options of a training run.

    Attributes
    ----------
    data : str, optional
        Directory of records; the sample that comes with the project when absent.
    runs : str
        Directory under which runs are kept, as ``<runs>/<model>/<name>``.
    name : str, optional
        Name of the run; preset, fold, seed and a number when absent.
    epochs : int
        Most epochs to train.
    batch_size : int
        Objects a step, over all devices.
    steps_per_epoch : int, optional
        Steps between validations; a pass through the data when absent.
    fold : int, optional
        Fold to validate on, in a data set with folds; 0 when absent.
    seed : int
        Fixes everything random.
    devices : str
        ``auto`` (all GPUs, else the CPU), ``cpu``, ``cpu:N`` (N logical CPU devices) or ``gpu:0,1``; under
        TF_CONFIG the devices of each worker, not ``cpu:N``. Several devices or workers give the weights of one
        but for rounding, and but for dropout, which draws a mask for each device's part of a batch.
    mixed_precision : {"float32", "bfloat16"}
        Precision of the network's matrix products; times, losses and tables stay in float32.
    loss : str
        Name of the task's loss. For classes: ``crossentropy``, ``weighted_crossentropy`` (by the inverse numbers of
        training objects), ``focal``, ``sigmoid_focal``, ``hierarchical``, or the crossentropy plus the triplets of a
        batch, ``triplet_semihard`` and ``triplet_hard``.
    class_weights : {"none", "balanced", "largest"}
        Under any loss of classes: multiply an object's loss by N / (K n), of n training objects of its class among N
        of K classes, or by n of the largest class over its own (RAPID's), or not at all.
    taxonomy : str, optional
        Tree of classes, by name or as a YAML file; goes with ``loss hierarchical``, whose networks have one logit a
        node. The next six go with it too.
    hierarchy_alpha : float
        A node at level l counts exp(-alpha l) in the loss.
    hierarchy_by : {"depth", "height"}
        Its level: edges to the root (larger alpha favours coarse nodes) or to its deepest leaf (fine nodes).
    phase_aware : bool
        Make ``hierarchy_alpha`` an object's own, alpha · beta^f, where f is the share of its observations that
        ``truncate`` left (1 without; ``drop_fraction`` does not count).
    phase_beta : float
        beta of ``phase_aware``.
    node_weights : {"counts", "none"}
        Weigh nodes by N / (M n), with n of the N training objects below each of the M nodes, or all alike.
    absent_nodes : {"error", "zero"}
        What becomes of a node, or under ``weighted_crossentropy`` or ``class_weights`` a class, without training
        objects.
    label_smoothing : float
        Share of the target that is spread over all classes.
    entropy_weight : float
        For classes of objects: take so many times the entropy of the predicted probabilities, in nats, off the loss
        (beta of ALeRCE's stamp classifier).
    target_group : str, optional
        Derived group of computed targets for tasks that take some: per_step takes ``t0`` of the group that
        data_tools.explosion_time makes.
    wgt_map : bool
        For reconstructions: weigh each point with 1 / flux_err² in the loss.
    reduction : {"observed", "all_points"}
        For reconstructions: mean over each object's observed points; or over all points of the batch, missing ones
        with an error of 0, as in the original transformer autoencoder.
    figure_epochs : int
        For reconstructions: epochs between figures in TensorBoard.
    sampling : {"natural", "balanced", "replicate", "sampler", "undersample"}
        Objects as they are; classes in turns, each repeated up to the largest; the same shuffled; draws with
        replacement, every class as likely as any other; or of every class as many as the smallest has, drawn anew
        every epoch.
    metrics : list of str, optional
        Further scores of the task that are shown and written every epoch, for instance ``cohen_kappa,matthews``.
    monitor : str, optional
        What the best epoch and ``patience`` go by, of the validation split: ``loss`` or one of the task's scores,
        ``macro_f1_over_days`` among them, the mean of the macro F1 at each of ``validation_days``. For classes
        ``macro_f1`` when absent.
    validation_days : list of float, optional
        Validate on every object once a day, its light curve cut so many days after the reference time (``inf``: not
        cut). ``val_loss`` and the scores are over all of them together, and the macro F1 of each day is logged too.
        Whole light curves when absent; 1, 8, 64 and inf under ``monitor macro_f1_over_days``.
    validation_fractions : list of float, optional
        In its place the first observations by these shares, for instance 0.1,0.4,0.6,1; 0.1, 0.4, 0.6 and 1 under
        ``monitor macro_f1_over_fractions``.
    optimizer : str
        Name of the optimizer; ``ranger`` is ``rectified_adam`` with ``lookahead`` 6 unless that says otherwise.
    learning_rate : float
        Its largest learning rate.
    beta_1 : float
        Decay of the first moment (momentum for ``sgd``).
    beta_2 : float
        Decay of the second moment.
    epsilon : float
        Added to the root of the second moment.
    weight_decay : float
        Weight decay, times the learning rate, for ``adamw``, ``lamb`` (within the step whose length it sets by
        layer), ``rectified_adam`` and ``ranger``.
    coupled_decay : float
        Coupled decay, for every optimizer: so many times each trained weight, biases and scales included, is added to
        its gradient after clipping, as the weight_decay of PyTorch's Adam.
    lookahead : int
        Steps after which slow weights move towards those of the optimizer, which goes on from there; 0 for none.
    lookahead_step : float
        Share of the way that the slow weights move.
    clip_norm : float, optional
        Largest norm c of the whole gradient g, which is multiplied by min(1, c / (|g| + 1e-6)). The means over an
        epoch's steps, ``gradient_norm`` before and ``gradient_norm_clipped`` after, are in metrics.csv and TensorBoard.
    weight_average : float
        Decay a step of a running mean of the weights, for instance 0.995; validation, checkpoints of the best
        epoch and the finished model use the mean. 0 for none.
    calibrate : {"none", "temperature", "heads"}
        Make probabilities out of the logits, times the number (``temperature``), or out of a weighted sum of the
        logits of all heads (``heads``), that gives the least log-loss on the validation split.
    members : int
        Train so many networks, with seeds from ``seed`` on, and average their log-probabilities.
    member_folds : bool
        Let every member validate on a fold of its own, from ``fold`` on: together they train on all that is not test.
    extra_data : str, optional
        Directory of more training objects of the same survey, for instance re-simulated copies; its own training
        part joins the training split, nothing of it validation or test.
    extra_share : float, optional
        Share of the training batches' objects that come from ``extra_data``, if there are any; by their numbers when
        absent.
    schedule : str
        Learning rate over the steps: constant, cosine, exponential, linear, plateau, triangular, triangular2,
        triangular_exp or adjustable; exponential_epochs is ``decay_rate`` to the power of the epoch. The triangular
        ones rise and fall between ``final_rate`` and the largest; the swing stays, is halved with each cycle, or decays
        by ``cycle_decay``. "adjustable" is (d · S)^(−1/2) · min(s^(−1/2), s · w^e) at step s, where d is the model's
        ``d_model``; ``learning_rate`` has no part in it.
    cycle_epochs : float
        Epochs of a rise and a fall, for the triangular schedules.
    cycle_decay : float
        Factor of the swing a cycle, for ``triangular_exp``.
    adjustable_scale : float
        S of the schedule "adjustable".
    warmup_learning : float
        w of the schedule "adjustable": the step of its peak, with the exponent −1.5.
    exponential_learning : float
        e of the schedule "adjustable".
    warmup_epochs : float
        Epochs of linear growth before the schedule.
    warmup : {"steps", "epochs"}
        Growth with every step; or, under constant, plateau and exponential_epochs, constant within an epoch: times
        1e-5 + (1 - 1e-5) e / W in epoch e = 0, 1 ... of W. The schedule counts from epoch W on.
    final_rate : float
        Learning rate at the end, as a share of the largest (cosine, exponential, linear), the least one (plateau), or
        at the foot of a cycle.
    decay_steps : int, optional
        Under ``exponential``: the rate is multiplied by ``decay_rate`` every so many steps, smoothly, instead of
        reaching ``final_rate`` at the end.
    decay_rate : float
        See ``decay_steps`` and the schedule ``exponential_epochs``.
    patience : int
        Epochs without improvement after which training stops; 0 never stops.
    patience_by : {"monitor", "loss"}
        What ``patience`` and ``plateau_patience`` go by: ``monitor``, or the validation loss whatever the best epoch is
        chosen by.
    patience_start : int
        Epochs without improvement that stand against ``patience`` after the first epoch; 1 in AstroM3's code.
    plateau_factor : float
        Under ``plateau``: what the rate is multiplied with after ``plateau_patience`` epochs without improvement.
    plateau_patience : int, optional
        A third of ``patience`` when absent. PyTorch's ReduceLROnPlateau calls one less by this name.
    plateau_threshold : float
        Under ``plateau``: an epoch with less than this change, as a share of the best value so far, is none of
        improvement; 1e-4 in PyTorch.
    plateau_cooldown : int
        Epochs after such a step that do not count towards the next one.
    max_hours : float, optional
        Hours of wall time after which no further epoch is begun, nor one that would last longer, as the longest so
        far did; at least one is trained. The run keeps its best epoch and can be resumed, with the same time again.
    min_delta : float
        Least change that counts as improvement.
    chunk_batches : int
        Batches that are sorted by length together.
    max_bad_steps : int
        Consecutive steps with a loss or gradient that is not finite after which the run fails. Such a step
        never changes the weights by what it computed.
    init_from : list of str, optional
        ``RUN`` or ``PART=RUN``: weights to start from. A warning names options of the inputs (folding, the grid of
        spectra, the origin of time ...) in which the runs differ, of the parts that were loaded.
    reset : list of str, optional
        Parts that keep their fresh initial values under ``init_from``.
    freeze : list of str, optional
        Parts that are not trained.
    stages : list of dict, optional
        Stages of training, one after another, each from the weights of the one before: a ``name`` and the options in
        which it differs from the run's, those of the model among them. The run is the last one's network.
    evaluate : bool
        Whether to write the test report after training.
    export : bool
        Whether to write the SavedModel after training.
    logger : str, optional
        ``MODULE:CLASS``, a Keras callback of your own beside TensorBoard, made as ``CLASS(directory, settings)`` of the
        run's directory, a ``pathlib.Path``, and all its options by name.
    """

    data: str | None = None
    runs: str = "runs"
    name: str | None = None
    epochs: int = 60
    batch_size: int = 64
    steps_per_epoch: int | None = None
    fold: int | None = None
    seed: int = 0
    devices: str = "auto"
    mixed_precision: Literal["float32", "bfloat16"] = "float32"
    loss: str = "crossentropy"
    class_weights: Literal["none", "balanced", "largest"] = "none"
    taxonomy: str | None = None
    hierarchy_alpha: float = 0.5
    hierarchy_by: Literal["depth", "height"] = "depth"
    phase_aware: bool = False
    phase_beta: float = 0.1
    node_weights: Literal["counts", "none"] = "counts"
    absent_nodes: Literal["error", "zero"] = "error"
    label_smoothing: float = 0.0
    entropy_weight: float = 0.0
    target_group: str | None = None
    wgt_map: bool = False
    reduction: Literal["observed", "all_points"] = "observed"
    figure_epochs: int = 5
    sampling: Literal["natural", "balanced", "replicate", "sampler", "undersample"] = "natural"
    metrics: list[str] | None = None
    monitor: str | None = None
    validation_days: list[float] | None = None
    validation_fractions: list[float] | None = None
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    coupled_decay: float = 0.0
    lookahead: int = 0
    lookahead_step: float = 0.5
    clip_norm: float | None = None
    weight_average: float = 0.0
    calibrate: Literal["none", "temperature", "heads"] = "none"
    members: int = 1
    member_folds: bool = False
    extra_data: str | None = None
    extra_share: float | None = None
    schedule: Literal[
        "constant", "cosine", "exponential", "linear", "plateau", "triangular", "triangular2", "triangular_exp",
        "adjustable", "exponential_epochs",
    ] = "constant"  # fmt: skip
    cycle_epochs: float = 8.0
    cycle_decay: float = 0.8
    adjustable_scale: float = 1e4
    warmup_learning: float = 10.0
    exponential_learning: float = -1.5
    warmup_epochs: float = 0.0
    warmup: Literal["steps", "epochs"] = "steps"
    final_rate: float = 0.01
    decay_steps: int | None = None
    decay_rate: float = 0.9
    patience: int = 15
    patience_by: Literal["monitor", "loss"] = "monitor"
    patience_start: int = 0
    plateau_factor: float = 0.5
    plateau_patience: int | None = None
    plateau_threshold: float = 0.0
    plateau_cooldown: int = 0
    max_hours: float | None = None
    min_delta: float = 0.0
    chunk_batches: int = 16
    max_bad_steps: int = 3
    init_from: list[str] | None = None
    reset: list[str] | None = None
    freeze: list[str] | None = None
    stages: list[dict[str, Any]] | None = None
    evaluate: bool = True
    export: bool = True
    logger: str | None = None

    def __post_init__(self):
        for key in ("epochs", "batch_size", "chunk_batches", "max_bad_steps", "members", "figure_epochs"):
            if getattr(self, key) < 1:
                raise UsageError(f"{key} must be at least 1. Received: {getattr(self, key)}")
        if self.steps_per_epoch is not None and self.steps_per_epoch < 1:
            raise UsageError(f"steps_per_epoch must be at least 1. Received: {self.steps_per_epoch}")
        if not 0 < self.learning_rate <= 100:
            raise UsageError(f"learning_rate must lie in (0, 100]. Received: {self.learning_rate}")
        if (self.loss == "hierarchical") != bool(self.taxonomy):
            raise UsageError(
                "loss hierarchical and taxonomy go together; python -m zoo.taxonomy lists the zoo's, "
                "--taxonomy null takes away a preset's. "
                f"Received: loss {self.loss}, taxonomy {self.taxonomy or 'none'}"
            )
        if self.class_weights != "none" and self.loss == "weighted_crossentropy":
            raise UsageError(
                "loss weighted_crossentropy weighs classes itself: set class_weights none, or loss crossentropy. "
                f"Received: {self.class_weights}"
            )
        if not math.isfinite(self.hierarchy_alpha):
            raise UsageError(f"hierarchy_alpha must be a finite number. Received: {self.hierarchy_alpha}")
        if self.phase_aware and self.loss != "hierarchical":
            raise UsageError(f"phase_aware goes with loss hierarchical. Received: {self.loss}")
        if not 0 < self.phase_beta < math.inf:
            raise UsageError(f"phase_beta must be a positive number. Received: {self.phase_beta}")
        self._check_cuts()
        if not 0 <= self.entropy_weight < math.inf:
            raise UsageError(f"entropy_weight must be >= 0. Received: {self.entropy_weight}")
        self._check_stages()
        if not 0 <= self.label_smoothing < 1:
            raise UsageError(f"label_smoothing must lie in [0, 1). Received: {self.label_smoothing}")
        if self.seed < 0:
            raise UsageError(f"seed must be >= 0. Received: {self.seed}")
        optimisation.check(self)
        if self.logger is not None and not re.fullmatch(r"[\w.]+:\w+", self.logger):
            raise UsageError(f"logger is MODULE:CLASS, as Python imports them. Received: {self.logger}")
        if self.max_hours is not None and not self.max_hours > 0:
            raise UsageError(f"max_hours must be positive. Received: {self.max_hours}")
        if self.wgt_map and self.reduction != "observed":
            raise UsageError(f"wgt_map goes with reduction observed. Received: {self.reduction}")
        if self.extra_share is not None and not 0 < self.extra_share < 1:
            raise UsageError(f"extra_share must lie in (0, 1). Received: {self.extra_share}")
        if self.extra_share is not None and self.sampling != "natural":
            raise UsageError(f"extra_share goes with sampling natural. Received: {self.sampling}")

    def _check_stages(self):
        names = [str(stage.get("name", "")) for stage in self.stages or ()]
        if len(set(names)) != len(names) or not all(re.fullmatch(r"[\w.+-]+", name) for name in names):
            raise UsageError(
                f"stages must each have a name of their own, of letters, digits and . + - _. Received: {names}"
            )
        if names and self.members > 1:
            raise UsageError(f"members are trained in one stage: set stages null. Received: {self.members}")

    def _check_cuts(self):
        days, shares = self.validation_days, self.validation_fractions
        if days is not None and shares is not None:
            raise UsageError(f"name validation_days or validation_fractions, not both. Received: {days} and {shares}")
        for key, values in (("validation_days", days), ("validation_fractions", shares)):
            if values is not None and (not values or len(set(values)) != len(values)):
                raise UsageError(f"{key} must be different numbers, one at least. Received: {values}")
        if any(math.isnan(day) or day == -math.inf for day in days or ()):
            raise UsageError(f"validation_days must be numbers of days, or inf. Received: {days}")
        if any(not 0 < share <= 1 for share in shares or ()):
            raise UsageError(f"validation_fractions must lie in (0, 1]. Received: {shares}")
        other = {"macro_f1_over_days": shares, "macro_f1_over_fractions": days}.get(self.monitor)
        if other is not None:
            raise UsageError(f"monitor {self.monitor} goes with cuts of its own kind. Received: {other}")

    @property
    def cuts(self) -> tuple[Cut, ...]:
        """The cuts of the light curves that the validation split is scored at; the whole ones as a rule."""
        if self.validation_days is not None:
            return tuple(Cut(day) for day in self.validation_days)
        if self.validation_fractions is not None:
            return tuple(Cut(fraction=share) for share in self.validation_fractions)
        return BY_MONITOR.get(self.monitor, (WHOLE,))
