"""What operators do about payments: buttons, forms with a preview, and what they may not."""

import html
import re
import uuid
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User

from billing import cases, refund_sending, refunds_by_hand
from billing.gateways.base import PaymentState, RefundState
from billing.gateways.errors import Uncertain
from billing.models import Case, GatewayLetter, Payment, Refund
from billing.models.cases import CaseKind
from billing.models.inbox import LetterState
from billing.models.refunds import RefundStatus
from billing.tests import shop
from billing.tests.fakes import send
from credits import usage
from rest.tests.operators import browser, page

pytestmark = pytest.mark.django_db


ACTS = ("cancel_payment", "refresh_payment", "request_refund", "prove_refund", "close_case", "replay_gatewayletter")


@pytest.fixture
def operator(db) -> User:
    return member(*ACTS)


def member(*codenames: str) -> User:
    """Somebody who may look at everything of billing, and do these things."""
    user = User.objects.create_user(f"operator-{uuid.uuid4().hex[:6]}", is_staff=True)
    of_billing = Permission.objects.filter(content_type__app_label="billing")
    looks = of_billing.filter(codename__startswith="view_")
    user.user_permissions.set([*looks, *of_billing.filter(codename__in=codenames)])
    return user


def press(user: User, name: str, thing: Any, **fields: Any) -> Any:
    """`billing_payment_refund` is the button "refund" on a payment's page."""
    app, model, act = name.split("_", 2)
    path = f"/admin/{app}/{model}/{thing.pk}/{act}/"
    wish = {"key": str(uuid.uuid4()), **fields}
    answer = browser(user).post(path, wish)
    seen = answer.context and answer.context.get("previewed")
    # What was shown is agreed to, unless the test is about looking.
    is_only_look = not seen or {"preview", "previewed"} & wish.keys()
    return answer if is_only_look else browser(user).post(path, wish | {"previewed": seen})


def previewed(user: User, path: str, wish: dict[str, str]) -> dict[str, str]:
    """What the button that comes with the preview sends along."""
    return {"previewed": browser(user).post(path, wish | {"preview": "yes"}).context["previewed"]}


def test_lists_and_pages_open(stripe, operator) -> None:
    payment = shop.paid(stripe)
    send(stripe.letter())
    client = browser(operator)
    for model in ("payment", "refund", "dispute", "case", "gatewayletter"):
        assert client.get(page(f"billing_{model}_changelist")).status_code == 200
    shown = client.get(page("billing_payment_change", payment.pk))
    assert shown.status_code == 200
    assert "stripe" in shown.content.decode()
    assert client.get(page("billing_gatewayletter_change", GatewayLetter.objects.get().pk)).status_code == 200


def test_page_says_why_a_payment_failed_what_the_gateway_calls_it_and_who_was_to_pay(stripe, operator) -> None:
    payment = shop.buy()
    failed = payment.attempts.get()
    failed.state = "failed"
    failed.failure_category, failed.failure_code = "insufficient_funds", "51"
    failed.failure_message = "Your card has <insufficient> funds."
    failed.gateway_ids = {"payment_intent": "pi_77", "notify_token_sha256": "beef"}
    failed.fee_minor, failed.fee_currency = 35, "EUR"
    failed.save()
    Payment.objects.filter(pk=payment.pk).update(phone="+2250700000077")
    text = html.unescape(browser(operator).get(page("billing_payment_change", payment.pk)).content.decode())
    for said in (
        "not enough money",
        "its word for it: 51",
        "its sentence: Your card has <insufficient> funds.",
        "payment_intent: pi_77",
        f"our reference: {failed.reference}",
        "€0.35",
        "+2250700000077",
    ):
        assert said in text
    assert "beef" not in text
    failed.failure_category = "of_tomorrow"
    failed.save()
    assert "of_tomorrow" in browser(operator).get(page("billing_payment_change", payment.pk)).text


def test_letter_says_its_amount_as_money(stripe, operator) -> None:
    shop.paid(stripe)
    send(stripe.letter())
    GatewayLetter.objects.update(amount_minor=1_990, currency="EUR")
    text = browser(operator).get(page("billing_gatewayletter_change", GatewayLetter.objects.get().pk)).content.decode()
    assert "€19.90" in text
    assert "minor units" not in text


