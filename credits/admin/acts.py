"""Acts of operators on customers' credits: a button, a page with a form that says what will happen, and the same
function as the API's."""

from datetime import UTC, datetime, time
from typing import Any

from django import forms
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from credits.admin.refusal_words import WORDS
from credits.errors import CreditsError
from credits.models import Cost, GrantRule, Pack
from credits.models.catalogue import unit_validator
from ledger import accounts
from ledger.errors import LedgerError
from ledger.money import CREDIT, is_currency
from rest import acts
from rest.acts import ActForm, ReasonForm, amount_field, asks_for, choice_field, operator, user_field
from rest.lists import Choices, among, named

__all__ = [
    "ActForm",
    "ActsAdmin",
    "EndOfDayField",
    "ReasonForm",
    "amount_field",
    "asks_for",
    "by_the_clock_of",
    "choice_field",
    "of_unit",
    "operator",
    "unit_field",
    "user_field",
]


def money_field(**changes: Any) -> forms.CharField:
    """An amount of a currency as people write it; the act knows which currency, and says what is wrong with it."""
    known: dict[str, Any] = {"label": _("amount"), "max_length": 20, "widget": UnfoldAdminTextInputWidget}
    return forms.CharField(**known | changes)


def unit_field() -> forms.CharField:
    return forms.CharField(
        label=_("unit"), initial=CREDIT, validators=[unit_validator], widget=UnfoldAdminTextInputWidget
    )


class EndOfDayField(forms.DateField):
    """A day, to the end of which (UTC) something lasts."""

    def __init__(self, **changes: Any) -> None:
        known: dict[str, Any] = {
            "widget": UnfoldAdminTextInputWidget(attrs={"type": "date"}),
            "help_text": _("To the end of that day, UTC."),
        }
        super().__init__(**known | changes)

    def prepare_value(self, value: Any) -> Any:
        """A browser's field for a day shows nothing else than a day."""
        return value.astimezone(UTC).date().isoformat() if isinstance(value, datetime) else value

    def clean(self, value: Any) -> Any:
        day = super().clean(value)
        if day is None:
            return None
        if day < datetime.now(UTC).date():
            raise forms.ValidationError(gettext("This day is over."))
        return datetime.combine(day, time.max, UTC)


def by_the_clock_of(zone: str, dates: SafeString) -> str:
    """Dates that are not told by the clock of the page say so."""
    if not dates:
        return "-"
    said = gettext("By the customer's clock, %(zone)s:") % {"zone": zone}
    return format_html("<div>{}</div>{}", said, dates)


def units() -> Choices:
    """Those of the catalogues, and those of which the house ever gave."""
    named_there = {
        unit for model in (Pack, Cost, GrantRule) for unit in model.objects.values_list("unit", flat=True).distinct()
    }
    given = {unit for unit in accounts.units_of_the_house() if not is_currency(unit)}
    return named({CREDIT} | named_there | given)


of_unit = among(units)


class ActsAdmin(acts.ActsAdmin):
    """The permissions that the buttons on credits ask for."""

    refusals: tuple[type[Exception], ...] = (CreditsError, LedgerError)
    words = WORDS

    has_issue_grant_permission = asks_for("credits.issue_grant")
    has_extend_grant_permission = asks_for("credits.extend_grant")
    has_freeze_grant_permission = asks_for("credits.freeze_grant")
    has_revoke_grant_permission = asks_for("credits.revoke_grant")
    has_regrant_period_permission = asks_for("credits.regrant_period")
    has_revoke_period_permission = asks_for("credits.revoke_period")
    has_reverse_spend_permission = asks_for("credits.reverse_spend")
    has_release_hold_permission = asks_for("credits.release_hold")
    has_adjust_credits_permission = asks_for("credits.adjust_credits")
    has_change_purse_permission = asks_for("credits.change_purse")
