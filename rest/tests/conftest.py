"""What the tests of the API's frame share."""

from typing import Any

import pytest

from rest.tests.signing import SECRET


@pytest.fixture
def shared_secret(settings: Any) -> None:
    """We know it, and so does whoever signs tokens."""
    settings.JWT_SECRET = SECRET
