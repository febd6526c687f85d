"""Not there yet: the CUDA operations."""

from ._missing import missing

__getattr__ = missing(__name__, "the CUDA operations")
