"""The box's own TLS key and certificate, made once and kept in the data folder."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from store.clock import BUILT

YEARS = 20  # nobody renews it; who talks to the box remembers its fingerprint


def tls_context(folder: Path, local_names: Sequence[str] = ()) -> ssl.SSLContext:
    """A server's context with the box's certificate.

    Args:
        folder: where key.pem and certificate.pem lie, or are made.
        local_names: below .local, each of which a new certificate is to be good for.
    """
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    if not (key.is_file() and certificate.is_file()):
        _make(key, certificate, local_names)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context


def fingerprint(folder: Path) -> str:
    """The SHA-256 of the certificate, in hex."""
    certificate = x509.load_pem_x509_certificate((folder / "certificate.pem").read_bytes())
    return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()


def _make(key_file: Path, certificate_file: Path, local_names: Sequence[str]) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    host = socket.gethostname()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Printroom {host}"[:64])])
    local = (f"{one}.local" for one in (host, *local_names))
    names = [x509.DNSName(one) for one in dict.fromkeys((host, *local, "localhost"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # By no clock: a certificate that was made while it was wrong would never be good.
        .not_valid_before(BUILT - timedelta(days=400))
        .not_valid_after(BUILT + timedelta(days=365 * YEARS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    public = certificate.public_bytes(serialization.Encoding.PEM)
    for path, content in ((key_file, private), (certificate_file, public)):
        partial = path.with_suffix(".part")
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
