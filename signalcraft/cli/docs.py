"""`signalcraft docs`: the documentation of this version, from the program itself."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import click

from signalcraft.cli.terminal import say
from signalcraft.errors import Fault, NotFound

LISTEN = "127.0.0.1:8079"


@click.group(invoke_without_command=True)
@click.option("--list", "as_list", is_flag=True, help="Print the name and title of every page.")
@click.option("--search", metavar="WORDS", help="Print the pages in which all these words stand.")
@click.option("--listen", default=LISTEN, show_default=True, metavar="HOST:PORT", help="Where to serve the pages.")
@click.pass_context
def docs(ctx: click.Context, as_list: bool, search: str | None, listen: str) -> None:
    """Serve the documentation of this version to a browser, until Ctrl-C.

    It needs no network, no settings and no data directory. A running SignalCraft serves the same pages at /docs.

    \b
    Example:
      signalcraft docs
      signalcraft docs --list
      signalcraft docs --search "master key"
      signalcraft docs show how-to/tls
    """
    if ctx.invoked_subcommand is not None:
        return
    from signalcraft.http.manual import shelf

    if search is not None:
        for found in shelf.search(search):
            say(f"{found.page.name}  {found.line}")
    elif as_list:
        for page in shelf.pages().values():
            say(f"{page.name.removesuffix('.md'):40} {page.title}")
    else:
        _serve(listen)


@docs.command("show")
@click.argument("page")
def show(page: str) -> None:
    """Print one page, in Markdown. PAGE: its name as `signalcraft docs --list` prints it, or the last part of it.

    \b
    Example:
      signalcraft docs show runbooks/disk
      signalcraft docs show tls
    """
    from signalcraft.http.manual import shelf

    found = shelf.named(page)
    if found is None:
        near = [one.name.removesuffix(".md") for one in shelf.pages().values() if page.lower() in one.name]
        raise NotFound(f"there is no page {page}" + (f": is it {' or '.join(near[:4])}?" if near else ""))
    say(found.text.rstrip("\n"))


def _serve(listen: str) -> None:
    host, _, port = listen.rpartition(":")
    if not port.isdecimal() or not host:
        raise click.UsageError(f"--listen takes HOST:PORT, not {listen}.")
    try:
        server = ThreadingHTTPServer((host.strip("[]"), int(port)), _Pages)
    except (OSError, OverflowError) as problem:
        raise Fault(f"the documentation cannot be served at {listen}: {problem}") from None
    server.daemon_threads = True
    say(f"Documentation  http://{host}:{server.server_address[1]}/docs/index.md   Ctrl-C ends it")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        say("")
    finally:
        server.server_close()


class _Pages(BaseHTTPRequestHandler):
    """The pages under /docs/, as the box has them."""

    timeout = 20
    server_version = "SignalCraft"
    sys_version = ""

    def do_GET(self) -> None:
        """Answers with a page; everything else leads to the index."""
        from signalcraft.http.manual.asking import Told, answer

        url = urlsplit(self.path)
        asked = {name: values[-1] for name, values in parse_qs(url.query).items()}
        path = unquote(url.path)
        if path.startswith("/docs/") and path != "/docs/":
            accept = self.headers.get("accept", "")
            told = answer(path[6:], accept, asked=asked.get("q", ""), as_text=asked.get("as") == "text")
        else:
            told = Told(307, "text/plain; charset=utf-8", b"", "/docs/index.md")
        self.send_response(told.status)
        for name, value in told.headers().items():
            self.send_header(name, value)
        self.send_header("x-content-type-options", "nosniff")
        self.send_header("content-type", told.media_type)
        self.send_header("content-length", str(len(told.body)))
        self.end_headers()
        self.wfile.write(told.body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: whoever reads the documentation needs no log of it."""
