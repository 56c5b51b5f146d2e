"""The one fit loop: data, network, task and strategy come together here."""

from __future__ import annotations

import dataclasses
import sys
import time
from importlib import resources
from pathlib import Path

import numpy as np

from tfrecords.batch import named_objects
from tfrecords.errors import DataError, UsageError
from zoo import registry
from zoo.training import boards, copied, files, logger, start
from zoo.training.resolve import Resolved, resolve
from zoo.training.run import STATE, Run, read_config, read_state

RESUMABLE = {"epochs", "data", "extra_data", "devices", "max_hours"}
"""Options that may differ when a run goes on; the fingerprint guards the data."""

FIT_ROWS = 100_000
"""Most training rows that stage-2 tables are fitted on, drawn by the run's seed."""


def sample_directory() -> Path:
    """Give the directory of the records that come with the project."""
    return Path(str(resources.files("tfrecords") / "plasticc_sample"))


def fit(model: str, preset: str | None = None, *, config: str | None = None, config_from=None, arguments=None,
        resume=None, quiet: bool = False, **options) -> Run | None:  # fmt: skip
    """Train a model; write checkpoints, metrics, TensorBoard logs, bundle, report and SavedModel.

    Parameters
    ----------
    model : str
        Name in the registry, see ``zoo.list_models``.
    preset : str, optional
        Name or file of a preset; the family's default when absent.
    config : str, optional
        YAML file of options that win over the preset.
    config_from : path, optional
        Earlier run whose optimisation, dropout, data and few others are taken (`zoo.training.copied.KEYS`), as far as
        both have them; they win over the preset, ``config`` and options over them.
    arguments : sequence of str, optional
        Command-line flags.
    resume : path, optional
        Run to go on with from its last finished epoch; of the options only ``epochs``, ``data``, ``extra_data``,
        ``devices`` and ``max_hours`` may be given.
    quiet : bool
        No progress.
    **options
        Every option of ``python -m zoo.fit --model MODEL --help``; they win over preset and file.

    Returns
    -------
    zoo.training.run.Run or None
        The finished run; None on every worker of several but the chief, see `zoo.training.workers`.

    Raises
    ------
    UsageError
        For an unknown name, key or value.
    DataError
        For broken or empty data, a damaged checkpoint, or a loss that is not finite.
    """
    if resume is not None:
        if (given := preset or config or config_from) is not None:
            raise UsageError(f"--resume keeps the run's own preset and config. Received: {given}")
        settled, path = _resumed(Path(resume), model, arguments, options)
    else:
        settled = resolve(model, preset, config, arguments, config_from=config_from, **options)
        if config_from is not None and not quiet:
            print(copied.message(settled, config_from), file=sys.stderr)
        path = None
    return run(settled, path, quiet=quiet)


def _resumed(path: Path, model: str, arguments, options) -> tuple[Resolved, Path]:
    stored = read_config(path)
    if model is not None and stored["model"] != model:
        raise UsageError(f"--resume {path}: this run is of model {stored['model']!r}. Received: {model!r}")
    new = resolve(stored["model"], arguments=arguments, **options)
    given = {key for key, where in new.origin.items() if where == "flag"}
    if given - RESUMABLE:
        raise UsageError(
            f"--resume takes no options but {', '.join(sorted(RESUMABLE))}; the rest is the run's own. "
            f"Received: {sorted(given)}"
        )
    flat = {key: value for section in ("hparams", "inputs", "selection", "run")
            for key, value in stored[section].items()}  # fmt: skip
    flat |= {key: getattr(new.run, key) for key in given}
    settled = resolve(stored["model"], **flat)
    old_origin = stored.get("origin") or {}
    origin = {key: "flag" if key in given else old_origin.get(key, "flag") for key in settled.origin}
    return dataclasses.replace(settled, preset=str(stored.get("preset", "")), origin=origin), path


