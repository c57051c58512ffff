--
-- PostgreSQL database dump
--

\restrict abc

SET statement_timeout = 0;
SET client_encoding = 'UTF8';
SET row_security = off;

ALTER TABLE ONLY public.dataset DROP CONSTRAINT dataset_fileid_fkey;
DROP INDEX public.dataset_fileid_index;
ALTER TABLE ONLY public.session DROP CONSTRAINT session_pkey;
SELECT pg_catalog.lo_unlink('20001');
DROP TABLE public.session;
DROP SCHEMA rehearsal_extras;
--
-- Name: rehearsal_extras; Type: SCHEMA; Schema: -; Owner: postgres
--

CREATE SCHEMA rehearsal_extras;


--
-- Name: spell(integer); Type: FUNCTION; Schema: rehearsal_extras; Owner: postgres
--

CREATE FUNCTION rehearsal_extras.spell(amount integer) RETURNS text
    LANGUAGE sql
    AS $$
SELECT '--
-- Name: no entry at all'
$$;


--
-- Name: dataset; Type: TABLE; Schema: public; Owner: postgres
--

CREATE TABLE public.dataset (
    datasetid uuid NOT NULL,
    sessionid uuid NOT NULL,
    name character varying(255),
    notes oid
);


--
-- Name: news; Type: TABLE; Schema: public; Owner: postgres
--

CREATE TABLE public.news (
    newsid uuid NOT NULL,
    contents text
);


--
-- Name: session; Type: TABLE; Schema: public; Owner: postgres
--

CREATE TABLE public.session (
    sessionid uuid NOT NULL,
    name character varying(255),
    notes oid
);


--
-- Name: mark; Type: TABLE; Schema: rehearsal_extras; Owner: postgres
--

CREATE TABLE rehearsal_extras.mark (
    kind text NOT NULL,
    value text NOT NULL
);


--
-- Name: no_key; Type: TABLE; Schema: rehearsal_extras; Owner: postgres
--

CREATE TABLE rehearsal_extras.no_key (
    word text
);


--
-- Name: 20001; Type: BLOB; Schema: -; Owner: postgres
--

SELECT pg_catalog.lo_create('20001');


--
-- Data for Name: dataset; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.dataset (datasetid, sessionid, name, notes) FROM stdin;
aaaaaaaa-0000-4000-8000-000000000001	bbbbbbbb-0000-4000-8000-000000000001	reads	\N
aaaaaaaa-0000-4000-8000-000000000002	bbbbbbbb-0000-4000-8000-000000000001	with\\slash	20002
\.


--
-- Data for Name: news; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.news (newsid, contents) FROM stdin;
\.


--
-- Data for Name: session; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.session (sessionid, name, notes) FROM stdin;
bbbbbbbb-0000-4000-8000-000000000001	Jörg	20001
bbbbbbbb-0000-4000-8000-000000000002	Jörg	\N
\.


--
-- Data for Name: mark; Type: TABLE DATA; Schema: rehearsal_extras; Owner: postgres
--

COPY rehearsal_extras.mark (kind, value) FROM stdin;
nonce	nonce-1
\.


--
-- Data for Name: no_key; Type: TABLE DATA; Schema: rehearsal_extras; Owner: postgres
--

COPY rehearsal_extras.no_key (word) FROM stdin;
\N
-- Name: not an entry; Type: TABLE; Schema: public; Owner: postgres
COPY public.dataset (datasetid) FROM stdin;
word number 0 of a row long enough to fill blocks
word number 1 of a row long enough to fill blocks
word number 2 of a row long enough to fill blocks
word number 3 of a row long enough to fill blocks
word number 4 of a row long enough to fill blocks
word number 5 of a row long enough to fill blocks
word number 6 of a row long enough to fill blocks
word number 7 of a row long enough to fill blocks
word number 8 of a row long enough to fill blocks
word number 9 of a row long enough to fill blocks
word number 10 of a row long enough to fill blocks
word number 11 of a row long enough to fill blocks
word number 12 of a row long enough to fill blocks
word number 13 of a row long enough to fill blocks
word number 14 of a row long enough to fill blocks
word number 15 of a row long enough to fill blocks
word number 16 of a row long enough to fill blocks
word number 17 of a row long enough to fill blocks
word number 18 of a row long enough to fill blocks
word number 19 of a row long enough to fill blocks
word number 20 of a row long enough to fill blocks
word number 21 of a row long enough to fill blocks
word number 22 of a row long enough to fill blocks
word number 23 of a row long enough to fill blocks
word number 24 of a row long enough to fill blocks
word number 25 of a row long enough to fill blocks
word number 26 of a row long enough to fill blocks
word number 27 of a row long enough to fill blocks
word number 28 of a row long enough to fill blocks
word number 29 of a row long enough to fill blocks
twice
\.


--
-- Name: called; Type: SEQUENCE SET; Schema: rehearsal_extras; Owner: postgres
--

SELECT pg_catalog.setval('rehearsal_extras.called', 7, true);


--
-- Name: never_called; Type: SEQUENCE SET; Schema: rehearsal_extras; Owner: postgres
--

SELECT pg_catalog.setval('rehearsal_extras.never_called', 42, false);


--
-- Data for Name: BLOBS; Type: BLOBS; Schema: -; Owner: -
--

BEGIN;

SELECT pg_catalog.lo_open('20001', 131072);
SELECT pg_catalog.lowrite(0, '\x6e6f746573');
SELECT pg_catalog.lo_close(0);

SELECT pg_catalog.lo_open('20002', 131072);
SELECT pg_catalog.lo_close(0);

COMMIT;

--
-- Name: dataset dataset_pkey; Type: CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.dataset
    ADD CONSTRAINT dataset_pkey PRIMARY KEY (sessionid, datasetid);


--
-- Name: session session_pkey; Type: CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.session
    ADD CONSTRAINT session_pkey PRIMARY KEY (sessionid);


--
-- Name: dataset_fileid_index; Type: INDEX; Schema: public; Owner: postgres
--

CREATE INDEX dataset_fileid_index ON public.dataset USING btree (datasetid);


--
-- Name: TABLE dataset; Type: ACL; Schema: public; Owner: postgres
--

GRANT SELECT ON TABLE public.dataset TO pg_monitor;


--
-- PostgreSQL database dump complete
--

\unrestrict abc

