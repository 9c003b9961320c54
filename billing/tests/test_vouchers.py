"""Credits that are taxed when they are used, and leave by other ways: by hand, with a refund, in a dispute."""

import pytest

from billing import invoices, refund_sending, usage_invoices
from billing.gateways.base import RefundState
from billing.gateways.subscribing import DisputeState
from billing.models import Invoice, Payment, Refund, TaxedUse
from billing.models.refunds import RefundPolicy
from billing.tests import shop
from billing.tests.papers import given_back, known, later
from billing.tests.refunding import disputed, made_in_the_dashboard, say
from credits import grants, usage
from credits.models import Grant
from ledger import checks
from ledger.tests.books import on

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_use")]


def test_credits_that_are_taken_away_by_hand_are_taxed_like_those_that_expire(stripe) -> None:
    """The seller keeps their price: revoked, or adjusted away in part."""
    adjusted, revoked = shop.paid(stripe, known()), shop.paid(stripe, known())
    for payment in (adjusted, revoked):
        invoices.issue(payment=payment)
    grants.adjust(user=adjusted.user, amount=-125, key="a-1", reason="a mistake of ours")  # 25 of the bonus first
    paid = Grant.objects.get(account__name=f"grant:payment:{revoked.pk}")
    grants.revoke(grant=paid, reason="against the terms")
    assert usage_invoices.issue_due(now=later()) == 2
    counted = dict(TaxedUse.objects.values_list("payment", "credits"))
    assert counted == {adjusted.pk: 100, revoked.pk: 250}
    assert [on(f"{name}:EUR") for name in ("vouchers", "revenue:packs", "tax")] == [600, 1_164, 234]
    assert checks.faults() == {}


def test_credits_that_a_refund_has_taken_are_not_taxed(stripe) -> None:
    payment = shop.paid(stripe, known())
    invoices.issue(payment=payment)
    given_back(payment, 500, RefundPolicy.UNSPENT_ONLY)
    assert (usage_invoices.issue_due(now=later()), on("vouchers:EUR")) == (0, 499)


def test_dispute_that_is_lost_takes_what_was_never_taxed_and_leaves_nothing_to_tax(stripe) -> None:
    payment = shop.paid(stripe, known())
    invoices.issue(payment=payment)
    usage.spend(user=payment.user, amount=100, key="s-1")  # 75 of them were paid for, and nobody has taxed them yet
    disputed(payment, DisputeState.LOST)
    assert [on(f"{name}:EUR") for name in ("vouchers", "loss")] == [0, 0]
    assert (usage_invoices.issue_due(now=later()), on("tax:EUR")) == (0, 0)
    assert checks.faults() == {}


def test_dispute_about_what_was_taxed_is_a_loss(stripe) -> None:
    payment = shop.paid(stripe, known())
    invoices.issue(payment=payment)
    usage.spend(user=payment.user, amount=100, key="s-1")
    usage_invoices.issue_due(now=later())  # 2.99 of it, 0.50 of that tax
    disputed(payment, DisputeState.LOST)
    names = ("vouchers", "loss", "revenue:packs", "tax")
    assert [on(f"{name}:EUR") for name in names] == [0, -299, 249, 50]


def test_dispute_about_a_part_leaves_the_rest_to_be_taxed(stripe) -> None:
    payment = shop.paid(stripe, known())
    invoices.issue(payment=payment)
    disputed(payment, DisputeState.LOST, 400)
    assert (on("vouchers:EUR"), on("loss:EUR")) == (599, 0)
    usage.spend(user=payment.user, amount=shop.credits_of(payment.user), key="all")
    usage_invoices.issue_due(now=later())
    assert (on("vouchers:EUR"), TaxedUse.objects.get().gross_minor) == (0, 599)
    assert checks.faults() == {}


def test_refund_of_more_than_is_left_takes_no_voucher_of_another(stripe) -> None:
    """Made in the gateway's dashboard while a dispute was open, so that nobody could refuse it."""
    other, payment = shop.paid(stripe, known()), shop.paid(stripe, known())
    disputed(payment)
    for name in ("re_one", "re_two"):
        made_in_the_dashboard(stripe, payment, 700, name)
    disputed(payment, DisputeState.WON)
    refund_sending.work_through()
    invoices.issue_missing()
    assert (on("vouchers:EUR"), on("loss:EUR")) == (other.amount_minor, -401)
    notes = Invoice.objects.filter(kind="credit_note").order_by("id")
    assert list(notes.values_list("gross_minor", flat=True)) == [700, 299]
    assert checks.faults() == {}


def everything_is_used(payment: Payment) -> int:
    """What is left on the account of vouchers when nobody can use anything any more."""
    usage.spend(user=payment.user, amount=shop.credits_of(payment.user), key="all")
    usage_invoices.issue_due(now=later())
    return on("vouchers:EUR")


@pytest.mark.parametrize(("minor", "loss"), [(300, 0), (700, -101)])
def test_refund_after_a_part_was_lost_leaves_no_voucher_that_nobody_can_use(stripe, minor: int, loss: int) -> None:
    payment = shop.paid(stripe, known())
    invoices.issue(payment=payment)
    disputed(payment, DisputeState.LOST, 400)
    made_in_the_dashboard(stripe, payment, minor, "re_1")
    invoices.issue_missing()
    assert on("vouchers:EUR") == max(0, 599 - minor)
    assert (everything_is_used(payment), on("loss:EUR")) == (0, loss)
    assert checks.faults() == {}


def test_refund_after_a_part_was_lost_that_comes_back_is_to_be_taxed_again(stripe) -> None:
    payment = shop.paid(stripe, known())
    invoices.issue(payment=payment)
    disputed(payment, DisputeState.LOST, 400)
    made = made_in_the_dashboard(stripe, payment, 300, "re_1")
    say(made, RefundState.FAILED)
    assert on("vouchers:EUR") == 599
    assert (everything_is_used(payment), TaxedUse.objects.get().gross_minor) == (0, 599)
    assert checks.faults() == {}


def test_refund_that_comes_back_beside_one_of_more_than_was_left_leaves_its_vouchers_to_be_used(stripe) -> None:
    payment = shop.paid(stripe, known())
    invoices.issue(payment=payment)
    disputed(payment)
    first, _ = (made_in_the_dashboard(stripe, payment, 700, name) for name in ("re_one", "re_two"))
    disputed(payment, DisputeState.WON)
    Refund.objects.filter(pk=first.pk).update(next_try_at=first.created_at)  # its turn comes before the other's
    refund_sending.work_through()
    say(first, RefundState.FAILED)  # the other one took 299 of them, and 401 of us
    assert (on("vouchers:EUR"), on("loss:EUR")) == (700, -401)
    assert (everything_is_used(payment), TaxedUse.objects.get().gross_minor) == (0, 700)
    assert checks.faults() == {}
