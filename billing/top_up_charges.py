"""Charges that nobody clicks for: begun when credits run low, one at a time, and stopped when cards say no.

What has to hold is decided behind the customer's lock and committed before a gateway is called; a suspended top-up is
never brought to a gateway at all.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q, Sum
from django.utils import timezone

from billing import (
    charging,
    checkout,
    customers,
    failures,
    gateway_choices,
    payments,
    pricing,
    routing,
    saved_methods,
    schedule,
    top_up,
)
from billing.gateways import errors as gateway_errors
from billing.gateways.base import PaymentResult, PaymentState
from billing.gateways.errors import FailureCategory
from billing.models import Payment, SavedMethod, TopUp, TopUpCharge
from billing.models.payments import PaymentStatus
from billing.models.top_ups import Suspension
from billing.pricing import Purchase
from billing.routing import Candidate, Decision, Wish
from credits import balances, history
from credits.errors import PriceMissing, UnknownPack
from rest import sweeps

# What was paid, or still may be: a charge that surely moved nothing leaves its place to another.
_COUNTED = [PaymentStatus.PENDING, PaymentStatus.SUCCEEDED, PaymentStatus.QUARANTINED]
# Says nothing of the card: the next try may well work.
_NOT_THE_CARD = {FailureCategory.PROVIDER_DOWN, FailureCategory.CONFIGURATION}


def work_through(now: datetime | None = None) -> int:
    """Notice what became of charges, and begin those that are due; returns how many began."""
    moment = now or timezone.now()
    settle_over(moment)
    return sum(_begun(top_up, moment) for top_up in _low(moment))


def _begun(seen: TopUp, now: datetime) -> bool:
    """Whether a charge began. What is wrong with one customer keeps nobody waiting who comes behind them."""
    with sweeps.alone("top_up.not_begun", top_up=str(seen.pk)):
        return charge(seen, now) is not None
    _wait_behind_lock(seen, now + _pause(0))  # a price without a tax rate, or a fault of ours
    return False


# ---------------------------------------------------------------- who is low


def _low(now: datetime) -> Iterator[TopUp]:
    """Those who may be charged and have fewer credits than they wanted; looked at again behind their lock."""
    rows = TopUp.objects.running().filter(Q(next_try_at__isnull=True) | Q(next_try_at__lte=now), user__is_active=True)
    rows = rows.exclude(Exists(TopUpCharge.objects.filter(user=OuterRef("user"), settled_at__isnull=True)))
    last = None
    while True:
        batch = list(
            (rows.filter(pk__gt=last) if last else rows)
            .select_related("pack", "user")
            .order_by("pk")[: settings.CREDITS_SWEEP_BATCH]
        )
        if not batch:
            return
        last = batch[-1].pk
        known = balances.figures([each.user_id for each in batch])
        for each in batch:
            available = [row["available"] for row in known.get(each.user_id, []) if row["unit"] == each.pack.unit]
            if (available[0] if available else 0) < each.threshold:
                yield each


# ---------------------------------------------------------------- one charge


def charge(seen: TopUp, now: datetime) -> TopUpCharge | None:
    """Begin a charge and bring it to the gateway; None where nothing may be charged now."""
    candidates = gateway_choices.candidates()  # how they are stands in Redis, and nothing waits for that behind a lock
    try:
        begun = _begin(seen, now, candidates)
    except IntegrityError as error:
        if "top_up_charge_one_in_flight" not in str(error):
            raise
        return None  # a rival began it
    if begun is not None:
        _bring_to_gateway(begun)
        _settle(begun, now)
    return begun


@transaction.atomic(durable=True)
def _begin(seen: TopUp, now: datetime, candidates: Iterable[Candidate]) -> TopUpCharge | None:
    """Commit that somebody is about to be charged, if all that must hold holds."""
    standing = _locked(seen)
    if standing is None or not _may_begin(standing, now) or not _is_low(standing) or _was_taken_back(standing, now):
        return None
    purchase = _agreed_purchase(standing, now)
    method = saved_methods.latest(standing.user)
    if purchase is None or method is None:
        return None
    if (free_again_at := _capped_until(standing, now)) is not None:
        _not_before(standing, free_again_at)
        return None
    wish = Wish(amount=purchase.amount, saves_method=True, preferred=[method.gateway])
    decision = routing.decide(wish, candidates)
    if not decision.possible:
        _not_before(standing, now + _pause(0))
        return None
    return TopUpCharge.objects.create(
        payment=_payment(standing, purchase, decision, now),
        top_up=standing,
        user=standing.user,
        method=method,
        started_at=max(now, standing.consented_at),  # agreed to while this sweep was running
    )


def _locked(seen: TopUp) -> TopUp | None:
    """The consent, if it still stands, behind its customer's lock."""
    top_up.lock_consents(seen.user)
    return TopUp.objects.agreed().select_related("pack", "user").filter(pk=seen.pk).first()


