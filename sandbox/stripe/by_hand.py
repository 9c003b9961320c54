"""What banks, buyers and sellers do elsewhere, as acts for tests and people: disputes, bounced refunds and payouts."""

from sandbox.stripe import connect, disputes, forms, refunds
from sandbox.stripe.errors import StripeError
from sandbox.stripe.forms import Params
from sandbox.stripe.state import Answerer, Call, Routes, State, Thing
from sandbox.wire import Reply, Request, json_reply


def answer(state: State, request: Request, act: Answerer, names: dict[str, str]) -> Reply:
    """JSON or a form, as it comes."""
    if request.header("Content-Type").startswith("application/json"):
        values = {name: _text(value) for name, value in request.json().items()}
    else:
        values = forms.parse(request.form_pairs())
    try:
        return json_reply(act(Call(state=state, params=Params(values)), **names))
    except StripeError as error:
        return json_reply(error.body(), error.status)


def _text(value: object) -> object:
    return str(value) if isinstance(value, int | float) else value


def onboard(call: Call, name: str) -> Thing:
    """The owner of a connected account has told who they are and where their bank is."""
    account = call.state.get("account", name)
    connect.onboard(call.state, account)
    return account


ROUTES: Routes = [
    ("POST", "/_stripe/disputes", disputes.open_by_hand),
    ("POST", "/_stripe/disputes/{name}/close", disputes.close_by_hand),
    ("POST", "/_stripe/refunds/{name}/fail", refunds.fail_by_hand),
    ("POST", "/_stripe/payouts/{name}/fail", connect.fail_by_hand),
    ("POST", "/_stripe/accounts/{name}/onboard", onboard),
]
