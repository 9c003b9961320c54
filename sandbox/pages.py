"""The hosted pages: plain HTML that works without JavaScript, and says everywhere that no money moves."""

import html
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sandbox import clock, money
from sandbox.gateway import Gateway

STYLE = """
:root { color-scheme: light; --accent: #444; }
* { box-sizing: border-box; }
body { margin: 0; background: #f4f5f7; color: #1d2330; font: 16px/1.5 system-ui, "Segoe UI", Roboto, sans-serif; }
.mark { background: #ffd54a; color: #3a2d00; text-align: center; padding: .55rem 1rem; font-weight: 600; }
main { max-width: 26rem; margin: 2.5rem auto; padding: 0 1rem; }
main.wide { max-width: 64rem; }
.card { background: #fff; border-radius: 14px; box-shadow: 0 1px 3px #0002, 0 8px 24px #00000012; overflow: hidden; }
.card { margin-top: 1.25rem; }
.brand { background: var(--accent); color: #fff; padding: 1rem 1.5rem; font-size: 1.15rem; font-weight: 700; }
.inside { padding: 1.5rem; }
.amount { font-size: 2rem; font-weight: 700; margin: .1rem 0 1rem; font-variant-numeric: tabular-nums; }
.quiet { color: #5b6475; font-size: .92rem; }
p { margin: .4rem 0; }
dl { display: grid; grid-template-columns: auto 1fr; gap: .2rem 1rem; margin: 0 0 1.2rem; font-size: .92rem; }
dt { color: #5b6475; } dd { margin: 0; text-align: right; overflow-wrap: anywhere; }
label { display: block; margin: .8rem 0 .2rem; font-size: .9rem; font-weight: 600; }
input, select { width: 100%; font: inherit; padding: .6rem .7rem; border: 1px solid #c4cad6; border-radius: 8px; }
button, .button { display: block; width: 100%; font: inherit; font-weight: 600; padding: .7rem 1rem; margin-top: .7rem;
  border-radius: 8px; border: 1px solid #c4cad6; background: #fff; color: #1d2330; cursor: pointer; text-align: center;
  text-decoration: none; }
button.main, .button.main { background: var(--accent); border-color: var(--accent); color: #fff; }
button:focus-visible, input:focus-visible, a:focus-visible { outline: 3px solid #2f6fed; outline-offset: 2px; }
.notice { border-left: 4px solid #c62828; background: #fdecea; padding: .7rem 1rem; margin: 0 0 1rem;
  border-radius: 6px; }
.good { border-left-color: #2e7d32; background: #e9f5ea; }
table { width: 100%; border-collapse: collapse; font-size: .9rem; }
th, td { text-align: left; padding: .45rem .6rem; border-bottom: 1px solid #e6e9ef; vertical-align: top; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
code { font-size: .88em; background: #eef0f4; padding: .1em .35em; border-radius: 4px; overflow-wrap: anywhere; }
a { color: #1f56c4; }
"""
RECENT = 8
HEAD = """<tr><th>what</th><th>its id</th><th>our reference</th><th class="number">amount</th><th>state</th>
<th>since</th></tr>"""


@dataclass(frozen=True, kw_only=True)
class Button:
    act: str
    label: str
    is_main: bool = False


def page(*, title: str, body: str, colour: str = "#444444", is_wide: bool = False) -> str:
    """A whole document. Titles are text; the body is HTML whose texts are escaped already."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} · sandbox</title>
<style>{STYLE}</style>
</head>
<body style="--accent: {colour}">
<div class="mark">Sandbox: this is a game, no money moves here</div>
<main{' class="wide"' if is_wide else ""}>
{body}
</main>
</body>
</html>
"""


def escape(text: object) -> str:
    return html.escape(str(text))


def payment_page(
    *,
    gateway: Gateway,
    shop: str,
    amount_minor: int,
    currency: str,
    facts: Mapping[str, str],
    buttons: Iterable[Button],
    fields: str = "",
    notice: str = "",
    action: str = "",
) -> str:
    """Shop, amount, and what the buyer can do. `fields` is HTML: the inputs above the buttons. A card is saved, and a
    trial begun, without an amount."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items() if value)
    choices = "".join(_button(each) for each in buttons)
    warning = f'<p class="notice" role="alert">{escape(notice)}</p>' if notice else ""
    amount = f'<p class="amount">{escape(money.shown(amount_minor, currency))}</p>' if amount_minor else ""
    body = f"""<div class="card">
