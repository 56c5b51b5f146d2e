"""The two ways in which a command of this project may end badly."""


class UsageError(Exception):
    """What was asked for cannot be understood or does not exist: exit code 2.

    The message says what is wrong, where, what would be valid, and ends with what was received.
    """


class DataError(Exception):
    """What was asked for failed on its way, by the data or the machine: exit code 1.

    The message names the file, object or key, and says what would be valid.
    """
