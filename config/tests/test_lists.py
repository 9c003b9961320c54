"""The operators' lists over tables that grow for ever: what is asked of them is answered by an index."""

import ast
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.utils import get_fields_from_path
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from billing import customers
from billing.admin.finding import IDS
from billing.models import Attempt, Case, Dispute, GatewayLetter, Payment, Refund
from billing.tests.paying import approved
from credits.models import Purse
from credits.tests.people import give
from credits.tests.people import make_user as make_customer
from rest import lists
from wallets.models import Wallet, Withdrawal
from wallets.tests.people import make_rule, sell_cleared
from wallets.tests.people import make_user as make_seller

# Catalogues, settings and people who work here: a page or two, read whole in a moment.
SMALL = {
    "auth.group", "auth.user", "billing.coupon", "billing.gatewaysetting", "billing.plan", "billing.taxrate",
    "credits.allowance", "credits.cost", "credits.grantrule", "credits.pack", "credits.packprice", "events.endpoint",
    "mfa.authenticator", "rest.servicetoken", "wallets.commissionrule", "wallets.saletype", "wallets.seller",
    "wallets.sellerkind", "billing.customer", "auditlog.logentry",
}  # fmt: skip
LARGE = [
    model._meta.label_lower
    for model in admin.site._registry
    if model._meta.app_label != "djstripe" and model._meta.label_lower not in SMALL
]


@pytest.fixture
def bought(db: None) -> Payment:
    """By Ann, at Stripe, and asked back."""
    ann = User.objects.create(username="ann/7")
    customers.change(customers.get(ann), by=ann, email="Ann@Shop.example")
    payment = Payment.objects.create(
        user=ann, kind="amount", amount_minor=500, currency="EUR", expires_at=timezone.now(), description="Five"
    )
    ids = {"payment_intent": "pi_77", "charge": "ch_77"}
    attempt = Attempt.objects.create(payment=payment, gateway="stripe", gateway_ids=ids, notify_token="one")
    Refund.objects.create(
        payment=payment,
        attempt=attempt,
        policy="goodwill",
        amount_minor=5,
        currency="EUR",
        gateway_ids={"refund": "re_9"},
    )
    Dispute.objects.create(
        payment=payment, attempt=attempt, gateway="stripe", gateway_id="dp_1", amount_minor=5, currency="EUR",
        opened_at=timezone.now(),
    )  # fmt: skip
    Case.objects.create(kind="surplus", key="one", payment=payment, attempt=attempt)
    others = User.objects.create(username="bea")
    for number in range(2):
        Payment.objects.create(
            user=others, kind="amount", amount_minor=number + 1, currency="XOF", expires_at=timezone.now()
        )
    return payment


def found(client: Client, label: str, term: str, **filters: str) -> list[Any]:
    path = reverse(f"admin:{label.replace('.', '_')}_changelist")
    return list(client.get(path, {"q": term, **filters}).context["cl"].result_list)


WAYS = (
    "its id",
    "its attempt",
    "our reference",
    "user id",
    "its beginning",
    "e-mail",
    "id at the gateway",
    "with blanks",
)


def terms(payment: Payment) -> dict[str, str]:
    attempt = payment.attempts.get()
    return {
        "its id": str(payment.pk),
        "its attempt": str(attempt.pk),
        "our reference": attempt.reference,
        "user id": "ann/7",
        "its beginning": "ann",
        "e-mail": "ann@SHOP.example",
        "id at the gateway": "ch_77",
        "with blanks": " pi_77 ",
    }


@pytest.mark.parametrize("how", WAYS)
def test_payment_is_found_by_all_that_a_customer_may_have_of_it(as_root: Client, bought: Payment, how: str) -> None:
    assert found(as_root, "billing.payment", terms(bought)[how]) == [bought]
    refund = bought.refunds.get()
    assert found(as_root, "billing.refund", terms(bought)[how]) == [refund]


def test_refunds_disputes_and_cases_are_found_by_their_own_ids(as_root: Client, bought: Payment) -> None:
    refund, dispute, case = bought.refunds.get(), Dispute.objects.get(), Case.objects.get()
    assert found(as_root, "billing.refund", "re_9") == [refund]
    assert found(as_root, "billing.refund", str(refund.pk)) == [refund]
    assert found(as_root, "billing.dispute", "dp_1") == [dispute]
    for term in (str(case.pk), str(bought.pk), "ann@shop.example"):
        assert found(as_root, "billing.case", term) == [case]


