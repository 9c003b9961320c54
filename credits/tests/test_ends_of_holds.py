"""Who may end a hold: customers one of their own making, services and our code any. Else paid work becomes free."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from credits import balances, errors, holds
from credits.decorators import credits_hold
from credits.models import Hold
from credits.tests.people import give
from events.models import Event
from rest.tests.callers import customer, post, service

ENDS = pytest.mark.parametrize(("act", "body"), [("settle", {"amount": 1}), ("settle", {}), ("release", {})])
FILM = {"amount": 50, "reference": "film 1", "seconds": 600}


@pytest.fixture
def ann(db: Any, user: User) -> User:
    give(user, 100)
    return user


@pytest.fixture
def shop(ann: User) -> dict[str, str]:
    return service("spend_credits", acts_for=ann)


def held_by_a_service(user: User) -> Any:
    return post("credits/holds", service("spend_credits", acts_for=user), FILM).json()["hold"]


def held_by_our_code(user: User) -> Any:
    return holds.reserve(user=user, amount=50, key="job 1").id


MAKERS = pytest.mark.parametrize("make", [held_by_a_service, held_by_our_code])


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@ENDS
@MAKERS
def test_a_customer_does_not_find_a_hold_of_the_house(
    ann: User, make: Callable[[User], Any], act: str, body: dict[str, Any]
) -> None:
    hold = make(ann)
    for key in (None, "mine"):
        assert refusal(post(f"credits/holds/{hold}/{act}", customer(ann), body, key=key)) == (404, "not_found")
    assert (Hold.objects.get().state, balances.of(ann).available) == ("open", 50)


@MAKERS
def test_a_service_ends_any_hold_of_its_customer(ann: User, shop: Any, make: Callable[[User], Any]) -> None:
    assert post(f"credits/holds/{make(ann)}/settle", shop, {"amount": 20}).status_code == 201
    hold = post("credits/holds", customer(ann), {"amount": 5}).json()["hold"]
    assert post(f"credits/holds/{hold}/release", shop).status_code == 200
    assert balances.of(ann).available == 80


@pytest.mark.parametrize("by_proxy", [False, True])
def test_customers_end_the_holds_that_they_made(ann: User, settings: Any, by_proxy: bool) -> None:
    settings.TRUST_PROXY_HEADERS, settings.INTERNAL_API_KEY = True, "k" * 40
    vouched = {"x-user-id": ann.get_username(), "x-internal-key": settings.INTERNAL_API_KEY}
    who = vouched if by_proxy else customer(ann)
    used, freed = (post("credits/holds", who, {"amount": 10}).json()["hold"] for _ in range(2))
    assert post(f"credits/holds/{used}/settle", who, {"amount": 4}).json()["available"] == 86
    assert post(f"credits/holds/{freed}/release", who).json()["available"] == 96


def test_a_customer_told_of_an_expired_hold_cannot_settle_it_for_one_credit(ann: User, shop: Any) -> None:
    held = holds.reserve(user=ann, amount=50, key="job", seconds=1, at=timezone.now() - timedelta(seconds=9))
    assert holds.expire_due() == 1
    told = Event.objects.get(user=ann, type="hold.expired").data["hold"]
    assert refusal(post(f"credits/holds/{told}/settle", customer(ann), {"amount": 1})) == (404, "not_found")
    assert post(f"credits/holds/{held.id}/settle", shop).json()["cost"] == 50


def test_a_customer_who_knows_the_key_does_not_get_the_hold(ann: User, shop: Any) -> None:
    assert post("credits/holds", shop, FILM, key="film-1").status_code == 201
    for who, expected in ((customer(ann), 422), (shop, 201)):
        assert post("credits/holds", who, FILM, key="film-1").status_code == expected
    assert Hold.objects.count() == 1


def test_a_hold_that_a_customer_made_beforehand_is_no_pay(ann: User, shop: Any) -> None:
    dead = post("credits/holds", customer(ann), FILM, key="film-1").json()["hold"]
    post(f"credits/holds/{dead}/release", customer(ann))
    assert refusal(post("credits/holds", shop, FILM, key="film-1")) == (422, "idempotency_key_reused")
    assert post("credits/holds", customer(ann), FILM, key="film-1").json()["hold"] == dead
    post("credits/holds", customer(ann), {"amount": 5}, key="job-7")
    with pytest.raises(errors.KeyReused), credits_hold(ann, amount=5, key="job-7"):
        pytest.fail("it started")