<div class="brand">{escape(gateway.title)}</div>
<div class="inside">{warning}
<p class="quiet">{"You pay to" if amount_minor else "Nothing is paid now to"} <strong>{escape(shop)}</strong></p>
{amount}<dl>{rows}</dl>
<form method="post" action="{escape(action)}">{fields}{choices}</form>
</div></div>"""
    return page(title=f"Pay with {gateway.title}", body=body, colour=gateway.colour)


def _button(button: Button) -> str:
    looks = ' class="main"' if button.is_main else ""
    return f'<button name="act" value="{escape(button.act)}"{looks}>{escape(button.label)}</button>'


def message_page(
    *, gateway: Gateway, heading: str, text: str, link: str = "", label: str = "", is_good: bool = True
) -> str:
    """The end of a visit: what happened, and the way back to the shop."""
    way_back = f'<a class="button main" href="{escape(link)}">{escape(label)}</a>' if link else ""
    body = f"""<div class="card">
<div class="brand">{escape(gateway.title)}</div>
<div class="inside"><p class="notice{" good" if is_good else ""}"><strong>{escape(heading)}</strong></p>
<p>{escape(text)}</p>{way_back}
</div></div>"""
    return page(title=heading, body=body, colour=gateway.colour)


def index(gateways: Mapping[str, Gateway], now: float) -> str:
    """The front door: every gateway with its dials, its books and what happened last."""
    cards = "".join(_card(gateway) for gateway in gateways.values())
    body = f"""<h1>Gateways in a box</h1>
<p class="quiet">The sandbox's time is {escape(clock.text(now))}. Everything here is made up. The control interface:
<a href="/_dials">/_dials</a> · <a href="/_requests">/_requests</a> · <a href="/_letters">/_letters</a> ·
<a href="/_clock">/_clock</a> · POST /_play · POST /_reset</p>{cards}"""
    return page(title="Gateways", body=body, is_wide=True)


def _card(gateway: Gateway) -> str:
    with gateway.lock:
        entries = sorted(gateway.books(), key=lambda entry: entry.created_at, reverse=True)
    rows = "".join(
        f"<tr><td>{escape(entry.kind)}</td><td>{_linked(entry.page_url, entry.id)}</td>"
        f"<td><code>{escape(entry.reference)}</code></td>"
        f'<td class="number">{escape(money.shown(entry.amount_minor, entry.currency))}</td>'
        f"<td>{escape(entry.state)}</td><td>{escape(clock.text(entry.created_at))}</td></tr>"
        for entry in entries[:RECENT]
    )
    table = f'<div class="scroll"><table>{HEAD}{rows}</table></div>' if rows else '<p class="quiet">Nothing yet.</p>'
    name = escape(gateway.name)
    return f"""<div class="card" style="--accent: {gateway.colour}"><div class="brand">{escape(gateway.title)}</div>
<div class="inside"><p>Base address <code>/{name}</code> · <a href="/_books/{name}">books</a> ·
<a href="/_dials/{name}">dials</a> · <a href="/_settings/{name}">settings</a> ·
<a href="/_requests?gateway={name}">calls</a> · <a href="/_letters?gateway={name}">notifications</a>
{_desk(gateway)}{_disturbed(gateway)}</p>
{table}</div></div>"""


def _linked(address: str, text: str) -> str:
    shown = f"<code>{escape(text)}</code>"
    return f'<a href="{escape(address)}">{shown}</a>' if address else shown


def _desk(gateway: Gateway) -> str:
    """The page of a gateway's own that people start from, where it has one."""
    return f' · <a href="/{gateway.name}{gateway.desk}">{escape(gateway.desk_title)}</a>' if gateway.desk else ""


def _disturbed(gateway: Gateway) -> str:
    quiet = gateway.panel.show()
    turned = [name for name, value in {**quiet, **quiet["notify"]}.items() if name not in ("seed", "notify") and value]
    return f" · <strong>turned: {escape(', '.join(turned))}</strong>" if turned else ""