def test_what_is_found_is_still_filtered(as_root: Client, bought: Payment) -> None:
    assert found(as_root, "billing.payment", "ann/7", currency__exact="EUR") == [bought]
    assert found(as_root, "billing.payment", "ann/7", currency__exact="XOF") == []


def test_user_id_that_looks_like_an_id_of_ours_is_a_user_id(as_root: Client, bought: Payment) -> None:
    User.objects.filter(pk=bought.user_id).update(username=str(uuid.uuid4()))
    bought.user.refresh_from_db()
    assert found(as_root, "billing.payment", bought.user.username) == [bought]


def test_a_part_in_the_middle_finds_nothing_where_rows_are_many(as_root: Client, bought: Payment) -> None:
    assert found(as_root, "billing.payment", "nn/7") == []
    assert found(as_root, "billing.payment", "i_7") == []
    assert [each.pk for each in found(as_root, "billing.customer", "hop.exam")] == [bought.user_id]


def test_accounts_are_found_by_the_address_that_letters_go_to(as_root: Client, bought: Payment) -> None:
    assert bought.user.email == ""
    assert found(as_root, "auth.user", "ann@shop.example") == [bought.user]


def test_letter_is_found_by_its_event_and_the_latest_by_what_they_are_about(as_root: Client, bought: Payment) -> None:
    attempt = bought.attempts.get()
    kept = GatewayLetter.objects.create(
        gateway="stripe", event_id="evt_1", kind="charge", subject="payment", trust="signed",
        reference=attempt.reference, ids={"charge": "ch_77"},
    )  # fmt: skip
    for term in ("evt_1", str(kept.pk), "ch_77", attempt.reference, str(attempt.pk)):
        assert found(as_root, "billing.gatewayletter", term) == [kept]


