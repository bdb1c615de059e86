// In and out points, and markers: of the take that is in the film, at the playhead or by dragging the edge of a card.

import { $, button, chosenOf, fill, lasts, node, plain, seconds } from "./dom.js";

/** What can be done at the playhead, for the shot at hand. */
export function trimActions(studio, player, selection) {
  const at = () => {
    const [here, take] = [player.here(), chosenOf(selection.shot)];
    return here && take && here.take === take.id ? { frame: here.frame, take } : null;
  };
  const trim = (take, start, stop) => studio.command("trim", { take: take.id, start, stop }, `Shot ${selection.index + 1} is ${seconds((stop - start) / studio.film.fps)} long now.`);
  const nowhere = () => studio.say("Go to a picture of the shot first: that is where it is trimmed or marked.");
  return {
    begin: () => { const here = at(); return here ? trim(here.take, here.frame, here.take.stop) : nowhere(); },
    end: () => { const here = at(); return here ? trim(here.take, here.take.start, here.frame + 1) : nowhere(); },
    whole: (shot) => {
      const take = chosenOf(studio.film.shots[shot]);
      trim(take, 0, take.frames);
    },
    mark: () => {
      const here = at();
      if (!here) return nowhere();
      const found = here.take.markers.find(({ frame }) => frame === here.frame);
      Object.assign($("mark-form").dataset, { take: here.take.id, frame: here.frame });
      $("mark-note").textContent = `Shot ${selection.index + 1}, ${seconds((here.frame - here.take.start) / studio.film.fps)} after it begins.`;
      $("mark-text").value = found?.text ?? "";
      $("mark-dialog").showModal();
    },
  };
}

/** The dialog that asks what a marker says, and the list of the markers of the shot at hand. */
export function showMarkers(studio, player, selection) {
  $("mark-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const { take, frame } = $("mark-form").dataset;
    const text = $("mark-text").value.trim();
    $("mark-dialog").close();
    studio.command("mark", { take: Number(take), frame: Number(frame), text }, text ? "Marked." : "The marker is gone.");
  });
  $("mark-cancel").addEventListener("click", () => $("mark-dialog").close());

  function draw() {
    const { shot, index } = selection;
    const take = chosenOf(shot);
    $("markers").hidden = !take?.markers.length;
    fill($("markers"), (take?.markers ?? []).map(({ frame, text }) => {
      const shown = take.start <= frame && frame < take.stop;
      const when = shown ? seconds((frame - take.start) / studio.film.fps) : "trimmed away";
      return node("li", {},
        button(`${when}: ${plain(text)}`, () => { player.seek(player.placeOf(take.id, frame)); selection.look(); }, { disabled: !shown, title: "Go there", data: { key: `marker-${take.id}-${frame}` } }),
        button("✕", () => studio.command("mark", { take: take.id, frame, text: "" }, "The marker is gone."), { className: "quiet", ariaLabel: `Remove the marker ${plain(text)} of shot ${index + 1}` }));
    }));
  }
  studio.on("film hand", draw);
}

/** Let the edges of cards be dragged: the picture shows where one is. */
export function dragEdges(list, studio, player) {
  let drag = null; // {card, take, edge, x, width, per: pixels of a frame, frame}

  const bound = (frame) => {
    const { take, edge } = drag;
    return edge === "start" ? Math.max(0, Math.min(take.stop - 1, frame)) : Math.max(take.start + 1, Math.min(take.frames, frame));
  };

  async function move(event) {
    event.preventDefault();
    const { take, edge, card, per } = drag;
    drag.frame = bound(take[edge] + Math.round((event.clientX - drag.x) / per));
    const left = edge === "start" ? take.stop - drag.frame : drag.frame - take.start;
    card.querySelector(".length").textContent = seconds(left / studio.film.fps);
    card.style.flexBasis = `${Math.max(24, drag.width + (left - lasts(take)) * per)}px`;
    const blob = await player.frames.get(take.id, edge === "start" ? drag.frame : drag.frame - 1);
    if (blob && drag) player.painter.draw(blob).then(() => player.onCanvas());
  }

  function end(kept) {
    const { take, edge, frame, card } = drag;
    drag = null;
    list.classList.remove("trimming");
    card.style.flexBasis = "";
    for (const [name, act] of Object.entries(acts)) removeEventListener(name, act, true);
    const [start, stop] = edge === "start" ? [frame, take.stop] : [take.start, frame];
    if (!kept || (start === take.start && stop === take.stop)) return void studio.emit("film", studio.film);
    studio.command("trim", { take: take.id, start, stop }, `The shot is ${seconds((stop - start) / studio.film.fps)} long now.`);
  }
  const acts = { pointermove: move, pointerup: () => end(true), pointercancel: () => end(false), keydown: (event) => { if (event.key === "Escape") { event.stopPropagation(); end(false); } } };

  list.addEventListener("pointerdown", (event) => {
    const handle = event.target.closest(".edge");
    if (!handle || event.button !== 0 || drag) return;
    event.stopImmediatePropagation(); // it is not the card that is dragged
    event.preventDefault();
    const card = handle.closest(".shot");
    const take = studio.film.shots[Number(card.dataset.index)].takes.find((one) => one.id === Number(handle.dataset.take));
    const width = card.offsetWidth;
    player.seek(player.placeOf(take.id, handle.dataset.edge === "start" ? take.start : take.stop - 1));
    drag = { card, take, edge: handle.dataset.edge, x: event.clientX, width, per: width / lasts(take), frame: take[handle.dataset.edge] };
    list.classList.add("trimming");
    for (const [name, act] of Object.entries(acts)) addEventListener(name, act, true);
  }, true);
}
