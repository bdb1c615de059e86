// Where the viewer stands is kept for the next visit.

/** Tell the studio where the viewer stands, for the next visit; go there when a film is opened. */
export function keepPosition(studio, player) {
  let noted = "";
  let fresh = false;
  studio.on("opened", () => { fresh = true; });
  studio.on("film", (film) => {
    if (!fresh || !film) return;
    fresh = false;
    const stood = film.position && player.placeOf(film.position.take, film.position.frame);
    if (film.running === null && player.length) player.seek(stood ?? player.length - 1);
  });
  setInterval(() => {
    const at = player.here();
    const key = at && `${studio.film?.id}/${at.take}/${at.frame}`;
    if (!at || !studio.film || key === noted || player.playing || studio.film.running === at.take) return;
    noted = key;
    studio.wire.ask("position", { take: at.take, frame: at.frame });
  }, 1000);
}
