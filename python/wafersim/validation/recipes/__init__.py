"""How each family of published rows is replayed.

One recipe per family, never per row: a recipe reads the row's text and answers with a plan, or with the
reason why there is none.  Rows of the same families from a user's file are replayed in the same way.  Every
module of this package that has ``RECIPES`` (family -> recipe) is collected.  A recipe with constants of its
own names the rows that they were fitted on in ``FITTED_ON``.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from functools import cache
from importlib import import_module
from types import ModuleType

from wafersim.errors import ConfigError, InternalError
from wafersim.validation.plan import NoPlan, Plan
from wafersim.validation.rows import Row

Recipe = Callable[[Row], Plan | NoPlan]


@cache
def recipes() -> dict[str, Recipe]:
    """All recipes by family, in alphabetical order."""
    found: dict[str, Recipe] = {}
    for module in _modules():
        for family, recipe in getattr(module, "RECIPES", {}).items():
            if family in found:
                raise InternalError(f"family {family} has two recipes, one of them in {module.__name__}")
            found[family] = recipe
    return dict(sorted(found.items()))


def _modules() -> list[ModuleType]:
    names = sorted(info.name for info in pkgutil.iter_modules(__path__))
    return [import_module(f"{__name__}.{name}") for name in names]


def fitted_rows() -> set[str]:
    """Rows on which a constant of a recipe was fitted (``FITTED_ON`` of its module)."""
    return {row for module in _modules() for row in getattr(module, "FITTED_ON", ())}


def plan_for(row: Row) -> Plan | NoPlan:
    """The plan for a row, or the reason why there is none."""
    recipe = recipes().get(row.family)
    if recipe is None:
        return NoPlan(f"no recipe for family {row.family!r}; families with one: {', '.join(recipes())}")
    try:
        return recipe(row)
    except ConfigError as error:
        return NoPlan(str(error))
