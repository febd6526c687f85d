"""Everything that llamatelemetry raises, as a tree below ``LlamaTelemetryError``."""

from __future__ import annotations

from ._native import (
    ForkedError,
    LlamaTelemetryError,
    ModelError,
    NotLoadedError,
    RequestError,
    RuntimeInstallError,
    ServerError,
    SettingsError,
    TelemetryError,
)

__all__ = [
    "ForkedError",
    "LlamaTelemetryError",
    "ModelError",
    "NotAvailableError",
    "NotLoadedError",
    "RequestError",
    "RuntimeInstallError",
    "ServerError",
    "SettingsError",
    "TelemetryError",
]


class NotAvailableError(LlamaTelemetryError, AttributeError):
    """This version does not have what was asked for; the message says what is missing."""
