"""The error that a command reports in one line, and advice that several of them give."""


class GoldgateError(Exception):
    """Something the user can correct: names the thing, what was expected and what to do."""


def how_to_install(extra: str) -> str:
    """Return the command that installs an extra of goldgate, as an error message gives it."""
    return f"pip install 'goldgate[{extra}]' (in a clone: pip install '.[{extra}]')"
