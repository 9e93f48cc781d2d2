#!/bin/sh
# The files are gone. (deb: remove, purge, upgrade, …; rpm: 0 for the last, 1 for an upgrade)
# remove leaves settings, data and backups; purge leaves nothing.
set -eu

case "${1:-}" in
    remove | purge | 0) ;;
    *) exit 0 ;;
esac

rm -rf /usr/lib/signalcraft/versions /usr/lib/signalcraft/current
rmdir /usr/lib/signalcraft 2>/dev/null || true

if [ "$1" = purge ]; then
    rm -rf /etc/signalcraft /etc/systemd/system/signalcraft.service.d /etc/systemd/system/signalcraft.socket.d
    rm -f /etc/credstore/signalcraft-* /etc/credstore.encrypted/signalcraft-*
    # It may be a disk of its own: then the empty folder stays.
    rm -rf /var/lib/signalcraft 2>/dev/null || true
    if getent passwd signalcraft >/dev/null; then userdel signalcraft >/dev/null 2>&1 || true; fi
    if getent group signalcraft >/dev/null; then groupdel signalcraft >/dev/null 2>&1 || true; fi
elif [ -d /var/lib/signalcraft ]; then
    echo "SignalCraft is removed. Settings and data stay: /etc/signalcraft, /var/lib/signalcraft"
fi
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || true
    systemctl reset-failed signalcraft.service signalcraft-again.service 2>/dev/null || true
fi
