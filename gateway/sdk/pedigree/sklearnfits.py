# SPDX-License-Identifier: Apache-2.0
"""Trainings with scikit-learn, noted by the run around them: class, parameters, versions, input, duration and scores.

Between `start` and `stop`, the methods of estimators that fit and score are replaced by ones that call them and note
what was called; `stop` puts back every one of them. Only the outermost call is noted: a pipeline or a search once, and
not what it fits within, also where that is done by threads of joblib. Processes of joblib see the methods as they were.
Nothing that fails in here reaches the training; it is logged as a warning.
"""

import copy
import functools
import logging
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType
from typing import Any, Final, Protocol

from pedigree.errors import InvalidInput
from pedigree.settings import said, settled

METHODS: Final = ("fit", "fit_predict", "fit_transform", "partial_fit", "score")
MOST_FITS: Final = 100
"""Estimators of which a run notes that they were trained."""
_log = logging.getLogger("pedigree")
_taken = threading.Lock()
"""Held while estimators are watched: methods of classes are the whole program's."""


class Notes(Protocol):
    """Where it is noted: a `Run`."""

    def log_parameter(self, name: str, value: Any) -> None: ...

    def log_metric(self, name: str, value: Any, step: int | None = None) -> None: ...


class _Fit:
    """An estimator that was trained: what its entries are called, and what it was trained with."""

    def __init__(self, estimator: Any, label: str) -> None:
        self.estimator = weakref.ref(estimator)
        self.label = label
        self.calls = 0
        self.seconds = 0.0
        self.rows: int | None = 0


