"""Strict YAML: what is taken, what is refused, and that every error says where."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecc_controld.sdk import Text
from ecc_controld.yamlfile import (
    MAX_BYTES,
    Fields,
    FilesInvalid,
    Mapping,
    Mark,
    Problem,
    Problems,
    Scalar,
    Source,
    as_bool,
    as_int,
    as_items,
    as_mapping,
    as_name,
    as_seconds,
    as_text,
    as_word,
    folder,
    parse,
    plain,
    read,
)
from ecc_controld.yamlfile.source import decode


def load(text: str | bytes) -> tuple[object, tuple[Problem, ...]]:
    """What a file's bytes hold, and what is wrong with them."""
    problems = Problems()
    data = text.encode() if isinstance(text, str) else text
    decoded = decode(data, "f.yaml", problems)
    node = None if decoded is None else parse(Source("f.yaml", decoded, ""), problems)
    return (None if node is None else plain(node)), problems.all()


def node(text: str) -> Mapping:
    problems = Problems()
    found = parse(Source("f.yaml", text, ""), problems)
    assert isinstance(found, Mapping)
    assert not problems
    return found


def the_problem(text: str | bytes) -> Problem:
    value, problems = load(text)
    assert value is None
    assert len(problems) == 1, problems
    return problems[0]


# -- what is taken ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word",
    [
        "on",
        "off",
        "yes",
        "No",
        "12:30",
        "010",
        "0504",
        "1_000",
        "0x1F",
        "1e3",
        ".inf",
        "2024-01-01",
        "true",
        "=",
        "-6",
    ],
)
def test_every_plain_scalar_stays_its_text(word: str) -> None:
    assert load(f"a: {word}\n") == ({"a": word}, ())


def test_maps_lists_and_blocks() -> None:
    value, problems = load("a: [1, {b: 二}]\nc:\n  - d\n  - |\n    e\n    f\n")
    assert not problems
    assert value == {"a": ["1", {"b": "二"}], "c": ["d", "e\nf\n"]}


def test_marks_count_from_one() -> None:
    root = node("a: 1\n名:\n  深: [x, yy]\n")
    key, value = root.entries[1]
    assert (key.mark.line, key.mark.column) == (2, 1)
    assert isinstance(value, Mapping)
    inner = value.get("深")
    assert inner is not None
    assert (inner.mark.line, inner.mark.column) == (3, 6)
    assert (inner.items[1].mark.line, inner.items[1].mark.column) == (3, 10)  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["", "~", "null", "NULL"])
def test_null_is_told_from_the_quoted_word(text: str) -> None:
    plainly, quoted = node(f"a: {text}\n").get("a"), node(f"a: '{text}'\n").get("a")
    assert isinstance(plainly, Scalar)
    assert isinstance(quoted, Scalar)
    assert plainly.is_null
    assert not quoted.is_null
    assert quoted.text == text


def test_dos_lines_and_blanks_at_the_end_are_harmless() -> None:
    assert load("a: 1 \t\r\nb: 2  # remark\r\n  \r\n") == ({"a": "1", "b": "2"}, ())


# -- what is refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, 1, "key a is given twice, first in line 1"),
        ("x:\n  a: 1\n  a: 1\n", 3, 3, "twice"),
        ("a: &x 1\n", 1, 4, "anchors"),
        ("a: *x\n", 1, 4, "aliases"),
        ("<<: {a: 1}\n", 1, 1, "merge keys"),
        ("a: !!int 1\n", 1, 4, "tags"),
        ("a: !x {b: 1}\n", 1, 4, "tags"),
        ("a: ! 1\n", 1, 4, "tags"),
        ("a: 1\n---\nb: 1\n", 2, 1, "one document"),
        ("%YAML 1.1\n---\na: 1\n", 1, 1, "directives"),
        ("? [a]\n: 1\n", 1, 3, "a key must be a text"),
        ("{a: 1}: 2\n", 1, 1, "a key must be a text"),
        ("~: 1\n", 1, 1, "the key is empty"),
        ("a:\n\tb: 1\n", 2, 1, "a tab in the indentation"),
        ("a:\n  \tb: 1\n", 2, 3, "a tab in the indentation"),
        ("a: 1\n\t\nb: 1\n", 2, 1, "a tab in the indentation"),
        ("a:\n\u3000\u3000b: 1\n", 2, 1, "full-width or special space"),
        ("a: x\x07y\n", 1, 5, "U+0007"),
        ("a: x\u202ey\n", 1, 5, "U+202E"),
        ("a: 1\nb: x\u2028y\n", 2, 5, "U+2028"),
        ("a: x\ufeffy\n", 1, 5, "U+FEFF"),
        ("a: 'b\n", 2, 1, "YAML syntax error"),
        ("a: b: c\n", 1, 5, "YAML syntax error"),
        ("", 1, 1, "the file is empty"),
        ("# only a remark\n", 1, 1, "the file is empty"),
    ],
)
def test_refused_with_its_place(text: str, line: int, column: int, says: str) -> None:
    problem = the_problem(text)
    assert says in problem.message.en
    assert (problem.line, problem.column) == (line, column)
    assert any("\u4e00" <= c <= "\u9fff" for c in problem.message.zh)


