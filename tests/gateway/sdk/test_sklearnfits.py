# SPDX-License-Identifier: Apache-2.0
"""Trainings with scikit-learn are noted by the run around them, once each, and scikit-learn is left as it was."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import cloudpickle
import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.validation import has_fit_parameter

from pedigree import InvalidInput, Run
from pedigree.settings import said, settled
from pedigree.sklearnfits import METHODS, MOST_FITS

CODE = {"digest": "cd" * 32}
DATA = load_breast_cancer(return_X_y=True)


class Kept:
    """A run that is kept here instead of on a ledger."""

    def __init__(self, folder: Path) -> None:
        self.fields: Any = None
        self.run = Run(
            name="r", inputs=(), parents=(), code=CODE, environment=CODE, parameters={}, note=None, folder=folder,
            save=self._save, autolog=True,
        )  # type: ignore[arg-type]  # fmt: skip

    def _save(self, _key: str, fields: Any) -> Any:
        self.fields = fields

    @property
    def parameters(self) -> dict[str, str]:
        return {each["name"]: each["value"] for each in self.fields["parameters"]}

    @property
    def metrics(self) -> dict[str, float]:
        return {each["name"]: float(each["value"]) for each in self.fields["metrics"]}

    @property
    def fits(self) -> list[str]:
        return sorted(name.removesuffix(" input") for name in self.parameters if name.endswith(" input"))


def methods() -> dict[tuple[type, str], object]:
    """Every method of an estimator, or of what it is made of, that can be watched."""
    waiting, found = [BaseEstimator], {}
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        for owner in kind.__mro__:
            for name in (*METHODS, "__init_subclass__"):
                found[owner, name] = vars(owner).get(name)
    return found


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    before = methods()
    yield
    assert {place: found for place, found in methods().items() if place in before} == before


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def test_a_pipeline_is_noted_once_with_what_it_was_trained_on(kept: Kept) -> None:
    seen, unseen, labels, others = train_test_split(*DATA, random_state=7)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=0.5))
    with kept.run:
        pipeline.fit(seen, labels)
        score = pipeline.score(unseen, others)
    assert kept.fits == ["Pipeline"]
    said = kept.parameters
    assert said["Pipeline"] == "sklearn.pipeline.Pipeline"
    assert said["Pipeline.logisticregression"] == "sklearn.linear_model._logistic.LogisticRegression"
    assert said["Pipeline.logisticregression__C"] == "0.5"
    assert said["Pipeline.standardscaler__with_mean"] == "True"
    assert said["Pipeline input"] == "426 rows, 30 columns, float64"
    assert said["version of sklearn"] == sys.modules["sklearn"].__version__
    assert set(kept.metrics) == {"Pipeline seconds", "Pipeline score on 143 rows"}
    assert kept.metrics["Pipeline score on 143 rows"] == score > 0.9
    assert kept.metrics["Pipeline seconds"] > 0


def test_a_search_is_noted_once_with_what_it_found(kept: Kept) -> None:
    search = GridSearchCV(LogisticRegression(solver="liblinear"), {"C": [0.1, 1.0]}, cv=3)
    with kept.run:
        search.fit(*DATA)
    assert kept.fits == ["GridSearchCV"]
    assert kept.parameters["GridSearchCV best parameters"] == f"{{'C': {search.best_params_['C']}}}"
    assert kept.metrics["GridSearchCV best score"] == search.best_score_
    assert kept.parameters["GridSearchCV.param_grid"] == "{'C': [0.1, 1.0]}"


@pytest.mark.parametrize("backend", ["threading", "multiprocessing", "sequential"])
def test_what_joblib_fits_for_an_estimator_is_not_noted(kept: Kept, backend: str) -> None:
    features, labels = DATA
    with kept.run, joblib.parallel_config(backend):
        BaggingClassifier(StandardScalerAndTree(), n_estimators=4, n_jobs=2).fit(features, labels)
    assert kept.fits == ["BaggingClassifier"]


class StandardScalerAndTree(ClassifierMixin, BaseEstimator):
    """An estimator of somebody's own, which fits others."""

    def fit(self, X: Any, y: Any) -> "StandardScalerAndTree":  # noqa: N803
        self.classes_ = np.unique(y)
        self.inner_ = make_pipeline(StandardScaler(), SGDClassifier(random_state=0)).fit(X, y)
        return self

    def predict(self, X: Any) -> Any:  # noqa: N803
        return self.inner_.predict(X)


