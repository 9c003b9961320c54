"""What operators do about subscriptions, and what they may not."""

import html
import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.utils import timezone
from django.utils.translation import override

from billing import plan_changes, plans
from billing.admin import timeline_words
from billing.models import Payment, Subscription
from billing.tests.subscribers import BEGIN, end_of, fresh, make_plan, make_plans, subscribed
from billing.tests.test_payments_in_the_admin import member, press
from ledger.money import format_money
from rest.tests.operators import browser, page

pytestmark = pytest.mark.django_db


@pytest.fixture
def found(gateways, paypal):
    with time_machine.travel(BEGIN, tick=False):
        make_plans()
        yield subscribed(paypal)


def test_pages_show_the_timeline_and_what_comes(found) -> None:
    text = browser(member()).get(page("billing_subscription_change", found.pk)).content.decode()
    assert "500 CREDIT" in text
    assert "paid" in text
    for name in ("billing_subscription_changelist", "billing_plan_changelist"):
        assert browser(member()).get(page(name)).status_code == 200
    assert browser(member()).get(page("billing_plan_change", found.price.plan_id)).status_code == 200


def test_timeline_is_told_in_words(found) -> None:
    text = browser(member()).get(page("billing_subscription_change", found.pk)).content.decode()
    words = [each.strip() for each in re.findall(r'<li class="mb-1">(.*?)</li>', text)]
    assert "amount: €9.99" in words
    assert f"price of the catalogue: {found.price.plan.code}: €9.99 / month" in words
    assert any(each.startswith("until: ") and "T" not in each for each in words)
    with override("fr"):
        assert {str(each) for each in timeline_words.ACTS.values()}.isdisjoint({"period paid", "asked for", "ended"})


def test_prices_and_paid_periods_are_written_as_money(found) -> None:
    plan, price = found.price.plan_id, found.price.money
    told = format_money(price, "en")
    assert browser(member()).get(page("billing_subscription_change", found.pk)).content.decode().count(told) >= 3
    text = browser(member()).get(page("billing_plan_change", plan)).content.decode()
    assert told in text
    assert f" {price.minor} " not in re.sub(r"<[^>]*>", " ", text)
    assert "minor units" not in text


def test_change_is_previewed_then_asked_for(found) -> None:
    operator = member("manage_subscription")
    wish = {"plan": "elite", "interval": "month", "when": "now", "reason": "asked by telephone"}
    path = f"/admin/billing/subscription/{found.pk}/change_plan/"
    key = {"key": "0190c6a4-5a3e-4c1b-9f3e-2b1a0c4d5e6f"}
    shown = browser(operator).post(path, key | wish | {"preview": "1"}).content.decode()
    assert "€10.00" in shown
    assert Payment.objects.count() == 1
    press(operator, "billing_subscription_change_plan", found, **wish)
    assert Payment.objects.get(status="pending").amount_minor == 1_000


def test_change_is_reckoned_as_of_the_instant_that_was_compared(found, monkeypatch) -> None:
    """A second later it may be a cent less."""
    operator, wish = member("manage_subscription"), {"plan": "elite", "interval": "month", "when": "now", "reason": "x"}
    path, key = page("billing_subscription_change_plan", found.pk), {"key": str(uuid4())}
    usual, reckoned = plan_changes.preview, []
    with time_machine.travel(timezone.now() + timedelta(days=3), tick=False) as clock:
        seen = browser(operator).post(path, key | wish | {"preview": "yes"}).context["previewed"]

        def preview(**asked: Any) -> Any:
            reckoned.append(usual(**asked))
            clock.shift(60)
            return reckoned[-1]

        monkeypatch.setattr(plan_changes, "preview", preview)
        assert browser(operator).post(path, key | wish | {"previewed": seen}).status_code == 302
    shown, done = reckoned
    assert (done, Payment.objects.get(status="pending").amount_minor) == (shown, shown.due.minor)


def test_change_offers_the_plans_of_its_catalogue_and_begins_with_its_own(found) -> None:
    make_plan("other", {"month": 500}, catalogue="events")
    path = page("billing_subscription_change_plan", found.pk)
    text = browser(member("manage_subscription")).get(path).content.decode()
    plans_shown = dict(re.findall(r'<option value="(premium|elite|other)"( selected)?>', text))
    assert plans_shown == {"premium": " selected", "elite": ""}


def test_change_that_must_wait_is_refused_in_words_of_the_form(found) -> None:
    operator = member("manage_subscription")
    wish = {"plan": "premium", "interval": "month", "when": "now", "reason": "asked by telephone", "preview": "1"}
    elite = plans.price_of(plans.find("elite"), found.price.currency, "month")
    Subscription.objects.update(price=elite)
    path = f"/admin/billing/subscription/{found.pk}/change_plan/"
    key = {"key": "0190c6a4-5a3e-4c1b-9f3e-2b1a0c4d5e6f"}
    text = browser(operator).post(path, key | wish).content.decode()
    assert "This change can only begin with the next period." in text
    assert "period_end" not in re.sub(r"<[^>]*>", " ", text)


