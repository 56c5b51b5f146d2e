"""Keep TensorFlow's start-up chatter off the screen."""

from __future__ import annotations

import logging
import os
import sys
import threading

CHATTER = (
    b"oneDNN custom operations",
    b"cudart_stub.cc",
    b"cuda_executor.cc",
    b"cpu_feature_guard",
    b"rebuild TensorFlow with the appropriate compiler flags",
    b"absl::InitializeLog()",
    b"computation_placer.cc",
    b"cuda_platform.cc",
    b"Unable to register cu",
    b"end_of_sequence",
    b"OUT_OF_RANGE: End of sequence",
    b"oneDNN supports DT_INT",
    # What the chief is told of workers that have ended; where it matters, the run fails with a message.
    b"BaseCollectiveExecutor::StartAbort",
    b"Aborting RingReduce",
    b"The tasks have crashed.",
    b"The error could be from a previous operation. Restart your program to reset.",
)


def silence() -> None:
    """Filter the lines that TensorFlow writes before its own log level applies.

    They go to file descriptor 2 from C++ at import, so the descriptor is replaced by a pipe whose reader
    passes on everything else. A terminal stays a terminal for progress bars: Python's ``sys.stderr`` keeps
    the original descriptor. Does nothing when TF_CPP_MIN_LOG_LEVEL is set by the user.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    original = os.dup(2)
    reading, writing = os.pipe()
    os.dup2(writing, 2)
    os.close(writing)
    sys.stderr = os.fdopen(original, "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    threading.Thread(target=_pass_on, args=(reading, original), daemon=True).start()


def _pass_on(reading: int, writing: int) -> None:
    with os.fdopen(reading, "rb", buffering=0) as stream:
        rest = b""
        while block := stream.read(65536):
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                # The message about ended workers goes on with a line that only names one.
                if not line.startswith(b"/job:") and not any(mark in line for mark in CHATTER):
                    os.write(writing, line + b"\n")
        if rest:
            os.write(writing, rest)
