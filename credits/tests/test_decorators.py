"""Work in Python that costs credits: charged when it succeeds, and only then."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.signals import request_finished
from django.db import IntegrityError, close_old_connections, transaction
from django.test import Client

from credits import balances, costs, errors, holds, middleware
from credits.decorators import credits_hold
from credits.models import CostKind, Hold, Spend
from credits.tests import toys
from credits.tests.factories import make_between, make_cost
from credits.tests.people import give, make_user, standing
from rest.tests.callers import customer, service

pytestmark = pytest.mark.urls("credits.tests.toys")


@pytest.fixture
def ann(db: Any) -> User:
    user = make_user()
    make_cost(action="image.generate", amount=5)
    give(user, 20)
    return user


def break_after(act: Callable[[], Any]) -> None:
    act()
    raise toys.Broken


def call(path: str, user: User, **headers: str) -> Any:
    client = Client(raise_request_exception=False)
    return client.post(f"/{path}", "{}", content_type="application/json", headers=customer(user) | headers)


def leave(answer: Any) -> None:
    """Close it as a server does, but leave the test its connection."""
    request_finished.disconnect(close_old_connections)
    try:
        answer.close()
    finally:
        request_finished.connect(close_old_connections)


# ---------------------------------------------------------------- with credits_hold


def test_work_that_is_done_is_charged(ann: User) -> None:
    with credits_hold(ann, "image.generate", reference=7) as hold:
        assert standing(ann) == (15, 5)
    assert standing(ann) == (15, 0)
    assert hold.spent is not None
    spend = Spend.objects.get(pk=hold.spent.id)
    assert (spend.action, spend.reference, spend.amount) == ("image.generate", "7", 5)


def test_work_that_fails_costs_nothing(ann: User) -> None:
    with pytest.raises(ZeroDivisionError), credits_hold(ann, "image.generate"):
        1 / 0  # noqa: B018
    assert (standing(ann), Hold.objects.get().state) == ((20, 0), "released")


def test_work_does_not_start_without_the_credits(ann: User) -> None:
    with pytest.raises(errors.InsufficientCredits), credits_hold(ann, amount=21):
        pytest.fail("it started")
    assert standing(ann) == (20, 0)


@pytest.mark.parametrize(("used", "left"), [(0, 20), (3, 17), (10, 10)])
def test_work_may_take_less(ann: User, used: int, left: int) -> None:
    with credits_hold(ann, amount=10) as hold:
        hold.use(used)
    assert standing(ann) == (left, 0)


@pytest.mark.parametrize("used", [-1, 11, 1.5, True])
def test_work_takes_no_more_than_is_held(ann: User, used: Any) -> None:
    with pytest.raises(errors.InvalidUse), credits_hold(ann, amount=10) as hold:
        hold.use(used)
    assert standing(ann) == (20, 0)


def test_an_action_of_a_range_is_held_at_its_most(ann: User) -> None:
    make_between(3, 12, action="game.skip")
    with credits_hold(ann, "game.skip") as hold:
        assert hold.amount == 12
        hold.use(4)
    assert standing(ann) == (16, 0)


def test_what_was_ended_by_hand_is_not_ended_again(ann: User) -> None:
    with credits_hold(ann, amount=10) as hold:
        hold.release()
    assert standing(ann) == (20, 0)
    with credits_hold(ann, amount=10) as hold:
        hold.settle()
    assert standing(ann) == (10, 0)


def test_work_that_was_charged_and_then_fails_stays_charged(ann: User, caplog: Any) -> None:
    with pytest.raises(toys.Broken), credits_hold(ann, amount=10) as hold:
        break_after(hold.settle)
    assert (standing(ann), Hold.objects.get().state, caplog.messages) == ((10, 0), "settled", [])


def test_hold_that_cannot_be_given_back_hides_no_failure_of_the_work(ann: User, caplog: Any) -> None:
    """Somebody else has used it meanwhile."""
    with pytest.raises(toys.Broken), credits_hold(ann, amount=10) as hold:
        break_after(lambda: holds.settle(hold=hold.id))
    assert (standing(ann), Hold.objects.get().state) == ((10, 0), "settled")
    [told] = [record for record in caplog.records if record.name == "credits.decorators"]
    assert (told.message, told.hold, told.reason) == ("hold.not_released", str(hold.id), "HoldResolved")


def test_the_same_key_does_not_do_the_work_twice(ann: User) -> None:
    with credits_hold(ann, amount=5, key="job 1"):
        pass
    with pytest.raises(errors.HoldResolved), credits_hold(ann, amount=5, key="job 1"):
        pytest.fail("it started again")
    assert standing(ann) == (15, 0)


def test_a_rollback_undoes_the_hold_and_the_spend(ann: User) -> None:
    with transaction.atomic():
        with credits_hold(ann, amount=5):
            pass
        assert standing(ann) == (15, 0)
        transaction.set_rollback(True)
    assert (standing(ann), Hold.objects.count(), Spend.objects.count()) == ((20, 0), 0, 0)


def test_an_error_of_the_database_comes_out_as_itself(ann: User) -> None:
    """Nothing can be written in a transaction that has failed; the rollback gives the credits back."""
    with pytest.raises(IntegrityError), transaction.atomic(), credits_hold(ann, amount=5):
        User.objects.bulk_create([User(username=ann.username)])
    assert (standing(ann), Hold.objects.count()) == ((20, 0), 0)


def test_an_exception_that_is_caught_inside_leaves_a_released_hold(ann: User) -> None:
    with transaction.atomic(), pytest.raises(ZeroDivisionError), credits_hold(ann, amount=5):
        1 / 0  # noqa: B018
    assert (standing(ann), Hold.objects.get().state) == ((20, 0), "released")


@pytest.mark.django_db(transaction=True)
def test_outside_of_a_transaction_a_hold_is_seen_at_once(run_together: Any) -> None:
    user = make_user()
    give(user, 20)
    with credits_hold(user, amount=15):
        assert run_together(1, lambda: standing(user)) == [(5, 15)]


@pytest.mark.django_db(transaction=True)
def test_outside_of_a_transaction_work_that_fails_costs_nothing() -> None:
    user = make_user()
    give(user, 20)
    with pytest.raises(toys.Broken), credits_hold(user, amount=5):
        raise toys.Broken
    assert standing(user) == (20, 0)


def test_work_that_died_goes_on_under_its_key(ann: User) -> None:
    """Its process was killed, and left the hold open: whoever does it again takes the same one."""
    held = holds.reserve(user=ann, amount=5, key="job:7")
    with credits_hold(ann, amount=5, key="job:7") as hold:
        assert hold.id == held.id
    assert standing(ann) == (15, 0)


def test_a_hold_that_was_given_back_meanwhile_is_told(ann: User) -> None:
    with pytest.raises(errors.HoldResolved), credits_hold(ann, amount=10) as hold:
        holds.release(hold=hold.id)
    assert standing(ann) == (20, 0)


# ---------------------------------------------------------------- views


@pytest.mark.parametrize(("path", "cost"), [("api/toys/plain", 5), ("toys/plain", 5), ("api/toys/drawing", 10)])
@pytest.mark.parametrize(("then", "status"), [("fine", 200), ("moved", 302)])
def test_a_view_is_charged_for_a_success(ann: User, path: str, cost: int, then: str, status: int) -> None:
    assert call(f"{path}?then={then}", ann).status_code == status
    assert (standing(ann), Hold.objects.get().state) == ((20 - cost, 0), "settled")


@pytest.mark.parametrize("path", ["api/toys/plain", "toys/plain", "api/toys/drawing"])
@pytest.mark.parametrize(("then", "status"), [("refused", 400), ("broken", 500), ("raise", 500)])
def test_a_view_is_not_charged_for_an_error(ann: User, path: str, then: str, status: int) -> None:
    assert call(f"{path}?then={then}", ann).status_code == status
    assert (standing(ann), Hold.objects.get().state) == ((20, 0), "released")


@pytest.mark.parametrize("path", ["api/toys/plain", "api/toys/drawing"])
def test_a_view_does_not_run_without_the_credits(ann: User, path: str) -> None:
    with credits_hold(ann, amount=18):
        answer = call(f"{path}?then=raise", ann)
        assert (answer.status_code, answer.json()["code"]) == (402, "insufficient_credits")
    assert not Hold.objects.filter(state="released").exists()


def test_a_page_that_costs_credits_refuses_with_a_page(ann: User) -> None:
    with credits_hold(ann, amount=18):
        answer = call("toys/plain", ann)
    assert (answer.status_code, answer.headers["Content-Type"].split(";")[0]) == (402, "text/html")


def test_a_view_says_what_it_used(ann: User) -> None:
    assert call("api/toys/drawing?use=4", ann).status_code == 200
    assert standing(ann) == (16, 0)


def test_strangers_are_refused(db: Any) -> None:
    make_cost(action="image.generate", amount=5)
    assert Client().post("/api/toys/plain").json()["code"] == "customer_required"
    assert Client().post("/api/toys/drawing", "{}", content_type="application/json").status_code == 401


@pytest.mark.parametrize("path", ["api/toys/plain", "api/toys/drawing"])
def test_a_stream_is_charged_at_its_end(ann: User, path: str) -> None:
    before = balances.of(ann).available
    answer = call(f"{path}?then=stream", ann)
    assert balances.of(ann).held > 0
    assert b"".join(answer.streaming_content) == b"onetwo"
    balance = balances.of(ann)
    assert (balance.held, balance.available < before) == (0, True)


def test_a_stream_that_breaks_costs_nothing(ann: User) -> None:
    answer = call("api/toys/plain?then=stream-breaks", ann)
    with pytest.raises(toys.Broken):
        b"".join(answer.streaming_content)
    assert standing(ann) == (20, 0)


def test_a_reader_who_leaves_has_had_something(ann: User) -> None:
    answer = call("api/toys/plain?then=stream-for-ever", ann)
    next(iter(answer.streaming_content))
    answer._iterator.close()  # the test client's wrapper, which closes the answer as a server does
    assert standing(ann) == (15, 0)


def test_a_stream_that_nobody_reads_costs_nothing(ann: User) -> None:
    leave(call("api/toys/plain?then=stream", ann))
    assert standing(ann) == (20, 0)


# ---------------------------------------------------------------- middleware


@pytest.fixture
def charging(ann: User, settings: Any) -> User:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "credits.middleware.CreditsMiddleware"]
    make_cost(action="ai.generate", amount=5, url_pattern="/api/ai/generate")
    make_cost(action="3d.render_highres", amount=8, url_pattern="/api/3d/render-highres")
    make_cost(action="3d.any", amount=1, url_pattern="/api/3d/*")
    make_cost(action="tokens", amount=2, kind=CostKind.PER_UNIT, url_pattern="/api/3d/tokens")
    return ann


@pytest.mark.parametrize(
    ("path", "cost"),
    [
        ("api/ai/generate", 5),
        ("api/3d/render-highres", 8),
        ("api/3d/preview", 1),
        ("api/3d/tokens", 2),
        ("api/3d/preview/deeper", 0),
        ("api/ai/generate/", 0),
        ("api/ai/generate2", 0),
    ],
)
def test_an_address_of_the_cost_table_costs_what_it_says(charging: User, path: str, cost: int) -> None:
    answer = call(path, charging)
    assert answer.status_code == (200 if cost else 404)
    assert standing(charging) == (20 - cost, 0)


@pytest.mark.parametrize("then", ["refused", "broken", "raise"])
@pytest.mark.parametrize("path", ["api/ai/generate", "api/3d/render-highres"])
def test_an_address_that_fails_costs_nothing(charging: User, path: str, then: str) -> None:
    assert call(f"{path}?then={then}", charging).status_code >= 400
    assert (standing(charging), Hold.objects.get().state) == ((20, 0), "released")


def test_an_address_is_refused_without_the_credits_or_credentials(charging: User) -> None:
    with credits_hold(charging, amount=18):
        answer = call("api/ai/generate", charging)
        assert (answer.status_code, answer.json()["missing"]) == (402, 3)
    assert Client().post("/api/ai/generate").status_code == 401
    assert call("api/ai/generate", charging, authorization="Bearer nonsense").status_code == 401


def test_an_address_is_charged_to_whom_a_service_speaks_for(charging: User) -> None:
    speaks, silent = service("spend_credits", acts_for=charging), service(acts_for=charging)
    assert Client().post("/api/ai/generate", headers=speaks).status_code == 200
    assert standing(charging) == (15, 0)
    answer = Client().post("/api/ai/generate", headers=silent)
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_missing")
    assert standing(charging) == (15, 0)


def test_two_stars_stand_for_anything_that_a_path_may_hold(db: None) -> None:
    make_cost(action="ai.any", amount=5, url_pattern="/api/ai/**")
    costs.forget()
    assert {path: bool(middleware.cost_of(path)) for path in ("/api/ai/a/b", "/api/ai/a\nb", "/api/a")} == {
        "/api/ai/a/b": True,
        "/api/ai/a\nb": True,
        "/api/a": False,
    }


def test_an_address_is_charged_to_whoever_is_signed_in(charging: User) -> None:
    make_cost(action="ai.page", amount=3, url_pattern="/ai/generate")
    costs.forget()
    browser = Client()
    browser.force_login(charging)
    assert browser.post("/ai/generate").status_code == 200
    assert standing(charging) == (17, 0)


def test_looking_is_free(charging: User) -> None:
    assert Client().get("/api/ai/generate").status_code == 200
    assert not Hold.objects.exists()


def test_without_the_middleware_nothing_is_charged(ann: User) -> None:
    make_cost(action="ai.generate", amount=5, url_pattern="/api/ai/generate")
    assert call("api/ai/generate", ann).status_code == 200
    assert standing(ann) == (20, 0)
