#!/bin/sh
# Installs SignalCraft from a release: picks what fits this machine, and verifies it before it touches anything.
#
#   sh install.sh [options] [FOLDER_OR_URL]     where the release lies; otherwise beside this script
#
#   --version V      this version, where several lie there
#   --key KEY        the minisign public key that is trusted (a file, or its line); otherwise the release's own
#   --no-start       neither enable nor start it
#   --small          half of one core and 512 MB of memory at most
#   --download DIR   fetch and verify only; the package stays in DIR
#   --dry-run        say what would be installed
#
# A release is: signalcraft_V_amd64.deb, signalcraft-V-1.x86_64.rpm, signalcraft-V-linux-x86_64 (the one file), SHA256SUMS
# and its signature SHA256SUMS.minisig. The signature is checked by minisign, or by OpenSSL 3 where minisign is missing.
set -eu

# Stamped in when a release is made.
PUBLIC_KEY=''

LEAST=2.36 # of the C library: what the program was built against

say() { echo "signalcraft: $*"; }
die() { echo "signalcraft: $*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

from='' version='' start=yes small=no keep='' dry=no
while [ $# -gt 0 ]; do
    case $1 in
        --version | --key | --download)
            [ $# -gt 1 ] || die "$1 wants a value"
            case $1 in --version) version=$2 ;; --key) PUBLIC_KEY=$2 ;; --download) keep=$2 ;; esac
            shift ;;
        --no-start) start=no ;;
        --small) small=yes ;;
        --dry-run) dry=yes ;;
        -h | --help) sed -n '2,/^set -eu/{/^set -eu/d;s/^# \{0,1\}//;p;}' "$0"; exit 0 ;;
        -*) die "there is no option $1; sh install.sh --help lists them" ;;
        *) from=$1 ;;
    esac
    shift
done
[ -n "$from" ] || from=$(dirname -- "$0")

# -- this machine -----------------------------------------------------------------------------------------------------

# The version of the C library; nothing where it is another one (musl), which no glibc program runs on.
glibc() { { getconf GNU_LIBC_VERSION || ldd --version; } 2>/dev/null | sed -n 's/^.*[^0-9.]\([0-9]\{1,\}\.[0-9]\{1,\}\).*$/\1/p;1q'; }
# Whether version $1 is at least $2: 2.36 is above 2.4.
at_least() { [ "${1%%.*}" -gt "${2%%.*}" ] || { [ "${1%%.*}" -eq "${2%%.*}" ] && [ "${1#*.}" -ge "${2#*.}" ]; }; }

[ "$(uname -s)" = Linux ] || die "SignalCraft runs on Linux; this is $(uname -s)"
case $(uname -m) in
    x86_64 | amd64) deb=amd64 rpm=x86_64 ;;
    aarch64 | arm64) deb=arm64 rpm=aarch64 ;;
    *) die "there is no SignalCraft for $(uname -m); it is built for x86_64 and aarch64" ;;
esac
libc=$(glibc)
if [ -z "$libc" ]; then
    die "SignalCraft needs glibc $LEAST or newer (Debian 12, Ubuntu 24.04, Fedora 37); this system has another C library"
elif ! at_least "$libc" "$LEAST"; then
    die "SignalCraft needs glibc $LEAST or newer (Debian 12, Ubuntu 24.04, Fedora 37); this system has $libc"
fi
if have dpkg && have apt-get; then
    kind='deb'
elif have rpm && { have dnf || have zypper || have yum; }; then
    kind='rpm'
else
    kind='file'
fi
if [ "$kind" != file ] && [ "$dry" = no ] && [ -z "$keep" ]; then
    [ "$(id -u)" = 0 ] || die "a package is installed as root: sudo sh install.sh"
fi

# -- the release ------------------------------------------------------------------------------------------------------

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
chmod 755 "$work" # apt reads the package as a user of its own

fetch() { # NAME: brings a file of the release into $work
    case $from in
        http://* | https://*)
            if have curl; then
                curl -fsSL --proto '=https,http' -o "$work/$1" "$from/$1" || return 1
            elif have wget; then
                wget -q -O "$work/$1" "$from/$1" || return 1
            else
                die "neither curl nor wget is here: download the release, and name its folder"
            fi ;;
        *)
            if [ ! -f "$from/$1" ]; then return 1; fi
            cp -- "$from/$1" "$work/$1" ;;
    esac
}

fetch SHA256SUMS || die "there is no release at $from: SHA256SUMS cannot be read"
fetch SHA256SUMS.minisig || die "the release at $from is not signed: SHA256SUMS.minisig cannot be read"

# The line of a minisign key or signature: base64 behind a comment.
second() { sed -n '/^untrusted comment:/{n;p;q;}' "$1"; }
bytes() { printf %s "$1" | base64 -d | tail -c "+$(($2 + 1))" | head -c "$3"; } # BASE64 FROM COUNT

