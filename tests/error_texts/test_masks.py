"""Secrets are masked wherever a text has them; the time grows with the text and not faster."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gw_sqla.error_texts.error_text import error_text, printable_text, storable_text
from gw_sqla.error_texts.masks import masked

SECRET = "hunter2"
MEGABYTE = 2**20


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at postgresql://u:hunter2@host/db now", "at postgresql://u:***@host/db now"),
        ("postgresql+asyncpg://u:hun@ter2@host/db", "postgresql+asyncpg://u:***@host/db"),
        ("postgresql://:hunter2@host", "postgresql://:***@host"),
        ("no host: postgresql://u:hunter2", "no host: postgresql://u:***"),
        ("no host: postgresql://u:hunter2@", "no host: postgresql://u:***@"),
        ("postgresql://u:hunter2/db?x=1", "postgresql://u:***"),
        ("postgresql://u:1hunter2", "postgresql://u:***"),
        ("postgresql://u:hunter2@[::1/db", "postgresql://u:***@[::1/db"),
        ("https://host:8443/path: refused", "https://host:8443/path: refused"),
        ("https://host:8443, then", "https://host:8443, then"),
        ("postgres://h1:5432,h2:5433/db", "postgres://h1:5432,h2:5433/db"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
        ("https://host/a:b?c:d", "https://host/a:b?c:d"),
        ("postgres://host/db?user=u&password=hunter2&x=1", "postgres://host/db?user=u&password=***&x=1"),
        ("host=h password=hunter2 user=u", "host=h password=*** user=u"),
        ("host=h password='hunter2 \\' more' user=u", "host=h password=*** user=u"),
        ("password = 'hunter2", "password = ***"),
        ("PGPASSWORD=hunter2", "PGPASSWORD=***"),
        ("sslpassword=hunter2", "sslpassword=***"),
        ('{"password": "hunter2", "a": 1}', '{"password": ***, "a": 1}'),
        ("{'api_key': 'hunter2'}", "{'api_key': ***}"),
        ("connect(token=hunter2, n=1)", "connect(token=***, n=1)"),
        ("Authorization: Bearer hunter2", "Authorization: Bearer ***"),
        ("Authorization: Basic aHVudGVyMg==", "Authorization: Basic ***"),
        ("{'authorization': 'Basic aHVudGVyMg=='}", "{'authorization': 'Basic ***'}"),
        ("a basic example", "a basic example"),
        (r'{"body": "{\"password\": \"hunter2\", \"a\": 1}"}', r'{"body": "{\"password\": ***\", \"a\": 1}"}'),
        (r"'{\'token\':\'hunter2\'}'", r"'{\'token\':***\'}'"),
        ("the password: it is too short", "the password: it is too short"),
        ("password", "password"),
    ],
)
def test_what_is_masked(text: str, shown: str) -> None:
    assert masked(text) == shown
    assert error_text(ValueError(text)) == f"ValueError: {shown}"


@given(
    before=st.text("ab:/@?#='\" \\[,0", max_size=12).map(lambda text: text.replace("://", "")),
    password=st.text("xy:/?#=&'\"[],;%", max_size=12),
    after=st.text("ab:/?#= ,0", max_size=12),
)
def test_a_password_of_a_url(before: str, password: str, after: str) -> None:
    assert SECRET not in masked(f"{before} postgresql://user:{SECRET}{password}@host{after}")
    assert SECRET not in masked(f"{before} postgresql://user:{SECRET}{password}")
    assert SECRET not in masked(f"{before} password={SECRET}")


@given(st.text())
def test_any_text(text: str) -> None:
    """It can be masked, and what is masked stays as it is."""
    assert masked(masked(text)) == masked(text)
    assert len(storable_text(text)) <= 4000


PIECES = ["a", " ", "'", "\\", "@:", "://", "://a:", "://:@", "://a:b", "a://b:c@d ", "pass", "password", "password="]
PIECES += ["password='", 'password="\\', '"token" : ', "bearer ", "[SQL: ", "invalid input syntax for "]
PIECES += ['password\\": \\"', "authorization", "authorization: basic "]


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.timeout(60)
def test_the_time_grows_with_the_text(piece: str) -> None:
    """A megabyte of what expressions stumble over: what takes quadratic time takes hours for it."""
    text = piece * (MEGABYTE // len(piece))
    masked(text)
    masked(text + "@")
    error_text(ValueError(text))


@pytest.mark.parametrize("room", [0, 3, 20])
def test_a_secret_where_a_text_is_cut(room: int) -> None:
    """Its beginning is not shown, as it would not be known for a secret."""
    url = f"postgresql://u:{SECRET * 20}@host"
    for limit in (4000, 64_000):
        start = "x" * (limit - len("postgresql://u:") - room)
        for text in (f"{start} {url}", f"{start} password={SECRET * 20}"):
            assert SECRET not in storable_text(text)
            assert SECRET not in printable_text(text)
