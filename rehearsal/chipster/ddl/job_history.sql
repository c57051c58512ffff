-- Database job_history_db of a running Chipster (services of mid-2026), after its own migrations.
-- Our own writing; names, types, keys and indexes are those of the real catalogue.

CREATE TABLE public.flyway_schema_history (
    installed_rank integer NOT NULL,
    version varchar(50),
    description varchar(200) NOT NULL,
    type varchar(20) NOT NULL,
    script varchar(1000) NOT NULL,
    checksum integer,
    installed_by varchar(100) NOT NULL,
    installed_on timestamp(6) NOT NULL DEFAULT now(),
    execution_time integer NOT NULL,
    success boolean NOT NULL,
    CONSTRAINT flyway_schema_history_pk PRIMARY KEY (installed_rank)
);
CREATE INDEX flyway_schema_history_s_idx ON public.flyway_schema_history (success);

CREATE TABLE public.jobhistory (
    jobid uuid NOT NULL,
    sessionid uuid NOT NULL,
    comp varchar(255),
    endtime timestamptz(6),
    state varchar(255),
    screenoutput oid,
    starttime timestamptz(6),
    toolid varchar(255),
    toolname varchar(255),
    createdby varchar(255),
    created timestamptz(6),
    memoryusage bigint,
    statedetail varchar(255),
    module varchar(255),
    storageusage bigint,
    CONSTRAINT jobhistorymodel_pkey PRIMARY KEY (jobid, sessionid)
);
CREATE INDEX job_history_created_index ON public.jobhistory (created);
