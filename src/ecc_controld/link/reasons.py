"""Stable reason codes, each with one sentence in both languages: what is wrong and what to do about it."""

from __future__ import annotations

from ecc_controld.sdk.text import Text

REASONS: dict[str, Text] = {
    # Links.
    "not_dialled": Text("尚未连接", "not dialled yet"),
    "unresolved": Text(
        "找不到主机名，检查地址或域名解析", "host name unknown; check the address or the name service"
    ),
    "refused_connection": Text(
        "设备在网上但拒绝连接，检查端口和设备的控制功能",
        "port closed; check the port and the device's control setting",
    ),
    "no_route": Text("网络不可达，检查电源、网线和交换机", "not reachable; check its power, cable and switch"),
    "dial_failed": Text("无法建立连接", "the connection could not be made"),
    "no_answer": Text(
        "已连接但不应答，可能死机或被其他工具占用", "silent; it may hang, or another tool may hold its session"
    ),
    "closed_by_device": Text(
        "设备关闭了连接，可能被其他工具占用", "closed by the device; another tool may hold it"
    ),
    "reset": Text("设备重置了连接", "the device reset the connection"),
    "lost": Text("连接中断", "the connection was lost"),
    "protocol_error": Text("收到无法识别的数据，检查型号和端口", "unreadable bytes; check the model and the port"),
    "mismatched_answer": Text("应答与提问不符，已重新连接", "an answer to nobody's question; connected anew"),
    "wrong_password": Text("密码错误，更正凭据后重试", "wrong password; correct the credential, then retry"),
    "wrong_model": Text(
        "该地址是另一种设备，检查地址或型号", "another model answers there; check address or model"
    ),
    "session_taken": Text(
        "设备唯一的会话被其他工具占用，关闭厂商软件", "its only session is taken; close the vendor's tool"
    ),
    "not_ready": Text("设备正在启动或不可用", "the device is starting or not available"),
    "driver_error": Text(
        "驱动程序出错，请把诊断包发给工程师", "a fault in the driver; send the diagnostics to the engineer"
    ),
    "stopped": Text("程序正在退出", "the daemon is stopping"),
    # Wishes.
    "device_busy": Text("设备忙，暂不接受", "the device is busy"),
    "device_refused": Text("设备拒绝执行", "the device refused"),
    "prerequisite": Text("前置项未到位", "what must come first did not become true"),
    "guard_failed": Text("保护措施未能到位，未执行", "its guard could not be set, so it was not sent"),
    "drift": Text("有人在设备上改动", "changed at the device by another hand"),
    "not_settled": Text("设备应答了，但状态没有变", "acknowledged, but it did not become true"),
    "return_ask": Text(
        "设备恢复后与期望不同，等待人工确认", "the device came back different; a person must decide"
    ),
    "return_ignored": Text("设备恢复后与期望不同", "the device came back different"),
    "superseded": Text("已被另一次切换取代", "another switch took its place"),
    "overridden": Text("已被手动设定取代", "overridden by hand"),
    "out_of_service": Text("设备已停用", "the device is out of service"),
    "observe_only": Text(
        "只观察，不发送任何控制命令；确认无误后去掉 observe_only",
        "only observed, nothing is sent; remove observe_only once all is right",
    ),
    "disk_full": Text("磁盘已满，未执行", "the disk is full; not carried out"),
    "io_error": Text("磁盘读写出错，未执行", "the disk failed; not carried out"),
    "journal": Text("记录无法保存，未执行", "it could not be recorded; not carried out"),
    "deadline": Text("时限内未到位", "not true by the deadline"),
}


def sentence(code: str) -> Text | None:
    """The sentence of a reason code; None for no reason. An unknown code is shown as it is."""
    if not code:
        return None
    return REASONS.get(code, Text(code, code))
