"""What the pages of the wallets share."""

from typing import Any

from django import forms
from django.contrib import admin
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from ledger import accounts, money
from ledger.errors import LedgerError
from ledger.money import Money
from rest import acts
from rest.acts import asks_for, words_of
from rest.lists import Choices, among, named, person
from wallets.admin.refusal_words import WORDS
from wallets.errors import WalletsError
from wallets.models import CommissionRule


def percent(basis_points: int) -> str:
    whole, hundredths = divmod(basis_points, 100)
    return f"{whole}.{hundredths:02} %"


def currencies() -> Choices:
    """Those of the commission rules, and those in which the house ever was paid."""
    ruled = set(CommissionRule.objects.exclude(currency="").values_list("currency", flat=True).distinct())
    return named(ruled | set(filter(money.is_currency, accounts.units_of_the_house())))


of_currency = among(currencies)


class ActsAdmin(acts.ActsAdmin):
    """The permissions that the buttons on wallets ask for."""

    refusals: tuple[type[Exception], ...] = (WalletsError, LedgerError)
    words = WORDS

    has_approve_withdrawal_permission = asks_for("wallets.approve_withdrawal")
    has_adjust_wallet_permission = asks_for("wallets.adjust_wallet")
    has_change_seller_permission = asks_for("wallets.change_seller")


class OfWallets(ActsAdmin):
    """What hangs on a wallet."""

    found_by_ids = ("pk",)
    found_by_people = ("wallet__seller__user",)

    @admin.display(description=_("seller"), ordering="wallet__seller__user__username")
    def seller(self, thing: Any) -> SafeString:
        return person(thing.wallet.seller.user)


class DecimalAmountField(forms.CharField):
    """An amount as people write it, read by `parse_amount` once its currency is known."""

    def __init__(self, **changes: Any) -> None:
        known: dict[str, Any] = {
            "label": _("amount"),
            "max_length": 24,
            "widget": UnfoldAdminTextInputWidget,
            "help_text": _("A decimal amount such as 9.99, with no more decimals than the currency has."),
        }
        super().__init__(**known | changes)


def parse_amount(text: str, currency: str) -> Money:
    """Refusals come as the form shows them."""
    try:
        return money.as_written(text, currency)
    except LedgerError as error:
        raise WalletsError(words_of(error, WORDS)) from error
