"""Not there yet: the typed client of llama-server's whole API."""

from ._missing import missing

__getattr__ = missing(__name__, "the typed client of llama-server's whole API")