def open_data(settled: Resolved):
    """Open the data of a configuration.

    Returns
    -------
    directory : tfrecords.reader.RecordDirectory
    spec : zoo.inputs.spec.DataSpec
    splits : dict of str to zoo.inputs.data.Examples
    """
    from tfrecords.reader import RecordDirectory
    from zoo.inputs import data, joined
    from zoo.inputs import spec as specs
    from zoo.tasks import base

    labelled = base.find(registry.get(settled.model).task, settled.run.loss).labelled
    path = Path(settled.run.data) if settled.run.data else sample_directory()
    if not path.is_dir():
        raise UsageError(f"--data must be a directory of records. Received: {path}")
    directory = RecordDirectory(path)
    spec = specs.describe(directory, settled.hparams.parts(), settled.inputs, settled.selection, settled.run.taxonomy)
    spec, splits = data.splits(directory, spec, settled.selection, settled.run.fold, settled.run.seed,
                               settled.inputs, settled.run.target_group, labelled)  # fmt: skip
    if settled.run.extra_data:
        splits["extra"] = joined.extra(settled.run.extra_data, splits["train"], settled.run.fold, labelled)
    if "target" in settled.hparams.parts():
        for name in {"train", "extra"} & set(splits):
            data.check_twins(splits[name])
    if "spectrum" in settled.hparams.parts():
        data.check_spectra(splits["train"], settled.inputs, set(settled.hparams.parts()) == {"spectrum"})
    if set(settled.hparams.parts()) == {"static"}:
        data.check_columns(splits["train"])
    if spec.period is not None:
        data.check_periods(splits["train"])
    return directory, spec, splits


def _training_objects(splits, share: float | None):
    from zoo.inputs.joined import Joined

    return Joined([splits["train"], splits["extra"]], share) if "extra" in splits else splits["train"]


def run(settled: Resolved, path: Path | None = None, quiet: bool = False, parent: Path | None = None) -> Run | None:
    """Train by a settled configuration.

    Parameters
    ----------
    settled : Resolved
    path : Path, optional
        The run to go on with; a new one when absent.
    quiet : bool
        No progress.
    parent : Path, optional
        Where a new run is made; ``<runs>/<model>`` when absent.

    Returns
    -------
    Run or None
        None on all of several workers but the chief.
    """
    from zoo.training import devices, workers

    options = settled.run
    if options.members > 1:
        from zoo.training import ensemble

        workers.refuse("--members")
        return ensemble.run(settled, path, quiet)
    if options.stages:
        from zoo.training import stages

        workers.refuse("--stages")
        return stages.run(settled, path, quiet)
    if options.reset and not options.init_from:
        raise UsageError("--reset goes with --init-from RUN. Received: no --init-from")
    if options.logger is not None:
        logger.find(options.logger)
    strategy = devices.strategy(options.devices)
    team = workers.Workers(strategy)
    with team.together():
        finished, splits = _train(settled, path, parent, quiet or not team.chief, strategy, team)
    return None if finished is None else finish(finished, len(splits["test"]), quiet)


def finish(finished: Run, tested: int, quiet: bool) -> Run:
    """Write the report on ``tested`` test objects and the SavedModel of a trained run, as its options say."""
    options = finished.run_config
    if options.evaluate and tested:
        from zoo.training.evaluation import evaluate

        evaluate([finished], quiet=quiet)
    elif options.evaluate and not quiet:
        print("no report: the split 'test' is empty", file=sys.stderr)
    if options.export:
        finished.export()
    return finished


