"""The catalogue queries behind `catalogue.py`, for PostgreSQL 14 to 18 (manual: System Catalogs).

Columns that newer versions brought are read through `to_jsonb`, so that one text serves all. Privileges are written
out per grantee; where none were ever granted, the built-in default stands in (`acldefault`), for a dump restores that
as no grant at all. MAINTAIN (PostgreSQL 17) is not told of owners, who have it without a grant.
"""

# ruff: noqa: S608 - every part of these texts is a constant of this module

from __future__ import annotations


def _user_schema(column: str) -> str:
    return f"({column} !~ '^pg_' AND {column} <> 'information_schema')"


def _not_a_member(catalogue: str, oid: str) -> str:
    """True unless the object belongs to an extension."""
    return (
        f"NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = '{catalogue}'::regclass"
        f" AND d.objid = {oid} AND d.deptype = 'e')"
    )


def privileges(acl: str, kind: str, owner: str) -> str:
    """Lines `grant GRANTEE: PRIVILEGE, …`, sorted; `*`: with grant option."""
    return f"""
    coalesce((SELECT string_agg(line, '' ORDER BY line COLLATE "C") FROM (
        SELECT E'\\ngrant ' || CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END
            || ': ' || string_agg(x.privilege_type || CASE WHEN x.is_grantable THEN '*' ELSE '' END, ', '
                ORDER BY x.privilege_type) AS line
        FROM aclexplode(coalesce({acl}, acldefault('{kind}', {owner}))) x
        WHERE NOT (x.privilege_type = 'MAINTAIN' AND x.grantee = {owner})
        GROUP BY x.grantee
    ) AS granted), '')"""


def _owner(column: str) -> str:
    return f"E'\\nowner ' || quote_ident(pg_get_userbyid({column}))"


_DATABASE = """
SELECT 'database', concat('encoding ', pg_encoding_to_char(encoding), E'\\ncollate ', datcollate,
    E'\\nctype ', datctype, E'\\nprovider ', coalesce(to_jsonb(d)->>'datlocprovider', 'c'),
    E'\\nlocale ', coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale'))
FROM pg_database d WHERE datname = current_database()"""

_SCHEMAS = f"""
SELECT 'schema ' || quote_ident(nspname), 'schema' || {_owner("nspowner")} || {privileges("nspacl", "n", "nspowner")}
FROM pg_namespace WHERE {_user_schema("nspname")} AND {_not_a_member("pg_namespace", "pg_namespace.oid")}"""

_EXTENSIONS = """
SELECT 'extension ' || quote_ident(extname),
    'version ' || extversion || E'\\nschema ' || extnamespace::regnamespace
FROM pg_extension"""

# Owners, persistence and the like of everything with rows; a view's text is its definition.
_RELATIONS = f"""
SELECT CASE c.relkind WHEN 'v' THEN 'view ' WHEN 'm' THEN 'materialized view ' WHEN 'f' THEN 'foreign table '
        ELSE 'table ' END || format('%I.%I', n.nspname, c.relname),
    concat('persistence ', c.relpersistence, {_owner("c.relowner")},
        CASE WHEN c.relrowsecurity THEN E'\\nrow security' END,
        CASE WHEN c.relforcerowsecurity THEN E'\\nrow security forced' END,
        CASE WHEN c.relreplident <> 'd' THEN E'\\nreplica identity ' || c.relreplident::text END,
        CASE WHEN c.relkind = 'p' THEN E'\\npartition by ' || pg_get_partkeydef(c.oid) END,
        CASE WHEN c.relispartition THEN E'\\npartition ' || pg_get_expr(c.relpartbound, c.oid) END,
        CASE WHEN c.relkind = 'm' AND NOT c.relispopulated THEN E'\\nnot populated' END,
        (SELECT string_agg(E'\\ninherits ' || i.inhparent::regclass, '' ORDER BY i.inhseqno)
            FROM pg_inherits i WHERE i.inhrelid = c.oid),
        (SELECT concat(E'\\nserver ', quote_ident(v.srvname), E'\\noptions ' || f.ftoptions::text)
            FROM pg_foreign_table f JOIN pg_foreign_server v ON v.oid = f.ftserver WHERE f.ftrelid = c.oid),
        (SELECT string_agg(E'\\nwith ' || o, '' ORDER BY o COLLATE "C") FROM unnest(c.reloptions) o),
        {privileges("c.relacl", "r", "c.relowner")},
        CASE WHEN c.relkind IN ('v', 'm') THEN E'\\n' || pg_get_viewdef(c.oid) END)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't' AND {_user_schema("n.nspname")}
    AND {_not_a_member("pg_class", "c.oid")}"""

