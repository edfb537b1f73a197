"""How long a bare Debian of the same release takes in the same emulator: kernel, initramfs, systemd, nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.image.variants import IMAGE, Built, run_program
from tests.image.vm import Vm

PACKAGES = "systemd-sysv,udev,dbus,linux-image-amd64,initramfs-tools,systemd-boot,systemd-boot-efi,zstd,kmod"


def run(built: Built, folder: Path) -> dict[str, Any]:
    """Seconds from switching it on to a log-in on its console."""
    work = built.folder / "bare"
    disk = work / "disk.raw"
    if not disk.exists():
        work.mkdir(parents=True, exist_ok=True)
        _build(work)
    box = Vm(disk, folder)
    try:
        seconds = box.wait(lambda: "login:" in box.console(), "bare Debian asks for a log-in")
    finally:
        box.pull_the_plug()
    print(f"a bare Debian: asks for a log-in after {seconds:.1f} s", flush=True)
    return {"bare_debian_boot_s": round(seconds, 1)}


def _build(work: Path) -> None:
    for folder in ("boot", "efi", "empty"):
        (work / folder).mkdir(exist_ok=True)
    hooks = (
        'echo bare >"$1/etc/hostname"',
        f"sync-out /boot {work}/boot",
        f"sync-out /usr/lib/systemd/boot/efi {work}/efi",
        'rm -rf "$1"/boot/*',
    )
    options = [f"--customize-hook={hook}" for hook in hooks]
    run_program(str(IMAGE / "debian"), "amd64", str(work / "root.tar"), PACKAGES, *options)
    script = f"""
    set -eu; cd {work}
    mksquashfs - root.squashfs -tar -comp zstd -Xcompression-level 3 -root-mode 0755 -noappend -quiet <root.tar
    echo 'ID=debian' >os-release
    {IMAGE}/uki efi/linuxx64.efi.stub boot/vmlinuz-* boot/initrd.img-* \
        'root=PARTLABEL=root rootfstype=squashfs ro console=tty0 console=ttyS0 quiet' os-release bare.efi
    rm -f esp.vfat && truncate -s 128M esp.vfat && mkfs.vfat -F 32 esp.vfat >/dev/null
    mmd -i esp.vfat ::EFI ::EFI/BOOT ::EFI/Linux
    mcopy -i esp.vfat efi/systemd-bootx64.efi ::EFI/BOOT/BOOTX64.EFI; mcopy -i esp.vfat bare.efi ::EFI/Linux/bare.efi
    rm -f disk.raw; truncate -s 1200M disk.raw
    printf 'label: gpt\\nstart=1MiB,size=128MiB,type=U\\nstart=130MiB,type=L,name=root\\n' | sfdisk -q disk.raw
    dd if=esp.vfat of=disk.raw bs=1M seek=1 conv=notrunc status=none
    dd if=root.squashfs of=disk.raw bs=1M seek=130 conv=notrunc status=none
    """
    run_program("bash", "-c", script)
