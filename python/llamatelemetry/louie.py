"""Not there yet: knowledge extraction."""

from ._missing import missing

__getattr__ = missing(__name__, "knowledge extraction")
