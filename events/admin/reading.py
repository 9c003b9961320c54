"""What happened to one customer, what was sent to whom, and the dead letters before all else."""

import json
from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display

from events import deliveries, mail, tasks
from events.admin.acts import ReadingAdmin
from events.errors import EventsError
from events.models import Delivery, Event, Message
from rest.acts import ActForm, StandingAdmin, asks_for
from rest.lists import person

DELIVERY_LABELS = {"dead": "danger", "delivered": "success", "pending": "info", "sending": "info"}
MESSAGE_LABELS = {"failed": "danger", "sent": "success", "queued": "info", "sending": "info"}


def _again(
    page: ReadingAdmin, request: HttpRequest, chosen: QuerySet[Any], send: Callable[[Any], Any], said: str
) -> tuple[int, int]:
    """How many are queued again, each with its line in the history, and how many cannot be."""
    queued = refused = 0
    for thing in chosen:
        try:
            send(thing)
        except EventsError:
            refused += 1
        else:
            page.log_change(request, thing, said)
            queued += 1
    return queued, refused


@admin.register(Event)
class EventAdmin(ReadingAdmin):
    """Searching for a user name shows the stream of that customer."""

    list_display = ("created_at", "type", "customer", "told")
    list_filter = ("type",)
    list_select_related = ("user",)
    found_by_ids = ("pk",)
    found_by_people = ("user",)
    ordering = ("-id",)
    fields = ("id", "type", "version", "customer", "told", "created_at")
    readonly_fields = fields

    @admin.display(description=_("customer"), ordering="user__username")
    def customer(self, event: Event) -> SafeString:
        return person(event.user)

    @admin.display(description=_("data"))
    def told(self, event: Event) -> str:
        """Without the customer's own links: whoever has one acts as the customer."""
        shown = {name: "…" if name.endswith("_url") and value else value for name, value in event.data.items()}
        return json.dumps(shown, ensure_ascii=False, indent=1)


@admin.register(Delivery)
class DeliveryAdmin(StandingAdmin, ReadingAdmin):  # type: ignore[misc]
    list_display = (
        "id",
        "state_shown",
        "endpoint",
        "type",
        "customer",
        "attempts",
        "last_status",
        "last_error",
        "due_at",
    )
    list_filter = ("state", "endpoint")
    list_select_related = ("endpoint", "event__user")
    found_by_ids = ("pk", "event")
    found_by_people = ("event__user",)
    ordering = ("state", "-id")  # by the alphabet the dead come first
    actions = ("replay_chosen",)  # type: ignore[assignment]  # unfold means any tuple
    actions_detail = ("replay",)  # type: ignore[assignment]
    change_form_after_template = "admin/events/delivery/log.html"  # type: ignore[assignment]
    fields = (
        "id", "state", "endpoint", "event", "type", "customer", "attempts", "due_at", "first_sent_at", "last_sent_at",
        "last_status", "last_error",
    )  # fmt: skip
    readonly_fields = fields

    has_replay_delivery_permission = asks_for("events.replay_delivery")

    @admin.display(description=_("type"))
    def type(self, delivery: Delivery) -> str:
        return str(delivery.event.get_type_display())

    @admin.display(description=_("customer"))
    def customer(self, delivery: Delivery) -> SafeString:
        return person(delivery.event.user)

    @display(description=_("state"), label=DELIVERY_LABELS, ordering="state")  # type: ignore[arg-type]
    def state_shown(self, delivery: Delivery) -> tuple[str, str]:
        return delivery.state, str(delivery.get_state_display())

    def standing(self, request: HttpRequest, delivery: Delivery) -> dict[str, Any]:
        return {"log": delivery.log.order_by("-id")}

    @action(description=_("Replay"), url_path="replay", permissions=["replay_delivery"], icon="replay")  # type: ignore[arg-type, operator]
    def replay(self, request: HttpRequest, object_id: str) -> HttpResponse:
        delivery = self.found(request, object_id)

        def do(_form: ActForm) -> str:
            deliveries.replay(delivery)
            tasks.send_deliveries.delay_on_commit()  # type: ignore[attr-defined]  # unknown to celery-types
            return gettext("This delivery is queued again.")

        return self.act(
            request,
            delivery,
            title=gettext("Send this delivery once more?"),
            says=gettext("The receiver is sent the event again, under the same id."),
            do=do,
        )

    @admin.action(description=_("Send the chosen ones again"), permissions=["replay_delivery"])
    def replay_chosen(self, request: HttpRequest, chosen: QuerySet[Delivery]) -> None:
        said = gettext("This delivery is queued again.")
        queued, refused = _again(self, request, chosen.select_related("endpoint"), deliveries.replay, said)
        tasks.send_deliveries.delay_on_commit()  # type: ignore[attr-defined]  # unknown to celery-types
        if queued:
            told = ngettext("%(count)s delivery is queued again.", "%(count)s deliveries are queued again.", queued)
            messages.success(request, told % {"count": queued})
        if refused:
            told = ngettext(
                "%(count)s delivery is not: it is under way, or its endpoint is disabled.",
                "%(count)s deliveries are not: they are under way, or their endpoint is disabled.",
                refused,
            )
            messages.warning(request, told % {"count": refused})


@admin.register(Message)
class MessageAdmin(ReadingAdmin):
    list_display = ("created_at", "kind", "state_shown", "address", "subject", "sent_at", "attempts")
    list_filter = ("state", "kind", "locale")
    list_select_related = ("user",)
    found_by_ids = ("pk", "event")
    found_by_people = ("user",)
    found_lately_by = ("address",)
    ordering = ("-id",)
    actions = ("send_chosen_again",)  # type: ignore[assignment]  # unfold means any tuple
    actions_detail = ("send_again",)  # type: ignore[assignment]
    fields = ("kind", "state", "address", "locale", "subject", "event", "attempts", "due_at", "sent_at", "error")
    readonly_fields = fields

    @display(description=_("state"), label=MESSAGE_LABELS, ordering="state")  # type: ignore[arg-type]
    def state_shown(self, message: Message) -> tuple[str, str]:
        return message.state, str(message.get_state_display())

    has_resend_message_permission = asks_for("events.resend_message")

    @action(description=_("Send again"), url_path="send-again", permissions=["resend_message"], icon="forward_to_inbox")  # type: ignore[arg-type, operator]
    def send_again(self, request: HttpRequest, object_id: str) -> HttpResponse:
        message = self.found(request, object_id)

        def do(_form: ActForm) -> str:
            mail.send_again(message)
            tasks.send_messages.delay_on_commit()  # type: ignore[attr-defined]  # unknown to celery-types
            return gettext("This e-mail is queued again.")

        return self.act(
            request,
            message,
            title=gettext("Send this e-mail once more?"),
            says=gettext("It goes to the same address, in the words of today."),
            do=do,
        )

    @admin.action(description=_("Send the chosen ones again"), permissions=["resend_message"])
    def send_chosen_again(self, request: HttpRequest, chosen: QuerySet[Message]) -> None:
        queued, refused = _again(self, request, chosen, mail.send_again, gettext("This e-mail is queued again."))
        tasks.send_messages.delay_on_commit()  # type: ignore[attr-defined]  # unknown to celery-types
        if queued:
            told = ngettext("%(count)s e-mail is queued again.", "%(count)s e-mails are queued again.", queued)
            messages.success(request, told % {"count": queued})
        if refused:
            told = ngettext(
                "%(count)s e-mail is not: it is under way.", "%(count)s e-mails are not: they are under way.", refused
            )
            messages.warning(request, told % {"count": refused})
