"""Complete, validate, and run a prompt from piped input."""

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, WordCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import HTML, to_plain_text
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput


async def exercise():
    completer = WordCompleter(["apple", "apricot", "pear"])
    words = [c.text for c in completer.get_completions(Document("ap"), CompleteEvent())]
    with create_pipe_input() as keys:
        keys.send_text("helo\x1b[Dl\x05!\n")
        answer = await PromptSession(input=keys, output=DummyOutput()).prompt_async("> ")
    return [words, answer, to_plain_text(HTML("<b>x</b> &amp; y"))]
