// The filmstrip, the queue and the memory: what is made, what waits, what is remembered.

function node(tag, fields = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(fields)) {
    if (name.startsWith("aria") || name === "role") made.setAttribute(name.replace("aria", "aria-").toLowerCase(), value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

const still = (film, take, frame) => `/api/films/${film}/takes/${take}/frames/${frame}`;

/** Fill `list` with `children`, keeping what the keyboard was on. */
function fill(list, children) {
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  list.replaceChildren(...children);
  if (focused) list.querySelector(`[data-key="${focused}"]`)?.focus();
}

export function showStrip(list, film, current, { see, choose, remake, remove }) {
  const shots = film.shots.map((shot, index) => {
    const made = shot.takes.filter((take) => take.state === "finished" || take.state === "cut");
    const chosen = shot.takes.find((take) => take.id === shot.chosen);
    const picture = node("button", { type: "button", className: "see", ariaLabel: `Shot ${index + 1}: ${shot.caption}`, disabled: !chosen, onclick: () => see(chosen.id) });
    picture.dataset.key = `see-${index}`;
    if (chosen) picture.append(node("img", { src: still(film.id, chosen.id, Math.floor(chosen.frames / 2)), alt: "", loading: "lazy" }));
    picture.append(node("span", { className: "number" }, `${index + 1}`));
    const takes = node("div", { className: "takes", role: "group", ariaLabel: `Takes of shot ${index + 1}` });
    made.forEach((take, number) => {
      const button = node("button", { type: "button", ariaPressed: String(take.id === shot.chosen), ariaLabel: `Take ${number + 1} of shot ${index + 1}`, onclick: () => choose(index, take.id) }, `${number + 1}`);
      button.dataset.key = `take-${take.id}`;
      takes.append(button);
    });
    const planned = shot.takes.find((take) => take.state === "planned");
    const running = shot.takes.some((take) => take.state === "running");
    if (running) takes.append(node("span", { className: "note" }, "being made…"));
    else if (planned) {
      takes.append(node("span", { className: "note" }, chosen ? "retake waits" : "waits"));
      takes.append(node("button", { type: "button", ariaLabel: `Remove the planned take of shot ${index + 1}`, onclick: () => remove(planned.id) }, "✕"));
    }
    if (shot.stale && !planned && !running) {
      takes.append(node("button", { type: "button", className: "stale", title: "It remembers frames that are no longer in the film", ariaLabel: `Make shot ${index + 1} again: it remembers frames that are gone`, onclick: () => remake(index) }, "stale: remake"));
    }
    const caption = [shot.caption, ...(chosen?.changes ?? [])].join(" → ");
    const card = node("li", { className: "shot" }, picture, node("p", { className: "what", title: caption }, caption), takes);
    card.classList.toggle("now", index === current);
    card.classList.toggle("planned", !chosen);
    return card;
  });
  const last = list.children.length;
  fill(list, shots);
  if (shots.length > last) list.scrollLeft = list.scrollWidth;
}

export function showQueue(list, empty, film, { remove }) {
  const captions = new Map(film.shots.flatMap((shot, index) => shot.takes.map((take) => [take.id, `${index + 1}. ${shot.caption}`])));
  fill(list, film.queue.map((take) => {
    const button = node("button", { type: "button", ariaLabel: `Remove ${captions.get(take)}`, onclick: () => remove(take) }, "Remove");
    button.dataset.key = `queue-${take}`;
    return node("li", {}, node("span", { title: captions.get(take) }, captions.get(take)), button);
  }));
  empty.hidden = film.queue.length > 0;
}

export function showMemory(box, empty, film, take) {
  const saw = take?.saw ?? [];
  const key = `${film.id}/${JSON.stringify(saw)}`;
  if (box.dataset.key !== key) {
    box.dataset.key = key;
    const shotOf = new Map(film.shots.flatMap((shot, index) => shot.takes.map((one) => [one.id, index + 1])));
    box.replaceChildren(...saw.map((seen) => node("figure", {},
      node("img", { src: still(film.id, seen.take, seen.frame), alt: `Frame ${seen.frame} of shot ${shotOf.get(seen.take) ?? "?"}` }),
      node("figcaption", {}, `shot ${shotOf.get(seen.take) ?? "–"}`))));
  }
  empty.hidden = saw.length > 0;
}

export { node };
