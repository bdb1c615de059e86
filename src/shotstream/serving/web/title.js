// The address and the name of the tab: a film each, so that Back and Forward lead from film to film.

import { plain } from "./dom.js";

const addressed = () => /^#([0-9a-f]{12})$/.exec(location.hash)?.[1] ?? null;

export function showTitle(studio) {
  studio.on("opened", (film) => {
    if ((film?.id ?? null) !== addressed()) history.pushState(null, "", film ? `#${film.id}` : location.pathname);
  });
  studio.on("film", (film) => {
    const name = film ? `${plain(film.name || film.global_caption).slice(0, 60)} · ShotStream` : "ShotStream studio";
    document.title = film && film.running !== null ? `● ${name}` : name;
  });
  addEventListener("popstate", () => {
    const id = addressed();
    if (id === (studio.film?.id ?? null)) return;
    if (id) studio.attach(id);
    else studio.leave();
  });
}
