"""Kinds of inputs of a case."""

import numpy as np


class Const:
    """An input that is an initializer."""

    def __init__(self, values, kind=None):
        self.array = np.asarray(values, dtype=kind)


class Fixed(Const):
    """A floating-point input of the graph whose gradient is not asked for."""