def test_page_says_in_words_what_was_bought_and_why_this_gateway(stripe, operator) -> None:
    payment = shop.paid(stripe)
    payment.routing["ruled_out"] += [
        {"gateway": "cinetpay", "rule": "step", "detail": "5 XAF", "nearest_amounts": [995, 1_000]},
        {"gateway": "paypal", "rule": "of_tomorrow"},
    ]
    payment.save()
    text = browser(operator).get(page("billing_payment_change", payment.pk)).content.decode()
    items = [html.unescape(item) for item in re.findall(r'<li class="mb-1">(.*?)</li>', text)]
    for said in (
        "price of the catalogue: medium: €9.99",
        "credits: 250",
        "bonus credits: 25",
        "possible, the best first: stripe",
        "cinetpay: not a multiple of its step (5 XAF; nearest: €9.95, €10.00)",
        "paypal: of_tomorrow",
    ):
        assert said in items
    assert "{" not in "".join(items)
    french = browser(operator).get(page("billing_payment_change", payment.pk), headers={"accept-language": "fr"})
    assert "prix du catalogue : medium: 9,99\u00a0€" in html.unescape(french.content.decode())


def test_tax_and_discount_are_written_as_money(stripe, operator) -> None:
    payment = shop.paid(stripe)
    Payment.objects.filter(pk=payment.pk).update(tax_minor=160, discount_minor=250)
    text = browser(operator).get(page("billing_payment_change", payment.pk)).content.decode()
    assert "€1.60" in text
    assert "€2.50" in text
    assert "minor units" not in text


def test_preview_shows_every_line_and_moves_nothing(stripe, operator) -> None:
    payment = shop.paid(stripe)
    answer = press(
        operator, "billing_payment_refund", payment, amount="5.00", policy="proportional", reason="late", preview="yes"
    )
    text = answer.content.decode()
    for line in ("Goes back to the buyer: €5.00", "Taken back: 25 bonus credits", "Taken back: 112 paid credits"):
        assert line in text
    assert not Refund.objects.exists()


def test_operator_refunds_by_a_button_and_their_name_stands_by_it(stripe, operator) -> None:
    payment = shop.paid(stripe)
    wish = {"key": str(uuid.uuid4()), "amount": "5.00", "policy": "proportional", "reason": "late"}
    path = page("billing_payment_refund", payment.pk)
    answer = browser(operator).post(path, wish | previewed(operator, path, wish), follow=True)
    refund = Refund.objects.get()
    assert (refund.amount_minor, refund.requested_by, refund.status) == (500, operator, RefundStatus.REQUESTED)
    link = f'href="{page("billing_refund_change", refund.pk)}">See the refund</a>'
    assert (answer.redirect_chain[0][1], link in answer.content.decode()) == (302, True)
    assert "<a" not in LogEntry.objects.get().change_message


def test_form_that_is_sent_twice_makes_one_refund(stripe, operator) -> None:
    payment = shop.paid(stripe)
    wish = {"key": str(uuid.uuid4()), "amount": "4.00", "policy": "proportional", "reason": "late"}
    path = page("billing_payment_refund", payment.pk)
    seen = previewed(operator, path, wish)
    assert browser(operator).post(path, wish | seen).status_code == 302
    assert browser(operator).post(path, wish | seen).status_code == 200  # there is less left: it is shown anew
    assert browser(operator).post(path, wish | previewed(operator, path, wish)).status_code == 302
    assert Refund.objects.get().amount_minor == 400
    press(operator, "billing_payment_refund", payment, **wish | {"key": str(uuid.uuid4()), "amount": "1.00"})
    assert Refund.objects.count() == 2


def test_nothing_is_done_that_was_not_shown(stripe, operator) -> None:
    payment = shop.paid(stripe)
    wish = {"key": str(uuid.uuid4()), "amount": "5.00", "policy": "proportional", "reason": "late"}
    answer = browser(operator).post(page("billing_payment_refund", payment.pk), wish)
    assert (answer.status_code, "Goes back to the buyer: €5.00" in answer.text) == (200, True)
    assert not Refund.objects.exists()


def test_credits_spent_between_the_look_and_the_lock_make_no_smaller_refund(stripe, operator, monkeypatch) -> None:
    payment = shop.paid(stripe)
    wish = {"key": str(uuid.uuid4()), "policy": "proportional", "reason": "late"}
    path = page("billing_payment_refund", payment.pk)
    seen, usual = previewed(operator, path, wish), refunds_by_hand.request

    def request(**asked: Any) -> Refund:
        usage.spend(user=payment.user, amount=80, key="meanwhile")
        return usual(**asked)

    monkeypatch.setattr(refunds_by_hand, "request", request)
    answer = browser(operator).post(path, wish | seen)
    assert "What it would do has changed meanwhile" in answer.text
    assert (Refund.objects.exists(), shop.credits_of(payment.user)) == (False, 195)
    monkeypatch.undo()
    anew = browser(operator).post(path, wish | {"preview": "yes"})
    assert "Goes back to the buyer: €7.08" in anew.text


