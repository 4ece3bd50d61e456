#!/usr/bin/env bash
# postgres.sh start [FLAG…] | promote | synchronous
#
# One of two PostgreSQL servers of which one follows the other. Runs in the image of PostgreSQL, as the user postgres.
#
#   start         the container's entrypoint. Without data it copies its peer, if that one is a primary, and follows it;
#                 else, with FIRST=yes, it begins a database. With data it goes on as what it was.
#   promote       makes this standby the primary, which waits for no standby. Stop the old primary before.
#   synchronous   makes this primary wait for its peer again: what it acknowledges is on both disks.
#
# NAME is this server's, PEER the other's; both are names of hosts. FIRST=yes stands at one of them only.
set -euo pipefail

: "${NAME:?}" "${PEER:?}" "${PGDATA:?}" "${POSTGRES_USER:?}" "${POSTGRES_DB:?}" "${REPLICATION_PASSWORD:?}"

say() { echo "postgres.sh: $*" >&2; }
fail() { say "$*"; exit 1; }

here() { psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" "$@"; }

at_peer() {
  PGPASSWORD=$REPLICATION_PASSWORD PGCONNECT_TIMEOUT=2 psql --no-psqlrc --quiet --tuples-only --no-align \
    --set=ON_ERROR_STOP=1 --host="$PEER" --username=replicator --dbname=postgres "$@"
}

is_primary() { [[ $(at_peer --command='select pg_is_in_recovery()' 2>/dev/null) == f ]]; }

# Copies the peer. The slot has it keep what this one has not received yet, while this one is away.
follow() {
  local slot=${NAME//-/_}
  say "copying $PEER"
  at_peer --command="select pg_create_physical_replication_slot('$slot')
    where not exists (select from pg_replication_slots where slot_name = '$slot')" >/dev/null
  chmod 700 "$PGDATA"
  # Beside its place, so that one that is cut short is not taken for a database.
  rm -rf "$PGDATA/copy"
  pg_basebackup --pgdata="$PGDATA/copy" --write-recovery-conf --slot="$slot" --wal-method=stream --checkpoint=fast \
    --dbname="host=$PEER user=replicator password=$REPLICATION_PASSWORD application_name=$NAME connect_timeout=5"
  # PG_VERSION last: it is what tells that there is data.
  find "$PGDATA/copy" -mindepth 1 -maxdepth 1 -not -name PG_VERSION -exec mv --target-directory="$PGDATA" {} +
  mv "$PGDATA/copy/PG_VERSION" "$PGDATA/"
  rmdir "$PGDATA/copy"
}

start() {
  if [[ -s $PGDATA/PG_VERSION ]]; then
    # Both would take writes, and each would have some that the other has not.
    if [[ ! -e $PGDATA/standby.signal ]] && is_primary; then
      fail "$PEER was promoted, and this one was the primary before: remove its volume, and it follows $PEER"
    fi
  else
    until is_primary; do
      [[ ${FIRST-} != yes ]] || { say "beginning a database"; break; }
      say "waiting for $PEER to be a primary that can be copied"
      sleep 1
    done
    ! is_primary || follow
  fi
  exec docker-entrypoint.sh postgres "$@"
}

promote() {
  [[ $(here --command='select pg_is_in_recovery()') == t ]] || fail "this one is a primary already"
  ! is_primary || fail "$PEER is a primary still: stop it first, for good"
  # It would wait for itself.
  here --command="alter system set synchronous_standby_names = ''" --command='select pg_reload_conf()' >/dev/null
  [[ $(here --command='select pg_promote()') == t ]] || fail "it did not become the primary within a minute; see its log"
  say "$NAME is the primary now"
}

synchronous() {
  [[ $(here --command='select pg_is_in_recovery()') == f ]] || fail "this one is a standby"
  [[ $(here --command="select count(*) from pg_stat_replication where application_name = '$PEER' and state = 'streaming'") == 1 ]] \
    || fail "$PEER does not follow this one yet"
  here --command="alter system set synchronous_standby_names = '\"$PEER\"'" --command='select pg_reload_conf()' >/dev/null
  say "what $NAME acknowledges is on the disk of $PEER as well"
}

verb=${1-}
case $verb in
  start | promote | synchronous) shift; "$verb" "$@" ;;
  *) fail "what to do is start, promote or synchronous" ;;
esac
