"""Withdrawals to connected accounts at Stripe, over HTTP: paid, refused, in doubt, and sent by a process that died."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from billing import payout_sending, payouts
from billing.gateways import registry
from billing.models import Case, Payout
from config.tests.journeys.shop import Shop
from ledger import checks
from ledger.tests.books import on
from wallets import destinations
from wallets.models import Withdrawal
from wallets.tests import people

SOLD = -10_000  # what the books say of Stripe once the seller has sold: it owes us as much


class Killed(BaseException):
    """What ends a process asks no handler of ours."""


@pytest.fixture
def account(shop: Shop, settings: Any) -> str:
    """A connected account that may be paid to; small withdrawals need nobody's approval."""
    settings.WALLETS_WITHDRAWAL_AUTOMATIC_UP_TO_MINOR = {"EUR": 10_000}
    return _connect(shop, is_onboarded=True)


def _connect(shop: Shop, *, is_onboarded: bool) -> str:
    stripe: Any = registry.get("stripe")
    made = stripe.api.accounts.create({"country": "FR"})
    if is_onboarded:
        shop.sandbox.control("POST", f"/stripe/_stripe/accounts/{made.id}/onboard")
    return str(made.id)


def _asked_for(account: str) -> Withdrawal:
    """An approved withdrawal of 40.00 by a seller who has 100.00."""
    people.make_rule(basis_points=0)
    user = people.make_user()
    people.sell_cleared(user, 10_000)
    return people.ask(user, 4_000, destination=destinations.parse(kind="stripe", value=account))


def _standing(shop: Shop, withdrawal: Withdrawal) -> tuple[str, int, int, list[int]]:
    """The withdrawal's status, what the seller has available, what the books say, and what Stripe's books say."""
    withdrawal.refresh_from_db()
    sent = [each["amount_minor"] for each in shop.sandbox.books("stripe")["payouts"] if each["state"] == "paid"]
    left = people.available(withdrawal.wallet.seller.user)
    return withdrawal.status, left, on("gateway:stripe:EUR"), sent


def test_connected_account_is_paid_and_a_transfer_that_is_taken_back_is_the_sellers_again(
    shop: Shop, account: str
) -> None:
    withdrawal = _asked_for(account)
    payout_sending.work_through()
    assert _standing(shop, withdrawal) == ("paid", 6_000, SOLD + 4_000, [4_000])
    stripe: Any = registry.get("stripe")
    stripe.api.transfers.reversals.create(Payout.objects.get().gateway_ids["transfer"])
    shop.hear("stripe")
    assert _standing(shop, withdrawal) == ("returned", 10_000, SOLD, [])
    assert checks.faults() == {}


def test_account_that_may_not_be_paid_to_is_a_refusal_and_the_money_is_back(shop: Shop, account: str) -> None:
    withdrawal = _asked_for(_connect(shop, is_onboarded=False))
    payout_sending.work_through()
    assert _standing(shop, withdrawal) == ("failed", 10_000, SOLD, [])
    assert withdrawal.reason == "stripe: insufficient_capabilities_for_transfer"
    assert checks.faults() == {}


def test_empty_balance_of_ours_is_a_refusal_that_operators_hear_of(shop: Shop, account: str) -> None:
    shop.sandbox.configure("stripe", float_minor="3999")
    withdrawal = _asked_for(account)
    payout_sending.work_through()
    assert _standing(shop, withdrawal) == ("failed", 10_000, SOLD, [])
    assert Case.objects.get().facts["why"] == "stripe refused it: insufficient_funds"


def test_reply_that_was_lost_is_asked_about_and_nothing_is_sent_again(shop: Shop, account: str) -> None:
    withdrawal = _asked_for(account)
    shop.sandbox.turn("stripe", drop_after=1.0)
    payout_sending.work_through()
    assert _standing(shop, withdrawal) == ("uncertain", 6_000, SOLD, [4_000])
    shop.sandbox.turn("stripe", drop_after=0.0)
    payout_sending.work_through(timezone.now() + timedelta(hours=1))
    assert _standing(shop, withdrawal) == ("paid", 6_000, SOLD + 4_000, [4_000])
    assert [each["method"] for each in _calls_of_transfers(shop)] == ["POST", "GET"]
    assert checks.faults() == {}


def test_worker_killed_between_sending_and_hearing_is_asked_about(
    shop: Shop, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    withdrawal = _asked_for(account)

    def dies(**_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(payouts, "sent", dies)
        with pytest.raises(Killed):
            payout_sending.work_through()
    assert _standing(shop, withdrawal) == ("sending", 6_000, SOLD, [4_000])
    payout_sending.work_through(timezone.now() + timedelta(hours=1))
    assert _standing(shop, withdrawal) == ("paid", 6_000, SOLD + 4_000, [4_000])
    assert [each["method"] for each in _calls_of_transfers(shop)] == ["POST", "GET"]
    assert checks.faults() == {}


def _calls_of_transfers(shop: Shop) -> list[dict[str, Any]]:
    return [each for each in shop.sandbox.requests("stripe") if "/v1/transfers" in each["path"]]
