"""A seller's wallet page: what there is, what happened, why money has not arrived, and asking for it."""

import re
import uuid
from datetime import UTC, date, timedelta
from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import View

from billing.gateways import titles
from billing.gateways.base import PayoutState
from ledger import money
from ledger.errors import InvalidAmount, LedgerError
from ledger.money import Money, for_reader
from rest import spreadsheets
from wallets import balances, destinations, pages, sellers, statement_files, statements, transactions, withdrawals
from wallets import errors as refused
from wallets.balances import Balance
from wallets.destinations import OPERATORS
from wallets.models import DestinationKind, Wallet, Withdrawal, WithdrawalStatus
from wallets.sellers import PARTS
from wallets.statements import Statement
from wallets.transactions import LABELS, MOVED_WITHIN, Transaction, Wanted

MOST_TRANSACTIONS, MOST_WITHDRAWALS = 50, 20

WHY = {
    WithdrawalStatus.REQUESTED: _(
        "We check each withdrawal of this size. It is sent once somebody here has approved it."
    ),
    WithdrawalStatus.APPROVED: _("It is about to be sent."),
    WithdrawalStatus.PAID: _("%(gateway)s has paid it on %(day)s."),
    WithdrawalStatus.RETURNED: _("%(gateway)s sent it back to us: it is in your wallet again."),
    WithdrawalStatus.FAILED: _("It was refused, and the money is in your wallet again: %(reason)s"),
    WithdrawalStatus.REJECTED: _("We did not approve it, and the money is in your wallet again: %(reason)s"),
    WithdrawalStatus.CANCELLED: _("You took it back, and the money is in your wallet again."),
}
AMOUNT = _("Write an amount such as 9.99, with no more decimals than the currency has.")
REFUSALS = {
    refused.InsufficientFunds: _("That is more than is available; %(missing)s are missing."),
    refused.BelowMinimum: _("The least is %(minimum)s."),
    refused.DailyMaximumReached: _("At most %(maximum)s a day; %(left)s are left today."),
    refused.WithdrawalOpen: _("Another withdrawal is still under way. Wait for it, or cancel it."),
    refused.WithdrawalState: _("It has moved on already."),
    refused.KeyReused: _(
        "This form was sent before, with something else in it: see under “Withdrawals” what became of that. If you "
        "want this one as well, send it again."
    ),
    InvalidAmount: AMOUNT,
}
UNFORESEEN = _("This cannot be done as your wallet stands, and nothing was moved. Write to us, and we look into it.")
FACTS = ("missing", "minimum", "maximum", "left")
FIELDS = {
    "destination.phone": _("This is no number as in +237670000001."),
    "destination.email": _("This is no e-mail address."),
    "destination.operator": _("Choose the operator of the number."),
    "destination.account": _("This is no connected account."),
}
MONTH = re.compile(r"20\d\d-(0[1-9]|1[0-2])")
MONTHS_SHOWN = 3
Text = str | Promise


