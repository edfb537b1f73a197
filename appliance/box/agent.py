"""The hand of the panel on the box: the few things that need root, and nothing else.

systemd starts one of these for each connection to its socket, which only the user `printroom` may open. A request is
one line of JSON, {"do": "install"}; the answers are lines of JSON: {"step": "…", "done": n, "of": m} while it works,
then {"ok": {…}} or {"error": "…"}. Nothing that the panel sends is run or used as a path.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from appliance.box import bundle, share
from appliance.box.about import ABOUT, about
from appliance.box.bundle import KERNEL, ROOT, BundleRefused, Manifest
from appliance.box.slots import Slot, refusal, slots, turned_back
from store.upgrade import BACK, SCHEMA

DATA = Path("/var/lib/printroom")
UPLOADED = DATA / "updates" / "bundle"  # where the panel puts it
OWN = Path("/var/lib/printroom-box")
STAGED = OWN / "update"
ESP, KERNELS = Path("/efi"), Path("/efi/EFI/Linux")
LABELS = Path("/dev/disk/by-partlabel")
KEYS = Path("/usr/lib/printroom-box/update-keys")
DATA_PROBLEM = Path("/run/printroom-box/data-problem")  # left by the initramfs
RESET = ESP / "printroom-reset"  # the initramfs makes the data partition anew
PYTHON = "/usr/lib/printroom/venv/bin/python"
FAILED = Path("/run/printroom-box/failed")  # what went wrong after the panel had its answer
CHANGING = Path("/run/printroom-box/changing")  # locked while versions are changed
SYSUPDATE = "/usr/lib/systemd/systemd-sysupdate"

Answer = dict[str, Any]


class Refused(Exception):
    """It cannot be done; the text is for people."""


class Agent:
    """One request."""

    def __init__(self, out: IO[str]) -> None:
        self._out, self._told_at = out, 0.0
        self._afterwards: Callable[[], None] | None = None  # what ends the panel, which wants its answer first

    def serve(self, line: str) -> None:
        """Do what one line asks for."""
        actions: dict[str, Callable[[Answer], Answer]] = {
            "state": self.state,
            "check": self.check,
            "install": self.install,
            "go-back": self.go_back,
            "restart": self.restart,
            "switch-off": self.switch_off,
            "reset": self.reset,
            "check-disk": self.check_disk,
            "repair-disk": self.repair_disk,
            "share": self.share,
        }
        try:
            request = json.loads(line)
            action = actions[request["do"]]
        except (ValueError, KeyError, TypeError):
            self._say(error="the panel asked for something that this version of the box does not know")
            return
        try:
            answer = action(request)
            self._say(ok=answer)
            if self._afterwards is not None:
                self._afterwards()
        except (Refused, BundleRefused) as error:
            self._say(error=str(error))
        except subprocess.CalledProcessError as error:
            text = (error.stderr or error.stdout or b"").decode(errors="replace").strip().splitlines()
            self._say(error=f"{Path(error.cmd[0]).name} failed: {text[-1] if text else error.returncode}")
        except subprocess.TimeoutExpired as error:
            self._say(error=f"{Path(error.cmd[0]).name} took longer than {error.timeout:.0f} s: is the disk worn out?")
        except OSError as error:
            self._say(error=f"the disk or the system refused: {error}")

    def state(self, request: Answer) -> Answer:
        """What is on the disk."""
        del request
        return {
            "slots": [
                {
                    "version": one.version,
                    "is_running": one.is_running,
                    "tries_left": one.tries_left,
                    "has_failed": one.has_failed,
                }
                for one in _slots()
            ],
            "share": share.state(),
            "failed": FAILED.read_text() if FAILED.is_file() else "",
        }

    def check(self, request: Answer) -> Answer:
        """Read the uploaded bundle as a whole; nothing is changed."""
        del request
        with _uploaded() as file:
            manifest, tar = _manifest(file)
            bundle.copy_out(manifest, tar, dict.fromkeys(manifest.files), self._progress("Checking", manifest))
        return _told(manifest)

    def install(self, request: Answer) -> Answer:
        """Write the uploaded bundle to the idle slot. It is started at the next start of the box."""
        del request
        with _alone():
            shutil.rmtree(STAGED, ignore_errors=True)
            STAGED.mkdir(mode=0o700, parents=True)
            try:
                with _uploaded() as file:
                    manifest, tar = _manifest(file)
                    # Copied, then used from where only root can write: what was checked is what is installed.
                    targets: dict[str, Path | None] = {
                        ROOT: STAGED / f"printroom_{manifest.version}.root",
                        KERNEL: STAGED / f"printroom_{manifest.version}.efi",
                    }
                    bundle.copy_out(manifest, tar, targets, self._progress("Checking", manifest))
                self._say(step="Writing to the idle slot")
                device = LABELS / f"printroom_{manifest.version}"
                _forget_kernels(manifest.version)
                if device.exists():  # systemd-sysupdate leaves what has the name already
                    _write(device, STAGED / f"printroom_{manifest.version}.root")
                _run(SYSUPDATE, "--no-pager", "update", manifest.version, limit_s=1800)
                os.sync()
                self._say(step="Reading it back")
                try:
                    _compare(device, manifest.files[ROOT])
                    (kernel,) = KERNELS.glob(f"printroom_{manifest.version}+*.efi")
                    _compare(kernel, manifest.files[KERNEL])
                except (Refused, OSError, ValueError):
                    _forget_kernels(manifest.version)  # what cannot be read back is never started
                    raise
                finally:
                    os.sync()
            finally:
                shutil.rmtree(STAGED, ignore_errors=True)
            UPLOADED.unlink(missing_ok=True)
        return _told(manifest)

    def go_back(self, request: Answer) -> Answer:
        """Start the other version; the store is written so that it can read it. The box restarts."""
        del request
        try:
            _, _, other, _ = turned_back(_slots())
        except ValueError as error:
            raise Refused(str(error)) from error
        schema = int(about_slot(other)["schema"])
        if not set(range(schema, SCHEMA)) <= set(BACK):
            raise Refused(
                f"version {other.version} cannot read what this version keeps, and there is no way back: the copy from "
                "before the update can be restored, without what came in since"
            )
        self._afterwards = self._turn_back
        return {"version": other.version}

    def _turn_back(self) -> None:
        time.sleep(1)
        FAILED.unlink(missing_ok=True)
        with _alone():
            here, here_name, other, other_name = turned_back(_slots())
            schema = int(about_slot(other)["schema"])
            try:
                _run("systemctl", "stop", "printroom.service", limit_s=90)
                if schema < SCHEMA:
                    step_back = (PYTHON, "-m", "appliance", "store", "step-back", "--schema", str(schema))
                    _run("runuser", "-u", "printroom", "--", *step_back, "--data", str(DATA), limit_s=600)
                (KERNELS / other.kernel).rename(KERNELS / other_name)
                (KERNELS / here.kernel).rename(KERNELS / here_name)
                os.sync()
            except (OSError, subprocess.SubprocessError) as error:
                FAILED.write_text(f"Going to version {other.version} did not work, nothing was changed: {error}")
                _run("systemctl", "start", "printroom.service")
                return
        _run("systemctl", "reboot")

    def restart(self, request: Answer) -> Answer:
        """Start the box anew, in a moment."""
        del request
        _run("systemd-run", "--on-active=1", "systemctl", "reboot")
        return {}

    def switch_off(self, request: Answer) -> Answer:
        """Switch the box off, in a moment."""
        del request
        _run("systemd-run", "--on-active=1", "systemctl", "poweroff")
        return {}

    def reset(self, request: Answer) -> Answer:
        """As it came: the data partition is made anew at the start."""
        if request.get("sure") != "everything":
            raise Refused("a factory reset takes the word 'everything'")
        with RESET.open("w") as file:
            file.write("yes\n")
            file.flush()
            os.fsync(file.fileno())
        return self.restart({})

    def check_disk(self, request: Answer) -> Answer:
        """What e2fsck finds, changing nothing."""
        del request
        return self._fsck("-fn")

    def repair_disk(self, request: Answer) -> Answer:
        """Let e2fsck mend what it can."""
        del request
        return self._fsck("-fy")

    def share(self, request: Answer) -> Answer:
        """Switch the share for image folders on, with a password, or off."""
        password = str(request.get("password", ""))
        if request.get("on") and not (8 <= len(password) <= 100 and password.isprintable()):
            raise Refused("the share's password has 8 to 100 characters, all of them on the keyboard")
        return share.switch(bool(request.get("on")), password)

    def _fsck(self, how: str) -> Answer:
        if not DATA_PROBLEM.is_file():
            raise Refused("the data partition is in use: its file system is checked at every start")
        device = LABELS / "printroom-data"
        self._say(step="Looking through the data partition")
        done = subprocess.run(["e2fsck", how, device], capture_output=True, timeout=7200, check=False)
        lines = done.stdout.decode(errors="replace").splitlines()
        return {"is_sound": done.returncode in (0, 1), "report": "\n".join(lines[-60:])}

    def _progress(self, step: str, manifest: Manifest) -> Callable[[int], None]:
        def told(done: int) -> None:
            if time.monotonic() - self._told_at > 0.5:
                self._told_at = time.monotonic()
                self._say(step=step, done=done, of=manifest.size_bytes)

        return told

    def _say(self, **what: Any) -> None:
        with suppress(BrokenPipeError):  # whoever asked is gone; what was begun is finished
            self._out.write(json.dumps(what) + "\n")
            self._out.flush()


def about_slot(slot: Slot) -> Answer:
    """The version, schema and architecture that stand in another version's root."""
    with tempfile.TemporaryDirectory(dir="/run") as folder:
        device = LABELS / f"printroom_{slot.version}"
        _run("mount", "-t", "squashfs", "-o", "ro,loop", str(device), folder)
        try:
            return dict(json.loads((Path(folder) / ABOUT.relative_to("/")).read_text()))
        finally:
            _run("umount", folder)


