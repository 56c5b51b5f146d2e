"""Search hyperparameters with KerasTuner: ``python -m zoo.tune --model NAME``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from tfrecords import command
from tfrecords.errors import UsageError

EPILOG = """examples:
  python -m zoo.tune --model atat --tuner bayesian --trials 30 --epochs 20
  python -m zoo.tune --model atat --tuner hyperband --epochs 27 --dropout 0.2
  python -m zoo.fit --model atat --preset tuning/NAME/best.yaml
The same command again goes on with a search that was stopped. Several machines with one file system: set
KERASTUNER_TUNER_ID (chief, tuner0, tuner1 ...), KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT, then start
the same command on each. Other flags are options of `python -m zoo.fit --model NAME --help`.
exit code 0: done; 1: failed on the way; 2: wrong usage
"""


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m zoo.tune",
        description="Search the space in hparams/<family>.yaml; trials.csv grows while it runs, and best.yaml "
        "is a preset of the best configuration.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--model", required=True, help="name of the model; python -m zoo.list shows all")
    parser.add_argument("--preset", help="preset that the trials start from")
    parser.add_argument("--config", metavar="FILE", help="YAML file of options, over the preset")
    parser.add_argument("--tuner", default="random", help="random, bayesian or hyperband")
    parser.add_argument("--trials", type=int, default=20, help="number of trials (hyperband: set by --epochs)")
    parser.add_argument("--directory", default="tuning", help="where searches are kept")
    parser.add_argument("--search-name", help="name of this search; model, preset and tuner when absent")
    parser.add_argument("--chief-limit", type=float, default=86400.0, help="seconds after which a chief ends")
    command.add_common_flags(parser)
    options, rest = parser.parse_known_args(argv)
    if options.trials < 1:
        raise UsageError(f"--trials must be at least 1. Received: {options.trials}")
    from zoo.training.tuning import tune

    path = tune(
        options.model, options.preset, config=options.config, arguments=rest, tuner=options.tuner,
        trials=options.trials, directory=options.directory, name=options.search_name,
        chief_limit=options.chief_limit, quiet=options.quiet,
    )  # fmt: skip
    print(path)
    return 0


if __name__ == "__main__":
    from zoo import quiet

    quiet.silence()
    command.run(main)
