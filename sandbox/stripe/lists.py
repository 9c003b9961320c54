"""Lists by cursor, and the objects that are put where only their ids stand."""

import copy
import re
from collections.abc import Callable, Iterable
from typing import Any

from sandbox.stripe import errors
from sandbox.stripe.forms import Params
from sandbox.stripe.state import Call, State, Thing

LIMIT = 10
LIMIT_MAXIMUM = 100
DEPTH_MAXIMUM = 4
# Fields that hold ids whose prefix does not tell what they are of.
BY_FIELD = {"product": "product", "coupon": "coupon", "destination": "account"}
# Fields that stand only in an answer that asked for them: how to find what they hold.
INCLUDABLE: dict[tuple[str, str], Callable[[State, Thing], Any]] = {}
# What stands in no object of its own, as the details of totals, is found by the object around it.


def wrap(data: list[Thing], url: str, *, has_more: bool = False) -> Thing:
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def page(call: Call, things: Iterable[Thing], url: str) -> Thing:
    """The newest first, from one id on."""
    params = call.params
    limit = params.integer("limit", least=1) or LIMIT
    if limit > LIMIT_MAXIMUM:
        raise errors.parameter_invalid("limit", f"Invalid integer: {limit}; at most {LIMIT_MAXIMUM}.")
    chosen = [thing for thing in reversed(list(things)) if _was_created(params, thing)]
    names = [thing["id"] for thing in chosen]
    after, before = params.text("starting_after"), params.text("ending_before")
    for param, cursor in (("starting_after", after), ("ending_before", before)):
        if cursor is not None and cursor not in names:
            raise errors.missing_inside("object", cursor, param)
    if before is not None:
        earlier = chosen[: names.index(before)]
        return wrap(earlier[-limit:], url, has_more=len(earlier) > limit)
    rest = chosen[names.index(after) + 1 :] if after is not None else chosen
    return wrap(rest[:limit], url, has_more=len(rest) > limit)


def _was_created(params: Params, thing: Thing) -> bool:
    if isinstance(params.values.get("created"), str):
        return bool(thing["created"] == params.integer("created"))
    bounds = params.inside("created")
    tests: dict[str, Callable[[int, int], bool]] = {
        "gt": lambda made, bound: made > bound,
        "gte": lambda made, bound: made >= bound,
        "lt": lambda made, bound: made < bound,
        "lte": lambda made, bound: made <= bound,
    }
    return all(test(thing["created"], bounds.needed_integer(name)) for name, test in tests.items() if bounds.has(name))


def matching(things: Iterable[Thing], params: Params, fields: str) -> list[Thing]:
    """Those whose fields are what the parameters say, for the parameters that are given."""
    wanted = {name: params.values[name] for name in fields.split() if params.is_given(name)}
    return [thing for thing in things if all(_text(thing.get(name)) == value for name, value in wanted.items())]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


CLAUSE = re.compile(r"""^\s*(?:metadata\[(['"])(?P<key>.+?)\1\]|(?P<field>\w+))\s*:\s*(['"]?)(?P<value>.*?)\4\s*$""")


def search(call: Call, things: Iterable[Thing], url: str) -> Thing:
    """Stripe's search language, as far as clauses joined by AND go."""
    query = call.params.needed("query")
    chosen = list(things)
    for clause in re.split(r"\s+AND\s+", query):
        found = CLAUSE.match(clause)
        if found is None:
            raise errors.parameter_invalid("query", f"We were unable to parse your search query: {query}")
        key, name, value = found["key"], found["field"], found["value"]
        chosen = [
            thing for thing in chosen if _text(thing.get("metadata", {}).get(key) if key else thing.get(name)) == value
        ]
    return {"object": "search_result", "data": list(reversed(chosen)), "has_more": False, "next_page": None, "url": url}


def expand(state: State, answer: Thing, wishes: Iterable[str]) -> Thing:
    """A copy of the answer, with the objects it was asked to hold."""
    expanded = copy.deepcopy(answer)
    for wish in wishes:
        steps = wish.split(".")
        if len(steps) > DEPTH_MAXIMUM + 1:
            raise errors.parameter_invalid("expand", "You cannot expand more than 4 levels of a property.")
        _expand(state, expanded, steps, wish, expanded)
    return expanded


def _expand(state: State, here: Any, steps: list[str], wish: str, around: Thing) -> None:
    if isinstance(here, list):
        for one in here:
            _expand(state, one, steps, wish, around)
        return
    if not steps or not isinstance(here, dict):
        return
    around = here if here.get("id") else around
    step, rest = steps[0], steps[1:]
    if (finder := INCLUDABLE.get((here.get("object", ""), step))) and here.get(step) is None:
        here[step] = copy.deepcopy(finder(state, around))
    if step not in here:
        raise errors.parameter_invalid("expand", f"This property cannot be expanded ({wish}).")
    value = here[step]
    if isinstance(value, str):
        value = here[step] = copy.deepcopy(_of_id(state, step, value, wish))
    elif isinstance(value, list) and all(isinstance(one, str) for one in value):
        value = here[step] = [copy.deepcopy(_of_id(state, step, one, wish)) for one in value]
    _expand(state, value, rest, wish, around)


def _of_id(state: State, name: str, value: str, wish: str) -> Thing:
    kinds = [BY_FIELD[name]] if name in BY_FIELD else list(state.tables["objects"])
    for kind in kinds:
        if found := state.find(kind, value):
            return found
    raise errors.parameter_invalid("expand", f"This property cannot be expanded ({wish}).")