_COLUMNS = f"""
SELECT format('column %I.%I.%I', n.nspname, c.relname, a.attname),
    concat('type ', format_type(a.atttypid, a.atttypmod),
        E'\\nposition ', row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum),
        CASE WHEN a.attnotnull THEN E'\\nnot null' END,
        CASE WHEN a.attidentity <> '' THEN E'\\nidentity ' || a.attidentity::text END,
        CASE WHEN a.attgenerated <> '' THEN E'\\ngenerated ' || a.attgenerated::text END,
        E'\\ndefault ' || pg_get_expr(d.adbin, d.adrelid),
        CASE WHEN a.attcollation <> t.typcollation THEN E'\\ncollate ' || a.attcollation::regcollation END,
        CASE WHEN a.attacl IS NOT NULL THEN {privileges("a.attacl", "c", "c.relowner")} END)
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND c.relpersistence <> 't' AND a.attnum > 0 AND NOT a.attisdropped
    AND {_user_schema("n.nspname")} AND {_not_a_member("pg_class", "c.oid")}"""

# Not-null constraints (PostgreSQL 18) are told with their column. A foreign key's own triggers can be switched off.
_CONSTRAINTS = f"""
SELECT format('constraint %I.%s%I', n.nspname,
        CASE WHEN k.conrelid <> 0 THEN quote_ident(c.relname) || '.' ELSE quote_ident(t.typname) || '.' END, k.conname),
    concat(pg_get_constraintdef(k.oid), CASE WHEN NOT k.convalidated THEN E'\\nnot validated' END,
        CASE WHEN EXISTS (SELECT FROM pg_trigger g WHERE g.tgconstraint = k.oid AND g.tgisinternal
            AND g.tgenabled <> 'O') THEN E'\\nits triggers are disabled' END)
FROM pg_constraint k
JOIN pg_namespace n ON n.oid = k.connamespace
LEFT JOIN pg_class c ON c.oid = k.conrelid
LEFT JOIN pg_type t ON t.oid = k.contypid
WHERE k.contype NOT IN ('n', 't') AND (k.conrelid <> 0 OR k.contypid <> 0) AND {_user_schema("n.nspname")}
    AND coalesce(c.relpersistence, 'p') <> 't' AND {_not_a_member("pg_class", "k.conrelid")}
    AND {_not_a_member("pg_type", "k.contypid")}"""

_INDEXES = f"""
SELECT format('index %I.%I', n.nspname, x.relname),
    concat(pg_get_indexdef(i.indexrelid), CASE WHEN NOT i.indisvalid THEN E'\\ninvalid' END,
        CASE WHEN NOT i.indisready THEN E'\\nnot ready' END, CASE WHEN NOT i.indislive THEN E'\\nnot live' END,
        CASE WHEN i.indisreplident THEN E'\\nreplica identity' END,
        (SELECT E'\\nattached to ' || h.inhparent::regclass FROM pg_inherits h WHERE h.inhrelid = i.indexrelid))
FROM pg_index i
JOIN pg_class x ON x.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = x.relnamespace
WHERE {_user_schema("n.nspname")} AND x.relpersistence <> 't' AND {_not_a_member("pg_class", "i.indrelid")}"""

