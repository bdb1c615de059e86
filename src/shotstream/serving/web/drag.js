// Moving a shot by dragging its card: with a mouse anywhere on it, with a finger by its grip. Escape lets it go.

import { node } from "./dom.js";

const FAR = 6; // pixels before a press is a drag
const EDGE = 48; // pixels from the strip's ends in which it scrolls along

/** `drop(from, to)` is called with indices when a card comes to lie elsewhere; `done()` whenever a card is let go. */
export function dragCards(list, { drop, done }) {
  const mark = node("li", { className: "drop-mark", ariaHidden: "true" });
  let drag = null; // {card, from, x, gap, moving}

  const cards = () => [...list.querySelectorAll(".shot")];

  function move(event) {
    if (!drag.moving) {
      if (Math.hypot(event.clientX - drag.x, event.clientY - drag.y) < FAR) return;
      drag.moving = true;
      list.classList.add("dragging");
      drag.card.classList.add("dragged");
    }
    event.preventDefault();
    const box = list.getBoundingClientRect();
    if (event.clientX > box.right - EDGE) list.scrollLeft += 14;
    if (event.clientX < box.left + EDGE) list.scrollLeft -= 14;
    drag.card.style.transform = `translateX(${event.clientX - drag.x}px)`;
    const others = cards().filter((card) => card !== drag.card);
    drag.to = others.filter((card) => middle(card) < event.clientX).length;
    list.insertBefore(mark, others[drag.to] ?? list.querySelector(".add"));
  }

  function end(kept) {
    const { card, from, to, moving } = drag;
    drag = null;
    mark.remove();
    list.classList.remove("dragging");
    card.classList.remove("dragged");
    card.style.transform = "";
    removeEventListener("pointermove", move);
    removeEventListener("pointerup", up);
    removeEventListener("pointercancel", cancel);
    removeEventListener("keydown", escape, true);
    if (!moving) return done();
    addEventListener("click", swallow, { capture: true, once: true }); // the press that began it is no click
    setTimeout(() => removeEventListener("click", swallow, { capture: true }), 0);
    if (kept && to !== from) drop(from, to);
    done();
  }
  const up = () => end(true);
  const cancel = () => end(false);
  const escape = (event) => { if (event.key === "Escape") { event.stopPropagation(); end(false); } };

  list.addEventListener("pointerdown", (event) => {
    const card = event.target.closest(".shot");
    if (!card || event.button !== 0 || drag) return;
    if (event.pointerType !== "mouse" && !event.target.closest(".grip")) return;
    if (event.target.closest(".takes button, .stale")) return;
    const from = cards().indexOf(card);
    drag = { card, from, to: from, x: event.clientX, y: event.clientY, moving: false };
    addEventListener("pointermove", move);
    addEventListener("pointerup", up);
    addEventListener("pointercancel", cancel);
    addEventListener("keydown", escape, true);
  });
  return { get active() { return drag !== null; } };
}

function middle(card) {
  const box = card.getBoundingClientRect();
  return box.left + box.width / 2;
}

function swallow(event) {
  event.stopPropagation();
  event.preventDefault();
}
