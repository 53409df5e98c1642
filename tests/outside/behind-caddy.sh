#!/bin/sh
# Everpost behind Caddy under a public name: https on the usual port, a private authority, the name in a hosts file.
# Run it in a network and mount namespace of its own (`unshare --net --mount`, or with --map-root-user as an ordinary user):
# ports, hosts file and authority are gone with it, and nothing of the machine is touched.
#   behind-caddy.sh HOST HANDLE NOTES EVERPOST FOLDER
# Everpost is configured by the environment (public_url, contact, database) and listens on 127.0.0.1:8080.
# Exit: what the first step that failed ended with.
set -eu
host=$1 handle=$2 notes=$3 everpost=$4 folder=$5
here=$(cd "$(dirname "$0")" && pwd)

# An ordinary user's search path lacks the folder of ip.
PATH="$PATH:/usr/sbin:/sbin"
ip link set lo up
printf '127.0.0.1 localhost %s\n::1 localhost %s\n' "$host" "$host" > "$folder/hosts"
mount --bind "$folder/hosts" /etc/hosts

export XDG_DATA_HOME="$folder" XDG_CONFIG_HOME="$folder" HOME="$folder"
# The Caddyfile that is shipped, with certificates from Caddy's own private authority instead of a public one.
sed '0,/^{$/s//{\n\tlocal_certs\n\tskip_install_trust/' "$here/../../config/hosting/Caddyfile" > "$folder/Caddyfile"

"$everpost" serve 2> "$folder/everpost.log" &
server=$!
DOMAIN=$host CONTACT=keeper@$host caddy run --config "$folder/Caddyfile" --adapter caddyfile 2> "$folder/caddy.log" &
proxy=$!
trap 'code=$?; kill $server $proxy 2>/dev/null || true; wait; [ $code = 0 ] || cat "$folder/everpost.log" "$folder/caddy.log" >&2; exit $code' EXIT

authority="$folder/caddy/pki/authorities/local/root.crt"
tries=0
until [ -e "$authority" ] && curl --fail --silent --output /dev/null --cacert "$authority" "https://$host/readyz"; do
    tries=$((tries + 1))
    [ $tries -lt 600 ] || { echo "https://$host does not come up" >&2; exit 1; }
    sleep 0.1
done

export NODE_EXTRA_CA_CERTS="$authority"
cd "$here"
node handle.mjs --handle "@$handle@$host" --expect-notes "$notes"
node walk.mjs --origin "https://$host" --acct "$handle@$host" --expect-notes "$notes" | tail -n 1
"$everpost" --set federation.extra_ca="$authority" doctor --json > "$folder/doctor.json" || { cat "$folder/doctor.json" >&2; exit 1; }
node -e 'const r = JSON.parse(require("fs").readFileSync(process.argv[1])); console.log(JSON.stringify({ step: "doctor", ok: r.problems === 0, findings: r.findings }))' "$folder/doctor.json"
