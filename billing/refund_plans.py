"""What a refund would do, line by line, before anybody does it: the same plan is previewed and carried out."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from django.conf import settings
from django.db.models import Sum

from billing import errors, fulfilment, sale_payments
from billing.gateways import amounts, registry
from billing.models import Dispute, Payment, Refund
from billing.models.payments import AttemptState, PaymentKind, PaymentStatus
from billing.models.refunds import DisputeState, RefundOrigin, RefundPolicy
from billing.sale_payments import Share
from credits import takebacks
from credits.takebacks import Left
from ledger.money import Money

UNPLANNED = "waits_for"  # beside the ids at the gateway, until there is a plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What earlier refunds of this payment have claimed, those under way included."""

    amount: int = 0
    tax: int = 0
    credits_due: int = 0
    credits_gone: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`credits_due` is what the money stands for; of that, `lines` are taken now, and `owed` becomes a debt. For
    what is `gone` nobody owes anything: it was revoked by hand, or has expired."""

    amount: Money
    tax: Money
    policy: RefundPolicy
    credits_due: int = 0
    lines: dict[str, int] = field(default_factory=dict)
    owed: int = 0
    gone: int = 0
    kept: int = 0  # left to the customer, at our cost
    refundable: int = 0  # of the payment, before this refund
    shares: tuple[Share, ...] = ()  # of what sellers sold: what falls on each sale
    stops_top_up: bool = False  # only looked at for a preview

    @property
    def taken(self) -> int:
        return sum(self.lines.values())


def to_send(*, payment: Payment, amount: Money | None, policy: RefundPolicy | None) -> Plan:
    """The same as `make`, of an amount that the gateway takes which is to send it."""
    return make(payment=payment, amount=amount, policy=policy, step=_step(payment))


def make(
    *,
    payment: Payment,
    amount: Money | None,
    policy: RefundPolicy | None,
    instead_of: Refund | None = None,
    step: int = 1,
) -> Plan:
    """The plan, or the refusal that says what would be possible. Whoever carries it out has locked the payment. Without
    a policy the shop's own counts, and for what sellers sold that of each sale."""
    _refuse_what_is_not_refundable(payment)
    before = _before(payment, instead_of)
    refundable = payment.amount_minor - before.amount
    asked = refundable if amount is None else _in_currency(amount, payment)
    if refundable <= 0:
        raise errors.NotRefundable("refunded")
    if not 0 < asked <= refundable:
        raise errors.RefundTooLarge(refundable, payment.currency)
    if amount is None and asked > step:
        asked -= asked % step
    if asked % step:
        raise errors.RefundBetweenSteps(asked, payment.currency, step, refundable)
    chosen, policy = policy, policy or RefundPolicy(settings.REFUND_POLICY)
    if payment.kind != PaymentKind.PACK:
        plan = _without_credits(payment, before, asked, policy)
        if payment.kind == PaymentKind.SALE:
            plan = replace(plan, shares=tuple(sale_payments.plan(payment, plan.amount, chosen)))
        return plan
    return _of_pack(payment, before, asked, policy, step)


def _of_pack(payment: Payment, before: Before, asked: int, policy: RefundPolicy, step: int) -> Plan:
    lots, total = _bonus_first(payment), fulfilment.credits_of(payment)
    free, revoked = sum(lot.free for lot in lots), sum(lot.revoked for lot in lots)
    gone = revoked + sum(lot.expired for lot in lots) - before.credits_gone
    # What was revoked has come back to us already. The price of what has expired is ours, unless all is given back.
    there = free + max(0, revoked - before.credits_gone)
    due = _due(payment, before, asked, total)
    if due > there and policy == RefundPolicy.PROPORTIONAL:
        asked = min(asked, _worth(payment, before, there, total, step))
        if asked <= 0:
            raise errors.CreditsSpent(due - there, 0)
        due = min(_due(payment, before, asked, total), there)
    if due > there and policy == RefundPolicy.UNSPENT_ONLY:
        raise errors.CreditsSpent(due - there, max(0, _worth(payment, before, there, total, step)))
    goodwill = policy == RefundPolicy.GOODWILL
    lines = {} if goodwill else _take(lots, due)
    missing = 0 if goodwill else due - sum(lines.values())
    return Plan(
        amount=Money(asked, payment.currency),
        tax=_tax(payment, before, asked),
        policy=policy,
        credits_due=due,
        lines=lines,
        owed=max(0, missing - gone),
        gone=min(missing, gone),
        kept=due if goodwill else 0,
        refundable=payment.amount_minor - before.amount,
    )


