"""Things that templates, XComs and servers may hand over, from usual to absurd."""

from __future__ import annotations

from hypothesis import strategies as st

# Every character there is, and the halves of some that JSON and Python let through.
any_text = st.text(st.characters() | st.characters(categories=["Cs"]))

json_scalars = st.none() | st.booleans() | st.integers() | st.floats() | any_text
json_values = st.recursive(
    json_scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)

HUGE_INTEGER = 10**5000  # longer than Python agrees to print


def nested(depth):
    outermost = innermost = []
    for _ in range(depth):
        innermost.append([])
        innermost = innermost[0]
    return outermost


class Unprintable:
    def __repr__(self):
        raise RuntimeError("no words for this")

    __str__ = __repr__


class Incomparable:
    """As arrays of numpy are."""

    def __eq__(self, other):
        raise ValueError("the truth value of an array is ambiguous")

    __hash__ = None


# What hypothesis can't show or compare takes part in tables only.
UNWIELDY_THINGS = {
    "huge integer": HUGE_INTEGER,
    "unprintable": Unprintable(),
    "deeply nested": nested(5000),
    "incomparable": Incomparable(),
}
PRINTABLE_THINGS = {
    "bytes": b"bytes",
    "bytearray": bytearray(b"bytearray"),
    "dict": {"a": 1},
    "empty dict": {},
    "list": [1],
    "tuple": ("a", 1),
    "set": {1},
    "true": True,
    "false": False,
    "nan": float("nan"),
    "infinity": float("inf"),
    "negative": -8,
    "fraction": 8.5,
    "huge float": 1e308,
    "complex": 8j,
    "object": object(),
    "class": int,
    "lone surrogate": "\ud800",
    "lone surrogates": "https://\udcff.example/\ud800",
    "null bytes": "\0\0\0\0\0\0",
    "deeply nested text": "[" * 5000,
    "unhashable key": "[{[]: 1}]",
}
WRONG_THINGS = PRINTABLE_THINGS | UNWIELDY_THINGS

anything = json_values | st.sampled_from(list(PRINTABLE_THINGS.values())) | st.binary() | st.complex_numbers()
