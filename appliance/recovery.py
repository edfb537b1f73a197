"""What is served when the data cannot be opened."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from appliance.box.link import Link
from appliance.certificate import fingerprint, tls_context
from appliance.config import Settings
from appliance.process import restart
from web.recovery import Recovery


class DiskDamaged(OSError):
    """The data partition could not be mounted; the text is what the check at the start said."""


@dataclass
class RecoveryMode:
    """The recovery page, and the certificate under which it is shown."""

    page: Recovery
    tls: ssl.SSLContext


def recovery(settings: Settings, error: Exception) -> RecoveryMode:
    """The page for what went wrong.

    Args:
        settings: of a box.
        error: why the data cannot be opened.
    """
    assert settings.box is not None  # noqa: S101  (a checkout ends with a sentence instead)
    keys = settings.data / "tls"
    try:
        tls = tls_context(keys, settings.local_names)
    except OSError:  # the data cannot be written: a certificate that lives as long as this page
        keys = settings.box / "panel" / "tls"
        tls = tls_context(keys, settings.local_names)
    page = Recovery(
        reason=str(error),
        root=Path(settings.data),
        is_disk=isinstance(error, DiskDamaged),
        box=Link(settings.box / "agent.sock"),
        restart=restart,
        fingerprint=fingerprint(keys),
    )
    return RecoveryMode(page, tls)
