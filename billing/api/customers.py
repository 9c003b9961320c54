"""`/customer`: the caller's own record."""

from typing import cast

from drf_spectacular.utils import extend_schema
from rest_framework import serializers as answers
from rest_framework.request import Request
from rest_framework.response import Response

from billing import customers
from billing.models import Customer
from billing.models.customers import Locale
from rest import callers, fields, serializers
from rest.permissions import OwnerOrService
from rest.views import ApiView


class CustomerResponse(answers.ModelSerializer[Customer]):
    id = answers.CharField(source="user.username", help_text="The id of the team's own auth service.")
    country = answers.SerializerMethodField(help_text="ISO 3166-1 alpha-2; null when unknown.")

    class Meta:
        model = Customer
        fields = (
            "id",
            "name",
            "company",
            "email",
            "vat_number",
            "address",
            "postcode",
            "city",
            "country",
            "locale",
            "time_zone",
            "created_at",
            "updated_at",
        )

    def get_country(self, customer: Customer) -> str | None:
        return customer.country or None


class CustomerRequest(serializers.StrictSerializer):
    name = fields.StringField(max_length=200, allow_blank=True, bare=True)
    company = fields.StringField(max_length=200, allow_blank=True, bare=True)
    email = fields.EmailField(allow_blank=True)
    vat_number = fields.StringField(max_length=20, allow_blank=True, bare=True, help_text="Capitals and digits only.")
    address = fields.StringField(max_length=200, allow_blank=True, bare=True, help_text="As invoices say it.")
    postcode = fields.StringField(max_length=20, allow_blank=True, bare=True)
    city = fields.StringField(max_length=100, allow_blank=True, bare=True)
    country = fields.CountryField(allow_null=True)
    locale = fields.EnumField(choices=Locale.choices)
    time_zone = fields.TimeZoneField()


class CustomerView(ApiView):
    permission_classes = (OwnerOrService("billing.view_customer", "billing.change_customer"),)
    permissions_to_write = (OwnerOrService("billing.change_customer"),)

    @extend_schema(operation_id="customer", summary="Show the customer's details", responses=CustomerResponse)
    def get(self, request: Request) -> Response:
        return Response(CustomerResponse(customers.get(callers.customer(request))).data)

    @extend_schema(
        operation_id="change_customer",
        summary="Update the customer's details",
        description="Only what is sent changes. An empty string, or null for the country, forgets it.",
        request=CustomerRequest,
        responses=CustomerResponse,
    )
    def patch(self, request: Request) -> Response:
        asked = serializers.read(request, CustomerRequest, partial=True)
        if "country" in asked:
            asked["country"] = asked["country"] or ""
        customer = customers.get(callers.customer(request))
        facts = cast("customers.Facts", asked)
        changed = customers.change(customer, by=callers.of(request), **facts)
        return Response(CustomerResponse(changed).data)
