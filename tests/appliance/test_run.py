"""Starting and stopping as an operating system does it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from store import password_reset
from tests.appliance.conftest import Appliance, Studio
from tests.image.site import Panel
from tests.lab import REPOSITORY, free_port, until

pytestmark = pytest.mark.networked

StartAppliance = Callable[..., Appliance]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "appliance", *arguments],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        timeout=60,
    )


def test_it_tells_the_panel_and_the_first_run_code_and_sigterm_ends_it_cleanly(
    tmp_path: Path, appliance: StartAppliance
) -> None:
    box = appliance(tmp_path / "data")
    assert f"Panel: {box.url}/" in box.log()
    code = re.search(r"First-run code: (\d{8})", box.log())
    assert code
    with urllib.request.urlopen(f"{box.url}/") as page:
        assert "first-run" in page.url and b"first-run code" in page.read()
    console = tmp_path / "data" / "console"
    assert f"First-run code: {code[1]}" in console.read_text()
    Panel(box.url).post("/first-run", code=code[1], name="kim", password="a long enough one")
    assert "First-run code" not in console.read_text() and box.url in console.read_text()
    assert box.stop() == 0
    assert "event=process.stopped" in box.log() and "Traceback" not in box.log()


def test_a_second_start_on_the_same_data_says_so(tmp_path: Path, appliance: StartAppliance) -> None:
    box = appliance(tmp_path / "data")
    second = run("run", "--data", str(box.data), "--http", str(free_port()))
    assert second.returncode == 1
    assert "already in use by process" in second.stderr and "--data" in second.stderr
    assert "Traceback" not in second.stderr


def test_sigterm_does_not_wait_for_open_pages_and_long_polls(tmp_path: Path, appliance: StartAppliance) -> None:
    studio = Studio(tmp_path / "data", {})
    box = appliance(studio.data)
    poll = threading.Thread(target=studio.desktop(box).changes, kwargs={"wait_s": 60})
    poll.start()
    time.sleep(0.5)
    began = time.monotonic()
    assert box.stop() == 0
    assert time.monotonic() - began < 15
    poll.join(70)


def test_a_setting_that_is_wrong_is_named(tmp_path: Path) -> None:
    answer = run("run", "--data", str(tmp_path), PRINTROOM_WORKERS="many")
    assert answer.returncode == 2 and "setting workers" in answer.stderr and "printroom settings" in answer.stderr


def test_settings_come_from_the_command_line_then_the_environment_then_the_file(tmp_path: Path) -> None:
    from appliance.config import Settings

    (tmp_path / "printroom.toml").write_text('http_port = 1111\nworkers = 3\nimage_roots = ["/a"]\n')
    old = os.environ.copy()
    try:
        os.environ.update(PRINTROOM_HTTP_PORT="2222", PRINTROOM_IMAGE_ROOTS="/b:/c")
        settings = Settings.load(data=tmp_path, http_port=3333)
        assert (settings.http_port, settings.workers, settings.image_roots) == (3333, 3, (Path("/b"), Path("/c")))
        assert Settings.load(data=tmp_path).http_port == 2222
    finally:
        os.environ.clear()
        os.environ.update(old)


def test_every_setting_is_listed_with_its_variable_default_and_help() -> None:
    from appliance.config import Settings, explained

    listed = run("settings").stdout
    for name, variable, default, text in explained():
        assert name in Settings.model_fields and text
        assert variable in listed and default in listed and text in listed


def test_the_reference_client_pushes_a_record_file(tmp_path: Path, appliance: StartAppliance) -> None:
    import json

    from render.samples import sample_photo

    studio = Studio(tmp_path / "data", {})
    box = appliance(studio.data)
    (tmp_path / "a.jpg").write_bytes(sample_photo(1, 90, 60))
    record = {
        "kind": "invoice",
        "number": "I-1",
        "revision": 1,
        "status": "Paid",
        "images": [{"name": "a.jpg", "file": "a.jpg"}],
    }
    (tmp_path / "record.json").write_text(json.dumps(record))
    client = ("client", "--url", box.url, "--token", studio.token)
    pushed = run(*client, "push", str(tmp_path / "record.json"))
    assert pushed.returncode == 0 and json.loads(pushed.stdout)["answer"] == "accepted"
    wrong = run("client", "--url", box.url, "--token", "wrong", "push", str(tmp_path / "record.json"))
    assert wrong.returncode == 1 and "this token is not known here" in wrong.stderr


def test_the_store_is_checked_exported_and_mended_from_the_command_line(tmp_path: Path) -> None:
    import json

    studio = Studio(tmp_path / "data", {})
    data = ("--data", str(studio.data))
    sound = run("store", "check", *data)
    assert sound.returncode == 0 and "Everything is in order." in sound.stdout and "render_jobs" in sound.stdout
    assert json.loads(run("store", "export", *data).stdout)["printer_pools"]["1"]["name"] == "Lab"
    for snapshot in (studio.data / "store").glob("snapshot-*"):
        snapshot.write_bytes(b"rubbish")
    broken = run("store", "check", *data)
    assert broken.returncode == 1 and "DAMAGE: no snapshot" in broken.stdout
    start = run("run", *data, "--http", str(free_port()))
    assert start.returncode != 0 and "store repair" in start.stderr and "Traceback" not in start.stderr
    mended = run("store", "repair", *data)
    assert mended.returncode == 0 and "store-before-repair-" in mended.stdout
    assert run("store", "check", *data).returncode == 0
    assert run("store", "check", "--data", str(tmp_path / "nothing")).returncode == 2


def test_a_box_whose_store_is_damaged_serves_its_recovery_page_and_goes_on_after_a_repair(
    tmp_path: Path, appliance: StartAppliance
) -> None:
    data, machine = tmp_path / "data", tmp_path / "box"
    Studio(data, {})
    (machine / "panel").mkdir(parents=True)
    for snapshot in (data / "store").glob("snapshot-*"):
        content = bytearray(snapshot.read_bytes())
        content[len(content) // 2] ^= 255
        snapshot.write_bytes(content)
    box = appliance(data, PRINTROOM_BOX=str(machine))
    told = (machine / "panel" / "console").read_text()
    code = re.search(r"Recovery code: (\d{8})", told)
    assert code and "CANNOT OPEN ITS DATA" in told
    panel = Panel(box.url)
    assert "cannot open its data" in panel.get("/")
    panel.post("/enter", code=code[1])
    panel.post("/repair")
    panel.post("/restart")
    until(lambda: "Printroom is running" in box.log(), "it goes on")
    assert "Log in" in Panel(box.url).get("/")


def test_a_checkout_whose_store_is_damaged_ends_with_a_sentence(tmp_path: Path) -> None:
    data = tmp_path / "data"
    Studio(data, {})
    for snapshot in (data / "store").glob("snapshot-*"):
        snapshot.write_bytes(b"nothing of a store")
    ended = run("run", "--data", str(data), "--http", str(free_port()))
    assert ended.returncode != 0 and "store repair" in ended.stderr


def test_safe_mode_and_a_new_password_from_the_command_line(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert run("reset-password", "--data", str(data)).returncode == 2
    assert "on from the next start" in run("safe-mode", "on", "--data", str(data)).stdout
    assert (data / "safe-mode").exists()
    assert run("safe-mode", "off", "--data", str(data)).returncode == 0 and not (data / "safe-mode").exists()
    code = re.search(r"Code: (\d{8})", run("reset-password", "--data", str(data)).stdout)
    assert code and password_reset.is_good(data, code[1])
