"""Sessions as users see them: who owns and shares them, their datasets and labels, the files behind them, the news.

Files come first, a row each; then session by session: its rules, its jobs, its labels, a dataset for every file it
holds. Some datasets share a file (in one session and across two), some have none; one session is empty; a session's
name and notes take the hard values in turn.
"""

from __future__ import annotations

from rehearsal.chipster.draws import YEAR, Draws, write_instant
from rehearsal.chipster.files import describe_file
from rehearsal.chipster.hard_values import DOCUMENTS, INSTANTS, INTEGERS
from rehearsal.chipster.jobs import add_jobs
from rehearsal.chipster.loading import Loading
from rehearsal.chipster.plan import Plan
from rehearsal.chipster.wording import name_file, name_thing, pick_hard, write_json, write_log

SESSION_STATES = 5
_EMPTY_SESSION = 3
_DAY = 24 * 3_600 * 1_000_000
_COLORS = ("#ff0000", "#00FF00", "rgb(1, 2, 3)", "", None)


def add_session_db(loading: Loading, plan: Plan) -> None:
    """Fill session-db."""
    for index in range(plan.scale.files):
        file = describe_file(plan, index)
        storage = f"file-storage-{index % plan.replicas}"
        created = write_instant(file.created)
        loading.add("public.file", file.file_id, None, created, file.size, storage, file.state, None)
    jobs = labels = datasets = 0
    for session in range(plan.scale.sessions):
        _add_session(loading, plan, session)
        jobs += add_jobs(loading, plan, session, jobs)
        own = _add_labels(loading, plan, session, labels)
        labels += len(own)
        datasets += _add_datasets(loading, plan, session, datasets, own)
    _add_news(loading, plan)


def _add_session(loading: Loading, plan: Plan, session: int) -> None:
    draws = Draws(plan.number, "session row", session)
    session_id = plan.session_id(session)
    created = draws.below(6 * YEAR)
    notes = write_log(draws, session) if session < 20 or session % 7 != 6 else None
    loading.add(
        "public.session",
        session_id,
        write_instant(created + draws.below(90 * _DAY)),
        write_instant(created),
        name_thing(draws, session),
        loading.place(notes),
        session % SESSION_STATES,
    )
    owner = plan.owner(session)
    loading.add("public.rule", draws.uuid(), True, None, owner, session_id, write_instant(created))
    for share in range(draws.below(3) if session % 2 else 0):
        other = plan.owner(session + 1 + share)
        shared = write_instant(created + draws.below(_DAY))
        loading.add("public.rule", draws.uuid(), share % 2 == 1, owner, other, session_id, shared)
    if session % 20 == 4:  # an example session, open to everyone
        loading.add("public.rule", draws.uuid(), False, "", "everyone", session_id, None)


def _add_labels(loading: Loading, plan: Plan, session: int, first: int) -> list[str]:
    """Labels of the session, the first of them number `first` of all; returns their identifiers."""
    draws = Draws(plan.number, "labels", session)
    labels = [draws.uuid() for _ in range(draws.below(4))]
    for place, label in enumerate(labels):
        created = write_instant(draws.below(6 * YEAR))
        name = name_thing(draws, first + place)
        loading.add("public.label", plan.session_id(session), label, name, draws.pick(_COLORS), created)
    return labels


def _add_datasets(loading: Loading, plan: Plan, session: int, first: int, labels: list[str]) -> int:
    """Datasets of the session, the first of them number `first` of all; returns how many."""
    if session == _EMPTY_SESSION:
        return 0
    files = list(range(session, plan.scale.files, plan.scale.sessions))
    if session == _EMPTY_SESSION + 1:
        files += range(_EMPTY_SESSION, plan.scale.files, plan.scale.sessions)
    held: list[int | None] = [*files, *files[::8]]  # every eighth file has two datasets
    if session % 5 == 0:
        held.append((session + 1) % plan.scale.sessions)  # of the next session
    if session % 6 == 2:
        held.append(None)
    for index, file in enumerate(held, start=first):
        _add_dataset(loading, plan, session, index, file, labels)
    return len(held)


def _add_dataset(loading: Loading, plan: Plan, session: int, index: int, file: int | None, labels: list[str]) -> None:
    draws = Draws(plan.number, "dataset", index)
    jobs = plan.job_count(session)
    x, y = draws.below(2_000), draws.below(2_000)
    chosen = [label for label in labels if draws.one_in(3)]
    metadata = [{"name": "phenodata.tsv", "content": f"sample\tgroup\n{name_file(draws, index)}\t\n"}]
    loading.add(
        "public.dataset",
        draws.uuid(),
        plan.session_id(session),
        write_instant(draws.below(6 * YEAR)),
        name_file(draws, index),
        loading.place(write_log(draws, index) if index < 20 or draws.one_in(20) else None),
        plan.job_id(session, draws.below(jobs)) if jobs and draws.below(3) else None,
        x if index >= len(INTEGERS) else INTEGERS[index],
        y if index >= len(INTEGERS) else INTEGERS[-1 - index],
        None if file is None else describe_file(plan, file).file_id,
        write_json(metadata) if draws.one_in(10) else draws.pick(("[]", "[]", None)),
        write_json(chosen) if labels else None,
    )


def _add_news(loading: Loading, plan: Plan) -> None:
    for index in range(len(DOCUMENTS) + 5):
        draws = Draws(plan.number, "news", index)
        hard, document = pick_hard(DOCUMENTS, index, draws)
        if not hard:
            document = write_json({"title": name_thing(draws, index), "body": f"<p>{index}</p>"})
        created, modified = INSTANTS[index % len(INSTANTS)], INSTANTS[index // 2 % len(INSTANTS)]
        loading.add("public.news", draws.uuid(), document, created, modified)