def _may_begin(standing: TopUp, now: datetime) -> bool:
    if standing.suspended_at is not None or (standing.next_try_at is not None and standing.next_try_at > now):
        return False
    if not standing.user.is_active:
        return False  # they could neither use what is bought nor withdraw
    return not TopUpCharge.objects.filter(user=standing.user, settled_at__isnull=True).exists()


def _is_low(standing: TopUp) -> bool:
    balance = balances.of(standing.user, standing.pack.unit)
    if balance.is_unlimited or balance.available >= standing.threshold:
        return False
    return balance.owed < standing.pack.total  # else all that is bought goes into the debt, and so would the next


def _was_taken_back(standing: TopUp, now: datetime) -> bool:
    """Low only since operators have taken credits back: that is no use of the customer's, and pays for nothing. It
    stops, as with a refund. Counted from the consent on, or the last charge under it: what came before is known."""
    last = standing.charges.order_by("-started_at").values_list("started_at", flat=True).first()
    unit, since = standing.pack.unit, max(last or standing.consented_at, standing.consented_at)
    lost = history.lost_by_hand(user=standing.user, unit=unit, since=since)
    if balances.of(standing.user, unit).available + lost < standing.threshold:
        return False
    top_up.suspend(standing, Suspension.TAKEN_BACK, now)
    return True


def _agreed_purchase(standing: TopUp, now: datetime) -> Purchase | None:
    """What was agreed to, at no more than the agreed price and with no fewer credits; otherwise it stops, and another
    consent starts it."""
    try:
        customer = customers.get(standing.user)
        bare = pricing.pack(standing.pack.code, standing.currency, customer.locale)
        purchase = pricing.taxed(bare, customer, customer.country)
    except (UnknownPack, PriceMissing):
        top_up.suspend(standing, Suspension.NOT_SOLD, now)
        return None
    if purchase.amount.minor > standing.price_minor:
        top_up.suspend(standing, Suspension.PRICE_ROSE, now)
        return None
    # Nor may it bring less than the threshold: the balance would be low again at once.
    if purchase.details["credits"] + purchase.details["bonus"] < max(standing.credits, standing.threshold):
        top_up.suspend(standing, Suspension.BRINGS_LESS, now)
        return None
    return purchase


def _capped_until(standing: TopUp, now: datetime) -> datetime | None:
    """When a cap leaves room again; None where it does now. Both caps count what may still be paid."""
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    month = day.replace(day=1)
    mine = TopUpCharge.objects.filter(user=standing.user, payment__status__in=_COUNTED)
    paid = mine.filter(started_at__gte=month, payment__currency=standing.currency)
    total = paid.aggregate(total=Sum("payment__amount_minor"))["total"] or 0
    if total + standing.price_minor > standing.monthly_cap_minor:
        return (month + timedelta(days=32)).replace(day=1)
    if mine.filter(started_at__gte=day).count() >= settings.TOP_UP_MOST_PER_DAY:
        return day + timedelta(days=1)
    return None


