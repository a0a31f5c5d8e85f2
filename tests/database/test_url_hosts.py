"""The hosts and ports of URLs: one, several, addresses, sockets."""

from __future__ import annotations

from typing import Any

import pytest

from gw_sqla import ConfigurationError
from gw_sqla.database.url import parse_url


def options(rest: str) -> tuple[Any, Any]:
    """Return the host and the port that the driver is given."""
    url = parse_url(f"postgresql://u:p@{rest}")
    _, arguments = url.get_dialect()().create_connect_args(url)
    return arguments.get("host"), arguments.get("port")


@pytest.mark.parametrize(
    ("rest", "host", "port"),
    [
        ("h/d", "h", None),
        ("h:65535/d", "h", 65535),
        ("my_db-1.example.com/d", "my_db-1.example.com", None),
        ("[::1]:1/d", "::1", 1),
        ("[fe80::1%25eth0]", "fe80::1%eth0", None),
        ("/d", None, None),
        (":5433/d", None, 5433),
        ("h1:5432,h2:5433/d", ["h1", "h2"], [5432, 5433]),
        ("h1,h2:5433/d", ["h1", "h2"], [5432, 5433]),
        ("h1,h2", ["h1", "h2"], [5432, 5432]),
        ("h1,[2001:db8::1]:6000,[::1]/d", ["h1", "2001:db8::1", "::1"], [5432, 6000, 5432]),
        ("%2Fvar%2Frun%2Fpostgresql/d", "/var/run/postgresql", None),
        ("%2Frun%2Fa:5433/d", "/run/a", 5433),
        ("%2Fcloudsql%2Fproject%3Aregion%3Aname/d", "/cloudsql/project:region:name", None),
        ("%2Frun%2Fa:1,h2/d", ["/run/a", "h2"], [1, 5432]),
        ("/d?host=/cloudsql/project:region:name", "/cloudsql/project:region:name", None),
        ("h:5433/d?host=/run/x", "/run/x", 5433),
        ("/d?host=a:1&host=b:2", ["a", "b"], [1, 2]),
        ("/d?host=a&host=b:1", ["a", "b"], [5432, 1]),
        ("/d?host=a,b&port=1,2", ["a", "b"], [1, 2]),
        ("/d?host=a,b&port=5433", ["a", "b"], [5433, 5433]),
        ("/d?host=a,::1&port=1,", ["a", "::1"], [1, 5432]),
        ("h/d?port=5433", "h", 5433),
    ],
)
def test_hosts_and_ports(rest: str, host: Any, port: Any) -> None:
    assert options(rest) == (host, port)


def test_a_printed_url_of_several_hosts_is_one_again() -> None:
    url = parse_url("postgresql://u:p@h1:5432,[::1]:5433/d?sslmode=require")
    assert parse_url(url.render_as_string(hide_password=False)) == url


@pytest.mark.parametrize(
    "rest",
    [
        "h:0/d",
        "h:65536/d",
        "h1:1,h2:99999/d",
        "h1,,h2/d",
        "h1,h2/d?host=a&port=1,2",
        "/d?port=1,2",
        "/d?host=a:x",
        "/d?host=a%20b",
        "%2Frun%2Fa%2Cb/d",
        "a%2Fb/d",
        "[::1::2]/d",
        "[127.0.0.1]x/d",
    ],
)
def test_hosts_that_there_cannot_be(rest: str) -> None:
    with pytest.raises(ConfigurationError, match=r"host or port that cannot be used|is not a URL"):
        parse_url(f"postgresql://u:p@{rest}")
