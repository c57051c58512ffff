"""The pytest face: `pytest scenarios/` runs every scenario file as one test, with the same engine as the command line.

Red means red: a scenario that failed, could not tell or did not run fails its test; a session in which no scenario
passed, or in which one was skipped, does not end with status 0. A database that values.yaml disables takes its
scenarios out of the session, by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rehearsal.errors import RehearsalError
from rehearsal.options import declare_options, read_options
from rehearsal.run import Performed, Run
from rehearsal.scenario import Scenario
from rehearsal.scenario_files import load_scenario
from rehearsal.telling import tell_findings, tell_kept, tell_outcome, tell_total
from rehearsal.verdicts import Verdict

_RUN = pytest.StashKey[Run]()
_ABSENT = pytest.StashKey[list[str]]()
_FOLDER = "scenarios"


class NotProven(Exception):
    """A scenario whose outcome is not PASS."""

    def __init__(self, performed: Performed) -> None:
        self.performed = performed
        super().__init__(tell_outcome(performed))


def pytest_addoption(parser: pytest.Parser) -> None:
    """The shared options, in a group of their own."""
    declare_options(parser.getgroup("rehearsal", "restore rehearsals").addoption)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A Python file below a folder called `scenarios` is a scenario."""
    hidden = file_path.name.startswith(("_", "conftest"))
    if file_path.suffix == ".py" and not hidden and _FOLDER in (folder.name for folder in file_path.parents[:2]):
        return ScenarioFile.from_parent(parent, path=file_path)
    return None


class ScenarioFile(pytest.File):
    """One scenario file."""

    def collect(self) -> Iterator[pytest.Item]:
        try:
            scenario = load_scenario(self.path)
        except RehearsalError as error:
            raise self.CollectError(str(error)) from error
        yield ScenarioItem.from_parent(self, name=scenario.name, scenario=scenario)


class ScenarioItem(pytest.Item):
    """One rehearsal as a test."""

    def __init__(self, *, scenario: Scenario, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scenario = scenario

    def runtest(self) -> None:
        performed = _open_run(self.config).perform(self.scenario)
        self.user_properties.append(("report", str(performed.folder / "report.html")))
        if performed.outcome is not Verdict.PASS:
            raise NotProven(performed)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, NotProven):
            performed = excinfo.value.performed
            report = f"report: {performed.folder / 'report.html'}"
            return "\n".join([tell_outcome(performed), *tell_findings(performed.report), report])
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, f"{self.scenario.name}: {self.scenario.title}"


def _open_run(config: pytest.Config) -> Run:
    """The session's run, opened when the first scenario needs it."""
    if _RUN not in config.stash:
        run = Run(read_options(config.option))
        run.__enter__()
        config.stash[_RUN] = run
    return config.stash[_RUN]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take out what values.yaml disables; refuse malformed values before anything is started."""
    scenarios = [item for item in items if isinstance(item, ScenarioItem)]
    if not scenarios or config.option.collectonly:
        return
    try:
        run = _open_run(config)
    except RehearsalError as error:
        raise pytest.UsageError(str(error)) from error
    absent = {item: run.explain_absence(item.scenario) for item in scenarios}
    gone = [item for item, reason in absent.items() if reason]
    config.stash[_ABSENT] = [f"{item.scenario.name}: {absent[item]}" for item in gone]
    if gone:
        config.hook.pytest_deselected(items=gone)
        items[:] = [item for item in items if item not in gone]


@pytest.hookimpl(trylast=True)
def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    """The level, what it does not prove, and where the evidence goes."""
    run = config.stash.get(_RUN, None)
    if run is None:
        return []
    lines = [f"rehearsal cluster: {run.session.description}", f"rehearsal folder: {run.folder}"]
    lines += [f"  does not prove: {sentence}" for sentence in run.session.does_not_prove]
    return lines + [f"  not rehearsed: {line}" for line in config.stash.get(_ABSENT, [])]


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A session that collected scenarios and proved nothing, or skipped one, is not green."""
    run = session.config.stash.get(_RUN, None)
    if run is None:
        return
    try:
        run.__exit__(None, None, None)
    except RehearsalError as error:
        run.trouble = error
    collected = [item for item in session.items if isinstance(item, ScenarioItem)]
    if exitstatus == pytest.ExitCode.OK and (len(run.performed) < len(collected) or run.trouble is not None):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line a scenario, the counts, and the report's path."""
    run = config.stash.get(_RUN, None)
    if run is None:
        return
    terminalreporter.section("restore rehearsals")
    terminalreporter.line(f"cluster: {run.session.description}")
    for sentence in run.session.does_not_prove:
        terminalreporter.line(f"  does not prove: {sentence}")
    for performed in run.performed:
        terminalreporter.line(tell_outcome(performed))
    for line in config.stash.get(_ABSENT, []):
        terminalreporter.line(f"not rehearsed: {line}")
    skipped = sum(isinstance(item, ScenarioItem) for item in terminalreporter._session.items) - len(run.performed)  # type: ignore[union-attr]
    if skipped > 0:
        terminalreporter.line(f"{skipped} collected scenarios did not run: this session is not green", red=True)
    if run.trouble is not None:
        terminalreporter.line(str(run.trouble), red=True)
    terminalreporter.line(f"{run.outcome}: {tell_total(run.performed)}")
    if run.performed:
        terminalreporter.line(f"report: {run.folder / 'index.html'}")
    for line in tell_kept(run.kept, str(run.folder.parent)):
        terminalreporter.line(line)
