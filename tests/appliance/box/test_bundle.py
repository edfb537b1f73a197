"""Updates in one file: only whole ones, signed by somebody the box knows."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from appliance.box import bundle
from appliance.box.bundle import KERNEL, ROOT, BundleRefused, Manifest


class Publisher:
    """Who signs."""

    def __init__(self) -> None:
        key = Ed25519PrivateKey.generate()
        self.private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


def made(folder: Path, publisher: Publisher, version: str = "1.2.0", root: bytes = b"root" * 1000) -> Path:
    (folder / "root").write_bytes(root)
    (folder / "kernel").write_bytes(b"kernel" * 100)
    manifest = Manifest(version=version, architecture="amd64", schema_version=2, notes="Better.", files={})
    target = folder / f"printroom_{version}_amd64.update"
    bundle.make(target, publisher.private, manifest, {ROOT: folder / "root", KERNEL: folder / "kernel"})
    return target


def test_a_bundle_comes_out_as_it_went_in(tmp_path: Path, publisher: Publisher) -> None:
    done: list[int] = []
    with made(tmp_path, publisher).open("rb") as file:
        manifest, tar = bundle.read_manifest(file, [Publisher().public, publisher.public])
        bundle.copy_out(manifest, tar, {ROOT: tmp_path / "r", KERNEL: None}, done.append)
    assert (manifest.version, manifest.notes, manifest.schema_version) == ("1.2.0", "Better.", 2)
    assert (tmp_path / "r").read_bytes() == b"root" * 1000 and done[-1] == manifest.size_bytes == 4600


def test_one_that_a_stranger_signed_is_refused(tmp_path: Path, publisher: Publisher) -> None:
    with (
        made(tmp_path, Publisher()).open("rb") as file,
        pytest.raises(BundleRefused, match="nobody whom this box knows"),
    ):
        bundle.read_manifest(file, [publisher.public])


def test_a_signature_is_of_these_words_and_no_others(tmp_path: Path, publisher: Publisher) -> None:
    content = made(tmp_path, publisher).read_bytes().replace(b'"1.2.0"', b'"9.2.0"', 1)
    with pytest.raises(BundleRefused, match="nobody whom this box knows"):
        bundle.read_manifest(io.BytesIO(content), [publisher.public])


@pytest.mark.parametrize("at", [0.3, 0.6, 0.95])
def test_a_damaged_one_is_refused(tmp_path: Path, publisher: Publisher, at: float) -> None:
    content = bytearray(made(tmp_path, publisher, root=bytes(range(256)) * 40).read_bytes())
    begin = content.index(bytes(range(256)))
    position = begin + int(at * 256 * 40)
    content[position] ^= 1
    manifest, tar = bundle.read_manifest(io.BytesIO(bytes(content)), [publisher.public])
    with pytest.raises(BundleRefused, match="damaged"):
        bundle.copy_out(manifest, tar, {ROOT: None, KERNEL: None}, lambda _: None)


@pytest.mark.parametrize("length", [0, 100, 700, 3000, 6000])
def test_half_of_one_is_refused(tmp_path: Path, publisher: Publisher, length: int) -> None:
    content = made(tmp_path, publisher).read_bytes()[:length]
    with pytest.raises(BundleRefused):
        manifest, tar = bundle.read_manifest(io.BytesIO(content), [publisher.public])
        bundle.copy_out(manifest, tar, {ROOT: None, KERNEL: None}, lambda _: None)


@pytest.mark.parametrize("content", [b"PK\x03\x04 a zip", b"\0" * 5000, b"x" * 5000])
def test_what_is_no_bundle_is_refused(content: bytes, publisher: Publisher) -> None:
    with pytest.raises(BundleRefused, match="not an update"):
        bundle.read_manifest(io.BytesIO(content), [publisher.public])


def test_a_manifest_that_is_a_link_or_a_flood_is_refused(publisher: Publisher) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo("manifest.json")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/shadow"
        tar.addfile(member)
    with pytest.raises(BundleRefused):
        bundle.read_manifest(io.BytesIO(buffer.getvalue()), [publisher.public])