@pytest.mark.parametrize(
    ("data", "line", "column", "says"),
    [
        ("a: 1\nb: 大屏幕\n".encode("gb18030"), 2, 4, "GBK"),
        (b"a: \xff\xfe\n", 1, 4, "0xFF is not UTF-8"),
        (b"\xef\xbb\xbfa: 1\n", 1, 1, "UTF-8 BOM"),
        ("a: 1\n".encode("utf-16"), 1, 1, "UTF-16"),
        (b"a: \x001\n", 1, 4, "U+0000"),
        ("名: 1\nb: 名".encode() + b"\xff", 2, 5, "0xFF"),
        (b"a: \xed\xa0\x80\n", 1, 4, "not UTF-8"),
    ],
)
def test_bytes_that_are_not_clean_text(data: bytes, line: int, column: int, says: str) -> None:
    problem = the_problem(data)
    assert says in problem.message.en
    assert (problem.line, problem.column) == (line, column)


def test_all_duplicate_keys_are_told_at_once() -> None:
    _, problems = load("a: 1\na: 2\nb: {c: 1, c: 2}\n")
    assert [(p.line, p.column) for p in problems] == [(2, 1), (3, 11)]


@pytest.mark.parametrize("shape", [("[", "]"), ("{a: ", "}")])
def test_depth_is_bounded(shape: tuple[str, str]) -> None:
    begin, end = shape
    _, problems = load(begin * 19 + "x" + end * 19)
    assert not problems
    assert "deeper than 20" in the_problem(begin * 20 + "x" + end * 20).message.en
    assert "deeper than 20" in the_problem(begin * 100_000).message.en


def test_the_number_of_nodes_is_bounded() -> None:
    assert "split the file" in the_problem("[" + "a," * 60_000 + "]").message.en


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_any_bytes_give_a_tree_or_a_problem(data: bytes) -> None:
    value, problems = load(data)
    assert (value is None) == bool(problems)


@given(st.text(alphabet="ab:- \n[]{},'\"#&*!|>%@?~<\t", max_size=60))
@settings(max_examples=500)
def test_any_punctuation_gives_a_tree_or_a_problem(text: str) -> None:
    value, problems = load(text)
    assert (value is None) == bool(problems)


# -- files -----------------------------------------------------------------------------------------------


def test_a_problem_prints_as_compilers_do() -> None:
    problem = Problem("hall.yaml", 3, 7, Text("坏了", "broken"))
    assert str(problem) == "hall.yaml:3:7: broken / 坏了"
    assert str(FilesInvalid([problem, problem])).splitlines() == [str(problem)] * 2


