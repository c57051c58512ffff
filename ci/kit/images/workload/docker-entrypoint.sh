#!/usr/bin/env bash
# Starts PostgreSQL as the official image does, as far as Chipster's charts rely on it: PGDATA, POSTGRES_USER,
# POSTGRES_PASSWORD, POSTGRES_DB, POSTGRES_INITDB_ARGS, POSTGRES_HOST_AUTH_METHOD; initdb on the first start only.
# Any other command is run as it is: the image also serves as a file store's.
set -euo pipefail

[ "${1:-}" = postgres ] || exec "$@"

# As root only under a plain `docker run`: a pod brings its own uid.
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA"
    chown -R postgres:postgres "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}
template=/usr/local/share/postgres-template # what initdb made when the image was built, see the Dockerfile

# The server is built in a folder beside PGDATA and renamed: a pod killed in the middle must not leave a half that the
# next start would take for whole. A volume mounted at PGDATA itself cannot be renamed to: built in place.
initialise() {
    local fresh=$PGDATA.initialising
    if mountpoint -q "$PGDATA"; then fresh=$PGDATA; else rm -rf "$fresh"; fi
    [ -n "${POSTGRES_PASSWORD:-}" ] || [ "${POSTGRES_HOST_AUTH_METHOD:-}" = trust ] || {
        echo "docker-entrypoint: POSTGRES_PASSWORD is empty, and a new server needs one" >&2
        exit 1
    }
    mkdir -p "$fresh"
    chmod 0700 "$fresh"
    local from_template= password=${POSTGRES_PASSWORD:-} quote="'"
    password=${password%%$'\n'*} # as initdb takes it from a file: one line
    if [ "$user" = postgres ] && [ -n "$password" ] && [ "${POSTGRES_INITDB_ARGS:-}" = "$(cat "$template/args")" ]; then
        from_template=1
        lz4 -d -q -c "$template/data.tar.lz4" | tar -C "$fresh" -x --no-same-owner
    else
        # shellcheck disable=SC2086  # POSTGRES_INITDB_ARGS is a list of words, as in the official image
        initdb -D "$fresh" --username="$user" --pwfile=<(printf '%s\n' "$password") ${POSTGRES_INITDB_ARGS:-}
    fi
    printf 'host all all all %s\n' "${POSTGRES_HOST_AUTH_METHOD:-$(postgres -D "$fresh" -C password_encryption)}" \
        >>"$fresh/pg_hba.conf"
    # Single-user mode: no second server, no port that a probe could take for the real one. It goes on after an error and
    # ends with 0 unless told otherwise, and it would log the statement, with the password.
    {
        [ -z "$from_template" ] || printf "ALTER ROLE postgres PASSWORD '%s'\n" "${password//$quote/$quote$quote}"
        [ "$database" = postgres ] || printf 'CREATE DATABASE "%s"\n' "${database//\"/\"\"}"
    } | postgres --single -D "$fresh" -c fsync=off -c exit_on_error=on -c log_min_error_statement=panic postgres >/dev/null
    echo "listen_addresses = '*'" >>"$fresh/postgresql.conf"
    [ "$fresh" = "$PGDATA" ] || mv -T "$fresh" "$PGDATA"
}

# PostgreSQL and initdb ask who runs them: an arbitrary uid has no name, so it is given one.
if ! getent passwd "$(id -u)" >/dev/null; then
    names=$(mktemp)
    sed '/^postgres:/d' /etc/passwd >"$names"
    echo "postgres:x:$(id -u):$(id -g)::/tmp:/bin/false" >>"$names"
    export LD_PRELOAD=libnss_wrapper.so NSS_WRAPPER_PASSWD=$names NSS_WRAPPER_GROUP=/etc/group
fi

[ -s "$PGDATA/PG_VERSION" ] || initialise
unset LD_PRELOAD NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
exec "$@"
