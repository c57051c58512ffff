-- One of everything that the tests damage. Keys are fixed, so that expected subjects can be written down.
CREATE SCHEMA rehearsal_extras;
CREATE TABLE rehearsal_extras.mark (kind text PRIMARY KEY, value text NOT NULL, written_at timestamptz NOT NULL);

CREATE TABLE session (
    sessionid uuid PRIMARY KEY, name varchar(255), notes oid, state integer DEFAULT 2, created timestamptz(6));
INSERT INTO session VALUES
    ('aaaaaaaa-0000-0000-0000-000000000001', 'one', lo_from_bytea(0, 'notes of one'), 2, '2026-01-01 10:00:00.000001Z'),
    ('aaaaaaaa-0000-0000-0000-000000000002', 'two', lo_from_bytea(0, 'notes of two'), 3, '2026-01-02 11:00:00Z'),
    ('aaaaaaaa-0000-0000-0000-000000000003', '', NULL, NULL, NULL),
    ('aaaaaaaa-0000-0000-0000-000000000004', NULL, lo_from_bytea(0, ''), 1, '2026-01-04Z'),
    ('aaaaaaaa-0000-0000-0000-000000000005', 'long', lo_from_bytea(0, decode(repeat('5a', 9000), 'hex')), 1, 'infinity');
SELECT lo_from_bytea(0, 'nobody refers to this');

CREATE TABLE dataset (
    sessionid uuid REFERENCES session, datasetid integer, name text, PRIMARY KEY (sessionid, datasetid));
INSERT INTO dataset SELECT sessionid, n, E'tab\t, line\nbreak, "quote" \\ ' || n FROM session, generate_series(1, 3) n;
CREATE INDEX dataset_name_index ON dataset (name);
ALTER TABLE dataset ADD CONSTRAINT name_short CHECK (length(name) < 100);

CREATE SCHEMA probe;
CREATE DOMAIN probe.lo AS oid;
CREATE TYPE probe.mood AS ENUM ('low', 'high');
CREATE TYPE probe.pair AS (a integer, b text);
CREATE TABLE probe.types (
    id integer PRIMARY KEY, exact numeric, single real, double double precision, document jsonb, plain json,
    span interval, clock timetz, fixed character(5), loose bpchar, feeling probe.mood, both_ probe.pair,
    grid integer[], period numrange, big bigint, moment timestamp, line text, price money, point_ point,
    relation regclass, raw bytea, address inet, doubled bigint GENERATED ALWAYS AS (id * 2) STORED);
INSERT INTO probe.types VALUES (1, 1.0, 0, 0, '{"a": 1.0, "b": [1]}', '{"a": 1}', '1 day', '10:00+00', 'ab', 'ab',
    'low', ROW(1, NULL), '{1,2}', '[1.0,2)', 1, '2026-01-01', '', 1, '(0,0)', 'session'::regclass, '\x00', '10.0.0.1');

INSERT INTO probe.types (id, double, moment, span) VALUES (2, 0.30000000000000004, '2026-03-29 01:30', '1 mon 1 day 01:00');

CREATE TABLE probe.zoned (at timestamptz PRIMARY KEY, during tstzrange);
INSERT INTO probe.zoned VALUES ('2026-03-29 01:30Z', '[2026-03-29 00:30Z,2026-03-29 01:30Z)');
CREATE TABLE probe.two_keys (a integer, b integer, c integer NOT NULL UNIQUE, PRIMARY KEY (b, a));
CREATE TABLE probe.nullable (a integer UNIQUE);
CREATE TABLE probe.bag (word text, amount integer);
INSERT INTO probe.bag VALUES ('a', 1), ('b', 2), ('b', 2), (NULL, 3);
CREATE TABLE probe.bag_of_objects (word text, content oid, other probe.lo);
INSERT INTO probe.bag_of_objects VALUES ('x', lo_from_bytea(0, 'x'), NULL), ('y', NULL, lo_from_bytea(0, 'y'));
CREATE TABLE probe.unique_only (a integer NOT NULL, b text NOT NULL, c text, UNIQUE (b));
INSERT INTO probe.unique_only VALUES (1, 'k1', NULL), (2, 'k2', '');
CREATE TABLE probe.dropped (gone integer, kept integer PRIMARY KEY);
INSERT INTO probe.dropped VALUES (1, 1), (2, 2);
ALTER TABLE probe.dropped DROP COLUMN gone;
CREATE TABLE probe.parted (id integer PRIMARY KEY, line text) PARTITION BY RANGE (id);
CREATE TABLE probe.parted_low PARTITION OF probe.parted FOR VALUES FROM (0) TO (10);
INSERT INTO probe.parted VALUES (1, 'one');
CREATE TABLE probe.no_columns ();
CREATE MATERIALIZED VIEW probe.summary AS SELECT word, count(*) AS times FROM probe.bag GROUP BY word;
CREATE MATERIALIZED VIEW probe.unfilled AS SELECT 1 AS one WITH NO DATA;
CREATE VIEW probe.shown AS SELECT word FROM probe.bag;
CREATE SEQUENCE probe.ticket CACHE 1;
SELECT setval('probe.ticket', 41);
CREATE FUNCTION probe.spell(amount integer) RETURNS text LANGUAGE plpgsql AS E'BEGIN\n  RETURN ''a'';\nEND';
CREATE FUNCTION probe.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touched BEFORE UPDATE ON probe.bag FOR EACH ROW EXECUTE FUNCTION probe.touch();
CREATE RULE ignored AS ON DELETE TO probe.unique_only DO INSTEAD NOTHING;
CREATE POLICY positive ON probe.bag USING (amount > 0);
GRANT SELECT ON probe.bag TO pg_monitor;
GRANT UPDATE (word) ON probe.bag TO pg_monitor;
COMMENT ON TABLE probe.bag IS E'two\nlines';
CREATE PUBLICATION every FOR TABLE session;
ALTER DEFAULT PRIVILEGES IN SCHEMA probe GRANT SELECT ON TABLES TO pg_monitor;
CREATE STATISTICS probe.correlated ON word, amount FROM probe.bag;
CREATE COLLATION probe.plain (locale = 'C');
ALTER TABLE probe.unique_only REPLICA IDENTITY USING INDEX unique_only_b_key;
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER somewhere FOREIGN DATA WRAPPER nothing;
CREATE FOREIGN TABLE probe.elsewhere (a integer) SERVER somewhere OPTIONS (name 'far');
