"""Patchwright: a software engineer you host yourself."""

__version__ = "0.1.0"
