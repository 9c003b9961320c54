"""What operators read when an act on credits is refused."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from credits import errors
from credits.models import HoldState
from ledger import refusal_words as ledger_words
from ledger.columns import rewritten
from rest.acts import Words

STATES: Mapping[str, Any] = {
    "expired": pgettext_lazy("grant", "expired"),
    "revoked": pgettext_lazy("grant", "revoked"),
    "used up or expired": pgettext_lazy("grant", "used up or expired"),
}


def _closed(refusal: errors.GrantClosed) -> str:
    return gettext("The grant cannot be changed any more: %(state)s.") % {
        "state": STATES.get(refusal.state, refusal.state)
    }


def _hold_over(refusal: errors.HoldResolved) -> str:
    return gettext("The hold is over: %(state)s.") % {"state": HoldState(refusal.state).label}


def _not_payable(refusal: errors.AmountNotPayable) -> str:
    return gettext("%(amount)s cannot be paid by %(gateways)s. Possible amounts close to it: %(nearest)s.") % {
        "amount": rewritten(refusal.amount),
        "gateways": ", ".join(refusal.gateways),
        "nearest": ", ".join(map(rewritten, refusal.nearest)),
    }


WORDS: Words = {
    errors.IssueTooLarge: _("More than %(most)s credits a day are given by a colleague who may adjust credits."),
    **ledger_words.WORDS,
    errors.InsufficientCredits: _("This needs %(needed)s %(unit)s: %(available)s available, %(missing)s missing."),
    errors.GrantClosed: _closed,
    errors.HoldResolved: _hold_over,
    errors.HoldExceeded: _("Only %(held)s are held."),
    errors.SpendExceeded: _("Only %(left)s of this spend are left to give back."),
    errors.KeyReused: ledger_words.ALREADY_DONE,
    errors.NotYours: _("There is nothing here."),
    errors.AmountNotPayable: _not_payable,
    errors.VersionInThePast: _("A new version cannot begin in the past."),
    errors.InvalidUse: lambda refusal: gettext(str(refusal)),
}
