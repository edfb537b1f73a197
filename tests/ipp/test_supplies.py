"""What is left in printers, and what is said before it runs out."""

from __future__ import annotations

from ipp.supplies import forecast, supplies_of
from store.records import PrinterState, PrinterStatus, Supply
from tests.studio import NOW

# As ippeveprinter tells it.
INKS = [
    b"index=1;class=receptacleThatIsFilled;type=wasteInk;unit=percent;maxcapacity=100;level=25;colorantname=unknown;",
    b"index=2;class=supplyThatIsConsumed;type=ink;unit=percent;maxcapacity=100;level=75;colorantname=black;",
    b"index=3;class=supplyThatIsConsumed;type=ink;unit=percent;maxcapacity=100;level=-2;colorantname=cyan;",
]


def told(copies: int, *supplies: Supply) -> list[str]:
    status = PrinterStatus(id=1, state=PrinterState.IDLE, since=NOW, supplies=supplies)
    return list(forecast({1: copies}, {1: status}, {1: "DS620"}))


def test_levels_are_read_as_printers_tell_them_and_unknown_stays_unknown() -> None:
    black, cyan = supplies_of(INKS, ["Ink Waste Tank", "Black Ink", "Cyan Ink"])
    assert (black.name, black.percent, black.sheets_left) == ("Black Ink", 75, None)
    assert (cyan.name, cyan.percent) == ("Cyan Ink", None)


def test_nonsense_is_left_alone() -> None:
    assert supplies_of([b"", b"level=x;maxcapacity=0", "level=5"], []) == (
        Supply(name="supply"), Supply(name="supply"), Supply(name="supply"),
    )  # fmt: skip


def test_a_ribbon_that_ends_before_the_order_does_is_told_with_both_numbers() -> None:
    assert told(52, Supply(name="Ribbon", sheets_left=38)) == [
        "DS620: Ribbon ends in 38 sheets, and 52 wait: have a new one ready"
    ]
    assert told(38, Supply(name="Ribbon", sheets_left=38)) == []


def test_an_ink_that_tells_only_percent_is_told_when_it_is_low_and_work_waits() -> None:
    assert told(5, Supply(name="Black", percent=8)) == [
        "DS620: Black is at 8 %, and 5 sheets wait: have a new one ready"
    ]
    assert told(0, Supply(name="Black", percent=8)) == told(5, Supply(name="Black", percent=40)) == []
