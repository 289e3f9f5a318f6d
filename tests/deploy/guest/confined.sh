# In the guest: uses the daemon, and tells the serial console what came of it, CHECK NAME VALUE.
exec >/dev/ttyS0 2>&1
export SNMP_PERSISTENT_DIR=/run

check() {
    name=$1
    shift
    echo "CHECK $name $*"
}

count() {
    curl -s -H "X-API-KEY: $(cat /var/lib/mutt/admin.key)" \
        "http://127.0.0.1:8080/api/v2/events?limit=1&q=$1" | sed -n 's/.*"total": *\([0-9]*\).*/\1/p'
}

# A guest without hardware help is slow: a minute is little.
received() {
    tries=0
    while [ "$(count "$2")" != "$3" ] && [ $tries -lt 60 ]; do
        tries=$((tries + 1))
        sleep 1
    done
    check "$1" "$(count "$2")"
}

of_journal() {
    tries=0
    until journalctl -u muttd --no-pager | grep -q "$1" || [ $tries -ge 60 ]; do
        tries=$((tries + 1))
        sleep 1
    done
    journalctl -u muttd --no-pager | grep -c "$1"
}

denials() {
    ausearch --input-logs -m avc 2>/dev/null | grep 'denied.*:muttd_t:' | sort -u
}

check mode "$(getenforce)"
check active "$(systemctl is-active muttd)"
check domain "$(tr -d '\0' </proc/"$(systemctl show -p MainPID --value muttd)"/attr/current)"
check bound "$(ss -Hlntu | awk '{ sub(/.*:/, "", $5); print $1 ":" $5 }' | sort | paste -sd ' ')"

logger -n 127.0.0.1 -P 514 --udp --rfc5424 confined-message
received udp confined-message 1
logger -n 127.0.0.1 -P 514 --tcp --rfc5424 confined-stream
received tcp confined-stream 1
# Its standard input stays open until what was written has arrived.
{ printf '<13>1 - host app - - - confined-tls\n'; sleep 20; } |
    openssl s_client -connect 127.0.0.1:6514 >/dev/null 2>&1 &
received tls confined-tls 1
snmptrap -v 2c -c public 127.0.0.1:162 '' 1.3.6.1.6.3.1.1.5.3 1.3.6.1.2.1.2.2.1.1.3 i 3
received trap IF-MIB::linkDown 1
# Its texts are parsed in a process of their own.
install -o mutt -m 640 /usr/src/muttd/tests/corpus/mibs/ACME-OLD-MIB.my /var/lib/mutt/mibs/
check mib "$(of_journal 'mibs: 1 modules of 1 texts')"
check log "$(grep -c 'is ready' /var/log/mutt/muttd.log)"
systemctl reload muttd
check reload "$(of_journal 'reload: ')"
systemctl restart muttd
check restart "$(systemctl is-active muttd)"
systemctl stop muttd
# By the sockets that systemd holds.
systemctl start muttd.socket muttd.service
check socket "$(systemctl is-active muttd)"
logger -n 127.0.0.1 -P 514 --udp --rfc5424 confined-inherited
received inherited confined-inherited 1
denials | sed 's/^/DENIED /'
check denials "$(denials | wc -l)"

# That denials are seen at all: the port of another service is none of muttd's.
systemctl stop muttd.socket muttd.service
echo 'MUTTD_HTTP=127.0.0.1:25' >>/etc/mutt/mutt.env
systemctl start muttd
check foreign-port "$(denials | grep -c 'name_bind.*src=25 ')"
check end yes
systemctl poweroff --force --force
