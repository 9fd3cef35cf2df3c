"""GET /metrics: what the hall looks like to Prometheus (text format 0.0.4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ecc_controld.control.run import Verdict
from ecc_controld.sdk.session import Tally

from .context import CONTEXT, Context

LINKS = ("offline", "connecting", "identifying", "online", "refused")


class _Hall(Collector):
    """Reads store and counters at the moment of the scrape; on the way of a press nothing but integers is counted."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def collect(self) -> Iterable[Metric]:
        """All families."""
        yield from self._about()
        yield from self._links()
        yield from self._exchanges()
        yield from self._wishes()
        yield from self._runs()

    def _about(self) -> Iterable[Metric]:
        context, engine = self._context, self._context.engine
        active, alarms, journal = engine.arbiter.active, engine.store.alarms, engine.journal
        about = {(context.version, str(context.simulated).lower()): 1}
        yield gauge("ecc_build_info", "The program", ("version", "simulated"), about)
        now = ("none", "none") if active is None else (active.mode or "none", active.scene)
        yield gauge("ecc_hall_mode", "1 for what has the hall", ("mode", "scene"), {now: 1})
        yield gauge("ecc_event_streams", "Clients of GET /events", (), {(): context.events.clients})
        yield gauge("ecc_alarms", "Standing alarms", (), {(): len(alarms)})
        codes = Counter((alarm.code,) for alarm in alarms.values())
        yield gauge("ecc_alarms_standing", "Standing alarms by code", ("code",), codes)
        failing = int(journal.healthy is not None)
        yield gauge("ecc_journal_failing", "1 while the journal cannot write", (), {(): failing})
        yield counter("ecc_journal_commits", "Transactions", (), {(): journal.transactions})
        yield counter("ecc_journal_lost_notes", "Lazy notes lost", (), {(): journal.failed_notes})

    def _links(self) -> Iterable[Metric]:
        states = self._context.engine.store.devices.values()
        links = Counter(state.link for state in states)
        yield gauge("ecc_devices", "Devices by link state", ("link",), {(link,): links[link] for link in LINKS})
        away = {
            (state.id, self._context.facts[state.id].driver, state.reason or "none"): 1
            for state in states
            if state.link != "online" and state.in_service
        }
        text = "1 for each device in service that is not online"
        yield gauge("ecc_device_away", text, ("device", "driver", "reason"), away)

    def _exchanges(self) -> Iterable[Metric]:
        tallies: dict[str, Tally] = {}
        losses: Counter[tuple[str]] = Counter()
        for device, keeper in self._context.engine.keepers.items():
            driver = self._context.facts[device].driver
            tallies.setdefault(driver, Tally()).add(keeper.tally())
            losses[(driver,)] += keeper.losses
        labels = ("driver",)
        exchanges = {(driver,): tally.exchanges for driver, tally in tallies.items()}
        yield counter("ecc_exchanges", "Exchanges that want an answer", labels, exchanges)
        refusals = {(driver,): tally.refusals for driver, tally in tallies.items()}
        yield counter("ecc_refusals", "Exchanges that the device refused", labels, refusals)
        silences = {(driver,): tally.silences for driver, tally in tallies.items()}
        yield counter("ecc_silences", "Connections dropped for want of an answer", labels, silences)
        waited = {(driver,): tally.waited_s for driver, tally in tallies.items()}
        yield counter("ecc_answer_wait_seconds", "Time waited for answers", labels, waited)
        yield counter("ecc_link_losses", "Sessions that ended", labels, losses)

    def _wishes(self) -> Iterable[Metric]:
        entries = self._context.engine.store.entries.values()
        lives = [entry.life for entry in entries if entry.life is not None]
        states = Counter((str(life.state),) for life in lives)
        yield gauge("ecc_wishes", "Points that somebody wants, by law state", ("state",), states)
        missed = sum(1 for life in lives if not life.as_wanted)
        yield gauge("ecc_points_not_as_wanted", "Wanted points that are not proved true", (), {(): missed})

    def _runs(self) -> Iterable[Metric]:
        runs = self._context.engine.runs
        lately = Counter(("open" if run.verdict is None else str(run.verdict),) for run in runs.lately())
        lately[("open",)] += 0
        yield gauge("ecc_runs_lately", "The newest runs by verdict", ("verdict",), lately)
        # A series that begins with its first failure would not be seen to grow.
        ended = {(scene, str(verdict)): 0 for scene in self._context.scenes for verdict in Verdict} | runs.ended
        yield counter("ecc_runs", "Runs that ended", ("scene", "verdict"), ended)
        took = {(scene,): seconds for scene, seconds in runs.took_s.items()}
        yield counter("ecc_run_seconds", "Time from the press to the end of the run", ("scene",), took)
        over = {(scene,): runs.over_objective[scene] for scene in {*self._context.scenes, *runs.over_objective}}
        text = "Runs that took longer than the scene's objective"
        yield counter("ecc_runs_over_objective", text, ("scene",), over)


def gauge(name: str, text: str, labels: Sequence[str], samples: Mapping[Any, float]) -> Metric:
    """What goes up and down; `samples` has a tuple of label values for each."""
    return _filled(GaugeMetricFamily(name, text, labels=labels), samples)


def counter(name: str, text: str, labels: Sequence[str], samples: Mapping[Any, float]) -> Metric:
    """What only grows; `_total` is put behind its name."""
    return _filled(CounterMetricFamily(name, text, labels=labels), samples)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, samples: Mapping[Any, float]) -> Metric:
    for key in sorted(samples):
        family.add_metric(key, samples[key])
    return family


async def metrics(request: web.Request) -> web.Response:
    """The metrics of this moment."""
    registry = CollectorRegistry()
    context = request.app[CONTEXT]
    registry.register(_Hall(context))
    for measure in context.measures:
        registry.register(measure)
    return web.Response(body=generate_latest(registry), headers={"Content-Type": "text/plain; version=0.0.4"})
