"""What the books are made of: accounts, entries with their keys and transfers, holds, and the totals of the house."""

from __future__ import annotations

from datetime import datetime

from django.contrib.postgres.indexes import BrinIndex
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Cast
from django.utils.translation import gettext_lazy as _

from ledger.ids import uuid7
from ledger.money import LARGEST_MINOR, Money

# The number of the transaction that wrote the row: how a roll-up knows which rows can no longer gain neighbours.
CURRENT_TRANSACTION = Cast(
    Cast(models.Func(function="pg_current_xact_id"), models.TextField()), models.BigIntegerField()
)


class Account(models.Model):
    """A place where value is. A guarded account belongs to somebody and knows its balance, which only `ledger`
    writes; a house account is the outside or ourselves, is never locked, and its balance is a sum.

    The id is a number and not a UUID: every transfer carries two of them, in its row and in two indexes.
    """

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(_("name"), max_length=200, db_collation="C")
    unit = models.CharField(_("unit"), max_length=12)
    guarded = models.BooleanField(_("guarded"))
    balance = models.BigIntegerField(_("balance"), default=0, db_default=0)
    held = models.BigIntegerField(_("held"), default=0, db_default=0)
    # Zero, or the debt that the owner may run up, as a negative number.
    floor = models.BigIntegerField(_("floor"), default=0, db_default=0)

    class Meta:
        verbose_name = _("account")
        verbose_name_plural = _("accounts")
        constraints = [
            models.UniqueConstraint(name="account_name_is_unique", fields=["name"]),
            models.CheckConstraint(
                name="account_unit_is_well_formed", condition=Q(unit__regex=r"^[A-Z][A-Z0-9_]{2,11}$")
            ),
            models.CheckConstraint(
                name="account_stays_above_its_floor", condition=Q(balance__gte=F("floor") + F("held"))
            ),
            models.CheckConstraint(name="account_floor_is_no_credit", condition=Q(floor__lte=0)),
            models.CheckConstraint(name="account_held_is_not_negative", condition=Q(held__gte=0)),
            models.CheckConstraint(
                name="house_account_stores_no_balance",
                condition=Q(guarded=True) | Q(balance=0, held=0, floor=0),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Entry(models.Model):
    """One business event and what it moved. Written once; a correction is another entry."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(_("kind"), max_length=40)
    # Read from the id, so that the two cannot disagree.
    created_at = models.GeneratedField(
        verbose_name=_("created at"),
        expression=models.Func(F("id"), function="uuid_extract_timestamp"),
        output_field=models.DateTimeField(),
        db_persist=True,
    )
    metadata = models.JSONField(_("metadata"), default=dict, db_default={}, encoder=DjangoJSONEncoder)
    # No foreign key in the database: it would keep an old month from being detached.
    reverses = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="reversals",
        db_constraint=False,
        db_index=False,
        verbose_name=_("reverses"),
    )

    # Set by the verbs: true on an entry that an earlier call with the same key had booked.
    is_replay = False

    class Meta:
        verbose_name = _("entry")
        verbose_name_plural = _("entries")
        indexes = [
            models.Index(name="entry_by_what_it_reverses", fields=["reverses"], condition=Q(reverses__isnull=False))
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class EntryKey(models.Model):
    """Which entry a key has booked. A narrow table of its own, so that the entries can be partitioned by time."""

    key = models.CharField(_("key"), max_length=400, primary_key=True, db_collation="C")
    entry = models.OneToOneField(Entry, models.PROTECT, related_name="entry_key", db_constraint=False)
    # What must be the same for the same key to mean the same act; the first 128 bits of a SHA-256.
    fingerprint = models.UUIDField(_("fingerprint"))

    class Meta:
        verbose_name = _("key")
        verbose_name_plural = _("keys")

    def __str__(self) -> str:
        return self.key


class Transfer(models.Model):
    """A positive amount that went from one account to another of the same unit, never updated or deleted.

    Its identity is its entry and its number within it: no id and no index of its own to carry. A trigger of the
    database, and not foreign keys, proves that entry and accounts exist and that the units agree: a foreign key
    locks the row it looks at, and every spend would then lock the same house account.
    """

    pk = models.CompositePrimaryKey("entry_id", "number")
    entry = models.ForeignKey(Entry, models.PROTECT, related_name="transfers", db_constraint=False, db_index=False)
    number = models.SmallIntegerField(_("number"))
    source = models.ForeignKey(
        Account, models.PROTECT, related_name="outgoing", db_constraint=False, db_index=False, verbose_name=_("source")
    )
    target = models.ForeignKey(
        Account, models.PROTECT, related_name="incoming", db_constraint=False, db_index=False, verbose_name=_("target")
    )
    amount = models.BigIntegerField(_("amount"))
    txid = models.BigIntegerField(db_default=CURRENT_TRANSACTION, editable=False)

    class Meta:
        verbose_name = _("transfer")
        verbose_name_plural = _("transfers")
        constraints = [
            models.CheckConstraint(
                name="transfer_amount_is_positive", condition=Q(amount__gt=0, amount__lte=LARGEST_MINOR)
            ),
            models.CheckConstraint(name="transfer_goes_somewhere", condition=~Q(source=F("target"))),
        ]
        indexes = [
            models.Index(name="transfer_by_source", fields=["source", "entry"]),
            models.Index(name="transfer_by_target", fields=["target", "entry"]),
            # Rows arrive in this order, so a few bytes for each stretch of pages are index enough.
            BrinIndex(name="transfer_by_transaction", fields=["txid"], pages_per_range=32, autosummarize=True),
        ]

    def __str__(self) -> str:
        return f"{self.entry_id}/{self.number}"


class HoldState(models.TextChoices):
    OPEN = "open", _("open")
    SETTLED = "settled", _("settled")
    VOIDED = "voided", _("voided")


class HoldQuerySet(models.QuerySet["Hold"]):
    def open(self) -> HoldQuerySet:
        return self.filter(state=HoldState.OPEN)

    def expired(self, at: datetime) -> HoldQuerySet:
        """Open holds whose time is over; voiding them is a sweep of the app that made them."""
        return self.open().filter(expires_at__lte=at)


class Hold(models.Model):
    """Value reserved on a guarded account until it is settled or voided, once. One act may hold on several accounts:
    its holds share a key and are numbered."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    key = models.CharField(_("key"), max_length=400, db_collation="C")
    number = models.SmallIntegerField(_("number"), default=0)
    account = models.ForeignKey(
        Account, models.PROTECT, related_name="holds", db_index=False, verbose_name=_("account")
    )
    amount = models.BigIntegerField(_("amount"))
    settled = models.BigIntegerField(_("settled"), default=0, db_default=0)
    state = models.CharField(
        _("state"), max_length=8, choices=HoldState, default=HoldState.OPEN, db_default=HoldState.OPEN
    )
    created_at = models.GeneratedField(
        verbose_name=_("created at"),
        expression=models.Func(F("id"), function="uuid_extract_timestamp"),
        output_field=models.DateTimeField(),
        db_persist=True,
    )
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    resolved_at = models.DateTimeField(_("resolved at"), null=True, blank=True)
    # The entry that settled it.
    entry = models.ForeignKey(
        Entry,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="holds",
        db_constraint=False,
        db_index=False,
        verbose_name=_("entry"),
    )

    objects = HoldQuerySet.as_manager()

    class Meta:
        verbose_name = _("hold")
        verbose_name_plural = _("holds")
        constraints = [
            models.UniqueConstraint(name="hold_key_and_number_are_unique", fields=["key", "number"]),
            models.CheckConstraint(
                name="hold_amount_is_positive", condition=Q(amount__gt=0, amount__lte=LARGEST_MINOR)
            ),
            models.CheckConstraint(
                name="hold_is_open_settled_or_voided",
                condition=Q(state=HoldState.OPEN, settled=0, entry__isnull=True, resolved_at__isnull=True)
                | Q(
                    state=HoldState.SETTLED,
                    settled__gt=0,
                    settled__lte=F("amount"),
                    entry__isnull=False,
                    resolved_at__isnull=False,
                )
                | Q(state=HoldState.VOIDED, settled=0, entry__isnull=True, resolved_at__isnull=False),
            ),
        ]
        indexes = [
            models.Index(name="open_hold_by_account", fields=["account"], condition=Q(state=HoldState.OPEN)),
            models.Index(name="open_hold_by_expiry", fields=["expires_at"], condition=Q(state=HoldState.OPEN)),
            models.Index(name="hold_by_entry", fields=["entry"], condition=Q(entry__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.key if self.number == 0 else f"{self.key}/{self.number}"

    @property
    def money(self) -> Money:
        """What is held, in the unit of the account."""
        return Money(self.amount, self.account.unit)


class HouseTotal(models.Model):
    """The sum of a house account over all transfers below the roll-up's mark."""

    account = models.OneToOneField(Account, models.PROTECT, primary_key=True, related_name="house_total")
    # Wider than an amount: everything that ever went through a gateway.
    balance = models.DecimalField(_("balance"), max_digits=30, decimal_places=0)

    def __str__(self) -> str:
        return f"{self.account_id}: {self.balance}"


class RollUp(models.Model):
    """How far the totals of the house have counted: every transfer of a transaction below `mark`, and no other."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    mark = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.CheckConstraint(name="there_is_one_roll_up", condition=Q(id=1))]

    def __str__(self) -> str:
        return f"through {self.mark}"


# What production's role may insert and read, but neither update nor delete nor truncate.
