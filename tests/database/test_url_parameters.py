"""The parameters of URLs as hosters hand them out: what travels to asyncpg, what is left out, what is refused."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from gw_sqla import ConfigurationError
from gw_sqla.database.url import parse_url

URL = "postgresql://u:secret@h/d"


@pytest.mark.parametrize(
    ("given", "query"),
    [
        ("sslmode=require&channel_binding=require", {"ssl": "require"}),  # Neon
        ("ssl=true", {"ssl": "require"}),
        ("ssl=verify-ca", {"ssl": "verify-ca"}),
        ("ssl=true&sslmode=verify-full", {"ssl": "verify-full"}),
        ("ssl=require&sslmode=require", {"ssl": "require"}),
        ("application_name=a+b%26c", {"dsn": "postgresql://?application_name=a+b%26c"}),
        ("options=-csearch_path%3Dtenant", {"dsn": "postgresql://?options=-csearch_path%3Dtenant"}),
        (
            "sslrootcert=/ca.pem&sslmode=verify-full&sslcert=c&sslkey=k",
            {"ssl": "verify-full", "dsn": "postgresql://?sslcert=c&sslkey=k&sslrootcert=%2Fca.pem"},
        ),
        ("target_session_attrs=read-write", {"target_session_attrs": "read-write"}),
        ("prepared_statement_cache_size=0", {"prepared_statement_cache_size": "0"}),
        ("connect_timeout=10&keepalives=1&keepalives_idle=30&keepalives_interval=10&keepalives_count=3", {}),
        ("tcp_user_timeout=0&gssencmode=disable&sslsni=1&client_encoding=utf8&load_balance_hosts=random", {}),
        ("connect_timeout=-1", {}),
        ("application_name=&sslrootcert=", {}),
    ],
)
def test_what_travels(given: str, query: dict[str, str]) -> None:
    assert dict(parse_url(f"{URL}?{given}").query) == query


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("sslmode=no-such-mode", "sslmode that there is not: it is one of disable, allow, prefer, require, verify-ca"),
        ("sslmode=", "sslmode that there is not"),
        ("sslmode=verify_full", "sslmode that there is not"),
        ("ssl=false", "ssl that there is not"),
        ("target_session_attrs=master", "target_session_attrs that there is not"),
        ("channel_binding=maybe", "channel_binding that there is not"),
        ("gssencmode=require", "gssencmode that there is not"),
        ("connect_timeout=soon", "for connect_timeout a number that cannot be used"),
        ("keepalives_idle=1.5", "for keepalives_idle a number"),
        ("prepared_statement_cache_size=-1", "for prepared_statement_cache_size a number"),
        ("sslmode=require&sslmode=disable", "has more than once: sslmode"),
        ("sslmode=require&sslmode=require", "has more than once: sslmode"),
        ("ssl=require&ssl=disable", "has more than once: ssl"),
        ("ssl=verify-full&sslmode=disable", "ssl and sslmode, which contradict each other: leave ssl out"),
        ("sslmode=verify-full&ssl=require", "ssl and sslmode, which contradict each other"),
        ("ssl=true&sslmode=prefer", "ssl and sslmode, which contradict each other"),
        ("sslnegotiation=direct&sslmode=prefer", "sslnegotiation=direct, which needs sslmode=require"),
        ("sslnegotiation=direct", "sslnegotiation=direct, which needs sslmode=require"),
        (
            "ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.2",
            "ssl_min_protocol_version that is newer than ssl_max",
        ),
        ("sslpassword=secret", "sslpassword, a secret"),
        ("require_auth=scram-sha-256", r"\(require_auth\): leave them out"),
        ("dsn=postgresql://other/d", r"\(dsn\)"),
        ("sslrootcert=system&sslmode=require", "sslrootcert=system, which needs sslmode=verify-full"),
        ("sslmode=disable&sslcert=c&sslkey=k", "sslmode=disable and sslcert, sslkey, which contradict each other"),
        ("ssl=disable&ssl_min_protocol_version=TLSv1.3", "sslmode=disable and ssl_min_protocol_version"),
        ("sslrootcert=/ca.pem", "sslrootcert, which is not looked at: add sslmode=verify-full"),
        ("sslmode=prefer&sslrootcert=/ca.pem", "sslrootcert, which is not looked at"),
        ("sslmode=allow&sslcrl=/crl.pem", "sslcrl, which is not looked at"),
    ],
)
def test_refused(given: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        parse_url(f"{URL}?{given}", "DATABASE_URL")
    assert str(caught.value).startswith("DATABASE_URL has ")
    assert "secret@" not in str(caught.value)


def test_what_may_be_a_part_of_a_password_is_no_unknown_parameter() -> None:
    with pytest.raises(ConfigurationError, match="an & in a password is written %26") as caught:
        parse_url("postgresql://h/d?user=u&password=a&secret=b")
    assert "secret" not in str(caught.value)


def test_what_is_left_out_is_said_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "gw_sqla.database.url_parameters"):
        parse_url(f"{URL}?connect_timeout=10&channel_binding=require&sslmode=require")
    assert caplog.messages == [
        "the database URL: left out, as asyncpg does not take them from a URL: channel_binding, connect_timeout"
    ]


def test_the_cas_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "cas"
    file.write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    query = parse_url(f"{URL}?sslrootcert=system").query
    assert query["ssl"] == "verify-full"
    assert str(query["dsn"]).endswith("%2Fcas")


def test_a_system_without_cas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    monkeypatch.setattr("gw_sqla.database.url_tls._CA_FILES", ())
    with pytest.raises(ConfigurationError, match="no file with CAs was found"):
        parse_url(f"{URL}?sslrootcert=system&sslmode=verify-full")


def test_the_environment_may_have_the_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    assert parse_url(f"{URL}?sslrootcert=/ca.pem").query["dsn"] == "postgresql://?sslrootcert=%2Fca.pem"
    with pytest.raises(ConfigurationError, match="sslrootcert, which is not looked at"):
        parse_url(f"{URL}?sslmode=prefer&sslrootcert=/ca.pem")
    monkeypatch.setenv("PGSSLMODE", "disable")
    with pytest.raises(ConfigurationError, match="sslmode=disable and sslrootcert"):
        parse_url(f"{URL}?sslrootcert=/ca.pem")


def test_a_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there: asyncpg would connect to wherever it does without one, with the TLS of that."""
    file = tmp_path / "services"
    file.write_text("[there]\nhost=h\nsslmode=verify-full\n[broken]\npassword=100%secret\n")
    query = parse_url(f"{URL}?service=there&servicefile={file}&sslrootcert=/ca.pem").query
    assert query == {"dsn": "postgresql://?service=there&sslrootcert=%2Fca.pem", "servicefile": str(file)}
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    assert parse_url(f"{URL}?service=there").query == {"dsn": "postgresql://?service=there"}
    with pytest.raises(ConfigurationError, match=f"has a service that is not in {file}"):
        parse_url(f"{URL}?service=elsewhere")
    with pytest.raises(ConfigurationError, match="that is not in /nowhere/services"):
        parse_url(f"{URL}?service=there&servicefile=/nowhere/services")
    with pytest.raises(ConfigurationError, match="cannot be read as a service file") as caught:
        parse_url(f"{URL}?service=broken")
    assert "secret" not in str(caught.value)
    file.write_text("no section=secret\n")
    with pytest.raises(ConfigurationError, match="cannot be read as a service file") as caught:
        parse_url(f"{URL}?service=there")
    assert "secret" not in str(caught.value)
    monkeypatch.delenv("PGSERVICEFILE")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigurationError, match=rf"not in {tmp_path}/\.pg_service\.conf"):
        parse_url(f"{URL}?service=there")
