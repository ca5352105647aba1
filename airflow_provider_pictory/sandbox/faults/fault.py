"""What all faults share: how often and when they happen, and a sentence for a value that can't be."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from airflow_provider_pictory.sandbox.addresses import API_PREFIX
from airflow_provider_pictory.sandbox.bodies import shown

if TYPE_CHECKING:
    from pydantic.functional_validators import ModelWrapValidatorHandler

# More would be no waiting but a mistake, and overflow in some calculation with times.
_LARGEST_NUMBER = 10**9
LONGEST_TEXT = 1000
# The context of the validation of a fault that was written as text.
AS_TEXT = "text"

in_seconds = partial(Field, ge=0, le=_LARGEST_NUMBER, description="seconds from 0 up")
at_least_one = partial(Field, ge=1, le=_LARGEST_NUMBER, description="a whole number from 1 up")


class InvalidFaultError(Exception):
    """A fault that can't be; the message is one sentence that names what is wrong with it."""


class Fault(BaseModel):
    """
    What goes wrong and when. Rate, count and schedule can be combined: all have to allow it.

    Each kind is a subclass, whose docstring says what happens; a field's description says what it may be.

    :param kind: what goes wrong.
    :param rate: how likely it is, for each request or job.
    :param count: how many times it happens at most.
    :param after: from when on it happens, in seconds since it was set.
    :param until: until when it happens, in seconds since it was set.
    :raises InvalidFaultError: when a value can't be, or the kind has no such parameter.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)
    kinds: ClassVar[dict[str, type[Fault]]] = {}

    kind: str
    rate: float = Field(default=1.0, ge=0, le=1, description="a number from 0 to 1")
    count: int | None = at_least_one(None)
    after: float = in_seconds(0.0)
    until: float | None = in_seconds(None)

    @classmethod
    def __pydantic_init_subclass__(cls, **arguments: Any) -> None:
        kind = cls.model_fields["kind"]
        if not kind.is_required():
            Fault.kinds[kind.default] = cls

    @classmethod
    def parameters(cls) -> list[str]:
        """Return the names of all parameters of this kind, its own first."""
        names = [name for name in cls.model_fields if name != "kind"]
        return sorted(names, key=lambda it: (it in Fault.model_fields, it in FilteredFault.model_fields))

    @field_validator("until")
    @classmethod
    def _ends_after_it_begins(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and value <= info.data.get("after", 0.0):
            raise ValueError("later than after")
        return value

    @model_validator(mode="wrap")
    @classmethod
    def _complain_in_one_sentence(
        cls, values: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        try:
            return handler(values)
        except ValidationError as error:
            wrong = error.errors(include_url=False)[0]
        is_text = info.context == AS_TEXT
        kind, name = cls.model_fields["kind"].default, (*wrong["loc"], wrong["input"])[0]
        written = as_written(name, is_text)
        if (field := cls.model_fields.get(str(name))) is None:
            listed = ", ".join(as_written(it, is_text) for it in cls.parameters())
            raise InvalidFaultError(f"{kind} has no parameter {shown(written)}, only {listed}")
        wanted = field.description or ("yes or no" if is_text else "true or false")
        if wrong["type"] == "value_error":
            wanted = wrong["ctx"]["error"]
        raise InvalidFaultError(f"{kind}: {written} must be {wanted}, not {shown(wrong['input'])}")


class FilteredFault(Fault):
    """
    What befalls only some requests: by default all that are for the API.

    :param path: those whose path begins so, with or without ``/pictoryapis`` in front.
    :param method: those of this method, or of any without it.
    """

    path: str | None = Field(
        default=None,
        pattern="^/",
        max_length=LONGEST_TEXT,
        description='the beginning of a path, such as "/v1/jobs/"',
    )
    method: Annotated[str | None, StringConstraints(pattern="^[A-Za-z]+$", to_upper=True)] = Field(
        default=None, max_length=LONGEST_TEXT, description="an HTTP method"
    )

    def is_for(self, method: str, path: str) -> bool:
        """Tell whether a request is one that this can befall."""
        if self.method is not None and self.method != method:
            return False
        if self.path is None:
            return path.startswith(API_PREFIX)
        return path.startswith(self.path) or path.removeprefix(API_PREFIX).startswith(self.path)


def as_written(name: Any, is_text: bool) -> Any:
    """Return a parameter's name as the form has it that a fault is written in: in text, with dashes."""
    return name.replace("_", "-") if is_text else name
