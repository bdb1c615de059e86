// What can be done with a shot, as commands. The studio knows whether it may be done.

import { askBranch } from "./branches.js";

/** Every action takes the index of a shot, but for the last one. */
export function shotActions(studio, { composer, compare, editor, player, trim }) {
  const on = (shot) => `shot ${shot + 1}`;
  /** Ask for a take, and show it as it is made. */
  const take = async (type, shot, done) => (await studio.command(type, { shot }, done)) && player.follow();
  return {
    retake: (shot) => take("retake", shot, `Another take of ${on(shot)} is queued.`),
    again: (shot) => take("remake", shot, `Shot ${shot + 1} is made again with its seed.`),
    remake: (shot) => take("remake", shot, `A remake of ${on(shot)} is queued.`),
    choose: (shot, take, number) => studio.command("choose", { shot, take }, `Take ${number + 1} of ${on(shot)} is in the film.`),
    remove: (take) => studio.command("remove", { take }, "Removed from the queue."),
    edit: (shot) => editor.open(shot),
    compare: (shot) => compare.open(shot),
    insert: (shot) => composer.insertBefore(shot),
    duplicate: (shot) => studio.command("duplicate", { shot }, `A copy of ${on(shot)} comes after it.`),
    move: (shot, to) => {
      if (to < 0 || to >= studio.film.shots.length) return;
      studio.command("move", { shot, to }, `Shot ${shot + 1} is now ${on(to)}.`);
    },
    lock: (shot) => {
      const { locked } = studio.film.shots[shot];
      studio.command("lock", { shot, locked: !locked }, `Shot ${shot + 1} is ${locked ? "unlocked" : "locked"}.`);
    },
    ...trim,
    branch: (shot) => askBranch(studio.film, shot),
    delete: (shot) => studio.command("delete", { shot }, `Shot ${shot + 1} is deleted.`),
    remakeStale: () => studio.command("remake_stale", {}, "Outdated shots are made again."),
  };
}

/** The take before (-1) or behind (1) the chosen one comes into the film. */
export function chooseNext(studio, actions, shot, step) {
  const { takes, chosen } = studio.film.shots[shot];
  const made = takes.filter((take) => take.state === "finished" || take.state === "cut");
  const number = made.findIndex((take) => take.id === chosen) + step;
  if (made[number]) actions.choose(shot, made[number].id, number);
}
