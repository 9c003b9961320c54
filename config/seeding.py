"""Seeding a whole catalogue: each app says what differs in its own rows, and all of it changes in one transaction."""

from collections.abc import Iterator
from dataclasses import asdict

from django.db import transaction

from billing import coupon_seeding, plan_seeding
from credits import catalogue_files, versions
from credits import seeding as credits_seeding
from credits.catalogue_files import Catalogue, Words
from credits.errors import CatalogueMistake
from rest.seeding import Change
from wallets import seeding as wallets_seeding
from wallets.seeding import Label, Market, RuleEntry, TypeEntry


def checked(catalogues: list[Catalogue]) -> list[Catalogue]:
    """The catalogues again, once they are fit to be on sale together with all others that there are."""
    found = credits_seeding.checked(catalogues)
    taken = [
        f"{catalogue.place(f'{section}.{code}')}: the {catalogue_files.KINDS[section]} {code!r} belongs to {owner!r}; "
        "write another code"
        for catalogue in found
        for section, code, owner in [
            *wallets_seeding.owners(_market(catalogue)),
            *plan_seeding.owners(catalogue),
            *coupon_seeding.owners(catalogue),
        ]
    ]
    if taken:
        raise CatalogueMistake(taken)
    return found


def seed_all() -> dict[str, list[Change]]:
    """Seed every catalogue there is; what was changed, by catalogue."""
    return {catalogue.code: seed(catalogue) for catalogue in checked(catalogue_files.every())}


@transaction.atomic
def seed(catalogue: Catalogue, *, prune: bool = True) -> list[Change]:
    """Make the database say what the file says. Two deployments at once: the second finds nothing to change.

    Without `prune` what left the file stays on sale.
    """
    versions.lock(f"catalogue:{catalogue.code}")
    changes = [change for change in differences(catalogue) if prune or not takes_away(change)]
    for change in changes:
        change.act()
    return changes


def takes_away(change: Change) -> bool:
    return change.sign == "-"


def differences(catalogue: Catalogue) -> Iterator[Change]:
    """What seeding would change, without changing it."""
    yield from credits_seeding.differences(catalogue)
    yield from plan_seeding.differences(catalogue)
    yield from coupon_seeding.differences(catalogue)
    yield from wallets_seeding.differences(_market(catalogue))


def _market(catalogue: Catalogue) -> Market:
    """The words of the file as the wallets read them: they do not know the credits, nor their files."""
    return Market(
        catalogue=catalogue.code,
        seller_kinds={code: _label(label) for code, label in catalogue.seller_kinds.items()},
        sale_types={
            code: TypeEntry(
                label=_label(entry.label), minimum={unit: least.minor for unit, least in entry.minimum.items()}
            )
            for code, entry in catalogue.sale_types.items()
        },
        rules={code: RuleEntry(**asdict(entry)) for code, entry in catalogue.commission_rules.items()},
    )


def _label(words: Words) -> Label:
    return Label(en=words.en, fr=words.fr)