def test_page_says_what_the_plan_entitles_to(found) -> None:
    plan = found.price.plan
    plan.entitlements = {"priority_support": True, "active_companions": 3, "messages": "unlimited"}
    plan.save(update_fields=["entitlements"])
    text = browser(member()).get(page("billing_subscription_change", found.pk)).content.decode()
    for line in ("priority support: yes", "active companions: 3", "messages: without limit"):
        assert f">{line}</li>" in text


def test_cancel_is_previewed_line_by_line(found) -> None:
    shown = press(
        member("manage_subscription"), "billing_subscription_cancel", found, when="now", reason="x", preview="1"
    )
    text = html.unescape(shown.content.decode())
    assert "which is lost" in text
    assert "Grants that are paid for and come no more: 4" in text
    assert "Will not be charged: €9.99" in text
    assert fresh(found).status == "active"


def test_end_of_what_would_not_be_renewed_names_no_charge(found) -> None:
    operator = member("manage_subscription")
    press(operator, "billing_subscription_cancel", found, when="period_end", reason="asked")
    shown = press(operator, "billing_subscription_cancel", found, when="now", reason="at once", preview="1")
    text = html.unescape(shown.content.decode())
    assert "Grants that are paid for and come no more: 4" in text
    assert "Will not be charged" not in text


def test_change_of_the_next_period_says_when_it_begins_and_costs_nothing_now(found) -> None:
    operator, path = member("manage_subscription"), page("billing_subscription_change_plan", found.pk)
    wish = {"key": str(uuid4()), "plan": "elite", "interval": "month", "when": "period_end", "reason": "asked"}
    shown = browser(operator).post(path, wish | {"preview": "yes"})
    assert "Begins: April 2, 2026, 8 a.m." in shown.text
    done = browser(operator).post(path, wish | {"previewed": shown.context["previewed"]}, follow=True)
    assert "The plan changes at April 2, 2026, 8 a.m.." in done.text
    now = fresh(found)
    assert now.next_price is not None
    assert (now.price.plan.code, now.next_price.plan.code, Payment.objects.count()) == ("premium", "elite", 1)


def test_cancel_at_once_is_what_was_previewed_minutes_ago(found) -> None:
    """Its end is now, whenever that is read."""
    operator, wish = member("manage_subscription"), {"when": "now", "reason": "asked", "key": str(uuid4())}
    path = f"/admin/billing/subscription/{found.pk}/cancel/"
    shown = browser(operator).post(path, wish | {"preview": "yes"}).content.decode()
    assert "Ends: now" in shown
    [seen] = re.findall(r'name="previewed" value="([0-9a-f]+)"', shown)
    with time_machine.travel(timezone.now() + timedelta(minutes=2), tick=False):
        assert browser(operator).post(path, wish | {"previewed": seen}).status_code == 302
    assert Subscription.objects.get().status == "cancelled"


def test_cancel_writes_who_and_why(found) -> None:
    operator = member("manage_subscription")
    press(operator, "billing_subscription_cancel", found, when="period_end", reason="asked by telephone")
    line = found.timeline.last()
    assert (fresh(found).cancel_at_period_end, line.by, line.reason) == (True, operator, "asked by telephone")


def test_without_the_permission_nothing_moves(found) -> None:
    assert press(member(), "billing_subscription_cancel", found, when="now", reason="x").status_code == 403
    assert Subscription.objects.get().status == "active"


def test_pause_resume_and_extend(found) -> None:
    operator = member("manage_subscription")
    press(operator, "billing_subscription_pause", found, reason="travels")
    assert fresh(found).status == "paused"
    press(operator, "billing_subscription_resume", found, reason="is back")
    assert fresh(found).status == "active"
    far = press(operator, "billing_subscription_extend", found, until="2199-01-01", reason="our outage")
    assert "At most 400 days from today." in far.content.decode()
    press(operator, "billing_subscription_extend", found, until="2026-05-01", reason="our outage")
    assert end_of(found).date().isoformat() == "2026-05-01"


def test_operator_reads_that_a_trial_becomes_longer(found) -> None:
    Subscription.objects.update(status="trialing", anchor_at=None)
    text = browser(member("manage_subscription")).get(page("billing_subscription_extend", found.pk)).content.decode()
    assert "A longer trial" in text


def test_page_of_a_plan_without_credits_names_no_grants(found, paypal) -> None:
    make_plan("bare", {"month": 500}, catalogue="other")
    bare = subscribed(paypal, found.user, "bare")
    for shown, has_grants in ((found, True), (bare, False)):
        answer = browser(member()).get(page("billing_subscription_change", shown.pk))
        text = html.unescape(answer.content.decode())
        assert (answer.status_code, "By the customer's clock, Europe/Paris:" in text) == (200, has_grants)
