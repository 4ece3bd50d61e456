#!/usr/bin/env bash
# docker-entrypoint.sh postgres [FLAG…]: does what the entrypoint of PostgreSQL's image does, as far as the files in deploy/
# count on it: a database is made where there is none, by a server on its socket alone that is started with the same flags,
# and what lies in /docker-entrypoint-initdb.d is run beside it.
set -euo pipefail

if [[ $(id -u) == 0 ]]; then
  chown postgres "$PGDATA"
  exec setpriv --reuid postgres --regid "$(id -g postgres)" --init-groups "$0" "$@"
fi

if [[ ! -s $PGDATA/PG_VERSION ]]; then
  initdb --pgdata="$PGDATA" --username="$POSTGRES_USER" --pwfile=<(echo "$POSTGRES_PASSWORD") --auth-local=trust \
    --auth-host=trust --encoding=UTF8 --no-locale >/dev/null
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"
  PGUSER=$POSTGRES_USER pg_ctl --pgdata="$PGDATA" --wait --options="$(printf '%q ' -c listen_addresses= "${@:2}")" start
  psql --username="$POSTGRES_USER" --dbname=postgres --command="create database \"$POSTGRES_DB\""
  for script in /docker-entrypoint-initdb.d/*; do
    [[ ! -e $script ]] || "$script"
  done
  PGUSER=$POSTGRES_USER pg_ctl --pgdata="$PGDATA" --mode=fast --wait stop
fi
exec "$@"
