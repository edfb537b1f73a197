"""Other versions of the image that was built, made of its parts in seconds: the next one, and ones that do not work."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from appliance.box import bundle
from appliance.box.bundle import KERNEL, ROOT, Manifest
from store.upgrade import SCHEMA

IMAGE = Path(__file__).parents[2] / "image"

# A schema of its own, which the version before cannot read, with a way back.
NEWER_SCHEMA = f"""
SCHEMA = {SCHEMA + 1}


def _next_schema(tables: Tables) -> None:
    for settings in tables.get("box_settings", {{}}).values():
        settings["studio_name"] = settings.get("studio_name", "") + " III"


def _this_schema_again(tables: Tables) -> None:
    for settings in tables.get("box_settings", {{}}).values():
        settings["studio_name"] = settings.get("studio_name", "").removesuffix(" III")


STEPS[{SCHEMA}], BACK[{SCHEMA}] = _next_schema, _this_schema_again
"""
# It starts, opens and upgrades the store, and does not draw.
LAME = "    raise RuntimeError('this version cannot draw')\n"


@dataclass(frozen=True)
class Built:
    """What image/build left."""

    folder: Path  # build/image
    version: str
    architecture: str = "amd64"

    @property
    def image(self) -> Path:
        """The disk."""
        return self.folder / f"printroom_{self.version}_{self.architecture}.raw.zst"

    @property
    def key(self) -> Path:
        """What it trusts."""
        return self.folder / "keys" / "development.pem"


def variant(
    built: Built, folder: Path, version: str, *, newer_schema: bool, is_lame: bool = False, key: Path | None = None
) -> Path:
    """An update to another version.

    Args:
        built: what it is made of.
        folder: to work in.
        version: of the update.
        newer_schema: whether its store is of a schema that the built one does not know.
        is_lame: whether one of its loops ends, so that it never passes the health check.
        key: that signs it; the built one's unless given.

    Returns:
        the bundle.
    """
    work, parts = folder / f"root-{version}", built.folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    run_program("unsquashfs", "-q", "-n", "-d", str(work), str(parts / "root.squashfs"))
    about = work / "usr/lib/printroom-box/about.json"
    told = json.loads(about.read_text()) | {"version": version} | ({"schema": SCHEMA + 1} if newer_schema else {})
    about.write_text(json.dumps(told))
    release = work / "usr/lib/os-release"
    release.write_text(re.sub(r"IMAGE_VERSION=.*", f"IMAGE_VERSION={version}", release.read_text()))
    product = work / "usr/lib/printroom"
    if newer_schema:
        upgrade = product / "store/upgrade.py"
        # Where the number is used as a default, it is used when the module is read: so it comes before that.
        source = upgrade.read_text()
        first, marker, rest = source.partition("def upgrade(")
        upgrade.write_text(first + NEWER_SCHEMA.lstrip() + "\n\n" + marker + rest)
    if is_lame:
        loop = product / "render/loop.py"
        source, signature = (
            loop.read_text(),
            re.search(r"    def run\(self, stopping: .*?\n        \"\"\".*?\"\"\"\n", loop.read_text(), re.S),
        )
        assert signature
        loop.write_text(source.replace(signature[0], signature[0] + "    " + LAME))
        health = work / "usr/lib/printroom-box/health"
        health.write_text(health.read_text().replace("range(300)", "range(5)"))
    for cache in product.rglob("__pycache__"):
        if "venv" not in cache.parts and "simd" not in cache.parts:
            shutil.rmtree(cache)
    root, kernel = folder / f"{version}.squashfs", folder / f"{version}.efi"
    root.unlink(missing_ok=True)
    fast = ("-comp", "zstd", "-Xcompression-level", "1")
    run_program("mksquashfs", str(work), str(root), "-noappend", "-quiet", "-no-progress", *fast)
    shutil.rmtree(work)
    command_line = (
        f"root=PARTLABEL=printroom_{version} rootfstype=squashfs ro console=tty0 console=ttyS0 panic=10 quiet"
    )
    names = folder / "os-release"
    names.write_text(f'ID=printroom\nNAME=Printroom\nPRETTY_NAME="Printroom {version}"\nVERSION_ID={version}\n')
    vmlinuz, initrd = next(parts.glob("boot/vmlinuz-*")), next(parts.glob("boot/initrd.img-*"))
    stub = parts / "efi/linuxx64.efi.stub"
    run_program(str(IMAGE / "uki"), str(stub), str(vmlinuz), str(initrd), command_line, str(names), str(kernel))
    target = folder / f"printroom_{version}_amd64.update"
    notes = f"Version {version}.\n\n- Made for a test."
    manifest = Manifest(version=version, architecture="amd64", schema_version=told["schema"], notes=notes, files={})
    bundle.make(target, (key or built.key).read_bytes(), manifest, {ROOT: root, KERNEL: kernel})
    root.unlink()
    kernel.unlink()
    return target


def run_program(*command: str) -> None:
    """Fails with what it said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command[0]}: {done.stdout[-500:]}{done.stderr[-2000:]}"
