// Taking the film elsewhere: every format the studio can write, made when it is asked for.

import { $, node, plain } from "./dom.js";

const HEIGHTS = [2, 4, 720, 1080]; // times the film's own height, or rows
const HEARD = new Set(["mp4", "clips", "otio", "edl"]); // what sound can be laid under
const PICTURES = new Set(["mp4", "gif", "webp", "clips"]); // what can be in another size

// name in the API, what it is called, what it is for, whether it can be of one shot
const GROUPS = [
  ["To watch and to send", [
    ["mp4", "MP4", "The film, a chapter per shot", true],
    ["gif", "GIF", "Plays anywhere, small", true],
    ["webp", "WebP", "Animated, better than a GIF", true],
  ]],
  ["To print and to show", [
    ["pdf", "PDF", "The contact sheet as a file, A4", false],
    ["storyboard", "Storyboard", "One PNG", false],
  ]],
  ["To cut elsewhere", [
    ["clips", "Clips", "A zip with an MP4 per shot", false],
    ["otio", "OpenTimelineIO", "The cut, with its clips", false],
    ["edl", "EDL", "CMX3600, with its clips", false],
    ["srt", "SRT", "Prompts as subtitles", false],
    ["vtt", "WebVTT", "Prompts as subtitles, for the web", false],
  ]],
  ["To go on with", [
    ["film", "Film file", "Everything: takes and branches", false],
    ["story", "Story", "The script with its seeds, YAML", false],
  ]],
];

export function showExports(studio) {
  const sheet = node("a", { className: "button format", target: "_blank", rel: "noopener" }, node("b", {}, "Contact sheet"), node("small", {}, "A page of its own, to print"));
  $("export-groups").replaceChildren(...GROUPS.map(([title, formats]) => node("section", {}, node("h3", {}, title),
    node("div", { className: "formats" }, ...formats.map((format) => button(studio, format))))));
  $("export-groups").querySelector('[data-format="pdf"]').before(sheet);
  $("export-open").addEventListener("click", () => { prepare(studio.film); sheet.href = `sheet.html#${studio.film.id}`; $("export-dialog").showModal(); });
  $("export-close").addEventListener("click", () => $("export-dialog").close());
  $("export-shot").addEventListener("change", showAble);
  $("export-size").addEventListener("change", showAble);
  $("export-rate").addEventListener("change", showAble);
  studio.on("film", (film) => {
    $("export-open").disabled = !film?.shots.some((shot) => shot.chosen !== null);
  });
}

function button(studio, [name, title, what, perShot]) {
  const made = node("button", { type: "button", className: "format", data: { format: name, perShot } }, node("b", {}, title), node("small", {}, what));
  made.addEventListener("click", () => save(studio.film.id, name, title));
  return made;
}

function prepare(film) {
  const shots = film.shots.map((shot, index) => [shot, index]).filter(([shot]) => shot.chosen !== null);
  $("export-shot").replaceChildren(node("option", { value: "" }, "the whole film"), ...shots.map(([shot, index]) => node("option", { value: String(index) }, `shot ${index + 1}: ${plain(shot.caption).slice(0, 40)}`)));
  $("export-said").textContent = "";
  const made = (height) => `${Math.round((film.width * height) / film.height / 2) * 2}x${height}`;
  const heights = HEIGHTS.map((one) => (one < 16 ? one * film.height : one)).filter((one) => one > film.height && one <= 1080);
  $("export-size").replaceChildren(node("option", { value: "" }, `as made, ${made(film.height)}`), ...[...new Set(heights)].sort((a, b) => a - b).map((one) => node("option", { value: String(one) }, `${made(one)}, scaled`)));
  showAble();
}

function showAble() {
  const notes = [
    $("export-size").value && "Scaled from the size the model makes: larger, not sharper. For MP4, GIF, WebP and clips.",
    $("export-rate").value && "At this rate frames are shown for longer or left out; none are made.",
  ];
  $("export-note").textContent = notes.filter(Boolean).join(" ");
  const whole = $("export-shot").value === "";
  for (const one of document.querySelectorAll("button.format")) one.disabled = !whole && one.dataset.perShot !== "true";
}

/** The name of a file in a header, be it in any alphabet. */
function named(header) {
  const coded = /filename\*=utf-8''([^;]+)/i.exec(header)?.[1];
  return coded ? decodeURIComponent(coded) : /filename="?([^";]+)/.exec(header)?.[1];
}

/** Fetch the file and hand it to the browser; the studio's own words if it cannot be written. */
async function save(film, name, title) {
  const said = $("export-said");
  const shot = $("export-shot").value;
  said.textContent = `Writing ${title}…`;
  try {
    const [height, fps, sound] = [$("export-size").value, $("export-rate").value, $("export-sound").files[0]];
    const asked = new URLSearchParams({ ...(shot === "" ? {} : { shot }), ...(height && PICTURES.has(name) ? { height } : {}), ...(fps && { fps }) });
    const sent = sound && HEARD.has(name) ? { method: "POST", body: sound } : {};
    const answer = await fetch(`api/films/${film}/${name === "film" ? "film.film" : `exports/${name}?${asked}`}`, sent);
    if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).text ?? `the studio said ${answer.status}`);
    const file = named(answer.headers.get("content-disposition") ?? "") ?? name;
    const link = node("a", { href: URL.createObjectURL(await answer.blob()), download: file });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    said.textContent = `${plain(file)} is among your downloads.`;
  } catch (fault) {
    said.textContent = plain(`${title}: ${fault.message}`);
  }
}
