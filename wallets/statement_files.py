"""A statement on paper: the same lines as everywhere, drawn by typst when somebody asks for it."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import typst
from babel.dates import format_date
from django.conf import settings
from django.template.loader import get_template
from django.utils.translation import get_language, gettext, pgettext

from ledger.money import Money, for_reader
from rest.dates import long_date
from wallets.models import WithdrawalStatus
from wallets.statements import Line, Statement
from wallets.transactions import LABELS


def draw(statement: Statement) -> bytes:
    """The PDF/A-3b, in the language of whoever asks."""
    origin = get_template("wallets/statement.typ").origin  # type: ignore[attr-defined]
    drawn: bytes = typst.compile(  # type: ignore[type-var]
        Path(origin.name),
        root="/",
        sys_inputs={"data": orjson.dumps(told(statement)).decode()},
        pdf_standards=["a-3b"],
        ignore_system_fonts=True,
    )
    return drawn


def told(statement: Statement) -> dict[str, Any]:
    """All that the paper says, as people in its language write it."""
    locale, wallet, first = get_language() or "en", statement.wallet, statement.since
    last = statement.until - timedelta(days=1)
    period = {name: long_date(day, locale) for name, day in (("first", first), ("last", last))}
    opening = ["", gettext("opening balance"), "", "", _shown(statement, statement.opening)]
    return {
        "lang": locale[:2],
        "colour": settings.INVOICE_COLOUR,
        "title": gettext("Statement of your wallet"),
        "author": settings.SELLER_NAME,
        "date": {"year": last.year, "month": last.month, "day": last.day},
        "about": [
            f"{wallet.seller.user.get_username()} · {wallet.currency}",
            gettext("From %(first)s to %(last)s (UTC)") % period,
        ],
        "page": gettext("Page"),
        "columns": [
            gettext("Date"),
            gettext("What"),
            gettext("Reference"),
            pgettext("amount", "Change"),
            gettext("Balance"),
        ],
        "lines": [opening, *(_line(statement, line, locale) for line in statement.lines)],
        "closing": gettext("Closing balance: %(amount)s") % {"amount": _shown(statement, statement.closing)},
    }


def _line(statement: Statement, line: Line, locale: str) -> list[str]:
    return [
        format_date(line.at, "short", locale=locale),
        _kind(line.kind),
        _about(statement, line),
        _shown(statement, line.change) if line.change else "",
        _shown(statement, line.balance),
    ]


def _about(statement: Statement, line: Line) -> str:
    parts = [line.about] if line.asked is None else [_shown(statement, line.asked), line.about]
    return " · ".join(part for part in parts if part)


def _kind(kind: str) -> str:
    """An entry of the books, or a step of a withdrawal."""
    if kind in LABELS:
        return str(LABELS[kind])
    step = kind.removeprefix("withdrawal.")
    known = {each.value: each.label for each in WithdrawalStatus}
    return gettext("withdrawal: %(step)s") % {"step": known.get(step, step)}


def _shown(statement: Statement, minor: int) -> str:
    return for_reader(Money(minor, statement.wallet.currency))
