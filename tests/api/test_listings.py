"""Pictory's lists are read whole or cut off, tolerantly, and never say more than is certain."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pictory.api import JobStatus, Response, ResponseError, ResponseErrorKind
from airflow_provider_pictory.api.listings import (
    Baseline,
    BaselineKind,
    JobListPage,
    ListedJob,
    ListedVideo,
    VideoListPage,
    read_job_list,
    read_server_date,
    read_video_list,
)
from tests.api.strategies import any_text, json_values

JOB_ID = "4a09edf9-d071-4847-bda5-8dea913d80fe"
OLDER_JOB_ID = "00000000-0000-4000-8000-000000000000"
URL = "https://video.example/a.mp4"
READERS = {"jobs": read_job_list, "videos": read_video_list}
every_reader = pytest.mark.parametrize("read", READERS.values(), ids=READERS)


def response(document, status=200, **headers):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Response(status, body, headers)


def job_of(item):
    (job,) = read_job_list(response({"items": [item]})).jobs
    return job


def video_of(item):
    (video,) = read_video_list(response({"items": [item]})).videos
    return video


# The list of jobs


def test_a_list_of_jobs_is_read_as_documented():
    document = {
        "items": [
            {"success": True, "data": {"jobId": JOB_ID, "status": "completed", "url": URL, "scenes": [{}]}},
            {"success": True, "data": {"jobId": OLDER_JOB_ID, "status": "in-progress"}},
        ],
        "nextPageKey": None,
    }

    assert read_job_list(response(document)) == JobListPage(
        (ListedJob(JOB_ID, JobStatus.COMPLETED, URL), ListedJob(OLDER_JOB_ID, JobStatus.IN_PROGRESS))
    )


@pytest.mark.parametrize(
    "item",
    [
        {"data": {"jobId": JOB_ID}},
        {"data": {"job_id": JOB_ID}},
        {"job_id": JOB_ID},
        {"jobId": f" {JOB_ID} ", "data": None},
        {"data": {"jobId": 7}, "job_id": JOB_ID},
    ],
)
def test_a_listed_job_is_known_by_its_id_in_every_envelope(item):
    assert job_of(item).job_id == JOB_ID


@pytest.mark.parametrize(
    "item",
    [None, 7, "x", [], [JOB_ID], {}, {"data": {}}, {"data": {"jobId": ""}}, {"data": {"jobId": ["x"]}}],
)
def test_an_item_that_cannot_be_read_is_counted_all_the_same(item):
    page = read_job_list(response({"items": [item, {"job_id": JOB_ID}]}))

    assert page.jobs == (ListedJob(), ListedJob(JOB_ID))


@pytest.mark.parametrize(
    ("status", "read"),
    [("IN_PROGRESS", JobStatus.IN_PROGRESS), ("queued", "queued"), (None, None), ([], None), ("\n", None)],
)
def test_a_listed_jobs_status_may_be_a_new_one_or_missing(status, read):
    assert job_of({"data": {"status": status}}).status == read


@pytest.mark.parametrize("url", [None, 5, "", "a.mp4", "ftp://x", "javascript:x", "https://x\n", {}])
def test_what_is_no_url_is_left_out(url):
    assert job_of({"data": {"jobId": JOB_ID, "status": "completed", "url": url}}).url is None
    assert video_of({"url": url}).url is None


# The list of videos


def test_a_list_of_videos_is_read_as_documented():
    item = {
        "id": OLDER_JOB_ID,
        "url": URL,
        "prompt": "A red fox\nin  snow",
        "aspectRatio": "16:9",
        "createdDate": "2026-01-01T12:00:00.250Z",
        "model": "veo3.1",
        "width": 1280,
        "height": 720,
        "duration": "8s",
        "previewImageUrl": "https://video.example/a.jpg",
        "referenceImageUrls": ["https://a.example/1.png", "https://a.example/2.png"],
    }

    page = read_video_list(response({"items": [item], "nextPageKey": "more"}))

    assert page == VideoListPage(
        (
            ListedVideo(
                url=URL,
                prompt="A red fox\nin  snow",
                model="veo3.1",
                aspect_ratio="16:9",
                duration_seconds=8,
                created_at=datetime(2026, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC),
                sources={"referenceImageUrls": ("https://a.example/1.png", "https://a.example/2.png")},
            ),
        ),
        "more",
    )


@pytest.mark.parametrize("wrong", [None, True, 5.5, [], {}, [[]], {"a": 1}])
def test_a_videos_field_of_a_wrong_type_is_none(wrong):
    names = ("url", "prompt", "model", "aspectRatio", "createdDate", "firstFrameImageUrl")
    item = dict.fromkeys([*names, "extendVideoUrl", "referenceImageUrls"], wrong)

    assert video_of(item) == video_of(wrong) == ListedVideo()


@pytest.mark.parametrize(
    ("item", "sources"),
    [
        ({"firstFrameImageUrl": "s3://a"}, {"firstFrameImageUrl": "s3://a"}),
        ({"extendVideoUrl": URL}, {"extendVideoUrl": URL}),
        ({"referenceImageUrls": [URL, None, "", 5]}, {"referenceImageUrls": (URL,)}),
        ({"referenceImageUrls": URL}, {"referenceImageUrls": URL}),
        ({"referenceImageUrls": [5], "extendVideoUrl": ""}, {}),
    ],
)
def test_sources_are_read_as_they_are_and_left_out_where_there_are_none(item, sources):
    assert video_of(item).sources == sources


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-01T12:00:00Z", datetime(2026, 1, 1, 12, tzinfo=UTC)),
        ("2026-01-01T12:00:00.123456Z", datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)),
        ("2026-01-01T14:00:00+02:00", datetime(2026, 1, 1, 12, tzinfo=UTC)),
        ("2026-01-01T12:00:00", datetime(2026, 1, 1, 12, tzinfo=UTC)),
        (" 2026-01-01 12:00:00 ", datetime(2026, 1, 1, 12, tzinfo=UTC)),
        ("2026-01-01", datetime(2026, 1, 1, tzinfo=UTC)),
        ("0001-01-01T00:00:00+23:59", None),
        ("9999-12-31T23:59:59-23:59", None),
        ("2026-13-01T00:00:00Z", None),
        ("yesterday", None),
        ("\ud800", None),
        ("", None),
        (1767268800, None),
    ],
)
def test_a_creation_date_is_in_utc_whatever_zone_it_comes_in(text, moment):
    created_at = video_of({"createdDate": text}).created_at

    assert created_at == moment
    assert created_at is None or created_at.tzinfo is UTC


# Pages


@every_reader
@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({}, None),
        *(({"nextPageKey": value}, None) for value in (None, "", False, [], {})),
        ({"nextPageKey": "a/b+c="}, "a/b+c="),
        ({"nextPageKey": " "}, " "),
        ({"nextPageKey": 0}, "0"),
        ({"nextPageKey": 1.5}, "1.5"),
        ({"nextPageKey": True}, "true"),
        ({"nextPageKey": {"id": {"S": "é"}}}, '{"id": {"S": "\\u00e9"}}'),
        ({"nextPageKey": [0]}, "[0]"),
    ],
)
def test_only_what_is_certainly_no_page_key_ends_a_list(read, fields, key):
    assert read(response({"items": [], **fields})).next_page_key == key


@every_reader
@pytest.mark.parametrize(
    "document",
    [{}, {"items": None}, {"items": {}}, {"items": "x"}, {"data": {"items": []}}, {"message": "No"}],
)
def test_a_document_without_a_list_is_unreadable(read, document):
    with pytest.raises(ResponseError, match="there is no list of items in it") as caught:
        read(response(document))
    assert caught.value.kind is ResponseErrorKind.UNREADABLE


@every_reader
@pytest.mark.parametrize("body", [b"", b"[]", b'{"items": [', b"<html>", b"\xff", b"[" * 100_000])
def test_what_is_no_document_is_unreadable(read, body):
    with pytest.raises(ResponseError) as caught:
        read(response(body))
    assert caught.value.kind is ResponseErrorKind.UNREADABLE


@every_reader
@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
def test_an_error_status_is_an_error_whatever_it_says(read, status):
    with pytest.raises(ResponseError) as caught:
        read(response({"items": []}, status))
    assert caught.value.status_code == status


@every_reader
@pytest.mark.parametrize("depth", range(100, 1000, 50))
def test_a_page_key_that_is_nested_almost_too_deeply_is_a_key_or_unreadable(read, depth):
    body = b'{"items": [], "nextPageKey": %b1%b}' % (b'{"a":' * depth, b"}" * depth)

    try:
        assert read(response(body)).next_page_key
    except ResponseError as error:
        assert error.kind is ResponseErrorKind.UNREADABLE  # noqa: PT017


# The baseline


@pytest.mark.parametrize(
    ("body", "baseline"),
    [
        (b'{"items":[]}', Baseline(BaselineKind.EMPTY)),
        (b'\xef\xbb\xbf{"items": []}', Baseline(BaselineKind.EMPTY)),
        (
            b'{"items": [{"data": {"jobId": "a"}}, {"data": {"jobId": "b"}}]}',
            Baseline(BaselineKind.FOUND, "a"),
        ),
        (b'{"items": [null]}', Baseline()),
        (b'{"items": [5]}', Baseline()),
        (b'{"items": [[]]}', Baseline()),
        (b'{"items": [{}, {"job_id": "older"}]}', Baseline()),
        (b'{"items": [{"data": {"jobId": null}}]}', Baseline()),
    ],
)
def test_the_baseline_is_the_first_job(body, baseline):
    assert read_job_list(response(body)).baseline == baseline


# The server's clock


@pytest.mark.parametrize(
    ("header", "moment"),
    [
        ("Thu, 01 Jan 2026 12:00:30 GMT", datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)),
        ("Thu, 01 Jan 2026 13:00:30 +0100", datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)),
        ("Thu, 01 Jan 2026 12:00:30 -0000", datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)),
        ("Fri, 31 Dec 9999 23:59:59 -2359", None),
        ("Thu, 99 Jan 2026 12:00:30 GMT", None),
        ("now", None),
        ("", None),
    ],
)
def test_the_servers_clock_is_read_in_utc(header, moment):
    date = read_server_date(response(b"", date=header))

    assert date == moment
    assert date is None or date.tzinfo is UTC


def test_a_server_without_a_clock_has_no_date():
    assert read_server_date(response(b"")) is None


# Anything at all


names = st.sampled_from(
    [
        *("items", "nextPageKey", "data", "job_id", "jobId", "status", "url"),
        *("prompt", "model", "aspectRatio", "duration", "createdDate"),
        *("firstFrameImageUrl", "extendVideoUrl", "referenceImageUrls"),
    ]
)
words = st.sampled_from([JOB_ID, "completed", URL, "2026-01-01T12:00:00Z", "0001-01-01T00:00:00+14:00"])
items = st.recursive(
    json_values | words,
    lambda inner: st.dictionaries(names, inner, max_size=6) | st.lists(inner, max_size=3),
)
documents = items | st.fixed_dictionaries(
    {"items": st.lists(items, max_size=4)}, optional={"nextPageKey": items}
)


@every_reader
@given(document=documents, status=st.sampled_from([200] * 5 + [400, 404, 429, 500]))
def test_any_json_document_is_a_page_or_a_response_error(read, document, status):
    try:
        page = read(response(document, status))
    except ResponseError as error:
        assert error.message.isprintable()  # noqa: PT017
        return
    assert status == 200
    assert len(page.jobs if read is read_job_list else page.videos) == len(document["items"])
    assert page.next_page_key is None or (isinstance(page.next_page_key, str) and page.next_page_key)


@every_reader
@given(body=st.binary())
def test_any_bytes_are_a_response_error(read, body):
    with pytest.raises(ResponseError):
        read(response(body))


@given(header=any_text)
def test_any_date_is_read_or_left_out(header):
    date = read_server_date(response(b"", date=header))

    assert date is None or date.tzinfo is UTC
