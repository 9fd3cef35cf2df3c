"""The arbiter: one hall, one mode. Which scene holds the hall, who may replace it, and what a press becomes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from ecc_controld.hall.store import Entry
from ecc_controld.hall.wish import Layer, Prereq, State, Wish
from ecc_controld.journal import Change, Counter, KeyRow, Put
from ecc_controld.scene.model import Scene
from ecc_controld.scene.params import as_json
from ecc_controld.sdk.text import Text

from .acceptance import MATTERS_MORE, Acceptance, Press, Refused, manual_blob, scene_blob
from .active import Active
from .cards import run_row
from .keys import Keys
from .law import Facts
from .making import again, made
from .run import Card, Deed, Run
from .runs import Runs
from .stamp import run_id
from .wishes import Swap, compile_wants

GIVEN_UP = (State.UNSETTLED, State.BLOCKED)

log = structlog.get_logger("arbiter")

COMPILED = 64
"""How many scenes with their params are kept ready for the journal."""


@dataclass(slots=True, eq=False)
class Opening:
    """A press that is not durable yet, and what stood before it: needed if the disk fails."""

    durable: asyncio.Future[None]
    before: Active | None
    suspended: bool
    displaced: list[Run] = field(default_factory=list)


class Arbiter:
    """Activates scenes. `do_action(device, action, tell)` sends a one-shot action."""

    def __init__(
        self,
        acceptance: Acceptance,
        runs: Runs,
        scenes: Callable[[], Mapping[str, Scene]],
        do_action: Callable[[str, str, Callable[[str, str, str], None]], None],
        retry: Callable[[Entry], None],
    ) -> None:
        self._acceptance = acceptance
        self._store = acceptance.store
        self._wishes = acceptance.wishes
        self._runs = runs
        self._scenes = scenes
        self._do_action = do_action
        self._retry = retry
        self._loop = asyncio.get_running_loop()
        self._compiled: dict[tuple[str, str], bytes] = {}
        self.active: Active | None = None
        self.keys = Keys()
        self.run_count = 0
        self.on_hall: list[Callable[[], None]] = []
        self._noted: dict[str, tuple[str, str]] = {}
        self._opening: dict[str, Opening] = {}
        runs.on_run.append(self._run_changed)
        acceptance.also = self._owed

    # -- what a press may do -----------------------------------------------------------------------------

    async def known_key(self, press: Press) -> str | None:
        """The run of a key that was used before ("" if it opened none), once that press is durable.

        None: the key is new, or its press was withdrawn. Raises Refused(422) for another request.
        """
        row = self.keys.known(press)
        if row is None or row.run not in self._opening:
            return None if row is None else row.run
        await asyncio.shield(self._opening[row.run].durable)
        return await self.known_key(press)

    def fire(self) -> Refused | None:
        """Why nobody may move anything by hand, or None."""
        now = self.active
        return None if now is None or now.mode != "fire" else self._held(now, "fire")

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

        Raises Refused: 409 held, 422 params or key reused, 503 the disk failed (and the scene is below priority 80).
        """
        scene = made(self._scenes().get(scene.name, scene), params)  # as it is now, if a reload came between
        params = as_json(scene.given)
        if any(want.point not in self._store.entries for want in scene.wants):
            raise Refused("removed", Text("该场景已从配置中移除", f"scene {scene.name} is not there any more"))
        self.permit(scene, press)
        joined = self._joinable(scene, params)
        if joined is not None:
            return await self._join(joined, scene, press, params)
        swap, run, change = self._take_hall(scene, press, params)
        self._tell_hall()
        try:
            await self._acceptance.settle(swap, change, scene.priority)
        except Refused:
            self._give_up(run, press)
            raise
        finally:
            self._opening.pop(run.id).durable.set_result(None)
        self._run_changed(run)
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
        target, params = (scene, {}) if scene is not None else self._after(now)
        if target is not None:
            return await self.activate(target, replace(press, stand_down=True), params)
        self.active = freed = replace(now, holds=False)
        keys = self.keys.take(press, "")
        swap = Swap(self._store.next_number())
        try:
            await self._acceptance.settle(swap, Change(puts=(Put("hold", "active", freed.dump()),), keys=keys), 0)
        except Refused:
            self.keys.forget(press)
            if self.active is freed:
                self.active = now
            raise
        self._tell_hall()
        return None

    def _after(self, now: Active) -> tuple[Scene | None, dict[str, Any]]:
        scenes = self._scenes()
        held = scenes.get(now.scene)
        says = held.stand_down if held is not None else "duty"
        if says == "none":
            return None, {}
        stood = again(scenes.get(now.before or ""), now.before_params) if says == "restore" else None
        return stood or again(scenes.get("duty"), {}) or (None, {})

    # -- inside ------------------------------------------------------------------------------------------

    def _joinable(self, scene: Scene, params: dict[str, Any]) -> Run | None:
        for run in self._runs.opened():
            same = run.scene == scene.name and run.params == params and run.digest == scene.digest
            # A reload may have given the same text other devices.
            if same and run.cards.keys() == {want.point for want in scene.wants}:
                return run
        return None

    def scenes_changed(self) -> None:
        """Other scenes are loaded now; runs that are open keep the text that they began with."""
        self._compiled.clear()
        self._tell_hall()

    async def _join(self, run: Run, scene: Scene, press: Press, params: dict[str, Any]) -> Run:
        """The run in progress; a press that joins one which is then withdrawn counts as the first."""
        opening = self._opening.get(run.id)
        if opening is not None:
            await asyncio.shield(opening.durable)
            if self._runs.get(run.id) is not run:
                return await self.activate(scene, press, params)
        keys = self.keys.take(press, run.id)
        if keys:
            await self._acceptance.settle(Swap(self._store.next_number()), Change(keys=keys), MATTERS_MORE)
        self._try_again(run)
        return run

    def _try_again(self, run: Run) -> None:
        """Whoever presses the same key again wants what failed to be tried again."""
        for name in run.cards:
            entry = self._store.entries[name]
            wish, life = entry.living, entry.life
            if wish is None or life is None or wish.run != run.id:
                continue
            if life.state in GIVEN_UP or (life.state is State.HELD and life.drifted):
                self._retry(entry)

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
        opening = Opening(self._loop.create_future(), before, self._wishes.suspended)
        self._opening[run.id] = opening
        if layer is not Layer.MANUAL:
            opening.displaced = [other for other in self._runs.opened() if other.layer is not Layer.MANUAL]
            for other in opening.displaced:
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
            cleared = Swap(number)
            if before is not None and before.mode == "fire" and layer is not Layer.FIRE:
                cleared = self._wishes.replace_layer(Layer.FIRE, {}, number=number, cause=cause)
            swap = self._wishes.replace_layer(layer, wishes, number=number, cause=cause)
            swap.before.update(cleared.before)
            swap.whole.update(cleared.whole)
        return swap, run, self._change(scene, run, wishes, layer, self.keys.take(press, run.id))

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
        stood, with_params = None, {}
        if scene.holds and before is not None:
            stood = before.before if before.holds else before.scene
            with_params = before.before_params if before.holds else before.params
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
            before_params=with_params,
        )

    def _change(
        self, scene: Scene, run: Run, wishes: Mapping[str, Wish], layer: Layer, keys: tuple[KeyRow, ...]
    ) -> Change:
        if layer is Layer.MANUAL:
            puts = [Put("manual", name, manual_blob(wish)) for name, wish in wishes.items()]
        else:
            compiled = self._compile(scene, run, wishes)
            blob = scene_blob(list(wishes.values()), compiled) if wishes else None
            puts = [Put("scene_layer", layer.word, blob), *(Put("manual", name, None) for name in wishes)]
            if layer is not Layer.FIRE:
                puts.append(Put("scene_layer", Layer.FIRE.word, None))
            assert self.active is not None
            puts.append(Put("hold", "active", self.active.dump()))
        return Change(puts=tuple(puts), runs=(run_row(run),), keys=keys, counters=self._counters())

    def _compile(self, scene: Scene, run: Run, wishes: Mapping[str, Wish]) -> bytes:
        """What is the same at every press of a scene with these params; the newest few are kept."""
        key = scene.digest, json.dumps(run.params, sort_keys=True)
        compiled = self._compiled.pop(key, None) or compile_wants(wishes.values())
        self._compiled[key] = compiled
        if len(self._compiled) > COMPILED:
            del self._compiled[next(iter(self._compiled))]
        return compiled

    def _counters(self) -> tuple[Counter, Counter]:
        return Counter("wish", self._store.number), Counter("run", self.run_count)

    def _give_up(self, run: Run, press: Press) -> None:
        """The disk failed and the press was withdrawn; the journal still has what stood before."""
        opening = self._opening[run.id]
        self._runs.withdraw(run)
        self.keys.forget(press)
        if opening.suspended and not self._wishes.suspended:
            self._wishes.suspend_all()
        if self.active is not None and self.active.run == run.id:
            self.active = opening.before
        heirs = [(id_, one) for id_, one in self._opening.items() if one is not opening and run in one.displaced]
        for later in self._opening.values():
            if later.before is not None and later.before.run == run.id:
                later.before = opening.before
        for (
            by,
            heir,
        ) in heirs:  # somebody pressed meanwhile: what this press had displaced is displaced by that one
            heir.displaced = [*opening.displaced, *(other for other in heir.displaced if other is not run)]
            for other in opening.displaced:
                other.supersede(by, other.began + (other.elapsed_s or 0.0))
                self._acceptance.journal.note(Change(runs=(run_row(other),)))
        for other in [] if heirs else opening.displaced:
            self._runs.reinstate(other)
        self._tell_hall()

    def _owed(self) -> Change:
        """What a journal that works again must learn beside the wishes."""
        puts = () if self.active is None else (Put("hold", "active", self.active.dump()),)
        rows = tuple(run_row(run) for run in self._runs.lately())
        return Change(puts=puts, runs=rows, keys=self.keys.rows(), counters=self._counters())

    def _start_deeds(self, run: Run) -> None:
        for deed in run.deeds:

            def tell(action: str, state: str, reason: str, deed: Deed = deed) -> None:
                deed.state, deed.reason = state, reason
                self._runs.changed(run)

            self._do_action(deed.device, deed.action, tell)

    def _run_changed(self, run: Run) -> None:
        """A run's row follows lazily; what matters of it was durable before it began."""
        if run.id in self._opening:
            return  # it may yet be withdrawn: nothing of it goes to the disk before its press
        if self._noted.get(run.id) != (run.state, str(run.verdict)):
            self._noted[run.id] = (run.state, str(run.verdict))
            self._acceptance.journal.note(Change(puts=self._lamp(run), runs=(run_row(run),)))
            if run.state == "closed":
                self._noted.pop(run.id, None)
            self._tell_hall()

    def _lamp(self, run: Run) -> tuple[Put, ...]:
        """What the hall's own run came to is remembered with the hold, which outlives the run."""
        now = self.active
        if now is None or now.run != run.id:
            return ()
        verdict = None if run.verdict is None else str(run.verdict)
        self.active = replace(now, verdict=verdict)
        return (Put("hold", "active", self.active.dump()),)

    def _tell_hall(self) -> None:
        for listener in self.on_hall:
            listener()
