"""Parameters of plug-ins: what they take, what is refused, and what may not hide what."""

from __future__ import annotations

import pytest

from bench.api import BenchError, Classifier, param


def test_unknown_fields_and_values_out_of_range_are_refused() -> None:
    class Some(Classifier):
        """Nothing."""

        name = "some"
        k: int = param(10, ge=1, le=20)
        rule: str = param("mean", choices=("mean", "sum"))

    assert Some().k == 10
    assert Some(k=3).get_params() == {"k": 3, "rule": "mean"}
    with pytest.raises(BenchError, match=r"no parameter 'kk': did you mean k\?"):
        Some(kk=3)
    for wrong in (0, 21, 2.5, "3", True, None):
        with pytest.raises(BenchError, match=r"int >= 1 and <= 20"):
            Some(k=wrong)
    with pytest.raises(BenchError, match=r"mean \| sum"):
        Some(rule="max")


def test_a_default_out_of_range_is_a_programming_error() -> None:
    with pytest.raises(TypeError, match="default 0"):

        class Wrong(Classifier):
            """Nothing."""

            name = "wrong"
            k: int = param(0, ge=1)


def test_a_parameter_may_be_spelled_as_a_method_is_named() -> None:
    class Some(Classifier):
        """Nothing."""

        name = "some"
        fit_name: str = param("fast", choices=("fast", "slow"), spelling="fit")

    class Other(Some):
        """Nothing."""

        fit_name: str = param("slow", choices=("slow", "slower"))

    assert Some().fit_name == "fast"
    assert Some(fit="slow").fit_name == "slow"
    assert Some(fit="slow").get_params() == {"fit": "slow"}
    assert repr(Some(fit="slow")) == "Some(fit='slow')"
    assert Other().get_params() == {"fit": "slow"}
    assert callable(Some().fit)
    with pytest.raises(BenchError, match=r"no parameter 'fit_name'"):
        Some(fit_name="slow")
    with pytest.raises(
        BenchError, match=r"^some\[fit=none\] is not allowed: fit takes fast \| slow$"
    ):
        Some(fit="none")


def test_parameters_of_all_bases_count() -> None:
    class First(Classifier):
        """Nothing."""

        k: int = param(1)
        m: int = param(1)

    class Second(Classifier):
        """Nothing."""

        stochastic = True
        n: int = param(1)

    class Both(First, Second):
        """Nothing."""

        k: int = param(2)

    assert Both().get_params() == {"n": 1, "random_state": 0, "k": 2, "m": 1}


class Base(Classifier):
    """Nothing."""

    name = "base"
    k: int = param(10)

    def rule(self) -> str:
        """Nothing."""
        return "mean"

    @property
    def rows(self) -> int:
        """Nothing."""
        return 1


def test_a_parameter_that_hides_a_method_is_refused() -> None:
    with pytest.raises(TypeError) as caught:

        class Derived(Base):
            """Nothing."""

            rule: str = param("mean")  # type: ignore[assignment]

    assert str(caught.value) == (
        "Derived: the parameter rule of Derived hides the method rule of Base; give it another "
        "name, which may be spelled alike: rule_name: … = param(…, spelling='rule')"
    )
    with pytest.raises(
        TypeError, match=r"^Wide: the parameter rows of Wide hides the method rows "
    ):

        class Wide(Base):
            """Nothing."""

            rows: int = param(2)  # type: ignore[assignment]

    with pytest.raises(
        TypeError, match=r"^Kinds: the parameter kinds of Kinds hides the attribute"
    ):

        class Kinds(Base):
            """Nothing."""

            kinds: str = param("multi")  # type: ignore[assignment,misc]


def test_a_method_that_hides_a_parameter_is_refused() -> None:
    with pytest.raises(TypeError) as caught:

        class Derived(Base):
            """Nothing."""

            def k(self) -> int:  # type: ignore[override]
                """Nothing."""
                return 3

    assert str(caught.value) == (
        "Derived: the method k of Derived hides the parameter k of Base; give the method another "
        "name"
    )
    with pytest.raises(TypeError, match=r"^Both: the method m hides the parameter m; give one of"):

        class Both(Base):
            """Nothing."""

            m: int = param(1)

            def m(self) -> int:  # type: ignore[no-redef]  # noqa: F811
                """Nothing."""
                return 3

    class Mixin:
        def k(self) -> int:
            return 3

    with pytest.raises(TypeError, match=r"^Mixed: the method k of Mixin hides the parameter k of"):

        class Mixed(Mixin, Base):  # type: ignore[misc]
            """Nothing."""


def test_a_plain_value_for_a_parameter_is_refused() -> None:
    with pytest.raises(TypeError) as caught:

        class Derived(Base):
            """Nothing."""

            k = 3

    assert str(caught.value) == (
        "Derived: the attribute k of Derived hides the parameter k of Base; write "
        "k: int = param(…) to change its default"
    )


def test_two_parameters_of_one_spelling_are_refused() -> None:
    with pytest.raises(TypeError, match="Twice: the parameters k and other are both spelled k;"):

        class Twice(Base):
            """Nothing."""

            other: int = param(1, spelling="k")
