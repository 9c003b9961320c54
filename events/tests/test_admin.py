"""The admin: one customer's stream, dead letters first, and what operators can do about them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import override
from standardwebhooks import Webhook

from events import dispatching, endpoints, mail, sending
from events.admin.endpoints import RangeForm
from events.admin.refusal_words import WORDS
from events.errors import DeliveryUnderWay, EndpointDisabled, EventsError, TooManyEndpoints
from events.models import Delivery, Endpoint, Event, Message
from events.tests.receivers import Receiver
from rest.acts import words_of
from rest.tests.operators import signed_in

pytestmark = pytest.mark.django_db
Tell = Callable[..., Event]


@pytest.fixture
def dead(user: User, receiver: Receiver, tell: Tell) -> Delivery:
    endpoints.add(url=receiver.url, by="shop")
    tell(user)
    dispatching.tell_new()
    Delivery.objects.update(state="dead", attempts=14, first_sent_at=timezone.now(), last_error="answered 500")
    return Delivery.objects.get()


def test_stream_of_one_customer_is_found_by_their_name(user: User, tell: Tell) -> None:
    other = User.objects.create(username="other")
    mine, theirs = tell(user), tell(other)
    page = signed_in("auditor").get(reverse("admin:events_event_changelist"), {"q": user.get_username()})
    assert str(mine.pk) in page.content.decode()
    assert str(theirs.pk) not in page.content.decode()


@pytest.mark.parametrize("model", ["event", "delivery", "message", "endpoint"])
def test_every_list_and_page_is_shown(dead: Delivery, model: str, reach, tell: Tell) -> None:
    reach(dead.event.user)
    tell(dead.event.user, "payment.succeeded")
    dispatching.tell_new()
    client = signed_in(is_superuser=True)
    listed = client.get(reverse(f"admin:events_{model}_changelist"))
    assert listed.status_code == 200
    thing = listed.context["cl"].queryset.first()
    assert client.get(reverse(f"admin:events_{model}_change", args=[thing.pk])).status_code == 200


def test_dead_letters_come_first(dead: Delivery, tell: Tell) -> None:
    tell(dead.event.user)
    dispatching.tell_new()
    listed = signed_in("support").get(reverse("admin:events_delivery_changelist"))
    assert [row.state for row in listed.context["cl"].result_list] == ["dead", "pending"]


def test_replay_asks_first_and_then_sends_once_more(dead: Delivery, receiver: Receiver) -> None:
    client = signed_in("support")
    path = reverse("admin:events_delivery_replay", args=[dead.pk])
    assert client.get(path).status_code == 200
    dead.refresh_from_db()
    assert dead.state == "dead"
    assert client.post(path, {"key": str(uuid4())}).status_code == 302
    sending.run()
    dead.refresh_from_db()
    assert (dead.state, dead.attempts, len(receiver.requests)) == ("delivered", 1, 1)


def test_chosen_dead_letters_are_replayed_together(dead: Delivery, receiver: Receiver, tell: Tell) -> None:
    tell(dead.event.user)
    dispatching.tell_new()
    Delivery.objects.update(state="dead")
    chosen = [str(pk) for pk in Delivery.objects.values_list("pk", flat=True)]
    path = reverse("admin:events_delivery_changelist")
    signed_in("support").post(path, {"action": "replay_chosen", "_selected_action": chosen})
    sending.run()
    assert len(receiver.heard()) == 2


def test_who_may_only_look_cannot_replay(dead: Delivery) -> None:
    client = signed_in("auditor")
    assert client.post(reverse("admin:events_delivery_replay", args=[dead.pk])).status_code == 403
    path = reverse("admin:events_delivery_changelist")
    client.post(path, {"action": "replay_chosen", "_selected_action": [str(dead.pk)]})
    dead.refresh_from_db()
    assert dead.state == "dead"


@pytest.fixture
def failed() -> Message:
    cache.delete(mail.FLOOR)
    at = timezone.now().isoformat()
    data = {"endpoint": "1", "url": "https://x.example/", "reason": "failing", "disabled_at": at}
    return Message.objects.create(
        key="1", kind="endpoint_disabled", address="op@example.com", locale="en", data=data, state="failed", attempts=12
    )


def test_letter_that_was_given_up_is_sent_again_by_people(failed: Message, mailoutbox) -> None:
    client = signed_in("support")
    path = reverse("admin:events_message_send_again", args=[failed.pk])
    assert client.get(path).status_code == 200
    failed.refresh_from_db()
    assert failed.state == "failed"
    assert client.post(path, {"key": str(uuid4())}).status_code == 302
    mail.send_due()
    failed.refresh_from_db()
    assert (failed.state, failed.attempts, len(mailoutbox)) == ("sent", 1, 1)


def test_chosen_letters_are_sent_again_together(failed: Message, mailoutbox) -> None:
    under_way = Message.objects.create(key="2", kind="case", address="op@example.com", locale="en", state="sending")
    path, chosen = reverse("admin:events_message_changelist"), [str(failed.pk), str(under_way.pk)]
    signed_in("support").post(path, {"action": "send_chosen_again", "_selected_action": chosen})
    assert dict(Message.objects.values_list("key", "state")) == {"1": "queued", "2": "sending"}


def test_who_may_only_look_sends_no_letter_again(failed: Message) -> None:
    client = signed_in("auditor")
    assert client.post(reverse("admin:events_message_send_again", args=[failed.pk])).status_code == 403
    chosen = {"action": "send_chosen_again", "_selected_action": [str(failed.pk)]}
    client.post(reverse("admin:events_message_changelist"), chosen)
    failed.refresh_from_db()
    assert failed.state == "failed"


def test_endpoint_is_added_with_its_secret_on_the_answer(receiver: Receiver, user: User, tell: Tell) -> None:
    client = signed_in(is_superuser=True)
    page = client.post(reverse("admin:events_endpoint_add"), {"url": receiver.url, "types": ["credits.low"]})
    assert page.status_code == 200
    assert "no-store" in page["Cache-Control"]
    secret = page.context["secret"]
    assert secret in page.content.decode()
    tell(user)
    dispatching.tell_new()
    sending.run()
    assert receiver.verified(secret)
    endpoint = Endpoint.objects.get()
    rotated = client.post(reverse("admin:events_endpoint_rotate", args=[endpoint.pk]), {"key": str(uuid4())})
    [(headers, body)] = receiver.requests
    with pytest.raises(Exception, match="No matching signature"):
        Webhook(rotated.context["secret"]).verify(body, headers)


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "This server is not on the public internet."), ("fr", "Ce serveur n’est pas sur l’internet public.")],
)
def test_private_address_is_refused_in_the_form(settings, language: str, said: str) -> None:
    settings.WEBHOOKS_ALLOW_PRIVATE_ADDRESSES = False
    path, speaking = reverse("admin:events_endpoint_add"), {"accept-language": language}
    page = signed_in(is_superuser=True).post(path, {"url": "http://10.0.0.1/"}, headers=speaking)
    assert said in page.content.decode()
    assert not Endpoint.objects.exists()


def test_one_endpoint_too_many_is_refused_in_the_form(receiver: Receiver, monkeypatch) -> None:
    monkeypatch.setattr(endpoints, "MOST_ENDPOINTS", 0)
    page = signed_in(is_superuser=True).post(reverse("admin:events_endpoint_add"), {"url": receiver.url})
    assert "There are 0 endpoints already; delete one first." in page.content.decode()
    assert not Endpoint.objects.exists()


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (EndpointDisabled(), "Ce point de réception est désactivé. Activez-le d’abord."),
        (DeliveryUnderWay(), "Cette livraison est en cours en ce moment même."),
        (TooManyEndpoints(3), "Il y a déjà 3 points de réception ; supprimez-en un d’abord."),
    ],
)
def test_refusal_is_told_in_french(refusal: EventsError, said: str) -> None:
    with override("fr"):
        assert words_of(refusal, WORDS) == said


def test_endpoint_is_disabled_enabled_and_told_again(dead: Delivery) -> None:
    client = signed_in(is_superuser=True)

    def press(name: str, **fields: Any) -> Any:
        path = reverse(f"admin:events_endpoint_{name}", args=[dead.endpoint_id])
        return client.post(path, fields | {"key": str(uuid4())})

    press("disable")
    assert Endpoint.objects.get().disabled_reason == "by_hand"
    refused = press("replay_range", since="2020-01-01T00:00", until="2100-01-01T00:00")
    assert "This endpoint is disabled" in refused.content.decode()
    press("enable")
    assert Endpoint.objects.get().disabled_at is None
    press("replay_range", since="2100-01-01T00:00", until="2020-01-01T00:00")
    dead.refresh_from_db()
    assert dead.state == "dead"
    press("replay_range", since="2020-01-01T00:00", until="2100-01-01T00:00")
    dead.refresh_from_db()
    assert dead.state == "pending"


def test_range_is_read_by_the_operators_clock_which_the_form_names(dead: Delivery, settings: Any) -> None:
    settings.OPERATORS_TIME_ZONE = "Asia/Kolkata"
    client = signed_in(is_superuser=True)
    path = reverse("admin:events_endpoint_replay_range", args=[dead.endpoint_id])
    assert {str(RangeForm.base_fields[name].help_text) for name in ("since", "until")} == {"Asia/Kolkata"}
    there = timezone.now().astimezone(ZoneInfo("Asia/Kolkata"))
    since, until = (f"{there + timedelta(hours=hours):%Y-%m-%dT%H:%M}" for hours in (-1, 1))
    client.post(path, {"since": since, "until": until, "key": str(uuid4())})
    dead.refresh_from_db()
    assert dead.state == "pending"


def test_links_of_a_customer_are_not_shown_to_who_may_only_look(user: User) -> None:
    data = {"plan": "premium", "retry_url": "https://shop.example/renew/t"}
    event = Event.objects.create(user=user, type="subscription.past_due", data=data)
    client = signed_in("auditor")
    for url in (reverse("admin:events_event_changelist"), reverse("admin:events_event_change", args=[event.pk])):
        text = client.get(url).content.decode()
        assert ("premium" in text, "/renew/t" in text) == (True, False)
