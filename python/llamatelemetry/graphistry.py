"""Not there yet: the export of graphs."""

from ._missing import missing

__getattr__ = missing(__name__, "the export of graphs")
