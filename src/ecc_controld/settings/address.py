"""Addresses of devices and the networks they must be in."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from ecc_controld.sdk import Address
from ecc_controld.yamlfile import Node, Problems, Scalar, as_items, as_text

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_ADDRESS = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+]*)://(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:/?#@\s]+)(?::(?P<port>[0-9]{1,5}))?"
)
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_NAME = re.compile(rf"(?=.{{1,253}}$)(?:{_LABEL}\.)*(?=[A-Za-z0-9-]*[A-Za-z]){_LABEL}")


def networks(node: Node | None, problems: Problems) -> list[Network]:
    """The `networks:` of a hall."""
    found = []
    items = as_items(node, problems)
    if node is not None and items == ():
        problems.add(
            node.mark, "至少列出一个网段，如 10.20.0.0/16", "list at least one network, such as 10.20.0.0/16"
        )
    for item in items or ():
        text = as_text(item, problems)
        if text is None:
            continue
        try:
            found.append(ipaddress.ip_network(text))
        except ValueError as error:
            problems.add(
                item.mark,
                f"应为网段，如 10.20.0.0/16：{text!r}",
                f"expected a network such as 10.20.0.0/16: {error}",
            )
    return found


def address(
    node: Node | None, schemes: Iterable[str], port: int, inside: Sequence[Network], problems: Problems
) -> Address | None:
    """A device's `address:`; `port` is what it has if it names none."""
    text = as_text(node, problems)
    if node is None or text is None:
        return None
    valid = tuple(sorted(schemes))
    match = _ADDRESS.fullmatch(text)
    if match is None:
        example = f"{valid[0]}://10.20.1.10:{port}"
        problems.add(node.mark, f"应为地址，如 {example}", f"expected an address such as {example}, got {text!r}")
        return None
    if match["scheme"] not in valid:
        zh, en = f"该驱动不能使用 {match['scheme']}", f"this driver cannot use {match['scheme']}"
        problems.add(node.mark, zh, en, valid, match["scheme"])
        return None
    number = port if match["port"] is None else int(match["port"])
    if not 1 <= number <= 65535:
        problems.add(node.mark, "端口应为 1 至 65535", "expected a port from 1 to 65535")
        return None
    host = match["host"].strip("[]")
    return Address(match["scheme"], host, number) if _good_host(host, inside, node, problems) else None


def _good_host(host: str, inside: Sequence[Network], node: Node, problems: Problems) -> bool:
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        if _NAME.fullmatch(host):
            return True
        problems.add(
            node.mark, f"{host!r} 不是 IP 地址或主机名", f"{host!r} is neither an IP address nor a host name"
        )
        return False
    names = tuple(map(str, inside))
    # Without a good network that error is told; repeating it for each device would bury it.
    if not names or any(ip in network for network in inside):
        return True
    problems.add(
        node.mark,
        f"{host} 不在 networks: 所列网段内",
        f"{host} is outside the networks of this hall",
        names,
    )
    return False


def twice(found: Iterable[tuple[str, Address, Node]], problems: Problems) -> None:
    """Note devices that share an address."""
    first: dict[tuple[str, str, int], tuple[str, Node]] = {}
    for device, where, node in found:
        key = (where.scheme, where.host.lower(), where.port)
        other, at = first.setdefault(key, (device, node))
        if other != device:
            assert isinstance(node, Scalar)
            problems.add(
                node.mark,
                f"{where} 已是设备 {other} 的地址（{at.mark}）",
                f"{where} is already the address of {other} ({at.mark})",
            )
