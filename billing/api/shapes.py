"""What the API says of payments, and how those who pay say how they want to."""

from collections.abc import Iterable
from typing import Any

from rest_framework import serializers as answers

from billing.checkout import Wishes
from billing.gateways.base import Flow
from billing.models import Attempt, Payment
from billing.models.payments import AttemptState, PaymentKind, PaymentStatus


class PaymentAttemptResponse(answers.Serializer[Attempt]):
    id = answers.UUIDField()
    gateway = answers.CharField()
    state = answers.ChoiceField(choices=AttemptState.values)
    reason = answers.CharField(source="failure_category", help_text="Why it failed; empty while it did not.")
    created_at = answers.DateTimeField()
    ended_at = answers.DateTimeField(allow_null=True)


class NextActionResponse(answers.Serializer[Any]):
    type = answers.ChoiceField(choices=["redirect", "phone_prompt", "client_secret", "none"])
    url = answers.URLField(required=False)
    phone = answers.CharField(required=False)
    reference = answers.CharField(required=False)
    client_secret = answers.CharField(required=False)
    publishable_key = answers.CharField(required=False)
    expires_at = answers.DateTimeField(required=False)


class PaymentResponse(answers.Serializer[Payment]):
    id = answers.UUIDField()
    status = answers.ChoiceField(choices=PaymentStatus.values)
    kind = answers.ChoiceField(choices=PaymentKind.values)
    item = answers.CharField(help_text="The code of what is bought; empty for a free amount.")
    description = answers.CharField()
    reference = answers.CharField(help_text="The caller's own, from the checkout.")
    metadata = answers.DictField(help_text="The caller's own, from the checkout.")
    amount = answers.IntegerField(source="amount_minor", help_text="In minor units, tax included.")
    tax = answers.IntegerField(source="tax_minor")
    discount = answers.IntegerField(source="discount_minor", help_text="Taken off already.")
    coupon = answers.SerializerMethodField(help_text="The code that took it off; null for none.")
    currency = answers.CharField()
    gateway = answers.SerializerMethodField(help_text="Of the last attempt; null when there was none.")
    created_at = answers.DateTimeField()
    expires_at = answers.DateTimeField()
    ended_at = answers.DateTimeField(allow_null=True)
    attempts = PaymentAttemptResponse(many=True)

    def get_coupon(self, payment: Payment) -> str | None:
        return payment.redemption.coupon.code if payment.redemption else None

    def get_gateway(self, payment: Payment) -> str | None:
        last = last_of(payment.attempts.all())
        return last.gateway if last else None


class StatusResponse(answers.Serializer[Any]):
    id = answers.UUIDField()
    status = answers.ChoiceField(choices=PaymentStatus.values)
    next_action = NextActionResponse()


class RuledOutResponse(answers.Serializer[Any]):
    gateway = answers.CharField()
    rule = answers.CharField()
    detail = answers.CharField(required=False)
    nearest_amounts = answers.ListField(child=answers.IntegerField(), required=False)


class RoutingResponse(answers.Serializer[Any]):
    possible = answers.ListField(child=answers.CharField())
    ruled_out = RuledOutResponse(many=True)


class GuestResponse(answers.Serializer[Any]):
    customer = answers.CharField(help_text="The user id of the customer that was made for this purchase.")
    page_url = answers.URLField(help_text="Where the guest sees what becomes of the payment.")


class CheckoutResponse(answers.Serializer[Any]):
    payment = PaymentResponse(allow_null=True, help_text="Null for a plan on trial, or one that its gateway renews.")
    next_action = NextActionResponse()
    routing = RoutingResponse(allow_null=True)
    guest = GuestResponse(required=False, help_text="For a guest only.")


def wishes_of(wish: dict[str, Any]) -> Wishes:
    """Of a request that was checked; what it does not say is ours to choose."""
    return Wishes(
        country=wish.get("country", ""),
        gateways=wish.get("gateways", ()),
        phone=wish.get("phone", ""),
        success_url=wish.get("success_url", ""),
        cancel_url=wish.get("cancel_url", ""),
        flow=Flow(wish["flow"]) if "flow" in wish else None,
        save_method=wish.get("save_method", False),
        reference=wish.get("reference", ""),
        metadata=wish.get("metadata", {}),
    )


def next_action(payment: Payment) -> dict[str, Any]:
    """What the buyer does now: of the attempt that could still be paid."""
    last = last_of(payment.attempts.all())
    waits = payment.status == PaymentStatus.PENDING and last is not None and last.is_live
    return dict(last.next_action) if waits and last and last.next_action else {"type": "none"}


def last_of(attempts: Iterable[Attempt]) -> Attempt | None:
    """Of those that were fetched already, without a query of its own."""
    return max(attempts, key=lambda attempt: attempt.pk, default=None)
