"""The reference client against a running box: pairing, TLS by fingerprint, broken uploads, boxes that move."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import re
import socket
import ssl
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

from appliance.certificate import fingerprint
from appliance.desktop_client import DesktopClient, Kept, SyncError, find, link, pair
from render.samples import sample_photo
from tests.appliance.conftest import Appliance, Studio, wait_for_change
from tests.lab import REPOSITORY, free_port, until
from tests.studio import FINISH, SELECT
from tests.web.conftest import PASSWORD


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path / "data", {}, pool_id=None)


def panel_code(box: Appliance) -> str:
    """Show a pairing code as a person does."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    login = urllib.parse.urlencode({"name": "kim", "password": PASSWORD}).encode()
    browser.open(f"{box.url}/login", login).close()
    form = urllib.parse.urlencode({"name": "Front desk", "push": "on", "follow": "on"}).encode()
    with browser.open(f"{box.url}/clients/", form) as page:
        found = re.search(r"(\d{3}) (\d{3})</code>", page.read().decode())
    assert found
    return found[1] + found[2]


def secure(box: Appliance) -> str:
    return box.url.replace("http:", "https:")


def record(number: str, digest: str, **changes: object) -> dict[str, object]:
    image = {"name": "1.jpg", "sha256": digest}
    item = {"id": "1", "image": "1.jpg", "size": "4x6"}
    fields = {"kind": "session", "number": number, "revision": 1, "status": SELECT}
    return {**fields, "images": [image], "items": [item], **changes}


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "appliance", "client", *arguments],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        timeout=60,
    )


def test_the_panels_port_speaks_http_and_https(appliance: Callable[..., Appliance], studio: Studio) -> None:
    box = appliance(studio.data)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for url in (box.url, secure(box)):
        with urllib.request.urlopen(f"{url}/login", context=context if "https" in url else None) as page:
            assert "Printroom" in page.read().decode()
    with socket.create_connection(("127.0.0.1", box.port)) as nonsense:
        nonsense.sendall(b"\x16\x03\x01nonsense that is no handshake")
        with contextlib.suppress(ConnectionResetError):
            while nonsense.recv(1000):
                pass
    assert studio.desktop(box).box()["api"] == "v1"


def test_pairing_over_tls_binds_the_client_to_the_boxs_certificate(
    appliance: Callable[..., Appliance], studio: Studio, tmp_path: Path
) -> None:
    box = appliance(studio.data, PRINTROOM_REQUIRE_TLS="true")
    with pytest.raises(SyncError, match="https://"):
        pair(box.url, panel_code(box))
    kept = pair(secure(box), panel_code(box))
    assert kept.fingerprint == fingerprint(studio.data / "tls") and kept.client == "Front desk"
    kept.save(tmp_path / "client.json")
    assert (tmp_path / "client.json").stat().st_mode & 0o077 == 0
    client = DesktopClient.of(Kept.open(tmp_path / "client.json"))
    assert client.box()["fingerprint"] == kept.fingerprint
    stranger = DesktopClient(kept.url, kept.token, "0" * 64, patience_s=0)
    with pytest.raises(link.WrongBox):
        stranger.changes()


def test_a_picture_and_a_record_go_over_tls_and_the_result_comes_back_once(
    appliance: Callable[..., Appliance], studio: Studio, tmp_path: Path
) -> None:
    box = appliance(studio.data)
    kept = pair(secure(box), panel_code(box))
    kept.save(tmp_path / "client.json")
    client = DesktopClient.of(kept)
    (tmp_path / "1.jpg").write_bytes(sample_photo(1, 900, 600))
    digest = client.upload(tmp_path / "1.jpg")
    assert client.push(record("S-1", digest), dry_run=True)[0]["render_jobs"] == ["Print sessions"]
    assert len(client.push(record("S-1", digest))[0]["tickets"]) == 1
    change = wait_for_change(client, "S-1")
    assert change["status"] == FINISH
    client.acknowledge(change["seq"])
    assert DesktopClient.of(Kept.open(tmp_path / "client.json")).changes() == []
    assert client.record("session", "S-1")["pushed_status"] == FINISH


def test_a_record_waits_for_its_pictures_and_says_which(
    appliance: Callable[..., Appliance], studio: Studio, tmp_path: Path
) -> None:
    box = appliance(studio.data)
    client = studio.desktop(box)
    photo = sample_photo(1, 900, 600)
    digest = hashlib.sha256(photo).hexdigest()
    (answer,) = client.push(record("S-1", digest))
    assert answer["missing"] == ["1.jpg"]
    until(lambda: "1.jpg, which is not here yet" in client.ticket(1)["reason"], "the ticket says what it waits for")
    (tmp_path / "1.jpg").write_bytes(photo)
    client.upload(tmp_path / "1.jpg")
    assert wait_for_change(client, "S-1")["status"] == FINISH


def test_a_record_whose_pictures_never_come_ends_in_its_error_status(
    appliance: Callable[..., Appliance], studio: Studio
) -> None:
    box = appliance(studio.data, PRINTROOM_IMAGE_WAIT_S="1")
    client = studio.desktop(box)
    client.push(record("S-1", "0" * 64))
    change = wait_for_change(client, "S-1")
    assert change["outcome"] == "failed" and "PUT it first" in change["results"][0]["reason"]


