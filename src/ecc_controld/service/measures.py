"""What the service itself measures, for /metrics: the watchdog, the log, the process."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector, CollectorRegistry

from ecc_controld.log import current

from .watchdog import Watchdog

PROBES = ("keepers", "journal", "api", "loop")


class ServiceMeasures(Collector):
    """`watch` is told the watchdog once it runs."""

    def __init__(self) -> None:
        self._process = ProcessCollector(registry=CollectorRegistry())
        self._watchdog: Watchdog | None = None

    def watch(self, watchdog: Watchdog) -> None:
        """From now on this one is told of."""
        self._watchdog = watchdog

    def collect(self) -> Iterable[Metric]:
        """All families."""
        yield from self._process.collect()
        log = current()
        yield CounterMetricFamily(
            "ecc_log_lines_dropped", "Log lines that nobody read in time", value=0 if log is None else log.dropped
        )
        if self._watchdog is None:
            return
        still = GaugeMetricFamily("ecc_standing_still", "1 for what makes no progress", labels=["what"])
        for name in PROBES:
            still.add_metric([name], int(name in self._watchdog.standing_still))
        yield still
