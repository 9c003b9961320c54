"""A day of ours held against a gateway's list, its answers, or its statement."""

from dataclasses import replace
from datetime import date, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from prometheus_client import REGISTRY

from billing import errors, reconcile, refund_sending, refunds, statements
from billing.gateways.base import Movement, MovementKind, RefundRequest, RefundState
from billing.gateways.stripe import Stripe
from billing.models import Discrepancy, Payment, Reconciliation
from billing.models.payments import PaymentStatus
from billing.models.reconciling import Outcome, Resolution, Source
from billing.tests import shop
from billing.tests.fakes import FakeGateway, StandIn
from billing.tests.gateways import contenders
from billing.tests.test_payments_in_the_admin import member, press
from ledger.checks import faults
from ledger.money import Money
from ledger.tests.books import on
from rest.tests.operators import printed
from sandbox.testing import Sandbox


def bought(sandbox: Sandbox) -> Payment:
    payment = shop.buy(gateways=["stripe"])
    sandbox.play(payment.attempts.get().next_action)
    payment = shop.told(payment)
    assert payment.status == PaymentStatus.SUCCEEDED
    return payment


def timed(operation: str) -> float:
    labels = {"gateway": "stripe", "operation": operation}
    return REGISTRY.get_sample_value("payment_gateway_response_time_count", labels) or 0.0


def day_of(payment: Payment) -> date:
    paid_at = payment.attempts.get().paid_at
    assert paid_at is not None
    return paid_at.date()


def run(*arguments: str) -> list[str]:
    return printed("reconcile", *arguments).splitlines()


# ---------------------------------------------------------------- by Stripe's list


def test_a_day_that_fits_is_all_matched(sandbox: Sandbox, at_stripe: Stripe) -> None:
    day = day_of(bought(sandbox))
    bought(sandbox)
    before = timed("movements")
    lines = run("--gateway", "stripe", "--day", day.isoformat())
    assert lines == [f"stripe {day}: 2 matched, 0 exceptions, 0 not answered, by list"]
    row = Reconciliation.objects.get()
    assert (row.matched, row.exceptions, row.source, row.day) == (2, 0, Source.LIST, day)
    assert timed("movements") == before + 1  # a call like any other
    assert Discrepancy.objects.count() == 0


def test_money_that_we_know_nothing_of_is_missing_here(sandbox: Sandbox, at_stripe: Stripe) -> None:
    day = day_of(bought(sandbox))
    strange = contenders.checkout(contenders.CONTENDERS[0])
    sandbox.play(contenders.shown(at_stripe.open_checkout(strange).next_action))
    out = StringIO()
    with pytest.raises(CommandError, match="Exceptions at stripe"):
        call_command("reconcile", "--gateway", "stripe", "--day", day.isoformat(), stdout=out)
    found = Discrepancy.objects.get()
    assert (found.outcome, found.ours_minor, found.theirs_minor, found.payment) == ("missing_here", None, 2_500, None)
    assert "1 matched, 1 exceptions" in out.getvalue()


def test_refund_made_at_stripe_itself_is_missing_here(sandbox: Sandbox, at_stripe: Stripe) -> None:
    payment = bought(sandbox)
    attempt = payment.attempts.get()
    known = contenders.remembered(contenders.checkout(contenders.CONTENDERS[0], ours=attempt.reference))
    request = RefundRequest(
        reference=contenders.reference(),
        payment=contenders.learned(known, at_stripe.fetch_payment(known)),
        amount=Money(100, "EUR"),
    )
    at_stripe.send_refund(request)
    report = reconcile.compare("stripe", day_of(payment))
    assert [(line.outcome, line.kind) for line in report.lines] == [
        (None, MovementKind.PAYMENT),
        (Outcome.MISSING_HERE, MovementKind.REFUND),
    ]


def test_payment_that_stripe_does_not_list_is_missing_there_once(sandbox: Sandbox, at_stripe: Stripe) -> None:
    payment = bought(sandbox)
    sandbox.reset()
    for _ in range(2):
        reconcile.compare("stripe", day_of(payment))
    found = Discrepancy.objects.get()
    assert (found.outcome, found.ours_minor, found.theirs_minor) == ("missing_there", 999, None)
    assert found.payment == payment
    assert Reconciliation.objects.count() == 2


def test_another_amount_is_different(sandbox: Sandbox, at_stripe: Stripe) -> None:
    payment = bought(sandbox)
    Payment.objects.filter(pk=payment.pk).update(amount_minor=1_000)
    reconcile.compare("stripe", day_of(payment))
    found = Discrepancy.objects.get()
    assert (found.outcome, found.ours_minor, found.theirs_minor) == ("different", 1_000, 999)


