#!/bin/bash
# Makes the query metadata in .sqlx again, against a throwaway PostgreSQL with the migrations applied.
# With --check: changes nothing, and fails if .sqlx differs.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"

bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
[ -n "$bin" ] || bin=$(dirname "$(command -v initdb)") || {
    echo "PostgreSQL's server is not installed (Debian: apt-get install postgresql)" >&2
    exit 69
}

scratch=$(mktemp -d /tmp/tandem-prepare.XXXXXX)
as=()
if [ "$(id -u)" = 0 ]; then
    # PostgreSQL refuses to be root.
    user=postgres
    id "$user" >/dev/null 2>&1 || user=nobody
    chown "$user" "$scratch"
    as=(setpriv "--reuid=$user" "--regid=$(id -g "$user")" --clear-groups)
fi

finish() {
    "${as[@]}" "$bin/pg_ctl" -D "$scratch/data" -m immediate stop >/dev/null 2>&1 || true
    rm -rf -- "$scratch"
}
trap finish EXIT
cd /

"${as[@]}" "$bin/initdb" --no-sync --username tandem --auth trust --encoding UTF8 --locale C -D "$scratch/data" >/dev/null
"${as[@]}" "$bin/pg_ctl" -D "$scratch/data" -l "$scratch/log" -w \
    -o "-c listen_addresses= -c unix_socket_directories=$scratch -c fsync=off" start >/dev/null
psql=("$bin/psql" -X -q -v ON_ERROR_STOP=1 -h "$scratch" -U tandem)
"${psql[@]}" -d postgres -c 'CREATE DATABASE tandem'
for file in "$root"/migrations/*.sql; do
    # One transaction for each, as storage has it.
    "${psql[@]}" -d tandem --single-transaction -f "$file"
done

cd "$root"
# A fresh directory: the macros write files and remove none, and what no query needs any more would stay.
fresh=$scratch/queries
mkdir "$fresh"
touch services/storage/src/lib.rs
SQLX_OFFLINE=false SQLX_OFFLINE_DIR="$fresh" DATABASE_URL="postgres://tandem@localhost/tandem?host=$scratch" \
    cargo check --locked --workspace --all-targets --quiet

if [ "${1:-}" = --check ]; then
    diff -rq "$fresh" .sqlx >&2 || {
        echo "the query metadata is stale: run services/storage/prepare.sh and commit .sqlx" >&2
        exit 1
    }
else
    mkdir -p .sqlx
    find .sqlx -name 'query-*.json' -delete
    cp "$fresh"/query-*.json .sqlx/
fi