def _train(settled: Resolved, path: Path | None, parent: Path | None, quiet: bool, strategy, team):
    """Train; give the finished run, None on all workers but the chief, and the splits."""
    import keras
    import tensorflow as tf

    from zoo.tasks import base
    from zoo.taxonomies import tree as trees
    from zoo.training import bundle as bundles
    from zoo.training import callbacks as around
    from zoo.training import devices, warm_start
    from zoo.training.model import Trainable
    from zoo.training.prediction import calibrate
    from zoo.training.prior import fit_prior
    from zoo.training.time_limit import TimeLimit

    started = time.monotonic()
    # A run must find its data again from wherever it is evaluated.
    places = {key: str(Path(value).resolve()) for key in ("data", "extra_data")
              if (value := getattr(settled.run, key)) is not None}  # fmt: skip
    if settled.run.taxonomy:
        places["taxonomy"] = trees.located(settled.run.taxonomy)
    settled = dataclasses.replace(settled, run=dataclasses.replace(settled.run, **places))
    options, entry = settled.run, registry.get(settled.model)
    devices.check_batch(options.batch_size, strategy.num_replicas_in_sync)
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(options.seed)
    directory, spec, splits = open_data(settled)
    train, data = _training_objects(splits, options.extra_share), start.fingerprints(spec, splits)
    if hasattr(settled.hparams, "for_rows"):
        hparams = settled.hparams.for_rows(min(len(train), FIT_ROWS))
        settled = dataclasses.replace(settled, hparams=hparams)
    state = None
    if path is not None:
        state = read_state(path)
        start.check_fingerprints(path, data)
    team.check_same(**_common(settled, path, data, state))
    bundle = bundles.Bundle(settled.model, dataclasses.asdict(settled.hparams), settled.inputs, spec, options.loss)
    task = base.create(entry.task, spec, options)
    if task.labelled:
        task.prepare(start.class_counts(train.labels, spec, options.sampling))
    from zoo.inputs import pipeline
    from zoo.inputs.spec import build_stage

    stage = build_stage(spec, entry.view, bundle.config.parts(), settled.inputs, spec.record_static)
    keras.mixed_precision.set_global_policy("mixed_bfloat16" if options.mixed_precision == "bfloat16" else "float32")
    try:
        with strategy.scope():
            network = bundle.build()
            warm_start.freeze(network, options.freeze)
            if state is None:
                fit_tables(network, train, settled)
                lines = warm_start.initialise(network, options.init_from or [], options.reset, bundle)
                if getattr(settled.hparams, "fit_prior", False):
                    lines.append(fit_prior(network, splits["train"], stage, options))
            else:
                lines = []
            dataset, steps = _training_data(train, stage, settled, state, team.share)
            model = _compiled(Trainable(network, task, options.clip_norm, options.coupled_decay), options, steps)
        if path is None:
            path = Path(team.chief_does(lambda: start.start(settled, directory, spec, splits, parent)))
        else:
            team.chief_does(lambda: _go_on(path, settled, data, model, state))
            if not team.chief:
                # The chief has put the files right, should the run have ended between two of them.
                bundles.load_weights(model, path / "checkpoints" / around.LAST)
            for seed, value in zip(around.dropout_seeds(network), state["seeds"], strict=True):
                seed.assign(np.array(value, "uint32"))
        for line in lines if not quiet else ():
            print(line, file=sys.stderr)
        validation, rounds = pipeline.at_cuts(
            splits["validation"], stage, options.batch_size, options.cuts, share=team.share
        )
        recorder = around.Recorder(path, options, task, steps, state, quiet, writes=team.chief)
        watchers = [around.ClassBoard(None, spec.classes)]
        if team.chief:
            watchers = boards.boards(path, settled, spec, splits["validation"], stage)
        extra = [around.LossGuard(options.max_bad_steps, path), around.AverageInValidation(), recorder, *watchers]
        if options.max_hours is not None:
            extra.append(TimeLimit(options.max_hours, started, path, team, quiet))
        first = recorder.state["epoch"]
        bar = None
        if not quiet and sys.stderr.isatty() and first < options.epochs:
            bar = around.ProgressBar(steps, first, options.epochs)
            extra.append(bar)
        done = options.patience and recorder.state["wait"] >= options.patience
        try:
            if first < options.epochs and not done:
                with named_objects():
                    model.fit(
                        team.distribute(dataset), epochs=options.epochs, initial_epoch=first, steps_per_epoch=steps,
                        validation_data=team.distribute(validation), validation_steps=rounds if team.several else None,
                        callbacks=extra, verbose=0, shuffle=False,
                    )  # fmt: skip
        finally:
            if bar is not None:
                bar.bar.stop()
        if recorder.state["best"] is None:
            raise DataError(f"{path}: no epoch gave a finite {task.monitor}. Received: see {path}/metrics.csv")
        team.farewell()
        if not team.chief:
            return None, splits
        best = path / "checkpoints" / around.BEST
        bundles.load_weights(network, best)
        bundles.save(path / "bundle", bundle, network)
        if options.calibrate != "none":
            # A network outside the strategy: nothing of it needs another worker any more.
            plain = bundles.load_network(path / "bundle", bundle)
            fitted = calibrate(options.calibrate, plain, task, splits["validation"], stage, quiet)
            bundles.save(path / "bundle", dataclasses.replace(bundle, calibration=fitted), plain)
        recorder.state["finished"] = True
        files.write_json(path / STATE, recorder.state)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    return Run(path), splits