def test_a_big_file_is_refused_by_its_size(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_bytes(b"a: 1\n" + b"#" * (MAX_BYTES - 5))
    problems = Problems()
    assert read(path, problems) is not None
    with path.open("ab") as file:
        file.write(b"#")
    assert read(path, problems) is None
    assert "1024 KiB" in problems.all()[0].message.en


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    for path, says in ((tmp_path / "pipe.yaml", "not a regular file"), (tmp_path / "none.yaml", "cannot be read")):
        problems = Problems()
        assert read(path, problems) is None
        assert says in problems.all()[0].message.en
        assert problems.all()[0].file == str(path)


def test_a_folder_gives_its_yaml_files_in_order(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yaml", ".#a.yaml", "notes.txt"):
        (tmp_path / name).touch()
    problems = Problems()
    assert [path.name for path in folder(tmp_path, problems)] == ["a.yaml", "b.yaml"]
    assert not problems
    (tmp_path / "c.yml").touch()
    folder(tmp_path, problems)
    assert [p.file for p in problems.all()] == [str(tmp_path / "c.yml")]


def test_a_folder_without_files_or_none_at_all(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        problems = Problems()
        assert folder(path, problems) == []
        assert len(problems) == 1


def test_the_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"a: 1\n")
    found = read(tmp_path / "a.yaml", Problems())
    assert found is not None
    # sha256sum of the five bytes
    assert found.digest == "37b128c59f1f5097f73f82691cb519f1f568667faab5ced1b4ab979d36837eae"


# -- typed values ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("200ms", 0.2), ("2s", 2), ("1.5s", 1.5), ("5min", 300), ("1h", 3600), ("0s", 0), ("1.5 s", 1.5)],
)
def test_durations(text: str, seconds: float) -> None:
    problems = Problems()
    assert as_seconds(node(f"a: {text}").get("a"), 0, 3600, problems) == pytest.approx(seconds)
    assert not problems


@pytest.mark.parametrize(
    "text", ["2", "s", "-1s", "1e3s", "2 sec", "2h", "5m", "nans", ".5s", "[1s]", "~", "1s s"]
)
def test_not_a_duration(text: str) -> None:
    problems = Problems()
    assert as_seconds(node(f"a: {text}").get("a"), 0, 3600, problems) is None
    assert len(problems) == 1
    assert "200ms" in problems.all()[0].message.zh


@pytest.mark.parametrize(
    ("text", "value"), [("on", True), ("off", False), ("yes", True), ("关", False), ("maybe", None), ("~", None)]
)
def test_switches(text: str, value: bool | None) -> None:
    problems = Problems()
    assert as_bool(node(f"a: {text}").get("a"), problems) is value
    assert bool(problems) == (value is None)


@pytest.mark.parametrize(
    ("text", "value"),
    [("010", 10), ("0", 0), ("100", 100), ("101", None), ("-1", None), ("1.0", None), ("1_0", None), ("١", None)],
)
def test_whole_numbers_are_decimal(text: str, value: int | None) -> None:
    problems = Problems()
    assert as_int(node(f"a: {text}").get("a"), 0, 100, problems) == value
    assert bool(problems) == (value is None)


def test_names_in_two_languages_or_one() -> None:
    problems = Problems()
    assert as_name(node("a: {zh: 大屏, en: Wall}").get("a"), problems) == Text("大屏", "Wall")
    assert as_name(node("a: 大屏").get("a"), problems) == Text("大屏", "大屏")
    assert as_name(node("a: {zh: 大屏}").get("a"), problems) == Text("大屏", "大屏")
    assert as_name(None, problems) is None
    assert not problems
    assert as_name(node("a: {cn: 大屏}").get("a"), problems) is None
    assert as_name(node("a: {}").get("a"), problems) is None
    assert len(problems) == 2


def test_a_word_out_of_a_set_names_the_nearest() -> None:
    problems = Problems()
    assert as_word(node("a: manuel").get("a"), ("scene", "manual"), problems) is None
    (problem,) = problems.all()
    assert problem.valid == ("scene", "manual")
    assert problem.nearest == "manual"
    assert "did you mean manual?" in problem.message.en


def test_a_full_width_colon_is_named() -> None:
    problems = Problems()
    assert as_mapping(node("wall: power：on").get("wall"), problems) is None
    assert "ASCII colon" in problems.all()[0].message.en


def test_wrong_shapes_are_told_once_each() -> None:
    problems = Problems()
    root = node("a: [1]\nb: {c: 1}\nd: ''\ne: 1\n")
    assert as_text(root.get("a"), problems) is None
    assert as_items(root.get("b"), problems) is None
    assert as_text(root.get("d"), problems) is None
    assert as_mapping(root.get("e"), problems) is None
    assert [p.line for p in problems.all()] == [1, 2, 3, 4]


def test_fields_know_what_was_never_taken() -> None:
    problems = Problems()
    fields = Fields(node("address: 1\ndrivr: x\nwhen: 1\n"), problems)
    assert fields.take("address") is not None
    assert fields.need("driver") is None
    fields.refuse(("when",), "不支持", "not supported")
    fields.done()
    found = {p.line: p for p in problems.all()}
    assert found[2].nearest == "driver"
    assert found[2].valid == ("address", "driver")
    assert found[3].message.en == "when: not supported"
    assert "driver: is missing" in found[1].message.en
    assert len(problems) == 3


def test_a_flood_of_errors_is_counted() -> None:
    problems = Problems()
    for line in range(1, 701):
        problems.add(Mark("f", line), "坏", "bad", ["word"], "wrd")
    told = problems.all()
    assert len(problems) == 700
    assert len(told) == 501
    assert (told[-1].line, told[-1].message.en) == (501, "200 more errors are not listed")


def test_many_valid_names_are_cut_in_the_sentence_only() -> None:
    problems = Problems()
    problems.add(Mark("f"), "坏", "bad", [f"out.{n}" for n in range(1, 41)], "out.41")
    (problem,) = problems.all()
    assert len(problem.valid) == 40
    assert "and 28 more" in problem.message.en
    assert problem.nearest in problem.valid
