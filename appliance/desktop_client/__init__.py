"""The reference desktop client: finds the box, pairs, uploads, pushes, follows what becomes of the records.

It is what integrators read. But for finding boxes (zeroconf) it uses nothing but Python's standard library, and it
knows nothing of Printroom but its sync API, which every box explains at /help/sync.

    client = DesktopClient.of(Kept.open())      # token, address, fingerprint and place, from pairing
    digest = client.upload(Path("0042.jpg"))
    client.push({"kind": "session", "number": "1183", "revision": 7, "status": "Ready to print", …})
    for change in client.follow():              # each once, from where this client left off
        print(change["number"], change["status"])
"""

from __future__ import annotations

from appliance.desktop_client.client import DesktopClient, SyncError, pair
from appliance.desktop_client.kept import Kept

__all__ = ["DesktopClient", "Kept", "SyncError", "pair"]
