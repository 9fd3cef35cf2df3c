"""The arbiter: one hall, one mode. Which scene holds the hall, who may replace it, and what a press becomes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import structlog

from ecc_controld.hall.store import Entry
from ecc_controld.hall.wish import Layer, Prereq, Wish
from ecc_controld.journal import Change, Counter, KeyRow, Put
from ecc_controld.scene.model import Scene
from ecc_controld.sdk.text import Text

from .acceptance import Acceptance, Press, Refused, manual_blob, scene_blob
from .cards import run_row
from .law import Event, Facts, advance
from .run import Card, Deed, Run
from .runs import Runs
from .stamp import run_id
from .wishes import Swap, compile_wants

log = structlog.get_logger("arbiter")


@dataclass(frozen=True, slots=True)
class Active:
    """The scene that has the hall now. `since` is Unix time; `before` the scene that stood before a hold."""

    scene: str
    mode: str | None
    title: Text
    params: dict[str, Any]
    by: str
    since: float
    run: str
    holds: bool
    priority: int
    drill: bool = False
    before: str | None = None

    def dump(self) -> bytes:
        """For the journal."""
        return json.dumps(asdict(self), ensure_ascii=False).encode()

    @classmethod
    def load(cls, body: bytes) -> Active:
        """From the journal."""
        found = json.loads(body)
        return cls(**{**found, "title": Text(*found["title"])})


class Arbiter:
    """Activates scenes. `do_action(device, action, tell)` sends a one-shot action."""

    def __init__(
        self,
        acceptance: Acceptance,
        runs: Runs,
        scenes: Callable[[], Mapping[str, Scene]],
        do_action: Callable[[str, str, Callable[[str, str, str], None]], None],
    ) -> None:
        self._acceptance = acceptance
        self._store = acceptance.store
        self._wishes = acceptance.wishes
        self._runs = runs
        self._scenes = scenes
        self._do_action = do_action
        self._loop = asyncio.get_running_loop()
        self._compiled: dict[str, bytes] = {}
        self.active: Active | None = None
        self.keys: dict[str, tuple[str, str]] = {}
        self.run_count = 0
        self.on_hall: list[Callable[[], None]] = []
        self._noted: dict[str, tuple[str, str]] = {}
        runs.on_run.append(self._run_changed)
        acceptance.also = self._owed

    # -- what a press may do -----------------------------------------------------------------------------

    def known_key(self, press: Press) -> str | None:
        """The run of an idempotency key that was used before; raises Refused(422) for another request."""
        if press.key is None or press.key not in self.keys:
            return None
        run, digest = self.keys[press.key]
        if digest != press.digest:
            text = Text("该幂等键已用于另一个请求", "this idempotency key was used for another request")
            raise Refused("key_reused", text, status=422, run=run)
        return run

    def permit(self, scene: Scene, press: Press) -> None:
        """Raises Refused(409) with who holds the hall and why, if the scene may not take it."""
        now = self.active
        if now is None or now.scene == scene.name:
            return
        if scene.layer == "manual":
            if now.mode == "fire":
                raise self._held(now, "fire")
            return
        if press.automatic and scene.priority < now.priority:
            raise self._held(now, "automatic")
        if now.holds and scene.priority < now.priority and not press.stand_down:
            raise self._held(now, "held")

    def _held(self, now: Active, why: str) -> Refused:
        sentences = {
            "fire": Text("消防状态下不能操作", "fire has the hall"),
            "automatic": Text(
                f"自动触发不能替换优先级更高的“{now.title.zh}”",
                f"an automatic trigger never replaces “{now.title.en}”, which has a higher priority",
            ),
            "held": Text(
                f"“{now.title.zh}”正由 {now.by} 保持，须先结束它",
                f"“{now.title.en}” is held by {now.by}; end it first (stand down)",
            ),
        }
        held_by = {"scene": now.scene, "title": now.title.as_dict(), "by": now.by, "since": now.since, "why": why}
        return Refused("held", sentences[why], held_by=held_by)

    # -- a press -----------------------------------------------------------------------------------------

    async def activate(self, scene: Scene, press: Press, params: dict[str, Any]) -> Run:
        """A press of a scene: opens a run, or joins the one in progress. Returns when it is durable.

        Raises Refused: 409 held, 422 key reused, 503 the disk failed (and the scene is below priority 80).
        """
        self.permit(scene, press)
        joined = self._joinable(scene, params)
        if joined is not None:
            return await self._join(joined, press)
        before = self.active
        swap, run, change = self._take_hall(scene, press, params)
        self._tell_hall()
        try:
            await self._acceptance.settle(swap, change, scene.priority)
        except Refused:
            self._give_up(run, press, before)
            raise
        self._acceptance.note_event(
            "press", scene=scene.name, run=run.id, by=press.by, trigger=press.trigger, drill=press.drill
        )
        self._start_deeds(run)
        return run

    async def stand_down(self, press: Press, scene: Scene | None) -> Run | None:
        """End the scene that holds the hall; activates `scene`, or what its `stand_down:` says."""
        now = self.active
        if now is None or not now.holds:
            raise Refused("nothing_held", Text("当前没有需要结束的模式", "no scene holds the hall"))
        target = scene or self._after(now)
        if target is not None:
            return await self.activate(target, replace(press, stand_down=True), {})
        before, self.active = self.active, replace(now, holds=False)
        swap = Swap(self._store.next_number())
        try:
            await self._acceptance.settle(swap, Change(puts=(Put("hold", "active", self.active.dump()),)), 0)
        except Refused:
            self.active = before
            raise
        self._tell_hall()
        return None

    def _after(self, now: Active) -> Scene | None:
        scenes = self._scenes()
        held = scenes.get(now.scene)
        says = held.stand_down if held is not None else "duty"
        if says == "none":
            return None
        if says == "restore" and now.before is not None and now.before in scenes:
            return scenes[now.before]
        return scenes.get("duty")

    # -- inside ------------------------------------------------------------------------------------------

    def _joinable(self, scene: Scene, params: dict[str, Any]) -> Run | None:
        for run in self._runs.opened():
            if run.scene == scene.name and run.params == params and run.digest == scene.digest:
                return run
        return None

    async def _join(self, run: Run, press: Press) -> Run:
        if press.key is not None:
            self.keys[press.key] = (run.id, press.digest)
            swap = Swap(self._store.next_number())
            await self._acceptance.settle(swap, Change(keys=(self._key_row(run, press),)), 100)
        return run

    def _take_hall(self, scene: Scene, press: Press, params: dict[str, Any]) -> tuple[Swap, Run, Change]:
        """All in one go, in memory: the wishes are swapped, the old run is superseded, the new one is open."""
        now, wall = self._loop.time(), time.time()
        number = self._store.next_number()
        self._store.pending.add(number)
        layer = Layer.FIRE if scene.mode == "fire" else Layer.MANUAL if scene.layer == "manual" else Layer.SCENE
        self.run_count += 1
        run = self._new_run(scene, press, params, layer, wall, now)
        wishes = self._wishes_of(scene, press, layer, number, run.id, wall, now)
        for name, wish in wishes.items():
            entry = self._store.entries[name]
            card = Card(name, entry.device, wish.criticality, wish.value, number, layer)
            run.cards[name] = card
        before = self.active
        if layer is not Layer.MANUAL:
            for other in self._runs.opened():
                if other.layer is not Layer.MANUAL:
                    self._runs.supersede(other, run.id)
            self.active = self._next_active(scene, press, params, run, before)
        self._runs.open(run)
        cause = Facts(reason="superseded" if layer is not Layer.MANUAL else "overridden", detail=run.id)
        if layer is Layer.MANUAL:
            swap = self._wishes.set_manual(wishes, number=number, cause=cause)
        else:
            if layer is Layer.FIRE:
                self._wishes.suspend_all()
            elif self._wishes.suspended:
                self._wishes.resume_all()
            if before is not None and before.mode == "fire" and layer is not Layer.FIRE:
                self._wishes.replace_layer(Layer.FIRE, {}, number=number, cause=cause)
            swap = self._wishes.replace_layer(layer, wishes, number=number, cause=cause)
        self._set_aside(wishes)
        if press.key is not None:
            self.keys[press.key] = (run.id, press.digest)
        return swap, run, self._change(scene, press, run, wishes, layer)

    def _new_run(
        self, scene: Scene, press: Press, params: dict[str, Any], layer: Layer, wall: float, now: float
    ) -> Run:
        return Run(
            id=run_id(wall, self.run_count),
            scene=scene.name,
            params=params,
            by=press.by,
            trigger=press.trigger,
            opened=wall,
            began=now,
            objective_s=scene.ready_within_s,
            deadline_s=scene.deadline_s,
            digest=scene.digest,
            layer=layer,
            key=press.key,
            drill=press.drill,
            deeds=[Deed(do.device, do.action) for do in scene.actions],
        )

    def _wishes_of(
        self, scene: Scene, press: Press, layer: Layer, number: int, run: str, wall: float, now: float
    ) -> dict[str, Wish]:
        found: dict[str, Wish] = {}
        for want in scene.wants:
            point = self._store.entries[want.point].point
            found[want.point] = Wish(
                number=number,
                point=want.point,
                value=want.value,
                layer=layer,
                by=press.by,
                since=wall,
                accepted=now,
                run=run,
                priority=scene.priority,
                criticality=want.criticality,
                limit_s=scene.ready_within_s if want.timeout_s is None else want.timeout_s,
                settle_s=point.settle_s if want.settle_s is None else want.settle_s,
                on_return=want.on_return or point.on_return,
                prereqs=tuple(Prereq(p.point, p.value, p.if_failed) for p in want.prereqs),
            )
        return found

    def _next_active(
        self, scene: Scene, press: Press, params: dict[str, Any], run: Run, before: Active | None
    ) -> Active:
        stood = None
        if scene.holds and before is not None:
            stood = before.before if before.holds else before.scene
        return Active(
            scene=scene.name,
            mode=scene.mode,
            title=scene.title,
            params=params,
            by=press.by,
            since=run.opened,
            run=run.id,
            holds=scene.holds,
            priority=scene.priority,
            drill=press.drill,
            before=stood,
        )

    def _set_aside(self, wishes: Mapping[str, Wish]) -> None:
        """Wishes for devices that are out of service wait, and are counted apart."""
        for name in wishes:
            entry = self._store.entries[name]
            if not self._store.devices[entry.device].in_service:
                self._park(entry)

    def _park(self, entry: Entry) -> None:
        if entry.living is not None and entry.life is not None:
            self._store.set_life(entry, entry.living, advance(entry.life, Event.OUT_OF_SERVICE))

    def _change(self, scene: Scene, press: Press, run: Run, wishes: Mapping[str, Wish], layer: Layer) -> Change:
        if layer is Layer.MANUAL:
            puts = [Put("manual", name, manual_blob(wish)) for name, wish in wishes.items()]
        else:
            compiled = self._compiled.setdefault(scene.digest, compile_wants(wishes.values()))
            blob = scene_blob(list(wishes.values()), compiled) if wishes else None
            puts = [Put("scene_layer", layer.word, blob), *(Put("manual", name, None) for name in wishes)]
            if layer is not Layer.FIRE:
                puts.append(Put("scene_layer", Layer.FIRE.word, None))
            assert self.active is not None
            puts.append(Put("hold", "active", self.active.dump()))
        keys = () if press.key is None else (self._key_row(run, press),)
        counters = (Counter("wish", self._store.number), Counter("run", self.run_count))
        return Change(puts=tuple(puts), runs=(run_row(run),), keys=keys, counters=counters)

    def _key_row(self, run: Run, press: Press) -> KeyRow:
        assert press.key is not None
        return KeyRow(press.key, run.id, press.digest, time.time())

    def _give_up(self, run: Run, press: Press, before: Active | None) -> None:
        """The disk failed and the press was withdrawn; the journal still has what stood before."""
        self._runs.withdraw(run)
        if press.key is not None:
            self.keys.pop(press.key, None)
        if self.active is not None and self.active.run == run.id:
            self.active = before
        self._tell_hall()

    def _owed(self) -> Change:
        """What a journal that works again must learn beside the wishes."""
        puts = () if self.active is None else (Put("hold", "active", self.active.dump()),)
        runs = self._runs.lately()
        pressed = {key: one for key, one in self.keys.items() if self._runs.get(one[0]) is not None}
        keys = tuple(KeyRow(key, run, digest, time.time()) for key, (run, digest) in pressed.items())
        counters = (Counter("wish", self._store.number), Counter("run", self.run_count))
        return Change(puts=puts, runs=tuple(map(run_row, runs)), keys=keys, counters=counters)

    def _start_deeds(self, run: Run) -> None:
        for deed in run.deeds:

            def tell(action: str, state: str, reason: str, deed: Deed = deed) -> None:
                deed.state, deed.reason = state, reason
                self._runs.changed(run)

            self._do_action(deed.device, deed.action, tell)

    def _run_changed(self, run: Run) -> None:
        """A run's row follows lazily; what matters of it was durable before it began."""
        if self._noted.get(run.id) != (run.state, str(run.verdict)):
            self._noted[run.id] = (run.state, str(run.verdict))
            self._acceptance.journal.note(Change(runs=(run_row(run),)))
            if run.state == "closed":
                self._noted.pop(run.id, None)
            self._tell_hall()

    def _tell_hall(self) -> None:
        for listener in self.on_hall:
            listener()
