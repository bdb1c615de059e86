// The ways the film goes: a lane per branch, with what it shares with the one the film is on; begin, switch, drop.

import { $, button, fill, many, node, plain } from "./dom.js";

const MOST = 40; // shots drawn in a lane

export function showBranches(studio) {
  studio.on("film", (film) => {
    const branches = film?.branches ?? [];
    $("branches").hidden = branches.length < 2;
    document.body.classList.toggle("has-branches", branches.length > 1);
    fill($("branches"), branches.map((branch) => lane(studio, film, branch)));
  });
  $("branch-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const name = $("branch-name").value.trim();
    if (!name) return;
    $("branch-dialog").close();
    studio.command("branch", { name, after: Number($("branch-form").dataset.after) }, `You are on branch ${name}.`);
  });
  $("branch-cancel").addEventListener("click", () => $("branch-dialog").close());
}

function lane(studio, film, branch) {
  const current = branch.name === film.branch;
  const cells = node("span", { className: "cells", ariaHidden: "true" });
  for (let index = 0; index < Math.min(branch.shots, MOST); index += 1) {
    cells.append(node("i", { className: !current && index < branch.shared ? "shared" : "own" }));
  }
  const name = plain(branch.name);
  const label = `Branch ${name}: ${many(branch.shots, "shot")}${current ? "" : `, ${branch.shared} in common with this one`}`;
  const choose = node("button", { type: "button", className: "lane", ariaPressed: String(current), ariaLabel: label, data: { key: `lane-${branch.name}` } },
    node("span", { className: "lane-name" }, name), cells, node("small", {}, many(branch.shots, "shot")));
  choose.addEventListener("click", () => current || studio.command("switch", { branch: branch.name }, `You are on branch ${name}.`));
  const row = node("li", {}, choose);
  if (!current) row.append(button("✕", () => studio.command("drop", { branch: branch.name }, `Branch ${name} is gone.`), { className: "quiet", ariaLabel: `Remove branch ${name}`, title: "Remove this branch; undo brings it back" }));
  return row;
}

/** Ask for the name of a branch behind shot `after`. */
export function askBranch(film, after) {
  const names = film.branches.map((branch) => branch.name);
  let number = names.length + 1;
  while (names.includes(`version ${number}`)) number += 1;
  $("branch-form").dataset.after = after;
  $("branch-name").value = `version ${number}`;
  const kept = after ? `shots 1 to ${after + 1}` : "shot 1";
  $("branch-note").textContent = `It begins with ${kept}, and goes its own way from there. “${plain(film.branch)}” stays as it is; the lanes above the shots lead back.`;
  $("branch-dialog").showModal();
  $("branch-name").select();
}
