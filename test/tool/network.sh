#!/bin/sh
# SPDX-License-Identifier: MIT
# tcp: and udp: as a person uses them, on this machine: ports, names, talk, what is bound and what is not.
. "${0%/*}/shell.sh"

# receive ADDRESS OPTION...: in the background; $address is where, $receiver who.
receive() {
    rm -f err
    timeout 60 "$TONG" recv "$@" >out 2>err &
    receiver=$!
    until_true grep -q "[tu][cd]p:.*[1-9]" err
    address=$(grep -o '[tu][cd]p:[^ ]*' err | head -n 1)
}

says() {
    [ "$(cat "$1")" = "$2" ]
}

# A bare root has no /etc/hosts, and then no localhost.
tcp_localhost=tcp:localhost:0 udp_localhost=udp:localhost:0
if ! getent hosts localhost >/dev/null; then
    skip "localhost" "this machine does not know the name"
    tcp_localhost= udp_localhost=
fi

for form in tcp:127.0.0.1:0 'tcp:[::1]:0' $tcp_localhost tcp::0 'tcp:*:0' 'tcp:127.0.0.1:0?frame=none' \
    udp:127.0.0.1:0 'udp:[::1]:0' $udp_localhost udp::0 'udp:*:0'; do
    receive "$form"
    echo "by $form" | "$TONG" send "$address"
    wait $receiver
    check "$form" says out "by $form"
done

# Local addresses of listening sockets with this port, as /proc writes them.
bound() {
    printf ':%04X' "$1" >pattern
    awk 'FNR > 1 { print $2 }' "/proc/net/$2" "/proc/net/${2}6" | grep -F -f pattern | sed 's/:.*//' | sort -u | tr '\n' ' '
}

only_loopback() {
    case $(bound "$1" "$2") in
        '0100007F ' | '00000000000000000000000001000000 ') return 0 ;;
    esac
    return 1
}

for form in tcp:127.0.0.1:0 $tcp_localhost tcp::0 udp::0; do
    receive "$form"
    port=${address##*:}
    check "$form binds loopback alone" only_loopback "$port" "${form%%:*}"
    "$TONG" send "$address" x
    kill $receiver 2>/dev/null
    wait $receiver 2>/dev/null
done

# One server, client after client, at a port that it keeps; and at once again, whatever still waits in TIME_WAIT.
receive --follow --lines tcp:127.0.0.1:0
for word in one two three; do
    "$TONG" send "$address" $word
done
until_true grep -q three out
check "one server, three clients" says out "one
two
three"
kill $receiver
wait $receiver
check "a server that starts again has its port at once" sh -c \
    '{ "$0" recv "$1" >again & } ; "$0" send --wait 10s "$1" hello; wait; grep -q hello again' "$TONG" "$address"

# talk: the first binds, the second connects; both hear what the other said, and both end.
for scheme in tcp udp; do
    port=$(timeout 60 "$TONG" recv --timeout 1ms $scheme:127.0.0.1:0 2>&1 | sed -n 's/.*127.0.0.1:\([0-9]*\).*/\1/p' | head -n 1)
    mkfifo say
    timeout 60 "$TONG" talk $scheme:127.0.0.1:$port <say >first 2>err &
    first=$!
    exec 7>say
    echo "from the first" >&7 # before anybody is there to hear it
    until_true grep -qi "0100007F:$(printf %04x "$port") " /proc/net/$scheme
    { echo "from the second"; until_true grep -q "from the second" first; } |
        timeout 60 "$TONG" talk --wait 10s $scheme:127.0.0.1:$port >second 2>/dev/null
    check "talk over $scheme: the second ends" [ $? = 0 ]
    wait $first
    check "talk over $scheme: so does the first" [ $? = 0 ]
    exec 7>&-
    check "talk over $scheme: each heard the other" grep -q "from the first" second
    check "talk over $scheme: and the other way" grep -q "from the second" first
    rm -f say first second err
done

# What was not sent by tong is passed over, and said.
if have socat; then
    receive udp:127.0.0.1:0
    printf stranger | socat -u - "UDP:127.0.0.1:${address##*:}"
    echo friend | "$TONG" send "$address"
    wait $receiver
    check "a stranger is passed over" says out friend
    check "and it is said" grep -q "1 that came were passed over" err
else
    skip "a stranger is passed over" "socat is not installed"
fi

expect "nobody listens" 6 "nobody listens on tcp:127.0.0.1:9" "$TONG" send tcp:127.0.0.1:9 hello
expect "nobody receives" 6 "nobody receives on udp:127.0.0.1:9" "$TONG" send udp:127.0.0.1:9 hello
expect "a host that is none" 6 "no host" "$TONG" send tcp:no-such-host.invalid:80 hello
expect "a service that is none" 2 "no service" "$TONG" send tcp:127.0.0.1:no-such-service hello
expect "no port" 2 "a port is missing" "$TONG" send tcp:127.0.0.1 hello
expect "IPv6 without brackets" 2 "in brackets" "$TONG" send tcp:::1:80 hello
expect "a port that is none" 2 "0 to 65535" "$TONG" send udp:127.0.0.1:70000 hello
expect "sending to port 0" 2 "port 0" "$TONG" send udp:127.0.0.1:0 hello
expect "a type without framing" 2 "would be lost" "$TONG" send 'udp:127.0.0.1:9?frame=none' --type 5 hello
expect "another machine's address" 6 "not an address of this machine" "$TONG" recv tcp:192.0.2.1:0
expect "nothing to remove" 2 "no name" "$TONG" rm tcp:127.0.0.1:9

lowest=$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start)
if [ "$lowest" -le 9 ]; then
    skip "a port for root" "anybody may bind any port here"
elif [ "$(id -u)" != 0 ]; then
    expect "a port for root" 5 "ports below $lowest" "$TONG" recv tcp:127.0.0.1:9
elif have setpriv; then
    chmod 755 .
    expect "a port for root" 5 "ports below $lowest" setpriv --reuid=65534 --clear-groups --inh-caps=-all "$TONG" recv tcp:127.0.0.1:9
else
    skip "a port for root" "setpriv is not installed"
fi
rm -f pattern again
finish
