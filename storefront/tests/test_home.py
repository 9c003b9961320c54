from django.test import Client


def test_home_page_answers(db, client: Client) -> None:
    assert client.get("/").status_code == 200