class WithdrawalForm(forms.Form):
    """The key makes a form that is sent twice ask once."""

    key = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
    currency = forms.ChoiceField(label=_("currency"))
    amount = forms.CharField(label=_("amount"), max_length=24)
    kind = forms.ChoiceField(label=_("destination"), choices=DestinationKind.choices)
    value = forms.CharField(label=_("e-mail address, number as in +237670000001, or account"), max_length=254)
    operator = forms.ChoiceField(
        label=_("operator of the number"), required=False, choices=[("", "-"), *((name, name) for name in OPERATORS)]
    )

    def __init__(self, currencies: list[str], *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.fields["currency"].choices = [(each, each) for each in currencies]  # type: ignore[attr-defined]


@method_decorator([csrf_exempt, never_cache], name="dispatch")
class WalletView(View):
    """There is no cookie to forge with, so no CSRF token is asked for."""

    http_method_names = ["get", "head", "post"]

    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        user = _seller(token)
        return _page(request, user, WithdrawalForm(_currencies(user)))

    def post(self, request: HttpRequest, token: str) -> HttpResponse:
        user = _seller(token)
        form = WithdrawalForm(_currencies(user), request.POST)
        if form.is_valid():
            try:
                _ask(user, form.cleaned_data)
            except (refused.WalletsError, LedgerError) as refusal:
                if isinstance(refusal, refused.KeyReused):
                    form = _with_a_new_key(user, request)
                form.add_error(None, _sentence(refusal))
            else:
                return redirect(request.path)
        return _page(request, user, form, status=400)


@method_decorator([csrf_exempt, never_cache], name="dispatch")
class CancelView(View):
    http_method_names = ["post"]

    def post(self, request: HttpRequest, token: str, withdrawal: uuid.UUID) -> HttpResponse:
        user = _seller(token)
        found = Withdrawal.objects.of(user).filter(pk=withdrawal).first()
        if found is None:
            raise Http404
        try:
            withdrawals.cancel(withdrawal=found, by=user)
        except refused.WithdrawalState as refusal:
            form = WithdrawalForm(_currencies(user))
            return _page(request, user, form, status=409, refusal=_sentence(refusal))
        return redirect("wallet", token)


@method_decorator(never_cache, name="dispatch")
class StatementView(View):
    """A month as a PDF."""

    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest, token: str, currency: str, month: str) -> HttpResponse:
        statement = _statement(token, currency, month)
        headers = {"Content-Disposition": f'attachment; filename="statement-{currency}-{month}.pdf"'}
        return HttpResponse(statement_files.draw(statement), "application/pdf", headers=headers)


@method_decorator(never_cache, name="dispatch")
class StatementCsvView(View):
    """The same month for a spreadsheet, with the columns of the API."""

    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest, token: str, currency: str, month: str) -> StreamingHttpResponse:
        statement = _statement(token, currency, month)
        return spreadsheets.answer([statement.rows()], f"statement-{currency}-{month}")


def _statement(token: str, currency: str, month: str) -> Statement:
    found = sellers.find(_seller(token), currency)
    if found is None or not MONTH.fullmatch(month):
        raise Http404
    return statements.of_month(found, year=int(month[:4]), month=int(month[5:]))


def _seller(token: str) -> User:
    user = pages.user_of(token)
    if user is None:
        raise Http404
    return user


def _currencies(user: User) -> list[str]:
    return list(Wallet.objects.filter(seller__user=user).order_by("currency").values_list("currency", flat=True))


def _ask(user: User, wish: dict[str, Any]) -> None:
    operator = wish["operator"] if wish["kind"] == DestinationKind.MOBILE_MONEY else ""
    goal = destinations.parse(kind=wish["kind"], value=wish["value"].strip(), operator=operator)
    amount = money.as_written(wish["amount"], wish["currency"])
    withdrawals.request(user=user, amount=amount, destination=goal, key=f"page:{user.pk}:{wish['key']}")


def _with_a_new_key(user: User, request: HttpRequest) -> WithdrawalForm:
    """The same wish as another one, for whoever means it."""
    return WithdrawalForm(_currencies(user), request.POST.dict() | {"key": uuid.uuid4()})


def _page(
    request: HttpRequest, user: User, form: WithdrawalForm, *, status: int = 200, refusal: str = ""
) -> HttpResponse:
    own_token = request.resolver_match.kwargs["token"]  # type: ignore[union-attr]
    context: dict[str, Any] = {
        "own_path": reverse("wallet", args=[own_token]),  # not that of the button which led here
        "form": form,
        "refusal": refusal,
        "balances": [_balance(each) for each in balances.of(user)],
        "withdrawals": [_withdrawal(each) for each in _withdrawals(user)],
        "transactions": _transactions(user),
    }
    response = render(request, "storefront/wallet.html", context, status=status)
    response["Referrer-Policy"] = "no-referrer"  # the address of this page is its key
    return response


# ---------------------------------------------------------------- what is shown


def _shown(minor: int, currency: str) -> str:
    return for_reader(Money(minor, currency))


