"""The scene of a press: the loaded one with the press's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ecc_controld.scene.model import Scene
from ecc_controld.scene.params import BadParams

from .acceptance import Refused


def made(scene: Scene, params: Mapping[str, Any]) -> Scene:
    """The scene with the parameters of a press; raises Refused(422) that says which are wrong and what is valid."""
    try:
        return scene.at(params)
    except BadParams as bad:
        raise Refused(bad.code, bad.text, status=422, **bad.helps) from None


def again(scene: Scene | None, params: Mapping[str, Any]) -> tuple[Scene, dict[str, Any]] | None:
    """The scene with parameters that it was once pressed with, or with its usual ones; None if it takes neither."""
    for wanted in () if scene is None else (dict(params), {}):
        try:
            assert scene is not None
            scene.at(wanted)
        except BadParams:
            continue
        return scene, wanted
    return None
