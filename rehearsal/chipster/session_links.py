"""What binds Chipster's stores to one another: sessions to who sees them, datasets to files, users to their login.

An inventory writes the rows of these queries as line files beside its own (KEY<TAB>VALUES, both JSON arrays, sorted
bytewise), so that the judge can say, without a server, which session of whom can no longer be opened. Sources: facts,
sections 4 and 5. Names of sessions, datasets and files are users' own words and stay out; identifiers are enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import LiteralString

from rehearsal.deployment import DatabaseKey


@dataclass(frozen=True)
class LinkQuery:
    """One query, for a session with an empty search path.

    Attributes:
        text: SELECT of two columns, the KEY and the VALUES, sorted by the first.
        needs: the columns it reads, by qualified table; where one is not there, the query is not asked.
    """

    text: LiteralString
    needs: Mapping[str, frozenset[str]]


# The owner's rule is the one that nobody shared (`sharedby` NULL); every other rule shares the session with its user.
# One user may have several rules for one session.
_SESSIONS = LinkQuery(
    """
    SELECT json_build_array(s.sessionid::text)::text COLLATE "C",
        json_build_array(s.state, coalesce(r.owners, '[]'::json), coalesce(r.others, '[]'::json))::text
    FROM ONLY public.session s
    LEFT JOIN (
        SELECT sessionid,
            json_agg(username ORDER BY username) FILTER (WHERE owns) AS owners,
            json_agg(username ORDER BY username) FILTER (WHERE NOT owns) AS others
        FROM (
            SELECT sessionid::text AS sessionid, username::text COLLATE "C" AS username,
                bool_or(sharedby IS NULL) AS owns
            FROM ONLY public.rule WHERE username IS NOT NULL GROUP BY 1, 2
        ) AS seen
        GROUP BY sessionid
    ) AS r ON r.sessionid = s.sessionid::text
    ORDER BY 1
    """,
    {
        "public.session": frozenset({"sessionid", "state"}),
        "public.rule": frozenset({"sessionid", "username", "sharedby"}),
    },
)

# Both sides are kept: a dataset without a file, a file that no dataset refers to, a reference whose file row is gone.
_DATASETS = LinkQuery(
    """
    SELECT json_build_array(coalesce(f.fileid::text, d.fileid::text, ''), coalesce(d.sessionid::text, ''),
            coalesce(d.datasetid::text, ''))::text COLLATE "C",
        json_build_array(f.size, f.storage, f.state)::text
    FROM ONLY public.file f FULL JOIN ONLY public.dataset d ON d.fileid::text = f.fileid::text
    ORDER BY 1
    """,
    {
        "public.file": frozenset({"fileid", "size", "storage", "state"}),
        "public.dataset": frozenset({"fileid", "sessionid", "datasetid"}),
    },
)

_USERS = LinkQuery(
    """
    SELECT json_build_array(auth::text, username::text)::text COLLATE "C", '[]'
    FROM ONLY public.user_table ORDER BY 1
    """,
    {"public.user_table": frozenset({"auth", "username"})},
)

LINK_QUERIES: Mapping[DatabaseKey, Mapping[str, LinkQuery]] = {
    "sessionDb": {"sessions": _SESSIONS, "datasets": _DATASETS},
    "auth": {"users": _USERS},
    "jobHistory": {},
}
"""By database, then by the name of the line file.

`sessions`: KEY `[session]`, VALUES `[state, [owners], [others who see it]]`, users as rules name them: `jaas/chipster`.
`datasets`: KEY `[file, session, dataset]`, each "" where there is none; VALUES `[size, storage, state]` of the row in
`file`, all null where it has none.
`users`: KEY `[auth, username]`; joined by `/`, the user as a rule names them.
"""
