"""What happened, written in the transaction in which it happened, and whom it is told to."""

from typing import Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from events.types import EventType


def rising_id() -> models.UUIDField[object, object]:
    """A UUIDv7 of the database: rows rise in the order of their time, as cursor pages want."""
    return models.UUIDField(
        primary_key=True, db_default=models.Func(function="uuidv7", output_field=models.UUIDField()), editable=False
    )


def instant_of_id() -> models.GeneratedField:
    return models.GeneratedField(
        verbose_name=_("created at"),
        expression=models.Func(F("id"), function="uuid_extract_timestamp"),
        output_field=models.DateTimeField(),
        db_persist=True,
    )


class Event(models.Model):
    """A fact about a user. Written once, by `outbox.record` or by an SQL function of the app in which it happened."""

    # UUIDv7 of the database, so that events of one customer, which its lock puts in a row, rise in that order.
    id = rising_id()
    type = models.CharField(_("type"), max_length=40, choices=EventType)
    version = models.SmallIntegerField(_("version"), default=1, db_default=1)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False, verbose_name=_("user")
    )
    data = models.JSONField(_("data"), default=dict, db_default={}, encoder=DjangoJSONEncoder)
    # Its place in the order of commits, given after the commit by events/sql/place.sql; until then it has none. Ids
    # rise in the order of writing: one that was written early and committed late would be missed by who goes by them.
    position = models.BigIntegerField(_("position"), null=True, editable=False)
    created_at: models.GeneratedField = instant_of_id()

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        default_permissions = ("view",)
        constraints = [models.CheckConstraint(name="event_type_known", condition=Q(type__in=EventType.values))]
        indexes = [
            models.Index(name="event_by_user", fields=["user", "id"]),
            models.Index(name="event_unplaced", fields=["id"], condition=Q(position=None)),
            models.Index(name="event_by_position", fields=["user", "position"], condition=Q(position__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"


class Untold(models.Model):
    """An event that nobody has looked at yet. A trigger adds it, whoever wrote the event; `dispatch` takes it away.

    A table of its own rather than a mark on the event: the big table is written once, and reading "everything after
    the last id" would miss an event whose transaction took longer than that of a later one.
    """

    event = models.OneToOneField(Event, models.PROTECT, primary_key=True, db_constraint=False, related_name="+")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.pk)


# ---------------------------------------------------------------- to other servers


class DisabledReason(models.TextChoices):
    BY_HAND = "by_hand", _("by hand")
    FAILING = "failing", _("it kept failing")
    GONE = "gone", _("it says that it is gone")


class EndpointQuerySet(models.QuerySet["Endpoint"]):
    def live(self) -> Self:
        return self.filter(disabled_at__isnull=True)


class Endpoint(models.Model):
    """A server of the team's own that wants to hear what happens."""

    id = rising_id()
    url = models.CharField(_("URL"), max_length=2_000)
    description = models.CharField(_("description"), max_length=200, blank=True)
    types = ArrayField(
        models.CharField(max_length=40, choices=EventType), verbose_name=_("event types"), default=list, blank=True
    )
    contact_email = models.EmailField(
        _("whom to tell"), blank=True, help_text=_("When it keeps failing. Empty: the operators.")
    )
    created_by = models.CharField(_("made by"), max_length=200, editable=False)
    created_at: models.GeneratedField = instant_of_id()
    failing_since = models.DateTimeField(_("failing since"), null=True, editable=False)
    disabled_at = models.DateTimeField(_("disabled at"), null=True, editable=False)
    disabled_reason = models.CharField(
        _("reason"), max_length=10, choices=DisabledReason, blank=True, default="", editable=False
    )

    objects = EndpointQuerySet.as_manager()

    class Meta:
        verbose_name = _("webhook endpoint")
        verbose_name_plural = _("webhook endpoints")
        permissions = [
            ("rotate_endpoint", "Can rotate the secret of a webhook endpoint"),
            ("manage_endpoints", "Can manage webhook endpoints over the API"),
        ]
        constraints = [
            models.CheckConstraint(name="endpoint_url_is_http", condition=Q(url__regex="^https?://[^ ]+$")),
            models.CheckConstraint(
                name="endpoint_types_known", condition=Q(types__contained_by=list(EventType.values))
            ),
            models.CheckConstraint(
                name="endpoint_is_disabled_for_a_reason",
                condition=Q(disabled_at__isnull=True, disabled_reason="")
                | Q(disabled_at__isnull=False, disabled_reason__in=DisabledReason.values),
            ),
        ]

    def __str__(self) -> str:
        return self.description or self.url


class EndpointSecretQuerySet(models.QuerySet["EndpointSecret"]):
    def live(self) -> Self:
        return self.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now())).order_by("-id")


