"""MTN Mobile Money: a prompt on the buyer's telephone, transfers and refunds, each under a UUID that we choose."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from billing.gateways import amounts, duplicates, letters, phones
from billing.gateways.base import (
    AmountRule,
    Capabilities,
    CheckoutRequest,
    DestinationKind,
    Flow,
    Hint,
    Letter,
    NextAction,
    PaymentRef,
    PaymentResult,
    PaymentState,
    PayoutRef,
    PayoutRequest,
    PayoutResult,
    PayoutState,
    RefundRef,
    RefundRequest,
    RefundResult,
    RefundState,
    Trust,
)
from billing.gateways.errors import Declined, FailureCategory, GatewayError, InvalidLetter
from billing.gateways.http import Channel, Limits, Reply, ServerFault
from billing.gateways.mtn_momo import translation
from billing.gateways.mtn_momo.translation import NAME
from billing.gateways.references import as_uuid, checked
from billing.gateways.subjects import Subject
from billing.gateways.tokens import Tokens, misconfigured, read_token
from ledger.money import exponent

COLLECTION, DISBURSEMENT = "collection", "disbursement"
ACCEPTED, OK = 202, 200
NOT_FOUND, CONFLICT, LENGTH_REQUIRED = 404, 409, 411
PROMPT_LIFETIME = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """Collections and disbursements are sold apart, each with keys of its own."""

    subscription_key: str
    user: str
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    base_url: str
    target_environment: str
    currency: str
    country: str
    collection: Product
    disbursement: Product
    refunds: bool = True
    callbacks: bool = True
    minimum: int = 100  # whole units
    maximum: int = 500_000


class MtnMomo:
    name = NAME

    def __init__(self, configuration: Configuration, limits: Limits) -> None:
        self.configuration = configuration
        self.capabilities = _capabilities(configuration)
        self._channel = Channel(gateway=NAME, base_url=configuration.base_url, limits=limits)
        self._products = {COLLECTION: configuration.collection, DISBURSEMENT: configuration.disbursement}
        self._tokens = {
            COLLECTION: Tokens(lambda: self._fetch_token(COLLECTION), margin_seconds=600),
            DISBURSEMENT: Tokens(lambda: self._fetch_token(DISBURSEMENT), margin_seconds=600),
        }

    def missing_settings(self) -> Sequence[str]:
        found = {
            "MTN_MOMO_API_BASE": self.configuration.base_url,
            "MTN_MOMO_TARGET_ENVIRONMENT": self.configuration.target_environment,
            "MTN_MOMO_COLLECTION_KEY": self.configuration.collection.subscription_key,
            "MTN_MOMO_COLLECTION_USER": self.configuration.collection.user,
            "MTN_MOMO_COLLECTION_SECRET": self.configuration.collection.secret,
        }
        return [name for name, value in found.items() if not value]

    def check_health(self) -> None:
        self._fetch_token(COLLECTION)

    # ------------------------------------------------------------ money in

    def open_checkout(self, request: CheckoutRequest) -> PaymentResult:
        """Safe to repeat for ever: MTN takes a reference once and says 409 afterwards."""
        amounts.require(request.amount, self.capabilities.currencies, gateway=NAME)
        number = phones.digits(request.buyer.phone, gateway=NAME)
        body = {
            **translation.order_to_them(request.reference, request.amount, request.description),
            "payer": {"partyIdType": "MSISDN", "partyId": number},
        }
        payment = PaymentRef(reference=request.reference, amount=request.amount)
        found = self._order(
            COLLECTION, "/collection/v1_0/requesttopay", request.reference, body,
            notify_url=request.notify_url, fetch=lambda: self.fetch_payment(payment),
        )  # fmt: skip
        if found is None or found.state is PaymentState.PENDING:
            prompt = NextAction(
                type=Flow.PHONE_PROMPT,
                phone=request.buyer.phone,
                reference=as_uuid(request.reference),
                expires_at=datetime.now(UTC) + PROMPT_LIFETIME,
            )
            return PaymentResult(state=PaymentState.REQUIRES_ACTION, next_action=prompt)
        return found

    def fetch_payment(self, payment: PaymentRef) -> PaymentResult:
        reply = self._status(COLLECTION, "/collection/v1_0/requesttopay", payment.reference)
        if reply is None:
            return PaymentResult(state=PaymentState.NOT_FOUND)
        return translation.payment_from_them(reply, payment.reference)

    # ------------------------------------------------------------ money back and out

    def send_refund(self, request: RefundRequest) -> RefundResult:
        if not self.capabilities.refund:
            raise Declined("MTN refunds are not switched on.", gateway=NAME, category=FailureCategory.NOT_SUPPORTED)
        amounts.require(request.amount, amounts.any_size(self.capabilities.currencies), gateway=NAME)
        body = {
            **translation.order_to_them(request.reference, request.amount, request.reason or "Refund"),
            "referenceIdToRefund": as_uuid(request.payment.reference),
        }
        again = RefundRef(reference=request.reference, payment=request.payment, amount=request.amount)
        found = self._order(
            DISBURSEMENT, "/disbursement/v1_0/refund", request.reference, body,
            notify_url=request.notify_url, fetch=lambda: self.fetch_refund(again),
        )  # fmt: skip
        return found or RefundResult(state=RefundState.PENDING)

    def fetch_refund(self, refund: RefundRef) -> RefundResult:
        reply = self._status(DISBURSEMENT, "/disbursement/v1_0/refund", refund.reference)
        if reply is None:
            return RefundResult(state=RefundState.NOT_FOUND)
        return translation.refund_from_them(reply, refund.reference)

    def send_payout(self, request: PayoutRequest) -> PayoutResult:
        if request.destination.kind not in self.capabilities.payout:
            raise Declined("MTN pays out to MTN numbers.", gateway=NAME, category=FailureCategory.NOT_SUPPORTED)
        amounts.require(request.amount, self.capabilities.payout_currencies, gateway=NAME)
        number = phones.digits(request.destination.value, gateway=NAME)
        body = {
            **translation.order_to_them(request.reference, request.amount, request.description or "Payout"),
            "payee": {"partyIdType": "MSISDN", "partyId": number},
        }
        again = PayoutRef(reference=request.reference, amount=request.amount)
        found = self._order(
            DISBURSEMENT, "/disbursement/v1_0/transfer", request.reference, body,
            notify_url=request.notify_url, fetch=lambda: self.fetch_payout(again),
        )  # fmt: skip
        return found or PayoutResult(state=PayoutState.PENDING)

    def fetch_payout(self, payout: PayoutRef) -> PayoutResult:
        reply = self._status(DISBURSEMENT, "/disbursement/v1_0/transfer", payout.reference)
        if reply is None:
            return PayoutResult(state=PayoutState.NOT_FOUND)
        return translation.payout_from_them(reply, payout.reference)

    # ------------------------------------------------------------ letters

    def read_letter(self, letter: Letter) -> Sequence[Hint]:
        """Nobody signs these, and anybody may write them: they say at most where to look."""
        fields = letters.fields(letter)
        reference = checked(letter.headers.get("x-reference-id")) or checked(fields.get("externalId"))
        if not reference and not letter.token:
            raise InvalidLetter("The letter names no payment.")
        subject = Subject.PAYMENT if "payer" in fields else Subject.PAYOUT if "payee" in fields else Subject.REFUND
        return [
            Hint(
                event_id=letters.made_up_id(letter),
                kind=letters.text(fields.get("status")) or "callback",
                subject=subject,
                trust=Trust.UNSIGNED,
                reference=reference,
            )
        ]

    # ------------------------------------------------------------ speaking

    def _order(
        self,
        product: str,
        path: str,
        reference: str,
        body: Mapping[str, Any],
        *,
        notify_url: str,
        fetch: Callable[[], duplicates.Result],
    ) -> duplicates.Result | None:
        """Nothing for an order that was taken just now; for one that MTN knew already, what became of it."""
        try:
            reply = self._call("POST", product, path, moves=True, json=body,
                               headers=self._headers_of_order(reference, notify_url))  # fmt: skip
        except ServerFault as fault:
            return self._after_fault(fault, fetch)
        if reply.status == ACCEPTED:
            return None
        if reply.status == CONFLICT:
            return duplicates.converge(reply, fetch, code=translation.code(reply))
        raise translation.refusal(reply)

    def _after_fault(self, fault: ServerFault, fetch: Callable[[], duplicates.Result]) -> duplicates.Result:
        code = translation.code(fault.reply)
        if code not in translation.REFUSED_BY_FAULT:
            raise fault
        try:
            found = fetch()
        except GatewayError as failure:
            raise fault from failure
        if found.state != "not_found":
            return found
        category = translation.REFUSED_BY_FAULT[code]
        if category is FailureCategory.CONFIGURATION:
            raise misconfigured(fault.reply, "MTN refuses how we are set up.", code=code) from fault
        raise Declined("MTN does not allow this.", gateway=NAME, category=category, code=code) from fault

    def _status(self, product: str, path: str, reference: str) -> Reply | None:
        """The reply about one order, or nothing when MTN does not know it (or does not know it yet)."""
        reply = self._call("GET", product, f"{path}/{as_uuid(reference)}", moves=False)
        if reply.status == NOT_FOUND:
            return None
        if reply.status != OK:
            raise translation.refusal(reply)
        return reply

    def _headers_of_order(self, reference: str, notify_url: str) -> dict[str, str]:
        headers = {"X-Reference-Id": as_uuid(reference)}
        if self.configuration.callbacks and notify_url:
            headers["X-Callback-Url"] = notify_url
        return headers

    def _call(
        self,
        method: str,
        product: str,
        path: str,
        *,
        moves: bool,
        json: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        def ask(token: str) -> Reply:
            known = {
                "Authorization": f"Bearer {token}",
                "X-Target-Environment": self.configuration.target_environment,
                "Ocp-Apim-Subscription-Key": self._products[product].subscription_key,
            }
            return self._channel.call(
                method, path, moves=moves, json=json, headers={**known, **(headers or {})}, is_slow=moves
            )

        return self._tokens[product].call(ask)

    def _fetch_token(self, product: str) -> tuple[str, float]:
        keys = self._products[product]

        def ask(**body: Any) -> Reply:
            headers = {"Ocp-Apim-Subscription-Key": keys.subscription_key}
            login = (keys.user, keys.secret)
            return self._channel.call("POST", f"/{product}/token/", moves=False, headers=headers, login=login, **body)

        reply = ask(content=b"")
        if reply.status == LENGTH_REQUIRED:  # some fronts want a body here, others refuse one
            reply = ask(json={"grant_type": "client_credentials"})
        if reply.status != OK:
            raise misconfigured(reply, f"MTN refuses our {product} keys.")
        return read_token(reply)


def _capabilities(configuration: Configuration) -> Capabilities:
    whole = 10 ** exponent(configuration.currency)
    rule = AmountRule(minimum_minor=configuration.minimum * whole, maximum_minor=configuration.maximum * whole)
    rules = {configuration.currency: rule}
    pays_out = all((configuration.disbursement.subscription_key, configuration.disbursement.user,
                    configuration.disbursement.secret))  # fmt: skip
    refunds = pays_out and configuration.refunds
    return Capabilities(
        flows=frozenset({Flow.PHONE_PROMPT}),
        currencies=rules,
        countries=frozenset({configuration.country}),
        refund=refunds,
        partial_refund=refunds,
        payout=frozenset({DestinationKind.PHONE} if pays_out else ()),
        payout_currencies=rules if pays_out else {},
        payout_operators=frozenset({"MTN"}),
        webhook_trust=Trust.UNSIGNED,
        pending_lifetime=PROMPT_LIFETIME,
        needs_phone=True,
    )
