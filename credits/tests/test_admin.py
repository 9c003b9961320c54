from datetime import timedelta

import pytest
from auditlog.models import LogEntry
from django.contrib.auth.models import User
from django.utils import timezone

from credits.models import Cost, Pack, PackPrice
from credits.tests.factories import make_between, make_cost, make_pack, make_price, make_rule
from rest.tests.operators import errors, page, signed_in

pytestmark = pytest.mark.django_db


COST = {
    "action": "ai.generate",
    "catalogue": "ai-credits",
    "kind": "fixed",
    "amount": "8",
    "unit": "CREDIT",
    "label_en": "Generate",
    "is_active": "on",
}


def test_pack_page_shows_every_version_of_its_prices_and_changes_none() -> None:
    sold = make_pack({"EUR": 999})
    make_price(sold, amount_minor=899, valid_from=timezone.now() - timedelta(hours=1))
    browser = signed_in("finance")
    text = browser.get(page("credits_pack_change", sold.pk)).content.decode()
    assert "€9.99" in text
    assert "€8.99" in text
    assert 'name="prices-0-amount_minor"' not in text
    assert "€8.99" in browser.get(page("credits_pack_changelist")).content.decode()


def test_new_price_is_a_new_version_by_whoever_made_it() -> None:
    sold = make_pack({"EUR": 999})
    browser = signed_in("finance")
    to_form = browser.get(page("credits_pack_new_price", sold.pk))
    assert to_form.status_code == 302
    assert browser.get(to_form["Location"]).status_code == 200
    form = {"pack": sold.pk, "currency": "eur", "amount": "8,99", "valid_from_0": "", "valid_from_1": ""}
    answer = browser.post(page("credits_packprice_add"), form)
    assert answer.status_code == 302, answer.content.decode()
    new = PackPrice.objects.latest("valid_from")
    assert (new.amount_minor, new.currency, new.created_by) == (899, "EUR", User.objects.get(username="olive"))
    assert PackPrice.objects.count() == 2
    assert LogEntry.objects.get(object_pk=new.pk, content_type__model="packprice").actor == new.created_by


@pytest.mark.parametrize(
    ("said", "field", "message"),
    [
        ({"amount": "9.995"}, "amount", "9.995 has more decimals than EUR, which has 2."),
        ({"amount": "0"}, "amount", "The price must be above zero."),
        ({"amount": "-1"}, "amount", "Write an amount such as 12 or 9.99."),
        (
            {"amount": "999", "currency": "XOF"},
            "amount",
            "F\u202fCFA\xa0999 cannot be paid by cinetpay. Possible amounts",
        ),
        ({"currency": "EUX"}, "currency", "This is no currency of ISO 4217."),
        ({"valid_from_0": "2020-01-01", "valid_from_1": "00:00"}, "valid_from", "cannot begin in the past"),
    ],
)
def test_new_price_is_refused_with_the_reason(said: dict[str, str], field: str, message: str) -> None:
    sold = make_pack({"EUR": 999})
    form = {"pack": sold.pk, "currency": "EUR", "amount": "8.99", "valid_from_0": "", "valid_from_1": ""}
    found = errors(signed_in("finance").post(page("credits_packprice_add"), form | said))
    assert list(found) == [field]
    assert message in found[field][0]
    assert PackPrice.objects.count() == 1


def test_price_that_gateways_do_not_take_is_refused_in_french() -> None:
    form = {"pack": make_pack().pk, "currency": "EUR", "amount": "0.49", "valid_from_0": "", "valid_from_1": ""}
    answer = signed_in("finance").post(page("credits_packprice_add"), form, headers={"accept-language": "fr"})
    (said,) = errors(answer)["amount"]
    assert said == "0,49\xa0€ ne peut être payé par stripe. Montants possibles les plus proches : 0,50\xa0€."


def test_planned_price_waits_for_its_day() -> None:
    sold = make_pack({"EUR": 999})
    day = timezone.now() + timedelta(days=30)
    form = {"pack": sold.pk, "currency": "EUR", "amount": "12", "valid_from_0": f"{day:%Y-%m-%d}"}
    browser = signed_in("finance")
    assert browser.post(page("credits_packprice_add"), form | {"valid_from_1": "00:00:00"}).status_code == 302
    assert PackPrice.objects.valid_at(timezone.now()).get().amount_minor == 999
    assert PackPrice.objects.valid_at(day).get().amount_minor == 1200
    browser.get(page("credits_pack_changelist"))  # which says that the price was added
    listed = browser.get(page("credits_pack_changelist")).content.decode()
    assert ("€9.99" in listed, "€12.00" in listed) == (True, False)


