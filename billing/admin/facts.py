"""What is kept as JSON with payments and payouts, as lines that somebody can read."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.contrib.auth.models import User
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from billing.gateways.errors import FailureCategory
from billing.models import Attempt, Payment, PlanPrice
from billing.models.invoices import TaxCategory
from billing.models.payments import PaymentKind
from billing.models.plans import UNLIMITED
from billing.routing import Rule
from credits.models import PackPrice
from ledger.columns import rewritten, shown

RULES = {
    Rule.UNKNOWN: _("there is no such gateway"),
    Rule.DISABLED: _("switched off"),
    Rule.NOT_CONFIGURED: _("not configured"),
    Rule.NOT_ASKED_FOR: _("not asked for"),
    Rule.CURRENCY: _("does not take this currency"),
    Rule.COUNTRY: _("not in this country"),
    Rule.MINIMUM: _("below its minimum"),
    Rule.MAXIMUM: _("above its maximum"),
    Rule.STEP: _("not a multiple of its step"),
    Rule.CAPABILITY: _("cannot do what is needed"),
    Rule.FLOW: _("has another way to pay"),
    Rule.PHONE: _("needs a telephone number"),
    Rule.DESTINATION: _("does not pay out to such a destination"),
    Rule.OPERATOR: _("does not reach this operator"),
    Rule.BREAKER_OPEN: _("was down"),
}
FAILURES = {
    FailureCategory.PAYER_DECLINED: _("the buyer or their bank said no"),
    FailureCategory.PAYER_CANCELLED: _("the buyer gave up"),
    FailureCategory.INSUFFICIENT_FUNDS: _("not enough money"),
    FailureCategory.AUTHENTICATION_REQUIRED: _("the bank wants the buyer to confirm"),
    FailureCategory.EXPIRED: _("nobody paid in time"),
    FailureCategory.INVALID_PAYER: _("no such account, card or number"),
    FailureCategory.LIMIT: _("over a limit of the buyer or the gateway"),
    FailureCategory.RISK: _("the gateway fears a fraud"),
    FailureCategory.CONFIGURATION: _("our account there is not set up for it"),
    FailureCategory.PROVIDER_DOWN: _("the gateway was down"),
    FailureCategory.INVALID_REQUEST: _("the gateway did not accept what we asked"),
    FailureCategory.DUPLICATE: _("the gateway took it for a repetition"),
    FailureCategory.NOT_SUPPORTED: _("the gateway cannot do this"),
    FailureCategory.UNKNOWN: _("the gateway does not say why"),
}
# Whatever has no line of its own is written with its name, so that nothing is hidden.
NAMES = {
    "price": _("price of the catalogue"),
    "catalogue": _("catalogue"),
    "unit": _("unit"),
    "credits": _("credits"),
    "bonus": _("bonus credits"),
    "expires_after_days": _("credits expire after days"),
    "bonus_expires_after_days": _("bonus credits expire after days"),
    "purpose": _("purpose"),
    "paid_until": _("paid until"),
    "period": _("period"),
    "invoice": _("invoice at the gateway"),
    "is_over": _("came when the subscription was over"),
}
PURPOSES = {"start": _("first period"), "renew": _("another period"), "change": _("change of plan")}
NAMES_OF_CASES = {
    "amount": _("amount"),
    "expected": _("expected"),
    "gateway": _("gateway"),
    "is_waiting": _("closes by itself once it has come"),
    "proof": _("proof"),
    "reason": _("reason"),
    "refund": _("refund"),
    "said": _("what the gateway says"),
    "state": _("state"),
    "why": _("why"),
}
EVIDENCE = {
    "profile": _("by the customer's profile"),
    "vat_number": _("by the VAT number"),
    "checkout": _("as the buyer said at the checkout"),
    "nothing": _("no country was known"),
}
NAMED_ELSEWHERE = ("name_en", "name_fr")


def listed(lines: Iterable[Any]) -> SafeString:
    """Lines as a list of the page; a dash for none."""
    items = format_html_join("", '<li class="mb-1">{}</li>', ((line,) for line in lines))
    return format_html("<ul>{}</ul>", items) if items else mark_safe("-")


def named(name: Any, value: Any) -> str:
    """A line of a list. French has a space before its colon."""
    return gettext("%(name)s: %(value)s") % {"name": name, "value": value}


def given(entitlements: Mapping[str, Any]) -> Iterator[str]:
    """What a plan entitles to."""
    for name, value in entitlements.items():
        yield named(name.replace("_", " "), gettext("without limit") if value == UNLIMITED else _plain(name, value))


def details(payment: Payment) -> Iterator[Any]:
    """What was bought, as it was on sale at that moment."""
    for name, value in payment.details.items():
        match name, value:
            case "lines", list():
                yield from _sales(payment, value)
            case "tax", dict():
                yield _tax(value, payment.currency)
            case "coupon", dict():
                yield _coupon(value)
            case "subscription", str():
                yield _link(named(gettext("subscription"), ""), "admin:billing_subscription_change", value)
            case "price", int():
                yield named(NAMES[name], price(PlanPrice if payment.kind == PaymentKind.PLAN else PackPrice, value))
            case _ if name not in NAMED_ELSEWHERE and value not in (None, ""):
                yield named(NAMES.get(name, name.replace("_", " ")), _plain(name, value))


def _link(word: str, page: str, pk: str) -> SafeString:
    return format_html('{}<a class="underline" href="{}">{}</a>', word, reverse(page, args=[pk]), pk)


def price(prices: type[PackPrice | PlanPrice], pk: int) -> str:
    """What it cost in the catalogue then; prices stay there when they are no longer asked."""
    return str(prices.objects.filter(pk=pk).first() or pk)


def _plain(name: str, value: Any) -> str:
    if name == "purpose":
        return str(PURPOSES.get(value, value))
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)


def _sales(payment: Payment, lines: list[dict[str, Any]]) -> Iterator[str]:
    people = User.objects.in_bulk([each["seller"] for each in lines])
    for each in lines:
        seller = people[each["seller"]].get_username()
        words = [seller, each["type"], each["reference"], each["description"], shown(each["amount"], payment.currency)]
        yield " · ".join(word for word in words if word)


def _tax(told: Mapping[str, Any], currency: str) -> str:
    whole, hundredths = divmod(told["basis_points"], 100)
    words = [
        str(TaxCategory(told["category"]).label),
        f"{whole}.{hundredths:02} %" if told["basis_points"] else "",
        told["country"],
        str(EVIDENCE.get(told.get("evidence", ""), "")),
        shown(told["minor"], currency) if told["minor"] else "",
        gettext("added to the price") if told.get("is_added") else "",
        told["mention"],
    ]
    return named(gettext("tax"), " · ".join(word for word in words if word))


def _coupon(told: Mapping[str, Any]) -> str:
    brings = gettext("%(credits)s credits") % {"credits": told["credits"]} if told.get("credits") else ""
    return named(gettext("coupon"), " · ".join(word for word in (told["code"], brings) if word))


def choice(told: Mapping[str, Any], currency: str) -> Iterator[str]:
    """Which gateways were possible, the best first, and why the others were not."""
    if possible := told.get("possible"):
        yield gettext("possible, the best first: %(names)s") % {"names": ", ".join(possible)}
    for each in told.get("ruled_out", []):
        known = each["rule"] in set(Rule)
        why = str(RULES[Rule(each["rule"])]) if known else each["rule"]
        nearest = ", ".join(shown(minor, currency) for minor in each.get("nearest_amounts", []))
        more = [each.get("detail", ""), gettext("nearest: %(amounts)s") % {"amounts": nearest} if nearest else ""]
        said = "; ".join(word for word in more if word)
        yield named(each["gateway"], why + (f" ({said})" if said else ""))


def failure(attempt: Attempt) -> Iterator[str]:
    """Why it failed: in our words, in the gateway's own word, which its support knows, and in its sentence."""
    if attempt.failure_category:
        known = attempt.failure_category in set(FailureCategory)
        yield str(FAILURES[FailureCategory(attempt.failure_category)]) if known else attempt.failure_category
    if attempt.failure_code:
        yield named(gettext("its word for it"), attempt.failure_code)
    if attempt.failure_message:
        yield named(gettext("its sentence"), attempt.failure_message)


def ids(attempt: Attempt) -> Iterator[str]:
    """What it is called at the gateway, and our reference there; not the marks by which its letters are known."""
    yield named(gettext("our reference"), attempt.reference)
    yield from pairs({name: value for name, value in attempt.gateway_ids.items() if not name.endswith("_sha256")})


def of_case(told: Mapping[str, Any]) -> Iterator[Any]:
    """What whoever opened a case knew."""
    for name, value in told.items():
        if name == "refund" and value:
            yield _link(named(NAMES_OF_CASES[name], ""), "admin:billing_refund_change", value)
        elif value not in (None, ""):
            yield named(NAMES_OF_CASES.get(name, name.replace("_", " ")), rewritten(_plain(name, value)))


def pairs(told: Mapping[str, Any]) -> Iterator[str]:
    """What a gateway calls things, or what it said, name by name; what is nested comes as `a.b`."""
    for name, value in told.items():
        if isinstance(value, Mapping):
            yield from (f"{name}.{line}" for line in pairs(value))
        elif value not in (None, "", [], {}):
            yield named(name, value)
