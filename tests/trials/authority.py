"""An authority of our own: Let's Encrypt's test server Pebble, and a name server that leads every name here."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.main.pairs import pair
from tests.packaging.doors import listens, program, running
from tests.world import free_port


@dataclass
class Authority:
    """`directory` is what an ACME client is told; `trust` vouches for the server, `root` for what it signs."""

    directory: str
    trust: Path
    root: Path


@contextmanager
def names() -> Iterator[int]:
    """A name server: each name's A is 127.0.0.1, and nothing else is known of it. Its port."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(0.2)
    over = threading.Event()

    def answer() -> None:
        while not over.is_set():
            try:
                asked, who = sock.recvfrom(4096)
            except TimeoutError:
                continue
            end = 12
            while asked[end]:
                end += asked[end] + 1
            question = asked[12 : end + 5]
            is_a = question[-4:-2] == b"\x00\x01"
            head = asked[:2] + struct.pack(">HHHHH", 0x8580, 1, int(is_a), 0, 0)
            record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 1, 4) + socket.inet_aton("127.0.0.1") if is_a else b""
            sock.sendto(head + question + record, who)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    try:
        yield int(sock.getsockname()[1])
    finally:
        over.set()
        thread.join(2)
        sock.close()


@contextmanager
def pebble(folder: Path, http_port: int, tls_port: int) -> Iterator[Authority]:
    """Pebble, which asks for HTTP challenges at one port of this machine and for TLS ones at another."""
    command = program("pebble", "pebble")
    api, management = free_port(), free_port()
    folder.mkdir(exist_ok=True)
    own = pair(folder / "own")
    said = {
        "listenAddress": f"127.0.0.1:{api}", "managementListenAddress": f"127.0.0.1:{management}",
        "certificate": own["http.tls_certificate"], "privateKey": own["http.tls_key"],
        "httpPort": http_port, "tlsPort": tls_port, "ocspResponderURL": "", "externalAccountBindingRequired": False,
    }  # fmt: skip
    file, log = folder / "pebble.json", folder / "pebble.log"
    file.write_text(json.dumps({"pebble": said}))
    with names() as dns:
        start = [command, "-config", str(file), "-strict", "-dnsserver", f"127.0.0.1:{dns}"]
        # It would refuse one good nonce in twenty, and Debian's certbot ends with an error of its own where two meet.
        setting = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0", "PEBBLE_WFE_NONCEREJECT": "0"}
        with running(start, log, setting) as process:
            listens(api, process, log)
            listens(management, process, log)
            trust = Path(own["http.tls_certificate"])
            root = folder / "root.pem"
            asked = f"https://localhost:{management}/roots/0"
            with httpx.Client(verify=False, trust_env=False) as client:
                root.write_text(client.get(asked).raise_for_status().text)
            yield Authority(f"https://localhost:{api}/dir", trust, root)
