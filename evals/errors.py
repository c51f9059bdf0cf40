"""The one error that a command reports in a single line."""


class EvalError(Exception):
    """Something a user can mend: names the thing, what was expected and what to do."""
