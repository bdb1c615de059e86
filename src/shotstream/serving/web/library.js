// Films kept here, with a picture each: open, rename, duplicate, clean up, delete; and films and stories from elsewhere.

import { $, button, fill, many, node, plain, size } from "./dom.js";
import { call, send } from "./wire.js";

const SURE = 4000; // milliseconds in which a second press deletes

export function showLibrary(studio) {
  const dialog = $("open-dialog");
  const opened = (id) => { dialog.close(); return studio.attach(id); };
  const say = (text) => { $("open-said").textContent = plain(text); };

  async function list() {
    const films = await call("api/films").catch((fault) => (say(fault.message), []));
    fill($("library"), films.map((film) => row(film)));
    $("library-empty").hidden = films.length > 0;
    $("library-size").textContent = films.length ? `${many(films.length, "film")}, ${size(films.reduce((sum, film) => sum + film.bytes, 0))}` : "";
  }

  /** Do something to a film, then list them anew; what goes wrong is said. */
  const act = (method, path, data, done) => async () => {
    try {
      const answer = await send(method, path, data);
      say(typeof done === "function" ? done(answer) : done);
    } catch (fault) {
      say(fault.message);
    }
    await list();
  };

  function row(film) {
    const title = plain(film.name || film.global_caption);
    const key = (what) => ({ data: { key: `${what}-${film.id}` } });
    const face = film.made
      ? node("img", { src: `api/films/${film.id}/picture?v=${film.changed}`, alt: "", loading: "lazy" })
      : node("span", { className: "no-picture" });
    const open = node("button", { type: "button", className: "film", onclick: () => opened(film.id), ...key("open") }, face,
      node("span", {}, node("b", {}, title), node("small", {}, `${many(film.shots, "shot")}, ${size(film.bytes)}, ${new Date(film.changed * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })}`)));
    const path = `api/films/${film.id}`;
    const rename = button("Rename", () => {
      if (!open.isConnected) return; // its name is being written already
      const form = naming(film, title, path);
      open.replaceWith(form);
      form.elements[0].focus(); // at once: what is typed next belongs there
      form.elements[0].select();
    }, { ariaLabel: `Rename ${title}`, ...key("rename") });
    const copy = button("Duplicate", act("POST", `${path}/copy`, undefined, (made) => `${made.name} is in the list.`), { ariaLabel: `Duplicate ${title}`, ...key("copy") });
    const clean = button("Clean up", act("POST", `${path}/clean`, { unchosen: false }, (answer) => answer.bytes ? `${size(answer.bytes)} are free again.` : "There was nothing to remove."), { ariaLabel: `Clean up ${title}`, title: "Forget what undo would need, and remove footage that is in no branch", ...key("clean") });
    const item = node("li", {}, open, node("div", { className: "film-acts" }, rename, copy, clean, remove(film, title, path, key)));
    return item;
  }

  /** Deleting takes two presses: nothing brings a film back. */
  function remove(film, title, path, key) {
    const one = button("Delete", () => {
      if (one.dataset.sure) return act("DELETE", path, undefined, `Deleted: ${title}`)();
      one.dataset.sure = "yes";
      one.textContent = "Delete for good?";
      setTimeout(() => { delete one.dataset.sure; one.textContent = "Delete"; }, SURE);
    }, { className: "danger", ariaLabel: `Delete ${title}`, ...key("delete") });
    one.removeAttribute("aria-label"); // its text changes, and says what it does
    one.title = `Delete ${title}`;
    return one;
  }

  function naming(film, title, path) {
    const field = node("input", { type: "text", maxLength: 80, value: film.name || title, ariaLabel: `Name of ${title}` });
    const form = node("form", { className: "film" }, field, node("button", { type: "submit" }, "Save"));
    form.addEventListener("submit", (event) => { event.preventDefault(); act("POST", `${path}/name`, { name: field.value.trim() }, "")(); });
    return form;
  }

  $("open-film").addEventListener("click", () => { say(""); dialog.showModal(); list(); });
  $("close-dialog").addEventListener("click", () => dialog.close());
  $("choose-file").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", async () => {
    const [file] = $("file").files;
    if (!file) return;
    say("Opening…");
    try {
      const film = await call("api/open", { method: "POST", headers: { "content-type": "application/octet-stream" }, body: file });
      await opened(film.id);
    } catch (fault) {
      say(fault.message);
    }
    $("file").value = "";
  });
}
