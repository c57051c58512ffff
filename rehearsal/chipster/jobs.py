"""Jobs: those of session-db, with their inputs, parameters and large objects, and those that job history remembers.

A job is known by (session, job); both databases derive its identifier from the plan. A job's number among all of them
decides its state and its hard values, so every state and every kind of large object occurs at size s already.
"""

from __future__ import annotations

from rehearsal.chipster.draws import YEAR, Draws, write_instant
from rehearsal.chipster.hard_values import BIG_INTEGERS, INTEGERS, MEBIBYTE_OBJECT, TEXTS
from rehearsal.chipster.loading import Loading
from rehearsal.chipster.plan import JOB_STATES, Plan
from rehearsal.chipster.wording import TOOLS, name_file, pick_hard, write_json, write_log

_HOUR = 3_600 * 1_000_000
_FINISHED = {"COMPLETED", "FAILED", "FAILED_USER_ERROR", "ERROR", "TIMEOUT", "CANCELLED", "EXPIRED_WAITING"}
SPARSE_OID = 4_294_967_294
"""Oids are unsigned: this one is negative to whoever reads them as signed."""
_SPARSE_OFFSET = 300_000
_SURELY = 80
"""So many of the first jobs have an output wherever they can."""


def add_jobs(loading: Loading, plan: Plan, session: int, first: int) -> int:
    """Add the jobs of a session to session-db; `first` is the number of the first among all jobs. Returns how many."""
    count = plan.job_count(session)
    for job in range(count):
        _add_job(loading, plan, session, job, first + job)
    return count


def _add_job(loading: Loading, plan: Plan, session: int, job: int, index: int) -> None:
    draws = Draws(plan.number, "job row", session, job)
    tool_id, category, tool_name, module = draws.pick(TOOLS)
    created, started, ended, state = _time_job(draws, index)
    finished = ended is not None
    hard, text = pick_hard(TEXTS, index, draws)
    loading.add(
        "public.job",
        plan.job_id(session, job),
        plan.session_id(session),
        created,
        plan.owner(session),
        ended,
        _write_inputs(draws, index),
        _pick_big(draws, index) if finished else None,
        module,
        _write_parameters(draws, text),
        _place_output(loading, draws, index) if started else None,
        loading.place(write_log(draws, index) if draws.below(3) == 0 or index < 20 else None),
        started,
        state,
        loading.place(write_log(draws, index, 200) if draws.below(4) == 0 or index < 20 else None),
        text if hard else category,
        loading.place(write_log(draws, index, 400) if draws.below(2) == 0 or index < 20 else None),
        tool_id,
        tool_name,
        "[]" if draws.below(5) else write_json([{"name": "phenodata.tsv", "content": f"sample\tgroup\n{text}\t1\n"}]),
        f"comp-{draws.below(4)}" if started else None,
        draws.below(2**40) if finished else None,
        draws.pick((None, 8 * 2**30, 16 * 2**30)),
        pick_hard(INTEGERS, index, draws)[1] if index < len(INTEGERS) else 1 + draws.below(8),
        _write_outputs(draws, index) if finished else None,
        draws.pick((None, 2**40)),
        draws.pick((None, 1, 2, 5)),
    )


def _time_job(draws: Draws, index: int) -> tuple[str, str | None, str | None, int]:
    """created, starttime, endtime and the state's number."""
    state = index % len(JOB_STATES)
    created = draws.below(6 * YEAR)
    started = created + draws.below(_HOUR)
    ended = started + draws.below(20 * _HOUR)
    waits = JOB_STATES[state] in ("NEW", "WAITING", "SCHEDULED", "EXPIRED_WAITING")
    return (
        write_instant(created),
        None if waits else write_instant(started),
        write_instant(ended) if JOB_STATES[state] in _FINISHED else None,
        state,
    )


def _place_output(loading: Loading, draws: Draws, index: int) -> int | None:
    """screenoutput: the two unusual objects first, then logs."""
    if index == 1:
        return loading.place(MEBIBYTE_OBJECT)
    if index == 2:
        return loading.place_sparse(SPARSE_OID, _SPARSE_OFFSET, b"after the hole")
    # Four states in a row have no output; by fives each of the hard ones is met by a job that has.
    return loading.place(write_log(draws, (index - 3) // 5, 3_000) if index < _SURELY or draws.below(5) else None)


def _pick_big(draws: Draws, index: int) -> int | None:
    hard, value = pick_hard(BIG_INTEGERS, index // len(JOB_STATES), draws)
    return value if hard else draws.below(2**36)


def _write_inputs(draws: Draws, index: int) -> str:
    return write_json(
        [
            {
                "inputId": f"input{n}.tsv",
                "displayName": name_file(draws, index + n),
                "description": None,
                "type": "GENERIC",
                "datasetId": draws.uuid(),
                "datasetName": name_file(draws, index + n + 1),
            }
            for n in range(draws.below(3))
        ]
    )


def _write_outputs(draws: Draws, index: int) -> str:
    return write_json([{"outputId": "out.tsv", "displayName": name_file(draws, index), "datasetId": draws.uuid()}])


def _write_parameters(draws: Draws, text: str | None) -> str | None:
    """A parameter's value is text, whatever its type: "1.0" and "1.00" are different answers."""
    if draws.one_in(12):
        return None
    number = draws.pick(("1.0", "1.00", "0.05", "1e-5", "-0", "100"))
    return write_json(
        [
            {"parameterId": "p.value", "displayName": "P value", "description": "", "type": "DECIMAL", "value": number},
            {"parameterId": "title", "displayName": "Title", "description": None, "type": "STRING", "value": text},
        ]
    )


def add_job_history(loading: Loading, plan: Plan) -> None:
    """Fill job history: the jobs of session-db, as statistics keep them."""
    if not plan.has_job_history:
        return
    index = 0
    for session in range(plan.scale.sessions):
        for job in range(plan.job_count(session)):
            _add_history(loading, plan, session, job, index)
            index += 1


def _add_history(loading: Loading, plan: Plan, session: int, job: int, index: int) -> None:
    draws = Draws(plan.number, "job history", session, job)
    tool_id, _, tool_name, module = draws.pick(TOOLS)
    created, started, ended, state = _time_job(draws, index)
    hard, text = pick_hard(TEXTS, index, draws)
    loading.add(
        "public.jobhistory",
        plan.job_id(session, job),
        plan.session_id(session),
        f"comp-{draws.below(4)}",
        ended,
        JOB_STATES[state],
        _place_output(loading, draws, index) if index < _SURELY or draws.below(2) else None,
        started,
        tool_id,
        tool_name,
        plan.owner(session),
        created,
        _pick_big(draws, index),
        text if hard else None,
        module,
        draws.below(2**40) if ended else None,
    )
