// The head of the page: what the model is doing, light or dark, and one line for what a person has to know.

import { $ } from "./dom.js";

const PATIENCE = 12_000; // milliseconds a line stays

export function showHeader(studio) {
  studio.on("model", showModel);
  const words = toast();
  studio.on("said", words);
  studio.on("told", (text) => { $("told").textContent = text; });
  if (localStorage.theme) document.documentElement.dataset.theme = localStorage.theme;
  $("theme").addEventListener("click", () => {
    const set = document.documentElement.dataset.theme;
    const dark = set ? set === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    localStorage.theme = document.documentElement.dataset.theme = dark ? "light" : "dark";
  });
}

function showModel(model) {
  const words = {
    loading: "loading the model…",
    warming: "warming up: the first seconds are slower…",
    ready: `${model.name} ${model.version}`,
    stopped: model.fault || "the studio has stopped",
    away: "the studio is not there; trying again…",
  };
  $("model").textContent = words[model.state];
  $("model").dataset.state = model.state;
}

function toast() {
  let timer = 0;
  const say = (text) => {
    $("said").textContent = text ?? "";
    $("toast").hidden = !text;
    clearTimeout(timer);
    if (text) timer = setTimeout(say, PATIENCE, "");
  };
  $("unsay").addEventListener("click", () => say(""));
  return say;
}
