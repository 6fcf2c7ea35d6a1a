"""Hooks of schemathesis for Selvedge: MessagePack, TOML and modules, long polls that do not wait, no invented cursors.

The first makes every operation be tried in every format. The second replaces a wait that the server would obey by none:
nobody works on the runs that the examples start, so each wait would last its whole time and show nothing. The third drops
cursors, which only the server can make: the conformance cases refuse bad ones.
"""

import re

import msgpack
import schemathesis
import tomli_w

MSGPACK = ("application/msgpack", "application/vnd.msgpack", "application/problem+msgpack")

# Parameters, in the query or at the top of a body, that say how long to wait. `timeout` waits unless it is given.
WAITS = ("wait", "timeout")
WAITS_UNLESS_GIVEN = "timeout"

# The two forms of a duration. Others are left alone: they are wrong, and the server is to say so.
DURATION = re.compile(r"\d+(ms|s|m)|PT\d+(\.\d+)?[SM]")

WASM = "application/wasm"

# The least that can be uploaded: a memory, an allocator, and a function `f`.
MODULE = (
    b"\0asm\x01\0\0\0\x01\x0c\x02\x60\x01\x7f\x01\x7f\x60\x02\x7f\x7f\x01\x7e\x03\x03\x02\0\x01\x05\x03\x01\0\x01"
    b"\x07\x1f\x03\x06memory\x02\0\x0eselvedge_alloc\0\0\x01f\0\x01\x0a\x0b\x02\x04\0\x41\0\x0b\x04\0\x42\0\x0b"
)

I64_MIN, U64_MAX = -(2**63), 2**64 - 1


@schemathesis.serializer(*MSGPACK)
def serialize_msgpack(context, value):
    return msgpack.packb(packable(value))


@schemathesis.deserializer(*MSGPACK)
def deserialize_msgpack(context, response):
    return msgpack.unpackb(response.content, strict_map_key=True)


@schemathesis.serializer("application/toml")
def serialize_toml(context, value):
    """TOML has tables at its root and no nulls. What it cannot hold is left out of good data; bad data stays bad."""
    held = without_nulls(value if isinstance(value, dict) else {"value": value})
    if is_negative(context.case) and held != value:
        return b"\0"
    # An empty table is a text of no length, which would be no body at all.
    return tomli_w.dumps(held).encode() or b"\n"


@schemathesis.serializer(WASM)
def serialize_wasm(context, value):
    """Any bytes are well-formed: good data is a module of ours, bad data is none."""
    return b"\0" if is_negative(context.case) else MODULE


@schemathesis.deserializer(WASM)
def deserialize_wasm(context, response):
    return response.content.decode("latin-1")


def is_negative(case):
    return case.meta is not None and case.meta.generation.mode.is_negative


def without_nulls(value):
    """The value without what TOML cannot hold: nulls, and integers beyond 64 bits."""
    match value:
        case dict():
            return {name: without_nulls(item) for name, item in value.items() if item is not None}
        case list() | tuple():
            return [without_nulls(item) for item in value if item is not None]
        case int() if not isinstance(value, bool) and not I64_MIN <= value < 2**63:
            return float(value)
        case _:
            return value


@schemathesis.hook
def before_call(context, case, kwargs):
    query = case.query if isinstance(case.query, dict) else None
    if query is not None:
        query.pop("cursor", None)
    if query is not None or case.query in (None, {}):
        known = {parameter.name for parameter in case.operation.query}
        if WAITS_UNLESS_GIVEN in known and WAITS_UNLESS_GIVEN not in (query or {}):
            case.query = {**(query or {}), WAITS_UNLESS_GIVEN: "0s"}
        elif query is not None:
            shorten(query)
    if isinstance(case.body, dict):
        shorten(case.body)
    # Integers keep 64 bits and no more: schemas of free values cannot say so.
    if isinstance(case.body, dict | list):
        case.body = packable(case.body)


def shorten(values):
    for name in WAITS:
        if isinstance(values.get(name), str) and DURATION.fullmatch(values[name]):
            values[name] = "0s"


def packable(value):
    """The value with integers that MessagePack cannot hold as floats, as a JSON reader without big integers has them."""
    match value:
        case bool():
            return value
        case int() if not I64_MIN <= value <= U64_MAX:
            return float(value)
        case dict():
            return {name: packable(item) for name, item in value.items()}
        case list() | tuple():
            return [packable(item) for item in value]
        case _:
            return value
