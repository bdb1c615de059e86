"""Applies each command of the live protocol to a film."""

from __future__ import annotations

from typing import assert_never

from shotstream.core.story import make_shot
from shotstream.film.film import Film
from shotstream.film.takes.take import Take
from shotstream.serving import client_messages as message
from shotstream.serving.protocol import Point
from shotstream.serving.session import Session

TakeCommand = message.Shoot | message.Retake | message.Remake | message.Insert | message.Duplicate | message.RemakeStale
Direction = message.Stop | message.Cut | message.Extend | message.Change
Rest = (
    message.Remove
    | message.Resume
    | message.Position
    | message.Revise
    | message.Retell
    | message.SetContextPolicy
    | message.SetLora
    | message.Unpin
    | message.Delete
    | message.Move
    | message.Lock
    | message.Branch
    | message.Switch
    | message.Drop
    | message.Undo
    | message.Redo
    | message.Pause
)


def carry_out(session: Session, command: message.FilmCommand) -> int | None:
    """Do ``command``; returns the number of the take it is about. Takes stay in this thread: who held one would hold
    the model, and when that has died the next could not be loaded.

    Raises :class:`RefusedError`, :class:`InputError` or :class:`StorageError`; then nothing has changed.
    """
    take = _handle(session, command)
    if isinstance(command, message.Position):
        return None
    session.announce()
    return None if take is None else take.id


def _handle(session: Session, command: message.FilmCommand) -> Take | None:
    match command:
        case (
            message.Shoot()
            | message.Retake()
            | message.Remake()
            | message.Insert()
            | message.Duplicate()
            | message.RemakeStale()
        ):
            return session.enqueue(lambda: _asked(session, command))
        case message.Stop() | message.Cut() | message.Extend() | message.Change():
            return _direct(session, command)
        case message.Choose():
            take = _take(session, command.take)
            session.film.choose(command.shot, take)
            return take
        case message.Trim():
            session.film.trim(_take(session, command.take), command.start, command.stop)
            return _take(session, command.take)
        case message.Mark():
            session.film.mark(_take(session, command.take), command.frame, command.text)
            return _take(session, command.take)
        case message.Clear():
            session.film.remove(*session.film.queue)
            return None
        case _:
            _rest(session, command)
            return None


def _take(session: Session, id: int) -> Take:
    """The take ``id``, if it is in the film. Raises :class:`InputError`."""
    return session.film.take(session.film.record.find(id)[1].id)


def _asked(session: Session, command: TakeCommand) -> Take | None:
    film = session.film
    match command:
        case message.Shoot():
            name = f"shot {len(film.record.shots)}"
            told = command.model_dump(include={"caption", "seconds", "seed", "changes", "lora"})
            return film.add(make_shot(name, **told, endless=command.endless or None))
        case message.Retake():
            return film.retake(
                command.shot, command.seed, caption=command.caption, seconds=command.seconds, lora=command.lora
            )
        case message.Remake():
            return film.remake(command.shot)
        case message.Insert():
            return film.insert(command.at, command.caption, command.seconds, command.seed, command.lora)
        case message.Duplicate():
            return film.duplicate(command.shot)
        case message.RemakeStale():
            return next(iter(film.remake_stale()), None)
        case _:
            assert_never(command)


def _direct(session: Session, command: Direction) -> Take | None:
    match command:
        case message.Stop():
            return session.stop()
        case message.Cut():
            return session.end_running(Take.cut)
        case message.Extend():
            return session.extend(command.blocks)
        case message.Change():
            return session.running().change(command.caption, frame=command.frame, blend=command.blend)
        case _:
            assert_never(command)


def _rest(session: Session, command: Rest) -> None:
    film = session.film
    match command:
        case message.Remove():
            film.remove(_take(session, command.take))
        case message.Resume():
            session.resume()
        case message.Position():
            session.stand(Point(take=command.take, frame=command.frame))
        case message.Revise():
            film.revise(command.shot, command.caption, command.seconds, command.seed)
        case message.Retell():
            film.retell(command.global_caption)
        case message.SetContextPolicy() | message.SetLora():
            _set(film, command)
        case message.Unpin():
            film.unpin(command.picture)
        case message.Delete():
            film.delete(command.shot)
        case message.Move():
            film.move(command.shot, command.to)
        case message.Lock():
            (film.lock if command.locked else film.unlock)(command.shot)
        case message.Branch():
            film.branch(command.name, command.after)
        case message.Switch():
            film.switch(command.branch)
        case message.Drop():
            film.drop(command.branch)
        case message.Undo() | message.Redo() | message.Pause():
            {"undo": film.undo, "redo": film.redo, "pause": film.pause}[command.type]()
        case _:
            assert_never(command)


def _set(film: Film, command: message.SetContextPolicy | message.SetLora) -> None:
    """How takes to come are made."""
    if isinstance(command, message.SetLora):
        film.set_lora(command.lora)
    else:
        film.set_context_policy(command.policy)
