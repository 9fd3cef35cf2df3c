"""GET /metrics: what the hall looks like to Prometheus (text format 0.0.4)."""

from __future__ import annotations

from collections import Counter

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from .context import CONTEXT, Context

LINKS = ("offline", "connecting", "identifying", "online", "refused")


class _Hall(Collector):
    """Reads the store at the moment of the scrape; nothing is counted on the way of a press."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def collect(self) -> list[GaugeMetricFamily]:
        """All families."""
        engine = self._context.engine
        links = Counter(state.link for state in engine.store.devices.values())
        devices = GaugeMetricFamily("ecc_devices", "Devices by link state", labels=["link"])
        for link in LINKS:
            devices.add_metric([link], links[link])
        lives = [entry.life for entry in engine.store.entries.values() if entry.life is not None]
        wishes = GaugeMetricFamily("ecc_wishes", "Points that somebody wants, by law state", labels=["state"])
        for state, count in sorted(Counter(str(life.state) for life in lives).items()):
            wishes.add_metric([state], count)
        missed = sum(1 for life in lives if not life.as_wanted)
        runs = Counter("open" if run.verdict is None else str(run.verdict) for run in engine.runs.lately())
        verdicts = GaugeMetricFamily("ecc_runs_lately", "The newest runs by verdict", labels=["verdict"])
        for verdict, count in sorted(runs.items()):
            verdicts.add_metric([verdict], count)
        return [
            devices,
            wishes,
            verdicts,
            GaugeMetricFamily("ecc_points_not_as_wanted", "Wanted points that are not proved true", value=missed),
            GaugeMetricFamily("ecc_event_streams", "Clients of GET /events", value=self._context.events.clients),
            GaugeMetricFamily("ecc_alarms", "Standing alarms", value=len(engine.store.alarms)),
            GaugeMetricFamily(
                "ecc_journal_failing",
                "1 while the journal cannot write",
                value=int(engine.journal.healthy is not None),
            ),
        ]


async def metrics(request: web.Request) -> web.Response:
    """The metrics of this moment."""
    registry = CollectorRegistry()
    context = request.app[CONTEXT]
    registry.register(_Hall(context))
    for measure in context.measures:
        registry.register(measure)
    return web.Response(body=generate_latest(registry), headers={"Content-Type": "text/plain; version=0.0.4"})
