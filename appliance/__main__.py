"""The command line: `./printroom COMMAND`, or `python -m appliance COMMAND`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from appliance import client_commands, config, log
from appliance.config import Settings
from store.errors import StoreError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            name = ".".join(str(step) for step in detail["loc"])
            print(f"setting {name}: {detail['msg']} (got {detail['input']!r})", file=sys.stderr)
        print("`./printroom settings` lists every setting.", file=sys.stderr)
        return 2
    except (StoreError, OSError) as error:
        print(f"printroom: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="printroom", description="A print room in a box for photo studios.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="see the whole mission happen, on virtual printers, in a minute")
    demo.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    demo.add_argument("--dir", type=Path, default=None, help="where to work (default: a new folder below ./data/demo)")
    demo.set_defaults(run=_demo)

    run = commands.add_parser("run", help="run the appliance")
    run.add_argument("--data", type=Path, help="folder for everything that is kept")
    run.add_argument("--http", type=int, dest="http_port", metavar="PORT", help="port of panel and sync API")
    run.add_argument("--ipp", type=int, dest="ipp_port", metavar="PORT", help="port of the print queues")
    run.add_argument("--host", dest="http_host", help="address to listen on (default: all)")
    run.set_defaults(run=_run)

    client_commands.add_to(commands)

    virtual = commands.add_parser("virtual-printer", help="a printer that speaks IPP and keeps its pages as files")
    virtual.add_argument("name")
    virtual.add_argument("--tray", type=Path, required=True, help="folder in which pages come out")
    virtual.add_argument("--port", type=int, default=0, help="port (default: a free one)")
    virtual.add_argument("--paper", default="4x6=500,5x7=500,8x10=500", help="loaded sheets by size")
    virtual.add_argument("--seconds-per-sheet", type=float, default=0.3)
    virtual.add_argument("--interface", default="127.0.0.1", help="IP address to listen on and to announce")
    virtual.add_argument("--unannounced", action="store_true", help="only who knows its address finds it")
    virtual.add_argument("--with-parent", action="store_true", help="end when the process that started it does")
    virtual.set_defaults(run=_virtual_printer)

    worker = commands.add_parser("worker", help="draw for a Printroom elsewhere, as part of a Dask cluster")
    worker.add_argument("scheduler", help="address of the cluster's scheduler, such as tcp://drawing.local:8786")
    worker.add_argument("--host", help="address to listen on (default: the one that reaches the scheduler)")
    worker.add_argument("--name", help="as the scheduler shows it")
    worker.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="drawing processes")
    worker.add_argument("--dir", type=Path, help="folder for what the cluster keeps for a moment")
    worker.set_defaults(run=_worker)

    store = commands.add_parser("store", help="look at, mend or export the store of a stopped Printroom")
    store.add_argument("action", choices=["check", "repair", "export", "step-back"])
    store.add_argument("--schema", type=int, help="step-back: the older version's")
    store.add_argument("--data", type=Path, help="the data folder")
    store.set_defaults(run=_store)

    safe = commands.add_parser(
        "safe-mode", help="panel and records without drawing and printing, from the next start on"
    )
    safe.add_argument("how", choices=["on", "off"])
    safe.add_argument("--data", type=Path, help="the data folder")
    safe.set_defaults(run=_safe_mode)

    reset = commands.add_parser("reset-password", help="a code with which the panel sets an administrator's password")
    reset.add_argument("--data", type=Path, help="the data folder")
    reset.set_defaults(run=_reset_password)

    settings = commands.add_parser("settings", help="list every setting")
    settings.set_defaults(run=_settings)
    return parser


def _demo(options: argparse.Namespace) -> int:
    from appliance.demo import Demo

    return Demo(options.dir, options.json).run()


def _run(options: argparse.Namespace) -> int:
    from appliance.server import Server
    from store.folder import FolderLock

    settings = Settings.load(
        data=options.data, http_port=options.http_port, http_host=options.http_host, ipp_port=options.ipp_port
    )
    log.configure(settings.log_level)
    # Said here, before gunicorn, so that a second start ends with one sentence; the worker takes the lock for good.
    FolderLock(settings.data).release()
    Server(settings).run()
    return 0


def _virtual_printer(options: argparse.Namespace) -> int:
    from ipp.virtual import Levers, serve

    log.configure("info")
    paper = {size: int(count) for size, _, count in (part.partition("=") for part in options.paper.split(","))}
    levers = Levers(paper, options.seconds_per_sheet)

    async def until_told() -> None:
        where = (options.port, (options.interface,), not options.unannounced)
        serving = asyncio.create_task(serve(options.name, options.tray, levers, *where))
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
        if options.with_parent:
            parent = os.getppid()
            while os.getppid() == parent and not serving.done():
                await asyncio.sleep(0.5)
            serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving

    asyncio.run(until_told())
    return 0


def _worker(options: argparse.Namespace) -> int:
    from appliance.cluster_worker import serve

    return serve(options.scheduler, options.host, options.name, options.processes, options.dir)


def _store(options: argparse.Namespace) -> int:
    from store import doctor
    from store.folder import signs_of_use
    from store.head import head_of

    root = Settings.load(data=options.data).data
    known = (root / "store").is_dir() or head_of(root / "store").exists() or signs_of_use(root, of_orders=False)
    if not known:
        print(f"printroom: there is no store in {root}; name the data folder with --data", file=sys.stderr)
        return 2
    if options.action == "export":
        json.dump(doctor.export(root), sys.stdout, ensure_ascii=False, indent=1)
        print()
        findings = doctor.check(root)
        for one in [*findings.lost, *findings.doubts]:
            print(f"DAMAGE: {one}", file=sys.stderr)
        return 0 if findings.is_sound else 1
    if options.action == "step-back":
        if options.schema is None:
            print("printroom: say which schema with --schema", file=sys.stderr)
            return 2
        doctor.step_back(root, options.schema)
        return 0
    kept = None
    findings = doctor.check(root)
    if options.action == "repair":
        findings, kept = doctor.repair(root)
    print(f"Store in {root}: {findings.commits} commits")
    for name, count in findings.documents.items():
        print(f"  {count:8} {name}")
    for note in findings.notes:
        print(f"note: {note}")
    for doubt in findings.doubts:
        print(f"DOUBT: {doubt}")
    for damage in findings.lost:
        print(f"DAMAGE: {damage}")
    if kept:
        print(f"Repaired. The files as they were: {kept}")
        if findings.damage:
            print(f"{doctor.ON_HOLD}.")
    elif findings.is_sound:
        print("Everything that is there can be read." if findings.doubts else "Everything is in order.")
    return 0 if findings.is_sound or kept else 1


def _safe_mode(options: argparse.Namespace) -> int:
    from store import safe_mode

    root = Settings.load(data=options.data).data
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    safe_mode.switch(root, options.how == "on")
    print(f"Safe mode is {options.how} from the next start on.")
    return 0


def _reset_password(options: argparse.Namespace) -> int:
    from store import password_reset

    root = Settings.load(data=options.data).data
    if not root.is_dir():
        print(f"printroom: there is no data in {root}; name the data folder with --data", file=sys.stderr)
        return 2
    code = password_reset.make(root)
    print(f"Code: {code}\nIt is good for ten minutes. Open the panel, “Forgotten the password?”.")
    return 0


def _settings(options: argparse.Namespace) -> int:
    del options
    for name, variable, default, text in config.explained():
        print(f"{name:20} {default:28} {text}\n{'':20} {variable}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
