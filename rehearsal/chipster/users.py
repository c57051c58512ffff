"""Users of auth: every owner that a rule of session-db names, with terms accepted and preferences; and logins begun.

Some users own nothing, some names look like another's and are not (case, composed and decomposed letters, the same
name of two authenticators).
"""

from __future__ import annotations

from rehearsal.chipster.draws import YEAR, Draws, write_instant
from rehearsal.chipster.hard_values import BIG_INTEGERS, DOCUMENTS, INSTANTS, TEXTS
from rehearsal.chipster.loading import Loading
from rehearsal.chipster.plan import Plan
from rehearsal.chipster.wording import name_thing, pick_hard, write_json, write_log


def add_auth(loading: Loading, plan: Plan) -> None:
    """Fill auth."""
    for user in range(plan.scale.users):
        _add_user(loading, plan, user)
    for login in range(len(TEXTS) + plan.scale.users // 4):
        _add_login(loading, plan, login)


def _add_user(loading: Loading, plan: Plan, user: int) -> None:
    draws = Draws(plan.number, "user", user)
    auth, username = plan.user(user)
    created = draws.below(6 * YEAR)
    accepted = draws.below(4)
    hard, preferences = pick_hard(DOCUMENTS, user, draws)
    version = BIG_INTEGERS[user] if user < len(BIG_INTEGERS) else draws.below(1_000)
    loading.add(
        "public.user_table",
        auth,
        username,
        write_instant(created + draws.below(YEAR)),
        write_instant(created),
        plan.session_id(user) if user < plan.scale.sessions and draws.below(4) else None,
        f"{draws.pick(('a', 'b', 'c'))}{user}@example.org" if draws.below(5) else draws.pick((None, "")),
        write_instant(created + draws.below(YEAR)) if draws.below(3) else INSTANTS[user % len(INSTANTS)],
        name_thing(draws, user),
        draws.pick((None, "", "University of Helsinki", "CSC \u2013 IT Center for Science")),
        write_instant(created + accepted) if accepted else None,
        accepted,
        0 if version is None else version,
        preferences if hard else write_json({"dataView": "table", "columns": draws.below(9), "theme": None}),
    )


def _add_login(loading: Loading, plan: Plan, login: int) -> None:
    draws = Draws(plan.number, "login", login)
    loading.add(
        "public.oidcloginsession",
        draws.uuid(),
        write_instant(draws.below(6 * YEAR)) if login else None,
        f"{draws.bits(96):024x}",
        draws.pick(("oidc", "haka", None)),
        name_thing(draws, login),
        draws.pick(("192.0.2.7", "2001:db8::1", "")),
        loading.place(write_log(draws, login, 300) if login < 20 or login % 6 != 5 else None),
    )
