// Footage of one's own: a clip or picture, chosen or dropped on the page, becomes shots, or a reference image.

import { $, button, fill, many, node, plain, still } from "./dom.js";
import { beginFilm } from "./story.js";
import { call } from "./wire.js";

const ABOUT = {
  shot: ["What it shows", "The fox runs along the beach.", "Later shots are conditioned on it as on any other, under these words.", "Put it in"],
  memory: ["Whom or what it shows", "the fox: a red fox with a blue hat", "A name, a colon, and what it shows. Shots whose words use this name are conditioned on it.", "Pin it"],
};
const isFile = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");

export function showOwn(studio) {
  let file = null;
  const as = () => $("own-as").value;

  function draw() {
    const [label, example, note, does] = ABOUT[as()];
    $("own-label").textContent = label;
    $("own-words").placeholder = example;
    $("own-note").textContent = note;
    $("own-do").textContent = does;
    $("own-shot").hidden = as() !== "shot";
  }

  /** Ask what is to become of a file. */
  function ask(given) {
    if (!given) return;
    file = given;
    const shots = studio.film?.shots.length ?? 0;
    const before = Array.from({ length: shots }, (_, index) => node("option", { value: index }, `before shot ${index + 1}`));
    $("own-at").replaceChildren(node("option", { value: "" }, "at the end"), ...before);
    $("own-at").value = "";
    $("own-name").textContent = plain(file.name);
    $("own-words").value = "";
    $("own-said").textContent = "";
    draw();
    if (!$("own-dialog").open) $("own-dialog").showModal();
    $("own-words").focus();
  }

  /** Send it; what is refused stays in the dialog, with the reason. */
  async function send() {
    const caption = $("own-words").value.trim();
    if (!caption) return "Write what it shows.";
    if (!studio.film && !$("caption").value.trim()) return "First say, in the story, who is in the film, where, and how it looks.";
    if (!studio.film && !(await beginFilm(studio))) return $("said").textContent;
    const shot = as() === "shot";
    const fields = new URLSearchParams({ caption, name: file.name.slice(-80) });
    if (shot && $("own-at").value !== "") fields.set("at", $("own-at").value);
    if (shot) fields.set("cuts", $("own-cuts").checked);
    const path = `api/films/${studio.film.id}/${shot ? "clips" : "references"}?${fields}`;
    const answer = await call(path, { method: "POST", headers: { "content-type": "application/octet-stream" }, body: file });
    studio.tell(shot ? `${many(answer.takes.length, "shot")} of your own.` : "The picture is pinned.", "edit");
    return "";
  }

  $("own-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    $("own-said").textContent = "Reading it…";
    $("own-do").disabled = true;
    const said = await send().catch((fault) => fault.message);
    $("own-do").disabled = false;
    $("own-said").textContent = plain(said);
    if (!said) $("own-dialog").close();
  });
  $("own-as").addEventListener("change", draw);
  $("own-cancel").addEventListener("click", () => $("own-dialog").close());
  $("own-choose").addEventListener("click", () => $("own-file").click());
  $("own-file").addEventListener("change", () => { ask($("own-file").files[0]); $("own-file").value = ""; });
  addEventListener("dragover", (event) => isFile(event) && event.preventDefault()); // else the browser would open it
  addEventListener("drop", (event) => {
    if (!isFile(event)) return;
    event.preventDefault();
    ask(event.dataTransfer.files[0]);
  });
  studio.on("film", (film) => {
    $("pinned").hidden = !film?.references.length;
    fill($("pinned"), (film?.references ?? []).map(({ id, name, caption }) => node("li", {},
      node("img", { src: still(film.id, id, 0), alt: "", width: 48, height: 30 }),
      node("span", { title: plain(caption) }, plain(name)),
      button("✕", () => studio.command("unpin", { picture: id }, `${plain(name)} is no longer pinned.`), { className: "quiet", ariaLabel: `Unpin ${plain(name)}`, data: { key: `unpin-${id}` } }))));
  });
}
