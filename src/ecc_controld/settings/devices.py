"""From `devices:` to devices with their drivers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ecc_controld import yamlfile
from ecc_controld.registry import Registry
from ecc_controld.sdk import Address, ConfigError, DeviceConfig, Driver, Text
from ecc_controld.yamlfile import Fields, Mark, Node, Problems, Scalar
from ecc_controld.yamlfile import Mapping as MapNode

from . import address, points
from .model import Device, Source
from .options import options, place

DEVICE_ID = re.compile(r"[a-z][a-z0-9_-]*")
CREDENTIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
ID_LIMIT = 64
GAP_LIMIT_S = 60.0


@dataclass(frozen=True)
class _Read:
    """One device as far as it could be read, before its driver exists."""

    key: Scalar
    driver: type[Driver]
    body: MapNode
    options: MapNode | None
    config: DeviceConfig | None
    group: str
    zone: str
    gap_s: float
    observe_only: bool
    in_service: bool


class Builder:
    """Builds every device of a hall; problems are collected, never raised."""

    def __init__(
        self,
        registry: Registry,
        secrets: Callable[[str], str | None],
        addresses: Mapping[str, Address] | None,
        problems: Problems,
    ) -> None:
        self._registry = registry
        self._secrets = secrets
        self._addresses = addresses
        self._problems = problems

    def devices(
        self,
        entries: Mapping[str, tuple[Scalar, Node]],
        inside: Sequence[address.Network],
        sources: Mapping[str, Source],
    ) -> dict[str, Device]:
        """All devices by id, in the order of the files."""
        self._inside = inside
        self._at: list[tuple[str, Address, Node]] = []
        read = [self._read(key, node, sources) for key, node in entries.values()]
        address.twice(self._at, self._problems)
        built = {one.key.text: self._build(one) for one in read if one is not None}
        return {name: device for name, device in built.items() if device is not None}

    # -- reading -----------------------------------------------------------------------------------------

    def _read(self, key: Scalar, node: Node, sources: Mapping[str, Source]) -> _Read | None:
        add = self._problems.add
        if not DEVICE_ID.fullmatch(key.text) or len(key.text) > ID_LIMIT:
            zh = f"设备名 {key.text!r} 须以小写英文字母开头，只含小写字母、数字、- 和 _"
            en = f"device id {key.text!r} must begin with a lower-case letter and hold only a-z, 0-9, - and _"
            add(key.mark, zh, en)
        body = yamlfile.as_mapping(node, self._problems)
        if body is None:
            return None
        fields = Fields(body, self._problems)
        driver = self._driver(fields)
        read = self._fields(key, fields, driver, sources)
        fields.done()
        return read

    def _driver(self, fields: Fields) -> type[Driver] | None:
        node = fields.need("driver")
        name = yamlfile.as_text(node, self._problems)
        if node is None or name is None:
            return None
        found = self._registry.driver(name)
        if found is None and (fault := self._registry.fault(name)) is not None:
            zh, en = (
                f"驱动 {name} 已安装但不可用：{fault.reason}",
                f"driver {name} is installed but unusable: {fault.reason}",
            )
            self._problems.add(node.mark, zh, en)
        elif found is None:
            valid = self._registry.names()
            self._problems.add(node.mark, f"没有驱动 {name}", f"there is no driver {name}", valid, name)
        return found

    def _fields(
        self, key: Scalar, fields: Fields, driver: type[Driver] | None, sources: Mapping[str, Source]
    ) -> _Read | None:
        """Everything in the device's block; read whole even without a driver, so that all errors are told."""
        problems = self._problems
        name = yamlfile.as_name(fields.take("name"), problems) or Text(key.text, key.text)
        group = self._group(fields.take("group"))
        zone = yamlfile.as_text(fields.take("zone"), problems) or ""
        at = fields.need("address")
        where = (
            None if driver is None else address.address(at, driver.schemes, driver.port, self._inside, problems)
        )
        secret = self._secret(fields.take("secret"))
        given = yamlfile.as_mapping(fields.take("options"), problems)
        kept = None if driver is None else options(given, key.mark, driver.Options, problems)
        presets = self._presets(fields.take("presets"))
        gap_s = yamlfile.as_seconds(fields.take("gap"), 0.0, GAP_LIMIT_S, problems)
        observe_only = yamlfile.as_bool(fields.take("observe_only"), problems) or False
        in_service = yamlfile.as_bool(fields.take("in_service"), problems)
        if driver is None:
            return None
        if where is not None and at is not None:
            self._at.append((key.text, where, at))
        config = None
        if where is not None and kept is not None:
            config = DeviceConfig(
                id=key.text,
                name=name,
                address=self._replaced(key, where),
                options=kept,
                secret=secret,
                presets=presets,
                sources=_plugged_in(key.text, sources),
            )
        return _Read(
            key=key,
            driver=driver,
            body=fields.node,
            options=given,
            config=config,
            group=group,
            zone=zone,
            gap_s=driver.gap_s if gap_s is None else gap_s,
            observe_only=observe_only,
            in_service=in_service is not False,
        )

    def _group(self, node: Node | None) -> str:
        group = yamlfile.as_text(node, self._problems)
        if node is not None and group is not None and not DEVICE_ID.fullmatch(group):
            zh, en = "组名须为小写英文，如 camera", "a group is a lower-case word such as camera"
            self._problems.add(node.mark, zh, en)
        return group or ""

    def _secret(self, node: Node | None) -> str | None:
        name = yamlfile.as_text(node, self._problems)
        if node is None or name is None:
            return None
        if not CREDENTIAL.fullmatch(name):
            zh = "应为凭据的名称（字母、数字、. _ -），不是密码本身"
            en = "expected the name of a credential (letters, digits, . _ -), not the password itself"
            self._problems.add(node.mark, zh, en)
            return None
        try:
            value = self._secrets(name)
        except ConfigError as error:
            self._problems.add(node.mark, f"凭据 {name}：{error.text.zh}", f"credential {name}: {error.text.en}")
            return None
        if value is None:
            zh = f"没有凭据 {name}；请放入 secrets/{name}（权限 0600）或服务的凭据目录"
            en = f"credential {name} is missing; put it into secrets/{name} (mode 0600) or the service's credentials"
            self._problems.add(node.mark, zh, en)
        return value

    def _presets(self, node: Node | None) -> dict[str, int | str]:
        found = yamlfile.as_mapping(node, self._problems)
        presets: dict[str, int | str] = {}
        for key, value in () if found is None else found.entries:
            text = yamlfile.as_text(value, self._problems)
            if len(key.text) > ID_LIMIT or key.text != key.text.strip() or "\n" in key.text:
                zh, en = "预设名过长或含空白", "the word of a preset is too long or begins or ends with a space"
                self._problems.add(key.mark, zh, en)
            elif text is not None:
                presets[key.text] = _preset(text, isinstance(value, Scalar) and value.quoted)
        return presets

    def _replaced(self, key: Scalar, real: Address) -> Address:
        if self._addresses is None:
            return real
        if key.text not in self._addresses:
            zh, en = f"设备 {key.text} 没有模拟地址", f"device {key.text} has no simulated address"
            self._problems.add(key.mark, zh, en)
        return self._addresses.get(key.text, real)

    # -- building ----------------------------------------------------------------------------------------

    def _build(self, read: _Read) -> Device | None:
        if read.config is None:
            return None
        mark, name = read.key.mark, read.driver.name
        try:
            driver = read.driver(read.config)
        except ConfigError as error:
            self._refused(read, error)
            return None
        except Exception as error:  # a driver's own bug must not hide the errors of the files
            what = f"{type(error).__name__}: {error}"
            self._problems.add(mark, f"驱动 {name} 出错：{what}", f"driver {name} failed: {what}")
            return None
        for fault in points.faults(driver):
            self._problems.add(mark, f"驱动 {name}：{fault.zh}", f"driver {name}: {fault.en}")
        return Device(
            config=read.config,
            driver=driver,
            group=read.group,
            zone=read.zone,
            gap_s=read.gap_s,
            observe_only=read.observe_only,
            in_service=read.in_service,
        )

    def _refused(self, read: _Read, error: ConfigError) -> None:
        """The driver's constructor says what is wrong; find where it stands."""
        mark: Mark | None = None
        where = error.option
        if where is not None:
            mark = place(read.options, where)
        for key in ("options", "presets"):
            entry = read.body.entry(key)
            if mark is None and entry is not None and (key == "options" or where is None):
                mark = entry[0].mark
        subject = f"{read.key.text}" if where is None else f"{read.key.text} options.{where}"
        word = None if where is None else where.rpartition(".")[2]
        self._problems.add(
            mark or read.key.mark,
            f"设备 {subject}：{error.text.zh}",
            f"{subject}: {error.text.en}",
            error.valid,
            word,
        )


def _preset(text: str, quoted: bool) -> int | str:
    """A plain decimal number is a number; `"2"` in quotes, and `0504`, whose zero may mean something, are text."""
    return int(text) if not quoted and re.fullmatch(r"0|[1-9][0-9]{0,8}", text) else text


def _plugged_in(device: str, sources: Mapping[str, Source]) -> dict[str, str]:
    """The source words of a device with their local inputs."""
    split = {word: source.input.partition(".") for word, source in sources.items()}
    return {word: local for word, (owner, _, local) in split.items() if owner == device}
