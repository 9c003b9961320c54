"""The platform's own account, connected accounts, and money that leaves: transfers and payouts."""

from sandbox.stripe import amounts, charges, errors, lists, shapes
from sandbox.stripe.errors import StripeError
from sandbox.stripe.forms import Params
from sandbox.stripe.state import PLATFORM, Call, Routes, State, Thing

ARRIVES_AFTER_SECONDS = {"standard": 2 * 86_400, "instant": 1_800}
LINK_SECONDS = 300
DESCRIPTOR_LENGTH_MAXIMUM = 22


# ---------------------------------------------------------------- accounts


def _account(state: State, name: str, **facts: object) -> Thing:
    business = shapes.nothing("mcc name product_description support_email support_phone support_url url")
    empty_needs: Thing = {
        "currently_due": [],
        "disabled_reason": None,
        "errors": [],
        "eventually_due": [],
        "past_due": [],
    }
    needs = {**empty_needs, "alternatives": [], "current_deadline": None, "pending_verification": []}
    return {
        "id": name,
        "object": "account",
        "business_profile": business,
        "business_type": None,
        "capabilities": {"transfers": "active"},
        "charges_enabled": True,
        "country": "FR",
        "created": state.time(),
        "default_currency": "eur",
        "details_submitted": True,
        "email": None,
        "external_accounts": lists.wrap([], f"/v1/accounts/{name}/external_accounts"),
        "future_requirements": dict(needs),
        "metadata": {},
        "payouts_enabled": True,
        "requirements": dict(needs),
        "type": "standard",
        **facts,
    }


def own(call: Call) -> Thing:
    """Who we are: the connected account that is acted for, or the platform."""
    if call.account:
        return call.state.get("account", call.account)
    return call.state.find("account", PLATFORM) or call.state.add(_account(call.state, PLATFORM))


def create_account(call: Call) -> Thing:
    """It may not be paid out to before its owner has been through the onboarding page."""
    state, params = call.state, call.params
    made = shapes.base(state, "account")
    account = _account(
        state,
        made["id"],
        charges_enabled=False,
        country=params.text("country") or "FR",
        details_submitted=False,
        email=params.text("email"),
        metadata=params.metadata(),
        payouts_enabled=False,
        type=params.choice("type", "custom express standard", "express"),
    )
    account["requirements"]["currently_due"] = ["external_account"]
    account["capabilities"] = {"transfers": "inactive"}
    return state.add(account)


def retrieve_account(call: Call, name: str) -> Thing:
    return call.state.get("account", name)


def update_account(call: Call, name: str) -> Thing:
    account = call.state.get("account", name)
    call.state.change(account, "account.updated", metadata=call.params.metadata(account["metadata"]))
    return account


def list_accounts(call: Call) -> Thing:
    return lists.page(call, [a for a in call.state.all("account") if a["id"] != PLATFORM], "/v1/accounts")


def create_link(call: Call) -> Thing:
    state, params = call.state, call.params
    account = state.named("account", params, "account")
    if account is None:
        raise errors.parameter_missing("account")
    state.private(account)["return_url"] = params.text("return_url")
    return {
        "object": "account_link",
        "created": state.time(),
        "expires_at": state.time() + LINK_SECONDS,
        "url": f"{state.base_url}/pages/onboarding/{account['id']}",
    }


def onboard(state: State, account: Thing) -> None:
    """Its owner has told who they are and where their bank is."""
    needs = {**account["requirements"], "currently_due": []}
    state.change(
        account,
        "account.updated",
        capabilities={"transfers": "active"},
        charges_enabled=True,
        details_submitted=True,
        payouts_enabled=True,
        requirements=needs,
    )


# ---------------------------------------------------------------- the balance


def available(state: State, account: str, currency: str) -> int:
    """What may leave. A platform begins with what the settings lend it; money that is charged is there at once."""
    owned = [line for line in state.all("balance_transaction") if line["currency"] == currency]
    mine = [line for line in owned if state.private(line).get("account", "") == account]
    lent = 0 if account else int(state.settings["float_minor"])
    return lent + int(sum(line["net"] for line in mine))


def balance(call: Call) -> Thing:
    state = call.state
    currencies = sorted({line["currency"] for line in state.all("balance_transaction")} | {"eur"})
    lines = [
        {"amount": available(state, call.account, each), "currency": each, "source_types": {"card": 0}}
        for each in currencies
    ]
    for each in lines:
        each["source_types"] = {"card": each["amount"]}
    nothing_pending = [{"amount": 0, "currency": each, "source_types": {"card": 0}} for each in currencies]
    return {"object": "balance", "available": lines, "livemode": False, "pending": nothing_pending}


