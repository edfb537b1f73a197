"""`./printroom client …`: the reference desktop client on the command line."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import sys
from pathlib import Path
from typing import Any

from appliance.desktop_client import DesktopClient, Kept, SyncError, pair
from appliance.desktop_client.kept import default_file
from appliance.desktop_client.link import WrongBox


def add_to(commands: Any) -> None:
    """Add the command and its actions to a parser."""
    client = commands.add_parser("client", help="the reference desktop client")
    client.add_argument("--url", help="the box, such as https://printroom.local:8080 (default: the paired one)")
    client.add_argument("--token", help="made by hand in the panel (default: the paired one)")
    client.add_argument("--keep", type=Path, default=default_file(), help="file of the pairing (default: %(default)s)")
    client.add_argument("--interface", action="append", default=[], help="IP address to look for boxes on")
    actions = client.add_subparsers(required=True, metavar="ACTION")

    find = actions.add_parser("find", help="list the boxes on this network")
    find.set_defaults(run=_run(_find))
    pairing = actions.add_parser("pair", help="pair with a box, by the code that its panel shows")
    pairing.add_argument("code", help="six digits")
    pairing.set_defaults(run=_run(_pair))
    push = actions.add_parser("push", help="push records from JSON files; pictures beside them are uploaded")
    push.add_argument("records", type=Path, nargs="+", help="a record; an image with 'file' is uploaded from there")
    push.add_argument("--dry-run", action="store_true", help="keep nothing; say which tickets would open")
    push.set_defaults(run=_run(_push))
    watch = actions.add_parser("watch", help="print status changes as they come, one JSON object a line, for ever")
    watch.set_defaults(run=_run(_watch))
    pull = actions.add_parser("pull", help="print the status changes that wait, and end")
    pull.set_defaults(run=_run(_pull))


def _run(action: Any) -> Any:
    def run(options: argparse.Namespace) -> int:
        try:
            return int(action(options))
        except (SyncError, WrongBox) as error:
            print(f"printroom: {error}", file=sys.stderr)
        except (OSError, http.client.HTTPException) as error:
            print(f"printroom: the box cannot be reached ({error}): is it on, and the address right?", file=sys.stderr)
        except ValueError as error:
            print(f"printroom: {error}", file=sys.stderr)
        return 1

    return run


def _client(options: argparse.Namespace) -> DesktopClient:
    from appliance.desktop_client import find

    if options.token:
        if not options.url:
            raise ValueError("--token needs --url")
        return DesktopClient(options.url, options.token)
    try:
        kept = Kept.open(options.keep)
    except FileNotFoundError:
        raise ValueError(
            "this client is not paired: run `client pair CODE` with the code that the panel shows"
        ) from None
    return DesktopClient.of(kept, find=find.address_of)


def _find(options: argparse.Namespace) -> int:
    from appliance.desktop_client import find

    found = find.boxes(interfaces=options.interface)
    for box in found:
        print(f"{box.url}  {box.name}  fingerprint {_shown(box.fingerprint)}")
    if not found:
        print("printroom: no box announces itself here: name it with --url", file=sys.stderr)
    return 0 if found else 1


def _pair(options: argparse.Namespace) -> int:
    from appliance.desktop_client import find

    url = options.url
    if not url:
        found = find.boxes(interfaces=options.interface)
        if len(found) != 1:
            raise ValueError(f"{len(found)} boxes announce themselves here: name one with --url (see `client find`)")
        url = found[0].url
    kept = pair(url, options.code)
    kept.save(options.keep)
    print(f"Paired as '{kept.client}' with {url}.")
    if kept.fingerprint:
        print(f"The box's fingerprint begins with {_shown(kept.fingerprint)}. The panel must show the same.")
    return 0


def _shown(fingerprint: str) -> str:
    return " ".join(fingerprint[start : start + 4] for start in range(0, 16, 4))


def _push(options: argparse.Namespace) -> int:
    client = _client(options)
    records = []
    for path in options.records:
        record = json.loads(path.read_text())
        for image in record.get("images", []):
            if "file" in image:
                image["sha256"] = client.upload(path.parent / image.pop("file"))
        records.append(record)
    answers = client.push(*records, dry_run=options.dry_run)
    for answer in answers:
        print(json.dumps(answer))
    return 1 if any(answer["answer"] == "rejected" for answer in answers) else 0


def _watch(options: argparse.Namespace) -> int:
    with contextlib.suppress(KeyboardInterrupt):
        for change in _client(options).follow():
            print(json.dumps(change), flush=True)
    return 0


def _pull(options: argparse.Namespace) -> int:
    client = _client(options)
    while found := client.changes():
        for change in found:
            print(json.dumps(change), flush=True)
        client.acknowledge(found[-1]["seq"])
    return 0