class Fits:
    """Notes the trainings in a block.

    Args:
        notes: the run.
    """

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._lock = threading.Lock()
        self._within: set[threading.Thread] = set()
        """Threads that are in a method of an estimator now."""
        self._replaced: list[tuple[type, str, object, object]] = []
        """Class, name, what was there, and what is there instead."""
        self._fits: list[_Fit] = []
        self._labels: dict[str, int] = {}
        self._begun = 0
        self._is_on = False

    def __reduce__(self) -> tuple[Callable[[], "Fits"], tuple[()]]:
        """In another process, to which joblib may send a class with its methods, nothing is noted."""
        return _nowhere, ()

    def start(self) -> None:
        """Watch every estimator; raises `InvalidInput` without scikit-learn, or where another run does so already."""
        try:
            from sklearn.base import BaseEstimator
        except ImportError:
            raise InvalidInput("autolog: scikit-learn is not installed", field="autolog") from None
        if not _taken.acquire(blocking=False):
            raise InvalidInput("autolog: another run of this program logs what is trained already", field="autolog")
        self._is_on = True
        for each in list(_descendants(BaseEstimator)):
            self._watch(each)
        self._replace(BaseEstimator, "__init_subclass__", classmethod(_watching_new(self, BaseEstimator)))

    def stop(self) -> None:
        """Put back what was there."""
        if not self._is_on:
            return
        self._is_on = False
        try:
            for kind, name, before, instead in reversed(self._replaced):
                if vars(kind).get(name) is not instead:
                    continue  # somebody else has replaced it since, and ours, below theirs, notes nothing any more
                if before is None:
                    delattr(kind, name)
                else:
                    setattr(kind, name, before)
        finally:
            self._replaced.clear()
            _taken.release()

    def call(
        self, name: str, method: Callable[..., Any], estimator: Any, given: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        """Call the method of this name, and note it where it is the outermost."""
        thread = threading.current_thread()
        if not self._is_on or self._is_within(thread):
            return method(estimator, *given, **named)
        self._within.add(thread)
        try:
            parameters = self._carefully(lambda: self._parameters(name, estimator)) or {}
            started = time.perf_counter()
            answer = method(estimator, *given, **named)
            seconds = time.perf_counter() - started
            data = given[0] if given else next(iter(named.values()), None)
            self._carefully(lambda: self._note(name, estimator, parameters, data, seconds, answer))
            return answer
        finally:
            self._within.discard(thread)

    def _note(
        self, method: str, estimator: Any, parameters: Mapping[str, str], data: Any, seconds: float, answer: Any
    ) -> None:
        with self._lock:
            known = self._known(estimator)
            if method == "score":
                if known is not None:
                    self._notes.log_metric(f"{known.label} score on {_shape(data)}", answer)
                return
            if known is None or method != "partial_fit":
                self._begun += 1
                if self._begun > MOST_FITS:
                    self._say_full()
                    return
                known = self._begin(estimator, parameters)
            self._add(known, estimator, data, seconds)

    def _known(self, estimator: Any) -> _Fit | None:
        return next((each for each in self._fits if each.estimator() is estimator), None)

    def _parameters(self, name: str, estimator: Any) -> dict[str, Any]:
        """What it is going to be trained with; nothing where that will not be noted."""
        if name == "score" or (name == "partial_fit" and self._known(estimator) is not None):
            return {}
        found = estimator.get_params(deep=True)
        return {str(each): said(found[each]) for each in sorted(found)}

    def _begin(self, estimator: Any, parameters: Mapping[str, str]) -> _Fit:
        kind = type(estimator)
        number = self._labels[kind.__name__] = self._labels.get(kind.__name__, 0) + 1
        label = kind.__name__ if number == 1 else f"{kind.__name__}-{number}"
        self._fits = [each for each in self._fits if each.estimator() is not estimator]  # trained anew, it scores anew
        self._fits.append(known := _Fit(estimator, label))
        self._notes.log_parameter(label, said(kind))
        for name, value in parameters.items():
            self._notes.log_parameter(f"{label}.{settled(name)}", settled(value))
        for library in {"sklearn", kind.__module__.partition(".")[0]}:
            version = getattr(sys.modules.get(library), "__version__", None)
            if isinstance(version, str):
                self._notes.log_parameter(f"version of {library}", settled(version))
        return known

    def _add(self, known: _Fit, estimator: Any, data: Any, seconds: float) -> None:
        known.calls += 1
        known.seconds += seconds
        rows = _rows(data)
        known.rows = None if known.rows is None or rows is None else known.rows + rows
        self._notes.log_parameter(f"{known.label} input", _input(data, known.rows, estimator))
        if known.calls > 1:
            self._notes.log_parameter(f"{known.label} calls", known.calls)
        self._notes.log_metric(f"{known.label} seconds", round(known.seconds, 6))
        if isinstance(found := getattr(estimator, "best_params_", None), Mapping):
            self._notes.log_parameter(f"{known.label} best parameters", settled(said(dict(found))))
            if (score := getattr(estimator, "best_score_", None)) is not None:
                self._notes.log_metric(f"{known.label} best score", score)

    def _say_full(self) -> None:
        if self._begun == MOST_FITS + 1:
            _log.warning("the run notes %d trainings; those after them are not in its record", MOST_FITS)

    def _carefully(self, work: Callable[[], Any]) -> Any:
        """Do what must not disturb a training."""
        try:
            return work()
        except Exception as exc:
            _log.warning("a training is not in the record of the run as a whole: %s", exc)
            return None

    def _is_within(self, thread: Any) -> bool:
        """Whether a thread, or the one that made the pool to which it belongs, is in a method of an estimator."""
        while thread is not None:
            if thread in self._within:
                return True
            # Threads of multiprocessing.pool.ThreadPool, which joblib uses, know the one that made them.
            thread = getattr(thread, "_parent", None)
        return False

    def _watch(self, kind: type) -> None:
        for owner in kind.__mro__[:-1]:
            for name in METHODS:
                found = vars(owner).get(name)
                if (instead := _instead(name, found, self)) is not None:
                    self._replace(owner, name, instead)

    def _replace(self, kind: type, name: str, instead: object) -> None:
        self._replaced.append((kind, name, vars(kind).get(name), instead))
        setattr(kind, name, instead)


def _nowhere() -> Fits:
    class Nowhere:
        def log_parameter(self, name: str, value: Any) -> None: ...

        def log_metric(self, name: str, value: Any, step: int | None = None) -> None: ...

    return Fits(Nowhere())


def _descendants(kind: type) -> Iterator[type]:
    below: list[type] = kind.__subclasses__()
    for each in below:
        yield each
        yield from _descendants(each)


def _watching_new(fits: Fits, base: Any) -> Callable[..., None]:
    """What Python calls for each new class of estimators: those that are imported in the block are watched too."""
    before = base.__init_subclass__.__func__

    def made(kind: Any, **named: Any) -> None:
        before(kind, **named)
        if fits._is_on:
            fits._watch(kind)

    return made


def _instead(name: str, found: object, fits: Fits) -> Any:
    """What takes the place of a method; None for what is none, or is watched already."""
    if isinstance(found, FunctionType):
        return None if getattr(found, "_watched_by", None) is fits else _watched(name, found, fits)
    method = getattr(found, "fn", None)  # of what `available_if` makes of a method
    if isinstance(method, FunctionType) and getattr(method, "_watched_by", None) is not fits:
        conditional: Any = copy.copy(found)
        conditional.fn = _watched(name, method, fits)
        return conditional
    return None


def _watched(name: str, method: FunctionType, fits: Fits) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(estimator: Any, *given: Any, **named: Any) -> Any:
        return fits.call(name, method, estimator, given, named)

    call._watched_by = fits  # type: ignore[attr-defined]
    return call


def _rows(data: Any) -> int | None:
    shape = getattr(data, "shape", None)
    if isinstance(shape, tuple) and shape:
        return int(shape[0])
    return len(data) if hasattr(data, "__len__") else None


def _shape(data: Any) -> str:
    rows = _rows(data)
    return "unknown rows" if rows is None else f"{rows} row{'' if rows == 1 else 's'}"


def _input(data: Any, rows: int | None, estimator: Any) -> str:
    """How large the input was, and of which type."""
    shape = getattr(data, "shape", None)
    columns = shape[1] if isinstance(shape, tuple) and len(shape) > 1 else getattr(estimator, "n_features_in_", None)
    parts = ["unknown rows" if rows is None else f"{rows} row{'' if rows == 1 else 's'}"]
    if isinstance(columns, int):
        parts.append(f"{columns} column{'' if columns == 1 else 's'}")
    kind = getattr(data, "dtype", None)
    return ", ".join([*parts, settled(str(kind)) if kind is not None else type(data).__name__])
