#!/usr/bin/env bash
# clean_node.sh ROOT HOME LIBRARIES POSTGRES PASSWORD COMMANDS: run a file of commands, which lies in HOME, in a clean
# root as the nodes' user, with a network of its own in which nothing is but loopback and a PostgreSQL server.
# To be started by `unshare --mount --net --pid --fork --kill-child`, with which all of it ends.
set -euo pipefail
root=$1 home=$2 libraries=$3 postgres=$4 password=$5 commands=$6

ip link set lo up
server=$(mktemp -d)
echo "$password" > "$server/password"
chown -R postgres "$server"
as_postgres() { (cd "$server" && setpriv --reuid=postgres --regid=postgres --clear-groups "$@"); }
as_postgres "$postgres/initdb" -D "$server/data" -U unblur -A scram-sha-256 --pwfile="$server/password" -N > /dev/null
as_postgres "$postgres/pg_ctl" -w -D "$server/data" -l "$server/log" \
    -o "-c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off" start > /dev/null

mount --bind "$home" "$root/home"
mount --bind "$libraries" "$root/mnt"
mount -o remount,bind,ro "$root/mnt"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
chroot --userspec=1000:100 "$root" /usr/bin/env -i HOME=/home/ray USER=ray RAY_AUTH_MODE=token \
    PATH=/home/ray/python/bin:/usr/bin:/bin PIP_NO_INDEX=1 PIP_NO_BUILD_ISOLATION=0 bash -euo pipefail "$commands"
