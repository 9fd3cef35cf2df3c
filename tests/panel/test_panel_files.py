"""The static files: hash of what is vendored, nothing inline, nothing from elsewhere, what is served."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from ecc_controld import panel

VENDORED = panel.ROOT / "vendor" / "preact-signals-htm.js"
OWN = sorted(file for file in panel.ROOT.rglob("*") if file.suffix in panel.TYPES and file.parent.name != "vendor")


def test_vendored_file_is_the_one_that_was_made() -> None:
    expected, name = (VENDORED.parent / "preact-signals-htm.js.sha256").read_text().split()
    assert name == VENDORED.name
    assert hashlib.sha256(VENDORED.read_bytes()).hexdigest() == expected


def test_licences_lie_beside_it() -> None:
    for name in ("preact", "signals", "signals-core", "htm"):
        assert (VENDORED.parent / f"LICENSE.{name}").read_text().strip()


def test_nothing_comes_from_elsewhere() -> None:
    assert OWN
    for file in OWN:
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//cdn|@import", text), file
    assert not re.search(rb"\beval\(|new Function", VENDORED.read_bytes())


def test_nothing_is_inline() -> None:
    index = (panel.ROOT / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=", index)
    for file in panel.ROOT.glob("js/*.js"):
        assert not re.search(r"\bstyle=|\.innerHTML|dangerouslySetInnerHTML", file.read_text()), file


def test_files_stay_small() -> None:
    for file in OWN:
        assert len(file.read_text().splitlines()) <= 400, file


def test_policy_allows_only_the_origin() -> None:
    policy = panel.HEADERS["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


@pytest.mark.parametrize("path", ["index.html", "css/tokens.css", "js/main.js", "vendor/preact-signals-htm.js"])
def test_found(path: str) -> None:
    file = panel.find(path)
    assert file is not None
    assert file.read_bytes()


@pytest.mark.parametrize(
    "path",
    ["__init__.py", "../__init__.py", "vendor/README.md", "js", "", "js/none.js", "/etc/hosts", "../../x.js"],
)
def test_not_found(path: str) -> None:
    assert panel.find(path) is None


def test_outside_is_not_found_even_with_a_served_suffix(tmp_path: Path) -> None:
    other = tmp_path / "x.js"
    other.write_text("1")
    assert panel.find(str(other)) is None
    assert panel.find("../" * 12 + str(other).lstrip("/")) is None


def test_every_sentence_exists_in_both_languages() -> None:
    words = (panel.ROOT / "js" / "i18n.js").read_text()
    pairs = re.findall(r"""^  (\w+): \[("[^"]*"),\s+("[^"]*"|'[^']*')\],$""", words, re.MULTILINE)
    names = re.findall(r"^  (\w+): \[", words, re.MULTILINE)
    assert [name for name, _, _ in pairs] == names, "each is one Chinese and one English text"
    for name, zh, en in pairs:
        assert len(zh) > 2, name
        assert name == "simulatedOther" or len(en) > 2, name
        assert set(re.findall(r"{\w+}", zh)) == set(re.findall(r"{\w+}", en)), name
    code = "".join(file.read_text() for file in panel.ROOT.glob("js/*.js"))
    asked = set(re.findall(r'\bt\("(\w+)"', code))
    assert asked
    assert asked <= set(names)
