"""The one error that a command reports in a single line."""

from goldgate.errors import GoldgateError


class EvalError(GoldgateError):
    """A server, a run folder or an option that cannot be used."""