class EndpointSecret(models.Model):
    """What deliveries are signed with; sealed, since signing needs it whole. After a rotation two are live."""

    id = rising_id()
    endpoint = models.ForeignKey(Endpoint, models.CASCADE, related_name="secrets")
    sealed = models.BinaryField()
    expires_at = models.DateTimeField(null=True)

    objects = EndpointSecretQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                name="endpoint_has_one_current_secret", fields=["endpoint"], condition=Q(expires_at__isnull=True)
            )
        ]

    def __str__(self) -> str:
        return str(self.pk)


class DeliveryState(models.TextChoices):
    """By the alphabet the dead come first, which is how the admin lists them."""

    DEAD = "dead", _("dead letter")
    DELIVERED = "delivered", _("delivered")
    PENDING = "pending", _("pending")
    SENDING = "sending", _("sending")


class Delivery(models.Model):
    """One event for one endpoint. While it is sent, due_at is when another may take it over."""

    id = rising_id()
    endpoint = models.ForeignKey(Endpoint, models.CASCADE, related_name="deliveries", db_index=False)
    event = models.ForeignKey(Event, models.PROTECT, related_name="deliveries", db_index=False)
    state = models.CharField(_("state"), max_length=10, choices=DeliveryState, db_default=DeliveryState.PENDING)
    attempts = models.SmallIntegerField(_("attempts"), db_default=0)
    due_at = models.DateTimeField(_("due at"), db_default=models.functions.Now())
    first_sent_at = models.DateTimeField(_("first sent at"), null=True)
    last_sent_at = models.DateTimeField(_("last sent at"), null=True)
    last_status = models.SmallIntegerField(_("answer"), null=True)
    last_error = models.CharField(_("error"), max_length=200, db_default="")
    created_at: models.GeneratedField = instant_of_id()

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        default_permissions = ("view",)
        permissions = [("replay_delivery", "Can replay deliveries")]
        constraints = [
            models.UniqueConstraint(name="event_is_delivered_once_to_an_endpoint", fields=["endpoint", "event"]),
            models.CheckConstraint(name="delivery_state_known", condition=Q(state__in=DeliveryState.values)),
            models.CheckConstraint(name="delivery_attempts_not_negative", condition=Q(attempts__gte=0)),
        ]
        indexes = [
            models.Index(
                name="delivery_due", fields=["endpoint", "due_at"], condition=Q(state__in=["pending", "sending"])
            ),
            models.Index(name="delivery_by_state", fields=["state", "-id"]),
            models.Index(name="delivery_by_endpoint", fields=["endpoint", "-id"]),
            models.Index(name="delivery_by_event", fields=["event"]),
        ]

    def __str__(self) -> str:
        return str(self.id)


class DeliveryAttempt(models.Model):
    """A line of the log: what was answered, how long it took, and how the answer began."""

    id = rising_id()
    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="log")
    status = models.SmallIntegerField(_("answer"), null=True)
    error = models.CharField(_("error"), max_length=200, blank=True, default="")
    milliseconds = models.IntegerField(_("milliseconds"))
    excerpt = models.TextField(_("beginning of the answer"), blank=True, default="")
    created_at: models.GeneratedField = instant_of_id()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.pk)


# ---------------------------------------------------------------- to people


class Kind(models.TextChoices):
    """The letters that we write. Each has its templates under templates/events/email/."""

    RECEIPT = "receipt", _("receipt")
    PAYMENT_FAILED = "payment_failed", _("payment failed")
    PAST_DUE = "past_due", _("renewal not paid")
    RENEWAL_REMINDER = "renewal_reminder", _("renewal reminder")
    TOP_UP_SUSPENDED = "top_up_suspended", _("automatic top-up suspended")
    CREDITS_LOW = "credits_low", _("credits low")
    CREDITS_EXPIRING = "credits_expiring", _("credits about to expire")
    WEEKLY_GRANT = "weekly_grant", _("credits of the plan")
    REFUND = "refund", _("refund")
    WITHDRAWAL = "withdrawal", _("withdrawal")
    DISPUTE = "dispute", _("dispute")
    ENDPOINT_DISABLED = "endpoint_disabled", _("webhook endpoint disabled")
    CASE = "case", _("case for operators")