def test_exception_that_fits_later_is_closed(sandbox: Sandbox, at_stripe: Stripe) -> None:
    payment = bought(sandbox)
    Payment.objects.filter(pk=payment.pk).update(amount_minor=1_000)
    reconcile.compare("stripe", day_of(payment))
    Payment.objects.filter(pk=payment.pk).update(amount_minor=999)
    reconcile.compare("stripe", day_of(payment))
    assert Discrepancy.objects.get().resolution == Resolution.SETTLED


def test_payment_that_came_in_later_closes_what_was_missing_here(sandbox: Sandbox, at_stripe: Stripe) -> None:
    payment = shop.buy(gateways=["stripe"])
    sandbox.play(payment.attempts.get().next_action)
    day = payment.created_at.date()
    reconcile.compare("stripe", day)
    assert Discrepancy.objects.get().outcome == Outcome.MISSING_HERE
    shop.told(payment)
    reconcile.compare("stripe", day)
    assert Discrepancy.objects.get().resolution == Resolution.SETTLED


def test_stripe_that_is_away_leaves_nothing_written(sandbox: Sandbox, at_stripe: Stripe) -> None:
    day = day_of(bought(sandbox))
    sandbox.turn("stripe", http500_before=1.0)
    with pytest.raises(CommandError, match="Exceptions at stripe"):
        run("--gateway", "stripe", "--day", day.isoformat())
    assert Reconciliation.objects.count() == 0


# ---------------------------------------------------------------- by answers and by statement


def test_gateway_without_a_list_is_asked_about_each(gateways: dict[str, Any]) -> None:
    payment = shop.paid(gateways["paypal"])
    report = reconcile.compare("paypal", day_of(payment))
    assert (report.source, report.matched, report.exceptions) == (Source.ASKED, 1, [])


def test_who_does_not_answer_is_no_match(gateways: dict[str, Any]) -> None:
    payment = shop.paid(gateways["paypal"])
    gateways["paypal"].silent = True
    with pytest.raises(CommandError, match="Exceptions at paypal"):
        run("--gateway", "paypal", "--day", day_of(payment).isoformat())
    row = Reconciliation.objects.get()
    assert (row.matched, row.exceptions, row.unanswered) == (0, 0, 1)


def test_each_question_is_a_call_like_any_other(gateways: dict[str, Any]) -> None:
    payment = shop.paid(gateways["stripe"])
    refund_sending.send(refunds.request(payment=payment, by=None, reason="x"))
    before = timed("fetch"), timed("fetch_refund")
    reconcile.compare("stripe", day_of(payment))
    assert (timed("fetch"), timed("fetch_refund")) == (before[0] + 1, before[1] + 1)


def test_gateway_that_knows_of_no_money_is_an_exception(gateways: dict[str, Any]) -> None:
    payment = shop.paid(gateways["paypal"])
    gateways["paypal"].sold.clear()
    report = reconcile.compare("paypal", day_of(payment))
    assert [line.outcome for line in report.lines] == [Outcome.MISSING_THERE]


@pytest.mark.parametrize(
    ("state", "outcome"),
    [(RefundState.SUCCEEDED, None), (RefundState.PENDING, None), (RefundState.FAILED, Outcome.MISSING_THERE)],
)
def test_refund_is_asked_about_like_a_payment(gateways: dict[str, Any], state: Any, outcome: Any) -> None:
    payment = shop.paid(gateways["stripe"])
    refund = refund_sending.send(refunds.request(payment=payment, by=None, reason="x"))
    gateways["stripe"].refund_states[refund.reference] = state
    report = reconcile.compare("stripe", day_of(payment))
    assert [(line.kind, line.outcome) for line in report.lines] == [
        (MovementKind.PAYMENT, None),
        (MovementKind.REFUND, outcome),
    ]


def test_refund_on_a_statement_is_found_of_any_day(gateways: dict[str, Any]) -> None:
    payment = shop.paid(gateways["stripe"])
    refund = refund_sending.send(refunds.request(payment=payment, by=None, reason="x"))
    at, day = timezone.now() + timedelta(days=3), day_of(payment) + timedelta(days=3)
    line = Movement(kind=MovementKind.REFUND, amount=Money(999, "EUR"), at=at)
    told = [replace(line, reference=refund.reference), replace(line, reference="not ours", ids={"refund": "re_none"})]
    report = reconcile.compare("stripe", day, statement=told)
    assert [(found.outcome, found.ours and found.ours.payment) for found in report.lines] == [
        (None, payment),
        (Outcome.MISSING_HERE, None),
    ]


