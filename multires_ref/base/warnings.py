"""The package's own warnings."""


class AssumptionWarning(UserWarning):
    """A setting was neither in the file nor given, so that one was assumed; the text says which, why, and how to give it."""
