"""What a gateway is told of a customer, and the id by which it knows them."""

import pytest

from billing import buyers, customers
from billing.models import Payment
from billing.tests import shop

pytestmark = pytest.mark.django_db


def test_first_id_that_a_gateway_gave_stays() -> None:
    user = shop.make_user()
    assert buyers.id_at("stripe", user) == ""
    for gateway_id in ("cus_1", "cus_2"):
        buyers.remember(user=user, gateway="stripe", gateway_id=gateway_id)
    assert (buyers.id_at("stripe", user), buyers.id_at("paypal", user)) == ("cus_1", "")


def test_payment_tells_of_the_day_on_which_it_was_begun() -> None:
    user = shop.make_user()
    buyers.remember(user=user, gateway="stripe", gateway_id="cus_1")
    customer = customers.get(user)
    customer.name, customer.company, customer.country = "Ann Lee", "Lee SARL", "FR"
    buyer = buyers.of(customer, "stripe")
    assert (buyer.id, buyer.name, buyer.phone, buyer.country) == (user.username, "Lee SARL", "", "FR")
    assert buyer.gateway_customer == "cus_1"
    payment = Payment(user=user, country="CI", phone="+2250700000000")
    told = buyers.of(customer, "paypal", payment)
    assert (told.phone, told.country, told.gateway_customer) == ("+2250700000000", "CI", "")
