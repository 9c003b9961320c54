import pytest
from rest_framework.exceptions import ValidationError

from rest import fields


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        ("ann", "Send an e-mail address such as ada@example.com."),
        (7, "Send a string, not a number."),
        (" ann@example.com", "Leave out the blanks at the start and the end."),
    ],
)
def test_wrong_address_is_told_in_words(sent: object, sentence: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        fields.EmailField().run_validation(sent)
    assert [str(each) for each in refusal.value.detail] == [sentence]
