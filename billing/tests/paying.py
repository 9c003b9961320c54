"""A gateway that pays out, and approved withdrawals for it."""

from datetime import timedelta
from typing import Any

from billing.gateways.base import (
    AmountRule,
    DestinationKind,
    Failure,
    PayoutRef,
    PayoutRequest,
    PayoutResult,
    PayoutState,
)
from billing.gateways.errors import FailureCategory, GatewayError, Uncertain
from billing.models import Payout
from billing.tests.fakes import FakeGateway
from ledger.money import Money
from wallets import withdrawals
from wallets.models import Withdrawal
from wallets.tests import people


class PayingGateway(FakeGateway):
    """Pays once per reference, as the real ones do. `refuses_payout` is raised before it acts, `loses` after it."""

    def __init__(self, name: str, **changes: Any) -> None:
        known: dict[str, Any] = {
            "payout": frozenset(DestinationKind),
            "payout_currencies": {"EUR": AmountRule(maximum_minor=1_000_000), "XOF": AmountRule(step_minor=5)},
        }
        super().__init__(name, **known | changes)
        self.payouts: dict[str, tuple[PayoutState, PayoutRequest]] = {}
        self.payout_state = PayoutState.PENDING
        self.refuses_payout: GatewayError | None = None
        self.payout_fee: Money | None = None
        self.says_amount: Money | None = None

    def send_payout(self, request: PayoutRequest) -> PayoutResult:
        self._speak(f"pay {request.reference}")
        if self.refuses_payout:
            raise self.refuses_payout
        self.payouts.setdefault(request.reference, (self.payout_state, request))
        if self.loses:
            raise Uncertain("the reply was lost", gateway=self.name)
        return self._payout(request.reference)

    def fetch_payout(self, payout: PayoutRef) -> PayoutResult:
        self._speak(f"fetch {payout.reference}")
        if payout.reference not in self.payouts:
            return PayoutResult(state=PayoutState.NOT_FOUND)
        return self._payout(payout.reference)

    def _payout(self, reference: str) -> PayoutResult:
        state, request = self.payouts[reference]
        failure = Failure(category=FailureCategory.INVALID_PAYER, code="PAYEE_NOT_FOUND")
        return PayoutResult(
            state=state,
            ids={"transfer": f"tr_{reference[-8:]}"},
            amount=self.says_amount or request.amount,
            fee=self.payout_fee,
            failure=failure if state is PayoutState.FAILED else None,
            raw={"state": state.value},
        )

    def pays_out(self, state: PayoutState = PayoutState.PAID) -> None:
        """Everything that it was asked for becomes this."""
        self.payout_state = state
        self.payouts = {reference: (state, request) for reference, (_, request) in self.payouts.items()}


def approved(minor: int = 4_000, *, currency: str = "EUR", has: int = 10_000, **changes: Any) -> Withdrawal:
    """A seller with some money available, who wants a part of it; somebody has approved."""
    people.make_rule(basis_points=0)
    user = people.make_user()
    people.sell_cleared(user, has, currency)
    return withdrawals.approve(withdrawal=people.ask(user, minor, currency, **changes), by=people.make_user("operator"))


def fresh(withdrawal: Withdrawal) -> Withdrawal:
    return Withdrawal.objects.select_related("wallet__seller__user", "destination").get(pk=withdrawal.pk)


def due(withdrawal: Withdrawal, **sent_ago: float) -> Payout:
    """As if it had been sent so long ago, and were to be looked at now."""
    payout = Payout.objects.whole().get(pk=withdrawal.pk)
    back = timedelta(**sent_ago)
    for name in ("sent_at", "first_sent_at", "next_try_at"):
        if moment := getattr(payout, name):
            setattr(payout, name, moment - back)
    payout.save()
    return payout
