"""What operators read when an act on wallets is refused."""

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ledger import columns
from ledger import refusal_words as ledger_words
from rest.acts import Words
from wallets import errors
from wallets.models import AdjustmentStatus, TakeBackState, WithdrawalStatus


def _too_little(refusal: errors.InsufficientFunds) -> str:
    return gettext("%(needed)s are more than the %(available)s that are available.") % {
        "needed": columns.shown(refusal.needed, refusal.currency),
        "available": columns.shown(refusal.available, refusal.currency),
    }


def _seller_lacks(refusal: errors.SellerCannotCover) -> str:
    return gettext("The seller lacks %(missing)s of it.") % {
        "missing": columns.shown(refusal.missing, refusal.currency)
    }


def _above_sale(refusal: errors.AboveSale) -> str:
    return gettext("Only %(left)s of this sale are left.") % {"left": columns.shown(refusal.left, refusal.currency)}


def _moved_on(refusal: errors.WithdrawalState) -> str:
    return gettext("The withdrawal has moved on: %(state)s.") % {
        "state": WithdrawalStatus(refusal.withdrawal_status).label
    }


def _adjusted(refusal: errors.AdjustmentState) -> str:
    return gettext("The adjustment is decided already: %(state)s.") % {"state": AdjustmentStatus(refusal.status).label}


def _taken_back(refusal: errors.TakeBackState) -> str:
    return gettext("What was to be taken back is over: %(state)s.") % {"state": TakeBackState(refusal.state).label}


WORDS: Words = {
    **ledger_words.WORDS,
    errors.InsufficientFunds: _too_little,
    errors.SellerCannotCover: _seller_lacks,
    errors.AboveSale: _above_sale,
    errors.WithdrawalState: _moved_on,
    errors.AdjustmentState: _adjusted,
    errors.TakeBackState: _taken_back,
    errors.SameOperator: _("You have agreed to this already: it needs a second person."),
    errors.KeyReused: ledger_words.ALREADY_DONE,
    errors.NotYours: _("There is nothing here."),
    errors.InvalidValue: lambda refusal: gettext(str(refusal)),
}
