#!/bin/sh
# Before the files come: the user that the service is. (deb: install, upgrade; rpm: 1, 2)
set -eu

if ! getent group signalcraft >/dev/null; then
    groupadd --system signalcraft
fi
if ! getent passwd signalcraft >/dev/null; then
    useradd --system --gid signalcraft --home-dir /var/lib/signalcraft --no-create-home \
        --shell /usr/sbin/nologin --comment SignalCraft signalcraft
fi