def test_money_moves_by_what_was_previewed_and_by_nothing_else(stripe, operator) -> None:
    payment = shop.paid(stripe)
    path = page("billing_payment_change", payment.pk).replace("change", "refund")
    client, wish = browser(operator), {"key": str(uuid.uuid4()), "policy": "proportional", "reason": "late"}
    assert "previewed" not in client.get(path).content.decode()
    shown = client.post(path, {**wish, "amount": "5.00", "preview": "yes"}).content.decode()
    (seen,) = re.findall(r'name="previewed" value="(\w+)"', shown)
    other = client.post(path, {**wish, "amount": "7.00", "previewed": seen})
    assert "Goes back to the buyer: €7.00" in other.content.decode()
    assert not Refund.objects.exists()
    client.post(path, {**wish, "amount": "5.00", "previewed": seen})
    assert Refund.objects.get().amount_minor == 500


@pytest.mark.parametrize(
    ("language", "told"),
    [("en", "At most €9.99 can still be refunded."), ("fr", "Au plus 9,99 € peuvent encore être remboursés.")],
)
def test_refusal_is_a_sentence_above_the_form(stripe, operator, language, told) -> None:
    path, client = f"/admin/billing/payment/{shop.paid(stripe).pk}/refund/", browser(operator)
    wish = {"key": str(uuid.uuid4()), "amount": "10", "policy": "goodwill", "reason": "late"}
    answer = client.post(path, wish, headers={"accept-language": language})
    assert told in answer.content.decode().replace("\xa0", " ")
    assert not Refund.objects.exists()


@pytest.mark.parametrize(("language", "price"), [("en", "€9.99"), ("fr", "9,99\xa0€")])
def test_form_and_case_say_amounts_as_the_reader_writes_them(stripe, operator, language, price) -> None:
    payment = shop.paid(stripe)
    client, speaking = browser(operator), {"accept-language": language}
    form = client.get(f"/admin/billing/payment/{payment.pk}/refund/", headers=speaking)
    assert f"{price} " in html.unescape(form.content.decode())
    case = Case.objects.create(
        kind="mismatch", key="one", payment=payment, facts={"expected": "9.99 EUR", "said": None}
    )
    text = html.unescape(client.get(page("billing_case_change", case.pk), headers=speaking).content.decode())
    assert f": {price}</li>" in text
    assert "9.99 EUR" not in text


def test_others_may_look_and_not_refund(stripe) -> None:
    payment = shop.paid(stripe)
    user = member("refresh_payment", "cancel_payment")
    assert browser(user).get(page("billing_payment_change", payment.pk)).status_code == 200
    assert press(user, "billing_payment_refund", payment, policy="goodwill", reason="mine").status_code == 403
    assert not Refund.objects.exists()


def test_refund_by_hand_is_confirmed_with_its_proof(gateways, operator) -> None:
    payment = shop.paid(gateways["cinetpay"], currency="XOF")
    press(operator, "billing_payment_refund", payment, policy="goodwill", reason="late")
    press(operator, "billing_refund_prove", Refund.objects.get(), proof="OM-1", note="by phone")
    refund = Refund.objects.get()
    assert (refund.status, refund.proof, refund.proven_by) == (RefundStatus.SUCCEEDED, "OM-1", operator)


def test_gateway_is_asked_by_a_button(stripe, operator) -> None:
    payment = shop.buy()
    stripe.pays()
    assert press(operator, "billing_payment_refresh", payment).status_code == 302
    assert Payment.objects.get().status == "succeeded"


def test_payment_is_cancelled_by_a_button(stripe, operator) -> None:
    assert press(operator, "billing_payment_cancel", shop.buy()).status_code == 302
    assert Payment.objects.get().status == "cancelled"


def test_dead_letter_is_replayed_by_a_button(stripe, operator) -> None:
    shop.buy()
    send(stripe.letter())
    GatewayLetter.objects.update(state=LetterState.DEAD)
    press(operator, "billing_gatewayletter_replay", GatewayLetter.objects.get())
    assert GatewayLetter.objects.get().state == LetterState.PENDING


def test_case_is_closed_once_with_its_resolution(stripe, operator) -> None:
    payment = shop.paid(stripe)
    press(operator, "billing_payment_refund", payment, policy="goodwill", reason="late")
    refund = Refund.objects.get()
    stripe.refund_state = RefundState.FAILED
    refund_sending.work_through()
    case = Case.objects.get()
    press(operator, "billing_case_close", case, resolution="Paid by cheque.")
    press(operator, "billing_case_close", case, resolution="No, in cash.")
    case.refresh_from_db()
    assert (case.resolution, case.closed_by, refund.payment_id) == ("Paid by cheque.", operator, case.payment_id)


@pytest.mark.parametrize("model", ["payment", "refund", "dispute", "case", "gatewayletter"])
def test_nothing_is_added_or_deleted(stripe, operator, model) -> None:
    operator.is_superuser = True
    operator.save()
    assert browser(operator).get(page(f"billing_{model}_add")).status_code == 403


