"""Files of finished jobs, asked for through the connection's proxies but without its key."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from airflow_provider_pictory.client.deadline import DeadlineExceededError, call_within
from airflow_provider_pictory.client.errors import NO_RESPONSE, words
from airflow_provider_pictory.client.private_hosts import PublicHostsAdapter, addresses_of, is_private
from airflow_provider_pictory.client.session import USER_AGENT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_pictory.client.settings import ConnectionSettings


class _NoAuth(AuthBase):
    """Add nothing; its presence keeps requests from looking into ``~/.netrc``."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Leave a request as it is."""
        return request


class FileSession(requests.Session):
    """
    Request files from other hosts than Pictory's API, without the key and anything of ``~/.netrc``.

    Private hosts are refused, unless the connection allows them or leads to such a host itself, as to a
    sandbox.
    """

    def __init__(self, settings: ConnectionSettings) -> None:
        super().__init__()
        self.auth = _NoAuth()
        self.verify = settings.verify
        self.proxies.update(settings.proxies)
        self._settings = settings
        adapter = PublicHostsAdapter(self._allows_private_hosts)
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Add nothing to what follows a redirect, where requests itself would look into ``~/.netrc``."""
        prepared_request.headers.pop("Authorization", None)

    def ask(self, url: str, headers: Mapping[str, str]) -> requests.Response:
        """
        Ask for a file.

        :param url: of the file; redirects are followed.
        :param headers: added to the request.
        :return: the host's response, whatever it is, with its body still to be read.
        :raises DeadlineExceededError: there is none in time; the session must not be used any more.
        :raises requests.RequestException: there is none.
        """
        settings = self._settings
        call = partial(
            self.get,
            url,
            headers={"User-Agent": USER_AGENT, "Accept": "*/*", **headers},
            timeout=settings.timeout,
            stream=True,
            # Given with the session alone, these lose against the environment's.
            proxies=dict(settings.proxies),
            verify=settings.verify,
        )
        try:
            return call_within(settings.timeout, call)
        except DeadlineExceededError:
            raise
        except NO_RESPONSE as error:
            query = url.partition("?")[2]
            failure = requests.RequestException(words(settings, error, *[query] * (len(query) > 8)))
        # Raised out here, the error has no context, which may name a proxy with its password.
        raise failure

    def _allows_private_hosts(self) -> bool:
        own_host = urlsplit(self._settings.base_url).hostname or ""
        return self._settings.allow_private_hosts or any(map(is_private, addresses_of(own_host)))
