"""The box's certificate: good for every name at which a browser finds it, and the same for ever."""

from __future__ import annotations

import socket
from pathlib import Path

from cryptography import x509

from appliance.certificate import fingerprint, tls_context
from appliance.config import Settings


def names_of(folder: Path) -> list[str]:
    certificate = x509.load_pem_x509_certificate((folder / "certificate.pem").read_bytes())
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
        x509.DNSName
    )


def test_it_is_good_for_the_name_that_a_box_takes_when_another_was_first(tmp_path: Path) -> None:
    tls_context(tmp_path, Settings.load(data=tmp_path, local_name="printroom").local_names)
    names = names_of(tmp_path)
    assert {"printroom.local", "printroom-2.local", f"{socket.gethostname()}.local"} <= set(names)
    assert "printroom-1.local" not in names


def test_a_checkout_has_no_name_below_local_but_the_machines_own(tmp_path: Path) -> None:
    tls_context(tmp_path, Settings.load(data=tmp_path).local_names)
    host = socket.gethostname()
    assert set(names_of(tmp_path)) == {host, f"{host}.local", "localhost"}


def test_it_is_made_once_for_desktops_remember_its_fingerprint(tmp_path: Path) -> None:
    tls_context(tmp_path, ("printroom",))
    first = fingerprint(tmp_path)
    tls_context(tmp_path, ("another",))
    assert fingerprint(tmp_path) == first
