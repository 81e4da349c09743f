"""Language models as targets: the figures of ``wafersim llm`` at a point."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wafersim.errors import ANSWER_SCHEMA


def answer_model(order: Mapping[str, Any], progress: Any = None) -> dict[str, Any]:
    """The answer of ``wafersim llm`` with the status of a run.

    Raises
    ------
    ConfigError
        A model that does not fit, or a bad option.
    """
    from wafersim.models.ask import ask
    from wafersim.simulate.request import arch_of

    fields = dict(order["fields"])
    found = ask(fields.pop("model"), arch_of(fields.pop("arch")), **fields)
    return {**found, "schema": ANSWER_SCHEMA, "status": "finished", "verified": None}
