"""QRC grammar: the sheet's vectors, cuts at any place, noise, and what a control's report means."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecc_controld.sdk import LocalProtocolError, RemoteProtocolError
from ecc_drivers.qsys import codec
from ecc_drivers.qsys.codec import ControlState, Fault, Notice, QrcCodec, Result
from ecc_drivers.qsys.controls import ControlOptions, build_control, plain_code

GET_ANSWER = b'{"jsonrpc":"2.0","id":1,"result":[{"Name":"MainGain","Value":-12.0,"String":"-12.0dB"}]}\0'
ERROR = b'{"jsonrpc":"2.0","id":3,"error":{"code":8,"message":"Unknown control"}}\0'
STATUS = (
    b'{"jsonrpc":"2.0","method":"EngineStatus","params":{"State":"Active","DesignName":"X",'
    b'"DesignCode":"qALFilm6IcCo","IsRedundant":false,"IsEmulator":true}}\0'
)


def fed(*chunks: bytes) -> list[Any]:
    """Messages of one connection, and the word `error` where it ends."""
    reader, out = QrcCodec(), list[Any]()
    try:
        for chunk in chunks:
            out.extend(reader.feed(chunk))
    except RemoteProtocolError:
        out.append("error")
    return out


# -- vectors of the sheet --------------------------------------------------------------------------------


def test_requests_are_the_sheets_bytes() -> None:
    assert codec.notification("NoOp", {}) == b'{"jsonrpc":"2.0","method":"NoOp","params":{}}\0'
    assert codec.request(1, "StatusGet", 0) == b'{"jsonrpc":"2.0","id":1,"method":"StatusGet","params":0}\0'
    assert codec.request(2, *codec.set_one("", "MainGain", {"Value": -12})) == (
        b'{"jsonrpc":"2.0","id":2,"method":"Control.Set","params":{"Name":"MainGain","Value":-12}}\0'
    )


@pytest.mark.parametrize(
    ("call", "method", "params"),
    [
        (codec.get("", ["MainGain", "Mute"]), "Control.Get", ["MainGain", "Mute"]),
        (
            codec.get("APM", ["ent.xfade.gain"]),
            "Component.Get",
            {"Name": "APM", "Controls": [{"Name": "ent.xfade.gain"}]},
        ),
        (
            codec.set_one("APM", "ent.xfade.gain", {"Value": -100.0, "Ramp": 2.0}),
            "Component.Set",
            {"Name": "APM", "Controls": [{"Name": "ent.xfade.gain", "Value": -100.0, "Ramp": 2.0}]},
        ),
        (
            codec.add_to_group("g1", "", ["MainGain"]),
            "ChangeGroup.AddControl",
            {"Id": "g1", "Controls": ["MainGain"]},
        ),
        (
            codec.add_to_group("g1", "APM", ["gain"]),
            "ChangeGroup.AddComponentControl",
            {"Id": "g1", "Component": {"Name": "APM", "Controls": [{"Name": "gain"}]}},
        ),
        (codec.load_snapshot("Presets", 1, 2.0), "Snapshot.Load", {"Name": "Presets", "Bank": 1, "Ramp": 2.0}),
        (codec.load_snapshot("Presets", 1, 0.0), "Snapshot.Load", {"Name": "Presets", "Bank": 1}),
    ],
)
def test_methods_have_the_sheets_parameters(call: codec.Call, method: str, params: Any) -> None:
    assert call == (method, params)


def test_answers_errors_and_status_of_the_sheet() -> None:
    got, error, status = fed(GET_ANSWER + ERROR + STATUS)
    assert isinstance(got, Result)
    assert got.id == 1
    assert codec.control_states(got.result) == [ControlState("", "MainGain", -12.0, "-12.0dB", None)]
    assert error == Fault(3, 8, "Unknown control")
    assert str(error) == "unknown control (error 8)"
    assert isinstance(status, Notice)
    known = codec.engine_status(status.params)
    assert (known.state, known.design_name, known.design_code) == ("Active", "X", "qALFilm6IcCo")


def test_split_glued_and_empty_messages() -> None:
    three = fed(GET_ANSWER[:5], GET_ANSWER[5:40], GET_ANSWER[40:])
    assert three == fed(GET_ANSWER)
    assert len(three) == 1
    reader = QrcCodec()
    assert len(list(reader.feed(GET_ANSWER + ERROR + STATUS[:30]))) == 2
    assert len(list(reader.feed(STATUS[30:]))) == 1
    assert fed(b"\0\0" + ERROR + b"\0") == fed(ERROR)


def test_component_answers_carry_the_component_and_the_position() -> None:
    items = [{"Name": "gain", "Value": -6.5, "String": "-6.5dB", "Position": 0.75}]
    known = [ControlState("APM", "gain", -6.5, "-6.5dB", 0.75)]
    assert codec.control_states({"Name": "APM", "Controls": items}) == known
    assert codec.control_states(items, "APM") == known


CHANGES = [
    {"Name": "MainGain", "Value": -12, "String": "-12dB"},
    {"Component": "APM", "Name": "gain", "Value": -1, "String": "-1dB"},
]


@pytest.mark.parametrize(
    "message",
    [
        {"method": "ChangeGroup.Poll", "params": {"Id": "g1", "Changes": CHANGES}},
        {"method": "ChangeGroup.AutoPoll", "params": {"Id": "g1", "Changes": CHANGES}},
        {"id": 7, "result": {"Id": "g1", "Changes": CHANGES}},
    ],
)
def test_pushes_are_understood_in_all_three_shapes(message: dict[str, Any]) -> None:
    (parsed,) = fed(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\0")
    assert codec.changes(parsed) == (
        "g1",
        [ControlState("", "MainGain", -12, "-12dB", None), ControlState("APM", "gain", -1, "-1dB", None)],
    )


@pytest.mark.parametrize(
    "text",
    [
        '{"id":1,"result":true}',
        '{"method":"EngineStatus","params":{"State":"Active"}}',
        '{"method":"Other","params":{"Id":"g","Changes":[]}}',
        '{"id":1,"error":{"code":6}}',
    ],
)
def test_nothing_else_is_a_push(text: str) -> None:
    (parsed,) = fed(text.encode() + b"\0")
    assert codec.changes(parsed) is None


@pytest.mark.parametrize(
    ("result", "unknown"),
    [
        (True, ()),
        (None, ()),
        ({}, ()),
        ([], ()),
        ([{"Name": "gain", "Value": -1.0}], ()),
        (["gain"], ("gain",)),
        ([{"Name": "gain"}], ("gain",)),
    ],
)
def test_a_set_may_answer_true_values_or_what_it_does_not_know(result: Any, unknown: tuple[str, ...]) -> None:
    assert codec.unknown_controls(result) == unknown


def test_a_set_that_answers_something_else_is_not_believed() -> None:
    with pytest.raises(RemoteProtocolError):
        codec.unknown_controls("login_success")


# -- strictness ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "7",
        "{",
        '{"jsonrpc":"2.0"}',
        '{"id":"1","result":true}',
        '{"id":true,"result":true}',
        '{"id":1,"error":"no"}',
        '{"id":1,"error":{"code":"8"}}',
        '{"id":1,"result":1,"error":{"message":"m"}}',
        "[" * 100_000,
    ],
)
def test_what_qrc_does_not_know_is_an_error(text: str) -> None:
    assert fed(text.encode() + b"\0") == ["error"]


def test_numbers_that_are_none_and_half_characters_do_no_harm() -> None:
    text = '{"id":1,"result":[{"Name":"M","Value":NaN,"String":"\\ud800","Position":1' + "0" * 400 + "}]}"
    (parsed,) = fed(text.encode() + b"\0")
    assert codec.control_states(parsed.result) == [ControlState("", "M", None, "?", None)]


def test_the_buffer_is_bounded_at_one_mebibyte() -> None:
    reader = QrcCodec()
    assert list(reader.feed(b"[" + b" " * (codec.MESSAGE_LIMIT - 2))) == []
    with pytest.raises(RemoteProtocolError, match="without an end"):
        list(reader.feed(b"   "))


def test_what_json_cannot_say_is_our_own_fault() -> None:
    with pytest.raises(LocalProtocolError):
        codec.request(1, "Control.Set", {"Value": float("nan")})


# -- properties ------------------------------------------------------------------------------------------

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | FLOATS
JSON = st.recursive(
    SCALARS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
MESSAGES = st.one_of(
    st.builds(lambda n, r: {"jsonrpc": "2.0", "id": n, "result": r}, st.integers(0, 9999), JSON),
    st.builds(
        lambda n, c: {"jsonrpc": "2.0", "id": n, "error": {"code": c}}, st.integers(0, 9999), st.integers(-9, 9)
    ),
    st.builds(lambda m, p: {"jsonrpc": "2.0", "method": m, "params": p}, st.text(max_size=8), JSON),
)


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    at = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[a:b] for a, b in itertools.pairwise(at)]


@given(st.lists(MESSAGES, max_size=4), st.lists(st.integers(0, 10_000), max_size=8))
def test_any_chunking_equals_the_whole(messages: list[Any], places: list[int]) -> None:
    stream = b"".join(json.dumps(message).encode() + b"\0" for message in messages)
    whole = fed(stream)
    assert len(whole) == len(messages)
    assert "error" not in whole
    assert fed(*cut(stream, places)) == whole


@given(st.binary(max_size=200), st.lists(st.integers(0, 10_000), max_size=8))
def test_noise_raises_only_the_declared_error_however_it_is_cut(noise: bytes, places: list[int]) -> None:
    stream = GET_ANSWER + noise + b"\0" + ERROR
    assert fed(*cut(stream, places)) == fed(stream)


@given(JSON)
def test_reports_of_any_shape_raise_only_the_declared_error(body: Any) -> None:
    for read in (
        codec.control_states,
        codec.engine_status,
        codec.unknown_controls,
        lambda raw: codec.changes(Result(1, raw)),
        lambda raw: codec.changes(Notice("ChangeGroup.Poll", raw)),
    ):
        try:
            read(body)
        except RemoteProtocolError:
            pass


@given(st.integers(1, 2**53), st.text(max_size=20), JSON)
def test_requests_come_back_as_they_were_said(number: int, method: str, params: Any) -> None:
    sent = codec.request(number, method, params)
    assert sent.count(b"\0") == 1
    assert sent.endswith(b"\0")
    said = json.loads(sent[:-1])
    assert (said["id"], said["method"], said["params"]) == (number, method, params)


# -- what a report means ---------------------------------------------------------------------------------


def decoded(
    kind: Any, value: Any = None, string: str | None = None, position: float | None = None, **more: Any
) -> Any:
    control = build_control("p", ControlOptions("C", kind, **more))
    return control.decode(ControlState("", "C", value, string, position))


@pytest.mark.parametrize(
    ("value", "string", "want"),
    [
        (1.0, "muted", True),
        (0, "unmuted", False),
        (True, "true", True),
        (False, "false", False),
        ("muted", "muted", True),
        ("unmuted", "unmuted", False),
        (None, "Unmuted", False),
        (None, "On", True),
        ("?", "muted", True),
        (0.5, "half", "<0.5>"),
        ("?", "?", "<?>"),
    ],
)
def test_a_boolean_is_read_by_its_kind_in_every_form(value: Any, string: str, want: Any) -> None:
    got = decoded("mute", value, string)
    assert got == want
    assert type(got) is type(want)


@pytest.mark.parametrize(
    ("value", "string", "want"),
    [(-12, "-12dB", -12.0), (None, "-12.5dB", -12.5), ("\u22126 dB", None, -6.0), (None, "-inf", "<-inf>")],
)
def test_a_gain_is_a_number_of_decibels(value: Any, string: str | None, want: Any) -> None:
    assert decoded("gain", value, string) == want


def test_a_choice_is_told_by_number_or_by_text() -> None:
    words = {"pc": 1, "mcu": 2}
    assert decoded("choice", 2.0, "MCU", words=words) == "mcu"
    assert decoded("choice", 1.0000001, None, words=words) == "pc"
    assert decoded("choice", 3.0, "x", words=words) == "<3.0>"
    assert decoded("choice", 1.0, "Input B", words={"a": "Input A", "b": "Input B"}) == "b"


def test_position_text_and_meter() -> None:
    assert decoded("position", -10.0, "-10dB", 0.5) == 0.5
    assert decoded("text", 0.0, "fire drill") == "fire drill"
    assert decoded("meter", -37.25) == -37.25


@given(
    st.sampled_from(["gain", "mute", "level", "position", "meter", "text"]),
    st.none() | st.booleans() | FLOATS | st.text(max_size=10),
    st.none() | st.text(max_size=10),
)
def test_every_report_gives_a_scalar(kind: Any, value: Any, string: str | None) -> None:
    assert isinstance(decoded(kind, value, string), (bool, int, float, str))


def test_numbers_written_as_text_are_numbers() -> None:
    assert plain_code("2") == 2
    assert plain_code("-1.5") == -1.5
    assert plain_code("Input 2") == "Input 2"
    assert plain_code(True) is True
