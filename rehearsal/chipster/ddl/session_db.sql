-- Database session_db_db of a running Chipster (services of mid-2026), after its own migrations.
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

CREATE TABLE public.file (
    fileid uuid NOT NULL,
    checksum varchar(255),
    filecreated timestamptz(6),
    size bigint NOT NULL,
    storage varchar(255),
    state integer,
    encryptionkey varchar(255),
    CONSTRAINT file_pkey PRIMARY KEY (fileid)
);

CREATE TABLE public.session (
    sessionid uuid NOT NULL,
    accessed timestamptz(6),
    created timestamptz(6),
    name varchar(255),
    notes oid,
    state integer,
    CONSTRAINT session_pkey PRIMARY KEY (sessionid)
);

CREATE TABLE public.dataset (
    datasetid uuid NOT NULL,
    sessionid uuid NOT NULL,
    created timestamptz(6),
    name varchar(255),
    notes oid,
    sourcejob uuid,
    x integer,
    y integer,
    fileid uuid,
    metadatafiles jsonb,
    labelids jsonb,
    CONSTRAINT dataset_pkey PRIMARY KEY (sessionid, datasetid),
    CONSTRAINT fktnwjerv439jr4lmc37uvdp6ha FOREIGN KEY (fileid) REFERENCES public.file (fileid)
);
CREATE INDEX dataset_fileid_index ON public.dataset (fileid);

CREATE TABLE public.job (
    jobid uuid NOT NULL,
    sessionid uuid NOT NULL,
    created timestamptz(6),
    createdby varchar(255),
    endtime timestamptz(6),
    inputs jsonb,
    memoryusage bigint,
    module varchar(255),
    parameters jsonb,
    screenoutput oid,
    sourcecode oid,
    starttime timestamptz(6),
    state integer,
    statedetail oid,
    toolcategory varchar(255),
    tooldescription oid,
    toolid varchar(255),
    toolname varchar(255),
    metadatafiles jsonb,
    comp varchar(255),
    storageusage bigint,
    memorylimit bigint,
    cpulimit integer,
    outputs jsonb,
    storagelimit bigint,
    slotlimit integer,
    CONSTRAINT job_pkey PRIMARY KEY (sessionid, jobid)
);

CREATE TABLE public.label (
    sessionid uuid NOT NULL,
    labelid uuid NOT NULL,
    name varchar(255),
    color varchar(64),
    created timestamptz(6),
    CONSTRAINT label_pkey PRIMARY KEY (sessionid, labelid)
);
CREATE INDEX label_sessionid_index ON public.label (sessionid);

CREATE TABLE public.news (
    newsid uuid NOT NULL,
    contents jsonb,
    created timestamptz(6),
    modified timestamptz(6),
    CONSTRAINT news_pkey PRIMARY KEY (newsid)
);

CREATE TABLE public.rule (
    ruleid uuid NOT NULL,
    readwrite boolean NOT NULL,
    sharedby varchar(255),
    username varchar(255),
    sessionid uuid,
    created timestamptz(6),
    CONSTRAINT rule_pkey PRIMARY KEY (ruleid),
    CONSTRAINT fkmf1c6t4ld9isrgivjddortper FOREIGN KEY (sessionid) REFERENCES public.session (sessionid)
);
CREATE INDEX rule_sessionid_index ON public.rule (sessionid);
CREATE INDEX rule_sharedby_index ON public.rule (sharedby);
CREATE INDEX rule_username_index ON public.rule (username);
