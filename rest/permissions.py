"""What an endpoint asks of its caller. Only the caller's own permissions count, never those of a user's groups."""

import functools
from typing import TYPE_CHECKING

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from rest import callers, throttles
from rest.callers import Caller, Kind

if TYPE_CHECKING:  # these classes are loaded while rest_framework.views itself is
    from rest_framework.views import APIView


class IsCaller(BasePermission):
    """Anybody with good credentials: the default of the API."""

    needs = ""  # what the OpenAPI document says of it

    def has_permission(self, request: Request, view: "APIView") -> bool:
        if isinstance(request.auth, Caller) and self.is_enough(request, request.auth):
            return True
        throttles.count(request)  # a refusal comes before the view's throttles are asked
        return False

    def is_enough(self, request: Request, caller: Caller) -> bool:
        return True


@functools.cache
def HasPermission(name: str) -> type[IsCaller]:  # noqa: N802 - it reads as the class that it makes
    """A service whose token has this permission ("credits.add_grant"). Customers have none."""

    class Holds(IsCaller):
        message = f"This needs a service token with the permission {name}."
        code = "permission_missing"
        needs = f"Services only, with the permission `{name}`."

        def is_enough(self, request: Request, caller: Caller) -> bool:
            return caller.kind is Kind.SERVICE and name in caller.permissions

    return Holds


@functools.cache
def OwnerOrService(*names: str) -> type[IsCaller]:  # noqa: N802 - it reads as the class that it makes
    """The customer themself, or a service that acts for them with one of these permissions."""

    class Speaks(IsCaller):
        message = f"This needs the customer, or a service token with the permission {' or '.join(names)}."
        code = "permission_missing"
        needs = f"A service needs the permission {' or '.join(f'`{name}`' for name in names)}."

        def is_enough(self, request: Request, caller: Caller) -> bool:
            if caller.kind is Kind.SERVICE and not caller.permissions.intersection(names):
                return False
            callers.customer(request)
            return True

    return Speaks
