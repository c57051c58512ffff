"""Finding scenarios: one a file, in `scenarios/` of the checkout, or as shipped inside the installed package.

A scenario file is Python that defines `SCENARIO`; the folder `controls/` beside them holds the ones that must be
caught. Admins may point at a folder of their own.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from rehearsal.errors import UsageError
from rehearsal.scenario import Scenario

_SHIPPED = Path(__file__).parent / "_scenarios"
_CHECKOUT = Path(__file__).parent.parent / "scenarios"

ORDER = (
    "lose-session-db",
    "lose-auth",
    "lose-job-history",
    "lose-files-cp",
    "lose-files-tar",
    "lose-everything",
    "s3-lose-session-db",
    "s3-lose-session-db-incremental",
    "s3-lose-session-db-archive",
    "s3-lose-files",
    "s3-lose-files-incremental",
    "s3-lose-files-unencrypted",
    "s3-lose-everything",
    "s3-lose-everything-archive",
    "s3-lose-everything-mixed",
)
"""The order in which a run goes through the scenarios it knows; others follow by name, controls last."""


def default_folder() -> Path:
    """The checkout's `scenarios/`, or the ones shipped with the package."""
    return _CHECKOUT if _CHECKOUT.is_dir() else _SHIPPED


def load_scenario(path: Path) -> Scenario:
    """The scenario that a file defines.

    Raises:
        UsageError: it cannot be imported, or defines no `SCENARIO`.
    """
    spec = importlib.util.spec_from_file_location(f"rehearsal_scenario_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UsageError("this is no Python file", where=str(path))
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UsageError(f"the scenario cannot be read: {type(error).__name__}: {error}", where=str(path)) from error
    scenario = getattr(module, "SCENARIO", None)
    if not isinstance(scenario, Scenario):
        raise UsageError(
            "it defines no `SCENARIO = Scenario(…)`", where=str(path), hint="see scenarios/lose_session_db.py for one"
        )
    return scenario


def _rank(scenario: Scenario) -> tuple[bool, int, str]:
    known = ORDER.index(scenario.name) if scenario.name in ORDER else len(ORDER)
    return scenario.is_control, known, scenario.name


def load_scenarios(folder: Path) -> tuple[Scenario, ...]:
    """Every scenario below a folder, rehearsals first, then controls.

    Raises:
        UsageError: there is none, a file is broken, or two have one name.
    """
    files = sorted(path for path in folder.rglob("*.py") if not path.name.startswith(("_", "conftest")))
    scenarios = sorted((load_scenario(path) for path in files), key=_rank)
    if not scenarios:
        raise UsageError("there are no scenarios", where=str(folder))
    names = [scenario.name for scenario in scenarios]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two scenarios are called {name}", where=str(folder))
    return tuple(scenarios)


def pick_scenarios(scenarios: Sequence[Scenario], names: Sequence[str]) -> tuple[Scenario, ...]:
    """The ones that were asked for, in the order asked; all of them where nothing was.

    Raises:
        UsageError: a name that none has.
    """
    by_name = {scenario.name: scenario for scenario in scenarios}
    for name in names:
        if name not in by_name:
            raise UsageError(f"there is no scenario {name!r}", hint=f"one of: {', '.join(by_name)}")
    return tuple(by_name[name] for name in names) if names else tuple(scenarios)