def test_payment_on_a_statement_is_found_of_any_day_by_an_id_of_the_gateway(gateways: dict[str, Any]) -> None:
    payment = shop.paid(gateways["stripe"])
    ids, day = payment.attempts.get().gateway_ids, day_of(payment) + timedelta(days=3)
    line = Movement(kind=MovementKind.PAYMENT, amount=Money(999, "EUR"), at=timezone.now() + timedelta(days=3), ids=ids)
    report = reconcile.compare("stripe", day, statement=[line, replace(line, ids={"order": "ord_none"})])
    assert [(found.outcome, found.ours and found.ours.payment) for found in report.lines] == [
        (None, payment),
        (Outcome.MISSING_HERE, None),
    ]


def test_refund_of_which_the_gateway_can_be_asked_no_more_stands_as_it_was_told(
    gateways: dict[str, Any], stand_in: StandIn
) -> None:
    payment = shop.paid(gateways["stripe"])
    refund_sending.send(refunds.request(payment=payment, by=None, reason="x"))
    other = stand_in(FakeGateway("stripe", refund=False, partial_refund=False))
    other.sold = gateways["stripe"].sold
    report = reconcile.compare("stripe", day_of(payment))
    assert [(line.kind, line.outcome) for line in report.lines] == [
        (MovementKind.PAYMENT, None),
        (MovementKind.REFUND, None),
    ]
    assert other.asked == [f"fetch {payment.attempts.get().reference}"]


def test_statement_is_held_against_the_day(gateways: dict[str, Any], tmp_path: Path) -> None:
    first = shop.paid(gateways["cinetpay"], currency="XOF")
    second = shop.paid(gateways["cinetpay"], currency="XOF")
    day = day_of(first)
    file = tmp_path / "day.csv"
    reference = first.attempts.get().reference
    file.write_text(
        f"Date;External-ID;Montant;Devise\n{day};{reference};6 500;XOF\n{day};{'f' * 32};2000.00;XOF\n", "utf-8"
    )
    with pytest.raises(CommandError, match="Exceptions at cinetpay"):
        run("--gateway", "cinetpay", "--day", day.isoformat(), "--statement", str(file))
    found = dict(Discrepancy.objects.values_list("outcome", "reference"))
    assert found == {"missing_there": second.attempts.get().reference, "missing_here": "f" * 32}
    assert Reconciliation.objects.get().matched == 1


def test_payment_that_a_statement_says_twice_is_an_exception_that_stays_open(gateways, tmp_path: Path) -> None:
    payment = shop.paid(gateways["cinetpay"], currency="XOF")
    day, file = day_of(payment), tmp_path / "day.csv"
    line = f"{day};{payment.attempts.get().reference};6500;XOF"
    file.write_text("\n".join(["Date;Reference;Montant;Devise", line, line]), "utf-8")
    for _ in range(2):
        with pytest.raises(CommandError, match="Exceptions at cinetpay"):
            run("--gateway", "cinetpay", "--day", day.isoformat(), "--statement", str(file))
    assert Discrepancy.objects.open().get().outcome == "missing_here"


def test_statement_brings_the_fee_that_nobody_had_said(gateways: dict[str, Any], tmp_path: Path) -> None:
    first, second = (shop.paid(gateways["cinetpay"], currency="XOF") for _ in range(2))
    day, file = day_of(first), tmp_path / "day.csv"
    lines = [f"{day};{each.attempts.get().reference};6500;XOF;{fee}" for each, fee in ((first, "228"), (second, ""))]
    file.write_text("\n".join(["Date;Reference;Montant;Devise;Frais", *lines]), "utf-8")
    for _ in range(2):
        run("--gateway", "cinetpay", "--day", day.isoformat(), "--statement", str(file))
    assert [each.attempts.get().fee_minor for each in (first, second)] == [228, None]
    assert (on("fees:cinetpay:XOF"), on("revenue:packs:XOF")) == (-228, 13_000)
    assert faults() == {}


def test_list_of_stripe_says_what_it_keeps(sandbox: Sandbox, at_stripe: Stripe) -> None:
    payment = bought(sandbox)
    attempt = payment.attempts.get()
    day = timedelta(days=1)
    assert attempt.paid_at is not None
    [line] = at_stripe.movements(since=attempt.paid_at - day, until=attempt.paid_at + day)
    assert line.fee == Money(59, "EUR")
    assert (attempt.fee_minor, attempt.next_ask_at) == (59, None)


