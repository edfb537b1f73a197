"""A signed update in one file: a tar of

    manifest.json      version, architecture, schema, channel, notes, and of each file below its length and SHA-256
    manifest.sig       Ed25519 over manifest.json's bytes (RFC 8032)
    root.squashfs, kernel.efi

in this order, so that a signature is checked before anything large is read. Whoever has no private key that the box
knows makes no bundle that it takes.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import shutil
import sys
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from pydantic import BaseModel, ConfigDict, Field, ValidationError

FORMAT = 1
ROOT, KERNEL = "root.squashfs", "kernel.efi"
LARGEST_MANIFEST_BYTES = 1_000_000
_CHUNK = 1 << 20


class BundleRefused(Exception):
    """This is no update that this box takes; says why."""


class File(BaseModel):
    """One file of a bundle."""

    model_config = ConfigDict(frozen=True)

    size_bytes: int = Field(ge=1)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """What a bundle says of itself. `schema_version` is the store's, which the version writes."""

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    architecture: str
    schema_version: int = Field(ge=1)
    channel: str = Field("stable", pattern="^[a-z]{1,20}$")
    notes: str = Field("", max_length=20_000)
    files: dict[str, File]

    @property
    def size_bytes(self) -> int:
        """Of all files together."""
        return sum(file.size_bytes for file in self.files.values())


def number(version: str) -> tuple[int, ...]:
    """A version, to be compared.

    >>> number("0.10.0") > number("0.9.3")
    True
    """
    return tuple(int(part) for part in version.split("."))


def read_manifest(bundle: IO[bytes], keys: Iterable[bytes]) -> tuple[Manifest, tarfile.TarFile]:
    """The manifest of a bundle, signed by one of the keys; and the tar, for `copy_out`.

    Args:
        bundle: from its beginning.
        keys: Ed25519 public keys, PEM.

    Raises:
        BundleRefused: it is no bundle, or nobody we know signed it.
    """
    try:
        tar = tarfile.open(fileobj=bundle, mode="r|")  # noqa: SIM115  (handed on)
        content, signature = _small(tar, "manifest.json"), _small(tar, "manifest.sig")
    except (tarfile.TarError, EOFError) as error:
        raise BundleRefused("this file is not an update of Printroom, or not all of it: take it anew") from error
    if not any(_is_signed_by(key, content, signature) for key in keys):
        raise BundleRefused("nobody whom this box knows has signed this update: take it from its publisher")
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        raise BundleRefused("this update is of a kind that this version does not know: install one between") from error
    if manifest.format != FORMAT or set(manifest.files) != {ROOT, KERNEL}:
        raise BundleRefused("this update is of a kind that this version does not know: install one between")
    return manifest, tar


def _small(tar: tarfile.TarFile, name: str) -> bytes:
    member = tar.next()
    if member is None or member.name != name or not member.isfile() or member.size > LARGEST_MANIFEST_BYTES:
        raise BundleRefused("this file is not an update of Printroom: choose one that ends with .update")
    file = tar.extractfile(member)
    return file.read() if file else b""


def _is_signed_by(key: bytes, content: bytes, signature: bytes) -> bool:
    public = load_pem_public_key(key)
    if not isinstance(public, Ed25519PublicKey):
        return False
    try:
        public.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def copy_out(
    manifest: Manifest, tar: tarfile.TarFile, targets: dict[str, Path | None], told: Callable[[int], None]
) -> None:
    """Write a bundle's files, and compare each with what was signed.

    Args:
        manifest: from `read_manifest`, as is the tar.
        targets: by name in the bundle, where to; None: only compare.
        told: called with the bytes that are done.

    Raises:
        BundleRefused: it is damaged; what was written of it is of no use.
    """
    left, done = dict(manifest.files), 0
    try:
        while (member := tar.next()) is not None:
            wanted = left.pop(member.name, None)
            source = tar.extractfile(member)
            if wanted is None or source is None or member.size != wanted.size_bytes:
                raise BundleRefused(f"this update is damaged ({member.name}): take it anew")
            digest, target = hashlib.sha256(), targets[member.name]
            with (target or Path(os.devnull)).open("wb") as file:
                while piece := source.read(_CHUNK):
                    file.write(piece)
                    digest.update(piece)
                    done += len(piece)
                    told(done)
            if digest.hexdigest() != wanted.sha256:
                raise BundleRefused(f"this update is damaged ({member.name}): take it anew")
    except (tarfile.TarError, EOFError) as error:
        raise BundleRefused("this update is not whole: take it anew") from error
    if left:
        raise BundleRefused("this update is not whole: take it anew")


def make(target: Path, key: bytes, manifest: Manifest, files: dict[str, Path]) -> None:
    """Write a bundle; the manifest's `files` are filled in.

    Args:
        target: the new file.
        key: Ed25519 private key, PEM.
        manifest: all but its files.
        files: by name in the bundle.
    """
    private = load_pem_private_key(key, None)
    if not isinstance(private, Ed25519PrivateKey):
        raise TypeError("updates are signed with an Ed25519 key")
    told = {}
    for name, path in files.items():
        with path.open("rb") as file:
            told[name] = File(size_bytes=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())
    content = json.dumps(manifest.model_copy(update={"files": told}).model_dump(mode="json"), indent=1).encode()
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, small in (("manifest.json", content), ("manifest.sig", private.sign(content))):
            member = tarfile.TarInfo(name)
            member.size = len(small)
            tar.addfile(member, io.BytesIO(small))
        for name, path in files.items():
            member = tarfile.TarInfo(name)
            member.size = path.stat().st_size
            with path.open("rb") as file:
                tar.addfile(member, file)


def main() -> int:
    """`python -m appliance.box.bundle`: make a bundle; image/build does. With it goes what a channel publishes."""
    parser = argparse.ArgumentParser(prog="bundle")
    parser.add_argument("target", type=Path)
    parser.add_argument("--key", type=Path, required=True, help="private key, PEM")
    parser.add_argument("--version", required=True)
    parser.add_argument("--architecture", required=True)
    parser.add_argument("--schema", type=int, required=True)
    parser.add_argument("--channel", default="stable")
    parser.add_argument("--notes", type=Path)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--kernel", type=Path, required=True)
    given = parser.parse_args()
    manifest = Manifest(
        version=given.version,
        architecture=given.architecture,
        schema_version=given.schema,
        channel=given.channel,
        notes=given.notes.read_text() if given.notes else "",
        files={},
    )
    partial = given.target.with_suffix(".part")
    make(partial, given.key.read_bytes(), manifest, {ROOT: given.root, KERNEL: given.kernel})
    shutil.move(partial, given.target)
    told = {"version": manifest.version, "file": given.target.name, "notes": manifest.notes}
    pointer = given.target.parent / f"{manifest.channel}-{manifest.architecture}.json"
    pointer.write_text(json.dumps(told, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
