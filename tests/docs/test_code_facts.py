"""The tables of the docs say what the code does, or the site isn't built."""

from __future__ import annotations

import importlib
import inspect

import pytest

code_facts = importlib.import_module("code_facts")

DOCUMENTED = (
    "airflow_provider_pictory.operators.pictory.GenerateVideoOperator",
    "airflow_provider_pictory.operators.batch.GenerateVideosOperator",
    "airflow_provider_pictory.sensors.pictory.VideoJobSensor",
    "airflow_provider_pictory.transfers.pictory_to_object_storage.PictoryToObjectStorageOperator",
)


class Documented:
    """
    An operator as the tables know them.

    :param path: where to; of ``str | None``, see
        :class:`Other`. (templated)
    :param seconds: how long.

        More about it, which no table shows.
    :param is_fast: whether; by default as Airflow's setting says.

    :xcom return_value: the path.
    :raises PictoryAPIError: it can't be reached.
    :raises PictoryAuthenticationError: the key is wrong.
    """

    template_fields = ("path",)

    def __init__(
        self, *, path: str | None, seconds: float = 3600.0, is_fast: bool = bool("x"), **kwargs
    ) -> None:
        pass


def variant(**changes):
    return type("Documented", (Documented,), {"__doc__": Documented.__doc__, **changes})


@pytest.mark.parametrize("path", DOCUMENTED)
def test_each_task_s_docstring_is_what_its_code_does(path):
    cls = code_facts.load(path)

    names = [line[0] for line in code_facts.arguments_of(cls)]
    assert names == [f"`{name}`" for name in code_facts.own_arguments(cls)]
    for name in cls.template_fields:
        if f"`{name}`" in names:
            assert code_facts.arguments_of(cls)[names.index(f"`{name}`")][3] == "yes"


@pytest.mark.parametrize("path", DOCUMENTED)
def test_each_task_s_errors_are_errors_of_ours(path):
    lines = code_facts.errors_of(code_facts.load(path))

    assert lines
    assert {line[2] for line in lines} <= {"yes", "no"}


@pytest.mark.parametrize("path", [it for it in DOCUMENTED if "transfers" not in it and "sensors" not in it])
def test_what_an_operator_pushes_is_described(path):
    assert len(code_facts.xcoms_of(code_facts.load(path))) > 1


def test_an_argument_s_line_has_type_default_templating_and_text_in_one_line():
    lines = {line[0]: line[1:] for line in code_facts.arguments_of(Documented)}

    assert lines["`path`"] == [
        r"`str \| None`",
        "required",
        "yes",
        r"where to; of `str \| None`, see `Other`.",
    ]
    assert lines["`seconds`"] == ["`float`", "`3_600`", "no", "how long."]
    assert lines["`is_fast`"][1] == "Airflow's setting"


def test_only_some_arguments_can_be_shown_in_an_order_of_one_s_own():
    lines = code_facts.arguments_of(Documented, ["seconds", "path"])

    assert [line[0] for line in lines] == ["`seconds`", "`path`"]


def test_an_argument_without_a_description_is_refused():
    missing = variant(__doc__=Documented.__doc__.replace(":param seconds:", ":param minutes:"))

    with pytest.raises(code_facts.OutdatedDocstringError, match="says nothing of seconds"):
        code_facts.arguments_of(missing)


@pytest.mark.parametrize("fields", [(), ("path", "seconds")])
def test_a_wrong_word_about_templates_is_refused(fields):
    with pytest.raises(code_facts.OutdatedDocstringError, match="being templated"):
        code_facts.arguments_of(variant(template_fields=fields))


def test_an_xcom_that_nobody_pushes_is_refused():
    cls = code_facts.load(DOCUMENTED[0])
    more = type(
        cls.__name__, (cls,), {"__doc__": f"{inspect.cleandoc(cls.__doc__)}\n:xcom nothing: of it.\n"}
    )
    more.__module__ = cls.__module__

    with pytest.raises(code_facts.OutdatedDocstringError, match="nothing"):
        code_facts.xcoms_of(more)


def test_errors_say_whether_airflow_tries_again():
    assert code_facts.errors_of(Documented) == [
        ["`PictoryAPIError`", "it can't be reached.", "yes"],
        ["`PictoryAuthenticationError`", "the key is wrong.", "no"],
    ]


def test_the_models_are_those_of_the_code_and_the_default_is_marked():
    lines = code_facts.models()

    assert [line[0] for line in lines if "(default)" in line[0]] == ["`pixverse5.5` (default)"]
    assert ["`veo3.1`", "16:9, 9:16", "4, 6, 8", "20"] in lines


def test_a_table_is_markdown():
    assert code_facts.table(("One", "Two"), [["a", "b"]]) == "| One | Two |\n| --- | --- |\n| a | b |"


def test_each_assumption_about_the_service_is_in_one_of_the_tables():
    from live_check.assumptions import ALL

    lines = [*code_facts.assumptions("free"), *code_facts.assumptions("paid")]

    assert [line[0] for line in lines] == [code_facts.as_markdown(each.text) for each in ALL]
    assert {line[2] for line in lines} == {"documented", "guess"}
    assert all(line[1] for line in lines)
