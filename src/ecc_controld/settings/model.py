"""A hall as its files describe it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ecc_controld.sdk import DeviceConfig, Driver, Text


@dataclass(frozen=True)
class Device:
    """One configured device with its driver. `gap_s`: pause after each command, in seconds."""

    config: DeviceConfig
    driver: Driver
    group: str
    zone: str
    gap_s: float
    observe_only: bool
    in_service: bool = True


@dataclass(frozen=True)
class Source:
    """A picture or sound that can be routed; `input` is where it is plugged in (`matrix.in.3`)."""

    name: Text
    input: str
    label: str


@dataclass(frozen=True)
class Hall:
    """Everything in `config/`. `digest` is the SHA-256 over all files."""

    name: Text
    timezone: str
    networks: tuple[str, ...]
    devices: Mapping[str, Device]
    lists: Mapping[str, tuple[str, ...]]
    sources: Mapping[str, Source]
    digest: str