def test_only_the_latest_rows_are_looked_through_for_what_has_no_index(
    as_root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (approved(1_000) for _ in range(2))
    Withdrawal.objects.update(gateway_reference="tr_1")
    assert found(as_root, "wallets.withdrawal", "tr_1") == [second, first]
    monkeypatch.setattr(lists, "LATEST", 1)
    assert found(as_root, "wallets.withdrawal", "tr_1") == [second]
    assert found(as_root, "wallets.withdrawal", str(first.pk)) == [first]


def every_string_in(source: Path) -> Iterator[str]:
    """The names under which a module keeps what its gateway calls things: keys of what is given to or named `ids`."""
    for node in ast.walk(ast.parse(source.read_text())):
        match node:
            case ast.keyword(arg="ids" | "gateway_ids", value=ast.Dict(keys=keys)):
                yield from (str(key.value) for key in keys if isinstance(key, ast.Constant))
            case ast.Assign(targets=[ast.Name(id="ids")], value=ast.Dict(keys=keys)):
                yield from (str(key.value) for key in keys if isinstance(key, ast.Constant))
            case ast.Assign(targets=[ast.Subscript(value=ast.Name(id="ids"), slice=ast.Constant(value=str(name)))]):
                yield name


def test_every_name_that_gateways_have_for_a_thing_is_searched() -> None:
    folder = Path(settings.BASE_DIR) / "billing"
    sources = [path for path in folder.rglob("*.py") if "tests" not in path.parts]
    names = {name for path in sources for name in every_string_in(path) if not name.endswith("_sha256")}
    assert {"charge", "order", "pay_token", "transfer"} <= names
    assert names - {"waits_for"} <= set(IDS)


@pytest.mark.parametrize("label", LARGE)
def test_no_list_compares_every_row_or_asks_the_table_for_its_values(label: str, as_root: Client) -> None:
    path, table = reverse(f"admin:{label.replace('.', '_')}_changelist"), apps.get_model(label)._meta.db_table
    with CaptureQueriesContext(connection) as asked:
        for term in ("", "someone", "ann@shop.example", str(uuid.uuid4())):
            assert as_root.get(path, {"q": term}).status_code == 200
    said = [query["sql"] for query in asked]
    assert [sql for sql in said if "UPPER(" in sql or "LIKE '%" in sql] == []
    assert [sql for sql in said if "SELECT DISTINCT" in sql and f'FROM "{table}"' in sql] == []


def test_every_filter_of_a_large_table_knows_its_values() -> None:
    asking = []
    for label in (*LARGE, "billing.customer"):
        model = apps.get_model(label)
        for name in filter(lambda each: isinstance(each, str), admin.site._registry[model].list_filter):
            field: Any = get_fields_from_path(model, str(name))[-1]
            knows = field.flatchoices or field.remote_field
            if not knows and field.get_internal_type() not in ("BooleanField", "DateField"):
                asking.append(f"{label}.{name}")
    assert asking == []


def test_every_list_that_grows_is_counted_roughly() -> None:
    growing = (*LARGE, "billing.customer", "auth.user", "auditlog.logentry")
    paginators = {label: admin.site._registry[apps.get_model(label)].paginator.__name__ for label in growing}
    assert {label: name for label, name in paginators.items() if name != "EstimatedPaginator"} == {}


def test_a_long_list_is_not_counted(bought: Payment, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Payment.objects.order_by("-id")
    assert lists.EstimatedPaginator(rows, 10).count == 3
    assert lists.EstimatedPaginator(rows.filter(currency="EUR"), 10).count == 1
    monkeypatch.setattr(lists, "COUNTED_EXACTLY", 1)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE billing_payment")
    with CaptureQueriesContext(connection) as asked:
        assert lists.EstimatedPaginator(rows, 10).count == 3
    assert "LIMIT 2" in asked[0]["sql"]
    assert asked[1]["sql"].startswith("EXPLAIN")
    assert len(asked) == 2
    assert lists.EstimatedPaginator([1, 2, 3], 10).count == 3


def test_purses_are_summed_one_by_one_and_not_to_be_counted(as_root: Client) -> None:
    ann, bea = make_customer(), make_customer()
    give(ann, 10)
    give(ann, 5)
    give(bea, 7)
    page = as_root.get(reverse("admin:credits_purse_changelist"))
    its_admin = admin.site._registry[Purse]
    assert [(row.user, its_admin.available(row)) for row in page.context["cl"].result_list] == [(bea, 7), (ann, 15)]  # type: ignore[attr-defined]
    with CaptureQueriesContext(connection) as asked:
        assert lists.EstimatedPaginator(its_admin.get_queryset(page.wsgi_request), 10).count == 2
    assert "SUM(" not in asked[0]["sql"]


def test_order_of_withdrawals_is_that_of_its_index(as_root: Client) -> None:
    its_admin = admin.site._registry[Withdrawal]
    request = as_root.get(reverse("admin:wallets_withdrawal_changelist")).wsgi_request
    rows = Withdrawal.objects.order_by(*its_admin.get_ordering(request))[:50]
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_sort = off")
    assert "withdrawal_by_urgency" in rows.explain()
    assert "Sort" not in rows.explain()


def plan_of(sql: str) -> str:
    """By index, if there is one for it: no table of a test is large enough to need one."""
    with connection.cursor() as cursor:
        for way in ("seqscan", "indexscan", "indexonlyscan"):
            cursor.execute(f"SET LOCAL enable_{way} = off")
        cursor.execute(f"EXPLAIN {sql}")
        return str(cursor.fetchall())


@pytest.mark.parametrize(
    ("index", "ask"),
    [
        ("customer_by_email", lambda: customers.meant_by("a@b.example")),
        ("attempt_by_gateway_id", lambda: list(Attempt.objects.filter(lists.called("gateway_ids", IDS, "ch_1")))),
        ("refund_by_gateway_id", lambda: list(Refund.objects.filter(lists.called("gateway_ids", IDS, "ch_1")))),
        ("auth_user_username", lambda: lists.people_beginning("ann")),
    ],
)
def test_what_is_searched_for_has_its_index(db: None, index: str, ask: Any) -> None:
    with CaptureQueriesContext(connection) as asked:
        ask()
    assert index in plan_of(asked[-1]["sql"])


def test_currencies_of_a_filter_are_those_that_are_priced(as_root: Client, bought: Payment) -> None:
    make_rule(basis_points=0)
    seller = make_seller()
    sell_cleared(seller, 10_000)
    page = as_root.get(reverse("admin:wallets_wallet_changelist")).content.decode()
    assert Wallet.objects.get().currency == "EUR"
    assert "currency__exact=" not in page  # before the first roll-up nobody knows of one
