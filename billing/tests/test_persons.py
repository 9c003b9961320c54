"""Presents that are for each person once: a new account of the same person gets none (S20)."""

import importlib

import pytest
from django.contrib.auth.models import User
from django.db import connection

from billing import customers, gifts, persons, subscriptions
from billing.checkout import Wishes
from billing.models import Customer
from billing.tests import shop
from billing.tests.couponing import make_coupon
from billing.tests.subscribers import make_plan, make_user, price
from credits import balances
from rest.tests.callers import customer as caller
from rest.tests.callers import post

pytestmark = pytest.mark.django_db
SPELLINGS = ["ada.love@gmail.com", "AdaLove@GMail.com", "a.d.alove+second@googlemail.com", " adalove@gmail.com "]
OTHERS = ["ada.love@example.org", "adalove@example.org", "bob@gmail.com", "+@gmail.com"]


def account(email: str, user: User | None = None) -> User:
    made = user or shop.make_user()
    customers.change(customers.get(made), by=made, email=email.strip())
    return made


def test_spellings_of_one_address_are_one_person() -> None:
    assert len({persons.key_of(each) for each in SPELLINGS}) == 1
    assert len({persons.key_of(each) for each in [*OTHERS, SPELLINGS[0]]}) == 5
    assert persons.key_of("") == ""


def test_older_rows_are_filled_in_with_the_same_keys() -> None:
    for email in [*SPELLINGS, *OTHERS]:
        Customer.objects.create(user=shop.make_user(), email=email)
    fill = importlib.import_module("billing.migrations.0026_one_person").FILL
    with connection.cursor() as cursor:
        cursor.execute(fill)
    assert all(each.person == persons.key_of(each.email) for each in Customer.objects.all())


def test_gift_is_not_given_again_to_another_account_of_the_person() -> None:
    make_coupon(code="HELLO", kind="gift", credits=100, limit_per_customer=1)
    gifts.redeem(user=account(SPELLINGS[0]), code="HELLO")
    again = account(SPELLINGS[2])
    answer = post("coupons/redeem", caller(again), {"code": "HELLO"})
    assert (answer.status_code, answer.json()["code"]) == (409, "coupon_used_by_you")
    assert balances.of(again).available == 0
    gifts.redeem(user=account(OTHERS[0]), code="HELLO")
    gifts.redeem(user=shop.make_user(), code="HELLO")  # without an address nobody is anybody's other account
    gifts.redeem(user=shop.make_user(), code="HELLO")


def test_shop_may_leave_it(settings) -> None:
    settings.ONE_PERSON_BY_EMAIL = False
    make_coupon(code="HELLO", kind="gift", credits=100, limit_per_customer=1)
    for spelling in SPELLINGS:
        gifts.redeem(user=account(spelling), code="HELLO")
    assert Customer.objects.count() == len(SPELLINGS)


def test_first_purchase_is_that_of_the_person(stripe) -> None:
    make_coupon(code="FIRST", basis_points=2_000, is_first_purchase_only=True)
    shop.paid(stripe, account(SPELLINGS[0]))
    wish = {"pack": "medium", "currency": "EUR", "coupon": "FIRST"}
    answer = post("checkouts", caller(account(SPELLINGS[1])), wish)
    assert (answer.status_code, answer.json()["code"]) == (409, "coupon_first_purchase_only")
    assert post("checkouts", caller(account(OTHERS[0])), wish).status_code == 201


def test_trial_is_one_for_the_person(gateways) -> None:
    make_plan("trial", {"month": 999}, trial_days=14)

    def begin(user: User) -> str:
        wishes = Wishes(gateways=("paypal",))
        return str(subscriptions.start(user=user, price=price("trial"), wishes=wishes).subscription.status)

    assert begin(account(SPELLINGS[0], make_user())) == "trialing"
    assert begin(account(SPELLINGS[1], make_user())) == "incomplete"
    assert begin(account(OTHERS[0], make_user())) == "trialing"


class TestAddressThatIsGivenUp:
    """The account that has had its present takes another address, so that a new one may come with the first."""

    def give_up(self, user: User) -> None:
        account(OTHERS[2], user)

    def test_its_gift_stays_used(self) -> None:
        make_coupon(code="HELLO", kind="gift", credits=100, limit_per_customer=1)
        gifts.redeem(user=(first := account(SPELLINGS[0])), code="HELLO")
        self.give_up(first)
        for spelling in (SPELLINGS[2], OTHERS[2]):
            answer = post("coupons/redeem", caller(account(spelling)), {"code": "HELLO"})
            assert (answer.status_code, answer.json()["code"]) == (409, "coupon_used_by_you")
        gifts.redeem(user=account(OTHERS[0]), code="HELLO")

    def test_its_first_purchase_was_the_first(self, stripe) -> None:
        make_coupon(code="FIRST", basis_points=2_000, is_first_purchase_only=True)
        shop.paid(stripe, first := account(SPELLINGS[0]))
        self.give_up(first)
        answer = post(
            "checkouts", caller(account(SPELLINGS[1])), {"pack": "medium", "currency": "EUR", "coupon": "FIRST"}
        )
        assert (answer.status_code, answer.json()["code"]) == (409, "coupon_first_purchase_only")

    def test_purchase_counts_for_the_address_under_which_it_was_paid(self, stripe) -> None:
        make_coupon(code="FIRST", basis_points=2_000, is_first_purchase_only=True)
        payment = shop.buy(first := account(SPELLINGS[0]), gateways=["stripe"])
        account(OTHERS[0], first)
        stripe.pays()
        shop.told(payment)
        self.give_up(first)
        wish = {"pack": "medium", "currency": "EUR", "coupon": "FIRST"}
        assert post("checkouts", caller(account(OTHERS[0])), wish).status_code == 409

    def test_its_trial_was_the_one(self, gateways) -> None:
        make_plan("trial", {"month": 999}, trial_days=14)
        first = account(SPELLINGS[0], make_user())
        wishes = Wishes(gateways=("paypal",))
        subscriptions.start(user=first, price=price("trial"), wishes=wishes)
        self.give_up(first)
        again = account(SPELLINGS[1], make_user())
        assert subscriptions.start(user=again, price=price("trial"), wishes=wishes).subscription.status == "incomplete"

    def test_address_under_which_nothing_was_used_is_free_again(self) -> None:
        make_coupon(code="HELLO", kind="gift", credits=100, limit_per_customer=1)
        thief = account(OTHERS[0])
        gifts.redeem(user=thief, code="HELLO")
        for stranger in (SPELLINGS[0], OTHERS[2]):  # it names the addresses of others, one after the other
            account(stranger, thief)
        gifts.redeem(user=account(SPELLINGS[1]), code="HELLO")


def test_used_by_another_account_names_no_payment_of_it(stripe) -> None:
    make_coupon(code="ONCE", basis_points=1_000, limit_per_customer=1)
    first = account(SPELLINGS[0])
    shop.make_pack()
    assert post("checkouts", caller(first), {"pack": "medium", "currency": "EUR", "coupon": "ONCE"}).status_code == 201
    answer = post("checkouts", caller(account(SPELLINGS[1])), {"pack": "medium", "currency": "EUR", "coupon": "ONCE"})
    assert answer.status_code == 409
    assert answer.json().get("payment") is None
