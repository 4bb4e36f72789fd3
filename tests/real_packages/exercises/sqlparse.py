"""Split, format and walk statements."""

import sqlparse


def exercise():
    text = "select a, b from t where x = 1 and y in (select 1); delete from t;"
    statement = sqlparse.parse(text)[0]
    return [
        sqlparse.split(text), sqlparse.format(text, reindent=True, keyword_case="upper"), statement.get_type(),
        [type(token).__name__ for token in statement.tokens if not token.is_whitespace],
    ]  # fmt: skip
