"""Videohub: conformance, vectors of the protocol sheet, and how the driver behaves against its twin."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecc_controld.sdk import (
    Address,
    Answer,
    BadValue,
    Choice,
    ConfigError,
    DeviceConfig,
    Driver,
    LinkError,
    LinkRefused,
    LocalProtocolError,
    Peer,
    Reading,
    Refusal,
    RemoteProtocolError,
    Session,
    Text,
    Twin,
    Value,
)
from ecc_controld.sdk.testing import Bench, DriverConformance
from ecc_drivers.videohub.codec import BLOCK_LIMIT, Ack, Block, Message, Nak, VideohubCodec, question, request
from ecc_drivers.videohub.driver import Videohub, VideohubOptions
from ecc_drivers.videohub.twin import FRONT_PANEL, VideohubTwin

SOURCES = {"gis": "in.3", "会商": "in.1"}

DUMP = (
    "PROTOCOL PREAMBLE:\nVersion: 2.8\n\n"
    "VIDEOHUB DEVICE:\nDevice present: true\nModel name: Blackmagic Videohub 4x4\nFriendly name: 大厅矩阵\n"
    "Unique ID: 7C2E0D021714\nVideo inputs: 4\nVideo processing units: 0\nVideo outputs: 4\n"
    "Video monitoring outputs: 0\nSerial ports: 0\n\n"
    "INPUT LABELS:\n0 A\n1 B C\n2 \n3 摄像机 一\n\nOUTPUT LABELS:\n0 W\n1 X\n2 Y\n3 Z\n\n"
    "VIDEO OUTPUT LOCKS:\n0 U\n1 L\n2 O\n3 U\n\nVIDEO OUTPUT ROUTING:\n0 0\n1 1\n2 2\n3 3\n\n"
    "CONFIGURATION:\nTake Mode: false\n\nEND PRELUDE:\n\n"
)
ROUTING = Block("VIDEO OUTPUT ROUTING", ("0 0", "1 1", "2 2", "3 3"))
ROUTES = (Reading("out.1", "会商"), Reading("out.2", "2"), Reading("out.3", "gis"), Reading("out.4", "4"))


def config(**options: Any) -> DeviceConfig:
    options = {"inputs": 4, "outputs": 4, **options}
    return DeviceConfig(
        id="matrix",
        name=Text("大厅矩阵", "Hall matrix"),
        address=Address("tcp", "127.0.0.1", 9990),
        options=VideohubOptions(**options),
        sources=SOURCES,
    )


def bench(kind: type[VideohubTwin] = VideohubTwin, **options: Any) -> tuple[Bench, VideohubTwin]:
    twin = kind(config(**options))
    return Bench(Videohub(config(**options)), twin), twin


async def until(true: Callable[[], bool]) -> None:
    """Let the loop run until something is true; fails after 5 s."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 5
    while not true():
        assert loop.time() < deadline, "it never came true"
        await asyncio.sleep(0)


