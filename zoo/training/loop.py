"""The one fit loop: data, network, task and strategy come together here."""

from __future__ import annotations

import dataclasses
import sys
from importlib import resources
from pathlib import Path

import numpy as np

from tfrecords.errors import DataError, UsageError
from zoo.training import files
from zoo.training.resolve import Resolved, resolve
from zoo.training.run import CONFIG, STATE, Run, new_directory, read_config, read_state

RESUMABLE = {"epochs", "data", "devices"}
"""Options that may differ when a run goes on; the fingerprint guards the data."""

FIT_ROWS = 100_000
"""Most training rows that stage-2 tables are fitted on, drawn by the run's seed."""


def sample_directory() -> Path:
    """Give the directory of the records that come with the project."""
    return Path(str(resources.files("tfrecords") / "plasticc_sample"))


def fit(model: str, preset: str | None = None, *, config: str | None = None, arguments=None,
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
    arguments : sequence of str, optional
        Command-line flags.
    resume : path, optional
        Run to go on with from its last finished epoch; of the options only ``epochs``, ``data`` and ``devices``
        may be given.
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
        if preset is not None or config is not None:
            raise UsageError(f"--resume keeps the run's own preset and config. Received: {preset or config}")
        settled, path = _resumed(Path(resume), model, arguments, options)
    else:
        settled = resolve(model, preset, config, arguments, **options)
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
    spec : zoo.inputs.data.DataSpec
    splits : dict of str to zoo.inputs.data.Examples
    """
    from tfrecords.reader import RecordDirectory
    from zoo.inputs import data

    path = Path(settled.run.data) if settled.run.data else sample_directory()
    if not path.is_dir():
        raise UsageError(f"--data must be a directory of records. Received: {path}")
    directory = RecordDirectory(path)
    spec = data.describe(directory, settled.hparams.parts(), settled.inputs, settled.selection)
    return directory, *data.splits(directory, spec, settled.selection, settled.run.fold, settled.run.seed)


def run(settled: Resolved, path: Path | None = None, quiet: bool = False) -> Run | None:
    """Train by a settled configuration; ``path`` is the run to go on with, or None for a new one."""
    from zoo.training import devices, workers

    options = settled.run
    if options.reset and not options.init_from:
        raise UsageError("--reset goes with --init-from RUN. Received: no --init-from")
    strategy = devices.strategy(options.devices)
    team = workers.Workers(strategy)
    with team.together():
        finished, splits = _train(settled, path, quiet or not team.chief, strategy, team)
    if finished is None:
        return None
    if options.evaluate and len(splits["test"]):
        from zoo.training.evaluation import evaluate

        evaluate([finished], quiet=quiet)
    elif options.evaluate and not quiet:
        print("no report: the split 'test' is empty", file=sys.stderr)
    if options.export:
        finished.export()
    return finished


def _train(settled: Resolved, path: Path | None, quiet: bool, strategy, team):
    """Train; give the finished run, None on all workers but the chief, and the splits."""
    import keras
    import tensorflow as tf

    from zoo import registry
    from zoo.tasks import base
    from zoo.training import bundle as bundles
    from zoo.training import callbacks as around
    from zoo.training import devices, warm_start
    from zoo.training.model import Trainable

    if settled.run.data is not None:
        # A run must find its data again from wherever it is evaluated.
        place = str(Path(settled.run.data).resolve())
        settled = dataclasses.replace(settled, run=dataclasses.replace(settled.run, data=place))
    options, entry = settled.run, registry.get(settled.model)
    devices.check_batch(options.batch_size, strategy.num_replicas_in_sync)
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(options.seed)
    directory, spec, splits = open_data(settled)
    if hasattr(settled.hparams, "for_rows"):
        hparams = settled.hparams.for_rows(min(len(splits["train"]), FIT_ROWS))
        settled = dataclasses.replace(settled, hparams=hparams)
    state = None
    if path is not None:
        state = read_state(path)
        _check_fingerprint(path, spec)
    team.check_same(**_common(settled, path, spec, state))
    bundle = bundles.Bundle(settled.model, dataclasses.asdict(settled.hparams), settled.inputs, spec, options.loss)
    task = base.create(entry.task, spec, options)
    from zoo.inputs.data import build_stage
    from zoo.inputs.pipeline import evaluation

    stage = build_stage(spec, entry.view, bundle.config.parts(), settled.inputs, spec.record_static)
    keras.mixed_precision.set_global_policy("mixed_bfloat16" if options.mixed_precision == "bfloat16" else "float32")
    try:
        with strategy.scope():
            network = bundle.build()
            warm_start.freeze(network, options.freeze)
            if state is None:
                fit_tables(network, splits["train"], settled)
                lines = warm_start.initialise(network, options.init_from or [], options.reset)
            else:
                lines = []
            dataset, steps = _training_data(splits["train"], stage, settled, state, team.share)
            model = _compiled(Trainable(network, task, options.clip_norm), options, steps)
        if path is None:
            path = Path(team.chief_does(lambda: _start(settled, directory, spec, splits)))
        else:
            team.chief_does(lambda: _go_on(path, settled, spec, model, state))
            if not team.chief:
                # The chief has put the files right, should the run have ended between two of them.
                bundles.load_weights(model, path / "checkpoints" / around.LAST)
            for seed, value in zip(around.dropout_seeds(network), state["seeds"], strict=True):
                seed.assign(np.array(value, "uint32"))
        for line in lines if not quiet else ():
            print(line, file=sys.stderr)
        validation, rounds = evaluation(splits["validation"], stage, options.batch_size, share=team.share)
        recorder = around.Recorder(path, options, task, steps, state, quiet, writes=team.chief)
        boards = _board(path, settled, spec) if team.chief else [around.ClassBoard(None, spec.classes)]
        extra = [around.LossGuard(options.max_bad_steps, path), recorder, *boards]
        first = recorder.state["epoch"]
        bar = None
        if not quiet and sys.stderr.isatty() and first < options.epochs:
            bar = around.ProgressBar(steps, first, options.epochs)
            extra.append(bar)
        done = options.patience and recorder.state["wait"] >= options.patience
        try:
            if first < options.epochs and not done:
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
        recorder.state["finished"] = True
        files.write_json(path / STATE, recorder.state)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    return Run(path), splits


def _common(settled: Resolved, path: Path | None, spec, state) -> dict:
    """Give what all workers must have in common, by name; where the data lie may differ."""
    from zoo import __version__

    options = dataclasses.asdict(settled.run) | {"data": None, "devices": None}
    sections = [settled.model, settled.hparams, settled.inputs, settled.selection]
    return {"zoo": __version__, "data": spec.fingerprint, "options": [*sections, sorted(options.items())],
            "run to resume": (path and path.name, state)}  # fmt: skip


def _go_on(path: Path, settled: Resolved, spec, model, state) -> Path:
    from zoo.training.callbacks import load_checkpoint

    _write_config(path, settled, spec)
    load_checkpoint(path, model, state)
    return path


def _check_fingerprint(path: Path, spec) -> None:
    stored = read_config(path).get("data_fingerprint")
    if stored != spec.fingerprint:
        raise DataError(
            f"{path}: the data are not those the run was started on. Valid: fingerprint {stored}. "
            f"Received: {spec.fingerprint}"
        )


def fit_tables(network, train, settled: Resolved) -> None:
    """Fit the network's stage-2 layers on the training split."""
    layers, seed = network.fitted(), settled.run.seed
    if "static" in layers:
        rules = settled.inputs.missing_rules
        layers["static"].fit(train.static_values(FIT_ROWS, seed, rules))
    if "features" in layers:
        rows, layer = train.feature_rows(FIT_ROWS, seed), layers["features"]
        days = range(rows.shape[1]) if layer.settings["sets"] > 1 else [rows.shape[1] - 1]
        for place, day in enumerate(days):
            layer.fit(rows[:, day], place)


def _training_data(train, stage, settled: Resolved, state, share):
    from zoo.inputs import pipeline
    from zoo.inputs.plan import TrainingStream

    options = settled.run
    epoch = TrainingStream(train.labels, options.sampling, options.seed).epoch_size
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
    model.compile(optimizer(options, steps), jit_compile=False, steps_per_execution=1)
    model.optimizer.build(model.network.trainable_variables)
    return model


def _board(path: Path, settled: Resolved, spec) -> list:
    import keras
    from tensorboard.plugins.hparams import api

    from zoo.training.callbacks import ClassBoard

    folder = path / "tensorboard"
    flat = {key: value for section in settled.sections().values() for key, value in section.items()}
    plain = {key: value if isinstance(value, (bool, int, float, str)) else str(value)
             for key, value in flat.items() if value is not None}  # fmt: skip
    boards = [keras.callbacks.TensorBoard(str(folder), write_graph=False), ClassBoard(folder, spec.classes)]
    return [*boards, api.KerasCallback(str(folder), plain, trial_id=f"{path.parent.name}/{path.name}")]


def _start(settled: Resolved, directory, spec, splits) -> Path:
    options = settled.run
    fold = f"-fold{options.fold or 0}" if directory.info.folds else ""
    stem = f"{settled.preset}{fold}-seed{options.seed}"
    path = new_directory(options.runs, settled.model, options.name, stem)
    _write_config(path, settled, spec)
    rows = ["split,class,count"]
    for name, examples in splits.items():
        counts = np.bincount(examples.labels, minlength=len(spec.classes))
        rows += [f'{name},"{label}",{count}' for label, count in zip(spec.classes, counts, strict=True)]
    files.write_text(path / "class_composition.csv", "\n".join(rows) + "\n")
    files.write_text(path / "objects.csv", _objects(directory, options.fold, splits))
    return path


def _objects(directory, fold, splits) -> str:
    """Give, as CSV, how many objects of every native class each split has, and how many of them the run uses."""
    native = directory.index["class_id"]
    names = {item.id: item.name for item in directory.info.classes}
    rows = ["split,native_class,objects,used"]
    for name, examples in splits.items():
        indices = directory.split_indices(name, (fold or 0) if directory.info.folds else None)
        for number in np.unique(native[indices]):
            label = names.get(int(number), "unlabelled")
            used = np.count_nonzero(native[examples.indices] == number)
            rows.append(f'{name},"{label}",{np.count_nonzero(native[indices] == number)},{used}')
    return "\n".join(rows) + "\n"


def _write_config(path: Path, settled: Resolved, spec) -> None:
    import keras
    import tensorflow as tf

    from zoo import __version__

    versions = {"zoo": __version__, "tensorflow": tf.__version__, "keras": keras.__version__,
                "numpy": np.__version__, "python": sys.version.split()[0]}  # fmt: skip
    text = settled.to_yaml() + "versions:\n"
    text += "".join(f"  {key}: '{value}'\n" for key, value in versions.items())
    files.write_text(path / CONFIG, text + f"data_fingerprint: {spec.fingerprint}\n")