def test_two_trainings_in_two_threads_are_two(kept: Kept) -> None:
    with kept.run:
        threads = [Thread(target=LogisticRegression(solver="liblinear", C=c).fit, args=DATA) for c in (0.1, 1.0)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert kept.fits == ["LogisticRegression", "LogisticRegression-2"]
    assert {kept.parameters[f"{each}.C"] for each in kept.fits} == {"0.1", "1.0"}


def test_an_estimator_that_learns_in_pieces_is_noted_once(kept: Kept) -> None:
    features, labels = DATA
    classifier = SGDClassifier(random_state=0)
    with kept.run:
        for part in range(0, 500, 100):
            classifier.partial_fit(features[part : part + 100], labels[part : part + 100], classes=[0, 1])
        classifier.score(features, labels)
    assert kept.fits == ["SGDClassifier"]
    assert kept.parameters["SGDClassifier input"] == "500 rows, 30 columns, float64"
    assert kept.parameters["SGDClassifier calls"] == "5"
    assert set(kept.metrics) == {"SGDClassifier seconds", "SGDClassifier score on 569 rows"}


def test_training_anew_is_another_training(kept: Kept) -> None:
    classifier = LogisticRegression(solver="liblinear")
    with kept.run:
        for strength in (0.1, 1.0):
            classifier.set_params(C=strength).fit(*DATA)
        cross_val_score(classifier, *DATA, cv=3)
    assert [kept.parameters[f"{each}.C"] for each in kept.fits] == ["0.1", "1.0", "1.0", "1.0", "1.0"]


def test_what_is_imported_or_written_in_the_block_is_noted_too(kept: Kept) -> None:
    with kept.run:

        class Mean(TransformerMixin, BaseEstimator):
            def fit(self, X: Any, y: Any = None) -> "Mean":  # noqa: N803
                self.mean_ = np.mean(X)
                return self

            def transform(self, X: Any) -> Any:  # noqa: N803
                return X - self.mean_

        Mean().fit_transform([[1.0, 2.0], [3.0, 4.0]])
        PCA(2).fit_transform(DATA[0])
        make_pipeline(StandardScaler(), PCA(2)).fit_transform(DATA[0])
        CountVectorizer().fit_transform(["a word", "another word"])
    assert kept.fits == ["CountVectorizer", "Mean", "PCA", "Pipeline"]
    assert kept.parameters["Mean input"] == "2 rows, list"
    assert "fit" in vars(Mean)
    assert not hasattr(Mean.fit, "_watched_by")


def test_signatures_and_conditions_of_methods_are_what_they_were(kept: Kept) -> None:
    plain = make_pipeline(StandardScaler(), LogisticRegression())
    with kept.run:
        assert has_fit_parameter(LogisticRegression(), "sample_weight")
        assert not hasattr(plain, "fit_predict")
        assert hasattr(make_pipeline(StandardScaler(), PCA(2)), "fit_transform")
        assert LogisticRegression.fit.__doc__
        LogisticRegression(solver="liblinear").fit(X=DATA[0], y=DATA[1], sample_weight=np.ones(len(DATA[1])))
    assert kept.parameters["LogisticRegression input"] == "569 rows, 30 columns, float64"


def test_an_error_of_a_training_is_the_users_and_is_not_noted(kept: Kept) -> None:
    with pytest.raises(ValueError, match="Found array with"), kept.run:
        LogisticRegression().fit(np.empty((0, 3)), [])
    assert kept.fields is None


def test_what_cannot_be_noted_does_not_disturb_the_training(kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    class Odd(LogisticRegression):
        def get_params(self, deep: bool = True) -> Any:
            if deep:
                raise RuntimeError("no parameters today")
            return super().get_params(deep=False)

        def score(self, *_: Any) -> Any:
            return "excellent"

    with caplog.at_level(logging.WARNING, "pedigree"), kept.run:
        odd = Odd(solver="liblinear")
        assert odd.fit(*DATA[:1], DATA[1]) is odd
        assert odd.score(*DATA) == "excellent"
    assert kept.fits == ["Odd"]
    assert "no parameters today" in caplog.text
    assert "'excellent' is not a number" in caplog.text


def test_more_trainings_than_a_run_holds_are_trained_all_the_same(kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "pedigree"), kept.run:
        for _ in range(MOST_FITS + 20):
            FunctionTransformer().fit([[1.0]])
    assert len(kept.fits) <= MOST_FITS
    assert caplog.text


def test_one_run_at_a_time_watches(kept: Kept, tmp_path: Path) -> None:
    second = Kept(tmp_path)
    with kept.run:
        with pytest.raises(InvalidInput, match="another run of this program"), second.run:
            raise AssertionError("not reached")
        StandardScaler().fit(DATA[0])
    with second.run:
        RandomForestClassifier(n_estimators=3, n_jobs=2).fit(*DATA)
    assert (kept.fits, second.fits) == (["StandardScaler"], ["RandomForestClassifier"])


def test_another_who_replaces_a_method_keeps_theirs(kept: Kept) -> None:
    original = StandardScaler.fit
    with kept.run:
        watched = StandardScaler.fit
        StandardScaler.fit = lambda *given: watched(*given)
    try:
        assert StandardScaler().fit(DATA[0]).n_features_in_ == 30
        assert kept.fits == []
    finally:
        StandardScaler.fit = original


def test_a_class_goes_to_another_process_as_a_whole_and_nothing_is_noted_there(kept: Kept) -> None:
    """As joblib sends classes that stand in the program itself."""
    with kept.run:

        class Own(BaseEstimator):
            def fit(self, X: Any, y: Any = None) -> "Own":  # noqa: N803
                self.rows_ = len(X)
                return self

        sent = cloudpickle.dumps(Own)
    program = "import pickle, sys; Own = pickle.load(sys.stdin.buffer); print(Own().fit([[1.0], [2.0]]).rows_)"
    ran = subprocess.run([sys.executable, "-c", program], input=sent, capture_output=True, check=False)
    assert (ran.returncode, ran.stdout.strip(), ran.stderr) == (0, b"2", b"")
    assert kept.fits == []


# -- settings as text ------------------------------------------------------------------------------------------------


def test_a_setting_has_the_same_text_each_time() -> None:
    assert said(None) == "None"
    assert said("relu") == "relu"
    assert said(np.float64(0.5)) == "0.5"
    assert said([np.int64(1), "a", (2,)]) == "[1, 'a', (2,)]"
    assert said({"fit": accuracy_score}) == "{'fit': sklearn.metrics._classification.accuracy_score}"
    assert said([("scale", StandardScaler())]) == "[('scale', sklearn.preprocessing._data.StandardScaler)]"
    assert said(Pipeline) == "sklearn.pipeline.Pipeline"
    assert " 0x" not in said(np.random.RandomState(1))
    assert " 0x" not in said(make_scorer(accuracy_score))
    assert said(np.arange(3)) == "[0 1 2]"
    large = np.zeros((10, 10))
    assert said(large) == said(large.copy())
    assert said(large).startswith("array of 10 × 10, float64, SHA-256 ")
    circle: list[Any] = []
    circle.append(circle)
    assert len(said(circle)) < 100


def test_text_that_the_ledger_would_refuse_is_written_so_that_it_takes_it() -> None:
    assert settled("A\u030a") == "Å"
    assert settled("a\x00b\u202ec") == r"a\x00b\u202ec"
    assert settled("\ud800") == r"\ud800"
    assert settled("x" * 65_536) == "x" * 65_536
    assert settled("x" * 65_537).startswith("SHA-256 ")
    assert settled("\ud800" * 65_537).endswith(" of 65537 characters")
