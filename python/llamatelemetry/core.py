"""Not there yet: the native tensor API."""

from ._missing import missing

__getattr__ = missing(__name__, "the native tensor API")