def _slots() -> list[Slot]:
    labels = [path.name for path in LABELS.iterdir()]
    return slots(labels, [path.name for path in KERNELS.iterdir()], str(about()["version"]))


@contextmanager
def _uploaded() -> Iterator[IO[bytes]]:
    """The bundle; a link in its place, made by whoever took the panel over, is not followed."""
    try:
        handle = os.open(UPLOADED, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise Refused("there is no update on the box: upload or fetch one first") from None
    with os.fdopen(handle, "rb") as file:
        yield file


def _manifest(file: IO[bytes]) -> tuple[Manifest, Any]:
    manifest, tar = bundle.read_manifest(file, [path.read_bytes() for path in sorted(KEYS.glob("*.pem"))])
    idle = [path for path in LABELS.iterdir() if path.name == "_empty" or path.name.startswith("printroom_")]
    # All root slots are of one size; the smallest is the answer while a disk is being changed.
    slot_bytes = min(_size_of(path) for path in idle)
    free_bytes = shutil.disk_usage(OWN).free
    why = refusal(manifest, platform_name(), str(about()["version"]), slot_bytes, free_bytes)
    if why:
        raise Refused(why)
    return manifest, tar


def platform_name() -> str:
    """As Debian calls it."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def _size_of(device: Path) -> int:
    with device.open("rb") as file:
        return file.seek(0, os.SEEK_END)


def _told(manifest: Manifest) -> Answer:
    return manifest.model_dump(mode="json", exclude={"files"}) | {"size_bytes": manifest.size_bytes}


def _forget_kernels(version: str) -> None:
    """A try of this version that was cut off, or given up, leaves nothing that counts as this one's."""
    for kernel in (*KERNELS.glob(f"printroom_{version}+*.efi"), *KERNELS.glob(".#*")):
        kernel.unlink()
    os.sync()


def _write(device: Path, source: Path) -> None:
    """Over what the partition holds; nothing starts it, its kernel is gone."""
    with source.open("rb") as file, device.open("r+b") as target:
        shutil.copyfileobj(file, target, 1 << 20)
        target.flush()
        os.fsync(target.fileno())


def _compare(written: Path, wanted: bundle.File) -> None:
    """What the disk says that it has written; a worn card says otherwise here, and not at the next start."""
    deadline = time.monotonic() + 60
    while not written.exists() and time.monotonic() < deadline:  # its label is new: udev makes the name in a moment
        time.sleep(0.2)
    digest = hashlib.sha256()
    with written.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)  # from the disk, not from memory
        left = wanted.size_bytes
        while left and (piece := file.read(min(1 << 20, left))):
            digest.update(piece)
            left -= len(piece)
    if digest.hexdigest() != wanted.sha256:
        raise Refused("the disk does not give back what was written to it: replace it soon. The running version stays")


@contextmanager
def _alone() -> Iterator[None]:
    """One change of versions at a time."""
    with CHANGING.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused("an update is being installed already: wait for it") from None
        yield


def _run(*command: str, limit_s: float = 60) -> str:
    """Raises CalledProcessError with what it said."""
    done = subprocess.run(command, capture_output=True, timeout=limit_s, check=True, cwd="/usr/lib/printroom")
    return done.stdout.decode(errors="replace")


def main() -> int:
    """Serve the connection that is this process's standard input and output."""
    line = sys.stdin.readline(100_000)
    Agent(sys.stdout).serve(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
