#!/bin/sh
# The files are there: the version is put to use. (deb: configure; rpm: 1 for the first, 2 for an upgrade)
# SIGNALCRAFT_START=no in the environment: neither enabled nor started.
set -eu

case "${1:-}" in
    configure | 1 | 2) ;;
    *) exit 0 ;; # deb: what was interrupted is undone, and the version before never stopped
esac

prefix=/usr/lib/signalcraft
unit=signalcraft.service
first=yes
if [ -L "$prefix/current" ]; then first=no; fi

booted() { [ -d /run/systemd/system ]; }
if booted; then systemctl daemon-reload; fi

# Tries the migrations on a copy, switches, restarts what runs, and goes back to the version before where the new one
# does not come up; then this script fails, and the package manager says so. Nothing of who called us gets in there.
env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    "$prefix/program/signalcraft" unpacked "$prefix/program" --owner signalcraft

if ! command -v systemctl >/dev/null; then exit 0; fi

if [ "$first" = no ]; then
    # One that had given up, or was between two tries, gets its chance with this version.
    case "$(systemctl is-active "$unit" 2>/dev/null || true)" in
        failed | activating)
            systemctl reset-failed "$unit" || true
            systemctl --no-block restart "$unit" || true
            ;;
    esac
    exit 0
fi

if [ "${SIGNALCRAFT_START:-yes}" = no ]; then
    systemctl disable "$unit" >/dev/null 2>&1 || true
    echo "SignalCraft is installed, and not started: systemctl enable --now signalcraft"
    exit 0
fi
# What this box does with new services is its administrator's to say (systemd.preset(5)): Debian enables them, Fedora
# and its kin do not.
systemctl preset "$unit" >/dev/null 2>&1 || true
if ! systemctl -q is-enabled "$unit" 2>/dev/null; then
    echo "SignalCraft is installed, and not started: systemctl enable --now signalcraft"
    exit 0
fi
if ! booted; then exit 0; fi
start="systemctl start"
if command -v deb-systemd-invoke >/dev/null; then start="deb-systemd-invoke start"; fi # asks policy-rc.d
if $start "$unit" && systemctl -q is-active "$unit"; then
    echo "SignalCraft runs. Its owner is made with the code that journalctl -u signalcraft shows; settings:" \
        "/etc/signalcraft/signalcraft.toml"
else
    echo "SignalCraft is installed, but does not run: systemctl status signalcraft" >&2
fi