def _payment(standing: TopUp, purchase: Purchase, decision: Decision, now: datetime) -> Payment:
    customer = customers.get(standing.user)
    return Payment.objects.create(
        user=standing.user,
        kind=purchase.kind,
        item=purchase.item,
        description=purchase.description[:200],
        details=purchase.details,
        tax_minor=purchase.details["tax"]["minor"],
        amount_minor=purchase.amount.minor,
        currency=purchase.amount.unit,
        routing=decision.as_json(),
        country=customer.country,
        expires_at=now + timedelta(minutes=settings.CHECKOUT_EXPIRES_MINUTES),
    )


def _bring_to_gateway(begun: TopUpCharge) -> None:
    payment = begun.payment
    is_kept = SavedMethod.objects.kept().filter(pk=begun.method_id).exists()
    if not is_kept or not TopUp.objects.running().filter(pk=begun.top_up_id, user__is_active=True).exists():
        # Withdrawn in between, the card removed, or the customer shut out: no gateway has heard of it yet.
        payments.give_up(payment=payment, status=PaymentStatus.CANCELLED)
        return
    attempt = payments.begin(payment=payment, gateway_name=begun.method.gateway)
    try:
        buyer = checkout.buyer_of(attempt, customers.get(payment.user))
        result = charging.call(attempt=attempt, method=begun.method, buyer=buyer)
    except gateway_errors.Uncertain as doubt:
        payments.doubt(attempt=attempt, error=doubt)
        return
    except gateway_errors.Unavailable as refusal:
        payments.refuse(attempt=attempt, error=refusal)
        payments.give_up(payment=payment)
        return
    except gateway_errors.Declined as refusal:
        result = PaymentResult(state=PaymentState.FAILED, failure=failures.of(refusal))
    payments.note(attempt=attempt, result=result)


# ---------------------------------------------------------------- what became of it


def settle_over(now: datetime) -> int:
    """Notice the charges whose payments are over, whoever ended them; returns how many."""
    over = TopUpCharge.objects.filter(settled_at__isnull=True).exclude(payment__status=PaymentStatus.PENDING)
    return sum(_settled(each, now) for each in over.select_related("user")[: settings.PAYMENT_SWEEP_BATCH])


def _settled(begun: TopUpCharge, now: datetime) -> bool:
    with sweeps.alone("top_up.not_settled", payment=str(begun.payment_id)):
        return _settle(begun, now)
    return False


@transaction.atomic
def _settle(begun: TopUpCharge, now: datetime) -> bool:
    top_up.lock_consents(begun.user)
    payment = Payment.objects.get(pk=begun.payment_id)
    mine = TopUpCharge.objects.filter(pk=begun.pk, settled_at__isnull=True)
    if payment.status == PaymentStatus.PENDING or not mine.update(settled_at=now):
        return False
    latest, method = top_up.latest(begun.user), saved_methods.latest(begun.user)
    if latest is None or method is None or method.pk != begun.method_id:
        return True  # another card has come since: what this one did says nothing of that
    if payment.status == PaymentStatus.SUCCEEDED:
        latest.declines, latest.next_try_at = 0, None
        latest.save(update_fields=["declines", "next_try_at"])
    else:
        _failed(latest, payment, now)
    return True


def _failed(latest: TopUp, payment: Payment, now: datetime) -> None:
    last = payment.attempts.last()
    if last is None or last.failure_category in _NOT_THE_CARD:
        _not_before(latest, now + _pause(latest.declines))
        return
    latest.declines += 1
    latest.next_try_at = now + _pause(latest.declines - 1)
    latest.save(update_fields=["declines", "next_try_at"])
    if latest.declines >= settings.TOP_UP_MOST_DECLINES:
        top_up.suspend(latest, Suspension.CARD_DECLINED, now)


def _pause(number: int) -> timedelta:
    return schedule.after(settings.TOP_UP_RETRY_SECONDS, number)


@transaction.atomic
def _wait_behind_lock(seen: TopUp, moment: datetime) -> None:
    if (standing := _locked(seen)) is not None:
        _not_before(standing, moment)


def _not_before(standing: TopUp, moment: datetime) -> None:
    standing.next_try_at = moment
    standing.save(update_fields=["next_try_at"])
