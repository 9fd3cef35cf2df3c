"""VISCA over IP: codec, positions, driver against the twin, twin by raw datagrams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecc_controld.sdk import (
    Address,
    Answer,
    BadValue,
    ConfigError,
    DeviceConfig,
    Exchange,
    LinkError,
    LocalProtocolError,
    Peer,
    Reading,
    Refusal,
    RemoteProtocolError,
    Session,
    Text,
)
from ecc_controld.sdk.testing import Bench, DriverConformance
from ecc_controld.wires.udp import dial
from ecc_drivers.visca import codec
from ecc_drivers.visca.codec import Message, ViscaCodec, What, datagram, nibbles, number_of, packet
from ecc_drivers.visca.driver import Speeds, Visca, ViscaOptions
from ecc_drivers.visca.position import Place, Placement, Tolerance
from ecc_drivers.visca.twin import ViscaTwin

PRESETS = {"overview": 1, "speaker": 2, "parked": 0}
POSITIONS = {"overview": (-400, 50, 1000), "speaker": (600, -120, 9000), "parked": (0, 0, 0)}


class QuickTwin(ViscaTwin):
    """Fast motors, and datagrams that can get lost."""

    power_up_s = 0.2
    boot_s = 0.3
    pan_full_s = 1.0
    tilt_full_s = 1.0
    zoom_full_s = 1.0
    recall_s = 0.05
    lose_requests = 0
    lose_replies = 0

    def frames(self, peer: Peer, data: bytes) -> Any:
        if self.lose_requests:
            self.lose_requests -= 1
            return ()
        return super().frames(peer, data)

    def say(self, peer: Peer, data: bytes) -> None:
        if self.lose_replies:
            self.lose_replies -= 1
            return
        super().say(peer, data)


class SlowTwin(QuickTwin):
    """Motors slow enough to be caught on their way."""

    pan_full_s = 30.0
    tilt_full_s = 30.0
    zoom_full_s = 30.0


def config(presets: dict[str, Any] | None = None, **options: Any) -> DeviceConfig:
    options.setdefault("positions", POSITIONS)
    return DeviceConfig(
        id="cam1",
        name=Text("摄像机 1", "Camera 1"),
        address=Address("udp", "127.0.0.1", 52381),
        options=ViscaOptions(**options),
        presets=PRESETS if presets is None else presets,
    )


def bench(twin: type[ViscaTwin] = QuickTwin, presets: dict[str, Any] | None = None, **options: Any) -> Bench:
    made = config(presets, **options)
    return Bench(Visca(made), twin(made))


async def until(true: Callable[[], bool], within_s: float = 10.0) -> None:
    """Wait for a condition; fails after a generous deadline."""
    async with asyncio.timeout(within_s):
        while True:
            if true():
                return
            await asyncio.sleep(0.01)


def payloads(desk: Bench, kind: int = codec.COMMAND) -> list[str]:
    """The VISCA packets of one type that the driver sent."""
    return [sent[8:].hex(" ") for sent in desk.wire.sent if sent[:2] == kind.to_bytes(2, "big")]


class TestConformance(DriverConformance):
    def make(self) -> tuple[Any, Any, dict[str, Any]]:
        desk = bench()
        return desk.driver, desk.twin, {"preset": ("overview", "at:100,-20,3000"), "power": (False, True)}


class TestConformanceFiveDigits(DriverConformance):
    def make(self) -> tuple[Any, Any, dict[str, Any]]:
        desk = bench(pan_digits=5, positions=POSITIONS | {"speaker": (-60000, 20, 9000)})
        return desk.driver, desk.twin, {"preset": ("speaker", "at:40000,-20,3000"), "power": (False, True)}


class TestConformanceWithoutPositions(DriverConformance):
    def make(self) -> tuple[Any, Any, dict[str, Any]]:
        desk = bench(positions={})
        assert desk.driver.points["preset"].access == "write"
        return desk.driver, desk.twin, {"preset": ("overview", "speaker"), "power": (False, True)}


# -- codec ---------------------------------------------------------------------------------------------------

SENT = [
    (codec.CONTROL, 1, codec.RESET, "02 00 00 01 00 00 00 01 01"),
    (codec.COMMAND, 3, packet(0x81, codec.power(True)), "01 00 00 06 00 00 00 03 81 01 04 00 02 ff"),
    (
        codec.COMMAND,
        7,
        packet(0x81, codec.pan_tilt_drive(1, 1, 8, 6)),
        "01 00 00 09 00 00 00 07 81 01 06 01 08 06 02 01 ff",
    ),
    (
        codec.COMMAND,
        9,
        packet(0x81, codec.pan_tilt_to(-170, 45, 0x18, 0x14, 4)),
        "01 00 00 0f 00 00 00 09 81 01 06 02 18 14 0f 0f 05 06 00 00 02 0d ff",
    ),
    (codec.COMMAND, 12, packet(0x81, codec.recall(3)), "01 00 00 07 00 00 00 0c 81 01 04 3f 02 03 ff"),
    (codec.COMMAND, 13, packet(0x81, codec.zoom_drive(1, 5)), "01 00 00 06 00 00 00 0d 81 01 04 07 25 ff"),
    (codec.COMMAND, 15, packet(0x81, codec.zoom_to(8192)), "01 00 00 09 00 00 00 0f 81 01 04 47 02 00 00 00 ff"),
]


@pytest.mark.parametrize(("kind", "number", "payload", "expected"), SENT)
def test_sent_vectors(kind: int, number: int, payload: bytes, expected: str) -> None:
    assert datagram(kind, number, payload) == bytes.fromhex(expected)


def reply(number: int, text: str) -> bytes:
    payload = bytes.fromhex(text)
    return b"\x01\x11" + len(payload).to_bytes(2, "big") + number.to_bytes(4, "big") + payload


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90 41 ff", Message(What.ACK, 7, 1)),
        ("a0 42 ff", Message(What.ACK, 7, 2)),
        ("90 52 ff", Message(What.DONE, 7, 2)),
        ("90 50 ff", Message(What.DONE, 7, 0)),
        ("90 50 02 ff", Message(What.ANSWER, 7, data=b"\x02")),
        ("90 60 02 ff", Message(What.ERROR, 7, code=codec.SYNTAX)),
        ("90 60 03 ff", Message(What.ERROR, 7, code=codec.BUFFER_FULL)),
        ("90 61 41 ff", Message(What.ERROR, 7, 1, codec.NOT_EXECUTABLE)),
        ("f0 62 04 ff", Message(What.ERROR, 7, 2, codec.CANCELLED)),
        ("90 38 ff", Message(What.NETWORK, 7)),
        ("88 38 ff", Message(What.NETWORK, 7)),
    ],
)
def test_received_vectors(text: str, expected: Message) -> None:
    assert list(ViscaCodec().feed(reply(7, text))) == [expected]


def test_received_control_messages() -> None:
    assert list(ViscaCodec().feed(bytes.fromhex("0201 0001 00000009 01"))) == [Message(What.RESET, 9)]
    for kind in ("0200", "0201"):
        heard = ViscaCodec().feed(bytes.fromhex(kind + "0002 00000005 0f01"))
        assert list(heard) == [Message(What.FAULT, 5, code=codec.WRONG_NUMBER)]


def test_position_vector() -> None:
    (heard,) = ViscaCodec().feed(reply(0, "90 50 00 01 02 03 0f 0e 0d 0c ff"))
    assert number_of(heard.data[:4], signed=True) == 291
    assert number_of(heard.data[4:], signed=True) == -292


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0111 0003 000000",  # header cut
        "0111 0004 00000001 9041ff",  # wrong length
        "0111 0000 00000001",  # nothing inside
        "0111 0003 00000001 904100",  # no end mark
        "0111 0005 00000001 9050ff02ff",  # end mark inside
        "0111 0003 00000001 8141ff",  # not from a camera
        "0111 0003 00000001 9071ff",  # no such reply
        "0100 0003 00000001 9041ff",  # a camera sends no commands
        "0201 0001 00000001 02",  # no such control reply
    ],
)
def test_broken_datagrams_are_remote_errors(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        list(ViscaCodec().feed(bytes.fromhex(text)))


@given(st.binary(max_size=64))
def test_arbitrary_bytes_raise_only_the_declared_error(data: bytes) -> None:
    for framed in (data, b"\x01\x11" + len(data).to_bytes(2, "big") + bytes(4) + data):
        try:
            assert len(list(ViscaCodec().feed(framed))) == 1
        except RemoteProtocolError:
            pass


@given(st.integers(-(1 << 15), (1 << 15) - 1), st.integers(0, 0xFFFF), st.integers(-(1 << 19), (1 << 19) - 1))
def test_numbers_survive_the_round_trip(signed: int, unsigned: int, wide: int) -> None:
    assert number_of(nibbles(signed, 4), signed=True) == signed
    assert number_of(nibbles(unsigned, 4), signed=False) == unsigned
    assert number_of(nibbles(wide, 5), signed=True) == wide


def test_numbers_that_do_not_fit_are_our_own_errors() -> None:
    for make in (lambda: nibbles(70000, 4), lambda: packet(0x81, codec.recall(0xFF)), lambda: datagram(1, 1, b"")):
        with pytest.raises(LocalProtocolError):
            make()
    with pytest.raises(RemoteProtocolError):
        number_of(b"\x00\x10\x00\x00", signed=False)


# -- places --------------------------------------------------------------------------------------------------

PLACES = {word: Place(*place) for word, place in POSITIONS.items()}
KIND = Placement(PRESETS, PLACES, Tolerance(pan=10, tilt=10, zoom=50))


def test_a_placement_is_a_word_or_a_place() -> None:
    assert KIND.parse(" overview ") == "overview"
    assert KIND.parse("at: 1, −2,+3".replace("+3", "3")) == "at:1,-2,3"
    assert KIND.range() == {"words": ["overview", "speaker", "parked"]}
    with pytest.raises(BadValue) as wrong:
        KIND.parse("overveiw")
    assert wrong.value.nearest == "overview"
    for bad in (True, "at:1,2", "at:1,2,-3", "at:40000,0,0", "at:0,40000,0", "at:0,0,70000", "at:1.5,0,0"):
        with pytest.raises(BadValue):
            KIND.parse(bad)


def test_values_are_the_same_when_their_places_are() -> None:
    assert KIND.same("overview", "at:-410,60,1050")
    assert not KIND.same("overview", "at:-411,50,1000")
    assert not KIND.same("overview", "at:-400,61,1000")
    assert not KIND.same("overview", "at:-400,50,1051")
    assert not KIND.same("overview", "speaker")
    unknown = Placement({"a": 1, "b": 2}, {}, Tolerance())
    assert unknown.same("a", "a")
    assert not unknown.same("a", "b")


def test_the_nearest_word_within_tolerance_names_a_place() -> None:
    kind = Placement({}, {"far": Place(0, 0, 40), "near": Place(0, 0, 20)}, Tolerance(5, 5, 50))
    assert kind.value(Place(1, 0, 22)) == "near"
    assert kind.value(Place(6, 0, 22)) == "at:6,0,22"


@given(st.tuples(st.integers(-32768, 32767), st.integers(-32768, 32767), st.integers(0, 65535)))
def test_what_a_camera_reports_can_be_wished(place: tuple[int, int, int]) -> None:
    value = KIND.value(Place(*place))
    assert KIND.parse(value) == value
    assert KIND.same(value, str(Place(*place)))


@pytest.mark.parametrize(
    ("presets", "options", "key"),
    [
        (PRESETS, {"positions": {"overview": (0, 0, 0)}}, "positions"),
        (PRESETS, {"positions": POSITIONS | {"speaker": (40000, 0, 0)}}, "positions.speaker"),
        (PRESETS, {"speeds": Speeds(pan=0)}, "speeds.pan"),
        (PRESETS, {"speeds": Speeds(tilt=24)}, "speeds.tilt"),
        (PRESETS, {"speeds": Speeds(zoom=8)}, "speeds.zoom"),
        (PRESETS, {"tolerance": Tolerance(zoom=-1)}, "tolerance.zoom"),
        (PRESETS, {"address": 0x80}, "address"),
        (PRESETS, {"motion_settle": 0.0}, "motion_settle"),
        ({"overview": "two"}, {}, None),
        ({"overview": 255}, {}, None),
        ({"at:home": 1}, {"positions": {}}, None),
    ],
)
def test_wrong_options_are_named_at_load(
    presets: dict[str, Any], options: dict[str, Any], key: str | None
) -> None:
    with pytest.raises(ConfigError) as wrong:
        Visca(config(presets, **options))
    assert wrong.value.option == key


# -- connecting ----------------------------------------------------------------------------------------------


async def test_attach_resets_the_numbers_and_identifies() -> None:
    desk = bench()
    identity = await desk.connect()
    assert (identity.model, identity.firmware) == ("Sony BRC-H900", "0100")
    assert [sent.hex(" ") for sent in desk.wire.sent] == [
        "02 00 00 01 00 00 00 00 01",
        "01 10 00 05 00 00 00 01 81 09 04 00 ff",
        "01 10 00 05 00 00 00 02 81 09 00 02 ff",
    ]


async def test_a_model_that_nobody_knows_is_shown_as_numbers() -> None:
    class Other(QuickTwin):
        model = (0x0109, 0x0A01, 0x0203)

    identity = await bench(Other).connect()
    assert (identity.model, identity.firmware) == ("VISCA 0109-0A01", "0203")


async def test_a_camera_without_version_or_reset_answer_is_a_visca_camera() -> None:
    class Plain(QuickTwin):
        knows_version = False
        answers_reset = False

    desk = bench(Plain)
    assert (await desk.connect()).model == "VISCA camera"
    assert await desk.read("power") is True


async def test_silence_on_the_version_costs_only_the_name() -> None:
    class Mute(QuickTwin):
        def _inquire(self, body: bytes) -> bytes:
            return b"" if body == b"\x09\x00\x02" else super()._inquire(body)

        def _frame(self, kind: bytes, number: int, payload: bytes) -> bytes:
            return super()._frame(kind, number, payload) if payload else b""

    desk = bench(Mute)
    assert (await desk.connect()).model == "VISCA camera"
    assert await desk.read("power") is True
    assert not desk.lost


async def test_a_lost_version_answer_is_asked_for_again() -> None:
    class Forgetful(QuickTwin):
        def _inquire(self, body: bytes) -> bytes:
            if body == b"\x09\x00\x02" and not hasattr(self, "asked"):
                self.asked = True
                self.lose_replies = 1
            return super()._inquire(body)

    desk = bench(Forgetful)
    assert (await desk.connect()).model == "Sony BRC-H900"
    assert await desk.read("power") is True


async def test_no_answer_at_all_is_no_link() -> None:
    desk = bench()
    await desk.twin.fault("silent")
    with pytest.raises(LinkError) as failed:
        await desk.connect()
    assert failed.value.code == "no_answer"


async def test_a_camera_that_is_not_ready_yet_is_tried_again_later() -> None:
    class Booting(QuickTwin):
        def _inquire(self, body: bytes) -> bytes:
            return b"\x90\x61\x41\xff"

    with pytest.raises(LinkError) as failed:
        await bench(Booting).connect()
    assert failed.value.code == "not_ready"


async def test_a_lost_reset_is_sent_again() -> None:
    class Remembering(QuickTwin):
        def frames(self, peer: Peer, data: bytes) -> Any:
            peer.memory.setdefault("last", 40)
            return super().frames(peer, data)

    desk = bench(Remembering)
    desk.twin.lose_requests = 1  # type: ignore[attr-defined]
    assert (await desk.connect()).model == "Sony BRC-H900"
    assert await desk.read("power") is True
    assert numbers(desk) == [0, 1, 0, 1, 2, 3]


async def test_over_a_real_socket() -> None:
    made = config()
    twin, driver = QuickTwin(made), Visca(made)
    host, port = await twin.serve("127.0.0.1", 0)
    wire = await dial(Address("udp", host, port))
    lost: list[str] = []
    session = Session(wire, driver.codec(), answer_s=driver.answer_s, on_lost=lambda code, _: lost.append(code))
    assert (await driver.attach(session)).model == "Sony BRC-H900"
    session.begin(driver.heard)
    await session.exchange(driver.write("preset", "speaker"))
    seen: list[Any] = []
    async with asyncio.timeout(10):
        while "speaker" not in seen:
            answer = await session.exchange(driver.query("preset"))
            seen = [reading.value for reading in answer.readings]
    assert not lost
    session.abort("done")
    await twin.close()


# -- positions -----------------------------------------------------------------------------------------------


async def test_a_preset_is_proved_by_where_the_camera_stands() -> None:
    desk = bench(SlowTwin)
    await desk.connect()
    assert await desk.read("preset") == "parked"
    assert await desk.write("preset", "overview") == Answer()
    assert payloads(desk) == ["81 01 04 3f 02 01 ff"]
    on_the_way = await desk.read("preset")
    assert isinstance(on_the_way, str)
    assert on_the_way != "overview", "an acknowledgement is no arrival"
    await desk.twin.close()


async def test_completion_gives_no_reading_and_no_error() -> None:
    desk = bench()
    await desk.connect()
    await desk.write("preset", "overview")
    assert await desk.settle("preset", "overview") == "overview"
    await until(lambda: any(frame[8:] == b"\x90\x51\xff" for frame in desk.wire.received))
    assert not desk.heard
    assert not desk.lost


async def test_a_position_moves_pan_tilt_and_zoom_in_one_write() -> None:
    desk = bench()
    await desk.connect()
    assert await desk.write("preset", "at:-170,45,8192") == Answer()
    assert payloads(desk) == ["81 01 06 02 12 10 0f 0f 05 06 00 00 02 0d ff", "81 01 04 47 02 00 00 00 ff"]
    assert await desk.settle("preset", "at:-170,45,8192") is not None
    await until(lambda: desk.twin.place == (-170, 45, 8192))  # type: ignore[attr-defined]
    found = await desk.read_all()
    assert found == {
        "power": True,
        "preset": "at:-170,45,8192",
        "position.pan": -170,
        "position.tilt": 45,
        "position.zoom": 8192,
    }


async def test_a_word_without_a_preset_number_is_a_position() -> None:
    desk = bench(presets={}, positions={"door": (30, 20, 10)})
    await desk.connect()
    await desk.write("preset", "door")
    assert payloads(desk)[0].startswith("81 01 06 02 ")
    assert await desk.settle("preset", "door") == "door"


async def test_where_the_wrong_number_of_digits_is_set_the_camera_is_not_misread() -> None:
    made = config(pan_digits=5)
    desk = Bench(Visca(config()), QuickTwin(made))
    await desk.connect()
    answer = await desk.ask("preset")
    assert isinstance(answer, Refusal)
    assert "pan_digits to 5" in answer.reason


async def test_an_unknown_power_state_is_shown() -> None:
    class Broken(QuickTwin):
        def _inquire(self, body: bytes) -> bytes:
            return b"\x90\x50\x04\xff" if body == b"\x09\x04\x00" else super()._inquire(body)

    desk = bench(Broken)
    await desk.connect()
    assert await desk.ask("power") == Answer((Reading("power", "<04>"),))


# -- power and refusals --------------------------------------------------------------------------------------


async def test_standby_refuses_motion_until_the_camera_is_up() -> None:
    desk = bench()
    await desk.connect()
    await desk.write("power", False)
    assert await desk.read("power") is False
    standby = await desk.write("preset", "overview")
    assert isinstance(standby, Refusal)
    assert standby.busy
    await desk.write("power", True)
    assert await desk.read("power") is False, "starting takes its time"
    assert isinstance(await desk.write("preset", "overview"), Refusal)
    assert await desk.settle("power", True) is True
    assert isinstance(await desk.write("preset", "overview"), Answer)


async def test_two_running_commands_of_others_are_a_busy_refusal() -> None:
    desk = bench(SlowTwin)
    await desk.connect()
    other = bench(SlowTwin)
    other.twin = desk.twin
    await other.connect()
    await other.write("preset", "at:2000,0,16000")
    refused = await desk.write("preset", "overview")
    assert isinstance(refused, Refusal)
    assert refused.busy
    await desk.twin.close()


async def test_an_unknown_command_is_a_lasting_refusal() -> None:
    desk = bench()
    await desk.connect()
    await desk.twin.fault("reject")
    refused = await desk.write("power", False)
    assert isinstance(refused, Refusal)
    assert not refused.busy
    assert not refused.not_fitted


async def test_an_inquiry_that_the_model_lacks_is_not_fitted() -> None:
    class NoPosition(QuickTwin):
        def _inquire(self, body: bytes) -> bytes:
            return b"\x90\x60\x02\xff" if body == b"\x09\x06\x12" else super()._inquire(body)

    desk = bench(NoPosition)
    await desk.connect()
    refused = await desk.ask("preset")
    assert isinstance(refused, Refusal)
    assert refused.not_fitted
    assert await desk.read("power") is True
    assert not desk.lost


# -- driving -------------------------------------------------------------------------------------------------


async def test_drive_moves_until_stop() -> None:
    desk = bench(SlowTwin)
    await desk.connect()
    twin: Any = desk.twin
    for word, axis, sign in (("right", 0, 1), ("left", 0, -1), ("up", 1, 1), ("down", 1, -1), ("tele", 2, 1)):
        before = twin.place[axis]
        await desk.write("drive", word)
        await until(lambda before=before, axis=axis, sign=sign: (twin.place[axis] - before) * sign > 0)  # type: ignore[misc]
        await desk.write("drive", "stop")
        assert not any(part._speed for part in twin.axes.values()), word
    await desk.write("drive", "up-left")
    assert payloads(desk)[-1] == "81 01 06 01 08 08 01 01 ff"
    await desk.twin.close()


async def test_stop_ends_what_was_driven() -> None:
    desk = bench(SlowTwin, speeds=Speeds(pan=5, tilt=6, zoom=7))
    await desk.connect()
    pan_tilt, zoom = "81 01 06 01 05 06 03 03 ff", "81 01 04 07 00 ff"
    await desk.write("drive", "stop")
    assert payloads(desk) == [pan_tilt, zoom], "after connecting nobody knows what moves"
    for word, stops in (("left", [pan_tilt]), ("wide", [zoom])):
        desk.wire.sent.clear()
        await desk.write("drive", word)
        await desk.write("drive", "stop")
        assert payloads(desk)[1:] == stops
    await desk.write("drive", "tele")
    await desk.write("drive", "down")
    desk.wire.sent.clear()
    await desk.write("drive", "stop")
    assert payloads(desk) == [pan_tilt, zoom]
    await desk.twin.close()


@pytest.mark.parametrize(
    ("word", "sent"),
    [
        ("up", "06 01 08 08 03 01"),
        ("down", "06 01 08 08 03 02"),
        ("left", "06 01 08 08 01 03"),
        ("right", "06 01 08 08 02 03"),
        ("up-left", "06 01 08 08 01 01"),
        ("up-right", "06 01 08 08 02 01"),
        ("down-left", "06 01 08 08 01 02"),
        ("down-right", "06 01 08 08 02 02"),
        ("tele", "04 07 23"),
        ("wide", "04 07 33"),
    ],
)
async def test_directions(word: str, sent: str) -> None:
    desk = bench(SlowTwin)
    await desk.connect()
    assert await desk.write("drive", word) == Answer()
    assert payloads(desk) == [f"81 01 {sent} ff"]
    await desk.twin.close()


async def test_after_a_reconnect_a_stop_stops_everything() -> None:
    desk = bench(SlowTwin)
    await desk.connect()
    await desk.write("drive", "tele")
    desk.session.abort("reset")
    await desk.connect()
    await desk.write("drive", "stop")
    assert payloads(desk) == ["81 01 06 01 08 08 03 03 ff", "81 01 04 07 00 ff"]
    await desk.twin.close()


async def test_a_new_recall_replaces_two_running_moves() -> None:
    desk = bench(SlowTwin)
    await desk.connect()
    await desk.write("preset", "at:2000,400,16000")
    desk.wire.sent.clear()
    assert await desk.write("preset", "overview") == Answer()
    assert payloads(desk) == ["81 21 ff", "81 22 ff", "81 01 04 3f 02 01 ff"]
    await desk.twin.close()


async def test_a_stop_waits_neither_for_a_recall_nor_for_two_moves() -> None:
    desk = bench(SlowTwin)
    await desk.connect()
    twin: Any = desk.twin
    for value in ("speaker", "at:2000,400,16000"):
        await desk.write("preset", value)
        assert any(axis._speed for axis in twin.axes.values())
        assert isinstance(await desk.write("drive", "stop"), Answer)
        assert not any(axis._speed for axis in twin.axes.values())
    assert not desk.lost
    desk.wire.sent.clear()
    await desk.write("drive", "stop")
    assert not any(text.startswith("81 2") for text in payloads(desk)), "nothing runs, nothing is cancelled"
    await desk.twin.close()


async def test_a_stop_makes_room_when_somebody_else_keeps_both_sockets_busy() -> None:
    desk = bench(SlowTwin)
    await desk.connect()
    other = bench(SlowTwin)
    other.twin = desk.twin
    await desk.write("drive", "left")
    await other.connect()
    await other.write("preset", "at:2000,0,16000")
    twin: Any = desk.twin
    assert isinstance(await desk.write("drive", "left"), Refusal), "nothing but a stop is worth that"
    desk.wire.sent.clear()
    assert isinstance(await desk.write("drive", "stop"), Answer)
    stop = "81 01 06 01 08 08 03 03 ff"
    assert payloads(desk) == [stop, "81 21 ff", "81 22 ff", stop]
    assert not any(axis._speed for axis in twin.axes.values())
    assert not desk.lost
    assert not other.lost
    await desk.twin.close()


# -- numbers and lost datagrams ------------------------------------------------------------------------------


def numbers(desk: Bench) -> list[int]:
    return [int.from_bytes(sent[4:8], "big") for sent in desk.wire.sent]


async def test_numbers_go_on_from_0_after_the_last_one() -> None:
    desk = bench()
    await desk.connect()
    driver: Any = desk.driver
    driver._dialogue.last = desk.wire._peer.memory["last"] = 2**32 - 2
    for _ in range(3):
        assert await desk.write("power", True) == Answer()
        assert await desk.read("power") is True
    assert numbers(desk)[-6:] == [2**32 - 1, 0, 1, 2, 3, 4]
    assert not desk.lost


async def test_an_exchange_that_never_leaves_takes_no_number() -> None:
    desk = bench()
    await desk.connect()
    waiting = [*desk.driver.observe(), desk.driver.write("power", True)]
    assert repr(waiting)
    assert len(set(waiting)) == 3
    assert await desk.write("power", True) == Answer()
    assert numbers(desk) == [0, 1, 2, 3]
    for exchange in waiting:
        assert isinstance(await desk.session.hand_over([exchange])[0].outcome, Answer)
    assert numbers(desk) == [0, 1, 2, 3, 4, 5, 6, 7]
    assert not desk.lost


async def test_exchanges_handed_over_together_leave_as_single_datagrams() -> None:
    desk = bench()
    await desk.connect()
    both = desk.session.hand_over([desk.driver.write("preset", "overview"), desk.driver.query("preset")])
    for pending in both:
        assert isinstance(await pending.outcome, Answer)
    assert numbers(desk) == [0, 1, 2, 3, 4, 5]


async def test_a_lost_command_is_sent_again_under_its_number() -> None:
    desk = bench()
    await desk.connect()
    desk.twin.lose_requests = 1  # type: ignore[attr-defined]
    assert await desk.write("power", False) == Answer()
    assert await desk.read("power") is False
    assert numbers(desk) == [0, 1, 2, 3, 3, 4]


async def test_a_command_whose_answer_was_lost_counts_as_done_and_is_not_done_twice() -> None:
    class Counting(QuickTwin):
        done: ClassVar[list[int]] = []

        def _preset(self, verb: int, number: int) -> float | None:
            self.done.append(number)
            return super()._preset(verb, number)

    desk = bench(Counting)
    await desk.connect()
    desk.twin.lose_replies = 3  # type: ignore[attr-defined]
    assert await desk.write("preset", "overview") == Answer()
    assert Counting.done == [1]
    assert numbers(desk)[-2:] == [3, 3]
    assert await desk.settle("preset", "overview") == "overview"
    assert not desk.lost


async def test_a_lost_completion_with_its_acknowledgement_lost_too_is_no_harm() -> None:
    desk = bench()
    await desk.connect()
    desk.twin.lose_replies = 1  # the ACK; the completion comes  # type: ignore[attr-defined]
    assert await desk.write("power", True) == Answer()
    assert numbers(desk) == [0, 1, 2, 3], "a completion proves acceptance: nothing was sent again"


async def test_an_inquiry_whose_answer_was_lost_is_asked_anew_under_a_new_number() -> None:
    desk = bench()
    await desk.connect()
    desk.twin.lose_replies = 1  # type: ignore[attr-defined]
    assert await desk.read("power") is True
    assert numbers(desk) == [0, 1, 2, 3, 3, 4]
    assert not desk.lost


async def test_an_answer_that_is_lost_again_and_again_is_a_busy_refusal() -> None:
    desk = bench()
    await desk.connect()
    pending = desk.session.hand_over([desk.driver.query("power")])[0]
    sent = len(desk.wire.sent)
    await desk.twin.fault("silent")
    await until(lambda: len(desk.wire.sent) == sent + 2)
    desk.wire._from_twin(bytes.fromhex("0200 0002 00000003 0f01"))
    verdict = await pending.outcome
    assert isinstance(verdict, Refusal)
    assert verdict.busy


@pytest.mark.parametrize("lost", ["lose_requests", "lose_replies"])
async def test_half_of_a_lost_question_is_asked_again_without_losing_the_link(lost: str) -> None:
    desk = bench()
    await desk.connect()
    setattr(desk.twin, lost, 1)
    assert await desk.read("preset") == "parked"
    assert not desk.lost
    # Only what is unanswered is sent again; an answer that was lost is asked for under a new number.
    assert numbers(desk)[3:] == {"lose_requests": [3, 4, 3, 4], "lose_replies": [3, 4, 3, 5]}[lost]


async def test_a_refused_copy_proves_nothing_once_a_later_number_was_sent() -> None:
    class Lenient(QuickTwin):
        strict = False

    desk = bench(Lenient)
    await desk.connect()
    desk.twin.lose_requests = 1  # type: ignore[attr-defined]
    lost, asked = desk.session.hand_over([desk.driver.write("power", False), desk.driver.query("power")])
    assert await asked.outcome == Answer((Reading("power", True),))
    assert await lost.outcome == Answer()
    assert await desk.read("power") is False, "the camera never saw the first one, and refused its copy as old"
    assert numbers(desk)[3:7] == [3, 4, 3, 5]


async def test_numbers_that_disagree_end_the_connection() -> None:
    desk = bench()
    await desk.connect()
    desk.wire._peer.memory["last"] = 77
    with pytest.raises(LinkError):
        await desk.write("power", False)
    assert [code for code, _ in desk.lost] == ["protocol_error"]
    again = Bench(desk.driver, desk.twin)
    await again.connect()
    assert await again.write("power", False) == Answer()


async def test_a_wrong_type_is_a_refusal_with_its_reason() -> None:
    class Picky(QuickTwin):
        def _right_type(self, kind: bytes, payload: bytes) -> bool:
            return payload[1] == 0x09

    desk = bench(Picky)
    await desk.connect()
    refused = await desk.write("power", False)
    assert isinstance(refused, Refusal)
    assert "0F 02" in refused.reason


async def test_copies_of_old_answers_are_dropped_and_answers_to_nothing_are_not() -> None:
    desk = bench()
    await desk.connect()
    assert await desk.read("power") is True
    for stale in list(desk.wire.received):
        desk.wire._from_twin(stale)
    desk.wire._from_twin(reply(1, "90 38 ff"))
    desk.wire._from_twin(reply(4000, "88 38 ff"))
    desk.wire._from_twin(bytes.fromhex("0200 0002 00000002 0f01"))
    assert await desk.read("power") is True
    assert not desk.lost
    desk.wire._from_twin(reply(9, "90 50 03 ff"))
    await until(lambda: bool(desk.lost))
    assert desk.lost[0][0] == "mismatched_answer"


async def test_a_stale_answer_is_never_taken_for_a_later_one() -> None:
    desk = bench()
    await desk.connect()
    await desk.twin.fault("silent")
    pending = desk.session.hand_over([desk.driver.query("power")])[0]
    desk.wire._from_twin(reply(1, "90 50 03 ff"))
    await until(lambda: len(desk.wire.received) > 3)
    await asyncio.sleep(0)
    assert not pending.outcome.done()
    desk.wire._from_twin(reply(3, "90 50 02 ff"))
    assert await pending.outcome == Answer((Reading("power", True),))


async def test_an_answer_of_the_wrong_shape_ends_the_connection() -> None:
    for point, text in (("power", "90 50 01 02 03 04 ff"), ("preset", "90 50 02 ff")):
        desk = bench()
        await desk.connect()
        await desk.twin.fault("silent")
        pending = desk.session.hand_over([desk.driver.query(point)])[0]
        desk.wire._from_twin(reply(3, text))
        with pytest.raises(LinkError):
            await pending.outcome
        assert desk.lost[0][0] == "protocol_error"


async def test_a_camera_that_always_answers_with_one_number() -> None:
    class NewTek(QuickTwin):
        fixed_number = 1
        answers_reset = False

    desk = bench(NewTek, fixed_sequence=True)
    assert (await desk.connect()).model == "Sony BRC-H900"
    assert await desk.write("preset", "speaker") == Answer()
    assert await desk.settle("preset", "speaker") == "speaker"
    written, asked = desk.session.hand_over([desk.driver.write("preset", "overview"), desk.driver.query("power")])
    assert await written.outcome == Answer()
    assert await asked.outcome == Answer((Reading("power", True),))
    assert set(numbers(desk)) == {0}
    assert await desk.settle("preset", "overview") == "overview"
    assert not desk.lost


async def test_another_address_is_spoken_to_and_heard() -> None:
    desk = bench(address=0x82)
    await desk.connect()
    await desk.write("power", False)
    assert payloads(desk) == ["82 01 04 00 03 ff"]
    assert await desk.read("power") is False


# -- the twin, by raw datagrams ------------------------------------------------------------------------------


class Raw:
    """Datagrams by hand, with numbers of our own."""

    def __init__(self, twin: ViscaTwin) -> None:
        self.got: list[bytes] = []
        self.twin = twin
        self.peer = Peer(send=self.got.append, host="127.0.0.1", close=lambda: None, reset=lambda: None)
        twin.peers.add(self.peer)
        self.number = 0

    def send(self, text: str, kind: str = "", number: int | None = None) -> list[str]:
        """What the camera answers at once to one packet."""
        payload = bytes.fromhex(text)
        kind = kind or ("0110" if payload[1:2] == b"\x09" else "0100")
        number = self.number if number is None else number
        self.number = number + 1
        self.got.clear()
        head = bytes.fromhex(kind) + len(payload).to_bytes(2, "big") + number.to_bytes(4, "big")
        self.twin._received(self.peer, head + payload)
        return [frame[8:].hex(" ") for frame in self.got]


async def test_twin_stores_recalls_and_forgets_presets_also_over_a_power_cut() -> None:
    twin = QuickTwin(config())
    raw = Raw(twin)
    twin.poke("preset", "at:70,80,90")
    assert raw.send("81 01 04 3f 01 05 ff") == ["90 41 ff", "90 51 ff"]
    assert raw.send("81 01 04 3f 02 06 ff") == ["90 61 41 ff"], "nothing is stored there"
    await twin.fault("reboot")
    raw = Raw(twin)
    assert raw.send("81 09 04 00 ff") == [], "it is starting"
    await until(lambda: not twin.booting)
    assert twin.place == (0, 0, 0)
    assert raw.send("81 01 04 3f 02 05 ff") == ["90 41 ff"]
    await until(lambda: twin.place == (70, 80, 90))
    await until(lambda: bool(raw.got) and raw.got[-1][8:] == b"\x90\x51\xff")
    assert raw.send("81 09 04 3f ff") == ["90 50 05 ff"]
    assert raw.send("81 01 04 3f 00 05 ff") == ["90 41 ff", "90 51 ff"]
    assert raw.send("81 01 04 3f 02 05 ff") == ["90 61 41 ff"]
    await twin.close()


async def test_twin_has_two_sockets_and_cancels() -> None:
    twin = SlowTwin(config())
    raw = Raw(twin)
    assert raw.send("81 01 06 02 18 14 00 03 08 04 00 00 00 00 ff") == ["90 41 ff"]
    assert raw.send("81 01 04 47 04 00 00 00 ff") == ["90 42 ff"]
    assert raw.send("81 01 06 01 05 05 03 03 ff") == ["90 60 03 ff"]
    assert raw.send("81 22 ff") == ["90 62 04 ff"]
    assert raw.send("81 22 ff") == ["90 62 05 ff"]
    assert raw.send("81 01 06 01 05 05 03 03 ff") == ["90 61 04 ff", "90 42 ff", "90 52 ff"]
    twin.poke("position.pan", 900)
    assert raw.send("81 01 06 04 ff") == ["90 41 ff"]
    assert raw.send("81 01 00 01 ff") == ["90 50 ff"]
    assert not twin.sockets
    await twin.close()


async def test_twin_is_strict_about_numbers_types_and_speeds() -> None:
    twin = QuickTwin(config())
    raw = Raw(twin)
    assert raw.send("01", "0200", 9) == ["01"]
    assert raw.send("81 09 04 00 ff", number=5) == ["0f 01"]
    assert raw.send("81 09 04 00 ff", number=0) == ["90 50 02 ff"]
    assert raw.send("81 09 04 00 ff", number=0) == ["0f 01"]
    assert raw.send("81 09 04 00 ff", "0100", number=1) == ["0f 02"]
    assert raw.send("81 01 06 01 00 00 03 03 ff", number=2) == ["90 60 02 ff"]
    assert raw.send("80 09 04 00 ff", number=3) == []
    assert raw.send("81 09 04 00", number=4) == []


async def test_twin_moves_relative_and_focuses() -> None:
    twin = QuickTwin(config())
    raw = Raw(twin)
    twin.poke("position.pan", 100)
    assert raw.send("81 01 06 03 18 14 0f 0f 0f 06 00 00 00 05 ff") == ["90 41 ff"]
    await until(lambda: twin.place == (90, 5, 0))
    assert raw.send("81 09 04 38 ff") == ["90 50 02 ff"]
    assert raw.send("81 01 04 38 03 ff") == ["90 41 ff", "90 51 ff"] or "90 42 ff" in [
        f[8:].hex(" ") for f in raw.got
    ]
    assert raw.send("81 09 04 38 ff") == ["90 50 03 ff"]
    await twin.close()


async def test_what_is_done_by_hand_is_read() -> None:
    desk = bench()
    await desk.connect()
    desk.twin.poke("preset", "speaker")
    assert await desk.read("preset") == "speaker"
    desk.twin.poke("position.pan", -700)
    assert await desk.read("preset") == "at:-700,-120,9000"
    desk.twin.poke("position.tilt", 30000)
    assert await desk.read("position.tilt") == ViscaTwin.tilt_range[1], "no motor passes its end stop"
    desk.twin.poke("power", False)
    assert await desk.read("power") is False
    with pytest.raises(KeyError):
        desk.twin.poke("nothing", 1)
    for point, value in (("preset", "nowhere"), ("power", "on"), ("position.pan", "left")):
        with pytest.raises(ValueError):
            desk.twin.poke(point, value)


def test_an_exchange_is_one_of_the_sdk() -> None:
    assert isinstance(bench().driver.query("power"), Exchange)