def at_our_cost(amount: Money, *, payment: Payment, instead_of: Refund | None = None) -> Plan:
    """Money that has gone back and for which nothing comes back: the credits stay, or a dispute has taken them.

    Its part of the price takes its tax along all the same, as the credit note says; what is more than that bore none.
    """
    before = _before(payment, instead_of, with_unplanned=False)  # what waits takes its own tax when its turn comes
    left = max(0, payment.amount_minor - before.amount)
    tax = _tax(payment, before, min(amount.minor, left))
    return Plan(amount=amount, tax=tax, policy=RefundPolicy.GOODWILL)


def of_surplus(amount: Money) -> Plan:
    """What was paid twice stands aside: nothing was sold for it."""
    return Plan(amount=amount, tax=Money(0, amount.unit), policy=RefundPolicy.GOODWILL)


def _refuse_what_is_not_refundable(payment: Payment) -> None:
    if payment.status != PaymentStatus.SUCCEEDED:
        raise errors.NotRefundable(payment.status)
    if payment.amount_minor == 0:
        raise errors.NotRefundable("free")
    if Dispute.objects.of_what_was_delivered(payment, DisputeState.LOST).exists():
        raise errors.NotRefundable("lost in a dispute")
    if dispute := Dispute.objects.of_what_was_delivered(payment, DisputeState.OPEN).first():
        raise errors.DisputeOpen(dispute.pk)


def _step(payment: Payment) -> int:
    """Between which amounts its gateway sends nothing back. People who send it by hand keep none."""
    paid = payment.attempts.filter(state=AttemptState.SUCCEEDED).first()
    adapter = registry.get(paid.gateway) if paid and paid.gateway in registry.BUILDERS else None
    if adapter is None or not adapter.capabilities.refund:
        return 1
    rule = adapter.capabilities.currencies.get(payment.currency)
    return amounts.step(rule, payment.currency) if rule else 1


def _in_currency(amount: Money, payment: Payment) -> int:
    if amount.unit != payment.currency:
        raise errors.RefundTooLarge(payment.amount_minor, payment.currency)
    return amount.minor


def _before(payment: Payment, instead_of: Refund | None, *, with_unplanned: bool = True) -> Before:
    rows = Refund.objects.counted().filter(payment=payment).exclude(origin=RefundOrigin.SURPLUS)
    if not with_unplanned:
        rows = rows.exclude(gateway_ids__has_key=UNPLANNED)
    if instead_of is not None:
        rows = rows.exclude(pk=instead_of.pk)
    sums = rows.aggregate(
        amount=Sum("amount_minor"), tax=Sum("tax_minor"), due=Sum("credits_due"), gone=Sum("credits_gone")
    )
    return Before(
        amount=sums["amount"] or 0,
        tax=sums["tax"] or 0,
        credits_due=sums["due"] or 0,
        credits_gone=sums["gone"] or 0,
    )


def _without_credits(payment: Payment, before: Before, asked: int, policy: RefundPolicy) -> Plan:
    return Plan(
        amount=Money(asked, payment.currency),
        tax=_tax(payment, before, asked),
        policy=policy,
        refundable=payment.amount_minor - before.amount,
    )


# Each figure is the share of all that has gone back by then, less what went before: so the last one takes the rest, and
# many small refunds sum up to exactly the same as one.


def _due(payment: Payment, before: Before, asked: int, total: int) -> int:
    return total * (before.amount + asked) // payment.amount_minor - before.credits_due


def _tax(payment: Payment, before: Before, asked: int) -> Money:
    share = payment.tax_minor * (before.amount + asked) // payment.amount_minor
    return Money(max(0, min(share - before.tax, asked)), payment.currency)


def _worth(payment: Payment, before: Before, free: int, total: int, step: int) -> int:
    """How much money the credits that are left stand for, as far as it can be sent."""
    return ((before.credits_due + free) * payment.amount_minor // total - before.amount) // step * step


def _bonus_first(payment: Payment) -> list[Left]:
    return takebacks.left_of(fulfilment.keys_of(payment))


def _take(lots: Sequence[Left], wanted: int) -> dict[str, int]:
    lines = {}
    for lot in lots:
        part = min(lot.free, wanted)
        if part > 0:
            lines[lot.key] = part
            wanted -= part
    return lines