def test_new_version_of_a_cost_begins_with_what_holds_now() -> None:
    known = make_cost(amount=5, real_cost_micros=40_000, real_cost_currency="EUR")
    browser = signed_in("finance")
    form_page = browser.get(browser.get(page("credits_cost_new_version", known.pk))["Location"])
    initial = form_page.context["adminform"].form.initial
    assert (initial["action"], initial["amount"], initial["real_cost_micros"]) == ("ai.generate", "5", "40000")
    answer = browser.post(page("credits_cost_add"), COST)
    assert answer.status_code == 302, answer.content.decode()
    assert [(cost.version, cost.amount) for cost in Cost.objects.all()] == [(2, 8), (1, 5)]
    assert Cost.objects.get(version=2).created_by == User.objects.get(username="olive")


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"amount": ""}, "amount"),
        ({"minimum": "1"}, "minimum"),
        ({"kind": "between", "minimum": "10", "maximum": "50"}, "amount"),
        ({"kind": "between", "amount": "", "minimum": "10"}, "maximum"),
        ({"kind": "between", "amount": "", "minimum": "50", "maximum": "10"}, "__all__"),
        ({"catalogue": "image-credits"}, "catalogue"),
        ({"action": "Not a code"}, "action"),
        ({"real_cost_micros": "5"}, "__all__"),
        ({"valid_from_0": "2020-01-01", "valid_from_1": "00:00"}, "valid_from"),
    ],
)
def test_wrong_version_of_a_cost_is_refused_at_its_field(said: dict[str, str], field: str) -> None:
    make_cost()
    assert list(errors(signed_in("finance").post(page("credits_cost_add"), COST | said))) == [field]
    assert Cost.objects.count() == 1


def test_versions_are_listed_and_neither_changed_nor_deleted() -> None:
    cost = make_between(10, 50, real_cost_micros=1_500, real_cost_currency="EUR")
    browser = signed_in("finance")
    text = browser.get(page("credits_cost_changelist")).content.decode()
    assert "10 - 50" in text
    assert "0.001500 EUR" in text
    assert browser.post(page("credits_cost_change", cost.pk), COST).status_code == 403
    assert browser.post(page("credits_cost_delete", cost.pk), {"post": "yes"}).status_code == 403
    assert Cost.objects.get().kind == "between"


def test_pack_goes_off_sale_and_keeps_its_code() -> None:
    sold = make_pack({"EUR": 999})
    browser = signed_in("finance")
    form = {"code": "other", "name_en": "New", "credits": "100", "bonus": "0", "position": "1",
            "prices-TOTAL_FORMS": "0", "prices-INITIAL_FORMS": "0"}  # fmt: skip
    answer = browser.post(page("credits_pack_change", sold.pk), form)
    assert answer.status_code == 302, answer.content.decode()
    sold.refresh_from_db()
    assert (sold.code, sold.name_en, sold.is_active) == ("image-100", "New", False)
    assert browser.post(page("credits_pack_delete", sold.pk), {"post": "yes"}).status_code == 403


def test_support_reads_and_changes_nothing() -> None:
    sold, cost, rule = make_pack({"EUR": 999}), make_cost(), make_rule()
    browser = signed_in("support")
    for model, row in (("pack", sold), ("cost", cost), ("grantrule", rule), ("packprice", sold.prices.get())):
        assert browser.get(page(f"credits_{model}_changelist")).status_code == 200
        assert browser.get(page(f"credits_{model}_change", row.pk)).status_code == 200
        assert browser.get(page(f"credits_{model}_add")).status_code == 403
    assert browser.get(page("credits_pack_new_price", sold.pk)).status_code == 403
    assert browser.get(page("credits_cost_new_version", cost.pk)).status_code == 403
    assert browser.post(page("credits_packprice_add"), {}).status_code == 403
    assert (Pack.objects.count(), PackPrice.objects.count(), Cost.objects.count()) == (1, 1, 1)
