"""What SqsSink and SnsSink have in common: a client of Amazon's, and what its errors mean.

The client is aiobotocore's, on trio in the database loop. It repeats a call up to twice by itself, with backoff, as
Amazon wants it for throttling. Credentials that do not do, and a queue or topic that is not there, are an error at the
start, before anything is claimed; while the worker runs, an outage.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gw_sqla.error_texts.error_text import class_name
from gw_sqla.errors import ConfigurationError, SinkUnavailableError
from gw_sqla.forwarding.refusal import RefusedError

try:
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session
    from botocore.exceptions import BotoCoreError, ClientError, NoRegionError, ParamValidationError
except ImportError as missing:  # pragma: no cover - the tests have it
    raise ConfigurationError("SqsSink and SnsSink need aiobotocore: pip install 'gw-sqla[aws]'") from missing

__all__ = ["AwsAccess", "AwsClient", "check_concurrency", "checked_access", "fault_of"]

_CONNECT_SECONDS = 5
_ATTEMPTS = 3
_MOST_CONCURRENT = 100
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_CREDENTIALS = re.compile(
    "AccessDenied|AuthFailure|AuthorizationError|Credential|ExpiredToken|Forbidden|IncompleteSignature|"
    "Invalid(AccessKey|ClientTokenId|Security)|MissingAuthenticationToken|NotAuthorized|OptInRequired|"
    "SignatureDoesNotMatch|UnrecognizedClient"
)
_MISSING = re.compile("NonExistentQueue|QueueDoesNotExist|NotFound")
_UNAVAILABLE = re.compile("Throttl|OverLimit|Unavailable|Internal|RequestLimit|KMS|Kms|RequestTimeout")


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsAccess:
    """Where and as whom: without keys, as botocore finds them (environment, files, the machine's role)."""

    region: str | None
    endpoint_url: str | None
    access_key_id: str | None
    secret_access_key: str | None

    def __repr__(self) -> str:
        return f"AwsAccess(region={self.region!r})"


def checked_access(**options: str | None) -> AwsAccess:
    """Return the access; raises ConfigurationError, without the keys."""
    for name, value in options.items():
        if value is not None and (not isinstance(value, str) or not value):
            raise ConfigurationError(f"{name}: must be a text that is not empty, or None")
    access = AwsAccess(**options)
    if (access.access_key_id is None) != (access.secret_access_key is None):
        raise ConfigurationError("access_key_id: goes with secret_access_key: give both, or neither")
    if access.endpoint_url is not None and not access.endpoint_url.startswith(("http://", "https://")):
        raise ConfigurationError("endpoint_url: must be such as http://localhost:4566")
    return access


def check_concurrency(concurrency: int) -> None:
    """Raise ConfigurationError for what is no number of calls at once."""
    if not isinstance(concurrency, int) or isinstance(concurrency, bool) or not 1 <= concurrency <= _MOST_CONCURRENT:
        raise ConfigurationError(f"concurrency: must be 1 to {_MOST_CONCURRENT}, is {concurrency!r}")


class AwsClient:
    """A client of one service; all of its methods are for the asyncio loop."""

    def __init__(self, service: str, access: AwsAccess) -> None:
        self._service = service
        self._access = access
        self._session = get_session()  # connects to nothing; keeps what it reads of the service
        self._context: Any = None
        self._client: Any = None

    async def open(self) -> None:
        """Make the client: it connects with the first call."""
        access = self._access
        config = AioConfig(
            connect_timeout=_CONNECT_SECONDS, retries={"mode": "standard", "total_max_attempts": _ATTEMPTS}
        )
        try:
            self._context = self._session.create_client(
                self._service,
                region_name=access.region,
                endpoint_url=access.endpoint_url,
                aws_access_key_id=access.access_key_id,
                aws_secret_access_key=access.secret_access_key,
                config=config,
            )
            self._client = await self._context.__aenter__()
        except NoRegionError:
            raise ConfigurationError("region: is missing, here and in the environment (AWS_DEFAULT_REGION)") from None
        except (BotoCoreError, ValueError) as error:  # their texts may have what they were given
            raise ConfigurationError(f"{self._service}: {class_name(error)}") from None

    async def close(self) -> None:
        """Close its connections."""
        context, self._context, client, self._client = self._context, None, self._client, None
        if client is not None:
            await context.__aexit__(None, None, None)

    async def look(self, operation: str, **parameters: Any) -> Mapping[str, Any]:
        """Look whether all is there. Raises ConfigurationError, or an error of the connection's kind."""
        try:
            return await self._call(operation, parameters)
        except ClientError as error:
            fault = self._fault(error, own=False)
            if isinstance(fault, RefusedError):
                raise ConfigurationError(str(fault)) from None
            raise fault from None
        except BotoCoreError as error:
            if _CREDENTIALS.search(class_name(error)):
                raise ConfigurationError(f"{self._service}: {class_name(error)}") from None
            raise self._lost(error) from None

    async def call(self, operation: str, *, own: bool, **parameters: Any) -> Mapping[str, Any]:
        """Make a call that sends. Raises RefusedError for what it sends, else an error of the connection's kind.

        ``own``: it goes where the sink sends everything; where that is missing, or forbidden, it is no message's fault.
        """
        try:
            return await self._call(operation, parameters)
        except ClientError as error:
            raise self._fault(error, own=own) from None
        except ParamValidationError as error:  # its text has the message
            raise RefusedError(class_name(error)) from None
        except BotoCoreError as error:
            raise self._lost(error) from None

    async def _call(self, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = await getattr(self._client, operation)(**parameters)
        return answer

    def _lost(self, error: BaseException) -> Exception:
        return ConnectionError(f"{self._service}: {class_name(error)}")

    def _fault(self, error: ClientError, *, own: bool) -> Exception:
        said, status = error.response.get("Error", {}), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        code = str(said.get("Code", "Unknown"))
        if isinstance(status, int) and status >= 500:
            return SinkUnavailableError(f"{self._service}: {code} (status {status})")
        if status in (401, 403):
            code = code if _CREDENTIALS.search(code) else f"AccessDenied ({code})"
        return fault_of(self._service, code, str(said.get("Message", "")), own=own)


def fault_of(service: str, code: str, text: str, *, own: bool) -> Exception:
    """Return what a code of Amazon's means; the text is its own, without what it quotes."""
    if _UNAVAILABLE.search(code) or (own and (_CREDENTIALS.search(code) or _MISSING.search(code))):
        return SinkUnavailableError(f"{service}: {code}")
    if _CREDENTIALS.search(code):  # its text has names, and parts of the request
        return RefusedError(f"{service}: {code}")
    return RefusedError(f"{service}: {code}: {_QUOTED.sub('...', text)}" if text else f"{service}: {code}")