def test_statement_is_of_one_gateway() -> None:
    with pytest.raises(CommandError, match="say --gateway NAME"):
        call_command("reconcile", "--statement", "day.csv")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "Line 1: no column for amount, currency, at, reference or id"),
        ("date,reference,amount,currency\nsoon,a,1,EUR\n", "Line 2: 'soon' is no date"),
        ("date,reference,amount,currency\n2026-08-31,a,1.999,EUR\n", "Line 2: 1.999 has 3 decimals"),
        ("date,reference,amount,currency\n2026-08-31,a,1,EURO\n", "Line 2: 'EURO' is no currency"),
        ("date,reference,amount,currency\n2026-08-31,a,-1,EUR\n", "Line 2: a payment is not below zero; write refund"),
        ("date,reference,amount,currency\n2026-08-31,,1,EUR\n", "Line 2: neither a reference nor an id"),
        ("date,id,amount,currency,type\n2026-08-31,a,1,EUR,gift\n", "Line 2: 'gift' is no kind"),
        (f'date,reference,amount,currency\n2026-08-31,"{"a" * 200_000}', "Line 2: field larger than field limit"),
    ],
)
def test_statement_that_cannot_be_read_says_where(text: str, says: str) -> None:
    with pytest.raises(errors.StatementUnreadable) as refused:
        statements.read(text)
    assert str(refused.value).startswith(says)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        ("Référence;Montant".encode("latin-1"), "can't decode"),
        (b"date,reference\n", "Line 1: no column for amount, currency"),
    ],
)
def test_statement_that_is_no_file_of_ours_is_told_by_its_name(
    db: Any, tmp_path: Path, content: bytes | None, says: str
) -> None:
    file = tmp_path / "day.csv"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(CommandError, match=rf"^day\.csv: .*{says}"):
        run("--gateway", "cinetpay", "--statement", str(file))
    assert not Reconciliation.objects.exists()


def test_statement_is_read_by_any_of_its_usual_names() -> None:
    [line] = statements.read(
        "\ufeffDate,Financial Transaction Id,Amount,Currency,Type\n2026-08-31,77,-500,XAF,Refund\n"
    )
    assert (line.kind, line.amount, line.ids) == (MovementKind.REFUND, Money(500, "XAF"), {"statement": "77"})


# ---------------------------------------------------------------- resolving


@pytest.fixture
def open_one(gateways: dict[str, Any]) -> Discrepancy:
    payment = shop.paid(gateways["cinetpay"], currency="XOF")
    reconcile.compare("cinetpay", day_of(payment), statement=[])
    return Discrepancy.objects.get()


def test_operator_resolves_an_exception_once(open_one: Discrepancy, admin_user: Any) -> None:
    resolve = {"discrepancy": open_one, "by": admin_user}
    reconcile.resolve(**resolve, resolution=Resolution.CORRECTED, note="On the next day's statement")
    with pytest.raises(errors.DiscrepancyClosed):
        reconcile.resolve(**resolve, resolution=Resolution.ACCEPTED, note="No")
    open_one.refresh_from_db()
    assert (open_one.resolution, open_one.note, open_one.closed_by) == (
        "corrected",
        "On the next day's statement",
        admin_user,
    )


def test_resolution_needs_a_note(open_one: Discrepancy, admin_user: Any) -> None:
    with pytest.raises(errors.ResolutionMissing):
        reconcile.resolve(discrepancy=open_one, resolution=Resolution.ACCEPTED, note=" ", by=admin_user)
    assert Discrepancy.objects.open().count() == 1


def test_operator_resolves_an_exception_by_a_button_with_a_reason(open_one: Discrepancy) -> None:
    operator, wish = member("resolve_discrepancy"), {"resolution": "accepted", "note": "A fee, see the contract"}
    assert press(member(), "billing_discrepancy_resolve", open_one, **wish).status_code == 403
    settled = press(operator, "billing_discrepancy_resolve", open_one, **wish | {"resolution": "settled"})
    assert (settled.status_code, Discrepancy.objects.open().count()) == (200, 1)  # that is for us to find
    done = press(operator, "billing_discrepancy_resolve", open_one, **wish)
    assert done.status_code == 302
    open_one.refresh_from_db()
    assert (open_one.resolution, open_one.note, open_one.closed_by) == ("accepted", wish["note"], operator)
    later = press(operator, "billing_discrepancy_resolve", open_one, **wish | {"resolution": "corrected"})
    assert later.status_code == 200
    open_one.refresh_from_db()
    assert open_one.resolution == "accepted"


def test_sync_catches_up_with_all_that_the_sweeps_would_find(gateways: dict[str, Any]) -> None:
    payment = shop.buy(gateways=["stripe"])
    gateways["stripe"].pays(payment.attempts.get().reference)
    payment.attempts.update(next_ask_at=payment.created_at)
    call_command("sync", stdout=StringIO())
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.SUCCEEDED
