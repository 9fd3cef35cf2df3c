"""The configuration of a hall: what is taken, and every error at its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecc_controld.registry import Registry
from ecc_controld.sdk import Address, Text
from ecc_controld.settings import check, load_hall
from ecc_controld.yamlfile import FilesInvalid, Problem
from support.fakehall import DRIVERS, HALL, HEAD, DisplayOptions, Picture, hall, write


def problems(folder: Path, text: str = HALL, **how: Any) -> tuple[Problem, ...]:
    with pytest.raises(FilesInvalid) as caught:
        hall(folder, text, **how)
    return caught.value.problems


def the_problem(folder: Path, text: str, **how: Any) -> Problem:
    found = problems(folder, text, **how)
    assert len(found) == 1, "\n".join(map(str, found))
    return found[0]


def spot(text: str, what: str) -> tuple[int, int]:
    """Line and column of the first place where `what` stands."""
    before = text[: text.index(what)]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def at(problem: Problem) -> tuple[int, int]:
    return problem.line, problem.column


def display(options: str, more: str = "") -> str:
    return HEAD + f"devices:\n  wall:\n    driver: display\n    address: tcp://10.20.1.10\n{more}{options}"


# -- what is taken ---------------------------------------------------------------------------------------


def test_a_hall(tmp_path: Path) -> None:
    found = hall(tmp_path)
    assert found.name == Text("测试大厅", "Test hall")
    assert found.timezone == "Asia/Shanghai"
    assert found.networks == ("10.20.0.0/16",)
    assert list(found.devices) == ["wall", "side", "matrix", "dsp", "cam1", "cam2", "cam3"]
    assert found.lists == {"townships": ("site-01", "site-02")}
    assert found.sources["gis"].name == Text("地理信息", "GIS")
    assert (found.sources["gis"].input, found.sources["gis"].label) == ("matrix.in.3", "internal")
    wall = found.devices["wall"]
    assert (wall.group, wall.zone, wall.observe_only, wall.in_service) == ("display", "前区", False, True)
    assert wall.config.name == Text("大屏", "Wall")
    assert wall.config.address == Address("tcp", "10.20.1.10", 5200)
    assert wall.config.presets == {"quad": 2, "duty": 0}
    assert wall.config.options == DisplayOptions()
    assert wall.config.secret is None
    assert found.devices["side"].config.name == Text("side", "side")


def test_the_driver_gives_port_and_gap_where_the_file_does_not(tmp_path: Path) -> None:
    found = hall(tmp_path)
    assert found.devices["side"].config.address == Address("tcp", "10.20.1.11", 7000)
    assert found.devices["cam3"].config.address == Address("udp", "cam3.hall", 52381)
    assert found.devices["wall"].gap_s == 0.5
    assert found.devices["dsp"].gap_s == pytest.approx(0.2)


def test_sources_reach_the_device_that_they_are_plugged_into(tmp_path: Path) -> None:
    found = hall(tmp_path)
    assert found.devices["matrix"].config.sources == {"gis": "in.3"}
    assert found.devices["wall"].config.sources == {}
    assert found.devices["matrix"].driver.points["out.1"].kind.parse("gis") == "gis"


def test_options_are_coerced_from_text(tmp_path: Path) -> None:
    text = display(
        "    options: {lines: 4, cabinets: 010, warm: 开, offset: −1.5, picture: {depth: 10, gamma: ~},\n"
        "      windows: {left: {depth: 12}}, corner: [3, -4], codes: {pc: 1, off: on}}\n"
    )
    assert hall(tmp_path, text).devices["wall"].config.options == DisplayOptions(
        lines=4,
        cabinets=10,
        warm=True,
        offset=-1.5,
        picture=Picture(10, None),
        windows={"left": Picture(12)},
        corner=(3, -4),
        codes={"pc": "1", "off": "on"},
    )


def test_preset_numbers_and_texts(tmp_path: Path) -> None:
    text = display("    presets: {a: 2, b: '2', c: 0504, d: quad, 应急: 0, on: -1}\n")
    found = hall(tmp_path, text).devices["wall"].config.presets
    assert found == {"a": 2, "b": "2", "c": "0504", "d": "quad", "应急": 0, "on": "-1"}
    assert type(found["a"]) is int


def test_switches_of_a_device(tmp_path: Path) -> None:
    found = hall(tmp_path, display("    observe_only: yes\n    in_service: off\n    gap: 1.5s\n")).devices["wall"]
    assert (found.observe_only, found.in_service, found.gap_s) == (True, False, 1.5)


def test_files_are_merged_and_the_digest_covers_them_all(tmp_path: Path) -> None:
    first = write(tmp_path / "a", hall=HEAD, cams="devices: {cam: {driver: fake, address: 'tcp://10.20.0.1'}}\n")
    second = write(
        tmp_path / "b",
        hall=HEAD + "devices: {cam: {driver: fake, address: 'tcp://10.20.0.1'}}\n",
        more="schema: 1\ndevices: {mic: {driver: fake, address: 'tcp://10.20.0.2'}}\n",
    )
    registry = Registry(DRIVERS)
    one, two = (load_hall(folder, registry, secrets={}.get) for folder in (first, second))
    assert list(one.devices) == ["cam"]
    assert list(two.devices) == ["cam", "mic"]
    assert one.digest == load_hall(first, registry, secrets={}.get).digest
    assert one.digest != two.digest
    (first / "cams.yaml").rename(first / "dams.yaml")
    assert load_hall(first, registry, secrets={}.get).digest != one.digest


def test_credentials_come_from_the_caller(tmp_path: Path) -> None:
    text = display("    secret: wall-key\n")
    assert hall(tmp_path, text, secrets={"wall-key": "swordfish"}.get).devices["wall"].config.secret == "swordfish"
    problem = the_problem(tmp_path, text)
    assert at(problem) == spot(text, "wall-key")
    assert "wall-key" in problem.message.zh


def test_no_message_holds_a_credential(tmp_path: Path) -> None:
    text = display("    options: {cabinets: 0}\n", "    secret: wall-key\n")
    assert "swordfish" not in str(problems(tmp_path, text, secrets={"wall-key": "swordfish"}.get))


def test_a_password_instead_of_a_name_is_not_repeated(tmp_path: Path) -> None:
    problem = the_problem(tmp_path, display("    secret: 'pass word!'\n"))
    assert "pass word" not in str(problem)


def test_simulated_addresses_replace_the_real_ones(tmp_path: Path) -> None:
    addresses = {name: Address("tcp", "127.0.0.1", 4000 + n) for n, name in enumerate(hall(tmp_path).devices)}
    found = hall(tmp_path, addresses=addresses)
    assert {name: device.config.address for name, device in found.devices.items()} == addresses
    assert found.digest == hall(tmp_path).digest
    del addresses["cam2"]  # it would be dialled for real
    problem = the_problem(tmp_path, HALL, addresses=addresses)
    assert "cam2 has no simulated address" in problem.message.en


def test_simulation_does_not_excuse_a_wrong_address(tmp_path: Path) -> None:
    text = display("").replace("10.20.1.10", "10.9.1.10")
    assert "outside" in the_problem(tmp_path, text, addresses={"wall": Address("tcp", "127.0.0.1", 1)}).message.en


# -- the head of the files -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "where", "says"),
    [
        ("schema: 1\n", "", None, "schema: 1 is missing"),
        ("schema: 1", "schema: 2", "2", "valid: 1"),
        ("Asia/Shanghai", "Asia/Peking", "Asia/Peking", "unknown time zone"),
        ("Asia/Shanghai", "../../etc", "../../etc", "unknown time zone"),
        (", timezone: Asia/Shanghai", "", "{name: {zh: 测试", "timezone: is missing"),
        ("networks: [10.20.0.0/16]\n", "", None, "networks: is missing"),
        ("10.20.0.0/16", "10.20.0.1/16", "10.20.0.1/16", "expected a network"),
        ("[10.20.0.0/16]", "[]", "[]", "at least one network"),
        ("networks:", "netwoks:", "netwoks:", "did you mean networks?"),
        ("lists: {townships:", "lists: {Townships:", "Townships", "must begin with a lower-case letter"),
        ("[site-01, site-02]", "[site-01, site-01]", "site-01]", "listed twice"),
        ("input: matrix.in.3", "input: matrx.in.3", "matrx.in.3", "did you mean matrix?"),
        ("input: matrix.in.3", "input: matrix", "matrix, label", "expected device.input"),
        ("en: GIS, input: matrix.in.3,", "en: GIS,", "{zh: 地理信息", "input: is missing"),
    ],
)
def test_a_wrong_head(tmp_path: Path, old: str, new: str, where: str | None, says: str) -> None:
    assert old in HALL
    text = HALL.replace(old, new)
    found = problems(tmp_path, text)
    assert says in str(found), found
    problem = next(p for p in found if says in str(p))
    if where is not None:
        assert at(problem) == spot(text, where)


def test_a_device_given_in_two_files(tmp_path: Path) -> None:
    device = "{driver: fake, address: 'tcp://10.20.0.1'}"
    folder = write(tmp_path, a=HEAD + f"devices: {{cam: {device}}}\n", b=f"devices: {{cam: {device}}}\n")
    with pytest.raises(FilesInvalid) as caught:
        load_hall(folder, Registry(DRIVERS), secrets={}.get)
    (problem,) = caught.value.problems
    assert (Path(problem.file).name, problem.line) == ("b.yaml", 1)
    assert f"{folder / 'a.yaml'}:4:11" in problem.message.en


def test_errors_of_all_files_come_at_once_in_order(tmp_path: Path) -> None:
    folder = write(tmp_path, a=HEAD + "devics: {}\n", b="a: 1\na: 2\n", c="devices: {x: {driver: none}}\n")
    with pytest.raises(FilesInvalid) as caught:
        load_hall(folder, Registry(DRIVERS), secrets={}.get)
    assert [Path(p.file).name for p in caught.value.problems] == ["a.yaml", "b.yaml", "c.yaml", "c.yaml"]


@pytest.mark.parametrize("text", [HEAD, HEAD + "devices: {}\n"])
def test_a_hall_without_devices(tmp_path: Path, text: str) -> None:
    assert "no device" in the_problem(tmp_path, text).message.en


# -- devices ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "where", "says"),
    [
        ("adress: x", "adress", "did you mean address?"),
        ("gap: 200", "200", "200ms"),
        ("gap: 2h", "2h", "0 to 60 s"),
        ("group: Kamera", "Kamera", "lower-case word"),
        ("observe_only: perhaps", "perhaps", "on or off"),
        ("zone: {a: b}", "{a: b}", "expected a text"),
        ("name: ~", "~", "expected a text"),
        ("name: {zh: 屏, eng: x}", "eng", "did you mean en?"),
        ("presets: [1]", "[1]", "keys and values"),
        ("presets: {a: }", "}", "expected a text"),
        ("presets: {bad: 1}", "presets", "a preset cannot be called bad"),
        ("options: {cabinets: 0}", "0}", "wall options.cabinets: at least one cabinet"),
        ("options: {windows: {a.b!: {depth: 3}}}", "3}}}", "no exclamation marks"),
        ("options: {cabinet: 1}", "cabinet", "did you mean cabinets?"),
        ("options: {cabinets: many}", "many", "option cabinets: expected a whole number"),
        ("options: {cabinets: 1.5}", "1.5", "expected a whole number"),
        ("options: {cabinets: }", "}", "nothing here"),
        ("options: {cabinets: [1]}", "cabinets", "expected a whole number"),
        ("options: {warm: perhaps}", "perhaps", "option warm: expected on or off"),
        ("options: {offset: nan}", "nan", "option offset: expected a number"),
        ("options: {model: VX100}", "VX100", "did you mean VX1000?"),
        ("options: {lines: 3}", "3}", "valid: 2, 4"),
        ("options: {picture: {dept: 1}}", "dept", "did you mean depth?"),
        ("options: {picture: {depth: x}}", "x}}", "option picture.depth: expected a whole number"),
        ("options: {picture: 8}", "8}", "option picture: expected keys and values"),
        ("options: {windows: {left: {depth: x}}}", "x}}}", "option windows.left.depth"),
        ("options: {windows: {left: {width: 1}}}", "width", "valid: depth, gamma"),
        ("options: {corner: [1, x]}", "x]}", "option corner.1: expected a whole number"),
        ("options: {corner: [1]}", "corner", "option corner"),
        ("options: {codes: {a: [1]}}", "a: [1]", "option codes.a: expected a plain value"),
        ("options: []", "[]", "keys and values"),
    ],
)
def test_a_wrong_line_of_a_device(tmp_path: Path, line: str, where: str, says: str) -> None:
    text = display(f"    {line}\n")
    problem = the_problem(tmp_path, text)
    assert says in problem.message.en, problem
    row, column = spot(line, where)
    assert at(problem) == (7 + row, 4 + column)
    assert any("\u4e00" <= c <= "\u9fff" for c in problem.message.zh)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("10.20.1.10:5200", "expected an address such as tcp://"),
        ("udp://10.20.1.10", "valid: tcp"),
        ("tcp://10.21.1.10", "outside the networks"),
        ("tcp://127.0.0.1:1", "outside the networks"),
        ("tcp://[::1]:1", "outside the networks"),
        ("tcp://10.20.1.10:0", "a port from 1 to 65535"),
        ("tcp://10.20.1.10:65536", "a port from 1 to 65535"),
        ("tcp://10.20.1.10:", "expected an address"),
        ("tcp://a:b@10.20.1.10", "expected an address"),
        ("tcp://10.20.1.10/x", "expected an address"),
        ("tcp://10.20.01.10", "neither an IP address nor a host name"),
        ("tcp://10.20.1", "neither an IP address nor a host name"),
        ("tcp://wall_1", "neither an IP address nor a host name"),
        ("tcp://-wall", "neither an IP address nor a host name"),
    ],
)
def test_a_wrong_address(tmp_path: Path, address: str, says: str) -> None:
    text = display("").replace("tcp://10.20.1.10", f"'{address}'")
    problem = the_problem(tmp_path, text)
    assert says in problem.message.en, problem
    assert at(problem) == spot(text, f"'{address}'")


@pytest.mark.parametrize(
    "address", ["tcp://wall.hall.lan:9", "tcp://wall-1", "tcp://[fd00::1]:5", "tcp://10.20.255.255"]
)
def test_a_good_address(tmp_path: Path, address: str) -> None:
    text = (
        display("")
        .replace("tcp://10.20.1.10", f"'{address}'")
        .replace("[10.20.0.0/16]", "[10.20.0.0/16, 'fd00::/8']")
    )
    assert str(hall(tmp_path, text).devices["wall"].config.address).startswith(address)


def test_two_devices_at_one_address(tmp_path: Path) -> None:
    text = HALL.replace("tcp://10.20.1.11", "tcp://10.20.1.10:5200")
    problem = the_problem(tmp_path, text)
    assert "already the address of wall" in problem.message.en
    assert problem.line == spot(text, "side:")[0] + 3


def test_host_names_are_the_same_in_any_case(tmp_path: Path) -> None:
    text = HALL.replace("tcp://10.20.1.10:5200", "tcp://Wall.lan").replace(
        "tcp://10.20.1.11", "tcp://wall.LAN:7000"
    )
    assert "already the address of wall" in the_problem(tmp_path, text).message.en


def test_one_host_with_two_ports_is_two_addresses(tmp_path: Path) -> None:
    assert hall(tmp_path, HALL.replace("tcp://10.20.1.11", "tcp://10.20.1.10:5201"))


@pytest.mark.parametrize("name", ["Wall", "1wall", "wall.left", "墙", "w w", "a" * 65])
def test_a_bad_device_id(tmp_path: Path, name: str) -> None:
    text = display("").replace("  wall:", f"  {name}:")
    problem = the_problem(tmp_path, text)
    assert at(problem) == (5, 3)
    assert "device id" in problem.message.en


def test_an_unknown_driver_names_the_nearest_and_the_rest_is_still_checked(tmp_path: Path) -> None:
    text = display("    gap: 5\n").replace("driver: display", "driver: dispaly")
    first, second = problems(tmp_path, text)
    assert first.nearest == "display"
    assert at(first) == spot(text, "dispaly")
    assert at(second) == spot(text, "5\n")


def test_a_broken_driver_is_named_with_its_reason(tmp_path: Path) -> None:
    from ecc_controld.registry import DRIVERS as GROUP
    from ecc_controld.registry import Fault

    registry = Registry(DRIVERS, faults=[Fault(GROUP, "led", "cannot be imported: no module")])
    text = display("").replace("driver: display", "driver: led")
    assert "cannot be imported: no module" in the_problem(tmp_path, text, registry=registry).message.en


def test_a_missing_driver_or_address(tmp_path: Path) -> None:
    found = problems(
        tmp_path, HEAD + "devices:\n  a: {driver: fake}\n  b: {address: 'tcp://10.20.0.1'}\n  c:\n  d: x\n"
    )
    assert [p.message.en.split(" is")[0] for p in found[:2]] == ["address:", "driver:"]
    assert [p.line for p in found] == [5, 6, 7, 8]


# -- anything at all -------------------------------------------------------------------------------------

WORDS = ["schema", "hall", "name", "timezone", "networks", "devices", "lists", "sources", "driver", "address"]
WORDS += [
    "options",
    "presets",
    "secret",
    "gap",
    "group",
    "zone",
    "input",
    "zh",
    "wall",
    "display",
    "picture",
    "depth",
]
WORDS += [
    "windows",
    "corner",
    "codes",
    "model",
    "1",
    "on",
    "tcp://10.20.0.1",
    "200ms",
    "null",
    "",
    "大屏",
    "{",
    "a.b",
]
SHAPES = st.recursive(
    st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5),
    max_leaves=30,
)


@given(SHAPES, st.sampled_from(["", "devices", "device", "options"]))
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_shape_is_a_hall_or_a_problem(tmp_path: Path, shape: object, place: str) -> None:
    base: Any = {"driver": "display", "address": "tcp://10.20.0.1"}
    if place == "options":
        shape = {"wall": {**base, "options": shape}}
    elif place == "device":
        shape = {"wall": {**base, **shape} if isinstance(shape, dict) else shape}
    head = HEAD if place else ""
    text = head + (f"devices: {json.dumps(shape)}\n" if place else json.dumps(shape))
    found: tuple[Problem, ...] = ()
    try:
        hall(tmp_path, text)
    except FilesInvalid as invalid:
        found = invalid.problems
    assert all(p.line >= 1 and p.column >= 1 and p.message.zh for p in found)


# -- check -----------------------------------------------------------------------------------------------


def test_check_asks_for_no_credential_and_finds_scene_errors(tmp_path: Path) -> None:
    config = write(tmp_path / "config", hall=display("    secret: key\n"))
    scenes = write(tmp_path / "scenes", duty="scene: duty\nmode: duty\nwant: {wall.power: on}\n")
    assert check(config, scenes, registry=Registry(DRIVERS)) == []
    write(scenes, duty="scene: duty\nmode: duty\nwant: {wall.powr: on}\n")
    assert [p.line for p in check(config, scenes, registry=Registry(DRIVERS))] == [3]


def test_check_of_a_broken_hall_still_reads_the_scenes(tmp_path: Path) -> None:
    config = write(tmp_path / "config", hall=HEAD + "devices: {a: 1}\n")
    scenes = write(tmp_path / "scenes", duty="a: 1\na: 1\n", ok="scene: ok\n")
    found = check(config, scenes, registry=Registry(DRIVERS))
    assert [(Path(p.file).name, p.line) for p in found] == [("hall.yaml", 4), ("duty.yaml", 2)]
