-- Database auth_db of a running Chipster (services of mid-2026), after its own migrations.
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

CREATE TABLE public.oidcloginsession (
    oidcloginid uuid NOT NULL,
    created timestamptz(6),
    nonce varchar(255),
    oidcname varchar(255),
    state varchar(255),
    sourceip varchar(255),
    code oid,
    CONSTRAINT oidcloginsession_pkey PRIMARY KEY (oidcloginid)
);

CREATE TABLE public.user_table (
    auth varchar(255) NOT NULL,
    username varchar(255) NOT NULL,
    accessed timestamptz(6),
    created timestamptz(6),
    latestsession uuid,
    mail varchar(255),
    modified timestamptz(6),
    name varchar(255),
    organization varchar(255),
    termsaccepted timestamptz(6),
    termsversion integer NOT NULL,
    version bigint NOT NULL,
    preferences jsonb,
    CONSTRAINT user_table_pkey PRIMARY KEY (auth, username)
);
