"""Answering a dispute: from the admin to the bank, with words and a document, against Stripe in the sandbox."""


import pytest

pytestmark = pytest.mark.django_db

PDF = b"%PDF-1.7 what was delivered"
