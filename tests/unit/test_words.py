"""One word for one thing: panel, eccctl and glossary say the same of a code, and every code of the hall has a word."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ecc_controld.client import words
from ecc_controld.hall import wish
from ecc_controld.sdk.text import Text

ROOT = Path(__file__).parents[2]
PANEL = re.compile(r'^  ([a-z]+_\w+): \["([^"]*)", ["\']', re.M)
GLOSSARY = re.compile(r"^\| (\w+) \| `(\w+)` \| (\S+) \|$", re.M)
KINDS: dict[str, tuple[str, dict[str, Text]]] = {
    "verdict": ("v_", words.VERDICTS),
    "outcome": ("o_", words.OUTCOMES),
    "evidence": ("e_", words.EVIDENCE),
    "link": ("l_", words.LINKS),
    "action": ("a_", words.DEEDS),
}


@pytest.mark.parametrize("kind", KINDS)
def test_panel_client_and_glossary_say_one_word(kind: str) -> None:
    prefix, client = KINDS[kind]
    panel = dict(PANEL.findall((ROOT / "src/ecc_controld/panel/js/i18n.js").read_text()))
    glossary = {code: zh for k, code, zh in GLOSSARY.findall((ROOT / "docs/glossary.md").read_text()) if k == kind}
    assert glossary
    assert {code: text.zh for code, text in client.items()} == glossary
    assert {code: panel[prefix + code] for code in client} == glossary


def test_every_outcome_and_evidence_has_its_word() -> None:
    assert set(words.OUTCOMES) == {outcome.value for outcome in wish.Outcome}
    assert set(words.EVIDENCE) == {evidence.word for evidence in wish.Evidence}