def _book(state: State, account: str, *, amount: int, currency: str, kind: str, source: str) -> Thing:
    line = charges.book(state, amount=amount, fee=0, currency=currency, kind=kind, source=source)
    line["status"] = "available"
    state.private(line)["account"] = account
    return line


def _spendable(state: State, params: Params, account: str) -> tuple[int, str]:
    amount = params.needed_integer("amount", least=1)
    currency = amounts.currency_of(params.needed("currency"))
    if amount > available(state, account, currency):
        message = "You have insufficient available funds in your Stripe account."
        raise StripeError(message, code="balance_insufficient")
    return amount, currency


# ---------------------------------------------------------------- transfers


def create_transfer(call: Call) -> Thing:
    state, params = call.state, call.params
    destination = state.named("account", params, "destination")
    if destination is None:
        raise errors.parameter_missing("destination")
    if destination["capabilities"]["transfers"] != "active":
        message = (
            "Your destination account needs to have at least one of the following capabilities enabled: transfers,"
            " crypto_transfers, legacy_payments"
        )
        raise StripeError(message, code="insufficient_capabilities_for_transfer")
    amount, currency = _spendable(state, params, "")
    transfer = shapes.base(
        state,
        "transfer",
        amount=amount,
        amount_reversed=0,
        currency=currency,
        description=params.text("description"),
        destination=destination["id"],
        destination_payment=None,
        metadata=params.metadata(),
        reversed=False,
        source_transaction=params.text("source_transaction"),
        source_type="card",
        transfer_group=params.text("transfer_group"),
    )
    transfer["reversals"] = lists.wrap([], f"/v1/transfers/{transfer['id']}/reversals")
    line = _book(state, "", amount=-amount, currency=currency, kind="transfer", source=transfer["id"])
    _book(state, destination["id"], amount=amount, currency=currency, kind="payment", source=transfer["id"])
    transfer["balance_transaction"] = line["id"]
    state.add(transfer)
    state.tell("transfer.created", transfer)
    return transfer


def retrieve_transfer(call: Call, name: str) -> Thing:
    return call.state.get("transfer", name)


def update_transfer(call: Call, name: str) -> Thing:
    transfer = call.state.get("transfer", name)
    call.state.change(transfer, "transfer.updated", metadata=call.params.metadata(transfer["metadata"]))
    return transfer


def list_transfers(call: Call) -> Thing:
    chosen = lists.matching(call.state.all("transfer"), call.params, "destination transfer_group")
    return lists.page(call, chosen, "/v1/transfers")


def reverse_transfer(call: Call, name: str) -> Thing:
    state, params = call.state, call.params
    transfer = state.get("transfer", name)
    left = transfer["amount"] - transfer["amount_reversed"]
    amount = params.integer("amount", least=1) or left
    if not 0 < amount <= left:
        raise errors.parameter_invalid("amount", "The reversal is of more than what is left of the transfer.")
    reversal = shapes.base(
        state,
        "transfer_reversal",
        amount=amount,
        currency=transfer["currency"],
        destination_payment_refund=None,
        metadata=params.metadata(),
        source_refund=None,
        transfer=name,
    )
    del reversal["livemode"]
    currency = transfer["currency"]
    line = _book(state, "", amount=amount, currency=currency, kind="transfer_refund", source=reversal["id"])
    _book(
        state, transfer["destination"], amount=-amount, currency=currency, kind="payment_refund", source=reversal["id"]
    )
    reversal["balance_transaction"] = line["id"]
    state.add(reversal)
    transfer["reversals"]["data"].append(reversal)
    transfer["amount_reversed"] += amount
    transfer["reversed"] = transfer["amount_reversed"] == transfer["amount"]
    state.tell("transfer.reversed", transfer)
    return reversal


# ---------------------------------------------------------------- payouts