def _common(settled: Resolved, path: Path | None, data, state) -> dict:
    """Give what all workers must have in common, by name; where the data lie may differ."""
    from zoo import __version__

    options = dataclasses.asdict(settled.run) | {"data": None, "extra_data": None, "devices": None}
    sections = [settled.model, settled.hparams, settled.inputs, settled.selection]
    return {"zoo": __version__, "data": sorted(data.items()), "options": [*sections, sorted(options.items())],
            "run to resume": (path and path.name, state)}  # fmt: skip


def _go_on(path: Path, settled: Resolved, data, model, state) -> Path:
    from zoo.training.callbacks import load_checkpoint

    start.write_config(path, settled, data)
    load_checkpoint(path, model, state)
    return path


def fit_tables(network, train, settled: Resolved) -> None:
    """Fit the network's stage-2 layers on the training split."""
    layers, seed = dict(network.fitted()), settled.run.seed
    static = None
    # A network may have several, ``static_...``.
    tables = [name for name in layers if name.split("_")[0] == "static"]
    if tables or "rest_frame" in layers:
        static = train.static_values(FIT_ROWS, seed, settled.inputs.missing_rules)
    for name in tables:
        layers.pop(name).fit(static)
    if "alert" in layers:
        layers.pop("alert").fit(train.alert_values(seed, settled.inputs))
    if not layers:
        return
    days = len(train.spec.feature_days)
    several = any(layer.settings["sets"] > 1 for layer in layers.values())
    for place, day in enumerate(range(days) if several else [days - 1]):
        rows = train.feature_rows(FIT_ROWS, seed, day)
        if "features" in layers:
            layers["features"].fit(rows, place)
        if "rest_frame" in layers:
            # Static columns and features are of the same objects: both draws are by the run's seed.
            layers["rest_frame"].fit(rows, static[:, network.redshift_column()], place)


def _training_data(train, stage, settled: Resolved, state, share):
    from zoo.inputs import pipeline

    options = settled.run
    epoch = pipeline.stream(train, options.sampling, options.seed).epoch_size
    steps = max(1, epoch // options.batch_size)
    if options.steps_per_epoch is not None:
        steps = min(steps, options.steps_per_epoch)
    if state is not None and state["steps_per_epoch"] != steps:
        raise DataError(f"the run was started with {state['steps_per_epoch']} steps an epoch. Received: {steps}")
    dataset, _ = pipeline.training(
        train, stage, options.batch_size, sampling=options.sampling, seed=options.seed,
        chunk_batches=options.chunk_batches, first_step=state["step"] if state else 0,
        share=share,
    )  # fmt: skip
    return dataset, steps


def _compiled(model, options, steps: int):
    from zoo.optimizers.build import optimizer

    # Both are what tf.distribute needs; on one device neither gains anything on a CPU.
    width = getattr(getattr(model.network, "config", None), "d_model", None)
    model.compile(optimizer(options, steps, width), jit_compile=False, steps_per_execution=1)
    model.optimizer.build(model.network.trainable_variables)
    return model
