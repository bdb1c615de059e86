"""What each command of the live socket does to a film at work."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from shotstream.film.take import Take
from shotstream.serving import edit_commands as edit
from shotstream.serving import protocol as say

if TYPE_CHECKING:
    from shotstream.serving.session import Session

Plan = say.Shoot | say.Retake | say.Remake | edit.Insert | edit.Duplicate | edit.RemakeStale
Direction = say.Stop | say.Cut | say.Extend | say.Change
Rest = (
    say.Remove
    | say.Resume
    | say.Position
    | edit.Delete
    | edit.Move
    | edit.Lock
    | edit.Branch
    | edit.Switch
    | edit.Drop
    | edit.Undo
    | edit.Redo
    | edit.Pause
)


def carry_out(session: Session, command: say.Command) -> Take | None:
    """Do ``command``; returns the take it is about. Raises as :meth:`Session.do` does."""
    match command:
        case say.Shoot() | say.Retake() | say.Remake() | edit.Insert() | edit.Duplicate() | edit.RemakeStale():
            return session.plan(lambda: _plan(session, command))
        case say.Stop() | say.Cut() | say.Extend() | say.Change():
            return _direct(session, command)
        case say.Choose():
            take = session.film.take(session.film.record.find(command.take)[1].id)
            session.film.choose(command.shot, take)
            return take
        case _:
            _rest(session, command)
            return None


def _plan(session: Session, command: Plan) -> Take | None:
    film = session.film
    match command:
        case say.Shoot():
            return film.shot(command.caption, command.seconds, command.seed)
        case say.Retake():
            return film.retake(command.shot, command.seed)
        case say.Remake():
            return film.remake(command.shot)
        case edit.Insert():
            return film.insert(command.at, command.caption, command.seconds, command.seed)
        case edit.Duplicate():
            return film.duplicate(command.shot)
        case edit.RemakeStale():
            return next(iter(film.remake_stale()), None)
        case _:
            assert_never(command)


def _direct(session: Session, command: Direction) -> Take | None:
    match command:
        case say.Stop():
            return session.stop()
        case say.Cut():
            return session.end_running(Take.cut)
        case say.Extend():
            return session.running().extend(command.blocks)
        case say.Change():
            return session.running().change(command.caption)
        case _:
            assert_never(command)


def _rest(session: Session, command: Rest) -> None:
    film = session.film
    match command:
        case say.Remove():
            film.remove(film.take(film.record.find(command.take)[1].id))
        case say.Resume():
            session.resume()
        case say.Position():
            session.stand(say.Point(take=command.take, frame=command.frame))
        case edit.Delete():
            film.delete(command.shot)
        case edit.Move():
            film.move(command.shot, command.to)
        case edit.Lock():
            (film.lock if command.locked else film.unlock)(command.shot)
        case edit.Branch():
            film.branch(command.name, command.after)
        case edit.Switch():
            film.switch(command.branch)
        case edit.Drop():
            film.drop(command.branch)
        case edit.Undo():
            film.undo()
        case edit.Redo():
            film.redo()
        case edit.Pause():
            film.pause()
        case _:
            assert_never(command)
