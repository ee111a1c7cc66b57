"""The one exception for a configuration, or an input of a model, that cannot be used.

It says four things in one line, as the library's InputError does, which does not travel with a model.
"""


class ConfigError(ValueError):
    """A configuration or an input that cannot be used.

    Args:
        name: the class of the configuration, the field, or the argument.
        found: what is there.
        expected: what would have been accepted.
        remedy: what the caller can do now.
    """

    def __init__(self, name: str, found: str, expected: str, remedy: str):
        self.name, self.found, self.expected, self.remedy = name, found, expected, remedy
        super().__init__(f"{name}: found {found}; expected {expected}; {remedy}")

    def __reduce__(self):  # survives the way back from a worker
        return type(self), (self.name, self.found, self.expected, self.remedy)


__all__ = ["ConfigError"]