def test_a_broken_upload_goes_on_where_it_was(
    appliance: Callable[..., Appliance], studio: Studio, tmp_path: Path
) -> None:
    box = appliance(studio.data)
    client = studio.desktop(box)
    data = random.Random(1).randbytes(5_000_000)
    digest = hashlib.sha256(data).hexdigest()
    head = (
        f"PUT /sync/v1/images/{digest} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {studio.token}\r\n"
        f"Content-Length: {len(data)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", box.port)) as cut:
        cut.sendall(head.encode() + data[:3_000_000])
        time.sleep(0.5)

    def there() -> int:
        try:
            client._ask("GET", f"/sync/v1/images/{digest}")
        except SyncError as error:
            return int(error.headers["Upload-Offset"])
        return -1

    def settled() -> bool:
        """What came is kept, and nothing more comes."""
        before = there()
        time.sleep(0.5)
        return 0 < before == there()

    until(settled, "what came is kept")
    sent: list[int] = []
    real = link.call

    def call(*args: object, **kwargs: object) -> link.Answer:
        if args[1] == "PUT":
            sent.append(int(kwargs["headers"]["Content-Length"]))  # type: ignore[index]
        return real(*args, **kwargs)  # type: ignore[arg-type]

    (tmp_path / "big").write_bytes(data)
    offset = there()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(link, "call", call)
        client.upload(tmp_path / "big")
    # More than once where the box had not noticed yet that the first connection is gone.
    assert set(sent) == {len(data) - offset} and 0 < offset <= 3_000_000
    assert (studio.data / "images" / digest[:2] / digest).read_bytes() == data


def test_a_repeated_push_is_answered_the_same_after_the_box_was_killed(
    appliance: Callable[..., Appliance], studio: Studio
) -> None:
    box = appliance(studio.data)
    body = json.dumps({"records": [record("S-1", "0" * 64)]}).encode()
    headers = {"Authorization": f"Bearer {studio.token}", "Idempotency-Key": "one"}
    first = link.call(box.url, "POST", "/sync/v1/statuses", headers=headers, body=body)
    box.kill()
    box = appliance(studio.data)
    again = link.call(box.url, "POST", "/sync/v1/statuses", headers=headers, body=body)
    assert again.body == first.body and again.body["results"][0]["tickets"] == [1]
    assert again.headers["Idempotency-Replayed"] == "true"


def test_a_box_that_moved_is_found_again_by_its_certificate(
    appliance: Callable[..., Appliance], studio: Studio, tmp_path: Path
) -> None:
    first = appliance(studio.data)
    kept = pair(secure(first), panel_code(first))
    kept.save(tmp_path / "client.json")
    first.stop()
    second = appliance(studio.data)  # on another port
    assert second.port != first.port
    client = DesktopClient.of(kept, find=lambda wanted: secure(second) if wanted == kept.fingerprint else None)
    assert client.changes() == []
    assert Kept.open(tmp_path / "client.json").url == secure(second)


def test_the_box_is_announced_and_the_command_line_pairs_pushes_and_pulls(
    appliance: Callable[..., Appliance], studio: Studio, tmp_path: Path
) -> None:
    box = appliance(studio.data, PRINTROOM_DISCOVERY="true")
    print_of_it = fingerprint(studio.data / "tls")

    def found() -> list[find.Found]:
        return find.boxes(2, print_of_it, ("127.0.0.1",))

    (told,) = until(found, "the box is announced")
    assert told.url == secure(box) and told.name.startswith("Printroom")
    keep = ("--keep", str(tmp_path / "client.json"), "--interface", "127.0.0.1")
    unpaired = command(*keep, "pull")
    assert unpaired.returncode == 1 and "client pair CODE" in unpaired.stderr
    assert print_of_it[:4] in command(*keep, "find").stdout
    code = panel_code(box)
    paired = command(*keep, "--url", secure(box), "pair", f"{code[:3]} {code[3:]}")
    assert paired.returncode == 0 and "Paired as 'Front desk'" in paired.stdout, paired.stderr
    (tmp_path / "a.jpg").write_bytes(sample_photo(1, 900, 600))
    pushed = {**record("S-1", ""), "images": [{"name": "1.jpg", "file": "a.jpg"}]}
    (tmp_path / "record.json").write_text(json.dumps(pushed))
    push = command(*keep, "push", str(tmp_path / "record.json"))
    assert json.loads(push.stdout)["answer"] == "accepted", push.stderr

    def pulled() -> str:
        return command(*keep, "pull").stdout

    assert json.loads(until(pulled, "the result comes"))["status"] == FINISH
    assert command(*keep, "pull").stdout == ""


def test_what_is_refused_is_said_in_one_sentence(appliance: Callable[..., Appliance], studio: Studio) -> None:
    box = appliance(studio.data)
    refused = command("--url", box.url, "--token", "wrong", "pull")
    assert refused.returncode == 1 and "this token is not known here" in refused.stderr
    away = command("--url", f"http://127.0.0.1:{free_port()}", "pair", "123456")
    assert away.returncode == 1 and "the box cannot be reached" in away.stderr and "Traceback" not in away.stderr


def test_patience_ends(studio: Studio) -> None:
    client = DesktopClient(f"http://127.0.0.1:{free_port()}", studio.token, patience_s=1)
    began = time.monotonic()
    with pytest.raises(OSError):
        client.changes()
    assert 1 <= time.monotonic() - began < 5
