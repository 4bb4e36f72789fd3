"""Search documents, with a function of one's own."""

import jmespath
from jmespath import functions


class Own(functions.Functions):
    @functions.signature({"types": ["number"]})
    def _func_twice(self, number):
        return number * 2


def exercise():
    document = {"people": [{"name": "ann", "age": 3}, {"name": "bob", "age": 7}]}
    options = jmespath.Options(custom_functions=Own())
    return [
        jmespath.search("people[?age > `5`].{who: name, old: age}", document),
        jmespath.search("people[*].age | map(&twice(@), @)", document, options=options),
        jmespath.compile("sort_by(people, &name)[-1].name").search(document),
    ]
