"""PJLink: conformance, vectors of the protocol sheet, and how the driver behaves against its twin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecc_controld.control.engine import Engine, Unit
from ecc_controld.control.run import Run
from ecc_controld.journal import Journal
from ecc_controld.sdk import (
    Address,
    Answer,
    BadValue,
    ByteWire,
    ConfigError,
    DeviceConfig,
    Driver,
    LinkError,
    LinkRefused,
    LocalProtocolError,
    Reading,
    Refusal,
    RemoteProtocolError,
    Session,
    Text,
    Twin,
    Value,
)
from ecc_controld.sdk.testing import Bench, DriverConformance
from ecc_controld.wires import tcp
from ecc_drivers.pjlink import driver as driver_module
from ecc_drivers.pjlink.codec import (
    LINE_LIMIT,
    Greeting,
    Message,
    PJLinkCodec,
    Reply,
    class_of,
    digest,
    fault_digits,
    is_input,
    lamp_hours,
    needs_class_2,
    request,
)
from ecc_drivers.pjlink.driver import PJLink
from ecc_drivers.pjlink.points import PJLinkOptions, fault_readings, lamp_reading, mute_reading, signal_reading
from ecc_drivers.pjlink.twin import PJLinkTwin
from support.rig import PERSON, scene, until

SALT, PASSWORD = "498e4a67", "JBMIAProjectorLink"
PROOF = "5d8409bc1c3fa39749434aa3a5c38682"


class QuickTwin(PJLinkTwin):
    """As its model, in a fraction of the time."""

    warm_s = 0.05
    cool_s = 0.05
    switch_s = 0.01
    salt = SALT


class ManualTwin(QuickTwin):
    """What it would do later waits for the test."""

    def power_on(self) -> None:
        self.waiting: list[Callable[[], None]] = []
        super().power_on()

    def later(self, delay_s: float, what: Callable[[], None]) -> None:
        self.waiting.append(what)


class PatientTwin(QuickTwin):
    """Nothing gets where it goes before the twin has said a certain line."""

    after_saying: ClassVar[bytes]

    def later(self, delay_s: float, what: Callable[[], None]) -> None:
        def look() -> None:
            if any(entry.data == self.after_saying for entry in self.log):
                what()
            else:
                self.later(0.01, what)

        super().later(delay_s, look)


class Class1Twin(QuickTwin):
    level = 1


class LaserTwin(QuickTwin):
    has_lamp = False


class LowerCaseTwin(QuickTwin):
    shouts = False


class PictureTwin(QuickTwin):
    """Takes the command for both, and can mute the picture only."""

    can_mute = "13"


class SlowTwin(QuickTwin):
    """Warms up and cools down for so long that a test surely sees it on the way."""

    warm_s = 600.0
    cool_s = 600.0


def config(secret: str | None = PASSWORD, sources: dict[str, str] | None = None, **options: Any) -> DeviceConfig:
    return DeviceConfig(
        id="wall",
        name=Text("大屏", "Wall"),
        address=Address("tcp", "127.0.0.1", 4352),
        options=PJLinkOptions(**options),
        secret=secret,
        sources=sources or {},
    )


async def online(
    kind: type[PJLinkTwin] = QuickTwin, state: str = "on", **options: Any
) -> tuple[Bench, PJLinkTwin]:
    """A driver that is logged in to a display in some power state."""
    twin = kind(config(**options))
    twin.poke("power.state", state)
    bench = Bench(PJLink(config(**options)), twin)
    await bench.connect()
    return bench, twin


async def online_by_hand(state: str = "on") -> tuple[Bench, ManualTwin]:
    """A driver that is logged in to a display whose `waiting` deeds the test does."""
    bench, twin = await online(ManualTwin, state)
    assert isinstance(twin, ManualTwin)
    return bench, twin


def said(bench: Bench) -> list[str]:
    """Every line that the driver sent."""
    return b"".join(bench.wire.sent).decode().split("\r")[:-1]


class TestConformance(DriverConformance):
    def make(self) -> tuple[Driver, Twin, dict[str, tuple[Value, Value]]]:
        twin = QuickTwin(config())
        twin.poke("power.state", "on")
        wishes: dict[str, tuple[Value, Value]] = {
            "input": ("hdmi2", "vga1"),
            "mute": (True, False),
            "freeze": (True, False),
            "power": (False, True),
        }
        return PJLink(config()), twin, wishes


class TestCodec:
    def test_the_digest_of_the_specification(self) -> None:
        assert digest(SALT, PASSWORD) == PROOF.encode()
        assert digest(SALT, "bad") == b"5e5f5c08193a516cb54ff4a99bbe7447"

    @pytest.mark.parametrize(
        ("command", "parameter", "level", "line"),
        [
            ("POWR", "?", 1, b"%1POWR ?\r"),
            ("INPT", "31", 1, b"%1INPT 31\r"),
            ("FREZ", "1", 2, b"%2FREZ 1\r"),
            ("INF1", "?", 1, b"%1INF1 ?\r"),
        ],
    )
    def test_requests(self, command: str, parameter: str, level: int, line: bytes) -> None:
        assert request(command, parameter, level) == line

    @pytest.mark.parametrize(
        ("command", "parameter", "level"),
        [
            ("powr", "?", 1),
            ("POWER", "?", 1),
            ("POWR", "1\r%1POWR 0", 1),
            ("POWR", "", 1),
            ("POWR", "开", 1),
            ("POWR", "1" * 129, 1),
            ("POWR", "?", 3),
        ],
    )
    def test_what_cannot_be_said(self, command: str, parameter: str, level: int) -> None:
        with pytest.raises(LocalProtocolError):
            request(command, parameter, level)

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            (b"%1POWR=1\r", Reply(1, "POWR", "1")),
            (b"%1INST=11 31 32\r", Reply(1, "INST", "11 31 32")),
            (b"%2FREZ=OK\r", Reply(2, "FREZ", "OK")),
            (b"%1powr=err4\r", Reply(1, "POWR", "err4")),
            (b"\r\n%1INFO=\r\n", Reply(1, "INFO", "")),
            ("%1NAME=大屏\r".encode(), Reply(1, "NAME", "大屏")),
            ("%1NAME=大\r".encode("gb18030"), Reply(1, "NAME", "\ufffd\ufffd")),
            (b"PJLINK 0\r", Greeting()),
            (b"PJLINK 1 498e4a67\r", Greeting(salt="498e4a67")),
            (b"pjlink 1 498E4A67 \r", Greeting(salt="498E4A67")),
            (b"PJLINK ERRA\r", Greeting(refused=True)),
        ],
    )
    def test_lines(self, line: bytes, message: Message) -> None:
        assert list(PJLinkCodec().feed(line)) == [message]

    def test_codes_are_compared_in_upper_case(self) -> None:
        assert Reply(1, "POWR", "err3").word == "ERR3"

    @pytest.mark.parametrize(
        "line",
        [b"%3POWR=1\r", b"%1POWR 1\r", b"%1PWR=1\r", b"PJLINK 1\r", b"PJLINK 2 498e4a67\r", b"login: \r", b" \r"],
    )
    def test_other_lines_are_no_pjlink(self, line: bytes) -> None:
        with pytest.raises(RemoteProtocolError):
            list(PJLinkCodec().feed(line))

    def test_a_line_without_an_end_is_refused(self) -> None:
        codec = PJLinkCodec()
        assert list(codec.feed(b"%1NAME=" + b"n" * (LINE_LIMIT - 7))) == []
        with pytest.raises(RemoteProtocolError):
            list(codec.feed(b"n"))

    @given(
        st.lists(
            st.builds(
                Reply,
                st.sampled_from([1, 2]),
                st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=4, max_size=4),
                st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=32),
            )
        ),
        st.lists(st.integers(1, 9)),
        st.sampled_from(["\r", "\r\n"]),
    )
    def test_any_chunking_gives_what_was_said(self, replies: list[Reply], cuts: list[int], end: str) -> None:
        stream = "".join(f"%{reply.level}{reply.command}={reply.value}{end}" for reply in replies).encode()
        codec, found = PJLinkCodec(), []
        for cut in cuts:
            found += list(codec.feed(stream[:cut]))
            stream = stream[cut:]
        found += list(codec.feed(stream))
        assert found == replies

    @given(st.lists(st.binary(max_size=300)), st.booleans())
    def test_noise_raises_only_the_declared_error(self, chunks: list[bytes], likely: bool) -> None:
        codec = PJLinkCodec()
        try:
            for chunk in chunks:
                for message in codec.feed(b"%1LAMP=" + chunk + b"\r" if likely else chunk):
                    assert isinstance(message, (Greeting, Reply))
        except RemoteProtocolError:
            pass

    @given(st.text(max_size=40))
    def test_any_value_gives_a_reading_of_every_point(self, value: str) -> None:
        mutes = [mute_reading(value, which)[0] for which in ("both", "picture", "sound")]
        readings = [*fault_readings(value), *lamp_reading(value), *signal_reading(value), *mutes]
        assert len(readings) == 11
        assert all(isinstance(reading.value, (bool, int, str)) for reading in readings)

    @pytest.mark.parametrize(
        ("value", "hours"),
        [
            ("1234 1", 1234),
            ("10 0 900 1 30 0", 900),
            ("0 0", 0),
            ("1234", None),
            ("", None),
            ("1 2", None),
            ("x 1", None),
        ],
    )
    def test_lamps(self, value: str, hours: int | None) -> None:
        assert lamp_hours(value) == hours

    def test_nine_lamps_are_none(self) -> None:
        assert lamp_hours(" ".join(["5 1"] * 8)) == 5
        assert lamp_hours(" ".join(["5 1"] * 9)) is None

    def test_small_grammars(self) -> None:
        assert fault_digits("000100") == ("0", "0", "0", "1", "0", "0")
        assert fault_digits("00010") is None
        assert [class_of(word) for word in ("1", "2", "Class 2", "")] == [1, 2, 2, 1]
        assert [code for code in ("31", "3A", "61", "70", "30", "3a", "311", "") if is_input(code)] == [
            "31",
            "3A",
            "61",
        ]
        assert [code for code in ("31", "59", "3A", "61") if needs_class_2(code)] == ["3A", "61"]


class TestLogin:
    async def test_the_digest_stands_before_the_first_command_only(self) -> None:
        bench, twin = await online()
        await bench.read_all()
        first, *rest = said(bench)
        assert first == f"{PROOF}%1CLSS ?"
        assert rest
        assert all(line.startswith("%") for line in rest)
        await twin.close()

    async def test_who_it_is(self) -> None:
        bench, twin = await online()
        assert (bench.identity.model, bench.identity.name) == ("ECC Twin Display", "大屏")
        assert (bench.identity.serial, bench.identity.firmware) == ("Twall", "1.00")
        await twin.close()

    async def test_a_display_without_password_is_spoken_to_at_once(self) -> None:
        twin = QuickTwin(config(secret=None))
        bench = Bench(PJLink(config()), twin)
        await bench.connect()
        assert said(bench)[0] == "%1CLSS ?"
        await twin.close()

    @pytest.mark.parametrize("secret", ["bad", None, ""])
    async def test_a_wrong_or_missing_password_is_refused(self, secret: str | None) -> None:
        twin = QuickTwin(config())
        bench = Bench(PJLink(config(secret=secret)), twin)
        with pytest.raises(LinkRefused) as refused:
            await bench.connect()
        assert refused.value.code == "wrong_password"
        await twin.close()

    @pytest.mark.parametrize("fault", [None, "split", "merge"])
    async def test_the_display_closes_after_a_wrong_password(self, fault: str | None) -> None:
        twin = QuickTwin(config())
        if fault is not None:
            await twin.fault(fault)
        bench = Bench(PJLink(config(secret="bad")), twin)
        with pytest.raises(LinkRefused) as refused:
            await bench.connect()
        assert refused.value.code == "wrong_password"
        await until(lambda: bench.lost)
        assert bench.lost == [("closed_by_device", "")]
        assert not twin.peers
        await twin.close()

    @pytest.mark.parametrize("model", ["twin display", "ECC Twin"])
    async def test_the_configured_model(self, model: str) -> None:
        bench, twin = await online(model=model)
        assert bench.identity.model == "ECC Twin Display"
        await twin.close()

    async def test_another_model_is_refused(self) -> None:
        twin = QuickTwin(config())
        with pytest.raises(LinkRefused) as refused:
            await Bench(PJLink(config(model="PT-EW650")), twin).connect()
        assert refused.value.code == "wrong_model"
        await twin.close()

    @pytest.mark.parametrize(
        ("script", "error", "code"),
        [
            ([b"PJLINK ERRA\r"], LinkRefused, "wrong_password"),
            ([b"%1POWR=1\r"], LinkError, "protocol_error"),
            ([b"SSH-2.0-x\r"], LinkError, "protocol_error"),
            ([b"PJLINK 0\r", b"%1CLSS=ERRA\r"], LinkRefused, "wrong_password"),
            ([b"PJLINK 0\r", b"%1CLSS=ERR3\r"], LinkError, "not_ready"),
            ([None], LinkError, "session_taken"),
            ([b"PJLINK 0\r", None], LinkError, "closed_by_device"),
        ],
    )
    async def test_other_beginnings(self, script: list[bytes | None], error: type[LinkError], code: str) -> None:
        wire = ScriptWire(script)
        with pytest.raises(error) as caught:
            await PJLink(config()).attach(wire.session())
        assert caught.value.code == code
        assert isinstance(caught.value, LinkRefused) is (error is LinkRefused)

    async def test_a_silent_display_does_not_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(driver_module, "GREETING_S", 0.02)
        twin = QuickTwin(config())
        await twin.fault("silent")
        with pytest.raises(LinkError) as caught:
            await Bench(PJLink(config()), twin).connect()
        assert caught.value.code == "no_answer"
        assert "another program" in caught.value.detail
        await twin.close()

    @pytest.mark.parametrize("error", [b"ERR1", b"ERR2"])
    async def test_a_display_that_does_not_know_its_class_is_class_1(self, error: bytes) -> None:
        script = [b"PJLINK 0\r", b"%1CLSS=" + error + b"\r", b"%1INF1=ERR1\r", b"%1INF2=\r", b"%1NAME=ERR3\r"]
        wire = ScriptWire([*script])
        identity = await PJLink(config()).attach(wire.session())
        assert identity.model == "PJLink class 1"


class TestSingleSession:
    async def test_a_second_client_is_told_that_the_session_is_taken(self) -> None:
        twin = QuickTwin(config())
        address = Address("tcp", *await twin.serve("127.0.0.1", 0))
        first, second = await tcp.dial(address), await tcp.dial(address)
        await PJLink(config()).attach(session_on(first))
        with pytest.raises(LinkError) as caught:
            await PJLink(config()).attach(session_on(second))
        assert caught.value.code == "session_taken"
        first.abort()
        await until(lambda: not twin.peers)
        third = await tcp.dial(address)
        await PJLink(config()).attach(session_on(third))
        third.abort()
        await twin.close()

    async def test_an_idle_connection_is_closed_and_that_is_no_protocol_error(self) -> None:
        class Impatient(QuickTwin):
            idle_s = 0.05

        bench, twin = await online(Impatient)
        await until(lambda: bench.lost)
        assert bench.lost == [("closed_by_device", "")]
        await bench.connect()
        assert await bench.read("power") is True
        await twin.close()

    async def test_a_client_that_talks_is_not_dropped(self) -> None:
        bench, twin = await online_by_hand()
        (look,) = twin.waiting
        twin.waiting.clear()
        look()
        assert len(twin.waiting) == 1  # it looks again later
        assert await bench.read("power") is True
        await twin.close()

    async def test_a_client_that_speaks_no_pjlink_is_dropped(self) -> None:
        bench, twin = await online()
        bench.wire.write(b"A" * 600)
        await until(lambda: bench.lost)
        assert bench.lost == [("closed_by_device", "")]
        await twin.close()


class TestPower:
    @pytest.mark.parametrize(
        ("start", "wish", "through"), [("standby", True, "warming"), ("on", False, "cooling")]
    )
    async def test_it_equals_no_wish_on_the_way(self, start: str, wish: bool, through: str) -> None:
        bench, twin = await online(SlowTwin, start)
        same = bench.driver.points["power"].kind.same
        assert await bench.read("power") is not wish
        assert await bench.write("power", wish) == Answer()
        found = await bench.read_all()
        assert found["power.state"] == through
        assert not same(found["power"], True)
        assert not same(found["power"], False)
        twin.poke("power.state", "on" if wish else "standby")
        assert await bench.read("power") is wish
        await twin.close()

    @pytest.mark.parametrize(("state", "wish"), [("warming", False), ("cooling", True)])
    async def test_the_way_back_is_busy(self, state: str, wish: bool) -> None:
        bench, twin = await online(state=state)
        answer = await bench.write("power", wish)
        assert isinstance(answer, Refusal)
        assert answer.busy
        assert not answer.not_fitted
        assert answer.reason.startswith("ERR3 to POWR")
        await twin.close()

    async def test_a_key_of_the_remote_control_runs_the_same_way(self) -> None:
        bench, twin = await online(SlowTwin, "standby")
        twin.poke("power", True)
        assert await bench.read("power.state") == "warming"
        with pytest.raises(ValueError):
            twin.poke("power", False)
        await twin.close()

    @pytest.mark.parametrize("state", ["standby", "warming", "cooling"])
    async def test_what_a_display_cannot_say_or_do_unless_it_is_on(self, state: str) -> None:
        bench, twin = await online(state=state)
        found = await bench.read_all()
        assert {"input", "mute", "freeze"}.isdisjoint(found)
        assert found["signal"] == "unknown"
        assert found["fault.fan"] == "ok"
        assert found["lamp.hours"] == 1234
        wishes: dict[str, Value] = {"input": "hdmi1", "mute": True, "freeze": True}
        for point, value in wishes.items():
            for answer in (await bench.ask(point), await bench.write(point, value)):
                assert isinstance(answer, Refusal)
                assert answer.busy
                assert not answer.not_fitted
        assert not bench.lost
        await twin.close()

    @pytest.mark.parametrize(
        ("state", "wish"), [("standby", False), ("on", True), ("warming", True), ("cooling", False)]
    )
    async def test_where_it_is_or_goes_already_it_stays(self, state: str, wish: bool) -> None:
        bench, twin = await online_by_hand(state)
        twin.waiting.clear()
        assert await bench.write("power", wish) == Answer()
        assert await bench.read("power.state") == state
        assert not twin.waiting
        await twin.close()

    async def test_a_state_that_was_poked_is_not_undone_by_an_old_warm_up(self) -> None:
        bench, twin = await online_by_hand("standby")
        twin.waiting.clear()
        twin.poke("power", True)
        (arrive,) = twin.waiting
        twin.poke("power.state", "cooling")
        arrive()
        assert await bench.read("power.state") == "cooling"
        twin.poke("power.state", "warming")
        arrive()
        assert await bench.read("power.state") == "on"
        await twin.close()

    async def test_waking_up_ends_mute_and_freeze(self) -> None:
        bench, twin = await online()
        await bench.write("mute", True)
        await bench.write("freeze", True)
        for wish in (False, True):
            await bench.write("power", wish)
            assert await bench.settle("power", wish) is wish
        assert (await bench.read("mute"), await bench.read("freeze")) == (False, False)
        assert bench.driver.points["power"].disturbs >= {"input", "mute", "freeze"}
        await twin.close()

    async def test_an_unheard_of_state_is_shown(self) -> None:
        driver = PJLink(config())
        answer = judged(driver.query("power"), Reply(1, "POWR", "7"))
        assert answer == Answer((Reading("power", "<7>"), Reading("power.state", "<7>")))

    def test_what_comes_after_power(self) -> None:
        points = PJLink(config(power_s=120.0)).points
        assert [name for name, point in points.items() if "power" in point.after] == ["input", "mute", "freeze"]
        assert points["power"].settle_s == 120.0
        assert [name for name, point in points.items() if point.writable] == ["power", "input", "mute", "freeze"]


class TestOptional:
    async def test_class_1_has_no_freeze_and_hears_nothing_of_class_2(self) -> None:
        bench, twin = await online(Class1Twin, inputs={"hdmi1": "31", "stream": "5A"})
        found = await bench.read_all()
        assert "freeze" not in found
        assert "signal" not in found
        for answer in (await bench.ask("freeze"), await bench.write("freeze", True), await bench.ask("signal")):
            assert isinstance(answer, Refusal)
            assert answer.not_fitted
        assert isinstance(await bench.write("input", "stream"), Answer)
        assert "%1INPT 5A" in said(bench)
        assert not [line for line in said(bench) if "%2" in line]
        assert not bench.lost
        await twin.close()

    async def test_a_laser_display_has_no_lamp_and_is_not_asked_again(self) -> None:
        bench, twin = await online(LaserTwin)
        assert "lamp.hours" not in await bench.read_all()
        answer = await bench.ask("lamp.hours")
        assert isinstance(answer, Refusal)
        assert answer.not_fitted
        asked = said(bench).count("%1LAMP ?")
        await bench.read_all()
        assert said(bench).count("%1LAMP ?") == asked == 2
        await bench.connect()
        await bench.read_all()
        assert said(bench).count("%1LAMP ?") == 1
        await twin.close()

    def test_power_is_asked_whatever_the_display_says(self) -> None:
        driver = PJLink(config())
        before = [exchange.send for exchange in driver.observe()]
        for exchange in driver.observe():
            command = exchange.send[2:6].decode()
            refusal = judged(exchange, Reply(1, command, "ERR1"))
            assert isinstance(refusal, Refusal)
        assert len(before) == 5
        assert [exchange.send for exchange in driver.observe()] == [b"%1POWR ?\r"]


class TestInput:
    @pytest.mark.parametrize("spelling", ["hdmi2", "32", "in.hdmi2", "gis"])
    def test_spellings_of_one_input(self, spelling: str) -> None:
        kind = PJLink(config(sources={"gis": "hdmi2"})).points["input"].kind
        assert kind.parse(spelling) == "hdmi2"

    def test_an_unknown_input_is_an_error_at_load(self) -> None:
        with pytest.raises(BadValue) as caught:
            PJLink(config()).points["input"].kind.parse("hdmi9")
        assert caught.value.nearest in PJLinkOptions().inputs

    def test_two_words_of_one_code_are_one_value(self) -> None:
        kind = PJLink(config(inputs={"matrix": "31", "hdmi1": "31"})).points["input"].kind
        assert kind.parse("hdmi1") == "matrix"
        assert kind.range() == {"words": ["matrix"]}

    async def test_an_input_that_nobody_configured_is_shown(self) -> None:
        bench, twin = await online()
        twin._input = "3A"
        assert await bench.read("input") == "<3A>"
        assert judged(bench.driver.query("input"), Reply(1, "INPT", "3a")) == Answer((Reading("input", "<3A>"),))
        await twin.close()

    async def test_codes_of_class_2_are_told_in_class_2(self) -> None:
        bench, twin = await online(inputs={"hdmi1": "31", "stream": "5a"})
        assert await bench.write("input", "stream") == Answer()
        assert await bench.settle("input", "stream") == "stream"
        assert twin._input == "5A"
        assert {"%2INPT 5A", "%2INPT ?"} <= set(said(bench))
        await twin.close()

    async def test_an_input_that_the_model_lacks_is_out_of_range(self) -> None:
        twin = QuickTwin(config(inputs={"hdmi1": "31"}))
        twin.poke("power.state", "on")
        bench = Bench(PJLink(config()), twin)
        await bench.connect()
        answer = await bench.write("input", "hdmi2")
        assert isinstance(answer, Refusal)
        assert answer.reason.startswith("ERR2 to INPT")
        assert not answer.busy
        await twin.close()

    async def test_changing_it_ends_a_freeze(self) -> None:
        bench, twin = await online()
        await bench.write("freeze", True)
        await bench.write("input", "hdmi2")
        assert await bench.settle("input", "hdmi2") == "hdmi2"
        assert await bench.read("freeze") is False
        assert "freeze" in bench.driver.points["input"].disturbs
        await twin.close()


class TestMute:
    @pytest.mark.parametrize(
        ("value", "both", "picture", "sound"),
        [
            ("30", False, False, False),
            ("11", "picture", True, False),
            ("21", "sound", False, True),
            ("31", True, True, True),
            ("10", "<10>", "<10>", "<10>"),
        ],
    )
    def test_what_a_code_means(self, value: str, both: Value, picture: Value, sound: Value) -> None:
        found = [mute_reading(value, which)[0] for which in ("both", "picture", "sound")]
        assert found == [Reading("mute", said) for said in (both, picture, sound)]

    @pytest.mark.parametrize(("mutes", "held"), [("both", "31"), ("picture", "11"), ("sound", "21")])
    async def test_what_is_muted(self, mutes: Any, held: str) -> None:
        bench, twin = await online(mutes=mutes)
        for wish, code in ((True, held), (False, "30")):
            assert await bench.write("mute", wish) == Answer()
            assert await bench.read("mute") is wish
            assert twin._muted() == code
        await twin.close()

    async def test_half_a_mute_is_not_the_wish(self) -> None:
        bench, twin = await online(PictureTwin)
        assert await bench.write("mute", True) == Answer()
        assert await bench.read("mute") == "picture"
        await twin.close()

    async def test_what_the_model_cannot_mute_is_out_of_range(self) -> None:
        bench, twin = await online(PictureTwin, mutes="sound")
        answer = await bench.write("mute", True)
        assert isinstance(answer, Refusal)
        assert answer.reason.startswith("ERR2 to AVMT")
        await twin.close()


class TestReadOnly:
    async def test_what_happens_at_the_display_is_read(self) -> None:
        bench, twin = await online()
        pokes: dict[str, Value] = {
            "input": "video1",
            "mute": "sound",
            "freeze": True,
            "signal": "3840x2160",
            "lamp.hours": 4321,
            "fault.fan": "error",
            "fault.cover": "warning",
        }
        for point, value in pokes.items():
            twin.poke(point, value)
        found = await bench.read_all()
        assert {point: found[point] for point in pokes} == pokes
        assert found["fault.temperature"] == "ok"
        twin.poke("signal", "none")
        assert await bench.read("signal") == "none"
        await twin.close()

    @pytest.mark.parametrize(
        ("part", "digit"), [(part, n) for n, part in enumerate(PJLinkTwin(config()).faults_seen)]
    )
    def test_each_digit_is_its_part(self, part: str, digit: int) -> None:
        value = "".join("2" if n == digit else "0" for n in range(6))
        wrong = [reading.point for reading in fault_readings(value) if reading.value == "error"]
        assert wrong == [f"fault.{part}"]

    def test_unheard_of_values_are_shown(self) -> None:
        assert {reading.value for reading in fault_readings("OKAY")} == {"<OKAY>"}
        assert [reading.value for reading in fault_readings("000003")][-1] == "<3>"
        assert lamp_reading("12") == (Reading("lamp.hours", "<12>"),)
        assert signal_reading("*") == (Reading("signal", "unknown"),)

    @pytest.mark.parametrize("point", ["power.state", "signal", "lamp.hours", "fault.fan"])
    def test_it_cannot_be_written(self, point: str) -> None:
        driver = PJLink(config())
        assert driver.points[point].access == "read"
        with pytest.raises(LocalProtocolError):
            driver.write(point, True)

    @pytest.mark.parametrize("value", ["warming", 1, "on"])
    def test_a_switch_is_told_on_or_off_only(self, value: Value) -> None:
        with pytest.raises(LocalProtocolError):
            PJLink(config()).write("power", value)

    @pytest.mark.parametrize(
        ("point", "value"), [("power", 1), ("input", "dvi"), ("fault.fan", "bad"), ("lamp.hours", -1)]
    )
    def test_the_twin_refuses_what_it_cannot_have(self, point: str, value: Value) -> None:
        with pytest.raises(ValueError):
            PJLinkTwin(config()).poke(point, value)

    def test_the_twin_has_no_other_points(self) -> None:
        with pytest.raises(KeyError):
            PJLinkTwin(config()).poke("volume", 3)


class TestAnswers:
    @pytest.mark.parametrize(
        "message",
        [
            Reply(1, "POWR", "OK"),
            Reply(1, "AVMT", "31"),
            Reply(2, "POWR", "1"),
            Greeting(),
            Greeting(refused=True),
        ],
    )
    def test_what_does_not_answer_a_question(self, message: Message) -> None:
        assert judged(PJLink(config()).query("power"), message) is None

    @pytest.mark.parametrize(
        "message", [Reply(1, "POWR", "1"), Reply(1, "INPT", "OK"), Reply(2, "POWR", "OK"), Greeting()]
    )
    def test_what_does_not_answer_a_command(self, message: Message) -> None:
        assert judged(PJLink(config()).write("power", True), message) is None

    @pytest.mark.parametrize(
        ("value", "busy", "not_fitted"),
        [("ERR1", False, True), ("ERR2", False, False), ("err3", True, False), ("ERR4", False, False)],
    )
    def test_refusals(self, value: str, busy: bool, not_fitted: bool) -> None:
        for exchange in (PJLink(config()).query("mute"), PJLink(config()).write("mute", True)):
            refusal = judged(exchange, Reply(1, "AVMT", value))
            assert isinstance(refusal, Refusal)
            assert (refusal.busy, refusal.not_fitted) == (busy, not_fitted)
            assert refusal.reason.startswith(f"{value.upper()} to AVMT")

    async def test_nothing_may_come_unasked(self) -> None:
        bench, twin = await online()
        twin.push(b"%1POWR=1\r")
        await until(lambda: bench.lost)
        assert bench.lost[0][0] == "mismatched_answer"
        await twin.close()

    async def test_a_display_in_lower_case(self) -> None:
        bench, twin = await online(LowerCaseTwin)
        assert await bench.write("input", "hdmi3") == Answer()
        assert await bench.settle("input", "hdmi3") == "hdmi3"
        await twin.fault("reject")
        assert isinstance(await bench.write("mute", True), Refusal)
        await twin.close()

    async def test_a_failing_display_refuses_for_good(self) -> None:
        bench, twin = await online()
        await twin.fault("reject")
        answer = await bench.write("power", False)
        assert isinstance(answer, Refusal)
        assert not answer.busy
        assert await bench.read("power") is True
        await twin.close()


@pytest.mark.parametrize(
    ("options", "sources", "option"),
    [
        ({"inputs": {}}, {}, "inputs"),
        ({"inputs": {"hdmi1": "3"}}, {}, "inputs.hdmi1"),
        ({"inputs": {"hdmi1": "71"}}, {}, "inputs.hdmi1"),
        ({"power_s": 0.0}, {}, "power_s"),
        ({"power_s": 901.0}, {}, "power_s"),
        ({}, {"gis": "hdmi9"}, None),
        ({}, {"hdmi1": "hdmi2"}, None),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], sources: dict[str, str], option: str | None) -> None:
    with pytest.raises(ConfigError) as caught:
        PJLink(config(sources=sources, **options))
    assert caught.value.option == option


class TestInTheHall:
    """The driver under the real keeper: what a person is told, and when."""

    async def test_on_is_true_only_when_it_is_on_and_the_input_comes_after(self, tmp_path: Path) -> None:
        class Slow(PatientTwin):
            after_saying = b"%1POWR=3\r"

        twin = Slow(config(power_s=5.0))
        run = await pressed(twin, tmp_path, {"wall.power": True, "wall.input": "hdmi2"}, power_s=5.0)
        assert run.verdict == "ready"
        assert (twin.state, twin._input) == ("1", "32")
        log = [entry.data for entry in twin.log]
        told = log.index(b"%1INPT 32\r")
        assert b"%1POWR=3\r" in log[:told]
        assert b"%1POWR=1\r" in log[:told]
        assert [
            entry for entry in log if entry.startswith(b"%1POWR") and b"?" not in entry and b"=" not in entry
        ] == [b"%1POWR 1\r"]

    async def test_a_freeze_outlives_the_change_of_input_that_ends_it(self, tmp_path: Path) -> None:
        class Slow(QuickTwin):
            switch_s = 0.3

        twin = Slow(config())
        twin.poke("power.state", "on")
        twin.poke("freeze", True)
        run = await pressed(twin, tmp_path, {"wall.input": "hdmi2", "wall.freeze": True})
        assert run.verdict == "ready"
        assert (twin._input, twin.frozen) == ("32", True)

    async def test_a_display_that_warms_up_by_another_hand_is_not_off(self, tmp_path: Path) -> None:
        class Slow(PatientTwin):
            after_saying = b"%1POWR=ERR3\r"

        twin = Slow(config(power_s=2.0))
        run = await pressed(
            twin, tmp_path, {"wall.power": False}, power_s=2.0, before=lambda: twin.poke("power", True)
        )
        assert run.verdict == "ready"
        assert twin.state == "0"
        log = [entry.data for entry in twin.log]
        assert b"%1POWR=ERR3\r" in log
        assert b"%1POWR=OK\r" in log


async def pressed(
    twin: PJLinkTwin,
    state: Path,
    wants: dict[str, object],
    *,
    before: Callable[[], None] = lambda: None,
    **options: Any,
) -> Run:
    """A hall with one display: press a scene and wait for the end of its run."""
    address = Address("tcp", *await twin.serve("127.0.0.1", 0))

    async def dial(_: Address) -> ByteWire:
        return await tcp.dial(address)

    journal = Journal.open(state, stamp="simulated")
    order = {"wall.input": ["wall.power"]} if {"wall.input", "wall.power"} <= set(wants) else {}
    wanted = scene("duty", wants, after=order)
    engine = Engine({"wall": Unit(PJLink(config(**options)))}, {"duty": wanted}, journal, dial)
    engine.start()
    try:
        await until(lambda: engine.store.devices["wall"].link == "online")
        before()
        run = await engine.arbiter.activate(wanted, PERSON, {})
        await until(lambda: run.state == "closed", 20.0)
        assert not engine.faults()
    finally:
        await engine.stop()
        await journal.close()
        await twin.close()
    return run


class ScriptWire:
    """A wire whose other end is the test: one line of the script for the connection and for each command.

    None closes the connection.
    """

    def __init__(self, script: list[bytes | None]) -> None:
        self._script = list(script)
        self._data: Callable[[bytes], None]
        self._lost: Callable[[str, str], None]

    def session(self) -> Session:
        return session_on(self)

    def listen(self, data: Callable[[bytes], None], lost: Callable[[str, str], None]) -> None:
        self._data, self._lost = data, lost
        self._next()

    def write(self, data: bytes) -> None:
        self._next()

    async def drained(self) -> None:
        """It is never full."""

    def abort(self) -> None:
        """There is nothing to drop."""

    def _next(self) -> None:
        line = self._script.pop(0)
        if line is None:
            self._lost("closed_by_device", "")
        else:
            self._data(line)


def session_on(wire: ByteWire) -> Session:
    return Session(wire, PJLinkCodec(), answer_s=3.0, on_lost=lambda code, detail: None)


def judged(exchange: Any, message: Message) -> Answer | Refusal | None:
    verdict: Answer | Refusal | None = exchange.judge(message)
    return verdict
