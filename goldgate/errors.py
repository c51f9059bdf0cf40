"""The error that a command reports in one line."""


class GoldgateError(Exception):
    """Something the user can correct: names the thing, what was expected and what to do."""
