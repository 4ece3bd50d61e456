#!/usr/bin/env bash
# Run once by the image of PostgreSQL in the database that it has just made: lets the other server follow this one, and has
# this one wait for it from the next start on.
set -euo pipefail

psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" \
  --set=password="$REPLICATION_PASSWORD" --set=peer="\"$PEER\"" <<'SQL'
create role replicator with login replication password :'password';
-- The server that makes the database is not told: nobody follows it yet.
alter system set synchronous_standby_names = :'peer';
SQL
echo 'host replication replicator all scram-sha-256' >>"$PGDATA/pg_hba.conf"