def create_payout(call: Call) -> Thing:
    """To the account's own bank. With Stripe-Account it is the connected account's money."""
    state, params = call.state, call.params
    amount, currency = _spendable(state, params, call.account)
    if call.account and not state.get("account", call.account)["payouts_enabled"]:
        raise StripeError("Payouts are not enabled on this account.", code="payouts_not_allowed")
    if len(params.text("statement_descriptor") or "") > DESCRIPTOR_LENGTH_MAXIMUM:
        raise errors.parameter_invalid(
            "statement_descriptor", "The statement descriptor must be at most 22 characters."
        )
    how = params.choice("method", "standard instant", "standard")
    payout = shapes.base(
        state,
        "payout",
        amount=amount,
        application_fee=None,
        application_fee_amount=None,
        arrival_date=state.time() + ARRIVES_AFTER_SECONDS[how],
        automatic=False,
        currency=currency,
        description=params.text("description"),
        destination=params.text("destination"),
        failure_balance_transaction=None,
        failure_code=None,
        failure_message=None,
        metadata=params.metadata(),
        method=how,
        original_payout=None,
        reconciliation_status="not_applicable",
        reversed_by=None,
        source_type="card",
        statement_descriptor=params.text("statement_descriptor"),
        status="pending",
        trace_id=None,
        type="bank_account",
    )
    line = _book(state, call.account, amount=-amount, currency=currency, kind="payout", source=payout["id"])
    payout["balance_transaction"] = line["id"]
    state.add(payout)
    state.private(payout)["account"] = call.account
    state.wake_at(payout, payout["arrival_date"])
    state.tell("payout.created", payout)
    return payout


def _payout(call: Call, name: str) -> Thing:
    """Payouts are seen only by the account that made them."""
    payout = call.state.get("payout", name)
    if call.state.private(payout)["account"] != call.account:
        raise errors.missing("payout", name)
    return payout


def retrieve_payout(call: Call, name: str) -> Thing:
    return _payout(call, name)


def update_payout(call: Call, name: str) -> Thing:
    payout = _payout(call, name)
    call.state.change(payout, "payout.updated", metadata=call.params.metadata(payout["metadata"]))
    return payout


def list_payouts(call: Call) -> Thing:
    mine = [one for one in call.state.all("payout") if call.state.private(one)["account"] == call.account]
    return lists.page(call, lists.matching(mine, call.params, "status destination"), "/v1/payouts")


def cancel_payout(call: Call, name: str) -> Thing:
    payout = _payout(call, name)
    if payout["status"] != "pending":
        raise StripeError(f"Payouts can only be canceled while they are pending; this one is {payout['status']}.")
    _give_back(call.state, payout)
    payout["status"] = "canceled"
    call.state.tell("payout.canceled", payout)
    return payout


def _give_back(state: State, payout: Thing) -> Thing:
    state.wake_at(payout, None)
    account = state.private(payout)["account"]
    kind = "payout_failure" if payout["status"] != "pending" else "payout_cancel"
    return _book(state, account, amount=payout["amount"], currency=payout["currency"], kind=kind, source=payout["id"])


def wake(state: State, payout: Thing) -> None:
    """The money arrives."""
    state.wake_at(payout, None)
    state.account = state.private(payout)["account"]
    payout["status"] = "paid"
    state.tell("payout.paid", payout)
    state.account = ""


def fail_by_hand(call: Call, name: str) -> Thing:
    """Not Stripe's: the bank sends the money back, even days after it seemed paid."""
    state = call.state
    payout = state.get("payout", name)
    if payout["status"] not in ("pending", "in_transit", "paid"):
        raise StripeError(f"This payout is {payout['status']} and cannot fail.")
    line = _give_back(state, payout)
    code = call.params.text("failure_code") or "account_closed"
    payout.update(status="failed", failure_balance_transaction=line["id"], failure_code=code)
    payout["failure_message"] = "The bank account has been closed."
    state.account = state.private(payout)["account"]
    state.tell("payout.failed", payout)
    state.account = ""
    return payout


ROUTES: Routes = [
    ("GET", "/v1/account", own),
    ("GET", "/v1/balance", balance),
    ("POST", "/v1/accounts", create_account),
    ("GET", "/v1/accounts", list_accounts),
    ("GET", "/v1/accounts/{name}", retrieve_account),
    ("POST", "/v1/accounts/{name}", update_account),
    ("POST", "/v1/account_links", create_link),
    ("POST", "/v1/transfers", create_transfer),
    ("GET", "/v1/transfers", list_transfers),
    ("GET", "/v1/transfers/{name}", retrieve_transfer),
    ("POST", "/v1/transfers/{name}", update_transfer),
    ("POST", "/v1/transfers/{name}/reversals", reverse_transfer),
    ("POST", "/v1/payouts", create_payout),
    ("GET", "/v1/payouts", list_payouts),
    ("GET", "/v1/payouts/{name}", retrieve_payout),
    ("POST", "/v1/payouts/{name}", update_payout),
    ("POST", "/v1/payouts/{name}/cancel", cancel_payout),
]