_SEQUENCES = f"""
SELECT format('sequence %I.%I', n.nspname, c.relname),
    concat('type ', format_type(s.seqtypid, NULL), E'\\nstart ', s.seqstart, E'\\nincrement ', s.seqincrement,
        E'\\nminimum ', s.seqmin, E'\\nmaximum ', s.seqmax, CASE WHEN s.seqcycle THEN E'\\ncycle' END,
        (SELECT E'\\nowned by ' || d.refobjid::regclass || '.' || quote_ident(a.attname)
            FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
            WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
                AND d.deptype IN ('a', 'i') LIMIT 1),
        {_owner("c.relowner")}, {privileges("c.relacl", "s", "c.relowner")})
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {_user_schema("n.nspname")} AND c.relpersistence <> 't' AND {_not_a_member("pg_class", "c.oid")}"""

# The body is compared exactly; a restore through a terminal turns its LF into CRLF.
_FUNCTIONS = f"""
SELECT CASE p.prokind WHEN 'p' THEN 'procedure ' WHEN 'a' THEN 'aggregate ' ELSE 'function ' END
        || p.oid::regprocedure,
    concat(CASE WHEN p.prokind = 'a' THEN (
            SELECT concat_ws(' ', 'state', g.aggtransfn, format_type(g.aggtranstype, NULL), 'final', g.aggfinalfn,
                'initially', g.agginitval, 'moving', g.aggmtransfn, g.aggminvtransfn, g.aggkind)
            FROM pg_aggregate g WHERE g.aggfnoid = p.oid)
        ELSE pg_get_functiondef(p.oid) END,
        {_owner("p.proowner")}, {privileges("p.proacl", "f", "p.proowner")})
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE {_user_schema("n.nspname")} AND {_not_a_member("pg_proc", "p.oid")}"""

_TRIGGERS = f"""
SELECT format('trigger %I.%I.%I', n.nspname, c.relname, g.tgname),
    pg_get_triggerdef(g.oid) || CASE g.tgenabled WHEN 'O' THEN '' WHEN 'D' THEN E'\\ndisabled'
        ELSE E'\\nenabled ' || g.tgenabled::text END
FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT g.tgisinternal AND {_user_schema("n.nspname")} AND {_not_a_member("pg_class", "c.oid")}"""

_RULES = f"""
SELECT format('rule %I.%I.%I', n.nspname, c.relname, r.rulename),
    pg_get_ruledef(r.oid) || CASE r.ev_enabled WHEN 'O' THEN '' ELSE E'\\nenabled ' || r.ev_enabled::text END
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE r.rulename <> '_RETURN' AND {_user_schema("n.nspname")} AND {_not_a_member("pg_class", "c.oid")}"""

_POLICIES = f"""
SELECT format('policy %I.%I.%I', n.nspname, c.relname, y.polname),
    concat('for ', y.polcmd, CASE WHEN NOT y.polpermissive THEN ' restrictive' END, E'\\nto ',
        (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r)::text END, ', '
            ORDER BY pg_get_userbyid(r)::text COLLATE "C") FROM unnest(y.polroles) r),
        E'\\nusing ' || pg_get_expr(y.polqual, y.polrelid), E'\\ncheck ' || pg_get_expr(y.polwithcheck, y.polrelid))
FROM pg_policy y JOIN pg_class c ON c.oid = y.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {_user_schema("n.nspname")}"""

# Row types of tables and array types are told by their table and element type.
_TYPES = f"""
SELECT CASE t.typtype WHEN 'd' THEN 'domain ' ELSE 'type ' END || format('%I.%I', n.nspname, t.typname),
    concat('kind ', t.typtype,
        CASE WHEN t.typtype = 'd' THEN E'\\nover ' || format_type(t.typbasetype, t.typtypmod) END,
        CASE WHEN t.typtype = 'd' AND t.typnotnull THEN E'\\nnot null' END,
        CASE WHEN t.typtype = 'd' AND t.typcollation <> 0 THEN E'\\ncollate ' || t.typcollation::regcollation END,
        E'\\ndefault ' || t.typdefault,
        (SELECT string_agg(E'\\nlabel ' || e.enumlabel, '' ORDER BY e.enumsortorder)
            FROM pg_enum e WHERE e.enumtypid = t.oid),
        (SELECT E'\\nsubtype ' || format_type(r.rngsubtype, NULL) FROM pg_range r WHERE r.rngtypid = t.oid),
        {_owner("t.typowner")}, {privileges("t.typacl", "T", "t.typowner")})
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE {_user_schema("n.nspname")} AND coalesce(c.relkind, 'c') = 'c' AND t.typtype <> 'm'
    AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid) AND {_not_a_member("pg_type", "t.oid")}"""

