// The timeline: a card per shot, in film order, drawn anew only where the film has changed; and what is stale.

import { cardKey, comingCard, makeCard, outdatedBy } from "./card.js";
import { $, button, many, node } from "./dom.js";
import { dragCards } from "./drag.js";
import { dragEdges } from "./trim.js";

export class Timeline {
  cards = new Map(); // a take of the shot -> {key, card}

  constructor(studio, player, selection, actions) {
    Object.assign(this, { studio, player, selection, actions });
    this.list = $("strip");
    this.add = node("li", { className: "add" }, button("+ Next shot", () => $("prompt").focus(), { ariaLabel: "Write the next shot" }));
    this.drag = dragCards(this.list, { drop: (from, to) => actions.move(from, to), done: () => setTimeout(() => this.draw()) }); // behind the click
    dragEdges(this.list, studio, player);
    $("remake-stale").addEventListener("click", () => actions.remakeStale());
    studio.on("opened", () => { this.cards.clear(); this.known = null; });
    $("to-scale").addEventListener("click", () => this.scale(!this.scaled));
    this.scale(localStorage.timeline === "scale");
    studio.on("film coming", () => this.draw());
    studio.on("hand", () => this.showHand());
    player.addEventListener("moved", () => this.showHead());
  }

  draw() {
    const { film } = this.studio;
    $("panels").hidden = !film?.shots.length;
    if (this.drag.active || this.list.classList.contains("trimming")) return; // once it has ended
    const cards = (film?.shots ?? []).map((shot, index) => this.card(film, shot, index));
    this.arrange(this.withComing(cards, film));
    $("strip-empty").hidden = this.list.children.length > 0;
    for (const card of this.list.querySelectorAll(".coming:not([data-seen])")) {
      card.dataset.seen = "yes";
      this.reveal(card);
    }
    const hand = `${film?.id}/${this.selection.index}`;
    if (hand !== this.drawn) this.shown = null; // it may have moved, and comes into sight where it is now
    this.drawn = hand;
    this.showHand();
    this.showHead();
    this.showSummary(film);
    this.showNew(film?.shots.map((shot) => shot.takes[0].id) ?? []);
  }

  /** `cards`, and one for every shot that is on its way, before the button that asks for another. */
  withComing(cards, film) {
    const { coming } = this.studio;
    const all = [...cards, ...coming.filter(({ type }) => type === "shoot").map(comingCard)];
    for (const one of coming) if (one.type === "insert") all.splice(one.at, 0, comingCard(one));
    return film && all.length ? [...all, this.add] : [];
  }

  /** A card that is new comes into sight. */
  showNew(shots) {
    const fresh = this.known ? shots.findIndex((one) => !this.known.has(one)) : -1;
    this.known = new Set(shots);
    if (fresh >= 0) this.reveal(this.shots[fresh]);
  }

  /** Cards as wide as their shots are long, or all alike. */
  scale(on) {
    this.scaled = on;
    localStorage.timeline = on ? "scale" : "alike";
    $("to-scale").setAttribute("aria-pressed", String(on));
    this.list.classList.toggle("scaled", on);
  }

  /** Put `cards` on the strip, which stays where it is scrolled to; the keyboard stays on what it was on, or goes to the
   * shot at hand. */
  arrange(cards) {
    if (cards.length === this.list.children.length && cards.every((card, index) => card === this.list.children[index])) return;
    const focused = this.list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const { scrollLeft } = this.list; // an empty strip has none
    this.list.replaceChildren(...cards);
    this.list.scrollLeft = scrollLeft;
    if (focused) (this.list.querySelector(`[data-key="${focused}"]`) ?? this.shots[this.selection.index]?.querySelector(".see"))?.focus({ preventScroll: true });
  }

  card(film, shot, index) {
    const key = cardKey(film, shot, index);
    const name = shot.takes[0].id;
    if (this.cards.get(name)?.key !== key) {
      const { actions, selection, player } = this;
      const acts = { ...actions, pick: (one) => selection.pick(one), play: () => player.play() };
      this.cards.set(name, { key, card: makeCard(film, shot, index, acts) });
    }
    return this.cards.get(name).card;
  }

  showSummary(film) {
    const shots = film?.shots ?? [];
    const frames = this.player.length ?? 0;
    $("line-length").textContent = film ? `${many(shots.length, "shot")}, ${(frames / film.fps).toFixed(1)} s` : "";
    const stale = shots.filter((shot) => shot.stale);
    $("stale").hidden = stale.length === 0;
    const left = stale.filter((shot) => shot.locked || shot.takes.some((take) => take.state === "planned" || take.state === "running")).length;
    const but = left ? ` (${left} locked or waiting)` : "";
    $("stale-text").textContent = `${many(stale.length, "shot")} made before you changed ${[...new Set(stale.map((shot) => outdatedBy(shot, stale.length > 1)))].join(" or ")}${but}`;
    $("stale-text").title = `${$("stale-text").textContent}. They stay as they are until you remake them.`;
    $("remake-stale").disabled = left === stale.length;
  }

  /** The shot at hand is marked; of all cards, its buttons alone are on the way of the Tab key. */
  showHand() {
    this.shots.forEach((card, index) => {
      const selected = index === this.selection.index;
      card.classList.toggle("selected", selected);
      const see = card.querySelector(".see");
      if (selected) see.setAttribute("aria-current", "true");
      else see.removeAttribute("aria-current");
      for (const one of card.querySelectorAll("button")) one.tabIndex = selected ? 0 : -1;
    });
    const now = `${this.studio.film?.id}/${this.selection.index}`;
    if (now !== this.shown) this.reveal(this.shots[this.selection.index]);
    this.shown = now;
  }

  get shots() {
    return this.list.querySelectorAll(".shot");
  }

  /** Scroll the strip, and nothing else, until `card` is in sight. */
  reveal(card) {
    if (!card) return;
    const [from, to] = [card.offsetLeft, card.offsetLeft + card.offsetWidth]; // the strip is their origin
    const { scrollLeft, clientWidth } = this.list;
    if (from < scrollLeft) this.list.scrollLeft = from - 12;
    else if (to > scrollLeft + clientWidth) this.list.scrollLeft = to - clientWidth + 12;
  }

  /** The shot under the playhead is marked. */
  showHead() {
    const at = this.player.here();
    this.shots.forEach((card, index) => card.classList.toggle("now", index === at?.shot));
    if (at && this.shots[at.shot]) this.shots[at.shot].style.setProperty("--head", `${((at.frame - at.skip + 1) / at.frames) * 100}%`);
  }

  /** Pick the shot `step` further on, and put the keyboard there if it was on the strip. */
  step(step) {
    const shots = this.studio.film?.shots.length ?? 0;
    if (!shots) return;
    const index = this.selection.index ?? 0;
    this.pick(Math.max(0, Math.min(shots - 1, index + step)));
  }

  pick(index) {
    const inside = this.list.contains(document.activeElement);
    this.selection.pick(index);
    if (inside) this.shots[index]?.querySelector(".see").focus({ preventScroll: true });
  }
}