def test_operator_says_how_a_refund_ended_and_comes_to_it_from_its_case(stripe, operator) -> None:
    press(operator, "billing_payment_refund", shop.paid(stripe), policy="goodwill", reason="late")
    refund = Refund.objects.get()
    Refund.objects.update(status=RefundStatus.UNKNOWN)
    facts = {"refund": str(refund.pk), "why": "stripe does not say"}
    case = cases.open(kind=CaseKind.STILL_UNKNOWN, payment=refund.payment, key=f"refund:{refund.pk}", facts=facts)
    link = page("billing_refund_change", refund.pk)
    assert f'href="{link}"' in browser(operator).get(page("billing_case_change", case.pk)).text
    press(operator, "billing_refund_resolve", refund, end="not_arrived", proof="support, 12 May", note="")
    refund.refresh_from_db()
    case.refresh_from_db()
    assert (refund.status, refund.proof, refund.proven_by) == (RefundStatus.FAILED, "support, 12 May", operator)
    assert case.closed_by == operator


def test_case_of_a_refund_by_hand_is_not_closed_before_the_refund(gateways, operator) -> None:
    payment = shop.paid(gateways["cinetpay"], currency="XOF")
    press(operator, "billing_payment_refund", payment, policy="goodwill", reason="late")
    case = Case.objects.get()
    answer = press(operator, "billing_case_close", case, resolution="done")
    assert "Its refund still waits" in answer.content.decode()
    assert Case.objects.open().get() == case
    press(operator, "billing_refund_prove", Refund.objects.get(), proof="OM-1", note="")
    assert not Case.objects.open().exists()


def test_who_may_not_confirm_refunds_asks_for_small_ones(stripe, settings) -> None:
    settings.REFUND_ALONE_MINOR = {"EUR": 500}
    support, payment = member("request_refund"), shop.paid(stripe)
    for wish in ({}, {"preview": "yes"}):
        answer = press(support, "billing_payment_refund", payment, policy="goodwill", reason="late", **wish)
        assert "Refunds above €5.00 are asked for by a colleague" in answer.content.decode()
    press(support, "billing_payment_refund", payment, policy="goodwill", reason="late", amount="4.00")
    press(support, "billing_payment_refund", payment, policy="goodwill", reason="late", amount="1.01")  # 5.01 in all
    assert [each.amount_minor for each in Refund.objects.all()] == [400]
    finance = member("request_refund", "prove_refund")
    press(finance, "billing_payment_refund", payment, policy="goodwill", reason="late")
    assert sum(each.amount_minor for each in Refund.objects.all()) == 999


def test_refund_is_that_of_the_preview_or_shown_anew(stripe, operator) -> None:
    payment = shop.paid(stripe)
    wish = {"policy": "full_with_debt", "reason": "late", "key": str(uuid.uuid4())}

    def send(**more: str) -> str:
        return str(press(operator, "billing_payment_refund", payment, **wish, **more).content.decode())

    def shown(text: str) -> str:
        [found] = re.findall(r'name="previewed" value="([0-9a-f]+)"', text)
        return str(found)

    seen = shown(send(preview="yes"))
    usage.spend(user=payment.user, amount=80, key="meanwhile")
    anew = send(previewed=seen)
    assert "80" in re.sub(r"<[^>]+>", " ", anew)
    assert not Refund.objects.exists()
    send(previewed=shown(anew))
    assert Refund.objects.get().credits_owed == 80


def test_buttons_of_a_payment_are_those_that_can_be_pressed(stripe, operator) -> None:
    def shown(thing: Any, *names: str) -> set[str]:
        text = browser(operator).get(page(f"billing_{thing._meta.model_name}_change", thing.pk)).text
        return {name for name in names if f"/{thing.pk}/{name}/" in text}

    acts = ("refund", "refresh", "cancel")
    waiting = shop.buy()
    assert shown(waiting, *acts) == {"refresh", "cancel"}
    stripe.pays()
    shop.told(waiting)
    assert shown(Payment.objects.get(), *acts) == {"refund"}
    press(operator, "billing_payment_refund", waiting, policy="goodwill", reason="late")
    assert shown(Refund.objects.get(), "prove", "resolve", "cancel") == {"cancel"}


def test_answer_that_was_lost_is_not_said_to_have_changed_nothing(gateways, operator, monkeypatch) -> None:
    payment = shop.buy(gateways=["paypal"])
    gateways["paypal"].becomes(PaymentState.AUTHORIZED, payment.attempts.get().reference)

    def lost(_payment: Any) -> Any:
        raise Uncertain("lost", gateway="paypal")

    monkeypatch.setattr(gateways["paypal"], "capture", lost)
    text = press(operator, "billing_payment_refresh", payment).content.decode()
    assert "it may have done it" in text
    assert "Nothing was changed" not in text