def _balance(balance: Balance) -> dict[str, Any]:
    parts = ("pending", "available", "held", "reserved", "owed")
    return {
        "currency": balance.currency,
        **{part: _shown(getattr(balance, part), balance.currency) for part in parts},
        "months": _months(),
        "has_reserve": balance.reserved != 0,
        "has_debt": balance.owed != 0,
        "upcoming": [(each["at"], _shown(each["amount"], balance.currency)) for each in balance.upcoming],
    }


def _months() -> list[date]:
    """The last few, the youngest first."""
    day, found = timezone.now().astimezone(UTC).date().replace(day=1), []
    for _number in range(MONTHS_SHOWN):
        found.append(day)
        day = (day - timedelta(days=1)).replace(day=1)
    return found


def _transactions(user: User) -> list[dict[str, Any]]:
    wallets = list(Wallet.objects.filter(seller__user=user).select_related(*PARTS))
    found = transactions.page(Wanted(wallets=wallets), MOST_TRANSACTIONS)
    return [_transaction(each) for each in found]


def _transaction(each: Transaction) -> dict[str, Any]:
    return {
        "at": each.at,
        "kind": LABELS.get(each.kind, each.kind),
        "references": each.about,
        "change": _shown(each.change, each.currency) if each.change else MOVED_WITHIN,
        "available": _shown(each.available, each.currency),
    }


def _withdrawals(user: User) -> list[Withdrawal]:
    rows = Withdrawal.objects.of(user).select_related("wallet", "destination", "sent").order_by("-id")
    return list(rows[:MOST_WITHDRAWALS])


def _withdrawal(each: Withdrawal) -> dict[str, Any]:
    return {
        "id": each.pk,
        "at": each.created_at,
        "amount": _shown(each.amount_minor, each.wallet.currency),
        "fee": _shown(each.fee_minor, each.wallet.currency) if each.fee_minor else "",
        "destination": str(each.destination),
        "status": each.get_status_display(),
        "why": why(each),
        "can_cancel": each.status in (WithdrawalStatus.REQUESTED, WithdrawalStatus.APPROVED),
    }


def why(withdrawal: Withdrawal) -> str:
    """Why the money has not arrived, or what became of it."""
    status, sentence = WithdrawalStatus(withdrawal.status), WHY.get(WithdrawalStatus(withdrawal.status))
    if status is WithdrawalStatus.APPROVED and withdrawal.not_before > timezone.now():
        sentence = _("The destination is new: for your safety it is sent no earlier than %(day)s.")
    facts = {
        "gateway": titles.of(withdrawal.gateway),
        "reason": withdrawal.reason,
        "day": date_format(withdrawal.resolved_at or withdrawal.not_before, "DATETIME_FORMAT"),
    }
    return str(sentence or _at_gateway(withdrawal)) % facts


def _at_gateway(withdrawal: Withdrawal) -> Text:
    payout = getattr(withdrawal, "sent", None)
    match payout.state if payout else "":
        case PayoutState.UNCLAIMED:
            return _("It waits for you at %(gateway)s: accept it there with this address, or it comes back.")
        case PayoutState.NEEDS_APPROVAL:
            return _("%(gateway)s waits for our confirmation before it pays.")
        case PayoutState.PENDING | PayoutState.IN_TRANSIT:
            return _("%(gateway)s has it and is about to pay. We ask until it is there.")
        case _:
            return _(
                "%(gateway)s has not told us yet whether it has paid. We keep asking; the money stays set aside, and "
                "it is not sent twice."
            )


def _sentence(refusal: Exception) -> str:
    """A refusal in the seller's language."""
    if isinstance(refusal, refused.InvalidValue):
        return str(FIELDS.get(refusal.field, AMOUNT))
    facts = {name: _shown(getattr(refusal, name), refusal.currency) for name in FACTS if hasattr(refusal, name)}  # type: ignore[attr-defined]
    return str(next((said for kind, said in REFUSALS.items() if isinstance(refusal, kind)), UNFORESEEN)) % facts
