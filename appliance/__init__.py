"""Puts the parts together: command line, settings, start and stop, demo. Imported by no other package."""