# By OpenSSL (https://jedisct1.github.io/minisign/#signature-format): 2 bytes say how, 8 whose, then key or signature.
by_openssl() {
    line=$(second "$work/SHA256SUMS.minisig")
    [ "$(bytes "$line" 2 8 | od -An -tx1)" = "$(bytes "$key" 2 8 | od -An -tx1)" ] || return 1
    { printf '\060\052\060\005\006\003\053\145\160\003\041\000'; bytes "$key" 10 32; } >"$work/key.der"
    bytes "$line" 10 64 >"$work/signature"
    case $(bytes "$line" 0 2) in
        ED) openssl dgst -blake2b512 -binary "$work/SHA256SUMS" >"$work/signed" ;;
        Ed) cp "$work/SHA256SUMS" "$work/signed" ;;
        *) return 1 ;;
    esac
    openssl pkeyutl -verify -pubin -inkey "$work/key.der" -keyform DER -rawin -in "$work/signed" \
        -sigfile "$work/signature" >/dev/null 2>&1
}

if [ -n "$PUBLIC_KEY" ] && [ -f "$PUBLIC_KEY" ]; then key=$(second "$PUBLIC_KEY"); else key=$PUBLIC_KEY; fi
[ -n "$key" ] || die "no key is trusted: name the minisign public key of the release with --key"
if have minisign; then
    minisign -V -q -P "$key" -m "$work/SHA256SUMS" -x "$work/SHA256SUMS.minisig" >/dev/null 2>&1 ||
        die "the signature of the release does not hold for the key that is trusted: nothing was installed"
elif have openssl && openssl pkeyutl -help 2>&1 | grep -q -- -rawin; then
    by_openssl || die "the signature of the release does not hold for the key that is trusted: nothing was installed"
else
    die "the signature cannot be verified here: install minisign (or openssl 3) first"
fi

# The newest of those that are there, or the one that was asked for. Names as the sums list them.
name() {
    case $kind in
        deb) at="signalcraft_${version:-[0-9][^_]*}_$deb\\.deb" ;;
        rpm) at="signalcraft-${version:-[0-9][^-]*}-1\\.$rpm\\.rpm" ;;
        file) at="signalcraft-${version:-[0-9][^-]*}-linux-$rpm" ;;
    esac
    sed -n "s/^[0-9a-f]\\{64\\} [ *]\\($at\\)\$/\\1/p" "$work/SHA256SUMS" | sort -V | tail -n 1
}
asked=$version
version=$(printf %s "$version" | sed 's/\./\\./g') # as a pattern
file=$(name)
[ -n "$file" ] || die "the release at $from holds no ${kind} for $(uname -m)${asked:+ of version $asked}"

if [ "$dry" = yes ]; then
    say "the signature holds; $file would be installed"
    exit 0
fi
fetch "$file" || die "$from/$file cannot be read"
sum=$(sed -n "s/^\\([0-9a-f]\\{64\\}\\) [ *]$file\$/\\1/p" "$work/SHA256SUMS")
if [ "$(sha256sum "$work/$file" | cut -d' ' -f1)" != "$sum" ]; then
    die "$file is not what the release says (another SHA-256): nothing was installed"
fi
say "$file is what was released: signature and SHA-256 hold"
if [ -n "$keep" ]; then
    mkdir -p "$keep" && cp "$work/$file" "$keep/" && say "it lies in $keep"
    exit 0
fi

# -- installed --------------------------------------------------------------------------------------------------------

if [ "$small" = yes ] && [ "$kind" != file ]; then
    mkdir -p /etc/systemd/system/signalcraft.service.d
    printf '[Service]\nMemoryMax=512M\nMemorySwapMax=0\nCPUQuota=50%%\n' >/etc/systemd/system/signalcraft.service.d/small.conf
fi
export SIGNALCRAFT_START="$start" DEBIAN_FRONTEND=noninteractive
case $kind in
    deb) apt-get install -y -qq --allow-downgrades "$work/$file" ;;
    rpm)
        if have dnf; then
            dnf install -y -q --nogpgcheck "$work/$file" # its signature was checked above
        elif have zypper; then
            zypper -n -q install --allow-unsigned-rpm "$work/$file"
        else
            yum install -y -q --nogpgcheck "$work/$file"
        fi
        if [ "$start" = yes ]; then systemctl enable --now signalcraft; fi ;;
    file)
        if [ "$(id -u)" = 0 ]; then at=/usr/local/bin; else at=$HOME/.local/bin; fi
        mkdir -p "$at"
        cp "$work/$file" "$at/.signalcraft.new" && chmod 755 "$at/.signalcraft.new"
        mv "$at/.signalcraft.new" "$at/signalcraft"
        say "$at/signalcraft is the program, for no package manager of this system is known: signalcraft serve" ;;
esac
if [ "$kind" != file ] && have systemctl && [ -d /run/systemd/system ]; then
    if systemctl -q is-active signalcraft; then
        say "it runs: systemctl status signalcraft"
    elif [ "$start" = yes ]; then
        die "it is installed, but does not run: systemctl status signalcraft"
    fi
fi
