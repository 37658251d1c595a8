"""The local Lambda does what the service does, with the real runtime client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest

from support.lambda_runtime import LocalLambda

Make = Callable[..., LocalLambda]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[LocalLambda] = []

    def make_function(source: str, **options: object) -> LocalLambda:
        (tmp_path / "app.py").write_text(dedent(source))
        made.append(LocalLambda("app.handler", tmp_path, **options))  # type: ignore[arg-type]  # handed on as given
        return made[-1]

    yield make_function
    for function in made:
        function.stop()


def test_answers_with_the_payload_and_the_log_of_each_call(make: Make) -> None:
    """Payload, log and whether it was cold belong to one invocation, not to the process."""
    function = make("""
        def handler(event, context):
            print("saw", event["n"])
            return {"double": 2 * event["n"], "name": context.function_name}
    """)
    first, second = function.invoke({"n": 1}), function.invoke({"n": 2})
    assert (first.payload, first.cold) == ({"double": 2, "name": "function"}, True)
    assert (second.payload, second.cold) == ({"double": 4, "name": "function"}, False)
    assert first.log == "saw 1\n"
    assert second.log == "saw 2\n"


def test_an_exception_is_an_error_and_the_process_lives_on(make: Make) -> None:
    """A handler that raises answers with type and text, and its next call is warm."""
    function = make("""
        def handler(event, context):
            if event:
                raise ValueError("no good")
            return "ok"
    """)
    failed, again = function.invoke({"n": 1}), function.invoke({})
    assert failed.error is not None
    assert (failed.error["errorType"], failed.error["errorMessage"]) == ("ValueError", "no good")
    assert (again.payload, again.cold) == ("ok", False)


def test_an_error_while_starting_is_told_and_the_next_call_starts_anew(make: Make, tmp_path: Path) -> None:
    """A module that can't be imported fails the call, and after the fix the same function works."""
    function = make("raise RuntimeError('not today')")
    assert "not today" in str(function.invoke({}).error)
    (tmp_path / "app.py").write_text("def handler(event, context): return 'up'")
    assert function.invoke({}).payload == "up"


def test_a_time_out_kills_the_process(make: Make) -> None:
    """Work past the deadline is cut, the deadline was known to it, and a new process takes the next event."""
    function = make(
        """
        import time

        def handler(event, context):
            print("left", 0 < context.get_remaining_time_in_millis() <= 300_000)
            if event:
                time.sleep(60)
            return "quick"
        """,
        timeout_seconds=0.5,
    )
    cut = function.invoke({"slow": True})
    assert cut.error is not None
    assert cut.error["errorType"] == "Sandbox.Timedout"
    function.function = replace(function.function, timeout_seconds=300)  # a busy machine may need more for a new process
    after = function.invoke({})
    assert (after.payload, after.cold, after.log) == ("quick", True, "left True\n")


def test_a_process_that_ends_itself_is_an_error(make: Make) -> None:
    """`os._exit` in a handler is what a crash of the interpreter looks like."""
    result = make("""
        import os

        def handler(event, context):
            os._exit(3)
    """).invoke({})
    assert result.error is not None
    assert result.error["errorType"] == "Runtime.ExitError"
    assert "3" in result.error["errorMessage"]


def test_an_answer_over_six_megabytes_is_refused(make: Make) -> None:
    """The service's cap holds here too."""
    result = make("def handler(event, context): return 'x' * (6 * 1024 * 1024)").invoke({})
    assert result.error is not None
    assert result.error["errorType"] == "Function.ResponseSizeTooLarge"


def test_isolated_sees_the_task_root_and_nothing_of_this_interpreter(make: Make) -> None:
    """What the zip does not carry can't be imported, so a package that lacks a library fails here and not in the cloud."""
    source = "import pydantic\ndef handler(event, context): return 'found'"
    assert make(source).invoke({}).payload == "found"
    lacking = make(source, isolated=True).invoke({})
    assert "No module named 'pydantic'" in str(lacking.error)


def test_the_environment_is_the_functions_own(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of the function reach it, those of this process do not."""
    monkeypatch.setenv("FROM_OUTSIDE", "1")
    function = make(
        "import os\ndef handler(event, context): return [os.environ.get('STAGE'), os.environ.get('FROM_OUTSIDE')]",
        environment={"STAGE": "test"},
    )
    assert function.invoke({}).payload == ["test", None]
