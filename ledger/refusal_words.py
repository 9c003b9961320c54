"""What operators read when the books refuse."""

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ledger import columns, errors

ALREADY_DONE = _("This was done already, or its key stands for something else. Begin again.")


def _lacks(refusal: errors.InsufficientFunds) -> str:
    missing = columns.shown(refusal.missing.minor, refusal.missing.unit)
    return gettext("%(account)s lacks %(missing)s.") % {"account": refusal.account.name, "missing": missing}


WORDS: Mapping[type[Exception], str | Promise | Callable[[Any], str | Promise]] = {
    errors.NotDecimal: _("Write an amount such as 12 or 9.99."),
    errors.TooManyDecimals: _("%(text)s has more decimals than %(unit)s, which has %(digits)s."),
    errors.InvalidAmount: _("This amount cannot be booked."),
    errors.UnknownUnit: _("This is no currency of ISO 4217."),
    errors.InsufficientFunds: _lacks,
    errors.KeyReused: ALREADY_DONE,
    errors.HoldResolved: _("What was held is settled or given back already."),
    errors.AboveHold: _("More than is held."),
    errors.AboveEntry: _("More than is left of it to give back."),
}