_COMMENTS = """
SELECT concat('comment on ', i.type, ' ', i.identity), c.description
FROM pg_description c, pg_identify_object(c.classoid, c.objoid, c.objsubid) i
WHERE c.classoid <> 'pg_largeobject'::regclass
    AND (c.objoid >= 16384 OR c.classoid = 'pg_namespace'::regclass)
    AND (c.objoid >= 16384 OR i.identity = 'public')
    AND coalesce(i.schema, '') !~ '^pg_'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = c.classoid AND d.objid = c.objoid AND d.deptype = 'e')"""

_EVENT_TRIGGERS = f"""
SELECT 'event trigger ' || quote_ident(evtname), concat('on ', evtevent, E'\\ntags ', evttags::text,
    E'\\ncalls ', evtfoid::regprocedure, E'\\nenabled ', evtenabled, {_owner("evtowner")})
FROM pg_event_trigger e WHERE {_not_a_member("pg_event_trigger", "e.oid")}"""

_PUBLICATIONS = f"""
SELECT 'publication ' || quote_ident(p.pubname), concat('all tables ', p.puballtables, E'\\ninsert ', p.pubinsert,
    E'\\nupdate ', p.pubupdate, E'\\ndelete ', p.pubdelete, E'\\ntruncate ', p.pubtruncate,
    E'\\nvia root ', p.pubviaroot,
    {_owner("p.pubowner")},
    (SELECT string_agg(concat(E'\\ntable ', quote_ident(t.schemaname), '.', quote_ident(t.tablename), ' ',
            to_jsonb(t)->>'attnames', ' where ' || (to_jsonb(t)->>'rowfilter')), ''
            ORDER BY t.schemaname COLLATE "C", t.tablename COLLATE "C")
        FROM pg_publication_tables t WHERE t.pubname = p.pubname))
FROM pg_publication p"""

_STATISTICS = f"""
SELECT format('statistics %I.%I', n.nspname, s.stxname), pg_get_statisticsobjdef(s.oid) || {_owner("s.stxowner")}
FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE {_user_schema("n.nspname")}"""

_DEFAULT_PRIVILEGES = f"""
SELECT format('default privileges %s %s %s', quote_ident(pg_get_userbyid(a.defaclrole)),
        CASE a.defaclnamespace WHEN 0 THEN '*' ELSE a.defaclnamespace::regnamespace::text END, a.defaclobjtype),
    'privileges' || {privileges("a.defaclacl", "r", "a.defaclrole")}
FROM pg_default_acl a"""

# A restored subscription is not enabled, and its connection holds a password.
_SUBSCRIPTIONS = """
SELECT 'subscription ' || quote_ident(s.subname), 'publications ' || s.subpublications::text
FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE d.datname = current_database()"""

# Without the version of the operating system's library, which is another on another machine.
_COLLATIONS = f"""
SELECT format('collation %I.%I', n.nspname, c.collname),
    concat('present', (SELECT string_agg(concat(E'\\n', e.key, ' ', e.value), '' ORDER BY e.key COLLATE "C")
        FROM jsonb_each_text(to_jsonb(c) - '{{oid,collname,collnamespace,collowner,collversion}}'::text[]) e),
        {_owner("c.collowner")})
FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
WHERE {_user_schema("n.nspname")} AND {_not_a_member("pg_collation", "c.oid")}"""

_SECURITY_LABELS = """
SELECT concat('security label ', l.provider, ' on ', l.objtype, ' ', l.objname), l.label
FROM pg_seclabels l WHERE l.objtype NOT IN ('large object', 'database', 'role', 'tablespace')"""

