"""A gateway that renews has charged, and nobody knows the tax of it yet: no plan ends by that, and somebody hears."""

from datetime import date, timedelta
from typing import Any

import pytest
import time_machine

from billing import instructions, renewals, subscriptions
from billing.models import Case, GatewayInstruction, Payment, Subscription, TaxRate
from billing.models.instructions import InstructionKind
from billing.tests.renewing import END, RenewingGateway, instructed, lapsed, paid_once
from billing.tests.subscribers import BEGIN, fresh, make_plan, price
from billing.tests.test_instructions import before_tax
from events.models import Message

pytestmark = pytest.mark.django_db
NEXT_END = END + timedelta(days=30)


@pytest.fixture
def renewed(renewing: RenewingGateway, settings: Any) -> Subscription:
    """Its second period is paid there; here the invoice cannot be written, since France has no rate."""
    found = paid_once(renewing)
    settings.SELLER_COUNTRY, settings.TAX_SCHEME = "FR", "standard"
    TaxRate.objects.all().delete()
    renewing.is_paid("in_2", END, NEXT_END)
    return found


def add_the_rate() -> None:
    TaxRate.objects.create(country="FR", category="standard", valid_from=date(2026, 1, 1), basis_points=2_000)


def test_plan_that_was_paid_there_does_not_end_and_goes_on_once_the_rate_is_known(renewing, renewed) -> None:
    with time_machine.travel(lapsed(renewed), tick=False):
        assert renewals.expire_due().total == 0
        assert (fresh(renewed).status, fresh(renewed).paid_until, Payment.objects.count()) == ("active", END, 1)
        add_the_rate()
        assert renewals.expire_due().total == 0
    assert (fresh(renewed).status, fresh(renewed).paid_until, Payment.objects.count()) == ("active", NEXT_END, 2)


def test_instruction_that_waits_for_a_rate_comes_before_people_in_the_end(renewed, settings) -> None:
    wanted = instructions.write(GatewayInstruction(subscription=renewed, kind=InstructionKind.END_LATER))
    last, cases = timedelta(seconds=settings.GATEWAY_ASK_UNTIL_SECONDS), []
    for moment in (BEGIN + last / 2, BEGIN + last, BEGIN + 2 * last):
        renewals.carry_instructions_on(now=moment)
        cases.append([(case.subscription, case.facts["code"]) for case in Case.objects.all()])
    assert cases == [[], [(renewed, "TaxRateUnknown")], [(renewed, "TaxRateUnknown")]]
    assert Message.objects.get(kind="case").data["instruction"] == "end_later"
    wanted.refresh_from_db()
    assert (wanted.state, wanted.next_ask_at) == ("open", None)
    add_the_rate()
    assert subscriptions.cancel(subscription=fresh(renewed)).cancel_at_period_end
    assert instructed() == [("end_later", "done", "")]


def test_instruction_that_we_refuse_at_the_last_question_is_one_case(renewing, settings, caplog) -> None:
    make_plan("lite", {"month": 500})
    found = fresh(paid_once(renewing))
    instructions.write(GatewayInstruction(subscription=found, kind=InstructionKind.NEXT_PRICE, price=price("lite")))
    before_tax(settings)
    renewals.carry_instructions_on(now=BEGIN + timedelta(seconds=settings.GATEWAY_ASK_UNTIL_SECONDS))
    assert instructed() == [("next_price", "refused", "TaxNotAdded")]
    assert [case.facts["code"] for case in Case.objects.all()] == ["TaxNotAdded"]
    heard = [each.getMessage() for each in caplog.records if each.getMessage().startswith("instruction")]
    assert heard == ["instruction.not_done"]
