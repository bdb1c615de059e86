// The head of the page: what the model is doing, light or dark, and one line for what a person has to know.

import { $, plain } from "./dom.js";

const PATIENCE = 12_000; // milliseconds a line stays

export function showHeader(studio) {
  studio.on("model", showModel);
  const words = toast();
  studio.on("said", (text) => words(text));
  studio.on("told", ({ text, show }) => {
    $("told").textContent = plain(text);
    if (show) words(text, show);
  });
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
    away: "Reconnecting…",
  };
  $("model").textContent = words[model.state];
  $("model").dataset.state = model.state;
}

function toast() {
  let timer = 0;
  const say = (text, show = "fault") => {
    const fault = show === "fault";
    $("said").textContent = fault ? plain(text ?? "") : "";
    $("did").textContent = fault ? "" : plain(text);
    $("toast").hidden = !text;
    $("toast").classList.toggle("fault", fault);
    $("take-back").hidden = show !== "edit";
    clearTimeout(timer);
    if (text) timer = setTimeout(say, PATIENCE, "");
  };
  $("take-back").addEventListener("click", () => { say(""); $("undo").click(); });
  $("unsay").addEventListener("click", () => say(""));
  return say;
}
