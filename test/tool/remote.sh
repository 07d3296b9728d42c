#!/bin/sh
# SPDX-License-Identifier: MIT
# Two machines for real: two network namespaces with a cable between them, one program in each.
# Both namespaces are those of processes that end with this script, however it ends: nothing has a name.
if [ "$TONG_REMOTE" != inside ]; then
    for tool in unshare nsenter ip; do
        command -v $tool >/dev/null 2>&1 || { echo "skip two machines: $tool is not installed"; missing=1; }
    done
    rights=
    [ "$(id -u)" = 0 ] || rights=--map-root-user
    if [ -z "$missing" ] && ! unshare $rights --net ip link add probe type veth peer name other 2>/dev/null; then
        echo "skip two machines: no right to make a network namespace, or the kernel has no veth"
        missing=1
    fi
    [ -z "$missing" ] || { echo "0 passed, 0 failed, 1 skipped"; exit 0; }
    TONG_REMOTE=inside exec unshare $rights --net sh "$0" "$@"
fi
. "${0%/*}/shell.sh"
trap 'cd /; rm -rf "$directory"; exit 1' INT TERM HUP

# The other machine lives as long as this pipe has a writer: us.
mkfifo life
unshare --net cat life >/dev/null 2>&1 &
other=$!
exec 9>life

own_network() {
    [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/$$/ns/net)" ]
}
until_true own_network
there() {
    nsenter --target $other --net "$@"
}

ip link set lo up
ip link add cable type veth peer name cable netns $other
ip address add 192.0.2.1/24 dev cable
ip -6 address add 2001:db8::1/64 dev cable nodad
ip link set cable up
there ip link set lo up
there ip address add 192.0.2.2/24 dev cable
there ip -6 address add 2001:db8::2/64 dev cable nodad
there ip link set cable up

head -c 16777216 /dev/urandom >file
awk 'BEGIN { for (i = 0; i < 20000; i++) printf "%06d %800s\n", i, "x" }' >lines

# receive OPTION... ADDRESS: in the background, on the other machine; $address is where, $receiver who.
receive() {
    rm -f err
    there timeout 60 "$TONG" recv "$@" >out 2>err &
    receiver=$!
    until_true grep -q "$scheme:.*[0-9]" err
    address=$(grep -o "$scheme:[^ ]*" err | head -n 1)
}

same_file() {
    [ "$(sha256sum <file)" = "$(sha256sum <out)" ]
}

# Sent, received and lost add up; what is lost behind the last that came, nobody can know.
add_up() {
    sent=20001 # and the mark of the end
    received=$(grep -c . out)
    lost=$(grep -o '"lost":[0-9]*' out | awk -F: '{ sum += $2 } END { print sum + 0 }')
    echo "     $1: sent $sent, received $received, lost $lost"
    [ "$received" -gt 0 ] || return 1
    if tail -n 1 out | grep -q '"length":0,'; then
        [ $((received + lost)) = $sent ]
    else
        [ $((received + lost)) -le $sent ]
    fi
}

for host in 192.0.2.2 '[2001:db8::2]'; do
    scheme=tcp
    receive "tcp:$host:0"
    "$TONG" send "$address" <file
    check "16 MiB by $address to the other machine" wait $receiver
    check "they are the same 16 MiB" same_file

    receive "tcp:$host:0?frame=none"
    "$TONG" send "$address" <file
    check "the same without framing" wait $receiver
    check "they are the same, too" same_file

    scheme=udp
    receive --json --timeout 10s "udp:$host:0"
    "$TONG" send --lines "$address" <lines
    check "20000 datagrams by $address" [ $? = 0 ]
    wait $receiver
    check "what came and what is missing add up" add_up "$address"
done

scheme=tcp
expect "a port where nobody listens" 6 "nobody listens on tcp:192.0.2.2:9" "$TONG" send tcp:192.0.2.2:9 hello
expect "a port where nobody receives" 6 "nobody receives on udp:192.0.2.2:9" "$TONG" send udp:192.0.2.2:9 hello
# Its address is known, or the kernel gives up looking for that before the time is over where the machine stands still.
ip neighbour replace 192.0.2.77 lladdr 02:00:00:00:00:77 dev cable
expect "a host that is not there" 3 "no answer" "$TONG" send tcp:192.0.2.77:9 hello --wait 200ms
expect "a network that is not there" 6 "no way to that host" "$TONG" send tcp:198.51.100.1:9 hello

# A machine that vanishes says nothing, and keepalive notices; nor is it taken for the end where there is no framing.
for frame in packet none; do
    receive "tcp:192.0.2.2:0?keepalive=2s&frame=$frame"
    mkfifo talk
    "$TONG" send "$address" <talk 2>/dev/null &
    sender=$!
    exec 8>talk
    echo hello >&8
    until_true grep -q hello out
    ip link set cable down
    wait $receiver
    check "a machine that vanishes is noticed (frame=$frame)" [ $? = 4 ]
    kill $sender
    exec 8>&-
    wait $sender 2>/dev/null
    ip link set cable up
    rm -f talk
done

exec 9>&-
wait $other
finish
