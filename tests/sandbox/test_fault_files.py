"""Result URLs whose query changes at each call, and whose time runs out."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_pictory.sandbox import files
from airflow_provider_pictory.sandbox.wire import IMAGE_FILES, VIDEO_FILE

NAMES = ("url", *IMAGE_FILES)


@pytest.fixture(autouse=True)
def quick_rendering(monkeypatch):
    def render(scene, folder):
        for name in (VIDEO_FILE, *IMAGE_FILES.values()):
            (folder / name).write_bytes(b"rendered")

    monkeypatch.setattr(files, "render", render)


def status(url):
    return requests.get(url, timeout=5).status_code


def test_without_the_fault_urls_stay_the_same_and_are_open(faulty):
    sandbox, client = faulty()
    job_id = client.submitted()
    url = client.data(job_id)["url"]
    sandbox.advance(10**6)

    assert client.data(job_id)["url"] == url
    assert urlsplit(url).query == ""
    assert status(url) == status(f"{url}?token=nonsense") == 200


def test_each_call_gives_another_query_and_all_are_good_for_their_time(faulty):
    sandbox, client = faulty("expiring-urls:seconds=60")
    job_id = client.submitted()
    first, second = client.data(job_id), client.data(job_id)
    listed, again = client.jobs().json()["items"][0]["data"], client.videos().json()["items"][0]

    found = [[document[name] for name in NAMES] for document in (first, second, listed, again)]
    assert len({url for urls in found for url in urls}) == 4 * len(NAMES)
    assert len({urlsplit(url).path for urls in found for url in urls}) == len(NAMES)
    sandbox.advance(59.9)
    assert {status(url) for urls in found for url in urls} == {200}
    sandbox.advance(0.1)
    assert {status(url) for urls in found for url in urls} == {403}
    assert status(client.data(job_id)["url"]) == 200


@pytest.mark.parametrize(
    ("code", "word"), [(403, "AccessDenied"), (404, "NoSuchKey"), (410, "Gone"), (400, "Gone")]
)
def test_an_expired_one_is_refused_as_a_file_store_does(faulty, code, word):
    sandbox, client = faulty(f"expiring-urls:seconds=1,status={code}")
    url = client.data(client.submitted())["url"]
    sandbox.advance(1)

    response = requests.get(url, timeout=5)

    assert response.status_code == code
    assert response.headers["Content-Type"].startswith("application/xml")
    assert word in response.text


def test_a_query_can_t_be_left_out_changed_or_used_for_another_video(faulty):
    _, client = faulty("expiring-urls")
    url, other = (client.data(client.submitted())["url"] for _ in range(2))
    path, _, query = url.partition("?")

    for wrong in (
        path,
        f"{path}?token=",
        f"{path}?token=nonsense",
        f"{path}?token=never-1-00",
        f"{path}?token=%ff",
        f"{url}0",
        url.replace("token=", "token=9"),
        f"{other.partition('?')[0]}?{query}",
    ):
        assert status(wrong) == 403
    assert status(url) == 200


def test_with_a_rate_only_some_expire(faulty):
    sandbox, client = faulty("expiring-urls:rate=0.5,seconds=1")
    job_id = client.submitted()
    urls = [client.data(job_id)["url"] for _ in range(20)]
    assert len(set(urls)) == 20
    sandbox.advance(1)

    refused = [status(url) for url in urls].count(403)

    assert 0 < refused < 20
    assert refused == sandbox.counts()["faults"]["expiring-urls"]


def test_an_unfinished_job_uses_up_none(faulty):
    sandbox, client = faulty("expiring-urls:count=1", render_seconds=20)
    job_id = client.submitted()
    client.data(job_id)
    assert sandbox.counts()["faults"] == {}
    sandbox.advance(20)
    expiring, lasting = client.data(job_id)["url"], client.data(job_id)["url"]
    sandbox.advance(60)

    assert [status(expiring), status(lasting)] == [403, 200]