class ScriptWire:
    """A wire whose other end is the test: what is said, and when, is its own."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.aborted = False

    def listen(self, data: Callable[[bytes], None], lost: Callable[[str, str], None]) -> None:
        self.say_bytes, self.lose = data, lost

    def say(self, text: str) -> None:
        self.say_bytes(text.encode())

    def write(self, data: bytes) -> None:
        self.sent += data

    async def drained(self) -> None:
        """Never full."""

    def abort(self) -> None:
        self.aborted = True


def script(**options: Any) -> tuple[Videohub, ScriptWire, Session, list[str]]:
    driver, wire, lost = Videohub(config(**options)), ScriptWire(), list[str]()
    session = Session(
        wire, driver.codec(), answer_s=driver.answer_s, on_lost=lambda code, detail: lost.append(code)
    )
    return driver, wire, session, lost


async def attached(**options: Any) -> tuple[Videohub, ScriptWire, Session, list[str], list[Reading]]:
    driver, wire, session, lost = script(**options)
    wire.say(DUMP)
    await driver.attach(session)
    heard: list[Reading] = []
    session.begin(lambda message: heard.extend(driver.heard(message)))
    return driver, wire, session, lost, heard


class TestConformance(DriverConformance):
    def make(self) -> tuple[Driver, Twin, dict[str, tuple[Value, Value]]]:
        options = {"inputs": 6, "outputs": 3, "labels": True}
        wishes: dict[str, tuple[Value, Value]] = {}
        for n in range(1, 4):
            wishes[f"out.{n}.lock"] = ("held", "free")
            wishes[f"out.{n}"] = ("gis", "6")
        return Videohub(config(**options)), VideohubTwin(config(**options)), wishes


# -- codec -----------------------------------------------------------------------------------------------


def test_the_dump_of_the_sheet() -> None:
    messages = list(VideohubCodec().feed(DUMP.encode()))
    blocks = [message for message in messages if isinstance(message, Block)]
    assert blocks == messages
    assert [block.header for block in blocks] == [
        "PROTOCOL PREAMBLE",
        "VIDEOHUB DEVICE",
        "INPUT LABELS",
        "OUTPUT LABELS",
        "VIDEO OUTPUT LOCKS",
        "VIDEO OUTPUT ROUTING",
        "CONFIGURATION",
        "END PRELUDE",
    ]
    assert blocks[1].fields()["unique id"] == "7C2E0D021714"
    assert blocks[2].entries() == {0: "A", 1: "B C", 2: "", 3: "摄像机 一"}
    assert blocks[4].entries() == {0: "U", 1: "L", 2: "O", 3: "U"}


def test_requests_of_the_sheet() -> None:
    assert request("VIDEO OUTPUT ROUTING", [(7, "2")]) == b"VIDEO OUTPUT ROUTING:\n7 2\n\n"
    assert request("VIDEO OUTPUT ROUTING", [(0, "3"), (1, "2")]) == b"VIDEO OUTPUT ROUTING:\n0 3\n1 2\n\n"
    assert request("OUTPUT LABELS", [(2, "Main LED")]) == b"OUTPUT LABELS:\n2 Main LED\n\n"
    assert question("VIDEO OUTPUT ROUTING") == b"VIDEO OUTPUT ROUTING:\n\n"


@pytest.mark.parametrize("label", ["a\nb", "a\n\nPING:", "a\rb"])
def test_a_line_break_cannot_be_said(label: str) -> None:
    with pytest.raises(LocalProtocolError):
        request("OUTPUT LABELS", [(0, label)])


def test_an_empty_change_would_be_a_question() -> None:
    with pytest.raises(LocalProtocolError):
        request("OUTPUT LABELS", [])


def test_ack_nak_and_line_ends_of_either_kind() -> None:
    messages = list(VideohubCodec().feed(b"ACK\r\n\r\nNAK\n\n\nVIDEO OUTPUT ROUTING:\r\n0 3\r\n\r\n"))
    assert isinstance(messages[0], Ack)
    assert isinstance(messages[1], Nak)
    assert messages[2:] == [Block("VIDEO OUTPUT ROUTING", ("0 3",))]


def test_unknown_lines_are_skipped() -> None:
    block = Block("VIDEO OUTPUT ROUTING", ("0 3", "weather: fine", "-1 2", "٣ 1", "9999999999 1", "", "2 0"))
    assert block.entries() == {0: "3", 2: "0"}
    assert block.fields() == {"weather": "fine"}


@pytest.mark.parametrize("bad", [b"hello\n\n", b"ACK\n0 1\n\n", b"\xff\xfe:\n\n", b"Ack\n\n", b" ACK\n\n"])
def test_what_is_no_block_is_an_error(bad: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        list(VideohubCodec().feed(bad))


def test_text_that_is_not_utf8_spoils_its_label_only() -> None:
    (block,) = VideohubCodec().feed(b"INPUT LABELS:\n0 \xc9\xe3\n1 ok\n\n")
    assert isinstance(block, Block)
    assert block.entries()[1] == "ok"


def feed_in_steps(codec: VideohubCodec, stream: bytes, step: int) -> list[Message]:
    return [message for at in range(0, len(stream), step) for message in codec.feed(stream[at : at + step])]


def test_a_block_may_be_as_long_as_the_limit_and_no_longer() -> None:
    head = b"INPUT LABELS:\n0 "
    fits = head + b"x" * (100 - len(head))
    assert len(list(VideohubCodec(100).feed(fits + b"\n\n"))) == 1
    assert len(feed_in_steps(VideohubCodec(100), fits + b"\n\n", 1)) == 1
    for step in (1, 1000):
        with pytest.raises(RemoteProtocolError):
            feed_in_steps(VideohubCodec(100), fits + b"x\n\n", step)


def test_without_an_end_the_buffer_stays_bounded() -> None:
    codec = VideohubCodec()
    with pytest.raises(RemoteProtocolError):
        feed_in_steps(codec, b"a\n" * (BLOCK_LIMIT // 2 + 1024), 1024)
    assert len(codec._buffer) == 0


def outcome(chunks: list[bytes]) -> list[str]:
    """All messages as text, and the error that ended them if one did."""
    codec, found = VideohubCodec(200), list[str]()
    try:
        for chunk in chunks:
            found += map(repr, codec.feed(chunk))
    except RemoteProtocolError as error:
        found.append(str(error))
    return found


LABEL = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=64)
PIECE = st.sampled_from(
    [
        b"ACK\n\n",
        b"NAK\n\n",
        b"\n",
        b"\r\n",
        b"PING:\n\n",
        b"INPUT LABELS:\n0 \xe5\xa4\xa7\n\n",
        b"A:\n" + b"x" * 190,
    ]
) | st.binary(max_size=12)


@given(st.lists(PIECE, max_size=12).map(b"".join), st.lists(st.integers(1, 9), min_size=1, max_size=40))
def test_any_chunking_equals_the_whole_errors_included(stream: bytes, cuts: list[int]) -> None:
    chunks, at = [], 0
    while at < len(stream):
        size = cuts[len(chunks) % len(cuts)]
        chunks.append(stream[at : at + size])
        at += size
    whole, parts = outcome([stream]), outcome(chunks)
    # An endless block is noticed as soon as it is too long, whichever bytes have come by then.
    assert whole == parts


@given(st.dictionaries(st.integers(0, 99999), LABEL, min_size=1, max_size=20))
def test_what_is_requested_reads_back_as_said(labels: dict[int, str]) -> None:
    (block,) = VideohubCodec().feed(request("INPUT LABELS", labels.items()))
    assert isinstance(block, Block)
    assert block.header == "INPUT LABELS"
    assert block.entries() == labels


MESSAGES = st.builds(
    Block,
    st.sampled_from(
        ["VIDEO OUTPUT ROUTING", "VIDEO OUTPUT LOCKS", "INPUT LABELS", "VIDEOHUB DEVICE", "ALARM STATUS"]
    ),
    st.lists(st.builds("{} {}".format, st.integers(-2, 9), LABEL) | LABEL, max_size=8).map(tuple),
)


@given(MESSAGES)
def test_whatever_a_block_says_gives_readings_or_the_declared_error(message: Block) -> None:
    driver = Videohub(config(labels=True))
    try:
        readings = driver.heard(message)
    except RemoteProtocolError:
        assert message.header == "VIDEOHUB DEVICE"
        return
    assert all(isinstance(reading.value, str) and reading.point in driver.points for reading in readings)


# -- config ----------------------------------------------------------------------------------------------


def test_one_input_has_one_value_and_several_spellings() -> None:
    kind = Videohub(config()).points["out.2"].kind
    assert isinstance(kind, Choice)
    assert [kind.parse(raw) for raw in ("gis", "3", 3, "in.3")] == ["gis"] * 4
    assert [kind.parse(raw) for raw in ("2", 2, "in.2")] == ["2"] * 3
    assert kind.range() == {"words": ["会商", "2", "gis", "4"]}
    for wrong in ("5", 0, "in.0", "gps", True):
        with pytest.raises(BadValue):
            kind.parse(wrong)


def test_a_second_word_for_an_input_is_a_spelling_of_the_first() -> None:
    made = DeviceConfig(
        "m", Text("矩", "m"), config().address, VideohubOptions(4, 4), sources={"map": "in.2", "gis": "in.2"}
    )
    kind = Videohub(made).points["out.1"].kind
    assert kind.parse("gis") == kind.parse("2") == "map"


@pytest.mark.parametrize(
    "sources", [{"gis": "in.5"}, {"gis": "out.1"}, {"gis": "3"}, {"2": "in.3"}, {"in.1": "in.2"}]
)
def test_sources_that_cannot_be(sources: dict[str, str]) -> None:
    made = DeviceConfig("m", Text("矩", "m"), config().address, VideohubOptions(4, 4), sources=sources)
    with pytest.raises(ConfigError):
        Videohub(made)


@pytest.mark.parametrize(("option", "value"), [("inputs", 0), ("outputs", -1), ("inputs", 5000)])
def test_sizes_that_cannot_be(option: str, value: int) -> None:
    with pytest.raises(ConfigError) as caught:
        Videohub(config(**{option: value}))
    assert caught.value.option == option


def test_a_lock_is_wanted_free_or_held_never_other() -> None:
    kind = Videohub(config()).points["out.1.lock"].kind
    assert [kind.parse(raw) for raw in ("held", True, "on", "锁定")] == ["held"] * 4
    assert [kind.parse(raw) for raw in ("free", False, "off", "解锁")] == ["free"] * 4
    with pytest.raises(BadValue):
        kind.parse("other")


def test_points_are_numbered_from_one_and_bytes_from_zero() -> None:
    driver = Videohub(config())
    assert driver.write("out.4", "gis").send == b"VIDEO OUTPUT ROUTING:\n3 2\n\n"
    assert driver.write("out.1.lock", "held").send == b"VIDEO OUTPUT LOCKS:\n0 O\n\n"
    assert driver.write("out.1.lock", "free").send == b"VIDEO OUTPUT LOCKS:\n0 U\n\n"
    forced = Videohub(config(force_unlock=True))
    assert forced.write("out.1.lock", "free").send == b"VIDEO OUTPUT LOCKS:\n0 F\n\n"
    assert forced.write("out.1.lock", "held").send == b"VIDEO OUTPUT LOCKS:\n0 O\n\n"
    assert "out.5" not in driver.points
    assert driver.points["out.4"].after == {"out.4.lock"}
    assert len(driver.observe()) == 2
    labelled = Videohub(config(labels=True))
    assert len(labelled.observe()) == 4
    with pytest.raises(LocalProtocolError):
        labelled.write("in.1.label", "x")


# -- whose answer is it ------------------------------------------------------------------------------------


def judge(exchange: Any) -> Callable[[Message], Any]:
    found: Callable[[Message], Any] = exchange.judge
    return found


def test_a_question_ends_at_the_whole_block_after_its_ack() -> None:
    ask = judge(Videohub(config()).query("out.2"))
    assert ask(ROUTING) is None, "said before the hub had read the question"
    assert ask(Ack()) is None
    assert ask(Block("VIDEO OUTPUT ROUTING", ("1 3",))) is None, "another client's change"
    assert ask(Block("VIDEO OUTPUT LOCKS", ("0 U", "1 U", "2 U", "3 U"))) is None
    assert ask(ROUTING) == Answer(ROUTES)


def test_each_question_has_a_memory_of_its_own() -> None:
    driver = Videohub(config())
    first, second = judge(driver.query("out.1")), judge(driver.query("out.1"))
    assert first(Ack()) is None
    assert second(ROUTING) is None


def test_an_ack_answers_one_request_only() -> None:
    driver = Videohub(config())
    ask, change, ack = judge(driver.query("out.1")), judge(driver.write("out.1", "2")), Ack()
    assert ask(ack) is None
    assert change(ack) is None
    assert driver.heard(ack) == ()
    for stray in (Ack(), Nak()):
        assert ask(stray) is None, "the second belongs to somebody else"
        with pytest.raises(RemoteProtocolError):
            driver.heard(stray)


def test_a_change_ends_at_ack_or_nak() -> None:
    driver = Videohub(config())
    assert judge(driver.write("out.2", "4"))(Block("VIDEO OUTPUT ROUTING", ("1 3",))) is None
    assert judge(driver.write("out.2", "4"))(Ack()) == Answer()
    verdict = judge(driver.write("out.2", "4"))(Nak())
    assert isinstance(verdict, Refusal)
    assert not verdict.busy
    assert not verdict.not_fitted


def test_nak_to_a_question_means_not_fitted_for_locks_only() -> None:
    driver = Videohub(config())
    locks, routes = judge(driver.query("out.1.lock"))(Nak()), judge(driver.query("out.1"))(Nak())
    assert isinstance(locks, Refusal)
    assert locks.not_fitted
    assert isinstance(routes, Refusal)
    assert not routes.not_fitted


def test_values_outside_the_kind_still_read() -> None:
    driver = Videohub(config())
    assert driver.heard(Block("VIDEO OUTPUT ROUTING", ("0 7", "1 -1", "2 x", "9 1"))) == (
        Reading("out.1", "<8>"),
        Reading("out.2", "<-1>"),
        Reading("out.3", "<x>"),
    )
    assert driver.heard(Block("VIDEO OUTPUT LOCKS", ("0 L", "1 Q"))) == (
        Reading("out.1.lock", "other"),
        Reading("out.2.lock", "<Q>"),
    )


async def test_pushes_between_request_and_ack_are_heard_and_do_not_answer() -> None:
    driver, wire, session, lost, heard = await attached()
    (write,) = session.hand_over([driver.write("out.2", "4")])
    wire.say("VIDEO OUTPUT ROUTING:\n0 2\n\nINPUT LABELS:\n0 new\n\n")
    assert not write.outcome.done()
    wire.say("ACK\n\nVIDEO OUTPUT ROUTING:\n1 3\n\n")
    assert await write.outcome == Answer()
    assert heard == [Reading("out.1", "gis"), Reading("out.2", "4")]
    (ask,) = session.hand_over([driver.query("out.2")])
    wire.say("VIDEO OUTPUT ROUTING:\n0 0\n1 1\n2 2\n3 3\n\nACK\n\nVIDEO OUTPUT ROUTING:\n3 0\n\n")
    assert not ask.outcome.done()
    wire.say("VIDEO OUTPUT ROUTING:\n0 2\n1 3\n2 2\n3 0\n\n")
    answer = await ask.outcome
    assert isinstance(answer, Answer)
    assert {reading.point: reading.value for reading in answer.readings} == {
        "out.1": "gis",
        "out.2": "4",
        "out.3": "gis",
        "out.4": "会商",
    }
    assert bytes(wire.sent) == b"VIDEO OUTPUT ROUTING:\n1 3\n\nVIDEO OUTPUT ROUTING:\n\n"
    assert not lost


async def test_write_and_question_in_one_segment_share_no_ack() -> None:
    driver, wire, session, lost, _ = await attached()
    ask, write = session.hand_over([driver.query("out.1"), driver.write("out.1", "2")])
    wire.say("ACK\n\n")
    assert not write.outcome.done()
    wire.say("VIDEO OUTPUT ROUTING:\n0 0\n1 1\n2 2\n3 3\n\nACK\n\n")
    assert await ask.outcome == Answer(ROUTES)
    assert await write.outcome == Answer()
    assert not lost


@pytest.mark.parametrize("stray", ["ACK\n\n", "NAK\n\n"])
async def test_an_answer_to_nobody_aborts_the_connection(stray: str) -> None:
    _, wire, _, lost, _ = await attached()
    wire.say(stray)
    assert lost == ["mismatched_answer"]
    assert wire.aborted


# -- attach ------------------------------------------------------------------------------------------------


async def test_identity_is_what_the_hub_says() -> None:
    driver, wire, session, _ = script()
    wire.say(DUMP)
    found = await driver.attach(session)
    assert (found.model, found.name) == ("Blackmagic Videohub 4x4", "大厅矩阵")
    assert (found.serial, found.firmware) == ("7C2E0D021714", "protocol 2.8")


async def test_attach_waits_for_the_end_of_the_prelude() -> None:
    driver, wire, session, _ = script()
    before, end = DUMP[: DUMP.index("CONFIGURATION")], DUMP[DUMP.index("CONFIGURATION") :]
    task = asyncio.ensure_future(driver.attach(session))
    for at in range(0, len(before), 17):
        wire.say_bytes(before.encode()[at : at + 17])
    wire.say_bytes(before.encode()[len(range(0, len(before), 17)) * 17 :])
    await asyncio.sleep(0)
    assert not task.done()
    wire.say(end)
    assert (await task).model


async def test_older_firmware_ends_its_dump_by_falling_silent() -> None:
    driver, wire, session, lost = script()
    wire.say(DUMP.replace("END PRELUDE:\n\n", "").replace("Version: 2.8", "Version: 2.2"))
    assert (await driver.attach(session)).firmware == "protocol 2.2"
    assert not lost


async def test_silence_before_the_routing_is_no_dump(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Videohub, "answer_s", 0.05)
    driver, wire, session, _ = script()
    wire.say(DUMP[: DUMP.index("VIDEO OUTPUT ROUTING")])
    with pytest.raises(LinkError) as caught:
        await driver.attach(session)
    assert caught.value.code == "no_answer"


async def test_a_dump_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecc_drivers.videohub.driver.DUMP_S", 0.05)
    driver, wire, session, _ = script()
    wire.say(DUMP.replace("END PRELUDE:\n\n", ""))
    task = asyncio.ensure_future(driver.attach(session))
    async with asyncio.timeout(5):
        while not task.done():
            wire.say("ALARM STATUS:\n0 ok\n\n")
            await asyncio.sleep(0)
    with pytest.raises(LinkError) as caught:
        await task
    assert caught.value.code == "no_answer"


async def test_a_line_that_breaks_in_the_dump_is_not_its_end() -> None:
    driver, wire, session, _ = script()
    wire.say(DUMP.replace("END PRELUDE:\n\n", ""))
    task = asyncio.ensure_future(driver.attach(session))
    await asyncio.sleep(0)
    wire.lose("reset", "")
    with pytest.raises(LinkError) as caught:
        await task
    assert caught.value.code == "reset"


async def refused(text: str, **options: Any) -> LinkError:
    driver, wire, session, _ = script(**options)
    wire.say(text)
    with pytest.raises(LinkError) as caught:
        await driver.attach(session)
    return caught.value


@pytest.mark.parametrize("present", ["false", "needs_update"])
async def test_a_hub_without_its_device_is_not_ready(present: str) -> None:
    start = f"PROTOCOL PREAMBLE:\nVersion: 2.8\n\nVIDEOHUB DEVICE:\nDevice present: {present}\n\n"
    error = await refused(start)
    assert (error.code, isinstance(error, LinkRefused)) == ("not_ready", False)
    assert present in error.detail


@pytest.mark.parametrize("options", [{"inputs": 5}, {"outputs": 3}, {"model": "Blackmagic Videohub 40x40"}])
async def test_another_size_or_model_is_refused(options: dict[str, Any]) -> None:
    sources_fit = {"inputs": 4, "outputs": 4, **options}
    error = await refused(DUMP, **sources_fit)
    assert isinstance(error, LinkRefused)
    assert error.code == "wrong_model"


async def test_the_model_is_compared_without_case_and_blanks() -> None:
    driver, wire, session, _ = script(model="blackmagic videohub 4 x 4")
    wire.say(DUMP)
    assert (await driver.attach(session)).model == "Blackmagic Videohub 4x4"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (DUMP.replace("3 3\n\nCONF", "\nCONF"), "protocol_error"),
        ("ACK\n\n" + DUMP, "protocol_error"),
        ("SSH-2.0-dropbear\n\n", "protocol_error"),
    ],
)
async def test_what_is_no_hub_is_a_protocol_error(text: str, code: str) -> None:
    error = await refused(text)
    assert (error.code, isinstance(error, LinkRefused)) == (code, False)


async def test_a_greeting_with_glued_lines_is_understood() -> None:
    """One server in the field forgets the line breaks after the two sizes."""
    glued = DUMP.replace("Video inputs: 4\n", "Video inputs: 4").replace("Video outputs: 4\n", "Video outputs: 4")
    (device,) = (m for m in VideohubCodec().feed(glued.encode()) if isinstance(m, Block) and "DEVICE" in m.header)
    assert device.lines[-2:] == (
        "Video outputs: 4Video monitoring outputs: 0",
        "Serial ports: 0",
    )
    driver, wire, session, _ = script()
    wire.say(glued)
    assert (await driver.attach(session)).name == "大厅矩阵"
    assert (await refused(glued, inputs=5)).code == "wrong_model"
    assert (await refused(glued, outputs=40)).code == "wrong_model"


# -- against the twin --------------------------------------------------------------------------------------


async def test_a_change_by_hand_is_pushed_and_read_back() -> None:
    hall, twin = bench(labels=True)
    await hall.connect()
    twin.poke("out.2", "gis")
    twin.poke("out.3", "in.4")
    twin.poke("in.1.label", "无人机 1")
    await until(lambda: len(hall.heard) == 3)
    assert hall.heard == [Reading("out.2", "gis"), Reading("out.3", "4"), Reading("in.1.label", "无人机 1")]
    found = await hall.read_all()
    assert (found["out.2"], found["out.3"], found["in.1.label"]) == ("gis", "4", "无人机 1")
    assert found["out.1.label"] == "Output 1"
    await twin.close()


@pytest.mark.parametrize("point", ["out.0", "out.5", "in.1", "out.1.colour", "power", "out.x", "in.9.label"])
async def test_poke_knows_only_its_points(point: str) -> None:
    twin = VideohubTwin(config())
    with pytest.raises(KeyError):
        twin.poke(point, "1")
    for known, value in (("out.1", "in.9"), ("out.1", "weather"), ("out.1.lock", "perhaps")):
        with pytest.raises(ValueError):
            twin.poke(known, value)
    await twin.close()


@pytest.mark.parametrize("nak", [True, False])
async def test_a_route_that_another_has_locked_does_not_change(nak: bool) -> None:
    hall, twin = bench()
    twin.locked_nak = nak
    await hall.connect()
    await hall.write("out.1", "2")
    twin.poke("out.1.lock", "other")
    assert await hall.read("out.1.lock") == "other"
    verdict = await hall.write("out.1", "gis")
    assert isinstance(verdict, Refusal if nak else Answer)
    assert await hall.read("out.1") == "2"
    verdict = await hall.write("out.1.lock", "free")
    assert isinstance(verdict, Refusal if nak else Answer)
    assert await hall.read("out.1.lock") == "other"
    assert not hall.lost
    await twin.close()


async def test_forced_unlock_breaks_anothers_lock() -> None:
    hall, twin = bench(force_unlock=True)
    await hall.connect()
    twin.poke("out.1.lock", "other")
    assert isinstance(await hall.write("out.1.lock", "free"), Answer)
    assert await hall.read("out.1.lock") == "free"
    assert isinstance(await hall.write("out.1", "gis"), Answer)
    assert twin.state.crosspoints[0].source == 2
    await twin.close()


async def test_our_own_lock_keeps_others_out_and_lets_us_route() -> None:
    hall, twin = bench()
    await hall.connect()
    await hall.write("out.1.lock", "held")
    assert await hall.read("out.1.lock") == "held"
    said: list[bytes] = []
    stranger = Peer(send=said.append, host="127.0.0.2", close=said.clear, reset=said.clear)
    twin.peers.add(stranger)
    twin._received(stranger, b"VIDEO OUTPUT LOCKS:\n\nVIDEO OUTPUT ROUTING:\n0 3\n\nVIDEO OUTPUT LOCKS:\n0 U\n\n")
    assert said == [b"ACK\n\n", b"VIDEO OUTPUT LOCKS:\n0 L\n1 U\n2 U\n3 U\n\n", b"NAK\n\n", b"NAK\n\n"]
    assert isinstance(await hall.write("out.1", "gis"), Answer)
    assert await hall.read("out.1") == "gis"
    assert said[-1] == b"VIDEO OUTPUT ROUTING:\n0 2\n\n"
    await twin.close()


async def test_a_crosspoint_that_lags_its_ack_settles() -> None:
    hall, twin = bench()
    twin.switch_s = 0.05
    await hall.connect()
    assert isinstance(await hall.write("out.1", "gis"), Answer)
    assert await hall.read("out.1") == "会商"
    assert await hall.settle("out.1", "gis") == "gis"
    assert Reading("out.1", "gis") in hall.heard
    await twin.close()


async def test_a_hub_without_locks_says_so_and_routes_all_the_same() -> None:
    hall, twin = bench()
    twin.has_locks = False
    await hall.connect()
    verdict = await hall.ask("out.1.lock")
    assert isinstance(verdict, Refusal)
    assert verdict.not_fitted
    await hall.write("out.1", "gis")
    assert await hall.read("out.1") == "gis"
    await twin.close()


async def test_old_firmware_of_the_twin_attaches_too() -> None:
    hall, twin = bench()
    twin.end_prelude, twin.version = False, "2.2"
    assert (await hall.connect()).firmware == "protocol 2.2"
    assert b"END PRELUDE" not in b"".join(hall.wire.received)
    await twin.close()


async def test_a_hub_that_loses_its_device_is_left_and_comes_back() -> None:
    hall, twin = bench()
    await hall.connect()
    twin.set_present("needs_update")
    await until(lambda: bool(hall.lost))
    assert hall.lost == [("mismatched_answer", "Device present: needs_update")]
    with pytest.raises(LinkError) as caught:
        await hall.connect()
    assert caught.value.code == "not_ready"
    twin.set_present("true")
    assert (await hall.connect()).model == "Blackmagic Videohub 4x4"
    await twin.close()


async def test_a_device_that_comes_back_on_the_same_connection_is_welcome() -> None:
    hall, twin = bench()
    await hall.connect()
    twin.state.crosspoints[0].source = 3
    twin.set_present("true")
    await until(lambda: Reading("out.1", "4") in hall.heard)
    assert not hall.lost
    await twin.close()


async def test_another_name_is_no_other_device() -> None:
    driver = Videohub(config(model="Blackmagic Videohub 4x4"))
    assert driver.heard(Block("VIDEOHUB DEVICE", ("Friendly name: 新名",))) == ()
    with pytest.raises(RemoteProtocolError):
        driver.heard(Block("VIDEOHUB DEVICE", ("Device present: true", "Video outputs: 12")))


async def test_power_on_forgets_what_was_set() -> None:
    hall, twin = bench()
    await hall.connect()
    await hall.write("out.1", "gis")
    await hall.write("out.2.lock", "held")
    await twin.fault("reboot")
    await until(lambda: bool(hall.lost))
    await hall.connect()
    found = await hall.read_all()
    assert (found["out.1"], found["out.2.lock"]) == ("会商", "free")
    await twin.close()


def talk(twin: VideohubTwin, text: str) -> bytes:
    """What a client that says `text` gets to read, greeting apart."""
    said: list[bytes] = []
    peer = Peer(send=said.append, host="127.0.0.9", close=said.clear, reset=said.clear)
    twin.peers.add(peer)
    twin._received(peer, text.encode())
    twin.peers.discard(peer)
    return b"".join(said)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("PING:\n\n", "ACK\n\n"),
        ("VIDEO OUTPUT ROUTING:\n3 2\n\n", "ACK\n\nVIDEO OUTPUT ROUTING:\n3 2\n\n"),
        ("VIDEO OUTPUT ROUTING:\n0 1\n2 0\n\n", "ACK\n\nVIDEO OUTPUT ROUTING:\n0 1\n2 0\n\n"),
        ("VIDEO OUTPUT ROUTING:\n\n", "ACK\n\nVIDEO OUTPUT ROUTING:\n0 0\n1 1\n2 2\n3 3\n\n"),
        ("VIDEO OUTPUT LOCKS:\n3 O\n\n", "ACK\n\nVIDEO OUTPUT LOCKS:\n3 O\n\n"),
        ("VIDEO OUTPUT LOCKS:\n1 F\n\n", "ACK\n\nVIDEO OUTPUT LOCKS:\n1 U\n\n"),
        ("OUTPUT LABELS:\n2 Main LED\n\n", "ACK\n\nOUTPUT LABELS:\n2 Main LED\n\n"),
        ("INPUT LABELS:\r\n0 \r\n\r\n", "ACK\n\nINPUT LABELS:\n0 \n\n"),
        ("CONFIGURATION:\nTake Mode: true\n\n", "ACK\n\nCONFIGURATION:\nTake Mode: true\n\n"),
        ("VIDEO OUTPUT ROUTING:\n4 0\n\n", "NAK\n\n"),
        ("VIDEO OUTPUT ROUTING:\n0 4\n\n", "NAK\n\n"),
        ("VIDEO OUTPUT ROUTING:\n0 1\nx\n\n", "NAK\n\n"),
        ("VIDEO OUTPUT ROUTING:\n1 0\n\n", "NAK\n\n"),
        ("VIDEO OUTPUT LOCKS:\n0 X\n\n", "NAK\n\n"),
        ("VIDEO OUTPUT LOCKS:\n0 \n\n", "NAK\n\n"),
        ("VIDEO OUTPUT LOCKS:\n1 U\n\n", "NAK\n\n"),
        ("OUTPUT LABELS:\nMain LED\n\n", "NAK\n\n"),
        ("CONFIGURATION:\nTake Mode: perhaps\n\n", "NAK\n\n"),
        ("VIDEOHUB DEVICE:\nModel name: mine\n\n", "NAK\n\n"),
        ("WEATHER:\n\n", "NAK\n\n"),
        ("hello\n\n", "NAK\n\n"),
    ],
)
async def test_the_twin_speaks_the_sheet(said: str, answer: str) -> None:
    twin = VideohubTwin(config())
    twin.state.crosspoints[1].owner = FRONT_PANEL
    assert talk(twin, said).decode() == answer
    await twin.close()


async def test_a_refused_change_changes_nothing_at_all() -> None:
    twin = VideohubTwin(config())
    assert talk(twin, "VIDEO OUTPUT ROUTING:\n0 2\n1 9\n\n") == b"NAK\n\n"
    twin.state.crosspoints[1].owner = FRONT_PANEL
    assert talk(twin, "VIDEO OUTPUT ROUTING:\n0 2\n1 2\n\n") == b"NAK\n\n"
    assert [one.source for one in twin.state.crosspoints] == [0, 1, 2, 3]
    twin.locked_nak = False
    assert talk(twin, "VIDEO OUTPUT ROUTING:\n0 2\n1 2\n\n") == b"ACK\n\nVIDEO OUTPUT ROUTING:\n0 2\n\n"
    assert [one.source for one in twin.state.crosspoints] == [2, 1, 2, 3]
    await twin.close()


async def test_a_new_friendly_name_is_told() -> None:
    twin = VideohubTwin(config())
    assert "Friendly name: 东厅\n".encode() in talk(twin, "VIDEOHUB DEVICE:\nFriendly name: 东厅\n\n")
    assert talk(twin, "VIDEOHUB DEVICE:\n\n").startswith(b"ACK\n\nVIDEOHUB DEVICE:\nDevice present: true\n")
    await twin.close()


async def test_a_hub_without_its_device_answers_ping_only() -> None:
    twin = VideohubTwin(config())
    twin.set_present("false")
    assert talk(twin, "PING:\n\nVIDEO OUTPUT ROUTING:\n\n") == b"ACK\n\nNAK\n\n"
    await twin.close()


async def test_the_twin_keeps_no_endless_request() -> None:
    twin = VideohubTwin(config())
    closed: list[bool] = []
    peer = Peer(send=lambda data: None, host="127.0.0.9", close=lambda: closed.append(True), reset=lambda: None)
    twin.peers.add(peer)
    twin._received(peer, b"a\n" * 40_000)
    assert closed
    assert not peer.buffer
    await twin.close()
