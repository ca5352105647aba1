"""
A local Pictory for trying out, for tests and for users' own CI; nothing else of the package uses it.

Start it with the command ``pictory-sandbox``, in tests with the fixtures of
:mod:`airflow_provider_pictory.sandbox.testing`, or from any Python with
:class:`airflow_provider_pictory.sandbox.background.PictorySandbox`. It needs the extra ``[sandbox]``.

It can misbehave in all the ways that :mod:`airflow_provider_pictory.sandbox.faults` knows.

Where Pictory's documentation is silent the sandbox has to decide. Each module lists its own such decisions
under the word "Guesses", so that nobody takes the sandbox for evidence of what Pictory does.
"""
