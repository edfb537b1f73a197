"""Printers on USB, in CUPS's own words."""

from __future__ import annotations

from appliance.box.usb_printers import devices, driver

LISTED = """Device: uri = usb://Canon/SELPHY%20CP1300?serial=6A0101
        class = direct
        info = Canon SELPHY CP1300
        make-and-model = Canon SELPHY CP1300
        device-id = MFG:Canon;MDL:SELPHY CP1300;
        location =
Device: uri = usb://Dai%20Nippon%20Printing/DS-RX1?serial=42
        class = direct
        info = Dai Nippon Printing DS-RX1
        make-and-model = Dai Nippon Printing DS-RX1
        device-id =
Device: uri = gutenprint53+usb://dnp-dsrx1/42
        class = direct
        info = Dai Nippon Printing DSRX1
        make-and-model = Dai Nippon Printing DSRX1
        device-id = MFG:Dai Nippon Printing;MDL:DSRX1;CLS:PRINTER;
Device: uri = serial:/dev/ttyS0?baud=115200
        class = serial
        make-and-model = Unknown
"""
DRIVERS = """foomatic:Canon-CP-10-gimp-print.ppd Canon SELPHY
gutenprint.5.3://canon-cp1300/expert Canon SELPHY CP1300 - CUPS+Gutenprint v5.3.4
"""


def test_only_those_on_usb_count_and_a_dye_sub_s_own_backend_comes_first() -> None:
    assert [(one.uri, one.model) for one in devices(LISTED)] == [
        ("usb://Canon/SELPHY%20CP1300?serial=6A0101", "Canon SELPHY CP1300"),
        ("gutenprint53+usb://dnp-dsrx1/42", "Dai Nippon Printing DSRX1"),
    ]
    assert [one.device_id for one in devices(LISTED)] == [
        "MFG:Canon;MDL:SELPHY CP1300;",
        "MFG:Dai Nippon Printing;MDL:DSRX1;CLS:PRINTER;",
    ]


def test_a_printer_has_the_same_queue_in_every_port() -> None:
    assert [one.queue for one in devices(LISTED)] == ["Canon-SELPHY-CP1300-6A0101", "Dai-Nippon-Printing-DSRX1-42"]


def test_gutenprint_is_asked_first() -> None:
    assert driver(DRIVERS) == "gutenprint.5.3://canon-cp1300/expert"
    assert driver("everywhere IPP Everywhere\n") == "everywhere" and driver("") == ""
