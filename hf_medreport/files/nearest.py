"""What to say to a name that nobody knows."""

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean"]


def did_you_mean(name: object, known: Iterable[str], otherwise: str = "") -> str:
    """The question "did you mean 'x'?" after the most alike of the known names; `otherwise` where none is alike."""
    alike = difflib.get_close_matches(str(name), list(known), n=1)
    return f"did you mean '{alike[0]}'?" if alike else otherwise
