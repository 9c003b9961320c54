"""`POST checkouts`: begin to buy something."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.utils.translation import override
from drf_spectacular.utils import extend_schema
from rest_framework import serializers as answers
from rest_framework import serializers as drf
from rest_framework.exceptions import ErrorDetail
from rest_framework.request import Request
from rest_framework.response import Response

from billing import checkout, coupons, customers, errors, plans, pricing, saved_methods, subscriptions
from billing.api import guest_checkouts
from billing.api.coupons import CouponResponse, count_try
from billing.api.guest_checkouts import MayBuy
from billing.api.shapes import CheckoutResponse, PaymentResponse, RoutingResponse, next_action, wishes_of
from billing.checkout import Wishes
from billing.gateways.base import Flow
from billing.models import Customer, Payment, PlanPrice
from billing.models.customers import Locale
from billing.models.plans import PlanInterval
from billing.pricing import Purchase
from billing.routing import Decision
from ledger.money import Money
from rest import callers, fields, idempotency, serializers
from rest import customers as accounts
from rest.callers import Kind
from rest.idempotency import Claim
from rest.permissions import OwnerOrService
from rest.views import ApiView
from wallets.sales import MOST_LINES, Line

THINGS = ("pack", "plan", "sale", "sales", "amount")
SellerOf = Callable[[str], User]
NOT_BESIDE_A_CARD = ("gateways", "flow", "phone", "save_method")


class SaleRequest(serializers.StrictSerializer):
    """Something that a seller of this marketplace sells; only services may name its price."""

    seller = fields.UserIdField(help_text="The seller's user id, as the buyer's; no operator's.")
    type = fields.StringField(max_length=60, bare=True)
    reference = fields.StringField(max_length=100, bare=True)
    amount = fields.AmountField()
    description = fields.StringField(required=False, max_length=200, bare=True)


class CheckoutBody(serializers.StrictSerializer):
    """One of pack, plan, sale, sales and amount; how the buyer wants to pay; and where they go afterwards."""

    pack = fields.StringField(required=False, max_length=60, bare=True)
    plan = fields.StringField(required=False, max_length=60, bare=True)
    interval = fields.EnumField(choices=PlanInterval.values, required=False, help_text="Of a plan.")
    sale = SaleRequest(required=False)
    sales = drf.ListField(
        child=SaleRequest(),
        required=False,
        min_length=1,
        max_length=MOST_LINES,
        help_text="Several at once, of one seller or of several: each gets their own part.",
    )
    amount = fields.AmountField(required=False, help_text="A free amount; only services may name one.")
    description = fields.StringField(required=False, max_length=200, bare=True, help_text="Of a free amount.")
    currency = fields.CurrencyField()
    country = fields.CountryField(
        required=False,
        help_text=(
            "Where the buyer pays from, for the choice of gateways; the customer's own unless said. It becomes the "
            "customer's own where they have none yet: tax goes by that, and not by what a later checkout says."
        ),
    )
    gateways = drf.ListField(
        child=fields.StringField(max_length=20, bare=True),
        required=False,
        min_length=1,
        max_length=10,
        help_text="Only these are asked, in this order of preference.",
    )
    flow = fields.EnumField(
        choices=[flow.value for flow in Flow if flow is not Flow.NONE],
        required=False,
        help_text="Only gateways with this one are asked.",
    )
    phone = fields.StringField(required=False, max_length=30, bare=True)
    save_method = fields.BooleanField(
        required=False, help_text="Save the card, for top-ups and later packs; only gateways that can are asked."
    )
    payment_method = fields.IntegerField(
        required=False,
        min_value=1,
        help_text=(
            "The id of a saved card of the customer's, as `payment-methods` lists it. It is charged at once, at its "
            "own gateway, for a pack; not beside `gateways`, `flow`, `phone` or `save_method`."
        ),
    )
    success_url = fields.StringField(required=False, max_length=1000, bare=True)
    cancel_url = fields.StringField(required=False, max_length=1000, bare=True)
    coupon = fields.StringField(required=False, max_length=40, bare=True)
    reference = fields.StringField(
        required=False, max_length=200, bare=True, help_text="Your own word for it, such as the number of an order."
    )
    metadata = fields.MetadataField(required=False)
    email = fields.EmailField(
        required=False, max_length=254, help_text="Of a guest, who sends no credentials and buys a pack."
    )
    locale = fields.EnumField(choices=Locale.choices, required=False, help_text="Of a guest.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        named = [thing for thing in THINGS if thing in attrs]
        if len(named) != 1:
            message = f"Send exactly one of {', '.join(THINGS)}."
            raise drf.ValidationError({named[1] if named else "pack": [ErrorDetail(message, code="one_of")]})
        if named != ["amount"] and "description" in attrs:
            message = "What is bought has a description of its own; this goes with an amount."
            raise drf.ValidationError({"description": [ErrorDetail(message, code="unexpected")]})
        if named == ["plan"] and (own := [name for name in ("reference", "metadata") if name in attrs]):
            message = "A plan is paid again and again; it is known by its subscription."
            raise drf.ValidationError({own[0]: [ErrorDetail(message, code="unexpected")]})
        if "payment_method" in attrs:
            _check_beside_a_card(attrs, named[0])
        return attrs


def _check_beside_a_card(attrs: dict[str, Any], thing: str) -> None:
    if thing != "pack":
        message = "A saved card pays for a pack; anything else is paid on the gateway's page."
        raise drf.ValidationError({"payment_method": [ErrorDetail(message, code="unexpected")]})
    for name in NOT_BESIDE_A_CARD:
        if name in attrs:
            message = "A saved card is charged at its own gateway, in the one way that it has: leave this out."
            raise drf.ValidationError({name: [ErrorDetail(message, code="unexpected")]})


class CheckoutPreviewResponse(answers.Serializer[Any]):
    """What it would cost now. Another price, or a coupon that others use up meanwhile, changes it."""

    kind = answers.CharField(help_text="pack, plan or amount.")
    item = answers.CharField()
    description = answers.CharField()
    price = answers.IntegerField(help_text="In minor units, before the discount.")
    discount = answers.IntegerField()
    amount = answers.IntegerField(help_text="What is to be paid, tax included: the price less the discount.")
    tax = answers.IntegerField()
    currency = answers.CharField()
    coupon = CouponResponse(allow_null=True)
    routing = RoutingResponse(help_text="Empty where nothing is to be paid.")


class CheckoutsView(ApiView):
    permission_classes = (MayBuy,)
    stranger = staticmethod(guest_checkouts.stranger)  # rest.idempotency asks it

    @extend_schema(
        operation_id="start_checkout",
        summary="Start a checkout",
        description=(
            "The price comes from the catalogue. The answer says what the buyer does next: open a page, confirm on "
            "the telephone, or nothing yet; and which gateways could have taken it, and why others could not. With "
            "`payment_method` a saved card is charged at once: the answer's `payment` has succeeded, or is pending "
            "with the page of the buyer's bank, or without one while the gateway is asked; 402 where nothing was "
            "charged. Where `GUEST_CHECKOUT` is on, a guest without credentials buys a pack with an `email`."
        ),
        request=CheckoutBody,
        responses={201: CheckoutResponse},
        tags=["payments"],
    )
    @idempotency.remembered
    def post(self, request: Request, claim: Claim) -> Response:
        if (begun := checkout.earlier(claim)) is not None:
            return idempotency.replayed(_answer(begun, is_guest=request.auth is None))
        wish = serializers.read(request, CheckoutBody)
        if request.auth is None:
            payment = guest_checkouts.start(request, wish, claim)
            return _answer(Payment.objects.with_attempts().get(pk=payment.pk), is_guest=True)
        guest_checkouts.refuse_facts_of_guests(wish)
        user = callers.customer(request)
        wishes = _wishes(wish, user)
        if "coupon" in wish:
            count_try(user)
        if "plan" in wish:
            return _subscribe(wish, user, wishes, claim)
        purchase = _purchase(wish, user, accounts.account, is_service=callers.of(request).kind is Kind.SERVICE)
        payment = checkout.start(user=user, purchase=purchase, wishes=wishes, claim=claim)
        return _answer(Payment.objects.with_attempts().get(pk=payment.pk))


class CheckoutPreviewView(ApiView):
    permission_classes = (OwnerOrService("billing.start_checkout"),)

    @extend_schema(
        operation_id="preview_checkout",
        summary="Preview a checkout",
        description="With its discount and its tax, and who could take it. Nothing is begun and no coupon is used.",
        request=CheckoutBody,
        responses=CheckoutPreviewResponse,
        tags=["payments"],
    )
    def post(self, request: Request) -> Response:
        wish = serializers.read(request, CheckoutBody)
        guest_checkouts.refuse_facts_of_guests(wish)
        user = callers.customer(request)
        if "coupon" in wish:
            count_try(user)
        customer = customers.get(user)
        wishes = checkout.checked(_wishes(wish, user), customer)
        if "plan" in wish:
            purchase = subscriptions.first_period(user=user, price=_plan_price(wish), coupon=wish.get("coupon", ""))
        else:
            purchase = _purchase(wish, user, accounts.named, is_service=callers.of(request).kind is Kind.SERVICE)
        purchase = pricing.taxed(purchase, customer, wishes.country)
        decision = checkout.choose(purchase, wishes) if purchase.amount.minor else checkout.NO_GATEWAY
        return Response(CheckoutPreviewResponse(_preview(purchase, customer, wishes, decision)).data)


def _preview(purchase: Purchase, customer: Customer, wishes: Wishes, decision: Decision) -> dict[str, Any]:
    told: dict[str, Any] = {
        "kind": purchase.kind,
        "item": purchase.item,
        "description": purchase.description,
        "price": purchase.price.minor,
        "discount": purchase.price.minor - purchase.amount.minor,
        "amount": purchase.amount.minor,
        "tax": purchase.details["tax"]["minor"],
        "currency": purchase.amount.unit,
        "coupon": None,
        "routing": decision.as_json(),
    }
    if purchase.reduction is not None:
        terms = purchase.reduction.terms
        with override(customer.locale):
            name = purchase.reduction.coupon.name
        told["coupon"] = {
            "code": terms.code,
            "name": name,
            "kind": terms.kind,
            "payments": terms.payments,
            "credits": terms.credits,
            "unit": terms.unit,
        }
    return told


def _wishes(wish: dict[str, Any], user: User) -> Wishes:
    wishes = wishes_of(wish)
    if "payment_method" not in wish:
        return wishes
    return replace(wishes, method=saved_methods.find(user, wish["payment_method"]))


def _purchase(wish: dict[str, Any], user: User, seller_of: SellerOf, *, is_service: bool) -> Purchase:
    purchase = _at_full_price(wish, user, seller_of, is_service=is_service)
    if "coupon" not in wish:
        return purchase
    return coupons.applied(user=user, code=wish["coupon"], purchase=purchase)


def _at_full_price(wish: dict[str, Any], user: User, seller_of: SellerOf, *, is_service: bool) -> Purchase:
    if "pack" in wish:
        return pricing.pack(wish["pack"], wish["currency"], customers.get(user).locale)
    if not is_service:
        raise errors.AmountNotYours
    if "sale" in wish or "sales" in wish:
        lines = [_line(each, wish["currency"], seller_of) for each in wish.get("sales", [wish.get("sale")])]
        return pricing.sale(lines, customers.get(user).locale)
    return pricing.free_amount(
        Money(wish["amount"], wish["currency"]), wish.get("description", settings.SPECTACULAR_SETTINGS["TITLE"])
    )


def _line(sale: dict[str, Any], currency: str, seller_of: SellerOf) -> Line:
    """At a checkout the seller is known, or becomes so now: they may come to their wallet later."""
    return Line(
        seller=seller_of(sale["seller"]),
        type=sale["type"],
        amount=Money(sale["amount"], currency),
        reference=sale["reference"],
        description=sale.get("description", ""),
    )


def _subscribe(wish: dict[str, Any], user: User, wishes: Wishes, claim: Claim) -> Response:
    """A plan is begun by its first payment; on trial, and where the gateway renews by itself, there is none of ours."""
    begun = subscriptions.start(
        user=user, price=_plan_price(wish), wishes=wishes, coupon=wish.get("coupon", ""), claim=claim
    )
    if begun.payment is not None:
        return _answer(Payment.objects.with_attempts().get(pk=begun.payment.pk))
    told = {"payment": None, "next_action": begun.next_action or {"type": "none"}, "routing": None}
    return Response(told, status=201, headers={"Location": f"{settings.API_PREFIX}subscription"})


def _plan_price(wish: dict[str, Any]) -> PlanPrice:
    return plans.price_of(plans.find(wish["plan"]), wish["currency"], wish.get("interval", ""))


def _answer(payment: Payment, *, is_guest: bool = False) -> Response:
    told = {
        "payment": PaymentResponse(payment).data,
        "next_action": next_action(payment),
        "routing": payment.routing,
    }
    if is_guest:
        told["guest"] = guest_checkouts.told(payment)
    return Response(told, status=201, headers={"Location": f"{settings.API_PREFIX}payments/{payment.pk}"})
