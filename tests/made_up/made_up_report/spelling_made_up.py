"""A sibling that travels because a traveling file imports it."""


def as_written(report: str) -> str:
    """A report in one line."""
    return " ".join(report.split())


__all__ = ["as_written"]
