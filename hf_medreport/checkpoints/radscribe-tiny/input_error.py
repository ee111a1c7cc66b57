"""The one exception for input that a person can mend: a file, a row, a field or a flag.

It always says four things in one line: where, what was found, what was expected and what to do.
"""


class InputError(ValueError):
    """Input that cannot be used.

    Args:
        where: the file (with line or frame), field or flag; only its name, never its content.
        found: what is there.
        expected: what would have been accepted.
        remedy: what the person can do now.
    """

    def __init__(self, where: object, found: str, expected: str, remedy: str):
        self.where, self.found, self.expected, self.remedy = str(where), found, expected, remedy
        super().__init__(f"{where}: found {found}; expected {expected}; {remedy}")

    def __reduce__(self):  # survives the way back from a data-loading worker
        return type(self), (self.where, self.found, self.expected, self.remedy)
