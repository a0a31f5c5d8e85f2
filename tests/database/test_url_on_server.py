"""URLs as hosters hand them out, against a server: what they ask for is so."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import NullPool, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from gw_sqla import parse_url
from gw_sqla.cli.engine import connected
from tests.support.proxy import start_proxy
from tests.support.server import Server
from tests.support.tls import TlsProxy, make_certificate, start_tls_proxy


def show(url: str, setting: str = "application_name") -> str:
    """Connect with a URL of a hoster's and return the value of a setting."""

    async def ask() -> str:
        engine = create_async_engine(parse_url(url), poolclass=NullPool)
        async with engine.connect() as connection:
            return str(await connection.scalar(text(f"show {setting}")))

    return asyncio.run(ask())


@pytest.fixture
def tcp(server: Server) -> Iterator[tuple[str, str]]:
    """What stands before the host in a URL of the tests' server, and a host and port of it."""
    with start_proxy(server.url) as proxy:
        user, _, rest = proxy.url.removeprefix("postgresql+asyncpg://").rpartition("@")
        yield f"postgres://{user}@", rest.partition("/")[0]


def test_settings_of_the_session(tcp: tuple[str, str]) -> None:
    url = f"{''.join(tcp)}/postgres?application_name=my+web&options=-csearch_path%3Dtenant%20-c%20work_mem%3D7MB"
    assert show(url) == "my web"
    assert show(url, "search_path") == "tenant"
    assert show(url, "work_mem") == "7MB"


def test_settings_of_the_session_add_to_those_of_the_engine(tcp: tuple[str, str]) -> None:
    url = parse_url(f"{''.join(tcp)}/postgres?application_name=web")

    async def ask() -> list[str]:
        settings = {"server_settings": {"work_mem": "7MB"}}
        engine = create_async_engine(url, connect_args=settings, poolclass=NullPool)
        async with engine.connect() as connection:
            return [
                str(await connection.scalar(text(f"show {setting}"))) for setting in ("application_name", "work_mem")
            ]

    assert asyncio.run(ask()) == ["web", "7MB"]


@pytest.mark.parametrize(("parameters", "name"), [("?application_name=web", "web"), ("", "gw_sqla")])
def test_the_name_of_a_command_is_the_urls_if_it_has_one(tcp: tuple[str, str], parameters: str, name: str) -> None:
    async def ask() -> str:
        async with (
            connected(parse_url(f"{''.join(tcp)}/postgres{parameters}"), poolclass=NullPool) as engine,
            engine.connect() as connection,
        ):
            return str(await connection.scalar(text("show application_name")))

    assert asyncio.run(ask()) == name


def test_what_is_left_out_does_not_hinder(tcp: tuple[str, str]) -> None:
    assert (
        show(
            f"{''.join(tcp)}/postgres?sslmode=prefer&channel_binding=require&connect_timeout=10&keepalives=1"
            "&keepalives_idle=30&gssencmode=prefer&application_name=left"
        )
        == "left"
    )


def test_the_directory_of_a_socket(server: Server) -> None:
    directory = server.url.query.get("host")
    if not directory:
        pytest.skip("needs a server with a socket")
    host = quote(str(directory), safe="")
    port = f":{server.url.port}" if server.url.port else ""
    assert show(f"postgresql://{server.url.username}@{host}{port}/postgres?application_name=by+socket") == "by socket"


def test_the_second_host_when_the_first_is_closed(tcp: tuple[str, str]) -> None:
    user, host = tcp
    with socket.create_server(("127.0.0.1", 0)) as closed:
        first = f"127.0.0.1:{closed.getsockname()[1]}"
    hosts = f"{first},{host}"
    assert show(f"{user}{hosts}/postgres?target_session_attrs=read-write&application_name=second") == "second"
    with pytest.raises(OSError, match=r"Connect|refused"):
        show(f"{user}{first},{first}/postgres")


def test_a_service_of_libpqs_file(tcp: tuple[str, str], tmp_path: Path) -> None:
    user, host = tcp
    file = tmp_path / "services"
    file.write_text("[there]\nhost={}\nport={}\n".format(*host.split(":")))
    assert show(f"{user}/postgres?service=there&servicefile={file}&application_name=service") == "service"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """The files of certificates and keys, by name."""
    folder = tmp_path_factory.mktemp("certificates")
    made = {name: make_certificate(folder, name) for name in ("server", "client", "stranger")}
    return made | {"elsewhere": make_certificate(folder, "elsewhere", valid_for="DNS:db.example.com")}


@pytest.fixture
def tls(server: Server, certificates: dict[str, tuple[Path, Path]]) -> Iterator[TlsProxy]:
    """The server behind TLS."""
    with start_tls_proxy(server.url, *certificates["server"], certificates["client"][0]) as proxy:
        yield proxy


def secure(proxy: TlsProxy, parameters: str) -> str:
    """Connect by TLS; return the session's name."""
    return show(f"{make_url(proxy.url).render_as_string(hide_password=False)}?application_name=safe&{parameters}")


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_tls(tls: TlsProxy, certificates: dict[str, tuple[Path, Path]], mode: str) -> None:
    """With a CA, ``require`` looks at the certificate too, as libpq does."""
    assert secure(tls, f"sslmode={mode}&sslrootcert={certificates['server'][0]}") == "safe"
    with pytest.raises(ssl.SSLCertVerificationError):
        secure(tls, f"sslmode={mode}&sslrootcert={certificates['stranger'][0]}")
    assert tls.clients == [None]


def test_tls_as_neon_hands_it_out(tls: TlsProxy) -> None:
    assert secure(tls, "sslmode=require&channel_binding=require") == "safe"
    assert tls.clients == [None]


def test_the_certificate_of_another_host(server: Server, certificates: dict[str, tuple[Path, Path]]) -> None:
    certificate, key = certificates["elsewhere"]
    with start_tls_proxy(server.url, certificate, key, certificate) as elsewhere:
        assert secure(elsewhere, f"sslmode=verify-ca&sslrootcert={certificate}") == "safe"
        with pytest.raises(ssl.SSLCertVerificationError):
            secure(elsewhere, f"sslmode=verify-full&sslrootcert={certificate}")


def test_the_certificate_of_a_client(tls: TlsProxy, certificates: dict[str, tuple[Path, Path]]) -> None:
    certificate, key = certificates["client"]
    ca = certificates["server"][0]
    assert secure(tls, f"sslmode=verify-full&sslrootcert={ca}&sslcert={certificate}&sslkey={key}") == "safe"
    assert tls.clients == ["client"]


def test_the_cas_of_the_system(
    tls: TlsProxy, certificates: dict[str, tuple[Path, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates["server"][0]))
    assert secure(tls, "sslrootcert=system") == "safe"
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates["stranger"][0]))
    with pytest.raises(ssl.SSLCertVerificationError):
        secure(tls, "sslrootcert=system")
