"""Lists come in pages, newest first, and stay right while they grow and shrink."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pictory.sandbox.bodies import InvalidBodyError
from airflow_provider_pictory.sandbox.paging import page


def place(item):
    return (float(item // 3), item)


def pages(items, size):
    page_key = None
    while True:
        shown, page_key = page(items, place, size, page_key)
        yield shown
        if page_key is None:
            return


@given(st.integers(0, 40), st.integers(1, 10))
def test_all_pages_together_are_the_list_newest_first(count, size):
    got = list(pages(range(count), size))

    assert [item for shown in got for item in shown] == list(reversed(range(count)))
    assert all(len(shown) == size for shown in got[:-1])


def test_a_full_last_page_has_no_next_one():
    assert page(range(4), place, 4, None)[1] is None


def test_items_that_arrive_or_go_between_two_pages_shift_nothing():
    _, page_key = page(range(6), place, 3, None)

    assert page(range(9), place, 3, page_key) == ([2, 1, 0], None)
    assert page([0, 1, 2, 4, 5], place, 3, page_key) == ([2, 1, 0], None)


@pytest.mark.parametrize("page_key", ["2", "\u00e9", "bnVsbA==", "WzFd", "WyJhIiwgMV0=", "WzEsIDFlOTk5XQ=="])
def test_a_made_up_page_key_is_refused(page_key):
    with pytest.raises(InvalidBodyError, match="nextPageKey is invalid"):
        page(range(3), place, 1, page_key)