class MessageState(models.TextChoices):
    FAILED = "failed", _("failed")
    QUEUED = "queued", _("queued")
    SENDING = "sending", _("sending")
    SENT = "sent", _("sent")


class Message(models.Model):
    """A letter to one person. Its key says what it is about, so that nobody is told twice."""

    id = rising_id()
    key = models.CharField(max_length=320, unique=True)
    kind = models.CharField(_("kind"), max_length=20, choices=Kind)
    event = models.ForeignKey(Event, models.PROTECT, related_name="+", null=True, verbose_name=_("event"))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", null=True, verbose_name=_("user")
    )
    address = models.EmailField(_("address"), max_length=254)
    locale = models.CharField(_("language"), max_length=2, choices=settings.LANGUAGES)
    data = models.JSONField(_("data"), default=dict)  # of a letter that is about no event
    subject = models.CharField(_("subject"), max_length=200, blank=True, default="")
    state = models.CharField(_("state"), max_length=10, choices=MessageState, default=MessageState.QUEUED)
    attempts = models.SmallIntegerField(_("attempts"), default=0)
    due_at = models.DateTimeField(_("due at"), default=timezone.now)
    sent_at = models.DateTimeField(_("sent at"), null=True)
    error = models.CharField(_("error"), max_length=200, blank=True, default="")
    created_at: models.GeneratedField = instant_of_id()

    class Meta:
        verbose_name = _("e-mail")
        verbose_name_plural = _("e-mails")
        default_permissions = ("view",)
        permissions = [("resend_message", "Can send messages again")]
        constraints = [
            models.CheckConstraint(name="message_kind_known", condition=Q(kind__in=Kind.values)),
            models.CheckConstraint(name="message_state_known", condition=Q(state__in=MessageState.values)),
            models.CheckConstraint(
                name="message_is_sent_at_some_time", condition=Q(sent_at__isnull=False) | ~Q(state="sent")
            ),
        ]
        indexes = [
            models.Index(name="message_failed", fields=["-id"], condition=Q(state="failed")),
            models.Index(name="message_due", fields=["due_at"], condition=Q(state__in=["queued", "sending"])),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class Topic(models.TextChoices):
    """What a customer may choose to hear of or not."""

    RECEIPTS = "receipts", _("Receipts and refunds")
    PAYMENT_PROBLEMS = "payment_problems", _("Payments that failed, and how to mend them")
    RENEWALS = "renewals", _("Reminders of renewals")
    CREDITS = "credits", _("Credits that run low or expire")
    WEEKLY_GRANTS = "weekly_grants", _("Credits that a plan gives")
    WITHDRAWALS = "withdrawals", _("Steps of withdrawals")


class MailPreference(models.Model):
    """A choice that differs from the usual one, or confirms it. No row: the usual."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False)
    topic = models.CharField(max_length=20, choices=Topic)
    is_wanted = models.BooleanField()
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(name="customer_has_one_preference_for_a_topic", fields=["user", "topic"]),
            models.CheckConstraint(name="mail_preference_topic_known", condition=Q(topic__in=Topic.values)),
        ]

    def __str__(self) -> str:
        return f"{self.topic}: {self.is_wanted}"


class StreamHead(models.Model):
    """One row: the position that was given last. Its lock lets one process at a time give positions."""

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    position = models.BigIntegerField(_("position"))

    class Meta:
        verbose_name = _("head of the stream")
        verbose_name_plural = _("head of the stream")
        default_permissions = ()
        constraints = [models.CheckConstraint(name="stream_head_is_one_row", condition=Q(id=1))]

    def __str__(self) -> str:
        return str(self.position)


class StreamTicket(models.Model):
    """What a browser opens a stream with, once and soon; only its digest is kept."""

    digest = models.CharField(max_length=64, primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("user"))
    token = models.ForeignKey(  # of a service that asked for it
        "rest.ServiceToken",
        models.CASCADE,
        null=True,
        db_index=False,  # there are never more tickets than lately issued
        related_name="+",
        verbose_name=_("service token"),
    )
    expires_at = models.DateTimeField(_("expires at"), db_index=True)
    stream_ends_at = models.DateTimeField(_("stream ends at"), null=True)

    class Meta:
        verbose_name = _("stream ticket")
        verbose_name_plural = _("stream tickets")
        default_permissions = ()

    def __str__(self) -> str:
        return self.digest[:8]
