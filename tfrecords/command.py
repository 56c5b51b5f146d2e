"""What every command of the project shares: exit codes, messages, progress."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from tfrecords.errors import DataError, UsageError

Item = TypeVar("Item")


def add_common_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that every command takes: ``--quiet`` and ``--debug``."""
    parser.add_argument("--quiet", action="store_true", help="print results only, no progress")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")


def run(main: Callable[[Sequence[str]], int | None], argv: Sequence[str] | None = None) -> None:
    """Run a command and leave the process with its exit code.

    0: done. 1: failed on the way (`DataError`, `OSError`, memory). 2: usage (`UsageError`, wrong flags).
    An error prints one message on standard error; ``--debug`` among the arguments shows the traceback.

    Parameters
    ----------
    main : callable
        Takes the list of arguments and returns an exit code or None (0).
    argv : sequence of str, optional
        Arguments without the program name; the process's own by default.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        sys.exit(main(argv) or 0)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except UsageError as error:
        _fail(error, 2, argv)
    except (DataError, OSError, MemoryError) as error:
        _fail(error, 1, argv)
    except Exception as error:
        if "--debug" in argv:
            raise
        first = (str(error).strip().splitlines() or [""])[0]
        print(f"error: {type(error).__name__}: {first} (--debug shows where)", file=sys.stderr)
        sys.exit(1)


def _fail(error: BaseException, code: int, argv: Sequence[str]) -> None:
    if "--debug" in argv:
        raise error
    text = str(error) or type(error).__name__
    print(f"error: {text}", file=sys.stderr)
    sys.exit(code)


def progress(items: Iterable[Item], description: str, total: int | None = None, quiet: bool = False) -> Iterator[Item]:
    """Iterate with a progress bar on standard error; no bar when it is not a terminal.

    Parameters
    ----------
    items : iterable
        What to go through.
    description : str
        Text in front of the bar.
    total : int, optional
        Number of items if known.
    quiet : bool
        No bar in any case.
    """
    if quiet or not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(items, description=description, total=total, console=Console(stderr=True))
