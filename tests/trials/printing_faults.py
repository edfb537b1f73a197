"""What goes wrong while the printing campaign prints: to printers, to the box, to its clock and disk, and by people."""

from __future__ import annotations

import errno
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from tests.lab import VirtualPrinterProcess, free_port

if TYPE_CHECKING:
    from tests.trials.printing import Campaign

PAPER = {"4x6": 1_000_000}
WELL: dict[str, object] = {
    "paper": PAPER, "stopped": False, "jammed": False, "seconds_per_sheet": 0.05, "drop_after_bytes": 0,
    "prints_halves": False, "answer_delay_s": 0, "forgets": False, "answers": {}, "refused_sizes": [], "aborts": 0,
}  # fmt: skip
ODD = ("http 503", "http 500", "http 404", "0x0500", "0x0504", "0x0505", "0x0506", "0x0507", "0x0400", "0x0403",
       "garbage", "empty", "another", "hang up")  # fmt: skip
ASKED = ("Create-Job", "Send-Document", "Get-Job-Attributes", "Get-Jobs", "Get-Printer-Attributes", "Cancel-Job",
         "Release-Job")  # fmt: skip
NOBODY, THE_BOX = "-", ""
DAY_S = 86_400


class Faults:
    """One of each kind, when it is asked for."""

    def __init__(self, campaign: Campaign, rng: Random) -> None:
        self._campaign, self._rng = campaign, rng
        self._kinds: dict[str, tuple[int, str, Callable[[str], None]]] = {
            # how often, whom it is about ("*": a printer), what
            "worker killed": (2, THE_BOX, lambda _: campaign.kill_worker()),
            "plug pulled": (1, THE_BOX, lambda _: campaign.pull_plug()),
            "clock set": (3, NOBODY, self._set_clock),
            "disk full": (2, THE_BOX, self._fill_disk),
            "printer killed": (3, "*", self._kill_printer),
            "printer moved": (2, "*", lambda name: self._kill_printer(name, free_port())),
            "printer stopped": (3, "*", lambda name: self._lever(name, stopped=True)),
            "printer jammed": (2, "*", lambda name: self._lever(name, jammed=True)),
            "printer slowed": (2, "*", lambda name: self._lever(name, seconds_per_sheet=0.7)),
            "printer silent": (2, "*", lambda name: self._lever(name, seconds_per_sheet=6)),
            "link cut": (4, "*", lambda name: self._lever(name, drop_after_bytes=rng.randint(300, 9000))),
            "link cut, half printed": (2, "*", self._cut_and_print_halves),
            "paper out": (3, "*", lambda name: self._lever(name, paper={"4x6": 0})),
            "paper changed": (2, "*", lambda name: self._lever(name, paper={"5x7": 99})),
            "refuses its paper": (2, "*", lambda name: self._lever(name, refused_sizes=["4x6"])),
            "asleep": (2, "*", lambda name: self._lever(name, answer_delay_s=1.5)),
            "history forgotten": (1, "*", lambda name: self._lever(name, forgets=True)),
            "prints aborted": (1, "*", lambda name: self._lever(name, aborts=1)),
            "busy": (3, "*", lambda name: self._answer(name, "Create-Job", "0x0507*")),
            "odd answers": (8, "*", self._answer_oddly),
            "odd answers to all": (2, "*", lambda name: self._answer(name, "*", f"{rng.choice(ODD)}*")),
            "done, and odd answers": (4, "*", self._do_and_answer_oddly),
            "ticket canceled": (3, NOBODY, lambda _: campaign.cancel_ticket()),
            "sheet canceled": (3, NOBODY, lambda _: campaign.cancel_sheet()),
            "ticket held": (2, NOBODY, lambda _: campaign.hold_ticket()),
        }

    def next(self) -> tuple[str, str]:
        """Let one happen; returns its kind and whom it is about."""
        kind = self._rng.choices(list(self._kinds), [weight for weight, _, _ in self._kinds.values()])[0]
        _, whom, action = self._kinds[kind]
        whom = self._rng.choice(self._campaign.names) if whom == "*" else whom
        action(whom)
        return kind, whom

    # -- the box --------------------------------------------------------------------------------------------------

    def _set_clock(self, _: str) -> None:
        offsets_s = (-3600, 3600, 10 * 3600, -2 * DAY_S, 12 * 365 * DAY_S, -56 * 365 * DAY_S)
        self._campaign.world.set_clock(self._rng.choice(offsets_s))
        self._campaign.after(lambda: self._campaign.world.set_clock(0))

    def _fill_disk(self, _: str) -> None:
        self._campaign.world.spoil_disk(self._campaign.data, errno.ENOSPC)
        self._campaign.after(self._campaign.world.mend_disk)

    # -- printers -------------------------------------------------------------------------------------------------

    def _kill_printer(self, name: str, port: int | None = None) -> None:
        """As its switch does; with a port it comes back at another address."""
        printers = self._campaign.printers
        printer = printers[name]
        if printer.process.poll() is not None:
            return  # lies dead already
        printer.process.kill()
        printer.process.wait()
        printer.stop()

        def again() -> None:
            printers[name] = VirtualPrinterProcess(self._campaign.folder, name, port=port or printer.port)
            self._campaign.heal(name)

        self._campaign.after(again)

    def _lever(self, name: str, **bad: object) -> None:
        self._campaign.pull(name, **bad)
        good = {lever: WELL[lever] for lever in bad}
        self._campaign.after(lambda: self._campaign.pull(name, **good))

    def _cut_and_print_halves(self, name: str) -> None:
        self._lever(name, drop_after_bytes=self._rng.randint(300, 9000), prints_halves=True)

    def _answer(self, name: str, operation: str, *words: str) -> None:
        self._lever(name, answers={operation: list(words)})

    def _answer_oddly(self, name: str) -> None:
        """For a second or so, one kind of request is answered oddly, and nothing of it is done."""
        words = self._rng.choices(ODD, k=self._rng.randint(1, 3))
        self._answer(name, self._rng.choice(ASKED), *words)

    def _do_and_answer_oddly(self, name: str) -> None:
        """It is done, and the answer does not say so."""
        words = [f"done, {word}" for word in self._rng.choices(ODD, k=self._rng.randint(1, 2))]
        self._answer(name, self._rng.choice(ASKED), *words)
