-- What Chipster's schemas lack today and a later version may bring, so that the checks for it meet the real thing.
-- Lives in each of the three databases, runs on PostgreSQL 14 and later, needs no extension and no role of its own.
-- Bodies and comments have line breaks (LF) on purpose: a dump taken through a terminal turns them into CRLF.

CREATE SCHEMA rehearsal_extras;
COMMENT ON SCHEMA rehearsal_extras IS 'Written by the restore rehearsal; no part of Chipster.';

-- Holds the nonce and the marker; inventories leave it out.
CREATE TABLE rehearsal_extras.mark (
    kind text PRIMARY KEY,
    value text NOT NULL,
    written_at timestamptz NOT NULL
);

CREATE TYPE rehearsal_extras.mood AS ENUM ('quiet', 'it''s loud', 'tab	inside', 'żółć');
CREATE DOMAIN rehearsal_extras.percent AS numeric(7,4)
    CONSTRAINT percent_range CHECK (VALUE >= 0 AND VALUE <= 100);

CREATE SEQUENCE rehearsal_extras.never_called START WITH 42 INCREMENT BY 7;
CREATE SEQUENCE rehearsal_extras.called CACHE 20;
CREATE SEQUENCE rehearsal_extras.set_not_called AS integer;
CREATE SEQUENCE rehearsal_extras.downwards
    INCREMENT BY -1 MINVALUE -9223372036854775808 MAXVALUE -1 START WITH -1 CYCLE;

CREATE FUNCTION rehearsal_extras.spell(amount integer) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT
    AS $body$
DECLARE
    spelled text := '';
BEGIN
    -- a tab	here, a backslash \ there, and the next line is empty

    spelled := 'amount:
' || amount::text;
    RETURN spelled;
END
$body$;
COMMENT ON FUNCTION rehearsal_extras.spell(integer) IS 'Two lines,
the second with a quote: ''.';

CREATE FUNCTION rehearsal_extras.stamp() RETURNS trigger
    LANGUAGE plpgsql
    AS $body$
BEGIN
    NEW.revision := OLD.revision + 1;
    RETURN NEW;
END
$body$;

CREATE TABLE rehearsal_extras.counted (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ticket serial NOT NULL,
    revision integer NOT NULL DEFAULT 0,
    word text COLLATE "C",
    doubled integer GENERATED ALWAYS AS (revision * 2) STORED,
    parent bigint REFERENCES rehearsal_extras.counted (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT counted_ticket_unique UNIQUE (ticket) DEFERRABLE,
    CONSTRAINT counted_revision_positive CHECK (revision >= 0)
);
CREATE INDEX counted_long_words ON rehearsal_extras.counted (lower(word)) WHERE length(word) > 3;
CREATE TRIGGER counted_stamp BEFORE UPDATE ON rehearsal_extras.counted
    FOR EACH ROW EXECUTE FUNCTION rehearsal_extras.stamp();
COMMENT ON TRIGGER counted_stamp ON rehearsal_extras.counted IS 'one more revision';

CREATE TABLE rehearsal_extras.extremes (
    id integer PRIMARY KEY,
    small smallint,
    whole integer,
    big bigint,
    exact numeric,
    scaled numeric(40,20),
    single real,
    double double precision,
    moment timestamptz,
    local timestamp(6),
    day date,
    clock timetz,
    span interval,
    flag boolean,
    bits varbit,
    address inet,
    token uuid,
    raw bytea,
    words text[],
    grid integer[],
    period tstzrange,
    document jsonb,
    plain json,
    feeling rehearsal_extras.mood,
    share rehearsal_extras.percent,
    fixed character(10),
    line text
);
COMMENT ON TABLE rehearsal_extras.extremes IS 'values at the edge of their types';
COMMENT ON COLUMN rehearsal_extras.extremes.exact IS 'no scale: 1.0 and 1.00 are equal and not identical';

-- No key: whole rows repeat, and the number of repeats is content.
CREATE TABLE rehearsal_extras.no_key (
    word text,
    amount numeric,
    moment timestamptz
);

CREATE TABLE rehearsal_extras.nothing_yet (
    id integer PRIMARY KEY,
    line text NOT NULL DEFAULT 'nothing
yet'
);

-- Names that need quotes, a key of two columns whose values need escapes.
CREATE TABLE rehearsal_extras."Order by" (
    "group" text NOT NULL,
    "a ""b"" ü" integer NOT NULL,
    "Value" text,
    CONSTRAINT "Order by key" PRIMARY KEY ("a ""b"" ü", "group")
);

CREATE TABLE rehearsal_extras.attachment (
    id integer PRIMARY KEY,
    name text,
    content oid
);

CREATE VIEW rehearsal_extras.loud AS
    SELECT id, feeling, rehearsal_extras.spell(whole % 10) AS spelled
    FROM rehearsal_extras.extremes
    WHERE feeling = 'it''s loud'::rehearsal_extras.mood;
COMMENT ON VIEW rehearsal_extras.loud IS 'a view that calls a function';

CREATE MATERIALIZED VIEW rehearsal_extras.repeats AS
    SELECT word, amount, count(*) AS times
    FROM rehearsal_extras.no_key
    GROUP BY word, amount
    WITH NO DATA;
CREATE INDEX repeats_word ON rehearsal_extras.repeats (word);

GRANT USAGE ON SCHEMA rehearsal_extras TO PUBLIC;
GRANT SELECT ON rehearsal_extras.loud TO PUBLIC;
GRANT SELECT, INSERT ON rehearsal_extras.counted TO pg_monitor WITH GRANT OPTION;
GRANT SELECT (word) ON rehearsal_extras.no_key TO pg_monitor;
GRANT USAGE ON SEQUENCE rehearsal_extras.called TO pg_monitor;
REVOKE EXECUTE ON FUNCTION rehearsal_extras.spell(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION rehearsal_extras.spell(integer) TO pg_monitor;
