"""The billing portal: a page where a customer keeps house alone."""

from sandbox.stripe import errors, lists, shapes
from sandbox.stripe.forms import Params
from sandbox.stripe.state import Call, Routes, State, Thing

FLOWS = "customer_update payment_method_update subscription_cancel subscription_update subscription_update_confirm"
REASONS = [
    *("too_expensive", "missing_features", "switched_service", "unused", "customer_service", "too_complex"),
    *("low_quality", "other"),
]


def _features(params: Params) -> Thing:
    """What the page offers: as the merchant says, with all of it for who says nothing."""
    said = params.values != {}
    cancel, update = params.inside("subscription_cancel"), params.inside("subscription_update")
    customer = params.inside("customer_update")
    reason = cancel.inside("cancellation_reason")
    return {
        "customer_update": {
            "allowed_updates": customer.texts("allowed_updates"),
            "enabled": customer.flag("enabled"),
        },
        "invoice_history": {"enabled": params.inside("invoice_history").flag("enabled", not said)},
        "payment_method_update": {
            "enabled": params.inside("payment_method_update").flag("enabled", not said),
            "payment_method_configuration": None,
        },
        "subscription_cancel": {
            "cancellation_reason": {
                "enabled": reason.flag("enabled"),
                "options": reason.texts("options") or REASONS,
            },
            "enabled": cancel.flag("enabled", not said),
            "mode": cancel.choice("mode", "at_period_end immediately", "at_period_end"),
            "proration_behavior": cancel.choice("proration_behavior", "always_invoice create_prorations none", "none"),
        },
        "subscription_update": {
            "default_allowed_updates": update.texts("default_allowed_updates"),
            "enabled": update.flag("enabled"),
            "products": [
                {
                    "adjustable_quantity": {"enabled": False, "maximum": None, "minimum": 1},
                    "prices": each.texts("prices"),
                    "product": each.needed("product"),
                }
                for each in update.each("products")
            ],
            "proration_behavior": update.choice("proration_behavior", "always_invoice create_prorations none", "none"),
            "schedule_at_period_end": {"conditions": []},
            "trial_update_behavior": "end_trial",
        },
    }


def make_configuration(state: State, params: Params, *, is_default: bool) -> Thing:
    profile = params.inside("business_profile")
    names = ("headline", "privacy_policy_url", "terms_of_service_url")
    made = shapes.base(
        state,
        "billing_portal.configuration",
        active=True,
        application=None,
        business_profile={name: profile.text(name) for name in names},
        default_return_url=params.text("default_return_url"),
        features=_features(params.inside("features")),
        is_default=is_default,
        login_page={"enabled": False, "url": None},
        metadata=params.metadata(),
        name=params.text("name"),
        updated=state.time(),
    )
    return state.add(made)


def default_configuration(state: State) -> Thing:
    known = next((one for one in state.all("billing_portal.configuration") if one["is_default"]), None)
    return known or make_configuration(state, Params({}), is_default=True)


def create_configuration(call: Call) -> Thing:
    if not call.params.has("features"):
        raise errors.parameter_missing("features")
    return make_configuration(call.state, call.params, is_default=False)


def retrieve_configuration(call: Call, name: str) -> Thing:
    return call.state.get("billing_portal.configuration", name)


def update_configuration(call: Call, name: str) -> Thing:
    state, params = call.state, call.params
    configuration = state.get("billing_portal.configuration", name)
    if params.has("features"):
        changed = params.inside("features")
        wanted = _features(changed)
        configuration["features"] |= {feature: wanted[feature] for feature in changed.values if feature in wanted}
    if params.has("active"):
        configuration["active"] = params.flag("active")
    if params.has("default_return_url"):
        configuration["default_return_url"] = params.text("default_return_url")
    configuration.update(metadata=params.metadata(configuration["metadata"]), updated=state.time())
    return configuration


def list_configurations(call: Call) -> Thing:
    chosen = lists.matching(call.state.all("billing_portal.configuration"), call.params, "active is_default")
    return lists.page(call, chosen, "/v1/billing_portal/configurations")


def create_session(call: Call) -> Thing:
    state, params = call.state, call.params
    customer = state.named("customer", params, "customer")
    if customer is None:
        raise errors.parameter_missing("customer")
    configuration = state.named("billing_portal.configuration", params, "configuration") or default_configuration(state)
    session = shapes.base(
        state,
        "billing_portal.session",
        configuration=configuration["id"],
        customer=customer["id"],
        customer_account=None,
        flow=_flow(state, params),
        locale=params.text("locale"),
        on_behalf_of=None,
        return_url=params.text("return_url") or configuration["default_return_url"],
    )
    del session["metadata"]
    session["url"] = f"{state.base_url}/pages/portal/{session['id']}"
    return state.add(session)


def _flow(state: State, params: Params) -> Thing | None:
    """The one thing that the customer was sent to do, if it is one."""
    given = params.inside("flow_data")
    kind = given.choice("type", FLOWS)
    if not kind:
        return None
    after = given.inside("after_completion")
    end = after.choice("type", "hosted_confirmation portal_homepage redirect", "portal_homepage")
    redirect = {"return_url": after.inside("redirect").text("return_url")} if end == "redirect" else None
    flow: Thing = {
        "after_completion": {"hosted_confirmation": None, "redirect": redirect, "type": end},
        **shapes.nothing("customer_update subscription_cancel subscription_update subscription_update_confirm"),
        "type": kind,
    }
    if kind.startswith("subscription_"):
        asked = given.inside(kind)
        subscription = state.named("subscription", asked, "subscription")
        if subscription is None:
            raise errors.parameter_missing(f"flow_data[{kind}][subscription]")
        flow[kind] = {"subscription": subscription["id"]}
        if kind == "subscription_cancel":
            flow[kind]["retention"] = None
        if kind == "subscription_update_confirm":
            wished = [
                {"id": each.text("id"), "price": each.text("price"), "quantity": each.integer("quantity")}
                for each in asked.each("items")
            ]
            flow[kind] |= {"discounts": None, "items": wished}
    return flow


ROUTES: Routes = [
    ("POST", "/v1/billing_portal/configurations", create_configuration),
    ("GET", "/v1/billing_portal/configurations", list_configurations),
    ("GET", "/v1/billing_portal/configurations/{name}", retrieve_configuration),
    ("POST", "/v1/billing_portal/configurations/{name}", update_configuration),
    ("POST", "/v1/billing_portal/sessions", create_session),
]
