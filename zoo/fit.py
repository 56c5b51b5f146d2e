"""Train a model on records: ``python -m zoo.fit --model NAME``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from tfrecords import command
from tfrecords.errors import UsageError

EPILOG = """examples:
  python -m zoo.fit --model atat                               the sample that comes with the project
  python -m zoo.fit --model atat --help                        every option of the model, with defaults
  python -m zoo.fit --model atat --preset lc_mtime --data DIR --devices gpu:0,1
  python -m zoo.fit --model atat --folds all --epochs 20       one run a fold, then their mean
  python -m zoo.fit --resume runs/atat/NAME --epochs 80        go on with a run
  python -m zoo.fit --model atat --preset ftune-1000 --init-from runs/atat/NAME
  python -m zoo.fit --model atat --config-from runs/atat/NAME --layers 4      its optimisation and dropout
--<option> VALUE sets any option; defaults < preset < --config-from RUN < --config FILE < flags.
exit code 0: done; 1: failed on the way; 2: wrong usage
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m zoo.fit",
        description="Train a model; write checkpoints, metrics, TensorBoard logs, a test report with plots, "
        "predictions and a SavedModel into runs/<model>/<name>.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument("-h", "--help", action="store_true", help="this text; with --model, all its options")
    parser.add_argument("--model", help="name of the model; python -m zoo.list shows all")
    parser.add_argument("--preset", help="name, name in the paper, or YAML file of a preset")
    parser.add_argument("--config", metavar="FILE", help="YAML file of options, over the preset")
    parser.add_argument(
        "--config-from", metavar="RUN", help="take optimisation, dropout, data and few others from an earlier run"
    )
    parser.add_argument("--folds", metavar="all|K,K", help="train one run for each fold, then compare them")
    parser.add_argument("--resume", metavar="RUN", help="go on with a run from its last finished epoch")
    parser.add_argument("--print-config", action="store_true", help="print the resolved configuration and stop")
    command.add_common_flags(parser)
    return parser


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    parser = _parser()
    options, rest = parser.parse_known_args(argv)
    from zoo.training import resolve

    if options.help:
        print(parser.format_help())
        if options.model:
            print(f"options of {options.model}:\n")
            print(resolve.parser(options.model).format_help().split("\n\n", 1)[1])
        return 0
    if options.model is None and options.resume is None:
        raise UsageError("--model NAME is needed; python -m zoo.list shows all. Received: none")
    if options.print_config:
        settled = resolve.resolve(options.model, options.preset, options.config, rest, config_from=options.config_from)
        print(settled.to_yaml(), end="")
        return 0
    if options.folds and options.resume:
        raise UsageError("--folds starts new runs and does not go with --resume. Received: both")
    for path in _runs(options, rest):
        if path is not None:
            print(path)
    return 0


def _runs(options, rest):
    from zoo.training import workers
    from zoo.training.loop import fit

    common = {"config": options.config, "config_from": options.config_from, "quiet": options.quiet}
    if not options.folds:
        run = fit(options.model, options.preset, arguments=rest, resume=options.resume, **common)
        # Of several workers only the chief has a run to name.
        yield run and run.path
        return
    workers.refuse("--folds")
    from zoo.training.evaluation import evaluate
    from zoo.training.resolve import resolve

    done = []
    folds = _folds(options, rest)
    settled = resolve(options.model, options.preset, options.config, rest, config_from=options.config_from)
    for fold in folds:
        flags = [*rest, "--fold", str(fold)]
        if settled.run.name is not None:
            flags += ["--name", f"{settled.run.name}-fold{fold}"]
        run = fit(options.model, options.preset, arguments=flags, **common)
        done.append(run.path)
        yield run.path
    if len(done) > 1 and all((path / "report" / "index.md").is_file() for path in done):
        yield evaluate(done, quiet=options.quiet, redraw=True)


def _folds(options, rest) -> list[int]:
    from tfrecords.reader import RecordDirectory
    from zoo.training import loop, resolve, start

    settled = resolve.resolve(options.model, options.preset, options.config, rest, config_from=options.config_from)
    info = RecordDirectory(settled.run.data or loop.sample_directory()).info
    return start.chosen_folds(info.folds, options.folds)


if __name__ == "__main__":
    from zoo import quiet

    quiet.silence()
    command.run(main)
