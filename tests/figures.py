"""Figures that long tests measured: appended to the file that WAFERSIM_FIGURES names, if it is set."""

from __future__ import annotations

import json
import os


def say(name: str, value: object) -> None:
    """One JSON line."""
    path = os.environ.get("WAFERSIM_FIGURES")
    if path:
        with open(path, "a") as file:
            file.write(json.dumps({name: value}) + "\n")
