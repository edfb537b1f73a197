"""From a ticket to sheet files: select, plan, draw, colour, output. Pillow lives here only."""
