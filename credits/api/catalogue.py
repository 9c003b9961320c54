"""`/packs` and `/costs`: what is on sale and what things cost, for anybody. Our own real costs are not told."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import serializers as answers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from credits import costs, packs, unit_names
from credits.models import Cost, CostKind, Pack
from credits.models.catalogue import code_validator, unit_validator
from credits.packs import Offer
from ledger.money import Money, exponent
from rest import fields, serializers
from rest.views import ApiView

PER_CREDIT_DECIMALS = 6


class CatalogueQuery(serializers.QuerySerializer):
    unit = fields.StringField(max_length=12, validators=[unit_validator], required=False)
    catalogue = fields.StringField(max_length=60, validators=[code_validator], required=False)


class PacksQuery(CatalogueQuery):
    currency = fields.CurrencyField(required=False)


class TranslatedText(answers.Serializer[dict[str, str]]):
    en = answers.CharField()
    fr = answers.CharField(help_text="The English text where there is no French one.")


class UnitNameResponse(answers.Serializer[dict[str, Any]]):
    one = TranslatedText()
    many = TranslatedText()  # type: ignore[assignment]  # a field of the answer, as above


class PackPriceResponse(answers.Serializer[dict[str, Any]]):
    currency = answers.CharField(help_text="ISO 4217")
    amount = answers.IntegerField(help_text="In minor units of the currency.")
    per_credit = answers.CharField(help_text="In major units, bonus credits counted; for show, rounded.")


class PackResponse(answers.Serializer[dict[str, Any]]):
    code = answers.CharField()
    catalogue = answers.CharField()
    name = TranslatedText()
    description = TranslatedText()
    unit = answers.CharField()
    unit_name = UnitNameResponse(allow_null=True, help_text="What its catalogue calls a credit: token, tokens.")
    credits = answers.IntegerField()
    bonus = answers.IntegerField()
    total = answers.IntegerField(help_text="Credits and bonus.")
    expires_after_days = answers.IntegerField(allow_null=True)
    bonus_expires_after_days = answers.IntegerField(allow_null=True)
    tax_included = answers.BooleanField(help_text="Whether the prices contain the tax, or it comes on top.")
    prices = PackPriceResponse(many=True)


class PacksResponse(answers.Serializer[dict[str, Any]]):
    results = PackResponse(many=True)


class CostResponse(answers.Serializer[dict[str, Any]]):
    action = answers.CharField()
    catalogue = answers.CharField()
    label = TranslatedText()  # type: ignore[assignment]  # a field of the answer, not the text of a form
    kind = answers.ChoiceField(choices=CostKind.choices)
    amount = answers.IntegerField(allow_null=True, help_text="For each time, or for each unit.")
    minimum = answers.IntegerField(allow_null=True)
    maximum = answers.IntegerField(allow_null=True)
    unit = answers.CharField()
    version = answers.IntegerField()
    valid_from = answers.DateTimeField()


class CostsResponse(answers.Serializer[dict[str, Any]]):
    results = CostResponse(many=True)


class PacksView(ApiView):
    permission_classes = (AllowAny,)
    queries = {"GET": PacksQuery}

    @extend_schema(
        operation_id="packs",
        summary="List packs on sale",
        tags=["catalogue"],
        responses=PacksResponse,
    )
    def get(self, request: Request) -> Response:
        """With `currency` only the packs sold in it, with that price alone."""
        asked = serializers.query(request, PacksQuery)
        return Response({"results": [_pack(offer) for offer in packs.on_sale(**asked)]})


class CostsView(ApiView):
    permission_classes = (AllowAny,)
    queries = {"GET": CatalogueQuery}

    @extend_schema(
        operation_id="costs",
        summary="List what each action costs",
        tags=["catalogue"],
        responses=CostsResponse,
    )
    def get(self, request: Request) -> Response:
        """The version that is valid now."""
        asked = serializers.query(request, CatalogueQuery)
        found = [cost for cost in costs.current() if all(getattr(cost, name) == said for name, said in asked.items())]
        return Response({"results": [_cost(cost) for cost in found]})


def _pack(offer: Offer) -> dict[str, Any]:
    pack = offer.pack
    return {
        "code": pack.code,
        "catalogue": pack.catalogue,
        "name": _both(pack.name_en, pack.name_fr),
        "description": _both(pack.description_en, pack.description_fr),
        "unit": pack.unit,
        "unit_name": _unit_name(pack),
        "credits": pack.credits,
        "bonus": pack.bonus,
        "total": pack.total,
        "expires_after_days": pack.expires_after_days,
        "bonus_expires_after_days": pack.bonus_expires_after_days,
        "tax_included": pack.catalogue not in settings.TAX_EXCLUSIVE_CATALOGUES,
        "prices": [
            {"currency": currency, "amount": price.minor, "per_credit": _per_credit(pack, price)}
            for currency, price in offer.prices.items()
        ],
    }


def _unit_name(pack: Pack) -> dict[str, dict[str, str]] | None:
    name = unit_names.named(pack.unit, pack.catalogue)
    if name is None:
        return None
    return {"one": _both(name.one.en, name.one.fr), "many": _both(name.many.en, name.many.fr)}


def _cost(cost: Cost) -> dict[str, Any]:
    same = ("action", "catalogue", "kind", "amount", "minimum", "maximum", "unit", "version", "valid_from")
    return {name: getattr(cost, name) for name in same} | {"label": _both(cost.label_en, cost.label_fr)}


def _both(english: str, french: str) -> dict[str, str]:
    return {"en": english, "fr": french or english}


def _per_credit(pack: Pack, price: Money) -> str:
    """A decimal text, rounded half up; the exact figures stand beside it."""
    scale = 10**PER_CREDIT_DECIMALS
    divisor = pack.total * 10 ** exponent(price.unit)
    whole, decimals = divmod((2 * price.minor * scale + divisor) // (2 * divisor), scale)
    return f"{whole}.{decimals:0{PER_CREDIT_DECIMALS}}"
