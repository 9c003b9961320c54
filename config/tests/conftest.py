"""What tests of the whole house share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from credits.tests.people import give, make_user


@pytest.fixture
def payer(transactional_db: None) -> User:
    """Somebody with 20 credits, to whom jobs can be charged."""
    user = make_user()
    give(user, 20)
    return user


@pytest.fixture
def write(request: pytest.FixtureRequest, tmp_path: Path, settings: Any, db: None) -> Callable[[str], None]:
    """Writes the only catalogue there is, which is at first the SHOP of the test's file."""
    settings.CATALOGUES_DIR = tmp_path

    def write(text: str) -> None:
        (tmp_path / "shop.yaml").write_text(text, encoding="utf-8")

    write(request.module.SHOP)
    return write