# Everything else a user can make: that it is there.
_REST = """
SELECT concat(i.type, ' ', i.identity), 'present'
FROM (
    SELECT 'pg_operator'::regclass AS class, oid FROM pg_operator
    UNION ALL SELECT 'pg_opclass'::regclass, oid FROM pg_opclass
    UNION ALL SELECT 'pg_opfamily'::regclass, oid FROM pg_opfamily
    UNION ALL SELECT 'pg_conversion'::regclass, oid FROM pg_conversion
    UNION ALL SELECT 'pg_ts_config'::regclass, oid FROM pg_ts_config
    UNION ALL SELECT 'pg_ts_dict'::regclass, oid FROM pg_ts_dict
    UNION ALL SELECT 'pg_ts_parser'::regclass, oid FROM pg_ts_parser
    UNION ALL SELECT 'pg_ts_template'::regclass, oid FROM pg_ts_template
    UNION ALL SELECT 'pg_cast'::regclass, oid FROM pg_cast
    UNION ALL SELECT 'pg_transform'::regclass, oid FROM pg_transform
    UNION ALL SELECT 'pg_am'::regclass, oid FROM pg_am
    UNION ALL SELECT 'pg_language'::regclass, oid FROM pg_language
    UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, oid FROM pg_foreign_data_wrapper
    UNION ALL SELECT 'pg_foreign_server'::regclass, oid FROM pg_foreign_server
) o, pg_identify_object(o.class, o.oid, 0) i
WHERE o.oid >= 16384 AND coalesce(i.schema, '') !~ '^pg_' AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.classid = o.class AND d.objid = o.oid AND d.deptype = 'e')"""

SCHEMA_OBJECTS = (
    _DATABASE,
    _SCHEMAS,
    _EXTENSIONS,
    _RELATIONS,
    _COLUMNS,
    _CONSTRAINTS,
    _INDEXES,
    _SEQUENCES,
    _FUNCTIONS,
    _TRIGGERS,
    _RULES,
    _POLICIES,
    _TYPES,
    _COMMENTS,
    _EVENT_TRIGGERS,
    _PUBLICATIONS,
    _SUBSCRIPTIONS,
    _COLLATIONS,
    _SECURITY_LABELS,
    _STATISTICS,
    _DEFAULT_PRIVILEGES,
    _REST,
)
"""Each gives rows (key, text)."""

LEFTOVERS = f"""
SELECT name FROM (
    SELECT CASE c.relkind WHEN 'S' THEN 2 ELSE 1 END AS rank,
        CASE c.relkind WHEN 'S' THEN 'sequence ' WHEN 'v' THEN 'view ' WHEN 'm' THEN 'materialized view '
            WHEN 'f' THEN 'foreign table ' ELSE 'table ' END || format('%%I.%%I', n.nspname, c.relname) AS name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND {_user_schema("n.nspname")}
        AND {_not_a_member("pg_class", "c.oid")}
    UNION ALL
    SELECT 3, 'function ' || p.oid::regprocedure
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE {_user_schema("n.nspname")} AND {_not_a_member("pg_proc", "p.oid")}
    UNION ALL
    SELECT 4, 'type ' || format('%%I.%%I', n.nspname, t.typname)
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
    WHERE {_user_schema("n.nspname")} AND coalesce(c.relkind, 'c') = 'c' AND t.typtype <> 'm'
        AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid) AND {_not_a_member("pg_type", "t.oid")}
    UNION ALL
    SELECT 5, 'schema ' || quote_ident(nspname) FROM pg_namespace s
    WHERE nspname <> 'public' AND {_user_schema("nspname")} AND {_not_a_member("pg_namespace", "s.oid")}
    UNION ALL
    SELECT 6, 'large object ' || oid FROM (SELECT oid FROM pg_largeobject_metadata ORDER BY oid LIMIT 20) o
) found ORDER BY rank, name COLLATE "C" LIMIT %s"""
"""Takes the number of names wanted."""
