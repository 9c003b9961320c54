"""What the five gateways share: their state, their time, their post, and the questions that the control asks them."""

import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from sandbox.books import Entry
from sandbox.clock import Clock
from sandbox.dials import Panel
from sandbox.letters import Envelope, Letter, Postman
from sandbox.wire import Reply, Request, Router, html_reply, json_reply

RETRY_AFTER_SECONDS = "1"  # of a 429

State = dict[str, dict[str, Any]]


class CannotPlay(Exception):
    """The payment is there, but the buyer cannot do that (any more)."""


@dataclass(frozen=True, kw_only=True)
class Played:
    """What came of the buyer's act, and where the browser would go next."""

    payment_id: str
    state: str
    redirect_to: str = ""

    def as_json(self, gateway: str) -> dict[str, str]:
        return {
            "gateway": gateway,
            "payment": self.payment_id,
            "state": self.state,
            "redirect_to": self.redirect_to,
        }


class Gateway:
    """One gateway. Its handlers run one at a time, under its lock; its state is plain JSON, so that it can be kept."""

    name = ""
    title = ""
    colour = "#444444"
    desk = ""  # the path of a page that people start from
    desk_title = ""
    tables: tuple[str, ...] = ()
    default_settings: dict[str, str] = {}
    retry_after_seconds: tuple[int, ...] = ()  # when a notification that was not taken is sent again

    def __init__(self, clock: Clock, panel: Panel, settings: dict[str, str]) -> None:
        self.clock = clock
        self.panel = panel
        self.lock = threading.RLock()
        self.initial_settings = {**self.default_settings, **settings}
        self.router = Router()
        self.postman = Postman(clock=clock, panel=panel, gateway=self)
        self.reset()
        self.lay_routes()

    def reset(self) -> None:
        """Forget everything that happened; the dials are the control's."""
        self.settings = dict(self.initial_settings)
        self.state: State = {name: {} for name in self.tables}
        self.postman.forget()

    # ------------------------------------------------------------ what each gateway says for itself

    def lay_routes(self) -> None:
        """Tell the router who answers which path."""
        raise NotImplementedError

    def tick(self) -> None:
        """Do what is due by now: expiries, delayed outcomes, renewals. Called often, and after the clock moved."""

    def play(self, next_action: dict[str, Any], act: str) -> Played | None:
        """Do what the buyer would do on the page or phone; None when this next action is not this gateway's."""
        raise NotImplementedError

    def books(self) -> list[Entry]:
        raise NotImplementedError

    def seal(self, letter: Letter, content: dict[str, Any], *, is_genuine: bool) -> Envelope:
        """Content as headers and bytes, signed as the gateway signs; not genuine means by somebody else's key."""
        raise NotImplementedError

    def with_wrong_amount(self, content: dict[str, Any]) -> dict[str, Any]:
        """The same notification with another amount, where the gateway's notifications carry one."""
        return content

    def claiming_success(self, content: dict[str, Any]) -> dict[str, Any]:
        """What a forger would write."""
        return content

    def delivered(self, letter: Letter, status: int) -> None:
        """A notification was sent; status 0 means that nobody answered."""

    def failure(self) -> Reply:
        """The gateway's own way of saying 500."""
        return html_reply("<html><head><title>500</title></head><body>Internal Server Error</body></html>", 500)

    def too_many(self) -> Reply:
        """The gateway's own way of saying 429."""
        return json_reply({"message": "Too many requests."}, 429, {"Retry-After": RETRY_AFTER_SECONDS})

    def malformed(self, detail: str) -> Reply:
        """The gateway's own way of saying that it cannot read the body."""
        return html_reply("<html><body>Bad Request</body></html>", 400)

    def unknown_path(self, request: Request) -> Reply:
        return html_reply("<html><body>Not Found</body></html>", 404)

    # ------------------------------------------------------------ what they use

    def own_path(self, next_action: dict[str, Any]) -> tuple[str, dict[str, str]] | None:
        """Path and query of a redirect to one of our pages; None when it leads elsewhere."""
        if next_action.get("type") != "redirect":
            return None
        address = urlsplit(str(next_action.get("url", "")))
        start = f"/{self.name}"
        if not address.path.startswith(start + "/"):
            return None
        return address.path.removeprefix(start), dict(parse_qsl(address.query))

    def payment_of_page(self, next_action: dict[str, Any], start: str) -> dict[str, Any] | None:
        """The payment on whose page a redirect ends; None when it leads elsewhere."""
        found = self.own_path(next_action)
        if found is None:
            return None
        payment: dict[str, Any] | None = self.state["payments"].get(found[0].removeprefix(start))
        if payment is None:
            raise CannotPlay(f"{self.title} knows no such payment page.")
        return payment

    def now(self) -> float:
        return self.clock.seconds()

    def notify(self, url: str, *, subject: str, content: dict[str, Any], method: str = "POST") -> None:
        self.postman.post(Letter(url=url, subject=subject, content=content, method=method))

    def tempt(self, url: str, *, subject: str, content: dict[str, Any], method: str = "POST") -> None:
        """The moment at which a forger might claim a success before there is one."""
        self.postman.perhaps_forge(Letter(url=url, subject=subject, content=content, method=method))
