"""The made-up shop's problems: three projects, three environments."""

from __future__ import annotations

from signalcraft.demo.sentry_bodies import Metric, Problem, Project

SHOP_WEB = Project(4509000000000101, "shop-web", "javascript")
CHECKOUT_API = Project(4509000000000102, "checkout-api", "python")
BILLING_WORKER = Project(4509000000000103, "billing-worker", "python")

_HANDLER = ("checkout/http.py", "handle", "    return view(request)")
_WORKER = ("billing/worker.py", "run", "    task.run(job)")

CART_TOTAL = Problem(
    label="cart-total", issue_id=6100000001, short_id="CHECKOUT-API-1A", project=CHECKOUT_API, level="error",
    environment="production", type="TypeError", value="unsupported operand type(s) for +: 'NoneType' and 'Decimal'",
    where=(_HANDLER, ("checkout/cart.py", "total", "    return sum((i.price for i in items), self.shipping)")),
    transaction="/api/cart/total", release="checkout-api@2.13.4", priority="high",
)  # fmt: skip
TAX_REGION = Problem(
    label="tax-region", issue_id=6100000002, short_id="CHECKOUT-API-2C", project=CHECKOUT_API, level="error",
    environment="production", type="KeyError", value="'tax_region'",
    where=(_HANDLER, ("checkout/tax.py", "region_of", '    return table[address["tax_region"]]')),
    transaction="/api/checkout", release="checkout-api@2.14.0", priority="high",
)  # fmt: skip
TAX_RATE = Problem(
    label="tax-rate", issue_id=6100000003, short_id="CHECKOUT-API-2D", project=CHECKOUT_API, level="error",
    environment="production", type="AttributeError", value="'NoneType' object has no attribute 'rate'",
    where=(_HANDLER, ("checkout/tax.py", "tax_on", "    return price * region.rate")),
    transaction="/api/quote", release="checkout-api@2.14.0", priority="high",
)  # fmt: skip
CHUNK_LOAD = Problem(
    label="chunk-load", issue_id=6100000004, short_id="SHOP-WEB-7F", project=SHOP_WEB, level="error",
    environment="production", type="ChunkLoadError", value="Loading chunk 417 failed. (timeout: /assets/417.9b1c.js)",
    where=(("app:///main.js", "route", "  load(name).then(show)"), ("app:///loader.js", "load", "  await import(src)")),
    transaction="/product/:id", release="shop-web@5.2.1",
)  # fmt: skip
GATEWAY = Problem(
    label="gateway", issue_id=6100000005, short_id="BILLING-WORKER-3B", project=BILLING_WORKER, level="error",
    environment="production", type="TimeoutError", value="payment gateway did not answer within 10 s",
    where=(_WORKER, ("billing/gateway.py", "capture", "    reply = self.session.post(url, timeout=10)")),
    transaction="capture_payment", release="billing-worker@1.8.0",
)  # fmt: skip
DATABASE = Problem(
    label="database", issue_id=6100000006, short_id="BILLING-WORKER-4K", project=BILLING_WORKER, level="fatal",
    environment="production", type="OperationalError", value="server closed the connection unexpectedly",
    where=(_WORKER, ("billing/store.py", "save_invoice", "    cursor.execute(INSERT, values)")),
    transaction="write_invoice", release="billing-worker@1.8.0", priority="high",
)  # fmt: skip
STAGING_ASSERT = Problem(
    label="staging-assert", issue_id=6100000007, short_id="CHECKOUT-API-31", project=CHECKOUT_API, level="error",
    environment="staging", type="AssertionError", value="expected 2 line items, got 0",
    where=(_HANDLER, ("checkout/smoke.py", "check_order", "    assert len(lines) == expected")),
    transaction="smoke.check_order", release="checkout-api@2.15.0-rc1", priority="low",
)  # fmt: skip
STAGING_RESIZE = Problem(
    label="staging-resize", issue_id=6100000008, short_id="SHOP-WEB-8A", project=SHOP_WEB, level="warning",
    environment="staging", type="ResizeObserver loop completed with undelivered notifications.", value="",
    where=(("app:///grid.js", "layout", "  observer.observe(node)"),),
    transaction="/category/:slug", release="shop-web@5.3.0-rc2", priority="low",
)  # fmt: skip
DEV_IMPORT = Problem(
    label="dev-import", issue_id=6100000009, short_id="BILLING-WORKER-5C", project=BILLING_WORKER, level="info",
    environment="development", type="ImportError", value="cannot import name 'Ledger' from 'billing.store'",
    where=(_WORKER, ("billing/ledger.py", "<module>", "from billing.store import Ledger")),
    transaction="close_month", priority="low",
)  # fmt: skip
SLOW_LIST = Problem(
    label="slow-list", issue_id=6100000010, short_id="CHECKOUT-API-3Q", project=CHECKOUT_API, level="warning",
    environment="production", type="N+1 Query", value="SELECT price FROM items WHERE id = %s (41 times)",
    where=(_HANDLER, ("checkout/catalogue.py", "listing", "    rows = [price_of(i) for i in ids]")),
    transaction="/api/catalogue", category="db_query", issue_type="performance_n_plus_one_db_queries", priority="low",
)  # fmt: skip
LEGACY_IMPORT = Problem(
    label="legacy-import", issue_id=6100000011, short_id="BILLING-WORKER-1Z", project=BILLING_WORKER, level="warning",
    environment="production", type="ValueError", value="invalid literal for int() with base 10: 'n/a'",
    where=(_WORKER, ("billing/imports.py", "read_row", '    amount = int(row["amount"])')),
    transaction="import_statements", rule="Anything from the old importer",
)  # fmt: skip

ERROR_RATE = Metric(
    label="error-rate", rule_id=4101, incident_id=88012, name="Checkout errors per minute", project=CHECKOUT_API,
    environment="production", aggregate="count()", query="level:error",
)  # fmt: skip
LATENCY = Metric(
    label="latency", rule_id=4102, incident_id=88007, name="Slow checkout (p95)", project=CHECKOUT_API,
    environment="production", aggregate="p95(transaction.duration)", query="transaction:/api/checkout",
)  # fmt: skip

PROBLEMS = (
    CART_TOTAL, TAX_REGION, TAX_RATE, CHUNK_LOAD, GATEWAY, DATABASE, STAGING_ASSERT, STAGING_RESIZE, DEV_IMPORT,
    SLOW_LIST, LEGACY_IMPORT,
)  # fmt: skip
METRICS = (ERROR_RATE, LATENCY)
