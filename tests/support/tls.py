"""TLS in front of the tests' server, which is built without it, and certificates made with the program openssl."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

from tests.support.proxy import Pair, Proxy

__all__ = ["TlsProxy", "make_certificate", "start_tls_proxy"]

_SSL_REQUEST_BYTES = 8


def make_certificate(folder: Path, name: str, *, valid_for: str = "IP:127.0.0.1") -> tuple[Path, Path]:
    """Return the files of a certificate that is its own CA, for the addresses in ``valid_for``, and of its key."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", f"/CN={name}", "-addext", f"subjectAltName={valid_for}"]
    subprocess.run([*command, "-out", certificate, "-keyout", key], check=True, capture_output=True)
    return certificate, key


class TlsProxy(Proxy):
    """A `Proxy` that answers a client's wish for TLS. ``clients``: the common names of the certificates they showed."""

    def __init__(self, target: URL, context: ssl.SSLContext) -> None:
        super().__init__(target)
        self._context = context
        self.clients: list[str | None] = []

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readexactly(_SSL_REQUEST_BYTES)
            writer.write(b"S")
            await writer.start_tls(self._context)
        except (OSError, asyncio.IncompleteReadError):  # the client does not trust us
            writer.transport.abort()
            return
        names = dict(part[0] for part in (writer.get_extra_info("peercert") or {}).get("subject", ()))
        self.clients.append(names.get("commonName"))
        await super()._accept(reader, writer)

    async def _pass_on(self, pair: Pair, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        await super()._pass_on(pair, source, sink)
        sink.close()  # TLS is not closed in one direction only


@contextmanager
def start_tls_proxy(target: URL | str, certificate: Path, key: Path, clients: Path) -> Iterator[TlsProxy]:
    """Start it with the files of its certificate and of the CA of its clients; stop it at the end of the block."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(clients)
    context.verify_mode = ssl.CERT_OPTIONAL
    proxy = TlsProxy(make_url(target), context)
    with proxy.running():
        yield proxy
