// Films kept here, and films and stories from elsewhere.

import { $, fill, many, node } from "./dom.js";
import { call } from "./wire.js";

export function showLibrary(studio) {
  const dialog = $("open-dialog");
  const opened = (id) => { dialog.close(); return studio.attach(id); };
  $("open-film").addEventListener("click", async () => {
    $("open-said").textContent = "";
    dialog.showModal();
    const films = await call("/api/films").catch(() => []);
    fill($("library"), films.map((film) => node("li", {}, node("button", { type: "button", onclick: () => opened(film.id) },
      node("span", {}, film.global_caption.slice(0, 70)), node("small", {}, many(film.shots, "shot"))))));
    $("library-empty").hidden = films.length > 0;
  });
  $("close-dialog").addEventListener("click", () => dialog.close());
  $("choose-file").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", async () => {
    const [file] = $("file").files;
    if (!file) return;
    $("open-said").textContent = "Opening…";
    try {
      const film = await call("/api/open", { method: "POST", headers: { "content-type": "application/octet-stream" }, body: file });
      await opened(film.id);
    } catch (fault) {
      $("open-said").textContent = fault.message;
    }
    $("file").value = "";
  });
}
