"""The one exception for input that a person can mend: a file, a row, a field or an argument.

It always says four things in one line: what is wrong by name, what was found, what was expected and what to do.
"""

FIELDS = ("name", "found", "expected", "remedy")


class InputError(ValueError):
    """Input that cannot be used.

    An argument is named as Python has it, within a sentence in backticks: "leave out `masks`". The command line makes
    flags of such names.

    Args:
        name: the file (with line or frame), field or argument; only its name, never its content.
        found: what is there.
        expected: what would have been accepted.
        remedy: what the person can do now.
    """

    def __init__(self, name: object, found: str, expected: str, remedy: str):
        self.name, self.found, self.expected, self.remedy = str(name), found, expected, remedy
        message = f"{name}: found {found}; expected {expected}; {remedy}"
        super().__init__(" ".join(message.splitlines()))  # a file's name may hold the end of a line

    def __reduce__(self):  # survives the way back from a data-loading worker
        return type(self), (self.name, self.found, self.expected, self.remedy)


def four_fields(error: BaseException) -> dict[str, str] | None:
    """The fields of an InputError or of a model's ConfigError, to raise an InputError with; None of another error.

    Code that travels in a model's folder brings classes of its own, so that the fields tell, not the class.
    """
    if not all(hasattr(error, field) for field in FIELDS):
        return None
    return {field: getattr(error, field) for field in FIELDS}
