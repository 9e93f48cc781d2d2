#!/bin/sh
# Before the files go: the service ends. (deb: remove, upgrade; rpm: 0 for the last, 1 for an upgrade)
# Over an upgrade it runs on; the new version's script restarts it.
set -eu

case "${1:-}" in
    remove | 0) ;;
    *) exit 0 ;;
esac
if command -v systemctl >/dev/null; then
    for unit in signalcraft-again.service signalcraft.socket signalcraft.service; do
        systemctl disable --now "$unit" >/dev/null 2>&1 || true
    done
fi
